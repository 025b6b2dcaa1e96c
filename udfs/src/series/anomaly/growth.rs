//! Whether a series climbs week after week.

use super::codec::Fields;
use super::ring::{Ring, median};

/// Days of a week.
const WEEK: usize = 7;
/// Medians remembered: eight weeks and a day.
const DAYS: usize = 57;
/// Growth over four weeks that is too little to speak of, as a logarithm.
const GROWTH_MIN: f64 = 0.2;
/// Growth over four weeks must exceed this many noise widths of a day.
const NOISE_WIDTHS: f64 = 4.0;
/// The share of the growth that the first two of the four weeks must have seen, and the most they may: a step has all or none.
const FIRST_HALF: (f64, f64) = (0.2, 0.8);
/// Days between two alarms.
const REST_DAYS: u32 = 14;

/// The median of each week, of values freed from weekday and month end, so that a slow leak is seen that never makes a single
/// day unusual: the level follows it, and each day looks like the one before.
///
/// A Theil-Sen-like look at three points (Sen 1968): this week's median against those of two and of four weeks ago, less the
/// growth the series had in the four weeks before.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    days: Ring<WEEK>,
    medians: Ring<DAYS>,
    rest_days: u32,
}

impl Growth {
    /// Adds a day, freed from weekday and month end, in the unit of the series. Returns the evidence of an unusual climb
    /// relative to its threshold: 1 and more is an alarm.
    pub(super) fn advance(&mut self, value: f64, noise: f64) -> f64 {
        self.days.push(value);
        let Some(now) = median::<WEEK>(self.days.unordered()) else { return 0.0 };
        self.medians.push(now);
        self.rest_days = self.rest_days.saturating_sub(1);
        let (Some(middle), Some(before)) = (self.medians.ago(2 * WEEK), self.medians.ago(4 * WEEK)) else { return 0.0 };
        if self.rest_days > 0 || !(before > 0.0 && middle > before && now > middle) {
            return 0.0;
        }
        let growth = (now / before).ln();
        if growth < GROWTH_MIN {
            return 0.0;
        }
        let first_half = (middle / before).ln() / growth;
        if first_half < FIRST_HALF.0 || first_half > FIRST_HALF.1 {
            return 0.0;
        }
        (growth - self.own(before)) / GROWTH_MIN.max(NOISE_WIDTHS * noise)
    }

    /// The growth that the series had in the four weeks before `before`, as a logarithm.
    fn own(&self, before: f64) -> f64 {
        match self.medians.ago(8 * WEEK) {
            Some(long_before) if long_before > 0.0 => (before / long_before).ln().max(0.0),
            _ => 0.0,
        }
    }

    /// What there would be today had it not climbed more than before, as a part of what there is.
    pub(super) fn share_without(&self) -> f64 {
        match (self.medians.ago(0), self.medians.ago(4 * WEEK)) {
            (Some(now), Some(before)) if now > 0.0 && before > 0.0 => before * self.own(before).exp() / now,
            _ => 1.0,
        }
    }

    /// The median of the latest `days` values, at most a week of them.
    pub(super) fn recent(&self, days: usize) -> Option<f64> {
        median::<WEEK>((0..days.clamp(1, WEEK)).filter_map(|age| self.days.ago(age)))
    }

    /// Has raised an alarm: says nothing more for two weeks.
    pub(super) fn rest(&mut self) {
        self.rest_days = REST_DAYS;
    }

    /// Sees everything before in the light of a planned change.
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        self.days.map(&change);
        self.medians.map(&change);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        self.days.fields(fields);
        self.medians.fields(fields);
        fields.word(&mut self.rest_days);
    }
}
