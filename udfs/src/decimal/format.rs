//! Writing decimals as text.

use super::powers::POWERS_OF_TEN;
use std::fmt::{self, Write};

/// Writes `value` at `scale` (0 to 38) with all its digits: `1250` at scale 2 is `12.50`.
///
/// # Errors
/// Only those of `out`.
pub fn write_decimal(out: &mut impl Write, value: i128, scale: u8) -> fmt::Result {
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    let digits = usize::from(scale.min(38));
    if digits == 0 {
        return write!(out, "{sign}{magnitude}");
    }
    let unit = POWERS_OF_TEN[digits].unsigned_abs();
    write!(out, "{sign}{}.{:0digits$}", magnitude / unit, magnitude % unit)
}

/// Returns `value` at `scale` as text with all its digits.
///
/// ```
/// use ratehouse_udfs::decimal::format_decimal;
/// assert_eq!(format_decimal(-5, 2), "-0.05");
/// ```
#[must_use]
pub fn format_decimal(value: i128, scale: u8) -> String {
    let mut text = String::with_capacity(42);
    // Writing to a String does not fail.
    let _ = write_decimal(&mut text, value, scale);
    text
}

/// Returns `value` at `scale` as text without trailing zeros, but with at least `scale_min` digits after the point.
///
/// The form in which unrounded money leaves the warehouse: at least the currency's minor unit, never more zeros than needed.
#[must_use]
pub fn format_trimmed(value: i128, scale: u8, scale_min: u8) -> String {
    let mut kept_value = value;
    let mut kept_scale = scale.min(38);
    while kept_scale > scale_min && kept_value % 10 == 0 {
        kept_value /= 10;
        kept_scale -= 1;
    }
    format_decimal(kept_value, kept_scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_digits_are_written() {
        assert_eq!(format_decimal(0, 0), "0");
        assert_eq!(format_decimal(0, 2), "0.00");
        assert_eq!(format_decimal(1250, 2), "12.50");
        assert_eq!(format_decimal(-5, 18), "-0.000000000000000005");
        assert_eq!(format_decimal(i128::MIN, 0), "-170141183460469231731687303715884105728");
    }

    #[test]
    fn trimming_keeps_the_minor_unit() {
        assert_eq!(format_trimmed(12_500, 4, 2), "1.25");
        assert_eq!(format_trimmed(12_000, 4, 2), "1.20");
        assert_eq!(format_trimmed(12_000, 4, 0), "1.2");
        assert_eq!(format_trimmed(0, 18, 3), "0.000");
        assert_eq!(format_trimmed(12_345, 4, 2), "1.2345");
    }
}
