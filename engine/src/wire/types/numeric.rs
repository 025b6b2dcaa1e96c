//! Exact numbers between Arrow's decimals and Postgres' `numeric`, in text and binary.
//!
//! A value is held as ASCII digits with a point, so 38 and 76 digit decimals take the same path and nothing passes through a
//! float or a 96-bit decimal. The binary form is that of `numeric_send`: groups of four digits around the point,
//! `ndigits, weight, sign, dscale` before them, all 16 bits, big-endian.

use arrow::datatypes::i256;
use bytes::{BufMut, BytesMut};

use super::presentation::Scale;

/// The sign word of a number below zero.
pub(crate) const SIGN_NEGATIVE: u16 = 0x4000;
/// The bits of the sign word that NaN and the infinities share.
pub(crate) const SIGN_SPECIAL: u16 = 0xC000;

/// A decimal number as digits; made once and reused for every cell of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) negative: bool,
    /// ASCII digits, the integer part first and without leading zeros.
    pub(crate) digits: Vec<u8>,
    /// How many of them are after the point.
    pub(crate) fraction: usize,
}

impl Decimal {
    /// Takes the value `unscaled` * 10^-`scale`.
    pub(crate) fn set_i128(&mut self, unscaled: i128, scale: i8) {
        let mut reversed = [0_u8; 40];
        let mut rest = unscaled.unsigned_abs();
        let mut count = 0;
        while rest > 0 {
            reversed[count] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            count += 1;
        }
        self.digits.clear();
        self.digits.extend(reversed[..count].iter().rev());
        self.finish_set(unscaled < 0, scale);
    }

    /// Takes the value `unscaled` * 10^-`scale`.
    pub(crate) fn set_i256(&mut self, unscaled: i256, scale: i8) {
        if let Some(narrow) = unscaled.to_i128() {
            return self.set_i128(narrow, scale);
        }
        let text = unscaled.to_string();
        let text = text.strip_prefix('-').unwrap_or(&text);
        self.digits.clear();
        self.digits.extend_from_slice(text.as_bytes());
        self.finish_set(unscaled.is_negative(), scale);
    }

    fn finish_set(&mut self, negative: bool, scale: i8) {
        self.negative = negative;
        match usize::try_from(scale) {
            Ok(fraction) => {
                self.fraction = fraction;
                if self.digits.len() < fraction {
                    let missing = fraction - self.digits.len();
                    self.digits.splice(0..0, std::iter::repeat_n(b'0', missing));
                }
            }
            Err(_) => {
                self.fraction = 0;
                if !self.digits.is_empty() {
                    let zeros = usize::from(scale.unsigned_abs());
                    self.digits.extend(std::iter::repeat_n(b'0', zeros));
                }
            }
        }
    }

    /// Gives the value the number of fraction digits a column shows.
    ///
    /// `Fixed` rounds half away from zero, as a cast to `numeric(38,n)` does; `Trim` never changes the value.
    pub(crate) fn present(&mut self, scale: Scale) {
        match scale {
            Scale::Trim(least) => {
                let least = usize::from(least);
                while self.fraction > least && self.digits.last() == Some(&b'0') {
                    self.digits.pop();
                    self.fraction -= 1;
                }
                self.widen_fraction(least);
            }
            Scale::Fixed(exact) => {
                let exact = usize::from(exact);
                if self.fraction > exact {
                    self.round_fraction(exact);
                }
                self.widen_fraction(exact);
            }
        }
        if self.digits.iter().all(|digit| *digit == b'0') {
            self.negative = false;
        }
    }

    fn widen_fraction(&mut self, fraction: usize) {
        if self.fraction < fraction {
            self.digits.extend(std::iter::repeat_n(b'0', fraction - self.fraction));
            self.fraction = fraction;
        }
    }

    fn round_fraction(&mut self, fraction: usize) {
        let keep = self.digits.len() - (self.fraction - fraction);
        let up = self.digits[keep] >= b'5';
        self.digits.truncate(keep);
        self.fraction = fraction;
        if !up {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.digits.insert(0, b'1');
    }

    pub(crate) fn integer_digits(&self) -> &[u8] {
        &self.digits[..self.digits.len() - self.fraction]
    }

    fn fraction_digits(&self) -> &[u8] {
        &self.digits[self.digits.len() - self.fraction..]
    }

    /// Writes the text form, such as `-12.50`.
    pub(crate) fn write_text(&self, out: &mut BytesMut) {
        if self.negative {
            out.put_u8(b'-');
        }
        if self.integer_digits().is_empty() {
            out.put_u8(b'0');
        } else {
            out.put_slice(self.integer_digits());
        }
        if self.fraction > 0 {
            out.put_u8(b'.');
            out.put_slice(self.fraction_digits());
        }
    }

    /// Writes the binary form of `numeric_send`.
    pub(crate) fn write_binary(&self, out: &mut BytesMut) {
        let integer = self.integer_digits();
        let fraction = self.fraction_digits();
        let integer_groups = integer.len().div_ceil(4);
        let group = |index: usize| -> u16 {
            // The digit at distance d from the point: integer digits count leftwards, fraction digits rightwards.
            let mut value = 0;
            for place in 0..4 {
                let digit = if index < integer_groups {
                    (index * 4 + place).checked_sub(integer_groups * 4 - integer.len()).map_or(b'0', |at| integer[at])
                } else {
                    fraction.get((index - integer_groups) * 4 + place).copied().unwrap_or(b'0')
                };
                value = value * 10 + u16::from(digit - b'0');
            }
            value
        };
        let groups = integer_groups + fraction.len().div_ceil(4);
        let first = (0..groups).find(|index| group(*index) != 0).unwrap_or(groups);
        let last = (first..groups).rev().find(|index| group(*index) != 0).map_or(first, |index| index + 1);
        let count = last - first;
        let weight = if count == 0 { 0 } else { small(integer_groups) - small(first) - 1 };
        out.put_i16(small(count));
        out.put_i16(weight);
        out.put_u16(if self.negative && count > 0 { SIGN_NEGATIVE } else { 0 });
        out.put_i16(small(self.fraction));
        for index in first..last {
            out.put_u16(group(index));
        }
    }
}

fn small(value: usize) -> i16 {
    i16::try_from(value).unwrap_or(i16::MAX)
}
