use crate::testing::{block_on, rows, rows_in, session};

use super::{DateTimeError, Zone, parse_date, parse_time, parse_timestamp, parse_timestamptz};

/// Days from 1970-01-01 to 2026-03-01: 56 years of 365 days, 14 leap days, 31 + 28 days.
const MARCH: i32 = 56 * 365 + 14 + 31 + 28;
const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

#[test]
fn dates_are_read_in_several_forms() {
    for text in ["2026-03-01", "20260301", "2026/03/01", "03/01/2026", " 2026-3-1 ", "2026-03-01 10:00"] {
        assert_eq!(parse_date(text), Ok(MARCH), "{text}");
    }
    assert_eq!(parse_date("2026-02-29"), Err(DateTimeError::OutOfRange));
    assert_eq!(parse_date("2026-13-01"), Err(DateTimeError::OutOfRange));
    assert_eq!(parse_date("soon"), Err(DateTimeError::Syntax("date")));
}

#[test]
fn times_may_lack_seconds() {
    let start = i64::from(MARCH) * DAY;
    assert_eq!(parse_timestamp("2026-03-01 10:00"), Ok(start + 10 * HOUR));
    assert_eq!(parse_timestamp("2026-03-01T10:00:00.5"), Ok(start + 10 * HOUR + 500_000));
    assert_eq!(parse_time("24:00"), Ok(DAY));
    assert_eq!(parse_time("25:00"), Err(DateTimeError::OutOfRange));
    assert_eq!(parse_time("9"), Err(DateTimeError::Syntax("time")));
}

#[test]
fn instants_without_a_zone_are_on_the_clock_of_the_session() {
    let start = i64::from(MARCH) * DAY;
    let berlin = Zone::of_setting("Europe/Berlin");
    assert_eq!(parse_timestamptz("2026-03-01 01:00", berlin), Ok(start));
    assert_eq!(parse_timestamptz("2026-03-01 01:00Z", berlin), Ok(start + HOUR));
    assert_eq!(parse_timestamptz("2026-03-01 05:30 Asia/Kolkata", berlin), Ok(start));
    assert_eq!(parse_timestamptz("2026-03-01 05:30 Nowhere", berlin), Err(DateTimeError::UnknownZone));
}

/// Rows of a query, its columns as texts, on the clock of a zone.
fn shown(zone: &str, columns: &str) -> String {
    let context = session();
    let set = format!("set datafusion.execution.time_zone = '{zone}'");
    drop(block_on(async { context.sql(&set).await?.collect().await }).expect("it may be set"));
    let texts: Vec<String> = columns.split("; ").map(|column| format!("cast({column} as text)")).collect();
    let select = format!("select concat_ws('|', {})", texts.join(", "));
    rows_in(&context, &select).unwrap_or_else(|error| panic!("{select}: {error}")).remove(0)
}

// The expected values below are those of PostgreSQL 15.

#[test]
fn instants_are_cut_and_cast_on_the_clock_of_the_session() {
    let at = "timestamptz '2026-07-31 22:30+00'";
    let columns = format!(
        "date_trunc('month', {at}); extract(hour from {at}); ({at})::date; ({at})::timestamp; (timestamp '2026-07-31 22:30')::timestamptz; \
         (date '2026-07-31')::timestamptz; date_trunc('day', timestamptz '2026-10-25 01:30+00')"
    );
    assert_eq!(
        shown("Europe/Berlin", &columns),
        "2026-08-01 00:00:00+02|0|2026-08-01|2026-08-01 00:30:00|2026-07-31 22:30:00+02|2026-07-31 00:00:00+02|2026-10-25 00:00:00+02"
    );
    // Clocks that show a time twice, or never.
    let columns = "timestamp '2026-10-25 02:30'::timestamptz; timestamp '2026-03-29 02:30'::timestamptz";
    assert_eq!(shown("Europe/Berlin", columns), "2026-10-25 02:30:00+01|2026-03-29 03:30:00+02");
}

#[test]
fn timezone_gives_the_other_kind_of_timestamp() {
    let columns = "timezone('America/Chicago', timestamptz '2026-07-31 22:30+00'); \
                   timezone('America/Chicago', timestamp '2026-07-31 22:30'); timezone('+02', timestamptz '2026-07-31 22:30+00')";
    assert_eq!(shown("Europe/Berlin", columns), "2026-07-31 17:30:00|2026-08-01 05:30:00+02|2026-07-31 20:30:00");
}

#[test]
fn dates_and_intervals_are_added_and_intervals_multiplied() {
    let columns = "date '2026-01-01' + interval '5 hours'; date '2026-01-01' - interval '1 hour'; interval '1 day' + date '2026-01-01'; \
                   timestamp '2026-01-01' + interval '1 month' * 1.5; timestamp '2026-01-01' + interval '5 minutes' * 3; \
                   timestamp '2026-01-01' + 2 * interval '1 day 6 hours'; timestamp '2026-01-01' + interval '1 month' * 0.3; \
                   timestamp '2026-01-01' + interval '1 day' / 3";
    assert_eq!(
        shown("UTC", columns),
        // 1.5 months are a month and 15 days, 0.3 months are 9 days.
        "2026-01-01 05:00:00|2025-12-31 23:00:00|2026-01-02 00:00:00|2026-02-16 00:00:00|2026-01-01 00:15:00|2026-01-03 12:00:00|\
         2026-01-10 00:00:00|2026-01-01 08:00:00"
    );
}

#[test]
fn a_truth_may_be_compared_with_a_text() {
    assert_eq!(rows("select true = 't', false = 'off', true <> 'yes'"), ["true true false"]);
}
