//! The seasonal profile: how much more a Monday has than the week around it.

use super::cumulative::Cumulative;
use super::order::float;

/// Profiles that run side by side; the one that foretold best is taken.
const RATES: usize = 4;

/// What the newest cycle weighs in each of them, for weeks and days, and for years, of which there are fewer.
const RATES_OF_MANY: [f64; RATES] = [0.02, 0.05, 0.1, 0.25];
const RATES_OF_FEW: [f64; RATES] = [0.1, 0.2, 0.3, 0.4];

/// Cycles from which on a season counts as one of many.
const MANY: usize = 16;

/// Occurrences of a phase before its profile is trusted to judge the history with.
const SETTLED: f64 = 8.0;

/// The shortest season whose neighbouring phases are alike: weeks of a year.
const SMOOTH_FROM: usize = 48;

/// How much of the spread between phases is laid to chance, in units of what chance alone is expected to give.
const CAUTION: f64 = 1.5;

/// The profile of a season, to be added on the scale of the forecast; sums to about zero.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// What each phase has more than the level in the next cycle; shape: one for each phase.
    pub(super) phases: Vec<f64>,
    /// What was taken for the season at each position of the history, as far as known at the time; shape: one for each value.
    pub(super) taken: Vec<f64>,
    sums: Cumulative,
    deviations: Vec<f64>,
    running: Vec<Phase>,
    smooth: Vec<f64>,
}

/// One phase of the season.
#[derive(Debug, Clone, Copy, Default)]
struct Phase {
    /// Its occurrences so far.
    seen: f64,
    /// Its profile at each rate.
    levels: [f64; RATES],
    /// The same once it was settled.
    settled: [f64; RATES],
}

impl Profile {
    /// Learns the profile from values (NaN is missing), zero where there are less than two cycles.
    ///
    /// Deviations from a centred moving average (Persons 1919), smoothed from cycle to cycle (Winters 1960) at the rate
    /// whose profile foretold the next cycle best; then shrunk toward zero by what chance alone would give (James & Stein
    /// 1961), which takes the place of a test for a season.
    pub(super) fn learn(&mut self, values: &[f64], season: usize) {
        self.phases.clear();
        self.phases.resize(season, 0.0);
        self.taken.clear();
        self.taken.resize(values.len(), 0.0);
        if season < 2 || values.len() < 2 * season {
            return;
        }
        self.sums.fill(values);
        let is_one_of_many = values.len() >= MANY * season;
        let rates = if is_one_of_many { RATES_OF_MANY } else { RATES_OF_FEW };
        let Some((chosen, variance)) = self.run(values, season, rates) else {
            return;
        };
        for (phase, running) in self.phases.iter_mut().zip(&self.running) {
            *phase = running.levels[chosen];
        }
        let share = self.shrink(variance, rates[chosen]);
        if is_one_of_many {
            self.take_as_known(season, chosen, rates[chosen], share);
        } else {
            self.taken.iter_mut().zip(self.phases.iter().cycle()).for_each(|(taken, phase)| *taken = *phase);
        }
    }

    /// Runs the profiles through the history; returns the best and the mean square of its errors, none where nothing was
    /// foretold.
    fn run(&mut self, values: &[f64], season: usize, rates: [f64; RATES]) -> Option<(usize, f64)> {
        self.running.clear();
        self.running.resize(season, Phase::default());
        self.deviations.clear();
        let (mut losses, mut squares, mut count) = ([0.0; RATES], [0.0; RATES], 0.0);
        // A window that lacks a Sunday is no measure for the other days of its week.
        let whole = (0..values.len()).filter_map(|at| Some(window(&self.sums, at, season)?.1)).fold(0.0, f64::max);
        let mut phase = 0;
        for (position, value) in values.iter().enumerate() {
            let running = &mut self.running[phase];
            phase = if phase + 1 == season { 0 } else { phase + 1 };
            let level = window(&self.sums, position, season).filter(|(_, count)| *count >= whole);
            let deviation = level.map_or(f64::NAN, |(sum, count)| value - sum / count);
            self.deviations.push(deviation);
            if deviation.is_nan() {
                continue;
            }
            running.seen += 1.0;
            let is_first = running.seen < 1.5;
            for index in 0..RATES {
                let error = deviation - running.levels[index];
                running.levels[index] += error * rates[index].max(1.0 / running.seen);
                if !is_first {
                    losses[index] += error.abs();
                    squares[index] += error * error;
                }
            }
            if running.seen <= SETTLED {
                running.settled = running.levels;
            }
            if !is_first {
                count += 1.0;
            }
        }
        let chosen = (0..RATES).min_by(|a, b| losses[*a].total_cmp(&losses[*b]))?;
        (count > 0.0).then(|| (chosen, squares[chosen] / count))
    }

    /// Shrinks the phases toward zero by the share of their spread that chance explains; returns what is left.
    fn shrink(&mut self, variance: f64, rate: f64) -> f64 {
        let count = self.phases.len();
        let mut chance = CAUTION * variance;
        if count >= SMOOTH_FROM {
            // A weighted mean of three phases has 3/8 of the variance of one.
            chance *= 0.375;
            self.smooth.clear();
            self.smooth.extend((0..count).map(|index| {
                let (before, after) = (self.phases[(index + count - 1) % count], self.phases[(index + 1) % count]);
                0.5 * self.phases[index] + 0.25 * (before + after)
            }));
            self.phases.copy_from_slice(&self.smooth);
        }
        let seen = |running: &Phase| running.seen > 0.0;
        let present = self.running.iter().filter(|running| seen(running)).count();
        if present < 2 {
            self.phases.fill(0.0);
            return 0.0;
        }
        let mean = self.phases.iter().sum::<f64>() / float(present);
        let (mut signal, mut noise) = (0.0, 0.0);
        for (phase, running) in self.phases.iter_mut().zip(&self.running).filter(|(_, running)| seen(running)) {
            *phase -= mean;
            signal += *phase * *phase;
            noise += chance * (1.0 / running.seen).max(rate / (2.0 - rate));
        }
        let share = if signal > 0.0 { (1.0 - noise / signal).max(0.0) } else { 0.0 };
        self.phases.iter_mut().for_each(|phase| *phase *= share);
        share
    }

    /// Takes the season out of the history by what was known of it before each value, so that the errors made there are
    /// those that would have been made: a profile that knows the future makes intervals too narrow, one that has moved on
    /// since makes them too wide.
    fn take_as_known(&mut self, season: usize, chosen: usize, rate: f64, share: f64) {
        for running in &mut self.running {
            running.seen = 0.0;
            running.levels[chosen] = running.settled[chosen];
        }
        for (position, (taken, deviation)) in self.taken.iter_mut().zip(&self.deviations).enumerate() {
            let running = &mut self.running[position % season];
            *taken = share * running.levels[chosen];
            if !deviation.is_nan() {
                running.seen += 1.0;
                if running.seen > SETTLED {
                    running.levels[chosen] += (deviation - running.levels[chosen]) * rate.max(1.0 / running.seen);
                }
            }
        }
    }
}

/// The sum and the count of the values in one season centred on a position, none near the ends.
fn window(sums: &Cumulative, position: usize, season: usize) -> Option<(f64, f64)> {
    let half = season / 2;
    let (first, last) = (position.checked_sub(half)?, position + half);
    if last >= sums.rows() {
        return None;
    }
    let (sum, count) = sums.between(first, last + 1);
    if season % 2 == 1 {
        return Some((sum, count));
    }
    // An even season covers one phase twice, at half weight each.
    let inner = sums.between(first + 1, last);
    Some((sum.midpoint(inner.0), count.midpoint(inner.1)))
}
