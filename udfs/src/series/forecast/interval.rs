//! How far off the forecast was at earlier origins, and so how far off it may be.

use super::order::{float, quantile};

/// Origins at which errors are collected.
const ORIGINS: usize = 120;

/// Leads at each origin.
const LEADS: usize = 14;

/// Pools of leads: the nearer quarter of the horizon errs less than the farther.
const POOLS: usize = 4;

/// Fewer errors than this make no pool.
const ENOUGH: usize = 12;

/// Rows by which errors of a fit to few values are too small: the intervals are widened by this many over those there are.
const SCARCITY_ROWS: f64 = 25.0;

/// Fewer rows than this are a short history.
const SHORT_ROWS: f64 = 120.0;

/// Quantiles that stand for all errors where a mean over them is taken.
const REPRESENTATIVES: usize = 20;

/// Horizons of history that the mean error, and the median's distance from it, must be seen in to be believed by half.
const BELIEVE_MEAN: f64 = 10.0;
const BELIEVE_MEDIAN: f64 = 3.0;

/// Errors of the same combination at earlier origins, pooled over neighbouring leads.
///
/// In the manner of split conformal prediction (Vovk, Gammerman & Shafer 2005; Lei et al. 2018): the interval is a pair of
/// quantiles of errors that were really made, not of a distribution that is assumed. They are widened a little, because the
/// combination and the profile were chosen on the same history.
#[derive(Debug, Default)]
pub(super) struct Errors {
    pools: [Pool; POOLS],
    leads: usize,
    widening: f64,
}

/// The errors of neighbouring leads.
#[derive(Debug, Default)]
struct Pool {
    ascending: Vec<f64>,
    median: f64,
    /// What is added to the forecast, so that it errs as often up as down.
    centre: f64,
}

/// Where errors are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origins<'a> {
    /// Values on the scale of the forecast without their season, NaN where missing.
    pub(super) values: &'a [f64],
    /// Rows before the first value that is there.
    pub(super) start: usize,
    /// Rows before the first origin.
    pub(super) warm_up: usize,
    /// Rows to forecast.
    pub(super) horizon: usize,
    /// By how much more intervals are widened where the history is short, as a share.
    pub(super) widening_if_short: f64,
}

impl Errors {
    /// Collects the errors of `forecast(origin, lead)`.
    pub(super) fn collect(&mut self, origins: Origins<'_>, forecast: impl Fn(usize, usize) -> f64) {
        let Origins { values, start, warm_up, horizon, widening_if_short } = origins;
        self.pools.iter_mut().for_each(|pool| pool.ascending.clear());
        self.leads = horizon.div_ceil(POOLS).max(1);
        let rows = values.len();
        let step = rows.saturating_sub(warm_up).div_ceil(ORIGINS).max(1);
        let apart = horizon.div_ceil(LEADS).max(1);
        // From the newest origin back, so that the newest errors are always among those collected.
        for origin in (warm_up..rows.saturating_sub(1)).rev().step_by(step) {
            // Of a long horizon another part of the leads at each origin: there are errors enough.
            for lead in (1 + origin % apart..=horizon.min(rows - 1 - origin)).step_by(apart) {
                let error = values[origin + lead] - forecast(origin, lead);
                if !error.is_nan() {
                    self.pools[(lead - 1) / self.leads].ascending.push(error);
                }
            }
        }
        let horizons = float(rows.saturating_sub(warm_up)) / float(horizon.max(1));
        self.pools.iter_mut().for_each(|pool| pool.summarise(horizons));
        let length = float(rows - start);
        let if_short = if length < SHORT_ROWS { widening_if_short } else { 0.0 };
        self.widening = 1.0 + SCARCITY_ROWS / length + if_short;
    }

    /// The pool of a lead, or the last one before it that has enough errors, and by how much more it errs at that lead.
    fn pool(&self, lead: usize) -> (&Pool, f64) {
        let wanted = ((lead - 1) / self.leads).min(POOLS - 1);
        let found = (0..=wanted).rev().find(|pool| self.pools[*pool].ascending.len() >= ENOUGH).unwrap_or(0);
        // Errors of a level that wanders grow with the root of the lead.
        (&self.pools[found], (float(wanted + 1) / float(found + 1)).sqrt())
    }

    /// What to add at a lead for the value that is as likely too high as too low.
    pub(super) fn centre(&self, lead: usize) -> f64 {
        self.pool(lead).0.centre
    }

    /// The error at a lead below which a share of all errors lies.
    pub(super) fn at(&self, lead: usize, share: f64) -> f64 {
        let (pool, growth) = self.pool(lead);
        pool.centre + (quantile(&pool.ascending, share) - pool.centre) * self.widening * growth
    }

    /// The mean of a function of the error at a lead.
    pub(super) fn mean(&self, lead: usize, amount: impl Fn(f64) -> f64) -> f64 {
        let (pool, _) = self.pool(lead);
        let shift = pool.centre - pool.median;
        let count = pool.ascending.len();
        if count == 0 {
            return amount(0.0);
        }
        let sum: f64 = (0..REPRESENTATIVES)
            .map(|index| pool.ascending[(2 * index + 1) * count / (2 * REPRESENTATIVES)])
            .map(|error| amount(error + shift))
            .sum();
        sum / float(REPRESENTATIVES)
    }
}

impl Pool {
    /// Sorts the errors and finds their middle, `horizons` being how many horizons they span.
    ///
    /// The mean error tells of a trend that the combination was slow to follow and may not go on; it is believed only after
    /// many horizons. That the median lies off the mean tells of skewed values and is learned sooner.
    fn summarise(&mut self, horizons: f64) {
        self.ascending.sort_unstable_by(f64::total_cmp);
        self.median = quantile(&self.ascending, 0.5);
        let tenth = self.ascending.len() / 10;
        let inner = &self.ascending[tenth..self.ascending.len() - tenth];
        let mean = inner.iter().sum::<f64>() / float(inner.len().max(1));
        let believed = |doubt: f64| horizons / (horizons + doubt);
        self.centre = believed(BELIEVE_MEDIAN) * (self.median - mean) + believed(BELIEVE_MEAN) * mean;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_errors_widened_around_the_centre() {
        // One row ahead the last value errs by 1, 0, -1, 0 in turn, 25 times each from the second row to the last but one.
        let values: Vec<f64> = (0..102).map(|row| f64::from(row / 2 % 2)).collect();
        let mut errors = Errors::default();
        errors.collect(
            Origins { values: &values, start: 0, warm_up: 1, horizon: 1, widening_if_short: 0.45 },
            |origin, _| values[origin],
        );
        assert_eq!(errors.centre(1), 0.0);
        // Widened by 1 + 25/102, and by 0.45 for less than 120 rows.
        let wide = 1.45 + 25.0 / 102.0;
        assert!((errors.at(1, 0.975) - wide).abs() < 1e-12);
        assert!((errors.at(1, 0.025) + wide).abs() < 1e-12);
    }

    #[test]
    fn leads_without_errors_borrow_those_of_nearer_ones() {
        let values: Vec<f64> = (0..30).map(|row| f64::from(row * 7 % 5)).collect();
        let mut errors = Errors::default();
        errors.collect(
            Origins { values: &values, start: 0, warm_up: 10, horizon: 40, widening_if_short: 0.2 },
            |_, _| 2.0,
        );
        let (near, far) = (errors.at(1, 0.9) - errors.centre(1), errors.at(40, 0.9) - errors.centre(40));
        assert!(near > 0.0 && far >= near);
    }
}
