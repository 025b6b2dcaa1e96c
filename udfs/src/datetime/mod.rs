//! Dates and times in text: one reading for casts, comparisons and parameters, one writing for casts and results.

mod age;
mod cast;
mod clock;
mod interval;
mod parse;
mod planner;
mod show;
mod span;
mod write;
mod zone;

#[cfg(test)]
mod tests;

pub use age::Age;
pub use cast::DateTimeCasts;
pub use clock::Timezone;
pub use interval::IntervalTimes;
pub use parse::{DateTimeError, parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use planner::DateTimePlanner;
pub use span::Span;
pub use write::{DAY_US, write_date, write_fraction, write_time, write_timestamp, write_timestamptz};
pub use zone::Zone;
