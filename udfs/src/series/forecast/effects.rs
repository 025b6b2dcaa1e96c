//! Days that are known beforehand to differ, and by how much.

use super::order::{float, median};

/// How many standard errors an effect has to be away from none.
const STANDARD_ERRORS: f64 = 2.5;

/// The share of ratios that has to lie on one side of 1.
const ONE_SIDED: f64 = 0.85;

/// Median absolute deviations in a standard deviation of normal noise.
const DEVIATION: f64 = 1.4826;

/// A history beside what was usual at each position; both have one entry for each value, NaN where missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct History<'a> {
    /// Amounts.
    pub(super) values: &'a [f64],
    /// The local median of the same weekday.
    pub(super) usual: &'a [f64],
}

impl History<'_> {
    /// The amount as a multiple of the usual one; none where either is missing or the usual one is not above zero.
    pub(super) fn ratio(&self, position: usize) -> Option<f64> {
        let (value, usual) = (*self.values.get(position)?, *self.usual.get(position)?);
        (usual > 0.0 && !value.is_nan()).then(|| value / usual)
    }

    /// The usual spread of ratios around 1, as a standard deviation.
    pub(super) fn noise(&self, scratch: &mut Vec<f64>) -> f64 {
        scratch.clear();
        scratch.extend((0..self.values.len()).filter_map(|position| Some((self.ratio(position)? - 1.0).abs())));
        DEVIATION * median(scratch)
    }
}

/// The median of the ratios seen on days of one kind, where it is plainly other than 1 and nearly all lie on the same side
/// of it, else 1. Never below zero. Reorders the ratios.
pub(super) fn factor(ratios: &mut [f64], noise: f64) -> f64 {
    if ratios.is_empty() {
        return 1.0;
    }
    let count = float(ratios.len());
    let mean = ratios.iter().sum::<f64>() / count;
    let variance = ratios.iter().map(|ratio| (ratio - mean) * (ratio - mean)).sum::<f64>() / count;
    let error = variance.sqrt().max(noise) / count.sqrt();
    let middle = median(ratios);
    let beyond = ratios.iter().filter(|ratio| (**ratio > 1.0) == (middle > 1.0) && **ratio != 1.0).count();
    let is_plain = (middle - 1.0).abs() > STANDARD_ERRORS * error && float(beyond) >= ONE_SIDED * count;
    if is_plain { middle.max(0.0) } else { 1.0 }
}
