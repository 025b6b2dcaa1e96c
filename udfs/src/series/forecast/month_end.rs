//! Ends of months: batch runs, invoices, the closing of books.

use super::effects::{History, factor};
use crate::series::{Calendar, Frequency};

/// Days next to a month's end that may differ: the last, the last but one, the last but two, and the first.
const DAYS: usize = 4;

/// Months it takes to know.
const ENOUGH: usize = 2;

/// Months that are looked at, the newest first.
const RECENT: usize = 36;

/// Multiplies the factors of the days next to a month's end by what they were in earlier months, each day on its own.
///
/// `factors` has one entry for each position of history and horizon; other days and other grids than days stay as they are.
pub(super) fn apply(calendar: &Calendar, history: History<'_>, noise: f64, factors: &mut [f64]) {
    if calendar.frequency != Frequency::Day {
        return;
    }
    let mut ratios = [[0.0; RECENT]; DAYS];
    let mut counts = [0usize; DAYS];
    for (position, day) in days(calendar, history.values.len()) {
        if let Some(ratio) = history.ratio(position) {
            // Full: the oldest month is written over.
            ratios[day][counts[day] % RECENT] = ratio;
            counts[day] += 1;
        }
    }
    let mut found = [1.0; DAYS];
    for day in 0..DAYS {
        if counts[day] >= ENOUGH {
            found[day] = factor(&mut ratios[day][..counts[day].min(RECENT)], noise);
        }
    }
    if found != [1.0; DAYS] {
        for (position, day) in days(calendar, factors.len()) {
            factors[position] *= found[day];
        }
    }
}

/// The positions below `end` that lie next to a month's end, and which of its days they are.
fn days(calendar: &Calendar, end: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut month = 0;
    std::iter::from_fn(move || {
        if month >= end {
            return None;
        }
        let first = month;
        let (days_left, day) = calendar.day_of_month(first);
        let days_left = usize::try_from(days_left).unwrap_or_default();
        month = first + days_left + 1;
        let last_three =
            (0..3).filter(move |back| *back <= days_left).map(move |back| (first + days_left - back, back));
        let first_day = (day == 1).then_some((first, 3));
        Some(last_three.chain(first_day).filter(move |(position, _)| *position < end))
    })
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-30, days since 1970: 56 years of 365 days, 14 leap days (1972 to 2024), 29 days of January.
    const CALENDAR: Calendar = Calendar { first: 56 * 365 + 14 + 29, frequency: Frequency::Day };

    #[test]
    fn days_next_to_a_month_end_are_found() {
        // 30 and 31 January, 1, 26, 27 and 28 February, 1 March.
        let mut found: Vec<_> = days(&CALENDAR, 31).collect();
        found.sort_unstable();
        assert_eq!(found, [(0, 1), (1, 0), (2, 3), (27, 2), (28, 1), (29, 0), (30, 3)]);
    }

    #[test]
    fn a_run_on_every_last_day_is_learned() {
        let rows = 91;
        let usual = vec![10.0; rows];
        let mut values = usual.clone();
        // The last of January, February, March lie at 1, 29, 60, that of April at 90.
        for position in [1, 29, 60] {
            values[position] = 30.0;
        }
        let mut factors = vec![1.0; rows];
        apply(&CALENDAR, History { values: &values[..80], usual: &usual[..80] }, 0.01, &mut factors);
        let changed: Vec<_> = (0..rows).filter(|position| factors[*position] != 1.0).collect();
        assert_eq!(changed, [1, 29, 60, 90]);
        assert_eq!(factors[90], 3.0);
    }

    #[test]
    fn one_month_is_no_evidence() {
        let usual = vec![10.0; 20];
        let mut values = usual.clone();
        values[1] = 30.0;
        let mut factors = vec![1.0; 40];
        apply(&CALENDAR, History { values: &values, usual: &usual }, 0.01, &mut factors);
        assert_eq!(factors, vec![1.0; 40]);
    }
}
