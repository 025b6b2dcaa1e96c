//! Splitting an amount by weights so that nothing is lost.

use crate::decimal::wide::U512;
use arrow::datatypes::i256;
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// Where what division leaves over goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Residue {
    /// To the parts with the largest remainders, one unit each: the parts add up to the pool.
    #[default]
    Largest,
    /// To nobody here: every part is truncated toward zero, and the rest is a row of the pool's owner. One buyer's share
    /// then does not depend on another's rounding.
    Owner,
}

impl FromStr for Residue {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "largest" => Ok(Self::Largest),
            "owner" => Ok(Self::Owner),
            _ => Err(()),
        }
    }
}

/// Why a pool cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitError {
    /// A weight is negative.
    NegativeWeight,
    /// All weights are zero: the pool goes to its fallback, which is the caller's decision.
    NoWeight,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NegativeWeight => "a weight is negative: weights are zero or more",
            Self::NoWeight => "all weights are zero",
        })
    }
}

impl std::error::Error for SplitError {}

/// Splits `pool` by `weights` into whole multiples of `unit`.
///
/// A pool that is not itself a multiple of the unit leaves a rest below it; with [`Residue::Largest`] that goes to the first
/// part in order of remainders, so that the parts still add up to the pool to the last digit. Equal remainders are served in
/// the order of `weights`. A negative pool is the mirror image of the positive one.
///
/// # Errors
/// See [`SplitError`].
///
/// ```
/// use ratehouse_udfs::window::{split, Residue};
/// assert_eq!(split(100, &[1, 1, 1], 1, Residue::Largest), Ok(vec![34, 33, 33]));
/// assert_eq!(split(-100, &[1, 1, 1], 1, Residue::Largest), Ok(vec![-34, -33, -33]));
/// assert_eq!(split(100, &[1, 1, 1], 1, Residue::Owner), Ok(vec![33, 33, 33]));
/// ```
pub fn split(pool: i128, weights: &[i128], unit: i128, residue: Residue) -> Result<Vec<i128>, SplitError> {
    let unit = unit.unsigned_abs().max(1);
    if weights.iter().any(|weight| *weight < 0) {
        return Err(SplitError::NegativeWeight);
    }
    let total = Total::of(weights);
    if total.is_zero() {
        return Err(SplitError::NoWeight);
    }
    let magnitude = pool.unsigned_abs();
    let (units, rest) = (magnitude / unit, magnitude % unit);
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    for weight in weights {
        let (part, remainder) = total.share(units, weight.unsigned_abs());
        parts.push(part);
        remainders.push(remainder);
    }
    let mut given = vec![0_u128; parts.len()];
    if residue == Residue::Largest {
        let leftover = units - parts.iter().sum::<u128>();
        for (index, extra) in ranking(&remainders, weights).into_iter().zip(0..leftover.max(1)) {
            given[index] = u128::from(extra < leftover) * unit;
            if extra == 0 {
                given[index] += rest;
            }
        }
    }
    Ok(parts
        .into_iter()
        .zip(given)
        .map(|(part, extra)| {
            // At most the magnitude of the pool.
            let magnitude = (part * unit + extra).cast_signed();
            if pool < 0 { magnitude.wrapping_neg() } else { magnitude }
        })
        .collect())
}

/// Orders the parts that have weight by remainder, largest first, then by position.
fn ranking(remainders: &[i256], weights: &[i128]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..remainders.len()).filter(|index| weights[*index] > 0).collect();
    order.sort_by_key(|index| Reverse(remainders[*index]));
    order
}

/// The sum of the weights, which can pass 128 bits.
struct Total {
    narrow: Option<u128>,
    wide: U512,
}

impl Total {
    fn of(weights: &[i128]) -> Self {
        let sum = weights.iter().try_fold(0_u128, |sum, weight| sum.checked_add(weight.unsigned_abs()));
        match sum {
            Some(narrow) => Self { narrow: Some(narrow), wide: U512::from_u128(narrow) },
            None => {
                let sum = weights.iter().fold(i256::ZERO, |sum, weight| sum.wrapping_add(i256::from_i128(*weight)));
                Self { narrow: None, wide: U512::from_magnitude(sum) }
            }
        }
    }

    fn is_zero(&self) -> bool {
        self.wide.is_zero()
    }

    /// Returns the whole units due to a weight, and the remainder of the division.
    fn share(&self, units: u128, weight: u128) -> (u128, i256) {
        if let (Some(total), Some(product)) = (self.narrow, units.checked_mul(weight)) {
            return (product / total, i256::from_parts(product % total, 0));
        }
        let product = U512::from_u128(units).checked_mul(&U512::from_u128(weight)).unwrap_or(U512::ZERO);
        let (part, remainder) = product.div_rem(&self.wide);
        // The part is at most the units, the remainder below the total: both fit.
        (part.to_u128().unwrap_or(units), remainder.to_i256(false).unwrap_or(i256::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::ONE;
    use proptest::prelude::*;

    const CENT: i128 = ONE / 100;

    #[test]
    fn f1_a_credit_of_10000_is_split_3_2_5() {
        assert_eq!(split(1_000_000, &[3, 2, 5], 1, Residue::Largest), Ok(vec![300_000, 200_000, 500_000]));
    }

    #[test]
    fn largest_remainders_get_the_leftover() {
        // 10 by 1, 2, 4 of 7: 1.43, 2.86, 5.71: the two largest remainders get the leftover.
        assert_eq!(split(10, &[1, 2, 4], 1, Residue::Largest), Ok(vec![1, 3, 6]));
        assert_eq!(split(-10, &[1, 2, 4], 1, Residue::Largest), Ok(vec![-1, -3, -6]));
        // A tie goes to the earlier row, and never to one without weight.
        assert_eq!(split(1, &[0, 1, 1], 1, Residue::Largest), Ok(vec![0, 1, 0]));
    }

    #[test]
    fn the_owner_keeps_the_rest() {
        assert_eq!(split(10, &[1, 2, 4], 1, Residue::Owner), Ok(vec![1, 2, 5]));
        assert_eq!(split(-10, &[1, 2, 4], 1, Residue::Owner), Ok(vec![-1, -2, -5]));
    }

    #[test]
    fn digits_below_the_unit_are_not_lost() {
        // 10.005 in cents by 1, 1, 1: 3.34, 3.33, 3.33 and half a cent to the first.
        let parts = split(10 * ONE + CENT / 2, &[1, 1, 1], CENT, Residue::Largest).expect("parts");
        assert_eq!(parts, [334 * CENT + CENT / 2, 333 * CENT, 333 * CENT]);
        let parts = split(10 * ONE + CENT / 2, &[0, 5, 5], CENT, Residue::Largest).expect("parts");
        assert_eq!(parts, [0, 500 * CENT + CENT / 2, 500 * CENT]);
    }

    #[test]
    fn f12_zero_weights_are_told_apart_and_negative_ones_refused() {
        assert_eq!(split(27, &[0, 0], 1, Residue::Largest), Err(SplitError::NoWeight));
        assert_eq!(split(27, &[], 1, Residue::Largest), Err(SplitError::NoWeight));
        assert_eq!(split(27, &[3, -1], 1, Residue::Largest), Err(SplitError::NegativeWeight));
    }

    fn largest() -> i128 {
        10_i128.pow(38) - 1
    }

    proptest! {
        #[test]
        fn parts_add_up_and_lie_within_one_unit_of_their_share(
            pool in -largest()..=largest(), pool_bits in 0..127_u32,
            weights in prop::collection::vec((0..=largest(), 0..127_u32).prop_map(|(weight, bits)| weight >> bits), 1..20),
            unit in prop::sample::select(vec![1, CENT, ONE]),
        ) {
            let pool = pool >> pool_bits;
            let Ok(parts) = split(pool, &weights, unit, Residue::Largest) else {
                prop_assert!(weights.iter().all(|weight| *weight == 0));
                return Ok(());
            };
            prop_assert_eq!(parts.iter().sum::<i128>(), pool);
            let owned = split(pool, &weights, unit, Residue::Owner).expect("the same weights");
            prop_assert!(owned.iter().sum::<i128>().abs() <= pool.abs());
            for ((part, own), weight) in parts.iter().zip(&owned).zip(&weights) {
                prop_assert!(part.signum() * pool.signum() >= 0);
                prop_assert_eq!(own % unit, 0);
                prop_assert!((part - own).abs() < 2 * unit);
                prop_assert!(*weight > 0 || *part == 0);
            }
            let mirrored = split(-pool, &weights, unit, Residue::Largest).expect("the same weights");
            prop_assert!(mirrored.iter().zip(&parts).all(|(negative, positive)| *negative == -positive));
        }
    }
}
