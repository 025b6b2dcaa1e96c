//! `+ - * / %` over decimals, with PostgreSQL's digits and without its limits being hit on the way.
//!
//! DataFusion's own operators fail to plan `price / cost` at scale 18, truncate quotients, and stop at 128 bits in the middle
//! of a product. [`NumericPlanner`] replaces them by [`NumericOperator`] wherever a decimal meets a decimal or an integer;
//! everything else (floats, integers among themselves, dates, intervals) stays with DataFusion.
//!
//! | operator | type of the result | digits |
//! |---|---|---|
//! | `+`, `-` | the wider scale; `Decimal128` as long as 38 digits hold every digit before the point, else `Decimal256(76, s)` | exact |
//! | `*` | scale s1 + s2; `Decimal128` up to 38 digits, else `Decimal256(76, min(s1 + s2, 38))` | exact; half away from zero beyond scale 38 |
//! | `/` | `Decimal256(76, 38)` | PostgreSQL's scale for these values, half away from zero |
//! | `%` | the wider scale | exact; the sign of the dividend |
//!
//! A result that does not fit is `numeric value out of range`, a zero divisor `Divide by zero`; neither names a value.

mod cast;
mod integer;
mod operand;
mod operation;
mod operator;
mod planner;
mod product;
mod sum;
mod types;

#[cfg(test)]
mod tests;

pub use cast::NumericCasts;
pub(crate) use operand::{Operand, compute};
pub use operation::Operation;
pub use operator::NumericOperator;
pub use planner::{NumericPlanner, SqlTypes};
