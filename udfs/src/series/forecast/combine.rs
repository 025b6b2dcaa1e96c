//! The combination of simple methods that is the forecast.

use super::order::float;
use super::smoothing::{self, KEPT, LEADS, State};
use super::theta::Line;

/// Weights of the damped trends, of Theta and of the recent mean.
const DAMPED: f64 = 0.4;
const THETA: f64 = 0.4;
const RECENT: f64 = 0.2;

/// What the combination is fitted to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit<'a> {
    /// Values without their season, NaN where missing.
    pub(super) values: &'a [f64],
    /// Rows of the recent mean.
    pub(super) recent: usize,
    /// Rows before the first origin at which errors count.
    pub(super) warm_up: usize,
    /// Rows to forecast.
    pub(super) horizon: usize,
}

/// The mean of the three best damped trends, of a Theta forecast and of the recent mean, as they were at each position.
///
/// Combining beats choosing (Makridakis, Spiliotis & Assimakopoulos 2020, "The M4 competition"; Petropoulos & Svetunkov
/// 2020, "A simple combination of univariate models"), so the weights are fixed.
#[derive(Debug, Default)]
pub(super) struct Combination {
    /// Level, all methods together; shape: one for each position.
    levels: Vec<f64>,
    /// Weighted trends of the damped methods, then Theta's drift, a step; shape: one for each position.
    trends: Vec<([f64; KEPT], f64)>,
    /// Times each trend is added; shape: one for each lead.
    steps: Vec<[f64; KEPT]>,
}

impl Combination {
    /// Fits every method: 18 passes side by side, then one for the four that are kept.
    pub(super) fn fit(&mut self, fit: Fit<'_>) {
        let Fit { values, recent, warm_up, horizon } = fit;
        let leads: [usize; LEADS] = [1, horizon.div_ceil(4), horizon.div_ceil(2), horizon];
        let start = smoothing::start(values);
        let losses = smoothing::losses(values, start, leads, warm_up);
        let kept = smoothing::best(&losses);
        let simple = smoothing::best_without_trend(&losses);
        smoothing::damped_steps(kept, horizon, &mut self.steps);
        self.levels.clear();
        self.trends.clear();
        let mut states = [State { level: start, trend: 0.0 }; KEPT];
        let mut simple_state = State { level: start, trend: 0.0 };
        let mut line = Line::default();
        let (mut recent_sum, mut recent_count) = (0.0, 0usize);
        for (position, &value) in values.iter().enumerate() {
            for (state, smoothing) in states.iter_mut().zip(kept) {
                *state = smoothing.next(*state, value);
            }
            simple_state = simple.next(simple_state, value);
            line.add(position, value);
            if !value.is_nan() {
                recent_sum += value;
                recent_count += 1;
            }
            if let Some(old) = position.checked_sub(recent).map(|old| values[old]).filter(|old| !old.is_nan()) {
                recent_sum -= old;
                recent_count -= 1;
            }
            let damped = states.iter().map(|state| state.level).sum::<f64>() / float(KEPT);
            let mean = if recent_count > 0 { recent_sum / float(recent_count) } else { simple_state.level };
            self.levels.push(DAMPED * damped + THETA * simple_state.level + RECENT * mean);
            self.trends.push((states.map(|state| DAMPED / float(KEPT) * state.trend), THETA * line.drift()));
        }
    }

    /// The forecast for a lead (from 1) as made at a position, without season.
    pub(super) fn at(&self, origin: usize, lead: usize) -> f64 {
        let (trends, drift) = &self.trends[origin];
        let damped: f64 = trends.iter().zip(&self.steps[lead - 1]).map(|(trend, step)| trend * step).sum();
        self.levels[origin] + damped + drift * float(lead)
    }
}
