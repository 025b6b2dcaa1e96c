//! How far values and errors have been apart so far, outliers and all.

use super::codec::Fields;

/// How fast the errors' variance follows: about the last 200 values.
const ERROR_WEIGHT: f64 = 0.01;

/// Two plain standard deviations, in the unit of the series: of all values so far (Welford 1962), and of the errors of what was
/// expected (exponentially weighted).
///
/// They are what a robust estimate leaves out: a series that has leapt before may leap again. On labels made by others the plain
/// z-scores beat every robust detector, and on cost the robust ones win; the widths are therefore averaged, geometrically.
#[derive(Debug, Clone, Default)]
pub(super) struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
    error_variance: f64,
    errors: f64,
}

impl Spread {
    /// The geometric mean of the two standard deviations, 0 where one is.
    pub(super) fn width(&self) -> f64 {
        if self.count == 0.0 {
            return 0.0;
        }
        (self.squares / self.count * self.error_variance).sqrt().sqrt()
    }

    /// How far a value is from the mean of all values, in their standard deviations.
    pub(super) fn distance(&self, value: f64) -> f64 {
        let deviation = (self.squares / self.count.max(1.0)).sqrt();
        if deviation > 0.0 { (value - self.mean).abs() / deviation } else { f64::MAX }
    }

    /// Learns a value and the error of what was expected of it.
    pub(super) fn learn(&mut self, value: f64, error: f64) {
        self.learn_value(value);
        self.errors += 1.0;
        let weight = ERROR_WEIGHT.max(1.0 / self.errors);
        self.error_variance += weight * (error * error - self.error_variance);
    }

    /// Learns a value of which nothing was expected.
    pub(super) fn learn_value(&mut self, value: f64) {
        self.count += 1.0;
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
    }

    /// Sees everything before in the light of a planned change.
    pub(super) fn scale(&mut self, ratio: f64) {
        self.mean *= ratio;
        self.squares *= ratio * ratio;
        self.error_variance *= ratio * ratio;
    }

    /// Sees everything before in the mirror.
    pub(super) fn mirror(&mut self) {
        self.mean = -self.mean;
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        for field in [&mut self.count, &mut self.mean, &mut self.squares, &mut self.error_variance, &mut self.errors] {
            fields.float(field);
        }
    }
}
