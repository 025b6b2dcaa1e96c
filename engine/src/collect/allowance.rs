//! A token bucket an account, kept in the catalog: a restart gives nobody more calls.

use chrono::{DateTime, TimeDelta, Utc};

use super::clock;
use crate::catalog::{Allowance, Catalog, CatalogError};

const CALL: i64 = 1_000_000;
const HOUR_US: i64 = 3_600_000_000;

/// How a bucket of so many calls an hour fills: a fifth may be made at once, the rest comes evenly. So no hour, wherever it
/// begins, has more calls than the limit.
fn shape(per_hour: i64) -> (i64, i64) {
    let at_once = (per_hour / 5).max(1);
    (at_once * CALL, (per_hour - at_once) * CALL)
}

/// Takes one call from an allowance; the error is how long to wait for one.
fn take(held: Option<(i64, DateTime<Utc>)>, per_hour: i64, now: DateTime<Utc>) -> Result<i64, TimeDelta> {
    let (full, an_hour) = shape(per_hour);
    let present = held.map_or(full, |(millionths, counted_at)| {
        // A clock that was set back gives nothing.
        let passed = (now - counted_at).num_microseconds().unwrap_or(HOUR_US).clamp(0, HOUR_US);
        let filled = i128::from(passed) * i128::from(an_hour) / i128::from(HOUR_US);
        full.min(millionths.saturating_add(i64::try_from(filled).unwrap_or(full)))
    });
    if present >= CALL {
        return Ok(present - CALL);
    }
    let missing = i128::from(CALL - present) * i128::from(HOUR_US);
    let wait = (missing + i128::from(an_hour) - 1) / i128::from(an_hour);
    Err(TimeDelta::microseconds(i64::try_from(wait).unwrap_or(HOUR_US)))
}

/// Takes one call of an account; gives how long to wait if it has none.
///
/// # Errors
/// When the catalog cannot be written.
pub(super) fn take_call(
    catalog: &Catalog,
    account: &str,
    per_hour: i64,
    now: DateTime<Utc>,
) -> Result<Option<TimeDelta>, CatalogError> {
    catalog.remember(|tx| {
        let held = Allowance::of(tx, account)?;
        let held = held.and_then(|held| Some((held.millionths, clock::instant(&held.counted_at)?)));
        match take(held, per_hour, now) {
            Ok(millionths) => {
                Allowance { millionths, counted_at: clock::text(now) }.keep(tx, account)?;
                Ok(None)
            }
            Err(wait) => Ok(Some(wait)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls as soon as they are allowed, for three hours; gives when.
    fn greedy(per_hour: i64) -> Vec<i64> {
        let start = DateTime::UNIX_EPOCH;
        let (mut now, mut held, mut calls) = (start, None, Vec::new());
        while now - start < TimeDelta::hours(3) {
            match take(held, per_hour, now) {
                Ok(left) => {
                    held = Some((left, now));
                    calls.push((now - start).num_microseconds().expect("hours"));
                }
                Err(wait) => now += wait,
            }
        }
        calls
    }

    #[test]
    fn no_hour_has_more_calls_than_the_limit() {
        for per_hour in [2, 3, 7, 100, 4_000] {
            let calls = greedy(per_hour);
            for (at, first) in calls.iter().enumerate() {
                let within = calls[at..].iter().take_while(|call| **call - first < HOUR_US).count();
                assert!(i64::try_from(within).expect("few") <= per_hour, "{per_hour}: {within} from {first}");
            }
            // Of three hours' worth, at least four fifths of the rate is used: at least half for 2 an hour.
            assert!(i64::try_from(calls.len()).expect("few") >= 3 * per_hour / 2, "{per_hour}: {}", calls.len());
        }
    }

    #[test]
    fn a_hundred_an_hour_are_twenty_at_once_and_then_one_in_45_seconds() {
        let calls = greedy(100);
        assert_eq!(calls[19], 0);
        // 80 an hour are one in 3,600 / 80 = 45 seconds.
        assert_eq!(calls[20], 45_000_000);
        assert_eq!(calls[21], 90_000_000);
    }
}
