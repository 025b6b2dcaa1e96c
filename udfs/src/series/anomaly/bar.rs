//! How far from its expectation a value must be to be unusual.

use super::codec::Fields;
use super::expectation::Expectation;
use super::spread::Spread;
use super::tail::Tail;

/// The score at which the detector of cost flags: so many noise widths, where nothing else is known of a series.
pub(super) const TUNED: f64 = 5.0;
/// How far beyond its own 97 % quantile a series must go.
const TAIL_FACTOR: f64 = 1.2;
/// Scores are remembered up to this: one bad week must not make a series deaf for a quarter.
const REMEMBERED_MAX: f64 = 8.0;
/// The geometric mean of the robust and the plain widths, times this, is the bar. Tuned on cost and on real daily series.
const POOLED: f64 = 0.72;
/// The plain widths lower the robust bar to this share of it at the least.
const SHARE_MIN: f64 = 0.5;
/// Nothing within this share of what is expected is unusual for a day.
const RELATIVE_MIN: f64 = 0.2;

/// The bar for one value, in noise widths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    /// By the robust noise and the series' own tail alone: what the search for shifts uses.
    pub(super) robust: f64,
    /// By all widths: what a value is flagged by.
    pub(super) flag: f64,
}

/// What bars are made from.
#[derive(Debug, Clone, Default)]
pub(super) struct Bars {
    tail: Tail,
    spread: Spread,
}

impl Bars {
    /// The bar for a value of which this is expected.
    ///
    /// Forecast combination by averaging (Bates & Granger 1969) applied to widths: the robust width says what an ordinary day is, the
    /// plain ones (see [`Spread`]) how wild the series has been. Either alone is worse on cost or on series of others.
    pub(super) fn bar(&self, expectation: &Expectation) -> Bar {
        let robust = TUNED.max(TAIL_FACTOR * self.tail.quantile());
        let plain = TUNED * self.spread.width() / (expectation.unit() * expectation.noise);
        let pooled = POOLED * (robust * plain).sqrt();
        Bar { robust, flag: pooled.max(SHARE_MIN * robust).max(RELATIVE_MIN / expectation.noise) }
    }

    /// How far a value is from all there were, in their plain standard deviations.
    pub(super) fn distance(&self, value: f64) -> f64 {
        self.spread.distance(value)
    }

    /// Learns a value, and how surprising it was in noise widths.
    pub(super) fn learn(&mut self, value: f64, expected: f64, surprise: f64) {
        self.spread.learn(value, value - expected);
        self.tail.learn(surprise.abs().min(REMEMBERED_MAX));
    }

    /// Learns a value of which nothing was expected.
    pub(super) fn learn_value(&mut self, value: f64) {
        self.spread.learn_value(value);
    }

    /// Forgets how unusual days were: their noise widths are no longer those of now.
    pub(super) fn restart(&mut self) {
        self.tail.clear();
    }

    /// Sees everything before in the light of a planned change.
    pub(super) fn scale(&mut self, ratio: f64) {
        self.spread.scale(ratio);
    }

    /// Sees everything before in the mirror.
    pub(super) fn mirror(&mut self) {
        self.spread.mirror();
    }

    /// Stores or restores them.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        self.tail.fields(fields);
        self.spread.fields(fields);
    }
}
