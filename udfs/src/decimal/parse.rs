//! Reading decimal text, without a float and without allocating.
//!
//! Landing calls this once per number of a delivery, so the plain case (`-12.34`, at most 18 digits on each side of the
//! point) is one pass over the bytes with 64-bit arithmetic. Everything else (exponents, long mantissas) takes a second,
//! general path.

use super::powers::POWERS_OF_TEN;
use super::rounding::Rounding;
use super::{ONE, SCALE};
use std::cmp::Ordering;
use std::fmt::{self, Write};

/// Why a text is not a decimal of the wanted scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalParseError {
    /// The text is empty or only white space.
    Empty,
    /// The text is not a plain decimal number (currency signs, thousands separators, `NaN` and infinities are not).
    NotANumber,
    /// The number has more than 38 digits at the wanted scale.
    OutOfRange,
}

impl fmt::Display for DecimalParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the number is empty",
            Self::NotANumber => "not a decimal number",
            Self::OutOfRange => "the number has too many digits before the point",
        })
    }
}

impl std::error::Error for DecimalParseError {}

/// A number that was read, and whether reading it lost digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsedDecimal {
    /// The value at the wanted scale.
    pub value: i128,
    /// Non-zero digits beyond the scale were rounded away (half-even). A delivery counts such rows.
    pub is_rounded: bool,
}

/// Reads decimal text at scale 18.
///
/// Accepts surrounding ASCII white space, a sign, digits with an optional point, and an exponent (`-1.5e-7`). Digits beyond
/// the scale are rounded half-even.
///
/// # Errors
/// See [`DecimalParseError`]; the text is never part of the error.
///
/// ```
/// use ratehouse_udfs::decimal::parse_decimal;
/// let parsed = parse_decimal("0.1").expect("a number");
/// assert_eq!(parsed.value, 100_000_000_000_000_000);
/// assert!(!parsed.is_rounded);
/// ```
pub fn parse_decimal(text: &str) -> Result<ParsedDecimal, DecimalParseError> {
    let bytes = text.as_bytes();
    match parse_plain(bytes) {
        Some(value) => Ok(ParsedDecimal { value, is_rounded: false }),
        None => parse_general(bytes, SCALE, Rounding::HalfEven),
    }
}

/// Reads decimal text at a scale of the caller's choice (0 to 38); the rules are those of [`parse_decimal`].
///
/// # Errors
/// See [`DecimalParseError`].
pub fn parse_decimal_at(text: &str, scale: i8) -> Result<ParsedDecimal, DecimalParseError> {
    parse_general(text.as_bytes(), scale, Rounding::HalfEven)
}

/// Reads decimal text at a scale of the caller's choice, rounding by a mode of the caller's choice.
///
/// # Errors
/// See [`DecimalParseError`].
pub fn parse_text_at(text: &str, scale: i8, mode: Rounding) -> Result<ParsedDecimal, DecimalParseError> {
    parse_general(text.as_bytes(), scale, mode)
}

/// Reads a float through its shortest text that reads back as the same float, at scale 18.
///
/// A Parquet `double` holding `0.1` becomes exactly `0.1`, not the binary fraction next to it.
///
/// # Errors
/// `NotANumber` for NaN and infinities, `OutOfRange` from 1e20 on.
pub fn parse_f64(number: f64) -> Result<ParsedDecimal, DecimalParseError> {
    parse_f64_at(number, SCALE)
}

/// Reads a float at a scale of the caller's choice, see [`parse_f64`].
///
/// # Errors
/// As [`parse_f64`].
pub fn parse_f64_at(number: f64, scale: i8) -> Result<ParsedDecimal, DecimalParseError> {
    let mut text = ShortText { bytes: [0; 32], len: 0 };
    write!(text, "{number:e}").map_err(|_| DecimalParseError::NotANumber)?;
    parse_general(&text.bytes[..text.len], scale, Rounding::HalfEven)
}

/// A text of at most 32 bytes: the shortest form of an `f64` has at most 24.
struct ShortText {
    bytes: [u8; 32],
    len: usize,
}

impl Write for ShortText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        let target = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        target.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Digits on one side of the point that the plain path reads: they fit a `u64`.
const PLAIN_DIGITS: usize = 18;

/// Reads the plain case, or says nothing: the general path then decides.
fn parse_plain(bytes: &[u8]) -> Option<i128> {
    let (is_negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (integer, integer_len) = read_digits(digits)?;
    let mut fraction = 0;
    let mut fraction_len = 0;
    match digits.get(integer_len) {
        None => {
            if integer_len == 0 {
                return None;
            }
        }
        Some(b'.') => {
            let rest = &digits[integer_len + 1..];
            (fraction, fraction_len) = read_digits(rest)?;
            if fraction_len != rest.len() || integer_len + fraction_len == 0 {
                return None;
            }
        }
        Some(_) => return None,
    }
    let magnitude = i128::from(integer) * ONE + i128::from(fraction) * POWERS_OF_TEN[PLAIN_DIGITS - fraction_len];
    Some(if is_negative { -magnitude } else { magnitude })
}

/// Reads leading digits: their value and how many; `None` where there are more than [`PLAIN_DIGITS`].
#[inline]
fn read_digits(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Some((value, index));
        }
        if index == PLAIN_DIGITS {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some((value, bytes.len()))
}

/// The parts of a number's text.
struct Parts<'a> {
    is_negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// Exponents beyond this are as good as infinite; it keeps the sums below within `i64`.
const EXPONENT_MAX: i64 = 1_000_000_000;

fn split(bytes: &[u8]) -> Result<Parts<'_>, DecimalParseError> {
    let trimmed = bytes.trim_ascii();
    let (is_negative, unsigned) = match trimmed {
        [] => return Err(DecimalParseError::Empty),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (integer, rest) = take_digits(unsigned);
    let (fraction, rest) = match rest {
        [b'.', after @ ..] => take_digits(after),
        _ => (&rest[..0], rest),
    };
    if integer.is_empty() && fraction.is_empty() {
        return Err(DecimalParseError::NotANumber);
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', power @ ..] => read_exponent(power)?,
        _ => return Err(DecimalParseError::NotANumber),
    };
    Ok(Parts { is_negative, integer, fraction, exponent })
}

fn take_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let len = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.split_at(len)
}

fn read_exponent(bytes: &[u8]) -> Result<i64, DecimalParseError> {
    let (is_negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalParseError::NotANumber);
    }
    let magnitude = digits.iter().fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Ok(if is_negative { -magnitude } else { magnitude })
}

fn parse_general(bytes: &[u8], scale: i8, mode: Rounding) -> Result<ParsedDecimal, DecimalParseError> {
    let parts = split(bytes)?;
    let digits = || parts.integer.iter().chain(parts.fraction).map(|byte| byte - b'0');
    let digit_count = i64::try_from(parts.integer.len() + parts.fraction.len()).unwrap_or(i64::MAX);
    let integer_count = i64::try_from(parts.integer.len()).unwrap_or(i64::MAX);
    // How many of the digits stand at or above the last place of the scale.
    let kept = integer_count.saturating_add(parts.exponent).saturating_add(i64::from(scale));

    let mut magnitude = 0_i128;
    let mut first_dropped = 0;
    let mut rest_is_zero = true;
    for (digit, index) in digits().zip(0_i64..) {
        if index < kept {
            magnitude = shift_in(magnitude, digit)?;
        } else if index == kept {
            first_dropped = digit;
        } else if digit != 0 {
            rest_is_zero = false;
        }
    }
    if magnitude != 0 {
        for _ in digit_count..kept {
            magnitude = shift_in(magnitude, 0)?;
        }
    }
    let to_half = first_dropped.cmp(&5).then(if rest_is_zero { Ordering::Equal } else { Ordering::Greater });
    let is_exact = first_dropped == 0 && rest_is_zero;
    if mode.increments(magnitude % 2 == 1, to_half, is_exact) {
        magnitude += 1;
        if magnitude == POWERS_OF_TEN[38] {
            return Err(DecimalParseError::OutOfRange);
        }
    }
    Ok(ParsedDecimal { value: if parts.is_negative { -magnitude } else { magnitude }, is_rounded: !is_exact })
}

fn shift_in(magnitude: i128, digit: u8) -> Result<i128, DecimalParseError> {
    if magnitude >= POWERS_OF_TEN[37] {
        return Err(DecimalParseError::OutOfRange);
    }
    Ok(magnitude * 10 + i128::from(digit))
}

#[cfg(test)]
mod tests;
