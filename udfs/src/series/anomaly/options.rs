//! What a caller chooses.

use super::codec::Fields;
use crate::series::Frequency;

/// How values are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// By the frequency: [`Method::Gm3`] for hours, [`Method::Cost`] otherwise.
    #[default]
    Auto,
    /// The detector of cost: level, weekday profile, month ends, planned changes, shifts, growth, credits.
    Cost,
    /// The geometric mean of three z-scores, for metrics and counts.
    Gm3,
}

/// What a caller chooses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorOptions {
    /// Flag what is at least this unusual, more than 0 and less than 1. The default of 0.999 is where the detectors were tuned.
    pub anomaly_prob_threshold: f64,
    /// Do not flag what differs from the expectation by less than this, in the unit of the series.
    pub min_impact: f64,
    /// Do not flag what differs from the expectation by less than this share of it (0.12 is 12 %).
    pub min_impact_pct: f64,
    /// How values are judged.
    pub method: Method,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self { anomaly_prob_threshold: 0.999, min_impact: 0.0, min_impact_pct: 0.0, method: Method::Auto }
    }
}

impl DetectorOptions {
    /// The method for a frequency, never [`Method::Auto`].
    pub(super) fn method_for(&self, frequency: Frequency) -> Method {
        match (self.method, frequency) {
            (Method::Auto, Frequency::Hour) => Method::Gm3,
            (Method::Auto, Frequency::Day | Frequency::Week | Frequency::Month) => Method::Cost,
            (chosen, _) => chosen,
        }
    }

    /// Stores or restores them.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        fields.float(&mut self.anomaly_prob_threshold);
        fields.float(&mut self.min_impact);
        fields.float(&mut self.min_impact_pct);
        let mut method = match self.method {
            Method::Auto => 0,
            Method::Cost => 1,
            Method::Gm3 => 2,
        };
        fields.byte(&mut method);
        self.method = match method {
            1 => Method::Cost,
            2 => Method::Gm3,
            _ => Method::Auto,
        };
    }
}

/// How a score becomes a probability and back: `1 - 10^(-3 score / tuned)`, which is 0.999 at the tuned threshold.
///
/// A fixed, strictly rising map rather than a tail probability: the scores' tails are the incidents looked for, so no
/// distribution fits them. It gives `anomaly_prob_threshold` (BigQuery's name) one meaning for both methods: 0.95 is less
/// than half the tuned threshold, 0.9999 a third above it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScoreScale {
    /// The score flagged by default.
    pub(super) tuned: f64,
}

impl ScoreScale {
    /// The probability of a score, 0 to 1.
    pub(super) fn probability(self, score: f64) -> f64 {
        -(-3.0 * std::f64::consts::LN_10 * score / self.tuned).exp_m1()
    }

    /// The score at which a probability is reached; not finite thresholds flag nothing.
    pub(super) fn threshold(self, probability: f64) -> f64 {
        if probability == 0.999 {
            // Exactly the tuned one, not what logarithms make of it.
            return self.tuned;
        }
        let missing = 1.0 - probability;
        if missing > 0.0 { (-missing.log10() * self.tuned / 3.0).max(0.0) } else { f64::INFINITY }
    }
}
