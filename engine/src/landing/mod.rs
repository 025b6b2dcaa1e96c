//! Provider files to usage rows.
//!
//! `discover` finds what belongs together, `DeliveryFiles::open` tells which source it is,
//! `Delivery::read` gives usage batches with every rejected row and its reason, and `Findings`
//! checks accepted rows against the FOCUS specification. Writing, rating and committing are the
//! caller's.
//!
//! - A malformed *file* is refused whole with a `LandingError`; a malformed *row* is rejected and
//!   the rest lands; a rule that a row breaks is a finding and the row stays.
//! - No type is ever inferred: cells of CSV and values of JSON are text until a mapping says what they are.
//! - Money never goes through a float.
//! - What a source means is one SQL file in `sql/landing/`, never code here.

mod apply;
mod batch;
mod checks;
mod convert;
mod csv;
mod data_set;
mod delivery;
mod delivery_period;
mod directives;
mod discover;
mod elements;
mod error;
mod executions;
mod functions;
mod header_names;
mod instant;
mod json;
mod location;
mod lookup;
mod manifest;
mod mapping;
mod nested;
mod number;
mod parquet;
mod program;
pub mod quality;
mod reading;
mod rejected;
mod rows;
mod source;
mod tags;
mod typed;
mod typed_columns;

pub use batch::{LandedBatch, Noted, RejectedPlace, RejectedRow, Totals};
pub use data_set::{DataSet, DataSetRows};
pub use delivery::Delivery;
pub use directives::SourceRole;
pub use discover::{DeliveryFiles, PartFile, discover, survey};
pub use error::LandingError;
pub use location::{LocalOnly, Location, Stores};
pub use manifest::ManifestFacts;
pub(crate) use manifest::{is_manifest, parse_manifest};
pub use quality::{Finding, Findings};
pub use reading::LandedRows;
pub use source::{SourceCatalog, SourceInfo};
