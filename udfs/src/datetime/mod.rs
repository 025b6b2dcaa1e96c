//! Dates and times in text: one reading for casts, comparisons and parameters, one writing for casts and results.

mod cast;
mod parse;
mod show;
mod write;
mod zone;

#[cfg(test)]
mod tests;

pub use cast::DateTimeCasts;
pub use parse::{DateTimeError, parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use write::{DAY_US, write_date, write_fraction, write_time, write_timestamp, write_timestamptz};
pub use zone::Zone;
