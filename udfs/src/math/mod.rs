//! Rounding functions of numerics that DataFusion computes within the argument's own type.
//!
//! `ceil`, `floor` and `trunc` of a decimal have no digits after the point that they drop, so that the result of
//! `ceil(99999999999999999999.5)` fits. `round` is DataFusion's: it rounds half away from zero at both widths, as
//! PostgreSQL does. Floats and integers are DataFusion's.

mod ceil;
mod floor;
mod places;
mod trunc;

#[cfg(test)]
mod tests;

pub use ceil::Ceil;
pub use floor::Floor;
pub use trunc::Trunc;
