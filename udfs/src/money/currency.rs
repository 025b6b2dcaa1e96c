//! ISO 4217 currencies and their minor units.

use std::fmt;

/// The active ISO 4217 codes in alphabetical order, each with the digits of its minor unit.
///
/// `None` are metals, funds and testing codes, in which no document can be written. The codes are those that FOCUS 1.4
/// validates against; the minor units are column "Mnr" of ISO 4217 list one.
#[rustfmt::skip]
pub const MINOR_UNITS: [(&str, Option<i8>); 179] = [
    ("AED", Some(2)), ("AFN", Some(2)), ("ALL", Some(2)), ("AMD", Some(2)), ("ANG", Some(2)), ("AOA", Some(2)),
    ("ARS", Some(2)), ("AUD", Some(2)), ("AWG", Some(2)), ("AZN", Some(2)), ("BAM", Some(2)), ("BBD", Some(2)),
    ("BDT", Some(2)), ("BGN", Some(2)), ("BHD", Some(3)), ("BIF", Some(0)), ("BMD", Some(2)), ("BND", Some(2)),
    ("BOB", Some(2)), ("BOV", Some(2)), ("BRL", Some(2)), ("BSD", Some(2)), ("BTN", Some(2)), ("BWP", Some(2)),
    ("BYN", Some(2)), ("BZD", Some(2)), ("CAD", Some(2)), ("CDF", Some(2)), ("CHE", Some(2)), ("CHF", Some(2)),
    ("CHW", Some(2)), ("CLF", Some(4)), ("CLP", Some(0)), ("CNY", Some(2)), ("COP", Some(2)), ("COU", Some(2)),
    ("CRC", Some(2)), ("CUP", Some(2)), ("CVE", Some(2)), ("CZK", Some(2)), ("DJF", Some(0)), ("DKK", Some(2)),
    ("DOP", Some(2)), ("DZD", Some(2)), ("EGP", Some(2)), ("ERN", Some(2)), ("ETB", Some(2)), ("EUR", Some(2)),
    ("FJD", Some(2)), ("FKP", Some(2)), ("GBP", Some(2)), ("GEL", Some(2)), ("GHS", Some(2)), ("GIP", Some(2)),
    ("GMD", Some(2)), ("GNF", Some(0)), ("GTQ", Some(2)), ("GYD", Some(2)), ("HKD", Some(2)), ("HNL", Some(2)),
    ("HTG", Some(2)), ("HUF", Some(2)), ("IDR", Some(2)), ("ILS", Some(2)), ("INR", Some(2)), ("IQD", Some(3)),
    ("IRR", Some(2)), ("ISK", Some(0)), ("JMD", Some(2)), ("JOD", Some(3)), ("JPY", Some(0)), ("KES", Some(2)),
    ("KGS", Some(2)), ("KHR", Some(2)), ("KMF", Some(0)), ("KPW", Some(2)), ("KRW", Some(0)), ("KWD", Some(3)),
    ("KYD", Some(2)), ("KZT", Some(2)), ("LAK", Some(2)), ("LBP", Some(2)), ("LKR", Some(2)), ("LRD", Some(2)),
    ("LSL", Some(2)), ("LYD", Some(3)), ("MAD", Some(2)), ("MDL", Some(2)), ("MGA", Some(2)), ("MKD", Some(2)),
    ("MMK", Some(2)), ("MNT", Some(2)), ("MOP", Some(2)), ("MRU", Some(2)), ("MUR", Some(2)), ("MVR", Some(2)),
    ("MWK", Some(2)), ("MXN", Some(2)), ("MXV", Some(2)), ("MYR", Some(2)), ("MZN", Some(2)), ("NAD", Some(2)),
    ("NGN", Some(2)), ("NIO", Some(2)), ("NOK", Some(2)), ("NPR", Some(2)), ("NZD", Some(2)), ("OMR", Some(3)),
    ("PAB", Some(2)), ("PEN", Some(2)), ("PGK", Some(2)), ("PHP", Some(2)), ("PKR", Some(2)), ("PLN", Some(2)),
    ("PYG", Some(0)), ("QAR", Some(2)), ("RON", Some(2)), ("RSD", Some(2)), ("RUB", Some(2)), ("RWF", Some(0)),
    ("SAR", Some(2)), ("SBD", Some(2)), ("SCR", Some(2)), ("SDG", Some(2)), ("SEK", Some(2)), ("SGD", Some(2)),
    ("SHP", Some(2)), ("SLE", Some(2)), ("SOS", Some(2)), ("SRD", Some(2)), ("SSP", Some(2)), ("STN", Some(2)),
    ("SVC", Some(2)), ("SYP", Some(2)), ("SZL", Some(2)), ("THB", Some(2)), ("TJS", Some(2)), ("TMT", Some(2)),
    ("TND", Some(3)), ("TOP", Some(2)), ("TRY", Some(2)), ("TTD", Some(2)), ("TWD", Some(2)), ("TZS", Some(2)),
    ("UAH", Some(2)), ("UGX", Some(0)), ("USD", Some(2)), ("USN", Some(2)), ("UYI", Some(0)), ("UYU", Some(2)),
    ("UYW", Some(4)), ("UZS", Some(2)), ("VED", Some(2)), ("VES", Some(2)), ("VND", Some(0)), ("VUV", Some(0)),
    ("WST", Some(2)), ("XAF", Some(0)), ("XAG", None), ("XAU", None), ("XBA", None), ("XBB", None), ("XBC", None),
    ("XBD", None), ("XCD", Some(2)), ("XCG", Some(2)), ("XDR", None), ("XOF", Some(0)), ("XPD", None),
    ("XPF", Some(0)), ("XPT", None), ("XSU", None), ("XTS", None), ("XUA", None), ("XXX", None), ("YER", Some(2)),
    ("ZAR", Some(2)), ("ZMW", Some(2)), ("ZWG", Some(2)),
];

/// A currency that documents can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: &'static str,
    minor_unit: i8,
}

/// Why a text is not a currency to round in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurrencyError {
    /// The text is not an active ISO 4217 code in upper case.
    Unknown,
    /// The code is a metal, a fund or a testing code without minor unit.
    NoMinorUnit,
}

impl fmt::Display for CurrencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown currency: use an active ISO 4217 code in upper case, such as 'USD'",
            Self::NoMinorUnit => "the currency has no minor unit: amounts in it cannot be rounded for a document",
        })
    }
}

impl std::error::Error for CurrencyError {}

impl Currency {
    /// Looks up a code.
    ///
    /// # Errors
    /// See [`CurrencyError`].
    pub fn of(code: &str) -> Result<Self, CurrencyError> {
        let index = MINOR_UNITS.binary_search_by(|(one, _)| (*one).cmp(code)).map_err(|_| CurrencyError::Unknown)?;
        let (code, minor_unit) = MINOR_UNITS[index];
        minor_unit.map(|minor_unit| Self { code, minor_unit }).ok_or(CurrencyError::NoMinorUnit)
    }

    /// Returns the ISO 4217 code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// Returns the digits of the minor unit: 0 for JPY, 2 for USD, 3 for KWD.
    #[must_use]
    pub const fn minor_unit(self) -> i8 {
        self.minor_unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(MINOR_UNITS.is_sorted_by(|(left, _), (right, _)| left < right));
        assert_eq!(MINOR_UNITS.len(), 179);
    }

    #[test]
    fn minor_units_are_those_of_iso_4217() {
        let minor_unit = |code| Currency::of(code).map(Currency::minor_unit);
        for (code, digits) in [("JPY", 0), ("USD", 2), ("EUR", 2), ("KWD", 3), ("CLF", 4), ("KRW", 0), ("XPF", 0)] {
            assert_eq!(minor_unit(code), Ok(digits), "{code}");
        }
        assert_eq!(minor_unit("XAU"), Err(CurrencyError::NoMinorUnit));
        for code in ["usd", "US", "USDX", "", "ZZZ"] {
            assert_eq!(minor_unit(code), Err(CurrencyError::Unknown), "{code}");
        }
    }
}
