//! What a series usually was at about the same time, and values far from it drawn closer.

use super::order::{median, median_of_seven};

/// Values on either side that tell what is usual.
const NEIGHBOURS: usize = 3;

/// A value farther from the usual one than this many median absolute deviations counts as if it were that far.
const FARTHEST: f64 = 5.0;

/// The median of each value and its three neighbours on either side, `stride` rows apart; NaN where all are missing.
///
/// A stride of a season compares Mondays with Mondays. Shape of `usual`: one for each value.
pub(super) fn find_usual(values: &[f64], stride: usize, usual: &mut Vec<f64>) {
    usual.clear();
    for position in 0..values.len() {
        let first = position.checked_sub(NEIGHBOURS * stride).unwrap_or(position % stride);
        let mut near = [0.0; 2 * NEIGHBOURS + 1];
        let mut count = 0;
        let last = (position + NEIGHBOURS * stride).min(values.len() - 1);
        for value in values[first..=last].iter().step_by(stride) {
            if !value.is_nan() {
                near[count] = *value;
                count += 1;
            }
        }
        usual.push(match count {
            0 => f64::NAN,
            7 => median_of_seven(near),
            _ => median(&mut near[..count]),
        });
    }
}

/// Draws values in to five median absolute deviations around the usual ones, so that a credit of a whole month or a job run
/// by mistake does not become the forecast (winsorising: Tukey 1962, "The future of data analysis").
pub(super) fn draw_in(values: &mut [f64], usual: &[f64], distances: &mut Vec<f64>) {
    distances.clear();
    distances.extend(values.iter().zip(usual).map(|(value, usual)| (value - usual).abs()).filter(|far| !far.is_nan()));
    let farthest = FARTHEST * median(distances);
    if farthest > 0.0 {
        for (value, usual) in values.iter_mut().zip(usual) {
            if !value.is_nan() {
                *value = value.clamp(usual - farthest, usual + farthest);
            }
        }
    } else {
        draw_in_single(values, usual);
    }
}

/// Where most values are exactly as usual (a flat price), puts single ones that are not back; two in a row are a new level.
fn draw_in_single(values: &mut [f64], usual: &[f64]) {
    let mut was_other = false;
    for position in 0..values.len() {
        let is_other = differs(values[position], usual[position]);
        let next_is_other = position + 1 < values.len() && differs(values[position + 1], usual[position + 1]);
        if is_other && !was_other && !next_is_other {
            values[position] = usual[position];
        }
        was_other = is_other;
    }
}

/// Whether a value is there and other than the usual one by more than rounding.
fn differs(value: f64, usual: f64) -> bool {
    (value - usual).abs() > 1e-9 * usual.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_value_is_the_median_of_the_same_weekday() {
        // Two phases; for position 4 the same phase is 1, 3, 5, 7, 100 at 0, 2, 4, 6, 8.
        let values = [1.0, 0.0, 3.0, f64::NAN, 5.0, 0.0, 7.0, 0.0, 100.0];
        let mut usual = Vec::new();
        find_usual(&values, 2, &mut usual);
        assert_eq!(usual[4], 5.0);
        // For position 0: 1, 3, 5, 7. For position 3, itself missing: zeros.
        assert_eq!((usual[0], usual[3]), (4.0, 0.0));
    }

    #[test]
    fn a_far_value_is_drawn_in_to_five_deviations() {
        let mut values = [9.0, 11.0, 10.0, 100.0, f64::NAN];
        // Distances 1, 1, 0, 90: their median is 1.
        draw_in(&mut values, &[10.0; 5], &mut Vec::new());
        assert_eq!(values[..4], [9.0, 11.0, 10.0, 15.0]);
        assert!(values[4].is_nan());
    }

    #[test]
    fn in_a_flat_series_one_day_is_an_exception_and_two_are_a_step() {
        let mut values = [10.0, 10.0, 0.0, 10.0, 10.0, 10.0, 12.0, 12.0];
        draw_in(&mut values, &[10.0; 8], &mut Vec::new());
        assert_eq!(values, [10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 12.0, 12.0]);
    }
}
