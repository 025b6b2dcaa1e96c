//! Dates, times and timestamps between the engine's epoch of 1970 and Postgres' forms.
//!
//! Text is ISO 8601 as `DateStyle ISO` writes it (`2026-03-01 00:59:59.5+01`, years before 1 as `0044-03-15 BC`); binary is days
//! or microseconds since 2000-01-01. Everything is microseconds inside: Postgres has no finer unit, nanoseconds are cut.

pub(crate) use ratehouse_udfs::datetime::{
    DAY_US, Zone, parse_date, parse_time, parse_timestamp, parse_timestamptz, write_date, write_time, write_timestamp,
    write_timestamptz,
};

use crate::wire::backend::Failure;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_US: i64 = EPOCH_DAYS * DAY_US;

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
