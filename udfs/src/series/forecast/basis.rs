//! Planned changes taken out of the history and put into the forecast.

use super::order::mean;
use crate::series::{Change, PlannedChange};

/// What a change does while it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Effect {
    Times(f64),
    Plus(f64),
    Fixed(f64),
}

/// A change over the positions `from..until`, in the units of the series.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    from: i64,
    until: i64,
    effect: Effect,
}

/// The planned changes of one series.
///
/// The baseline is what the series would be without any of them: `amount = change(baseline)`, the changes that hold at a
/// position applied in the order in which they begin. It is learned from the history and forecast.
#[derive(Debug, Default)]
pub(super) struct Basis {
    steps: Vec<Step>,
    length: i64,
}

/// Values of which the mean tells the level before a change that sets a new one.
const LEVEL_ROWS: usize = 28;

impl Basis {
    /// Takes the planned changes out of `values` (a history of amounts divided by `scale`).
    ///
    /// A level that was set in the history and stays says how the values before compare with those after, so it counts as
    /// the factor between the two; where there is none, what was before is forgotten. A level that was set for a time
    /// hides the baseline, so its rows are missing.
    pub(super) fn remove(&mut self, values: &mut [f64], planned: &[PlannedChange], scale: f64) {
        self.steps.clear();
        self.length = i64::try_from(values.len()).unwrap_or(i64::MAX);
        for change in planned {
            let until = change.until.unwrap_or(i64::MAX);
            let effect = match change.change {
                Change::Percent(share) if share <= -1.0 => Effect::Fixed(0.0),
                Change::Percent(share) => Effect::Times(1.0 + share),
                Change::Amount(amount) => Effect::Plus(amount / scale),
                Change::Set(amount) => Effect::Fixed(amount / scale),
            };
            let (Effect::Times(size) | Effect::Plus(size) | Effect::Fixed(size)) = effect;
            // What always held is a part of the baseline.
            let always = change.from <= 0 && change.until.is_none();
            if size.is_finite() && change.from < until && !always {
                self.steps.push(Step { from: change.from, until, effect });
            }
        }
        self.steps.sort_by_key(|step| step.from);
        for index in 0..self.steps.len() {
            let step = self.steps[index];
            if step.from >= self.length {
                break;
            }
            self.steps[index].effect = take_out(step, values);
        }
    }

    /// The amount at a position from its baseline, by the changes that began before `before`.
    fn apply(&self, position: usize, baseline: f64, before: i64) -> f64 {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let holding =
            self.steps.iter().filter(|step| step.from < before && step.from <= position && position < step.until);
        holding.fold(baseline, |amount, step| match step.effect {
            Effect::Times(factor) => amount * factor,
            Effect::Plus(more) => amount + more,
            Effect::Fixed(level) => level,
        })
    }

    /// The amount at a position with every planned change.
    pub(super) fn value(&self, position: usize, baseline: f64) -> f64 {
        self.apply(position, baseline, i64::MAX)
    }

    /// The amount at a position with the planned changes that began in the history only.
    pub(super) fn unchanged(&self, position: usize, baseline: f64) -> f64 {
        self.apply(position, baseline, self.length)
    }

    /// A bound of the interval around `value(position, baseline)`.
    ///
    /// A level that is set is not certain either: it keeps the distance of the baseline's bound, in proportion where it is
    /// the smaller of the two, so that a level of zero is certain.
    pub(super) fn bound(&self, position: usize, baseline: f64, bound: f64) -> f64 {
        let (middle, edge) = (self.value(position, baseline), self.value(position, bound));
        if self.steps.is_empty() || edge != middle || bound == baseline {
            return edge;
        }
        let share = if baseline == 0.0 { 1.0 } else { (middle / baseline).abs().min(1.0) };
        middle + (bound - baseline) * share
    }
}

/// Takes one change out of the values it holds at, and says what is left of it for the horizon.
fn take_out(step: Step, values: &mut [f64]) -> Effect {
    let from = usize::try_from(step.from).unwrap_or_default().min(values.len());
    let until = usize::try_from(step.until).unwrap_or(values.len()).min(values.len());
    let (before, holding) = values.split_at_mut(from);
    let holding = &mut holding[..until.saturating_sub(from)];
    match step.effect {
        Effect::Times(factor) => holding.iter_mut().for_each(|value| *value /= factor),
        Effect::Plus(more) => holding.iter_mut().for_each(|value| *value -= more),
        Effect::Fixed(_) if step.until < i64::MAX => holding.fill(f64::NAN),
        Effect::Fixed(level) => {
            let old = mean(&before[from.saturating_sub(LEVEL_ROWS)..]).unwrap_or_default();
            let factor = level / old;
            if factor.is_finite() && factor > 0.0 {
                holding.iter_mut().for_each(|value| *value /= factor);
                return Effect::Times(factor);
            }
            before.fill(f64::NAN);
            return Effect::Times(1.0);
        }
    }
    step.effect
}
