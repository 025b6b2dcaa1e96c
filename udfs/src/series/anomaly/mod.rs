//! What is unusual in a series: judged one value at a time, from what came before it.
//!
//! A [`Detector`] is a state that one value advances. It has never seen what comes later, so there is no look-ahead by
//! construction, and a new day advances a stored state without a refit.
//!
//! | file | what it keeps |
//! |---|---|
//! | `daily` | the detector of cost: level, weekday profile, month ends, planned changes, shifts, growth |
//! | `ensemble` | `gm3`, three z-scores, for hourly metrics and counts |
//! | `detector` | which of the two, the caller's limits, what users have accepted, and the stored form |
//!
//! The pieces know nothing of each other: `daily` puts them together.

mod activity;
mod bar;
mod codec;
mod daily;
mod day_memory;
mod detector;
mod deviation;
mod ensemble;
mod expectation;
mod feedback;
mod growth;
mod judgement;
mod lasting;
mod noise;
mod options;
mod profile;
mod ring;
mod shift;
mod spread;
mod tail;
#[cfg(test)]
mod tests;
mod warm_up;

pub use detector::Detector;
pub use feedback::Accepted;
pub use judgement::{Direction, Judgement, Kind, Status};
pub use options::{DetectorOptions, Method};
