//! Numbers from the client: text and binary `numeric` to a decimal, exactly.

use arrow::datatypes::{DataType, i256};
use datafusion::scalar::ScalarValue;

use super::numeric::{Decimal, SIGN_NEGATIVE, SIGN_SPECIAL};
use crate::wire::backend::Failure;

/// Most digits a decimal of the engine holds.
const DIGITS_MAX: usize = 76;

impl Decimal {
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
            return Err(Failure::new("22003", "numeric NaN and infinity are not supported"));
        }
        let (mantissa, exponent) = match body.find(['e', 'E']) {
            Some(at) => (&body[..at], body[at + 1..].parse::<i32>().map_err(|_| wrong())?),
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
        Self { negative, digits, fraction }.trimmed()
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
                return Err(Failure::new("22003", "numeric NaN and infinity are not supported"));
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
        let group_at = |index: i32| usize::try_from(index).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
        let mut digits = Vec::new();
        let push = |digits: &mut Vec<u8>, group: u16| digits.extend_from_slice(format!("{group:04}").as_bytes());
        for index in 0..=weight {
            push(&mut digits, group_at(index));
        }
        let integer = digits.len();
        for index in 0..scale.div_ceil(4) {
            push(&mut digits, group_at(weight + 1 + i32::try_from(index).unwrap_or(0)));
        }
        digits.truncate(integer + scale);
        Self { negative: sign == SIGN_NEGATIVE, digits, fraction: scale }.trimmed()
    }

    /// Drops leading zeros of the integer part and checks the size.
    fn trimmed(mut self) -> Result<Self, Failure> {
        let zeros = self.integer_digits().iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..zeros);
        // Zeros at the end of an over-long fraction carry nothing.
        while self.digits.len() > DIGITS_MAX && self.fraction > 0 && self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.fraction -= 1;
        }
        if self.digits.len() > DIGITS_MAX { Err(out_of_range()) } else { Ok(self) }
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
            (Some(digits), DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) => {
                (digits, *precision, *scale)
            }
            _ => {
                let precision = u8::try_from(self.digits.len().max(1)).map_err(|_| out_of_range())?;
                (String::from_utf8_lossy(&self.digits).into_owned(), precision, own_scale()?)
            }
        };
        let signed =
            format!("{}{}", if self.negative { "-" } else { "" }, if digits.is_empty() { "0" } else { &digits });
        if precision <= 38 && !matches!((target, digits.len()), (DataType::Decimal256(..), _)) {
            let value = signed.parse().map_err(|_| out_of_range())?;
            return Ok(ScalarValue::Decimal128(Some(value), precision, scale));
        }
        let value = i256::from_string(&signed).ok_or_else(out_of_range)?;
        Ok(ScalarValue::Decimal256(Some(value), precision.min(76), scale))
    }

    /// The digits at another scale, if no digit is lost and they fit the precision.
    fn with_scale(&self, precision: usize, scale: i8) -> Option<String> {
        let scale = usize::try_from(scale).ok()?;
        let mut digits = self.digits.clone();
        if self.fraction > scale {
            let drop = self.fraction - scale;
            if digits[digits.len() - drop..].iter().any(|digit| *digit != b'0') {
                return None;
            }
            digits.truncate(digits.len() - drop);
        } else {
            digits.resize(digits.len() + scale - self.fraction, b'0');
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        (digits.len() - zeros <= precision).then(|| String::from_utf8_lossy(&digits[zeros..]).into_owned())
    }
}

fn out_of_range() -> Failure {
    Failure::new("22003", "value overflows numeric format").with_detail("At most 76 digits are supported.")
}
