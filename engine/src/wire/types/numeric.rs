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
        self.set(unscaled < 0, itoa::Buffer::new().format(unscaled.unsigned_abs()), scale);
    }

    /// Takes the value `unscaled` * 10^-`scale`.
    pub(crate) fn set_i256(&mut self, unscaled: i256, scale: i8) {
        if let Some(narrow) = unscaled.to_i128() {
            return self.set_i128(narrow, scale);
        }
        let text = unscaled.to_string();
        self.set(unscaled.is_negative(), text.strip_prefix('-').unwrap_or(&text), scale);
    }

    /// Takes digits without leading zeros, but for the one of zero, which has none here.
    fn set(&mut self, negative: bool, digits: &str, scale: i8) {
        let digits = if digits == "0" { "" } else { digits };
        let zeros = |count: usize| std::iter::repeat_n(b'0', count);
        self.negative = negative;
        self.fraction = usize::try_from(scale).unwrap_or(0);
        self.digits.clear();
        self.digits.extend(zeros(self.fraction.saturating_sub(digits.len())));
        self.digits.extend_from_slice(digits.as_bytes());
        if scale < 0 && !digits.is_empty() {
            self.digits.extend(zeros(usize::from(scale.unsigned_abs())));
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
        if self.negative && self.digits.iter().all(|digit| *digit == b'0') {
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
        let (head, integer) = integer.split_at(integer.len() % 4);
        let group = |digits: &[u8]| digits.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
        let fraction = self.fraction_digits().chunks(4);
        let padded = |digits: &[u8]| (digits.len()..4).fold(group(digits), |value, _| value * 10);
        // The first group may be empty, and is then one of the zeros that are left out.
        let integer_groups = 1 + integer.len() / 4;
        let groups = std::iter::once(group(head)).chain(integer.chunks_exact(4).map(group)).chain(fraction.map(padded));
        let start = out.len();
        out.put_bytes(0, 8);
        let (mut zeros_before, mut end) = (0, out.len());
        for group in groups {
            if group == 0 && end == start + 8 {
                zeros_before += 1;
                continue;
            }
            out.put_u16(group);
            if group != 0 {
                end = out.len();
            }
        }
        out.truncate(end);
        let count = (end - start - 8) / 2;
        let weight = if count == 0 { 0 } else { small(integer_groups) - small(zeros_before) - 1 };
        let mut header = &mut out[start..start + 8];
        header.put_i16(small(count));
        header.put_i16(weight);
        header.put_u16(if self.negative && count > 0 { SIGN_NEGATIVE } else { 0 });
        header.put_i16(small(self.fraction));
    }
}

fn small(value: usize) -> i16 {
    i16::try_from(value).unwrap_or(i16::MAX)
}
