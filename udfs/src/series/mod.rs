//! Series over time: pure functions of one series at a time, nothing of files or sessions.

pub mod anomaly;
mod calendar;
pub mod forecast;
mod planned;

pub use calendar::{Calendar, Frequency};
pub use planned::{Change, PlannedChange, Recurrence};
