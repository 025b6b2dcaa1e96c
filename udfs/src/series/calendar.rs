//! The regular grid on which a series lies.

use chrono::{Datelike, NaiveDate};

/// How far apart the values of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frequency {
    /// One value an hour.
    Hour,
    /// One value a day.
    Day,
    /// One value a week.
    Week,
    /// One value a calendar month.
    Month,
}

impl Frequency {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// Its name in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Values in the cycle that such series commonly have: a day of hours, a week of days, a year of weeks or months.
    #[must_use]
    pub fn season(self) -> usize {
        match self {
            Self::Hour => 24,
            Self::Day => 7,
            Self::Week => 52,
            Self::Month => 12,
        }
    }
}

/// Where in time the first value of a series lies, and how far apart they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// Hours since 1970 for hours; days since 1970 for days and for the first day of each week; months since January 1970.
    pub first: i32,
    /// The distance of values.
    pub frequency: Frequency,
}

impl Calendar {
    /// The date of a position (0 is the first value, the last of `n` values is `n - 1`, what is forecast begins at `n`).
    #[must_use]
    pub fn date(&self, position: usize) -> NaiveDate {
        let at = i64::from(self.first) + i64::try_from(position).unwrap_or(i64::MAX / 2);
        let days = match self.frequency {
            Frequency::Hour => at.div_euclid(24),
            Frequency::Day => at,
            Frequency::Week => i64::from(self.first) + (at - i64::from(self.first)) * 7,
            Frequency::Month => {
                let (year, month) = (at.div_euclid(12) + 1970, at.rem_euclid(12) + 1);
                let date = i32::try_from(year).ok().zip(u32::try_from(month).ok());
                return date
                    .and_then(|(year, month)| NaiveDate::from_ymd_opt(year, month, 1))
                    .unwrap_or(NaiveDate::MAX);
            }
        };
        i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days).unwrap_or(NaiveDate::MAX)
    }

    /// Days from a position's date to the last of its month, 0 on that last day itself, and the day of the month counted from 1.
    #[must_use]
    pub fn day_of_month(&self, position: usize) -> (u32, u32) {
        let date = self.date(position);
        (u32::from(date.num_days_in_month()) - date.day(), date.day())
    }
}
