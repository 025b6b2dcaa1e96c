//! Dates, times and timestamps between the engine's epoch of 1970 and Postgres' forms.
//!
//! Text is ISO 8601 as `DateStyle ISO` writes it (`2026-03-01 00:59:59.5+01`, years before 1 as `0044-03-15 BC`); binary is days
//! or microseconds since 2000-01-01. Everything is microseconds inside: Postgres has no finer unit, nanoseconds are cut.

use bytes::{BufMut, BytesMut};
pub(crate) use ratehouse_udfs::datetime::{Zone, parse_date, parse_time, parse_timestamp, parse_timestamptz};

use crate::wire::backend::Failure;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// Microseconds in a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_US: i64 = EPOCH_DAYS * DAY_US;

/// Writes a day since 1970 as text.
pub(crate) fn write_date(days: i64, out: &mut BytesMut) {
    let (year, month, day) = civil(days);
    write_year_month_day(year, month, day, out);
    if year <= 0 {
        out.put_slice(b" BC");
    }
}

fn write_year_month_day(year: i64, month: i64, day: i64, out: &mut BytesMut) {
    // There is no year 0: 1 BC comes before 1.
    let shown = if year > 0 { year } else { 1 - year };
    if shown > 9_999 {
        out.put_slice(shown.to_string().as_bytes());
    } else {
        write_two(shown / 100, out);
        write_two(shown % 100, out);
    }
    out.put_u8(b'-');
    write_two(month, out);
    out.put_u8(b'-');
    write_two(day, out);
}

/// Writes microseconds since midnight as text.
pub(crate) fn write_time(microseconds: i64, out: &mut BytesMut) {
    let seconds = microseconds / 1_000_000;
    write_two(seconds / 3_600, out);
    out.put_u8(b':');
    write_two(seconds / 60 % 60, out);
    out.put_u8(b':');
    write_two(seconds % 60, out);
    write_fraction(microseconds % 1_000_000, out);
}

/// Writes a part of a second: `.5`, `.000001`, or nothing for zero.
pub(crate) fn write_fraction(microseconds: i64, out: &mut BytesMut) {
    if microseconds != 0 {
        let digits = format!(".{microseconds:06}");
        out.put_slice(digits.trim_end_matches('0').as_bytes());
    }
}

/// Writes microseconds since 1970 as text without a zone.
pub(crate) fn write_timestamp(microseconds: i64, out: &mut BytesMut) {
    let (year, month, day) = civil(microseconds.div_euclid(DAY_US));
    write_year_month_day(year, month, day, out);
    out.put_u8(b' ');
    write_time(microseconds.rem_euclid(DAY_US), out);
    if year <= 0 {
        out.put_slice(b" BC");
    }
}

/// Writes an instant as the local time of `zone` with its offset.
pub(crate) fn write_timestamptz(microseconds: i64, zone: Zone, out: &mut BytesMut) {
    let offset = zone.offset_at(microseconds);
    let local = microseconds.saturating_add(offset * 1_000_000);
    let (year, month, day) = civil(local.div_euclid(DAY_US));
    write_year_month_day(year, month, day, out);
    out.put_u8(b' ');
    write_time(local.rem_euclid(DAY_US), out);
    out.put_u8(if offset < 0 { b'-' } else { b'+' });
    let offset = offset.abs();
    write_two(offset / 3_600, out);
    if offset % 3_600 != 0 {
        out.put_u8(b':');
        write_two(offset / 60 % 60, out);
    }
    if offset % 60 != 0 {
        out.put_u8(b':');
        write_two(offset % 60, out);
    }
    if year <= 0 {
        out.put_slice(b" BC");
    }
}

/// Days since 1970 as days since 2000, for the binary form.
///
/// Errors: 22008 outside Postgres' range.
pub(crate) fn date_to_binary(days: i64) -> Result<i32, Failure> {
    i32::try_from(days - EPOCH_DAYS).map_err(|_| Failure::new("22008", "date out of range"))
}

/// Microseconds since 1970 as microseconds since 2000, for the binary form.
///
/// Errors: 22008 outside Postgres' range.
pub(crate) fn timestamp_to_binary(microseconds: i64) -> Result<i64, Failure> {
    microseconds.checked_sub(EPOCH_US).ok_or_else(|| Failure::new("22008", "timestamp out of range"))
}

/// The reverse of [`date_to_binary`].
pub(crate) fn date_from_binary(days: i32) -> Result<i32, Failure> {
    i32::try_from(i64::from(days) + EPOCH_DAYS).map_err(|_| Failure::new("22008", "date out of range"))
}

/// The reverse of [`timestamp_to_binary`].
pub(crate) fn timestamp_from_binary(microseconds: i64) -> Result<i64, Failure> {
    microseconds.checked_add(EPOCH_US).ok_or_else(|| Failure::new("22008", "timestamp out of range"))
}

fn write_two(value: i64, out: &mut BytesMut) {
    let digit = |digit: i64| b'0' + u8::try_from(digit).unwrap_or(0);
    if value > 99 {
        out.put_slice(value.to_string().as_bytes());
    } else {
        out.put_u8(digit(value / 10));
        out.put_u8(digit(value % 10));
    }
}

/// Year, month and day of a day since 1970 in the Gregorian calendar carried backwards.
///
/// Method: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
