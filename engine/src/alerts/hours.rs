//! Quiet hours and digests: when a warning may be sent. What is critical does not wait.

use chrono::{DateTime, Days, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// `07:30`.
pub(super) fn time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| text.len() == 5)
}

/// Hours of the day in which warnings wait, in a zone; they may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quiet {
    pub(super) from: NaiveTime,
    pub(super) to: NaiveTime,
}

impl Quiet {
    pub(super) fn holds(&self, now: DateTime<Utc>, zone: Tz) -> bool {
        let time = now.with_timezone(&zone).time();
        if self.from <= self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }
}

/// The next instant at which it is that time in the zone. A time that a day leaves out (when clocks go forward) is the next day's.
pub(super) fn next_at(now: DateTime<Utc>, time: NaiveTime, zone: Tz) -> DateTime<Utc> {
    let today = now.with_timezone(&zone).date_naive();
    (0..4)
        .filter_map(|days| {
            zone.from_local_datetime(&today.checked_add_days(Days::new(days))?.and_time(time)).earliest()
        })
        .map(|at| at.to_utc())
        .find(|at| *at > now)
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("an instant").to_utc()
    }

    fn time(text: &str) -> NaiveTime {
        time_of_day(text).expect("a time of day")
    }

    #[test]
    fn quiet_hours_are_of_the_zone_and_go_over_midnight() {
        let night = Quiet { from: time("22:00"), to: time("07:00") };
        // Berlin is an hour ahead of UTC in winter and two in summer.
        for (now, is_quiet) in [
            ("2026-01-10T20:59:59Z", false),
            ("2026-01-10T21:00:00Z", true),
            ("2026-01-11T05:59:59Z", true),
            ("2026-01-11T06:00:00Z", false),
            ("2026-07-10T20:00:00Z", true),
            ("2026-07-10T05:00:00Z", false),
        ] {
            assert_eq!(night.holds(at(now), Tz::Europe__Berlin), is_quiet, "{now}");
        }
        let noon = Quiet { from: time("12:00"), to: time("13:00") };
        assert!(noon.holds(at("2026-01-10T12:30:00Z"), Tz::UTC) && !noon.holds(at("2026-01-10T13:00:00Z"), Tz::UTC));
    }

    #[test]
    fn a_digest_goes_out_at_its_time_of_day() {
        let next = |now: &str, text: &str| next_at(at(now), time(text), Tz::Europe__Berlin).to_rfc3339();
        assert_eq!(next("2026-01-10T05:00:00Z", "07:30"), "2026-01-10T06:30:00+00:00");
        assert_eq!(next("2026-01-10T06:30:00Z", "07:30"), "2026-01-11T06:30:00+00:00");
        // On 29 March 2026 there is no 02:30 in Berlin; on 25 October there are two, and the first counts.
        assert_eq!(next("2026-03-29T00:00:00Z", "02:30"), "2026-03-30T00:30:00+00:00");
        assert_eq!(next("2026-10-24T23:00:00Z", "02:30"), "2026-10-25T00:30:00+00:00");
    }

    #[test]
    fn a_time_of_day_has_two_digits_each() {
        assert!(time_of_day("7:30").is_none() && time_of_day("24:00").is_none() && time_of_day("07:30:00").is_none());
    }
}
