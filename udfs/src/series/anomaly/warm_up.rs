//! The first weeks, from which everything else starts.

use super::codec::Fields;
use super::deviation::{deviation, unit};
use super::profile::SEASON_MAX;
use super::ring::{Ring, median};

/// The most values kept.
const VALUES_MAX: usize = 48;

/// The first values of a series, until there are enough to start from.
#[derive(Debug, Clone, Default)]
pub(super) struct WarmUp {
    values: Ring<VALUES_MAX>,
}

/// What the first values say.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// The typical value of each phase, in the unit of the series.
    pub(super) typical: [f64; SEASON_MAX],
    /// The share of values other than zero of each phase.
    pub(super) active: [f64; SEASON_MAX],
    /// The median of the values other than zero.
    pub(super) active_level: f64,
    /// The standard deviation of errors around `typical`, relative.
    pub(super) noise: f64,
    /// The same around `active_level`, of values other than zero.
    pub(super) active_noise: f64,
    /// Values of each phase.
    pub(super) seasons: f64,
}

/// How many values a series starts from: three weeks of days (so that one incident is outvoted), two days of hours, eight weeks
/// or months.
fn values_needed(season: usize) -> usize {
    if season == 1 { 8 } else { (3 * season).min(VALUES_MAX) }
}

impl WarmUp {
    /// Adds a value, NaN where it is missing.
    pub(super) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Whether most values are below zero: a series of credits, to be seen in the mirror.
    pub(super) fn is_negative(&self) -> bool {
        let (below, above) = self
            .values
            .unordered()
            .fold((0, 0), |(below, above), value| (below + u32::from(value < 0.0), above + u32::from(value > 0.0)));
        below > above
    }

    /// Sees everything before in the light of a planned change, or in the mirror.
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        self.values.map(change);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.values.clear();
    }

    /// What the values say, once there are enough; `phase` is that of the latest.
    pub(super) fn start(&self, phase: usize, season: usize) -> Option<Start> {
        let needed = values_needed(season);
        let known = self.values.unordered().filter(|value| value.is_finite()).count();
        let active = || self.values.unordered().filter(|value| value.is_finite() && *value != 0.0);
        if self.values.len() < needed || 3 * known < 2 * needed || active().count() < 3 {
            return None;
        }
        let active_level = median::<VALUES_MAX>(active())?;
        let mut start = Start {
            typical: [active_level; SEASON_MAX],
            active: [1.0; SEASON_MAX],
            active_level,
            noise: 0.0,
            active_noise: 0.0,
            seasons: needed as f64 / season as f64,
        };
        let of_phase = |index: usize| {
            let first_age = (phase + season - index) % season;
            (first_age..needed).step_by(season).filter_map(|age| self.values.ago(age)).filter(|value| value.is_finite())
        };
        for index in 0..season {
            if let Some(typical) = median::<VALUES_MAX>(of_phase(index)) {
                start.typical[index] = typical.max(0.0);
                let count = of_phase(index).count() as f64;
                start.active[index] = of_phase(index).filter(|value| *value != 0.0).count() as f64 / count;
            }
        }
        let level = start.typical[..season].iter().sum::<f64>() / season as f64;
        if level > 0.0 {
            let errors = (0..season).flat_map(|index| {
                let expected = start.typical[index];
                of_phase(index).map(move |value| deviation(value, expected, unit(expected, level)).abs())
            });
            // The median of each phase is one of the values itself, which makes a third of the errors zero.
            start.noise = 2.2 * median::<VALUES_MAX>(errors).unwrap_or(0.0);
        }
        let errors = active().map(|value| deviation(value, active_level, active_level).abs());
        start.active_noise = 1.5 * median::<VALUES_MAX>(errors).unwrap_or(0.0);
        Some(start)
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        self.values.fields(fields);
    }
}
