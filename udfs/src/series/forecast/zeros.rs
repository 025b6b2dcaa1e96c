//! Weekdays (or hours) that are always zero, and those that are zero more often than not.

use super::order::float;

/// Occurrences of a phase that are looked at to call it closed, the newest first.
const CLOSED_RECENT: usize = 26;

/// Occurrences it takes to call a phase closed, the newest of which are zero without exception.
const CLOSED_ENOUGH: usize = 4;

/// Of the occurrences looked at, the share that may be other than zero: one sale on a Saturday of two years.
const CLOSED_EXCEPTIONS: f64 = 0.05;

/// Occurrences of a phase that are looked at to find its median zero.
const IDLE_RECENT: usize = 16;

/// The share of zeros in all phases counts as much as this many occurrences of the phase itself.
const IDLE_PRIOR: f64 = 4.0;

/// Cycles in which zeros have to be frequent still, and how frequent: what has come to life again is not idle.
const IDLE_NEWEST: usize = 4;
const IDLE_STILL: f64 = 0.35;

/// Rows of zeros at the end, closed phases left out, after which more of them are likelier than not; a cycle if that is
/// longer, but not a year.
const ENDED_ROWS: usize = 14;
const ENDED_ROWS_MAX: usize = 24;

/// Phases of the season by how often they are zero; shape: one flag for each phase.
#[derive(Debug, Default)]
pub(super) struct Zeros {
    /// Zero almost always while others are not: a shop closed on Saturdays. Forecast as exactly zero and left out of all else.
    pub(super) closed: Vec<bool>,
    /// Zero more often than not, so that the median is zero: a customer who orders now and then.
    pub(super) idle: Vec<bool>,
}

impl Zeros {
    /// Finds both kinds. Where every phase is closed none is: then the series has ended, which the level tells.
    pub(super) fn find(&mut self, values: &[f64], season: usize) {
        self.closed.clear();
        self.closed.extend((0..season).map(|phase| is_closed(values, season, phase)));
        if self.closed.iter().all(|closed| *closed) {
            self.closed.fill(false);
        }
        self.find_idle(values, season);
    }

    fn find_idle(&mut self, values: &[f64], season: usize) {
        let (mut seen, mut zeros, mut newest) = (0usize, 0usize, 0.0);
        for (position, value) in values.iter().enumerate().rev() {
            if seen == IDLE_RECENT * season {
                break;
            }
            if value.is_nan() || self.closed[position % season] {
                continue;
            }
            seen += 1;
            zeros += usize::from(*value == 0.0);
            if seen <= IDLE_NEWEST * season {
                newest = float(zeros) / float(seen);
            }
        }
        self.idle.clear();
        self.idle.resize(season, false);
        if self.has_ended(values, season) {
            self.idle.fill(true);
            return;
        }
        if newest <= IDLE_STILL {
            return;
        }
        let overall = float(zeros) / float(seen.max(1));
        for (phase, idle) in self.idle.iter_mut().enumerate() {
            let recent = newest_of_phase(values, season, phase).take(IDLE_RECENT);
            let (seen, zeros) = recent
                .fold((0.0, 0.0), |(seen, zeros), value| (seen + 1.0, if value == 0.0 { zeros + 1.0 } else { zeros }));
            *idle = (zeros + IDLE_PRIOR * overall) / (seen + IDLE_PRIOR) > 0.5;
        }
    }

    /// Whether the series has come to an end: a service that was shut down.
    fn has_ended(&self, values: &[f64], season: usize) -> bool {
        let enough = season.clamp(ENDED_ROWS, ENDED_ROWS_MAX);
        let open = values.iter().enumerate().rev().filter(|(at, value)| !value.is_nan() && !self.closed[at % season]);
        open.take_while(|(_, value)| **value == 0.0).take(enough).count() == enough
    }
}

fn is_closed(values: &[f64], season: usize, phase: usize) -> bool {
    let (mut seen, mut others) = (0, 0);
    for value in newest_of_phase(values, season, phase).take(CLOSED_RECENT) {
        seen += 1;
        if value != 0.0 {
            if seen <= CLOSED_ENOUGH {
                return false;
            }
            others += 1;
        }
    }
    seen >= CLOSED_ENOUGH && float(others) <= CLOSED_EXCEPTIONS * float(seen)
}

/// The values of one phase that are there, from the newest back.
fn newest_of_phase(values: &[f64], season: usize, phase: usize) -> impl Iterator<Item = f64> {
    values.iter().skip(phase).step_by(season).rev().copied().filter(|value| !value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(values: &[f64], season: usize) -> Zeros {
        let mut zeros = Zeros::default();
        zeros.find(values, season);
        zeros
    }

    #[test]
    fn a_phase_that_is_always_zero_is_closed() {
        let values: Vec<f64> = (0..40).map(|row| if row % 2 == 1 { 0.0 } else { 5.0 }).collect();
        let zeros = find(&values, 2);
        assert_eq!((zeros.closed, zeros.idle), (vec![false, true], vec![false, false]));
    }

    #[test]
    fn a_phase_that_opened_lately_is_not_closed() {
        let mut values: Vec<f64> = (0..40).map(|row| if row % 2 == 1 { 0.0 } else { 5.0 }).collect();
        values[35] = 1.0;
        assert_eq!(find(&values, 2).closed, [false, false]);
    }

    #[test]
    fn a_phase_that_is_mostly_zero_is_idle() {
        // Of ten rows of a season of one, six are zero; lately as often.
        let values: Vec<f64> = (0..20).map(|row| if row % 5 < 3 { 0.0 } else { 5.0 }).collect();
        let zeros = find(&values, 1);
        assert_eq!((zeros.closed, zeros.idle), (vec![false], vec![true]));
    }

    #[test]
    fn a_service_that_was_shut_down_stays_so() {
        let mut values = vec![5.0; 60];
        values[47..].fill(0.0);
        assert_eq!(find(&values, 7).idle, [false; 7]);
        values[46] = 0.0;
        assert_eq!(find(&values, 7).idle, [true; 7]);
    }

    #[test]
    fn a_service_that_came_back_is_not_idle() {
        let mut values = vec![0.0; 20];
        values[16..].fill(5.0);
        assert_eq!(find(&values, 1).idle, [false]);
    }
}
