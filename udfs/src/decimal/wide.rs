//! Unsigned 512-bit integers: the exact product of two 256-bit decimals, and the dividend of an exact division.
//!
//! Only what the decimal kernels need, on eight little-endian 64-bit limbs. Division is Knuth's algorithm D (The Art of
//! Computer Programming, volume 2, section 4.3.1).

use super::powers::POWERS_OF_TEN;
use arrow::datatypes::i256;
use std::cmp::Ordering;

const LIMBS: usize = 8;

/// An unsigned integer below 2^512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct U512([u64; LIMBS]);

/// Splits 128 bits into the low and the high half.
const fn halves(wide: u128) -> (u64, u64) {
    const LOW: u128 = u64::MAX as u128;
    ((wide & LOW) as u64, (wide >> 64) as u64)
}

impl U512 {
    /// Zero.
    pub(crate) const ZERO: Self = Self([0; LIMBS]);

    /// Widens 128 bits.
    pub(crate) const fn from_u128(value: u128) -> Self {
        let (low, high) = halves(value);
        Self([low, high, 0, 0, 0, 0, 0, 0])
    }

    /// Widens the magnitude of a signed 256-bit integer.
    pub(crate) fn from_magnitude(value: i256) -> Self {
        let (low, high) = value.to_parts();
        let (low, high) = if high < 0 {
            // Two's complement, on the halves.
            let (negated, is_borrowed) = 0_u128.overflowing_sub(low);
            (negated, (!high.cast_unsigned()).wrapping_add(u128::from(!is_borrowed)))
        } else {
            (low, high.cast_unsigned())
        };
        let (a, b) = halves(low);
        let (c, d) = halves(high);
        Self([a, b, c, d, 0, 0, 0, 0])
    }

    /// Returns the number of limbs up to the highest that is not zero.
    fn len(&self) -> usize {
        self.0.iter().rposition(|limb| *limb != 0).map_or(0, |top| top + 1)
    }

    /// Tells whether this is zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether this is odd.
    pub(crate) const fn is_odd(&self) -> bool {
        self.0[0] % 2 == 1
    }

    /// Returns the value as 128 bits where it fits.
    pub(crate) fn to_u128(self) -> Option<u128> {
        (self.len() <= 2).then(|| u128::from(self.0[0]) | (u128::from(self.0[1]) << 64))
    }

    /// Returns the exact product, or `None` from 2^512 on.
    pub(crate) fn checked_mul(&self, other: &Self) -> Option<Self> {
        let (rows, columns) = (self.len(), other.len());
        let mut product = [0_u64; LIMBS];
        for row in 0..rows {
            let mut carry = 0_u64;
            for column in 0..columns {
                let place = row + column;
                let partial = u128::from(self.0[row]) * u128::from(other.0[column]) + u128::from(carry);
                let Some(limb) = product.get_mut(place) else {
                    if partial == 0 {
                        continue;
                    }
                    return None;
                };
                let (low, high) = halves(partial + u128::from(*limb));
                *limb = low;
                carry = high;
            }
            match product.get_mut(row + columns) {
                Some(limb) => *limb = carry,
                None if carry != 0 => return None,
                None => {}
            }
        }
        Some(Self(product))
    }

    /// Returns the product with a power of ten, or `None` from 2^512 on.
    pub(crate) fn checked_mul_power_of_ten(&self, exponent: u32) -> Option<Self> {
        let mut product = *self;
        let mut left = exponent;
        while left > 0 {
            let step = left.min(38);
            let factor = POWERS_OF_TEN.get(usize::try_from(step).ok()?)?;
            product = product.checked_mul(&Self::from_u128(factor.unsigned_abs()))?;
            left -= step;
        }
        Some(product)
    }

    /// Returns the value plus one.
    pub(crate) fn incremented(mut self) -> Self {
        for limb in &mut self.0 {
            let (next, is_carried) = limb.overflowing_add(1);
            *limb = next;
            if !is_carried {
                break;
            }
        }
        self
    }

    /// Compares twice this value with `other`: how a remainder compares with one half of its divisor.
    pub(crate) fn cmp_doubled(&self, other: &Self) -> Ordering {
        if self.0[LIMBS - 1] >> 63 == 1 {
            return Ordering::Greater;
        }
        self.shifted_left(1)[..LIMBS].iter().rev().cmp(other.0.iter().rev())
    }

    /// Divides, returning quotient and remainder.
    ///
    /// # Panics
    /// If the divisor is zero: callers have refused it.
    pub(crate) fn div_rem(&self, divisor: &Self) -> (Self, Self) {
        let (self_len, divisor_len) = (self.len(), divisor.len());
        assert!(divisor_len > 0, "the caller refuses a zero divisor");
        if self_len < divisor_len {
            return (Self::ZERO, *self);
        }
        if let (Some(dividend), Some(small)) = (self.to_u128(), divisor.to_u128()) {
            return (Self::from_u128(dividend / small), Self::from_u128(dividend % small));
        }
        if divisor_len == 1 {
            return self.div_rem_limb(divisor.0[0]);
        }
        self.div_rem_long(divisor, self_len, divisor_len)
    }

    fn div_rem_limb(&self, divisor: u64) -> (Self, Self) {
        let wide_divisor = u128::from(divisor);
        let mut quotient = [0_u64; LIMBS];
        let mut remainder = 0_u64;
        for place in (0..self.len()).rev() {
            let dividend = (u128::from(remainder) << 64) | u128::from(self.0[place]);
            quotient[place] = halves(dividend / wide_divisor).0;
            remainder = halves(dividend % wide_divisor).0;
        }
        (Self(quotient), Self::from_u128(u128::from(remainder)))
    }

    /// Shifts left by less than 64 bits into one limb more.
    fn shifted_left(&self, bits: u32) -> [u64; LIMBS + 1] {
        let mut shifted = [0_u64; LIMBS + 1];
        let mut carry = 0_u64;
        for (target, limb) in shifted.iter_mut().zip(&self.0) {
            let (low, high) = halves(u128::from(*limb) << bits);
            *target = low | carry;
            carry = high;
        }
        shifted[LIMBS] = carry;
        shifted
    }

    fn div_rem_long(&self, divisor: &Self, self_len: usize, divisor_len: usize) -> (Self, Self) {
        // D1: normalise, so that the divisor's top bit is set and the estimate below is at most two too large.
        let shift = divisor.0[divisor_len - 1].leading_zeros();
        let v = divisor.shifted_left(shift);
        let mut u = self.shifted_left(shift);
        let top = u128::from(v[divisor_len - 1]);
        let next = u128::from(v[divisor_len - 2]);
        let mut quotient = [0_u64; LIMBS];
        for place in (0..=self_len - divisor_len).rev() {
            // D3: estimate one limb of the quotient from the top limbs.
            let high = place + divisor_len;
            let dividend = (u128::from(u[high]) << 64) | u128::from(u[high - 1]);
            let mut estimate = dividend / top;
            let mut rest = dividend % top;
            while estimate > u128::from(u64::MAX) || estimate * next > ((rest << 64) | u128::from(u[high - 2])) {
                estimate -= 1;
                rest += top;
                if rest > u128::from(u64::MAX) {
                    break;
                }
            }
            // D4 to D6: multiply and subtract; add back where the estimate was one too large.
            if subtract_product(&mut u[place..=high], &v[..divisor_len], estimate) {
                estimate -= 1;
                add_back(&mut u[place..=high], &v[..divisor_len]);
            }
            quotient[place] = halves(estimate).0;
        }
        // D8: undo the normalisation.
        let mut remainder = [0_u64; LIMBS];
        for place in 0..divisor_len {
            let pair = (u128::from(u[place + 1]) << 64) | u128::from(u[place]);
            remainder[place] = halves(pair >> shift).0;
        }
        (Self(quotient), Self(remainder))
    }

    /// Returns the signed 256-bit integer of this magnitude, or `None` where it has more than 76 digits.
    pub(crate) fn to_i256(self, is_negative: bool) -> Option<i256> {
        if self.len() > 4 {
            return None;
        }
        let low = u128::from(self.0[0]) | (u128::from(self.0[1]) << 64);
        let high = u128::from(self.0[2]) | (u128::from(self.0[3]) << 64);
        let magnitude = i256::from_parts(low, i128::try_from(high).ok()?);
        if magnitude >= I256_LIMIT {
            return None;
        }
        Some(if is_negative { magnitude.wrapping_neg() } else { magnitude })
    }
}

/// 10 to the 76: the first magnitude that a `Decimal256` does not hold.
pub(crate) const I256_LIMIT: i256 = {
    // 10^76 = 10^38 * 10^38, worked out on the halves: 10^76 = high * 2^128 + low.
    i256::from_parts(
        158_788_995_957_577_343_786_214_718_011_688_878_080,
        29_387_358_770_557_187_699_218_413_430_556_141_945,
    )
};

fn subtract_product(u: &mut [u64], v: &[u64], factor: u128) -> bool {
    let mut carry = 0_u64;
    let mut is_borrowed = false;
    for (target, limb) in u.iter_mut().zip(v.iter().copied().chain(std::iter::once(0))) {
        let (low, high) = halves(factor * u128::from(limb) + u128::from(carry));
        carry = high;
        let (once, first) = target.overflowing_sub(low);
        let (twice, second) = once.overflowing_sub(u64::from(is_borrowed));
        *target = twice;
        is_borrowed = first || second;
    }
    is_borrowed
}

fn add_back(u: &mut [u64], v: &[u64]) {
    let mut is_carried = false;
    for (target, limb) in u.iter_mut().zip(v.iter().copied().chain(std::iter::once(0))) {
        let (once, first) = target.overflowing_add(limb);
        let (twice, second) = once.overflowing_add(u64::from(is_carried));
        *target = twice;
        is_carried = first || second;
    }
}

#[cfg(test)]
mod tests;
