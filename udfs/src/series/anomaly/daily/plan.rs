//! Changes that are known beforehand.

use super::{Daily, Stage};
use crate::series::Change;
use crate::series::anomaly::shift::Shift;

impl Daily {
    /// Takes a planned change into account that begins or ends with the next value: what was before is seen as if it had held
    /// already.
    ///
    /// A step that was planned and does not come is therefore flagged, as the saving or the launch did not happen. One that comes late
    /// is not flagged a second time: it returns to the level that was planned.
    pub(in crate::series::anomaly) fn begin(&mut self, change: Change) {
        let before = self.profile.level;
        let after = match change {
            Change::Percent(share) => before * (1.0 + share).max(0.0),
            Change::Amount(amount) => before + self.seen(amount),
            Change::Set(level) => self.seen(level),
        };
        self.level_before_set = before;
        match change {
            Change::Percent(share) => self.step(before, after, 1.0 + share),
            Change::Amount(_) | Change::Set(_) => self.step(before, after, 1.0),
        }
    }

    /// The same for a planned change that no longer holds.
    pub(in crate::series::anomaly) fn end(&mut self, change: Change) {
        let before = self.profile.level;
        match change {
            Change::Percent(share) if share > -1.0 => self.step(before, before / (1.0 + share), 1.0 / (1.0 + share)),
            Change::Amount(amount) => self.step(before, before - self.seen(amount), 1.0),
            Change::Percent(_) | Change::Set(_) => self.step(before, self.level_before_set, 1.0),
        }
    }

    /// How much a change is of the level without it; above 0 where there is more in the series, below where less.
    pub(in crate::series::anomaly) fn share_of(&self, change: Change) -> f64 {
        let share = match change {
            Change::Percent(share) => share,
            Change::Amount(amount) => self.seen(amount) / self.profile.level,
            Change::Set(level) => self.seen(level) / self.profile.level - 1.0,
        };
        if self.is_mirrored { -share } else { share }
    }

    fn seen(&self, amount: f64) -> f64 {
        if self.is_mirrored { -amount } else { amount }
    }

    /// Moves the level; `ratio` moves the first values, of which no level is known yet. A level of nothing or less is left to be
    /// found out: the first zero says it better.
    fn step(&mut self, before: f64, after: f64, ratio: f64) {
        match self.stage {
            Stage::Waiting => {}
            Stage::WarmingUp => {
                if ratio.is_finite() && ratio > 0.0 {
                    self.warm_up.map(|value| value * ratio);
                    self.bars.scale(ratio);
                }
            }
            Stage::Judging => {
                let ratio = after / before;
                if ratio.is_finite() && ratio > 0.0 {
                    self.profile.scale(ratio);
                    self.bars.scale(ratio);
                    self.growth.map(|value| value * ratio);
                    self.level_before *= ratio;
                    self.level_quiet *= ratio;
                    self.lasting.scale(ratio);
                    self.shift = Shift::default();
                }
            }
        }
    }
}
