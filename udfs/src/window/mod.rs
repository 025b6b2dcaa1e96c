//! Window functions: the exact split of a pool.

mod allocate;
mod split;

#[cfg(test)]
mod tests;

pub use allocate::Allocate;
pub use split::{Residue, SplitError, split};
