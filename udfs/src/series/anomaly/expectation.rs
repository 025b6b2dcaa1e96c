//! What is expected of one value, and how far it is from that.

use super::deviation::{deviation, unit, value_at};

/// What is expected of one value, in the unit of the series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expectation {
    /// The value expected.
    pub(super) expected: f64,
    /// Any value from here...
    pub(super) low: f64,
    /// ... to here is as usual; `expected` is one of them.
    pub(super) high: f64,
    /// The mean over a season.
    pub(super) level: f64,
    /// The standard deviation of errors, relative (see [`super::deviation`]), above 0.
    pub(super) noise: f64,
}

impl Expectation {
    /// How far a value is from `expected`, in noise widths.
    pub(super) fn error(&self, value: f64) -> f64 {
        self.from(value, self.expected)
    }

    /// How far a value is from all that is usual, in noise widths; 0 within.
    pub(super) fn surprise(&self, value: f64) -> f64 {
        if value > self.high {
            self.from(value, self.high)
        } else if value < self.low {
            self.from(value, self.low)
        } else {
            0.0
        }
    }

    /// The values at which the surprise reaches a threshold below and above, in noise widths.
    ///
    /// `below` is the share of the threshold that counts below.
    pub(super) fn bounds(&self, threshold: f64, below: f64) -> (f64, f64) {
        let reach = |deviation: f64, from: f64| value_at(deviation * self.noise, from, unit(from, self.level));
        (reach(-threshold * below, self.low), reach(threshold, self.high))
    }

    /// The unit of its deviations, in the unit of the series.
    pub(super) fn unit(&self) -> f64 {
        unit(self.expected, self.level)
    }

    /// The same at another level.
    pub(super) fn scaled(&self, ratio: f64) -> Self {
        Self {
            expected: self.expected * ratio,
            low: self.low * ratio,
            high: self.high * ratio,
            level: self.level * ratio,
            noise: self.noise,
        }
    }

    /// The error of a value, in the unit of the series, clipped to `widths` noise widths.
    pub(super) fn clipped(&self, value: f64, widths: f64) -> f64 {
        let unit = self.unit();
        let (low, high) = (-widths * self.noise, widths * self.noise);
        let clipped = value.max(value_at(low, self.expected, unit)).min(value_at(high, self.expected, unit));
        clipped - self.expected
    }

    fn from(&self, value: f64, centre: f64) -> f64 {
        deviation(value, centre, unit(centre, self.level)) / self.noise
    }
}
