//! Billing periods: calendar months, written `2026-10`.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike as _, Days, Months, NaiveDate};

/// A provider's billing period: the calendar month that its charges are billed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BillingPeriod(NaiveDate);

/// A text that is no billing period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a billing period: write a month as 2026-10")]
pub struct PeriodError {
    /// What was written.
    pub text: String,
}

/// The first day of the count that Arrow's dates use.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");

impl BillingPeriod {
    /// The period of a day, given in days since 1970-01-01.
    pub fn of_day(day: i32) -> Option<Self> {
        let days = Days::new(u64::from(day.unsigned_abs()));
        let date = if day < 0 { EPOCH.checked_sub_days(days) } else { EPOCH.checked_add_days(days) };
        date?.with_day(1).map(Self)
    }

    /// Its first day.
    pub fn first_day(self) -> NaiveDate {
        self.0
    }

    /// Its first day, in days since 1970-01-01.
    pub fn first_day_number(self) -> i32 {
        self.0.num_days_from_ce() - EPOCH.num_days_from_ce()
    }

    /// Its last day.
    pub fn last_day(self) -> NaiveDate {
        let next = self.0.checked_add_months(Months::new(1)).unwrap_or(self.0);
        next.pred_opt().unwrap_or(self.0)
    }

    /// The SQL literal of its first day: `date '2026-10-01'`.
    pub fn literal(self) -> String {
        format!("date '{}'", self.0)
    }
}

impl fmt::Display for BillingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for BillingPeriod {
    type Err = PeriodError;

    /// Reads `2026-10`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || PeriodError { text: text.to_owned() };
        let digits = text.as_bytes();
        let is_shaped = digits.len() == 7
            && digits.iter().enumerate().all(|(at, c)| if at == 4 { *c == b'-' } else { c.is_ascii_digit() });
        if !is_shaped {
            return Err(refused());
        }
        NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").map(Self).map_err(|_| refused())
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
    fn days_are_counted_from_1970() {
        // 2026-10-01 is 20,727 days after 1970-01-01: 56 years of 365 days, 14 leap days, 273 days of 2026.
        let period: BillingPeriod = "2026-10".parse().expect("a month");
        assert_eq!(period.first_day_number(), 56 * 365 + 14 + 273);
        assert_eq!(BillingPeriod::of_day(period.first_day_number() + 30), Some(period));
        assert_ne!(BillingPeriod::of_day(period.first_day_number() + 31), Some(period));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["2024-13", "2024-1", "2024-02-01", "2024/02", "", "+024-02", "2024-0é"] {
            assert!(text.parse::<BillingPeriod>().is_err(), "{text}");
        }
    }
}
