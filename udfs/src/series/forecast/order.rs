//! Medians, quantiles, means.

/// The middle of some values, the mean of the two middle ones of an even number; 0 of none. Reorders them.
pub(super) fn median(values: &mut [f64]) -> f64 {
    let count = values.len();
    if count == 0 {
        return 0.0;
    }
    let (below, middle, _) = values.select_nth_unstable_by(count / 2, f64::total_cmp);
    if count % 2 == 1 {
        return *middle;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lower.midpoint(*middle)
}

/// Pairs to put in order, after which the fourth of seven values is their median (Devillard 1998, "Fast median search").
const MEDIAN_OF_SEVEN: [(usize, usize); 13] =
    [(0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)];

/// The middle of seven values, none of which is NaN; without branches, because which of two is the greater cannot be
/// predicted.
pub(super) fn median_of_seven(mut values: [f64; 7]) -> f64 {
    for (first, second) in MEDIAN_OF_SEVEN {
        let (a, b) = (values[first], values[second]);
        values[first] = if a < b { a } else { b };
        values[second] = if a < b { b } else { a };
    }
    values[3]
}

/// The quantile of ascending values at `share` (0 the least, 1 the greatest), linear between neighbours; 0 of none.
pub(super) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return 0.0;
    };
    let place = share.clamp(0.0, 1.0) * float(last);
    let below = whole(place).min(last);
    let above = (below + 1).min(last);
    ascending[below] + (ascending[above] - ascending[below]) * (place - float(below))
}

/// The mean of the values that are not NaN; none where there are none.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    let known = values.iter().filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// A count as a float; exact below 2^32, which is more rows than a series has.
pub(super) fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The whole part of a number from 0 to 2^32, by bisection: std converts floats to integers with `as` only, which truncates
/// without a word.
fn whole(number: f64) -> usize {
    let (mut low, mut high) = (0u32, u32::MAX);
    while low < high {
        let middle = high - (high - low) / 2;
        if f64::from(middle) <= number {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    usize::try_from(low).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(median_of_seven([7.0, 1.0, 6.0, 2.0, 5.0, 3.0, 4.0]), 4.0);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [0.0, 10.0, 20.0, 30.0, 40.0];
        assert_eq!([0.0, 0.25, 0.6, 1.0].map(|share| quantile(&values, share)), [0.0, 10.0, 24.0, 40.0]);
    }
}
