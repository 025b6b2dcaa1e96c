//! Dates and times in text: one reading for casts, comparisons and parameters.

mod cast;
mod parse;
mod show;
mod zone;

#[cfg(test)]
mod tests;

pub use cast::DateTimeCasts;
pub use parse::{DateTimeError, parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use zone::Zone;
