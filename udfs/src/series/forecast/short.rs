//! Series too short for anything but their mean.

use super::order::{float, mean};

/// Fewer values than this get the mean of them.
pub(super) const SHORT: usize = 15;

/// Fewer values than this get no forecast.
pub(super) const TOO_SHORT: usize = 3;

/// The mean of a few values and how far they lie from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ShortHistory {
    mean: f64,
    /// The standard deviation of one more value around the mean.
    spread: f64,
}

impl ShortHistory {
    /// Learns from values, NaN where missing.
    ///
    /// One more value varies as the others do and the mean with it, hence the factor `sqrt(1 + 1/n)`; that the spread is not
    /// known either widens normal quantiles by about `1 + 3/n` (Student 1908: 2.2 times at n = 3, 1.1 times at n = 14).
    pub(super) fn learn(values: &[f64]) -> Self {
        let mean = mean(values).unwrap_or_default();
        let known = values.iter().filter(|value| !value.is_nan());
        let (squares, count) =
            known.fold((0.0, 0usize), |(squares, count), value| (squares + (value - mean) * (value - mean), count + 1));
        let count = count.max(2);
        let variance = squares / float(count - 1);
        Self { mean, spread: (variance * (1.0 + 1.0 / float(count))).sqrt() * (1.0 + 3.0 / float(count)) }
    }

    /// The mean.
    pub(super) fn middle(self) -> f64 {
        self.mean
    }

    /// The value below which one more lies with a chance of `share`, the same at every lead.
    pub(super) fn at(self, share: f64) -> f64 {
        self.mean + self.spread * normal_quantile(share)
    }
}

/// The quantile of the standard normal distribution, within 0.00045 (Abramowitz & Stegun 1964, 26.2.23).
fn normal_quantile(share: f64) -> f64 {
    let tail = share.min(1.0 - share).max(1e-12);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let z = (t - above / below).max(0.0);
    if share < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_are_those_of_the_tables() {
        for (share, z) in [(0.5, 0.0), (0.9, 1.281_55), (0.975, 1.959_96), (0.025, -1.959_96)] {
            assert!((normal_quantile(share) - z).abs() < 0.000_5, "{share}");
        }
    }

    #[test]
    fn three_values_give_their_mean_and_a_wide_interval() {
        let short = ShortHistory::learn(&[1.0, f64::NAN, 2.0, 3.0]);
        assert_eq!(short.middle(), 2.0);
        // Variance 1, times 4/3, root 1.1547, times 1 + 3/3 = 2.3094, times 1.96.
        assert!((short.at(0.975) - (2.0 + 4.526_4)).abs() < 0.002);
    }
}
