//! Holidays, whose effect is learned from earlier ones of the same kind.

use super::effects::{History, factor};

/// Occurrences of a holiday that are looked at.
const RECENT: usize = 32;

/// A day of the calendar that may differ from its weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holiday {
    /// The position it falls on, in the history or in the horizon.
    pub position: usize,
    /// Which holiday it is: those of one kind are alike.
    pub kind: u32,
}

/// Multiplies the factors of holidays, of the days before and of those after them by what they were at earlier holidays of
/// the kind. A single one is enough where the difference is plain, or nothing would be known of what comes once a year.
///
/// `factors` has one entry for each position of history and horizon.
pub(super) fn apply(holidays: &[Holiday], history: History<'_>, noise: f64, factors: &mut [f64]) {
    for (index, holiday) in holidays.iter().enumerate() {
        // Each kind once, at its first mention.
        if holidays[..index].iter().any(|earlier| earlier.kind == holiday.kind) {
            continue;
        }
        for day in [Day::Before, Day::Itself, Day::After] {
            let positions = || {
                let of_kind = holidays.iter().filter(|other| other.kind == holiday.kind);
                of_kind.filter_map(move |other| day.position(other.position)).filter(move |position| {
                    // A day next to a holiday that is one itself shows the effect of its own kind.
                    day == Day::Itself || holidays.iter().all(|other| other.position != *position)
                })
            };
            let mut ratios = [0.0; RECENT];
            let mut count = 0;
            for ratio in positions().filter_map(|position| history.ratio(position)) {
                ratios[count % RECENT] = ratio;
                count += 1;
            }
            let factor = factor(&mut ratios[..count.min(RECENT)], noise);
            for position in positions() {
                if let Some(known) = factors.get_mut(position) {
                    *known *= factor;
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Before,
    Itself,
    After,
}

impl Day {
    fn position(self, holiday: usize) -> Option<usize> {
        match self {
            Self::Before => holiday.checked_sub(1),
            Self::Itself => Some(holiday),
            Self::After => holiday.checked_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_holiday_is_zero_the_next_time_and_the_rush_before_it_returns() {
        let usual = vec![10.0; 50];
        let mut values = usual.clone();
        (values[19], values[20]) = (15.0, 0.0);
        let mut factors = vec![1.0; 70];
        let holidays = [Holiday { position: 20, kind: 1 }, Holiday { position: 60, kind: 1 }];
        apply(&holidays, History { values: &values, usual: &usual }, 0.02, &mut factors);
        assert_eq!((factors[58], factors[59], factors[60], factors[61]), (1.0, 1.5, 0.0, 1.0));
    }

    #[test]
    fn another_kind_is_not_affected() {
        let usual = vec![10.0; 50];
        let mut values = usual.clone();
        values[20] = 0.0;
        let mut factors = vec![1.0; 70];
        let holidays = [Holiday { position: 20, kind: 1 }, Holiday { position: 60, kind: 2 }];
        apply(&holidays, History { values: &values, usual: &usual }, 0.02, &mut factors);
        assert_eq!(factors[60], 1.0);
    }
}
