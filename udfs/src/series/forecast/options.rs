//! What is asked of a forecast, and what it answers.

use super::status::Status;
use crate::series::Frequency;

/// What to forecast of every series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastOptions {
    /// Rows after the last value.
    pub horizon: usize,
    /// Rows of a cycle, 1 for none.
    pub season: usize,
    /// Whether a forecast below zero is raised to zero; none: where the series was never negative.
    pub non_negative: Option<bool>,
    /// The chance with which the interval is to hold the value, 0 to 1.
    pub confidence_level: f64,
}

impl ForecastOptions {
    /// The usual options for a frequency: its season, intervals of 95 %.
    #[must_use]
    pub fn new(horizon: usize, frequency: Frequency) -> Self {
        Self { horizon, season: frequency.season(), non_negative: None, confidence_level: 0.95 }
    }
}

/// The forecast of one series; each list has one entry for each row of the horizon, NaN where there is no answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    /// The value that is as likely too high as too low, with every planned change: what to hold a single row against.
    ///
    /// It is the median. For a customer who orders on fewer than half of all days it is zero, so it is not to be added up.
    pub value: Vec<f64>,
    /// The mean, with every planned change: what to add up for the total of a month.
    pub mean: Vec<f64>,
    /// The value without the planned changes that begin in the horizon.
    pub baseline: Vec<f64>,
    /// The lower end of the interval.
    pub lower: Vec<f64>,
    /// The upper end of the interval.
    pub upper: Vec<f64>,
    /// How it was made: `combination`, `mean` or `none`.
    pub method: &'static str,
    /// What to know about it.
    pub status: Status,
}
