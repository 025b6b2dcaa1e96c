//! What the forecast missed at the same time a year before.

use super::combine::Combination;
use super::cumulative::Cumulative;
use crate::series::Frequency;

/// Days on either side over which last year's errors are averaged: a holiday moves against the weekdays.
const SMOOTH: usize = 3;

/// Rows before the first origin whose errors are worth remembering.
const SETTLED: usize = 14;

/// Every so many origins and leads are enough to learn from.
const STEP: usize = 3;

/// Errors that count as not repeated before any is seen: a ridge (Hoerl & Kennard 1970) toward no yearly season.
const DOUBT: f64 = 150.0;

/// Errors it takes to learn from.
const ENOUGH: f64 = 30.0;

/// Last year's errors and how far they repeat.
///
/// A daily series has a week for its season; its summers, its Christmas and its ends of quarters are found here, by regressing
/// the errors of the combination on those made at the same date a year before (whole weeks, so that Mondays meet Mondays).
/// One coefficient for all leads: one or two years know no more.
#[derive(Debug, Default)]
pub(super) struct LastYear {
    rows: usize,
    /// How much of last year's error repeats, 0 to 1.
    share: f64,
    sums: Cumulative,
}

impl LastYear {
    /// Learns how much repeats; nothing where a year is the season itself or the history is too short.
    ///
    /// `values` are free of their season, NaN where missing, the first at `start`.
    pub(super) fn learn(
        &mut self,
        frequency: Frequency,
        values: &[f64],
        start: usize,
        horizon: usize,
        combination: &Combination,
    ) {
        self.share = 0.0;
        self.rows = match frequency {
            Frequency::Day => 364,
            // A year of hours is not kept, a year of weeks or months is the season.
            Frequency::Hour | Frequency::Week | Frequency::Month => return,
        };
        let first = start + SETTLED + self.rows;
        if values.len() < first + horizon || horizon + SMOOTH >= self.rows {
            return;
        }
        self.sums.fill(values);
        let (mut product, mut square, mut square_now, mut count) = (0.0, 0.0, 0.0, 0.0);
        for origin in (first..values.len() - 1).rev().step_by(STEP) {
            // Another third of the leads at each origin, so that all are met.
            let leads = (1 + origin / STEP % STEP..=horizon.min(values.len() - 1 - origin)).step_by(STEP);
            for lead in leads {
                let now = values[origin + lead] - combination.at(origin, lead);
                if now.is_nan() {
                    continue;
                }
                let then = self.error(origin, lead, combination);
                product += now * then;
                square += then * then;
                square_now += now * now;
                count += 1.0;
            }
        }
        if count >= ENOUGH && square_now > 0.0 {
            self.share = (product / (square + DOUBT * square_now / count)).clamp(0.0, 1.0);
        }
    }

    /// The smoothed error of a year before; 0 where there is none.
    fn error(&self, origin: usize, lead: usize, combination: &Combination) -> f64 {
        let Some(before) = origin.checked_sub(self.rows) else {
            return 0.0;
        };
        let at = before + lead;
        let (sum, count) = self.sums.between(at.saturating_sub(SMOOTH), (at + SMOOTH + 1).min(self.sums.rows()));
        if count > 0.0 { sum / count - combination.at(before, lead) } else { 0.0 }
    }

    /// What to add to the forecast for a lead made at an origin.
    pub(super) fn correction(&self, origin: usize, lead: usize, combination: &Combination) -> f64 {
        if self.share == 0.0 || origin < self.rows + SETTLED {
            return 0.0;
        }
        self.share * self.error(origin, lead, combination)
    }
}
