//! Exponential smoothing with a damped trend, many candidates at once.

use super::order::float;

/// How many candidates run side by side.
pub(super) const CANDIDATES: usize = 18;

/// How many of them are averaged.
pub(super) const KEPT: usize = 3;

/// Leads at which candidates are judged.
pub(super) const LEADS: usize = 4;

/// Weights of the newest value in the level.
const LEVEL_WEIGHTS: [f64; 6] = [0.03, 0.07, 0.15, 0.3, 0.5, 0.8];

/// Weight of the newest change in the trend as a share of the level's, and how much of the trend is left a step later.
const TRENDS: [(f64, f64); 3] = [(0.0, 0.0), (0.1, 0.9), (0.1, 0.98)];

/// Rows in which the weight of an error falls to 1/e: what erred two years ago may be right today.
const FADING_ROWS: f64 = 200.0;

/// One candidate: Gardner & McKenzie (1985), "Forecasting trends in time series".
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Smoothing {
    /// Weight of the newest value in the level.
    alpha: f64,
    /// Weight of the newest change in the trend.
    beta: f64,
    /// What is left of the trend a step later; 0 is no trend at all (simple exponential smoothing).
    pub(super) phi: f64,
}

/// The state of a candidate after a value, on the scale of the forecast.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct State {
    /// The level.
    pub(super) level: f64,
    /// The trend a step.
    pub(super) trend: f64,
}

impl Smoothing {
    /// The candidate of an index below `CANDIDATES`; those of one trend lie next to each other, without one first.
    pub(super) fn candidate(index: usize) -> Self {
        let alpha = LEVEL_WEIGHTS[index % LEVEL_WEIGHTS.len()];
        let (share, phi) = TRENDS[index / LEVEL_WEIGHTS.len() % TRENDS.len()];
        Self { alpha, beta: share * alpha, phi }
    }

    /// The state after one more value; a missing value moves the level along the trend only.
    pub(super) fn next(self, state: State, value: f64) -> State {
        let drift = self.phi * state.trend;
        let expected = state.level + drift;
        let error = if value.is_nan() { 0.0 } else { value - expected };
        State { level: expected + self.alpha * error, trend: drift + self.beta * error }
    }
}

/// The mean absolute error of each candidate at some leads, over origins from `warm_up` on, newer ones counting more.
///
/// `values` are free of their season, NaN where missing; `leads` count from 1. All candidates advance together, a row at a
/// time: 18 independent chains keep the processor busier than one after the other.
pub(super) fn losses(values: &[f64], start: f64, leads: [usize; LEADS], warm_up: usize) -> [f64; CANDIDATES] {
    let candidates: [Smoothing; CANDIDATES] = std::array::from_fn(Smoothing::candidate);
    let alpha = candidates.map(|candidate| candidate.alpha);
    let beta = candidates.map(|candidate| candidate.beta);
    let phi = candidates.map(|candidate| candidate.phi);
    let steps = leads.map(|lead| {
        let lead = i32::try_from(lead).unwrap_or(i32::MAX);
        phi.map(|phi| phi * (1.0 - phi.powi(lead)) / (1.0 - phi))
    });
    let mut level = [start; CANDIDATES];
    let mut trend = [0.0; CANDIDATES];
    let mut loss = [0.0; CANDIDATES];
    let (mut weight, growth) = (1.0, (1.0 / FADING_ROWS).exp());
    let mut total = 0.0;
    for (position, &value) in values.iter().enumerate() {
        let is_missing = value.is_nan();
        for index in 0..CANDIDATES {
            let drift = phi[index] * trend[index];
            let expected = level[index] + drift;
            let error = if is_missing { 0.0 } else { value - expected };
            level[index] = expected + alpha[index] * error;
            trend[index] = drift + beta[index] * error;
        }
        weight *= growth;
        // Every other origin is enough to tell candidates apart.
        if position < warm_up || position % 2 == 1 {
            continue;
        }
        for (step, lead) in steps.iter().zip(leads) {
            let Some(actual) = values.get(position + lead).filter(|actual| !actual.is_nan()) else {
                continue;
            };
            total += weight;
            for index in 0..CANDIDATES {
                loss[index] += weight * (actual - level[index] - trend[index] * step[index]).abs();
            }
        }
    }
    loss.map(|sum| if total > 0.0 { sum / total } else { 0.0 })
}

/// The candidates with the least losses, best first; of equal ones the first.
pub(super) fn best(losses: &[f64; CANDIDATES]) -> [Smoothing; KEPT] {
    let mut order: [usize; CANDIDATES] = std::array::from_fn(|index| index);
    order.sort_by(|a, b| losses[*a].total_cmp(&losses[*b]));
    std::array::from_fn(|rank| Smoothing::candidate(order[rank]))
}

/// The best candidate without a trend.
pub(super) fn best_without_trend(losses: &[f64; CANDIDATES]) -> Smoothing {
    let simple = (0..LEVEL_WEIGHTS.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b]));
    Smoothing::candidate(simple.unwrap_or_default())
}

/// How many times the trends are added by each lead from 1 on, as the damping goes; shape: one for each lead.
pub(super) fn damped_steps(kept: [Smoothing; KEPT], horizon: usize, steps: &mut Vec<[f64; KEPT]>) {
    steps.clear();
    let (mut powers, mut sums) = ([1.0; KEPT], [0.0; KEPT]);
    for _ in 0..horizon {
        for index in 0..KEPT {
            powers[index] *= kept[index].phi;
            sums[index] += powers[index];
        }
        steps.push(sums);
    }
}

/// The first level: the mean of the first ten values that are there, 0 where there are none.
pub(super) fn start(values: &[f64]) -> f64 {
    let first = values.iter().filter(|value| !value.is_nan()).take(10);
    let (sum, count) = first.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / float(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_damped_smoothing() {
        let smoothing = Smoothing { alpha: 0.5, beta: 0.25, phi: 0.5 };
        // Expected 10 + 0.5 * 4 = 12, error 8: level 12 + 4, trend 2 + 2.
        assert_eq!(smoothing.next(State { level: 10.0, trend: 4.0 }, 20.0), State { level: 16.0, trend: 4.0 });
        // Missing: the level moves along, the trend is damped.
        assert_eq!(smoothing.next(State { level: 10.0, trend: 4.0 }, f64::NAN), State { level: 12.0, trend: 2.0 });
    }

    #[test]
    fn a_level_that_moves_at_once_is_followed_at_once() {
        // Steps every 20 rows: the heavier the newest value the better.
        let values: Vec<f64> = (0..200).map(|row| f64::from(row / 20 % 2)).collect();
        let losses = losses(&values, 0.0, [1, 1, 1, 1], 20);
        assert_eq!(best_without_trend(&losses).alpha, 0.8);
    }

    #[test]
    fn the_damped_trend_is_added_less_and_less() {
        let mut steps = Vec::new();
        damped_steps([Smoothing { alpha: 0.1, beta: 0.1, phi: 0.5 }; KEPT], 3, &mut steps);
        // 1/2, 1/2 + 1/4, 1/2 + 1/4 + 1/8.
        assert_eq!(steps, [[0.5; KEPT], [0.75; KEPT], [0.875; KEPT]]);
    }
}
