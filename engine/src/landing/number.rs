//! Decimal text to the stored money type, exactly.
//!
//! The only place in landing that reads a number. Costs arrive with up to 28 digits after the
//! point, or as `6.266090E-12`; 75 of 506 real OCI costs change when they pass through a float.

use crate::lake::schema::MONEY_SCALE;

/// Digits after the point.
const SCALE: i64 = MONEY_SCALE as i64;
/// One whole unit.
pub(crate) const ONE: i128 = 1_000_000_000_000_000_000;
/// The first magnitude that does not fit 38 digits.
const LIMIT: u128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;
/// Most characters a number may have; real ones have at most about 40.
const LENGTH_MAX: usize = 96;

const POWERS: [u64; 19] = {
    let mut powers = [1_u64; 19];
    let mut i = 1;
    while i < 19 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// A parsed number: `units` of 1e-18, and whether non-zero digits beyond scale 18 were rounded away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) units: i128,
    pub(crate) is_rounded: bool,
}

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    NotANumber,
    TooLarge,
}

impl NumberError {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NotANumber => "is not a decimal number",
            Self::TooLarge => "has more than 20 digits before the decimal point",
        }
    }
}

/// Parses `-12.5`, `5.2E-9`, `.5`: no plus sign, no thousands separators, no currency signs, no
/// blanks. Digits beyond scale 18 are rounded half to even, once.
pub(crate) fn parse_number(text: &[u8]) -> Result<Number, NumberError> {
    match parse_plain(text) {
        Some(units) => Ok(Number { units, is_rounded: false }),
        None => parse_any(text),
    }
}

/// The usual case: up to 19 digits before the point, up to 18 after it, no exponent.
fn parse_plain(text: &[u8]) -> Option<i128> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &[][..]),
    };
    let zeros = POWERS.get(18_usize.checked_sub(fraction.len())?)?;
    if whole.len() > 19 || whole.len() + fraction.len() == 0 {
        return None;
    }
    let units = i128::from(parse_digits(whole)?) * ONE + i128::from(parse_digits(fraction)?) * i128::from(*zeros);
    Some(if is_negative { -units } else { units })
}

/// Up to 19 digits, eight at a time.
fn parse_digits(digits: &[u8]) -> Option<u64> {
    let (eights, rest) = digits.as_chunks::<8>();
    let mut value = 0_u64;
    for eight in eights {
        value = value * 100_000_000 + parse_eight(u64::from_le_bytes(*eight))?;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Eight digits at once: neighbours are joined to pairs, pairs to fours, fours to eight
/// (D. Lemire, "Quickly parsing eight digits", 2018).
fn parse_eight(word: u64) -> Option<u64> {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    const HIGH: u64 = u64::from_le_bytes([0xf0; 8]);
    const SIX: u64 = u64::from_le_bytes([6; 8]);
    // Every byte is 0x30 to 0x39: its high half is 3, also after adding 6.
    if word & HIGH != ZEROS || word.wrapping_add(SIX) & HIGH != ZEROS {
        return None;
    }
    let digits = word - ZEROS;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

/// Any length, any exponent.
fn parse_any(text: &[u8]) -> Result<Number, NumberError> {
    if text.len() > LENGTH_MAX {
        return Err(NumberError::NotANumber);
    }
    let (is_negative, body) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match body.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&body[..at], parse_exponent(&body[at + 1..])?),
        None => (body, 0),
    };
    let mut buffer = [0_u8; LENGTH_MAX];
    let mut count = 0;
    let mut fraction_digits = 0_i64;
    let mut has_point = false;
    for byte in mantissa {
        match byte {
            b'0'..=b'9' => {
                buffer[count] = byte - b'0';
                count += 1;
                fraction_digits += i64::from(has_point);
            }
            b'.' if !has_point => has_point = true,
            _ => return Err(NumberError::NotANumber),
        }
    }
    let digits = &buffer[..count];
    if digits.is_empty() {
        return Err(NumberError::NotANumber);
    }
    let leading_zeros = digits.iter().take_while(|d| **d == 0).count();
    let (magnitude, is_rounded) = scale_digits(&digits[leading_zeros..], SCALE - fraction_digits + exponent)?;
    let units = i128::try_from(magnitude).map_err(|_| NumberError::TooLarge)?;
    Ok(Number { units: if is_negative { -units } else { units }, is_rounded })
}

fn parse_exponent(text: &[u8]) -> Result<i64, NumberError> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberError::NotANumber);
    }
    Ok(sign * digits.iter().fold(0_i64, |value, d| value * 10 + i64::from(d - b'0')))
}

/// `digits` (no leading zeros) times ten to the `shift`, rounded half to even to a whole number.
fn scale_digits(digits: &[u8], shift: i64) -> Result<(u128, bool), NumberError> {
    if digits.is_empty() {
        return Ok((0, false));
    }
    let kept = i64::try_from(digits.len()).map_err(|_| NumberError::NotANumber)? + shift;
    if kept > 38 {
        return Err(NumberError::TooLarge);
    }
    let Ok(kept) = usize::try_from(kept) else {
        return Ok((0, true));
    };
    let mut magnitude = 0_u128;
    for i in 0..kept {
        magnitude = magnitude * 10 + u128::from(digits.get(i).copied().unwrap_or(0));
    }
    let dropped = digits.get(kept..).unwrap_or(&[]);
    let is_rounded = dropped.iter().any(|d| *d != 0);
    if let Some((first, rest)) = dropped.split_first() {
        let is_above_half = *first > 5 || (*first == 5 && rest.iter().any(|d| *d != 0));
        let is_half = *first == 5 && !is_above_half;
        if is_above_half || (is_half && magnitude % 2 == 1) {
            magnitude += 1;
        }
    }
    if magnitude >= LIMIT { Err(NumberError::TooLarge) } else { Ok((magnitude, is_rounded)) }
}

/// A float column's value by its shortest round-trip decimal: `0.1_f64` is `0.1`, not its binary expansion.
pub(crate) fn number_of_float(value: f64) -> Result<Number, NumberError> {
    if !value.is_finite() {
        return Err(NumberError::NotANumber);
    }
    parse_number(format!("{value:e}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> i128 {
        parse_number(text.as_bytes()).expect(text).units
    }

    #[test]
    fn plain_and_scientific_forms_are_exact() {
        assert_eq!(units("0"), 0);
        assert_eq!(units("-0.5"), -500_000_000_000_000_000);
        assert_eq!(units(".5"), 500_000_000_000_000_000);
        assert_eq!(units("48"), 48 * ONE);
        assert_eq!(units("5.2E-9"), 5_200_000_000);
        assert_eq!(units("6.266090E-12"), 6_266_090);
        assert_eq!(units("35.2E-7"), 3_520_000_000_000);
        assert_eq!(units("1e2"), 100 * ONE);
        assert_eq!(units("0.000710731182784594"), 710_731_182_784_594);
    }

    #[test]
    fn digits_beyond_scale_18_round_half_to_even_and_are_counted() {
        // 0.0000000000000000005 is half a unit: to even is 0; 15 tenths of a unit: to even is 2.
        assert_eq!(parse_number(b"0.0000000000000000005"), Ok(Number { units: 0, is_rounded: true }));
        assert_eq!(parse_number(b"0.0000000000000000015"), Ok(Number { units: 2, is_rounded: true }));
        assert_eq!(parse_number(b"0.00000000000000000050001"), Ok(Number { units: 1, is_rounded: true }));
        assert_eq!(parse_number(b"-0.0000000000000000025"), Ok(Number { units: -2, is_rounded: true }));
        assert_eq!(parse_number(b"0.1000000000000000000000000000"), Ok(Number { units: ONE / 10, is_rounded: false }));
        assert_eq!(parse_number(b"1e-40"), Ok(Number { units: 0, is_rounded: true }));
    }

    #[test]
    fn limits_of_38_digits() {
        assert_eq!(units("99999999999999999999.999999999999999999"), 10_i128.pow(38) - 1);
        assert_eq!(parse_number(b"100000000000000000000"), Err(NumberError::TooLarge));
        assert_eq!(parse_number(b"99999999999999999999.9999999999999999995"), Err(NumberError::TooLarge));
        assert_eq!(parse_number(b"1e99999"), Err(NumberError::TooLarge));
    }

    #[test]
    fn what_is_not_a_number() {
        for text in [
            "",
            "-",
            ".",
            "+1",
            "1,000",
            "$10,000.00 ",
            " 1",
            "1 ",
            "1e",
            "e5",
            "NaN",
            "inf",
            "0x10",
            "1.2.3",
            "--1",
            "1E1.5",
        ] {
            assert_eq!(parse_number(text.as_bytes()), Err(NumberError::NotANumber), "{text}");
        }
    }

    #[test]
    fn the_fast_path_is_the_slow_path() {
        // Every split of 37 digits, with every byte of the text replaced by each neighbour of a digit.
        let digits = "1234567890123456789098765432109876543";
        for whole in 0..=19 {
            for fraction in 0..=18 {
                let text = format!("{}.{}", &digits[..whole], &digits[19..19 + fraction]);
                let plain = parse_plain(text.as_bytes());
                assert_eq!(plain, parse_any(text.as_bytes()).ok().map(|n| n.units), "{text}");
                for at in 0..text.len() {
                    for byte in [b'/', b':', b'.', b' ', 0x80, b'-'] {
                        let mut broken = text.clone().into_bytes();
                        broken[at] = byte;
                        let slow = parse_any(&broken).ok().map(|n| n.units);
                        let fast = parse_plain(&broken);
                        assert!(fast.is_none() || fast == slow, "{text} {at} {byte}");
                    }
                }
            }
        }
    }

    #[test]
    fn floats_by_shortest_round_trip() {
        assert_eq!(number_of_float(0.1), Ok(Number { units: ONE / 10, is_rounded: false }));
        assert_eq!(number_of_float(-1.5e-9), Ok(Number { units: -1_500_000_000, is_rounded: false }));
        assert_eq!(number_of_float(f64::NAN), Err(NumberError::NotANumber));
    }
}
