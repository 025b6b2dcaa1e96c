//! Minor units: how many digits after the point a currency's documents have.

use ratehouse_udfs::money::Currency;

/// Digits after the point of amounts on documents in a currency: JPY 0, USD 2, KWD 3.
///
/// A code that ISO 4217 does not list, or lists without a minor unit, gets 2.
pub fn minor_digits(currency: &str) -> u8 {
    Currency::of(currency).map_or(2, |currency| currency.minor_unit().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_iso_4217() {
        assert_eq!(["JPY", "USD", "EUR", "KWD", "CLF", "TOKENS"].map(minor_digits), [0, 2, 2, 3, 4, 2]);
    }
}
