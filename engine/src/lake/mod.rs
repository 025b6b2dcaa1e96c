//! Bulk data: immutable Parquet files in tiers, the writer that makes them and the scan that
//! reads them.
//!
//! The lake touches objects and nothing else. It does not know what a node, a price or a login
//! is: a row's file and row group are numbers that the caller gives, and a scan reads exactly the
//! files that the caller names. Which files belong to a table at a snapshot is the catalog's
//! knowledge, kept in memory by [`FileIndex`].
//!
//! Invariants:
//! - A file appears under its name complete and durable, or not at all; it never changes after.
//! - No file holds rows of two file numbers, no row group rows of two group numbers.
//! - Statistics only widen: pruning by them may keep a file too many, never one too few.

mod batches;
mod cluster;
mod constant;
mod encode;
mod error;
mod few_texts;
mod file;
mod index;
mod layout;
mod local;
mod order;
mod output;
mod own_chunk;
mod piece;
mod provider;
mod prune;
mod read_ahead;
mod routing;
mod runs;
mod runtime;
pub mod schema;
mod small_files;
mod stats;
mod store;
#[cfg(test)]
mod tests;
mod texts;
mod upload;
mod writer;

pub use error::LakeError;
pub use file::{ACCOUNT_NAMES, AGREED_POSITIONS, ColumnStats, DataFile, FileList, RATED_SNAPSHOT, WrittenFile};
pub use index::{FileIndex, IndexedFile};
pub use runtime::scan_runtime;
pub use schema::LakeTable;
pub use store::{LAKE_URL, Lake, Tier};
pub use writer::{ClusteredWriter, WriterOptions};
