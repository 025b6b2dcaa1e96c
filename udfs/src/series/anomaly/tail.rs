//! How unusual the usual days of one series are.

use super::codec::Fields;
use super::ring::Ring;

/// Days remembered: 13 weeks.
const DAYS: usize = 91;
/// How many of them are at or beyond their own 97 % quantile.
const BEYOND: usize = 3;
/// Days before the memory says anything.
const DAYS_MIN: usize = 28;

/// The scores of the last 13 weeks, and from them the score that is unusual for this series.
///
/// A series whose own days often lie at 4 noise widths (stock-outs, pay days, campaigns) needs a higher bar than one that never
/// does; the 97 % quantile of its own scores tells which it is, without a model of the tail.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    scores: Ring<DAYS>,
    /// The quantile, a function of `scores`: kept as most days do not change it.
    quantile: f64,
}

impl Tail {
    /// The 97 % quantile of the last 13 weeks, 0 while there are fewer than four weeks.
    pub(super) fn quantile(&self) -> f64 {
        if self.scores.len() < DAYS_MIN { 0.0 } else { self.quantile }
    }

    /// Remembers a day's score, in noise widths, 0 and more.
    pub(super) fn learn(&mut self, score: f64) {
        let forgotten = self.scores.push(score).unwrap_or(0.0);
        if score > self.quantile || forgotten >= self.quantile {
            self.quantile = self.third_largest();
        }
    }

    fn third_largest(&self) -> f64 {
        let mut largest = [0.0_f64; BEYOND];
        for score in self.scores.unordered() {
            let mut at = BEYOND;
            while at > 0 && score > largest[at - 1] {
                at -= 1;
            }
            if at < BEYOND {
                largest[at..].rotate_right(1);
                largest[at] = score;
            }
        }
        largest[BEYOND - 1]
    }

    /// Forgets all days.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        self.scores.fields(fields);
        self.quantile = self.third_largest();
    }
}
