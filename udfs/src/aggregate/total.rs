//! Running totals that do not lose a carry.

use arrow::datatypes::i256;
use std::fmt::Debug;

/// A running total of values of type `N`.
pub(super) trait Total<N>: Debug + Default + Copy + Send + 'static {
    /// Adds a value.
    fn add(&mut self, value: N);
    /// Takes a value away.
    fn subtract(&mut self, value: N);
    /// Adds another total, as [`Self::parts`] gives it.
    fn merge(&mut self, sum: i256, wraps: i64);
    /// The total modulo 2^256, and how many times 2^256 is missing from it.
    fn parts(&self) -> (i256, i64);
    /// Whether [`Self::parts`] can have wraps other than zero, which the state then carries.
    const HAS_WRAPS: bool;

    /// The total, if 256 bits hold it.
    fn value(&self) -> Option<i256> {
        let (sum, wraps) = self.parts();
        (wraps == 0).then_some(sum)
    }
}

/// A total of values of up to 128 bits: 128 bits that wrap, and a count of the wraps.
///
/// 2^63 values cannot exceed it, so it needs no check of its own.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct NarrowTotal {
    low: i128,
    carry: i64,
}

/// Returns the wrapped sum and what the wrap is worth in units of 2^128.
#[inline]
pub(super) fn add_carrying(sum: i128, value: i128) -> (i128, i64) {
    let (wrapped, is_wrapped) = sum.overflowing_add(value);
    let carry = if !is_wrapped {
        0
    } else if value < 0 {
        -1
    } else {
        1
    };
    (wrapped, carry)
}

/// Returns a total of `low` and `carry` times 2^128.
pub(super) fn widen(low: i128, carry: i64) -> i256 {
    i256::from_parts(low.cast_unsigned(), i128::from(carry) - i128::from(low < 0))
}

/// Splits a total into what [`widen`] joins; the total comes from at most 2^63 values of 128 bits.
pub(super) fn narrow(sum: i256) -> (i128, i64) {
    let (low, high) = sum.to_parts();
    let low = low.cast_signed();
    let carry = high + i128::from(low < 0);
    (low, i64::try_from(carry).unwrap_or(if carry < 0 { i64::MIN } else { i64::MAX }))
}

impl<N: Into<i128>> Total<N> for NarrowTotal {
    const HAS_WRAPS: bool = false;

    #[inline]
    fn add(&mut self, value: N) {
        let (low, carry) = add_carrying(self.low, value.into());
        self.low = low;
        if carry != 0 {
            self.carry += carry;
        }
    }

    fn subtract(&mut self, value: N) {
        let value = value.into();
        let (low, is_wrapped) = self.low.overflowing_sub(value);
        self.low = low;
        if is_wrapped {
            self.carry += if value < 0 { 1 } else { -1 };
        }
    }

    fn merge(&mut self, sum: i256, _wraps: i64) {
        let (low, carry) = narrow(sum);
        self.add(low);
        self.carry += carry;
    }

    fn parts(&self) -> (i256, i64) {
        (widen(self.low, self.carry), 0)
    }
}

/// A total of 256-bit values: 256 bits that wrap, and a count of the wraps.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct WideTotal {
    sum: i256,
    wraps: i64,
}

impl Total<i256> for WideTotal {
    const HAS_WRAPS: bool = true;

    fn add(&mut self, value: i256) {
        self.merge(value, 0);
    }

    fn subtract(&mut self, value: i256) {
        match self.sum.checked_sub(value) {
            Some(sum) => self.sum = sum,
            None => {
                self.sum = self.sum.wrapping_sub(value);
                self.wraps += if value < i256::ZERO { 1 } else { -1 };
            }
        }
    }

    fn merge(&mut self, sum: i256, wraps: i64) {
        self.wraps += wraps;
        match self.sum.checked_add(sum) {
            Some(total) => self.sum = total,
            None => {
                self.sum = self.sum.wrapping_add(sum);
                self.wraps += if sum < i256::ZERO { -1 } else { 1 };
            }
        }
    }

    fn parts(&self) -> (i256, i64) {
        (self.sum, self.wraps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_total_passes_128_bits_and_comes_back() {
        let mut total = NarrowTotal::default();
        for _ in 0..3 {
            total.add(i128::MAX);
        }
        // 3 * (2^127 - 1) = 2^128 + (2^127 - 3)
        assert_eq!(Total::<i128>::parts(&total).0, i256::from_parts(i128::MAX.cast_unsigned() - 2, 1));
        let mut merged = NarrowTotal::default();
        Total::<i128>::merge(&mut merged, Total::<i128>::parts(&total).0, 0);
        for _ in 0..3 {
            merged.subtract(i128::MAX);
        }
        assert_eq!(Total::<i128>::value(&merged), Some(i256::ZERO));
        for _ in 0..3 {
            merged.add(i128::MIN);
        }
        // -3 * 2^127 = -2 * 2^128 + 2^127
        assert_eq!(Total::<i128>::value(&merged), Some(i256::from_parts(1 << 127, -2)));
    }

    #[test]
    fn a_wide_total_knows_that_it_wrapped() {
        let mut total = WideTotal::default();
        total.add(i256::MAX);
        total.add(i256::MAX);
        assert_eq!(total.value(), None);
        total.subtract(i256::MAX);
        assert_eq!(total.value(), Some(i256::MAX));
        total.subtract(i256::MAX);
        total.add(i256::MIN);
        total.add(i256::MIN);
        assert_eq!(total.value(), None);
        total.add(i256::MAX);
        total.add(i256::MAX);
        assert_eq!(total.value(), Some(i256::from_i128(-2)));
    }
}
