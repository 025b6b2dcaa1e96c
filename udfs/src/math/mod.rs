//! Rounding functions of numerics that DataFusion computes within the argument's own type.
//!
//! `ceil`, `floor` and `trunc` of a decimal have no digits after the point that they drop, so that the result of
//! `ceil(99999999999999999999.5)` fits. `round` of a decimal has as many digits as it is rounded to, whether the number of
//! places is still to be folded or not. Floats and integers are DataFusion's.

mod ceil;
mod floor;
mod places;
mod round;
mod trunc;

#[cfg(test)]
mod tests;

pub use ceil::Ceil;
pub use floor::Floor;
pub use round::Round;
pub use trunc::Trunc;
