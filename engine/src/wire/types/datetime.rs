//! Dates, times and timestamps between the engine's epoch of 1970 and Postgres' forms.
//!
//! Text is ISO 8601 as `DateStyle ISO` writes it (`2026-03-01 00:59:59.5+01`, years before 1 as `0044-03-15 BC`); binary is days
//! or microseconds since 2000-01-01. Everything is microseconds inside: Postgres has no finer unit, nanoseconds are cut.

use std::str::FromStr;

use bytes::{BufMut, BytesMut};
use chrono::{FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeZone};

use crate::wire::backend::Failure;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// Microseconds in a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_US: i64 = EPOCH_DAYS * DAY_US;

/// The `TimeZone` setting of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// No offset, ever.
    Utc,
    /// A zone of the IANA database.
    Named(chrono_tz::Tz),
    /// The same offset all year.
    Fixed(FixedOffset),
}

impl Zone {
    /// Reads the setting; an unknown text is UTC, as the session refuses such a setting.
    pub(crate) fn of_setting(text: &str) -> Self {
        if ["utc", "etc/utc", "gmt", "z"].contains(&text.to_ascii_lowercase().as_str()) {
            return Self::Utc;
        }
        let same_name = |zone: &&chrono_tz::Tz| zone.name().eq_ignore_ascii_case(text);
        if let Some(named) = chrono_tz::TZ_VARIANTS.iter().find(same_name) {
            return Self::Named(*named);
        }
        // `SET TIME ZONE -3` is kept by PostgreSQL as `<-03>+03`: the sign in the brackets is the one that users mean.
        let inner = text.strip_prefix('<').and_then(|rest| rest.split('>').next()).unwrap_or(text);
        parse_offset(inner).and_then(FixedOffset::east_opt).map_or(Self::Utc, Self::Fixed)
    }

    /// Seconds east of UTC at an instant.
    fn offset_at(self, instant_us: i64) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Fixed(offset) => i64::from(offset.local_minus_utc()),
            Self::Named(zone) => chrono::DateTime::from_timestamp_micros(instant_us)
                .map_or(0, |at| i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())),
        }
    }

    /// The instant of a local time; the earlier one where clocks are set back, the shifted one where they are set forward.
    fn instant_of(self, local: NaiveDateTime) -> i64 {
        let utc = local.and_utc().timestamp_micros();
        match self {
            Self::Utc => utc,
            Self::Fixed(offset) => utc - i64::from(offset.local_minus_utc()) * 1_000_000,
            Self::Named(zone) => match zone.from_local_datetime(&local).earliest() {
                Some(found) => found.timestamp_micros(),
                None => utc - self.offset_at(utc - 3_600_000_000) * 1_000_000,
            },
        }
    }
}

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

/// Reads a date: the day of `2026-03-01`, `20260301` or of a whole timestamp.
pub(crate) fn parse_date(text: &str) -> Result<i32, Failure> {
    let wrong = || Failure::new("22007", "invalid input syntax for type date");
    let (date, _) = split_date(text.trim()).ok_or_else(wrong)?;
    let days = date?.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_err(|_| Failure::new("22008", "date out of range"))
}

/// Reads a time of day as microseconds since midnight.
pub(crate) fn parse_time(text: &str) -> Result<i64, Failure> {
    let wrong = || Failure::new("22007", "invalid input syntax for type time");
    let (time, rest) = split_time(text.trim()).ok_or_else(wrong)?;
    if rest.trim().is_empty() { Ok(time?) } else { Err(wrong()) }
}

/// Reads a timestamp as microseconds since 1970; a zone in the text is ignored, as Postgres does.
pub(crate) fn parse_timestamp(text: &str) -> Result<i64, Failure> {
    let (local, _) = parse_local(text, "timestamp")?;
    Ok(local.and_utc().timestamp_micros())
}

/// Reads an instant as microseconds since 1970; a text without a zone is local time of `zone`.
pub(crate) fn parse_timestamptz(text: &str, zone: Zone) -> Result<i64, Failure> {
    let (local, rest) = parse_local(text, "timestamp with time zone")?;
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(zone.instant_of(local));
    }
    if let Some(offset) = parse_offset(rest) {
        return Ok(local.and_utc().timestamp_micros() - i64::from(offset) * 1_000_000);
    }
    match chrono_tz::Tz::from_str(rest) {
        Ok(named) => Ok(Zone::Named(named).instant_of(local)),
        Err(_) if ["z", "utc", "gmt"].contains(&rest.to_ascii_lowercase().as_str()) => Ok(Zone::Utc.instant_of(local)),
        Err(_) => Err(Failure::new("22023", "time zone not recognized")),
    }
}

fn parse_local<'a>(text: &'a str, ty: &str) -> Result<(NaiveDateTime, &'a str), Failure> {
    let wrong = || Failure::new("22007", format!("invalid input syntax for type {ty}"));
    let (date, rest) = split_date(text.trim()).ok_or_else(wrong)?;
    let date = date?;
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
    let (time, rest) = if rest.starts_with(|first: char| first.is_ascii_digit()) {
        split_time(rest).ok_or_else(wrong)?
    } else {
        (Ok(0), rest)
    };
    let local = date.and_time(chrono::NaiveTime::MIN) + chrono::TimeDelta::microseconds(time?);
    Ok((local, rest))
}

type Split<'a, T> = Option<(Result<T, Failure>, &'a str)>;

fn split_date(text: &str) -> Split<'_, NaiveDate> {
    let (year, rest) = split_digits(text)?;
    let (year, month, day, rest) = match rest.strip_prefix('-') {
        Some(rest) if year.len() >= 4 => {
            let (month, rest) = split_digits(rest)?;
            let (day, rest) = split_digits(rest.strip_prefix('-')?)?;
            (year, month, day, rest)
        }
        None if year.len() == 8 => (&year[..4], &year[4..6], &year[6..8], rest),
        _ => return None,
    };
    let out_of_range = || Failure::new("22008", "date/time field value out of range");
    let found = || NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    Some((found().ok_or_else(out_of_range), rest))
}

fn split_time(text: &str) -> Split<'_, i64> {
    let (hours, rest) = split_digits(text)?;
    let (minutes, rest) = split_digits(rest.strip_prefix(':')?)?;
    let (seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => split_digits(rest)?,
        None => ("0", rest),
    };
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest)?,
        None => ("", rest),
    };
    let digits = format!("{fraction:0<6}");
    let value = |text: &str| text.parse::<i64>().ok();
    let (h, m, s, us) = (value(hours)?, value(minutes)?, value(seconds)?, value(&digits[..6])?);
    let total = ((h * 60 + m) * 60 + s) * 1_000_000 + us;
    if m > 59 || s > 60 || total > DAY_US {
        return Some((Err(Failure::new("22008", "date/time field value out of range")), rest));
    }
    Some((Ok(total), rest))
}

fn split_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|found: char| !found.is_ascii_digit()).unwrap_or(text.len());
    (1..=10).contains(&end).then(|| text.split_at(end))
}

/// Seconds east of UTC of `+02`, `-0330`, `+05:30`.
fn parse_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|found| *found != ':').collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |text| text.parse::<i32>().ok());
    let (hours, minutes, seconds) = match digits.len() {
        1 => (part(0..1)?, 0, 0),
        2 => (part(0..2)?, 0, 0),
        4 => (part(0..2)?, part(2..4)?, 0),
        6 => (part(0..2)?, part(2..4)?, part(4..6)?),
        _ => return None,
    };
    (hours <= 15 && minutes < 60 && seconds < 60).then_some(sign * ((hours * 60 + minutes) * 60 + seconds))
}
