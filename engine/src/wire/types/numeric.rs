//! Exact numbers between Arrow's decimals and Postgres' `numeric`, in text and binary.
//!
//! A value is held as ASCII digits with a point, so 38 and 76 digit decimals take the same path and nothing passes through a
//! float or a 96-bit decimal. The binary form is that of `numeric_send`: groups of four digits around the point,
//! `ndigits, weight, sign, dscale` before them, all 16 bits, big-endian.

use arrow::datatypes::{DataType, i256};
use bytes::{BufMut, BytesMut};
use datafusion::scalar::ScalarValue;

use super::presentation::Scale;
use crate::wire::backend::Failure;

/// Most digits a decimal of the engine holds.
const DIGITS_MAX: usize = 76;

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_SPECIAL: u16 = 0xC000;

/// A decimal number as digits; made once and reused for every cell of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// ASCII digits, the integer part first and without leading zeros.
    digits: Vec<u8>,
    /// How many of them are after the point.
    fraction: usize,
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
            self.digits
                .extend(std::iter::repeat_n(b'0', fraction - self.fraction));
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

    fn integer_digits(&self) -> &[u8] {
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
                    (index * 4 + place)
                        .checked_sub(integer_groups * 4 - integer.len())
                        .map_or(b'0', |at| integer[at])
                } else {
                    fraction
                        .get((index - integer_groups) * 4 + place)
                        .copied()
                        .unwrap_or(b'0')
                };
                value = value * 10 + u16::from(digit - b'0');
            }
            value
        };
        let groups = integer_groups + fraction.len().div_ceil(4);
        let first = (0..groups)
            .find(|index| group(*index) != 0)
            .unwrap_or(groups);
        let last = (first..groups)
            .rev()
            .find(|index| group(*index) != 0)
            .map_or(first, |index| index + 1);
        let count = last - first;
        let weight = if count == 0 {
            0
        } else {
            small(integer_groups) - small(first) - 1
        };
        out.put_i16(small(count));
        out.put_i16(weight);
        out.put_u16(if self.negative && count > 0 {
            SIGN_NEGATIVE
        } else {
            0
        });
        out.put_i16(small(self.fraction));
        for index in first..last {
            out.put_u16(group(index));
        }
    }

    /// Reads a number as Postgres' input function does: sign, digits, point, exponent, blanks around.
    ///
    /// Errors: 22P02 when it is no number, 22003 when it has more digits than the engine holds.
    pub(crate) fn from_text(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::new("22P02", "invalid input syntax for type numeric");
        let trimmed = text.trim();
        let (negative, body) = match trimmed.as_bytes().first() {
            Some(b'-') => (true, &trimmed[1..]),
            Some(b'+') => (false, &trimmed[1..]),
            _ => (false, trimmed),
        };
        if ["nan", "infinity", "inf"].contains(&body.to_ascii_lowercase().as_str()) {
            return Err(Failure::new(
                "22003",
                "numeric NaN and infinity are not supported",
            ));
        }
        let (mantissa, exponent) = match body.find(['e', 'E']) {
            Some(at) => (
                &body[..at],
                body[at + 1..].parse::<i32>().map_err(|_| wrong())?,
            ),
            None => (body, 0),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(integer) || !all_digits(fraction) || integer.len() + fraction.len() == 0 {
            return Err(wrong());
        }
        if exponent.unsigned_abs() > 1_000 {
            return Err(out_of_range());
        }
        let mut digits: Vec<u8> = integer.bytes().chain(fraction.bytes()).collect();
        let point = i32::try_from(integer.len()).map_err(|_| out_of_range())? + exponent;
        let point = if point < 0 {
            let missing = usize::try_from(-point).map_err(|_| out_of_range())?;
            digits.splice(0..0, std::iter::repeat_n(b'0', missing));
            0
        } else {
            usize::try_from(point).map_err(|_| out_of_range())?
        };
        if digits.len() < point {
            digits.resize(point, b'0');
        }
        let fraction = digits.len() - point;
        Self {
            negative,
            digits,
            fraction,
        }
        .trimmed()
    }

    /// Reads the binary form of `numeric_recv`.
    ///
    /// Errors: 22P03 when the bytes are no numeric, 22003 when it has more digits than the engine holds, or is NaN.
    pub(crate) fn from_binary(bytes: &[u8]) -> Result<Self, Failure> {
        let wrong = || Failure::new("22P03", "incorrect binary data format for type numeric");
        let word = |index: usize| -> Result<u16, Failure> {
            let pair = bytes.get(index * 2..index * 2 + 2).ok_or_else(wrong)?;
            Ok(u16::from_be_bytes([pair[0], pair[1]]))
        };
        let count = usize::from(word(0)?);
        let weight = i32::from(word(1)?.cast_signed());
        let sign = word(2)?;
        let scale = usize::from(word(3)?);
        if bytes.len() != 8 + count * 2 {
            return Err(wrong());
        }
        match sign {
            0 | SIGN_NEGATIVE => {}
            special if special & SIGN_SPECIAL == SIGN_SPECIAL => {
                return Err(Failure::new(
                    "22003",
                    "numeric NaN and infinity are not supported",
                ));
            }
            _ => return Err(wrong()),
        }
        if count > 64 || scale > 1_000 || weight.unsigned_abs() > 64 {
            return Err(out_of_range());
        }
        let mut groups = Vec::with_capacity(count);
        for index in 0..count {
            let group = word(4 + index)?;
            if group > 9_999 {
                return Err(wrong());
            }
            groups.push(group);
        }
        let group_at = |index: i32| {
            usize::try_from(index)
                .ok()
                .and_then(|at| groups.get(at))
                .copied()
                .unwrap_or(0)
        };
        let mut digits = Vec::new();
        let push = |digits: &mut Vec<u8>, group: u16| {
            digits.extend_from_slice(format!("{group:04}").as_bytes())
        };
        for index in 0..=weight {
            push(&mut digits, group_at(index));
        }
        let integer = digits.len();
        for index in 0..scale.div_ceil(4) {
            push(
                &mut digits,
                group_at(weight + 1 + i32::try_from(index).unwrap_or(0)),
            );
        }
        digits.truncate(integer + scale);
        Self {
            negative: sign == SIGN_NEGATIVE,
            digits,
            fraction: scale,
        }
        .trimmed()
    }

    /// Drops leading zeros of the integer part and checks the size.
    fn trimmed(mut self) -> Result<Self, Failure> {
        let zeros = self
            .integer_digits()
            .iter()
            .take_while(|digit| **digit == b'0')
            .count();
        self.digits.drain(..zeros);
        // Zeros at the end of an over-long fraction carry nothing.
        while self.digits.len() > DIGITS_MAX
            && self.fraction > 0
            && self.digits.last() == Some(&b'0')
        {
            self.digits.pop();
            self.fraction -= 1;
        }
        if self.digits.len() > DIGITS_MAX {
            Err(out_of_range())
        } else {
            Ok(self)
        }
    }

    /// Makes a scalar of `target` when that holds the value exactly, else of the number's own precision and scale.
    ///
    /// The scale of a column must never round what a client sent; comparing two scales is the engine's business.
    pub(crate) fn to_scalar(&self, target: &DataType) -> Result<ScalarValue, Failure> {
        let exact = match target {
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                self.with_scale(usize::from(*precision), *scale)
            }
            _ => None,
        };
        let own_scale = || i8::try_from(self.fraction).map_err(|_| out_of_range());
        let (digits, precision, scale) = match (exact, target) {
            (
                Some(digits),
                DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale),
            ) => (digits, *precision, *scale),
            _ => {
                let precision =
                    u8::try_from(self.digits.len().max(1)).map_err(|_| out_of_range())?;
                (
                    String::from_utf8_lossy(&self.digits).into_owned(),
                    precision,
                    own_scale()?,
                )
            }
        };
        let signed = format!(
            "{}{}",
            if self.negative { "-" } else { "" },
            if digits.is_empty() { "0" } else { &digits }
        );
        if precision <= 38 && !matches!((target, digits.len()), (DataType::Decimal256(..), _)) {
            let value = signed.parse().map_err(|_| out_of_range())?;
            return Ok(ScalarValue::Decimal128(Some(value), precision, scale));
        }
        let value = i256::from_string(&signed).ok_or_else(out_of_range)?;
        Ok(ScalarValue::Decimal256(
            Some(value),
            precision.min(76),
            scale,
        ))
    }

    /// The digits at another scale, if no digit is lost and they fit the precision.
    fn with_scale(&self, precision: usize, scale: i8) -> Option<String> {
        let scale = usize::try_from(scale).ok()?;
        let mut digits = self.digits.clone();
        if self.fraction > scale {
            let drop = self.fraction - scale;
            if digits[digits.len() - drop..]
                .iter()
                .any(|digit| *digit != b'0')
            {
                return None;
            }
            digits.truncate(digits.len() - drop);
        } else {
            digits.resize(digits.len() + scale - self.fraction, b'0');
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        (digits.len() - zeros <= precision)
            .then(|| String::from_utf8_lossy(&digits[zeros..]).into_owned())
    }
}

fn small(value: usize) -> i16 {
    i16::try_from(value).unwrap_or(i16::MAX)
}

fn out_of_range() -> Failure {
    Failure::new("22003", "value overflows numeric format")
        .with_detail("At most 76 digits are supported.")
}
