//! A billing period of what a seller originates: a calendar month of its time zone.

use chrono::{DateTime, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use ratehouse_udfs::money::{Convention, prorate};

use crate::rating::assemble::local_day;
use crate::rating::span::{DAY_US, Span};
use crate::rating::tree::{NodeIndex, Tree};

/// No time zone is further from UTC.
const ZONE_US_MAX: i64 = DAY_US;
const MONTH_DAYS_MAX: i64 = 31;

/// A month of a time zone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Month {
    /// Days since 1970 of its first day.
    pub(crate) period: i32,
    /// Its instants.
    pub(crate) span: Span,
    time_zone: Tz,
}

impl Month {
    /// The month of a seller; none for a day that is none, or a seller that is not there then.
    pub(crate) fn of(tree: &Tree, seller: NodeIndex, period: i32) -> Option<Self> {
        let around = Self::around(period);
        let mut at = around.from;
        // It may have come in the middle of the month.
        let row = loop {
            let (stretch, holds) = tree.stretch(seller, at);
            if let Some(row) = stretch.and_then(|stretch| stretch.rows.last()) {
                break tree.row(*row);
            }
            at = holds.until;
            if at >= around.until {
                return None;
            }
        };
        Self::new(period, row.time_zone)
    }

    pub(crate) fn new(period: i32, time_zone: Tz) -> Option<Self> {
        let first = day(period)?;
        let span = Span { from: midnight(first, time_zone)?, until: midnight(first + Months::new(1), time_zone)? };
        Some(Self { period, span, time_zone })
    }

    /// The month so many months later, or earlier.
    pub(crate) fn after(&self, months: i32) -> Option<Self> {
        let first = day(self.period)?;
        let count = Months::new(months.unsigned_abs());
        let first = if months < 0 { first.checked_sub_months(count)? } else { first.checked_add_months(count)? };
        Self::new(number(first)?, self.time_zone)
    }

    /// The month of the same zone that an instant lies in.
    pub(crate) fn at(&self, instant: i64) -> Option<Self> {
        let local = self.local(instant)?;
        Self::new(number(chrono::Datelike::with_day(&local.date(), 1)?)?, self.time_zone)
    }

    /// How many months another month lies after this one; negative if it lies before.
    pub(crate) fn months_until(&self, later: &Self) -> Option<i32> {
        use chrono::Datelike;

        let (from, until) = (day(self.period)?, day(later.period)?);
        let months = |date: NaiveDate| 12 * date.year() + i32::try_from(date.month0()).unwrap_or_default();
        Some(months(until) - months(from))
    }

    /// All instants that can belong to a billing period in some time zone.
    pub(crate) fn around(period: i32) -> Span {
        let first = i64::from(period) * DAY_US;
        Span { from: first - ZONE_US_MAX, until: first + MONTH_DAYS_MAX * DAY_US + ZONE_US_MAX }
    }

    /// When a term begins or ends that was written as a date: midnight UTC stands for midnight of the seller's day.
    pub(crate) fn edge(at: i64, time_zone: Tz) -> i64 {
        if at.rem_euclid(DAY_US) != 0 {
            return at;
        }
        let day = i32::try_from(at.div_euclid(DAY_US)).ok().and_then(day);
        day.and_then(|day| midnight(day, time_zone)).unwrap_or(at)
    }

    /// The same of both ends of a span.
    pub(crate) fn edges(&self, span: Span) -> Span {
        Span { from: Self::edge(span.from, self.time_zone), until: Self::edge(span.until, self.time_zone) }
    }

    /// A span as the clocks on the wall show it, in microseconds, so that every day has 24 hours.
    pub(crate) fn on_the_wall(&self, span: Span) -> (i64, i64) {
        let wall = |at: i64| self.local(at).map_or(at, |local| local.and_utc().timestamp_micros());
        (wall(span.from), wall(span.until))
    }

    /// What of an amount falls to a part of a whole, by the clocks on the wall; none where it does not fit.
    pub(crate) fn prorated(&self, amount: i128, part: Span, whole: Span) -> Option<i128> {
        prorate(amount, self.on_the_wall(whole), self.on_the_wall(part), Convention::Actual).ok()
    }

    /// Days since 1970 of the day that an instant lies in.
    pub(crate) fn day_of(&self, at: i64) -> i32 {
        local_day(at, self.time_zone)
    }

    fn local(&self, at: i64) -> Option<NaiveDateTime> {
        let instant = DateTime::from_timestamp_micros(at)?.naive_utc();
        let offset = self.time_zone.offset_from_utc_datetime(&instant).fix();
        instant.checked_add_offset(offset)
    }
}

fn day(number: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let days = Days::new(u64::from(number.unsigned_abs()));
    if number < 0 { epoch.checked_sub_days(days) } else { epoch.checked_add_days(days) }
}

fn number(date: NaiveDate) -> Option<i32> {
    i32::try_from((date - NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days()).ok()
}

/// The first instant of a day; where clocks go forward at midnight, the first after that.
fn midnight(date: NaiveDate, time_zone: Tz) -> Option<i64> {
    let begin = date.and_time(chrono::NaiveTime::MIN);
    let mut minutes = (0..=180).step_by(15).map(|minutes| begin + chrono::Duration::minutes(minutes));
    minutes.find_map(|local| time_zone.from_local_datetime(&local).earliest()).map(|at| at.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = DAY_US / 24;
    /// 2026-03-01: 56 years of 365 days, 14 leap days, January and February.
    const MARCH: i32 = 56 * 365 + 14 + 31 + 28;

    #[test]
    fn a_month_with_a_change_of_clocks_is_an_hour_shorter_and_has_all_its_days() {
        let month = Month::new(MARCH, Tz::Europe__Berlin).expect("a month");
        // Berlin is an hour ahead in winter, two in summer, from 29 March 2026 on.
        assert_eq!(month.span.from, i64::from(MARCH) * DAY_US - HOUR_US);
        assert_eq!(month.span.until, i64::from(MARCH + 31) * DAY_US - 2 * HOUR_US);
        let (from, until) = month.on_the_wall(month.span);
        assert_eq!(until - from, 31 * DAY_US);
    }

    #[test]
    fn a_date_is_the_sellers_day() {
        let month = Month::new(MARCH, Tz::America__New_York).expect("a month");
        let date = i64::from(MARCH) * DAY_US;
        assert_eq!(Month::edge(date, Tz::America__New_York), month.span.from);
        assert_eq!(Month::edge(date + HOUR_US, Tz::America__New_York), date + HOUR_US);
        assert_eq!(Month::edge(i64::MAX, Tz::America__New_York), i64::MAX);
    }

    #[test]
    fn months_are_counted_across_years() {
        let month = Month::new(MARCH, Tz::UTC).expect("a month");
        let later = month.after(11).expect("a month");
        assert_eq!(later.period, MARCH + 31 + 30 + 31 + 30 + 31 + 31 + 30 + 31 + 30 + 31 + 31);
        assert_eq!(month.months_until(&later), Some(11));
        assert_eq!(later.months_until(&month), Some(-11));
        assert_eq!(later.after(-11).map(|back| back.period), Some(MARCH));
        assert_eq!(month.at(month.span.until - 1).map(|same| same.period), Some(MARCH));
    }
}
