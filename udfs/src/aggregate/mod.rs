//! `sum` and `avg` that are exact for decimals and integers.
//!
//! DataFusion's `sum` wraps silently and its `avg` truncates. These accumulate in at least 256 bits, fail only where the
//! final result does not fit, and round as PostgreSQL does. Floats, durations and intervals are DataFusion's own.
//!
//! | argument | `sum` | `avg` |
//! |---|---|---|
//! | integers up to 32 bits | `Int64` | `Decimal256(76, 38)` |
//! | `Int64`, `UInt64` | `Decimal128(38, 0)` | `Decimal256(76, 38)` |
//! | `Decimal128(p, s)` | `Decimal128(38, s)` | `Decimal256(76, 38)` |
//! | `Decimal256(p, s)` | `Decimal256(76, s)` | `Decimal256(76, 38)` |

mod accumulator;
mod avg;
mod distinct;
mod exact;
mod groups;
mod input;
mod sum;
mod total;

#[cfg(test)]
mod phases;
#[cfg(test)]
mod tests;

pub use avg::ExactAvg;
pub use sum::ExactSum;
