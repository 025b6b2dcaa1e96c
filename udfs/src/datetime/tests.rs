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
