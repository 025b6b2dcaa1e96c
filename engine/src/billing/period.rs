//! Billing periods: calendar months, written `2026-10`.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike as _, Months, NaiveDate};

use super::BillingError;

/// A provider's billing period: the calendar month that its charges are billed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BillingPeriod(NaiveDate);

impl BillingPeriod {
    /// Its first day.
    pub fn first_day(self) -> NaiveDate {
        self.0
    }

    /// Its last day.
    pub fn last_day(self) -> NaiveDate {
        self.next().pred_opt().unwrap_or(self.0)
    }

    /// The first day after it.
    fn next(self) -> NaiveDate {
        self.0.checked_add_months(Months::new(1)).unwrap_or(self.0)
    }

    /// The SQL literal of its first day: `date '2026-10-01'`.
    pub(super) fn literal(self) -> String {
        format!("date '{}'", self.0)
    }
}

impl fmt::Display for BillingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for BillingPeriod {
    type Err = BillingError;

    /// Reads `2026-10`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || BillingError::Period {
            text: text.to_owned(),
        };
        let digits = text.as_bytes();
        let is_shaped = digits.len() == 7
            && digits.iter().enumerate().all(|(at, c)| {
                if at == 4 {
                    *c == b'-'
                } else {
                    c.is_ascii_digit()
                }
            });
        if !is_shaped {
            return Err(refused());
        }
        let first = format!("{text}-01");
        NaiveDate::parse_from_str(&first, "%Y-%m-%d")
            .map(Self)
            .map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_month() {
        let period: BillingPeriod = "2024-02".parse().expect("a month");
        assert_eq!(period.to_string(), "2024-02");
        assert_eq!(period.first_day().to_string(), "2024-02-01");
        assert_eq!(period.last_day().to_string(), "2024-02-29");
        assert_eq!(period.literal(), "date '2024-02-01'");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "2024-13",
            "2024-1",
            "2024-02-01",
            "2024/02",
            "",
            "+024-02",
            "2024-0é",
        ] {
            assert!(text.parse::<BillingPeriod>().is_err(), "{text}");
        }
    }
}
