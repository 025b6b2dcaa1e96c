//! The line through all values so far, half of whose slope is the drift of a Theta forecast.

use super::order::float;

/// Fewer values than this have no slope worth following.
const ENOUGH: f64 = 10.0;

/// A least-squares line, advanced a value at a time (Welford 1962 for the running sums).
///
/// The Theta method (Assimakopoulos & Nikolopoulos 2000) is simple exponential smoothing plus a drift of half this slope
/// (Hyndman & Billah 2003, "Unmasking the Theta method").
#[derive(Debug, Default)]
pub(super) struct Line {
    count: f64,
    mean_position: f64,
    mean: f64,
    spread: f64,
    product: f64,
}

impl Line {
    /// Takes in a value, unless it is missing.
    pub(super) fn add(&mut self, position: usize, value: f64) {
        if value.is_nan() {
            return;
        }
        self.count += 1.0;
        let off = float(position) - self.mean_position;
        self.mean_position += off / self.count;
        self.mean += (value - self.mean) / self.count;
        self.spread += off * (float(position) - self.mean_position);
        self.product += off * (value - self.mean);
    }

    /// Half the slope a row.
    pub(super) fn drift(&self) -> f64 {
        if self.count < ENOUGH { 0.0 } else { 0.5 * self.product / self.spread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_half_the_slope() {
        let mut line = Line::default();
        for position in 0..9 {
            line.add(position, 3.0 * float(position) + 7.0);
        }
        assert_eq!(line.drift(), 0.0);
        line.add(9, 34.0);
        assert!((line.drift() - 1.5).abs() < 1e-12);
    }
}
