//! Dates, times and timestamps in text, as PostgreSQL reads ISO 8601 and its relatives.

use super::write::DAY_US;
use super::zone::{Zone, parse_offset};
use chrono::{NaiveDate, NaiveDateTime};
use std::fmt;
use std::str::FromStr;

/// Why a text is no date or time. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateTimeError {
    /// It is not of the form; the type it should be.
    Syntax(&'static str),
    /// There is no such day or time.
    OutOfRange,
    /// There is no such time zone.
    UnknownZone,
}

impl DateTimeError {
    /// PostgreSQL's code for it.
    #[must_use]
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Syntax(_) => "22007",
            Self::OutOfRange => "22008",
            Self::UnknownZone => "22023",
        }
    }
}

impl fmt::Display for DateTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(data_type) => write!(f, "invalid input syntax for type {data_type}"),
            Self::OutOfRange => f.write_str("date/time field value out of range"),
            Self::UnknownZone => f.write_str("time zone not recognized"),
        }
    }
}

impl std::error::Error for DateTimeError {}

/// Reads a date, as days since 1970: the day of `2026-03-01`, `20260301`, `03/01/2026` or of a whole timestamp.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_date(text: &str) -> Result<i32, DateTimeError> {
    let wrong = || DateTimeError::Syntax("date");
    let (date, _) = split_date(text.trim()).ok_or_else(wrong)?;
    let days = date?.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_err(|_| DateTimeError::OutOfRange)
}

/// Reads a time of day as microseconds since midnight.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_time(text: &str) -> Result<i64, DateTimeError> {
    let wrong = || DateTimeError::Syntax("time");
    let (time, rest) = split_time(text.trim()).ok_or_else(wrong)?;
    if rest.trim().is_empty() { Ok(time?) } else { Err(wrong()) }
}

/// Reads a timestamp as microseconds since 1970; a zone in the text is ignored, as Postgres does.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_timestamp(text: &str) -> Result<i64, DateTimeError> {
    let (local, _) = parse_local(text, "timestamp")?;
    Ok(local.and_utc().timestamp_micros())
}

/// Reads an instant as microseconds since 1970; a text without a zone is local time of `zone`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_timestamptz(text: &str, zone: Zone) -> Result<i64, DateTimeError> {
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
        Err(_) => Err(DateTimeError::UnknownZone),
    }
}

fn parse_local<'a>(text: &'a str, ty: &'static str) -> Result<(NaiveDateTime, &'a str), DateTimeError> {
    let wrong = || DateTimeError::Syntax(ty);
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

type Split<'a, T> = Option<(Result<T, DateTimeError>, &'a str)>;

fn split_date(text: &str) -> Split<'_, NaiveDate> {
    let (year, rest) = split_digits(text)?;
    let (year, month, day, rest) = match rest.strip_prefix('-') {
        Some(rest) if year.len() >= 4 => {
            let (month, rest) = split_digits(rest)?;
            let (day, rest) = split_digits(rest.strip_prefix('-')?)?;
            (year, month, day, rest)
        }
        None if rest.starts_with('/') => {
            let (second, rest) = split_digits(&rest[1..])?;
            let (third, rest) = split_digits(rest.strip_prefix('/')?)?;
            // `DateStyle` is always MDY: 2026/03/01, or 03/01/2026.
            if year.len() >= 3 { (year, second, third, rest) } else { (third, year, second, rest) }
        }
        None if year.len() == 8 => (&year[..4], &year[4..6], &year[6..8], rest),
        _ => return None,
    };
    let out_of_range = || DateTimeError::OutOfRange;
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
        return Some((Err(DateTimeError::OutOfRange), rest));
    }
    Some((Ok(total), rest))
}

fn split_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|found: char| !found.is_ascii_digit()).unwrap_or(text.len());
    (1..=10).contains(&end).then(|| text.split_at(end))
}
