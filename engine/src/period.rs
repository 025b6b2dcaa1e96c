//! Billing periods: calendar months.

use std::fmt;

use chrono::{Datelike, NaiveDate};

/// A billing period, by the first day of its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BillingPeriod {
    year: i32,
    month: u32,
}

/// 1970-01-01 in the calendar's count of days.
const EPOCH_DAYS: i32 = 719_163;

impl BillingPeriod {
    /// Reads `2026-10`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        if year.len() != 4 || month.len() != 2 {
            return None;
        }
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        NaiveDate::from_ymd_opt(year, month, 1)?;
        Some(Self { year, month })
    }

    /// The period of a day, given in days since 1970-01-01.
    pub fn of_day(day: i32) -> Option<Self> {
        let date = NaiveDate::from_num_days_from_ce_opt(day.checked_add(EPOCH_DAYS)?)?;
        Some(Self { year: date.year(), month: date.month() })
    }

    /// Its first day, in days since 1970-01-01.
    pub fn first_day(self) -> i32 {
        NaiveDate::from_ymd_opt(self.year, self.month, 1)
            .map_or(0, |date| date.num_days_from_ce() - EPOCH_DAYS)
    }

    /// The period after it.
    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 {
            Self { year: self.year + 1, month: 1 }
        } else {
            Self { year: self.year, month: self.month + 1 }
        }
    }
}

impl fmt::Display for BillingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_its_first_day() {
        // 2026-10-01 is 20,727 days after 1970-01-01: 56 years of 365 days, 14 leap days, 273 days of 2026.
        let period = BillingPeriod::parse("2026-10").expect("a period");
        assert_eq!(period.first_day(), 56 * 365 + 14 + 273);
        assert_eq!(BillingPeriod::of_day(period.first_day() + 30), Some(period));
        assert_eq!(BillingPeriod::of_day(period.first_day() + 31), Some(period.next()));
        assert_eq!(period.to_string(), "2026-10");
    }

    #[test]
    fn other_texts_are_no_period() {
        for text in ["2026-13", "2026-1", "202610", "2026-10-01", ""] {
            assert_eq!(BillingPeriod::parse(text), None, "{text}");
        }
    }
}
