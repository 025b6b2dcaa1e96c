//! Reference data as SQL writes it: values from text and Arrow, checks, and who may write what.
//!
//! The catalog keeps the versions ([`crate::catalog::RefTable`]); this module decides what a
//! statement may make of them. A check sees the state as it would be after the statement.

mod authority;
mod checks;
pub(crate) mod credits;
mod overlay;
mod spend;
mod values;

pub use authority::{Authority, may_write};
pub use checks::{State, check};
pub use overlay::{Overlay, RefOp, Rows};
pub use values::{data_type, from_array, from_text, to_array};
