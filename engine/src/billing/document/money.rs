//! Amounts of documents: text in, text out, integers between.

use ratehouse_udfs::decimal::{format_decimal, parse_decimal_at};

use crate::billing::BillingError;
use crate::catalog::CatalogError;

/// Reads an amount of a document in minor units; one with more digits than its currency has is no amount of a document.
pub(super) fn parse(amount: &str, digits: u8) -> Result<i128, BillingError> {
    let malformed = || CatalogError::Malformed { what: "amount of a document" };
    let scale = i8::try_from(digits).map_err(|_| malformed())?;
    let parsed = parse_decimal_at(amount, scale).map_err(|_| malformed())?;
    if parsed.is_rounded {
        return Err(malformed().into());
    }
    Ok(parsed.value)
}

/// Adds amounts of a document.
pub(super) fn sum<'a>(amounts: impl Iterator<Item = &'a str>, digits: u8) -> Result<String, BillingError> {
    let mut sum = 0_i128;
    for amount in amounts {
        sum = sum.checked_add(parse(amount, digits)?).ok_or(BillingError::Overflow)?;
    }
    Ok(format_decimal(sum, digits))
}

/// Separates thousands: `-1234567.50` reads `-1,234,567.50`.
pub(super) fn grouped(amount: &str) -> String {
    let (sign, magnitude) = amount.strip_prefix('-').map_or(("", amount), |rest| ("-", rest));
    let (whole, fraction) =
        magnitude.split_once('.').map_or((magnitude, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut text = String::with_capacity(amount.len() + whole.len() / 3);
    text += sign;
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text += fraction;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (amount, text) in [
            ("0.00", "0.00"),
            ("999.999", "999.999"),
            ("1000", "1,000"),
            ("-1234567.50", "-1,234,567.50"),
            ("123456.7", "123,456.7"),
        ] {
            assert_eq!(grouped(amount), text);
        }
    }

    #[test]
    fn amounts_keep_to_their_minor_unit() {
        assert_eq!(parse("-12.34", 2).expect("an amount"), -1234);
        assert!(parse("12.345", 2).is_err());
        assert_eq!(sum(["10.10", "-0.05"].into_iter(), 2).expect("a sum"), "10.05");
    }
}
