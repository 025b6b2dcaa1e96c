//! When to ask again.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use rand::Rng;

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// Nobody is believed who says to come back later than this.
const RETRY_AFTER_MAX: TimeDelta = TimeDelta::hours(24);

/// Exponential backoff with full jitter: anything from nothing to the doubled bound, so that callers who failed together do not
/// come back together. `failures` counts from 1.
pub(crate) fn backoff(failures: i64, random: &mut impl Rng) -> Duration {
    let doublings = u32::try_from(failures.max(1) - 1).unwrap_or(u32::MAX).min(16);
    let bound = BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    Duration::from_millis(random.random_range(0..=u64::try_from(bound.as_millis()).unwrap_or(u64::MAX)))
}

/// How long `Retry-After` says to wait: seconds, or a date in any of the three forms of RFC 9110. Null if it says nothing that can
/// be understood.
pub(crate) fn retry_after(value: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = value.parse::<i64>().unwrap_or(i64::MAX).min(RETRY_AFTER_MAX.num_seconds());
        return Some(TimeDelta::seconds(seconds));
    }
    let at = DateTime::parse_from_rfc2822(value).map(|at| at.to_utc()).ok().or_else(|| {
        ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
            .into_iter()
            .find_map(|form| NaiveDateTime::parse_from_str(value, form).ok())
            .map(|at| at.and_utc())
    })?;
    Some((at - now).clamp(TimeDelta::zero(), RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_wait_is_anything_up_to_the_doubled_bound() {
        let mut random = StdRng::seed_from_u64(7);
        for (failures, bound) in [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (60, 300)] {
            let waits: Vec<Duration> = (0..2_000).map(|_| backoff(failures, &mut random)).collect();
            let bound = Duration::from_secs(bound);
            assert!(waits.iter().all(|wait| *wait <= bound), "{failures}");
            // Full jitter: a tenth of them lies in each tenth, give or take.
            assert!(waits.iter().any(|wait| *wait < bound / 20) && waits.iter().any(|wait| *wait > bound / 20 * 19));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:00Z".parse().expect("an instant");
        let after = |text| retry_after(text, now).map(|wait| wait.num_seconds());
        assert_eq!(after("120"), Some(120));
        // The example of RFC 9110 in its three forms, 37 seconds later.
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(37));
        assert_eq!(after("Sunday, 06-Nov-94 08:49:37 GMT"), Some(37));
        assert_eq!(after("Sun Nov  6 08:49:37 1994"), Some(37));
        assert_eq!(after("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0));
        assert_eq!(after("99999999999999999999"), Some(86_400));
        assert_eq!(after("Fri, 06 Nov 2054 08:49:37 GMT"), Some(86_400));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-5"), None);
    }
}
