//! How often a series is zero.

use super::codec::Fields;
use super::profile::SEASON_MAX;

/// How fast a rate follows: about twenty values of that weekday.
const WEIGHT: f64 = 0.06;
/// A series becomes sparse above this variance of being zero or not, and dense again below the other.
const SPARSE: (f64, f64) = (0.12, 0.07);
/// A value always comes on a phase with at least this rate of values other than zero.
const ALWAYS: f64 = 0.85;

/// The share of values other than zero, by phase.
///
/// A weekend that is always zero is a profile, not sparseness: what counts is how unpredictable a zero is, the mean of
/// `rate (1 - rate)` over the phases. Intermittent series are judged on their own terms, as in Croston (1972), who separates
/// whether there is demand from how much.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    rates: [f64; SEASON_MAX],
    is_sparse: u8,
}

impl Activity {
    /// Always active.
    pub(super) fn new() -> Self {
        Self { rates: [1.0; SEASON_MAX], is_sparse: 0 }
    }

    /// Starts from the share of values other than zero by phase.
    pub(super) fn start(&mut self, rates: &[f64; SEASON_MAX], season: usize) {
        self.rates = *rates;
        // The rates of three values each vary more than those of a year: their variance is too small by a third.
        self.is_sparse = u8::from(self.unpredictability(season) > SPARSE.0 * 2.0 / 3.0);
    }

    /// Whether zeros come by chance here.
    pub(super) fn is_sparse(&self) -> bool {
        self.is_sparse != 0
    }

    /// Whether this phase has always had a value.
    pub(super) fn is_always(&self, phase: usize) -> bool {
        self.rates[phase] >= ALWAYS
    }

    /// Learns whether a value was zero. Returns true where the series has just become sparse.
    pub(super) fn learn(&mut self, phase: usize, is_active: bool, season: usize) -> bool {
        let was_sparse = self.is_sparse();
        self.rates[phase] += WEIGHT * (f64::from(u8::from(is_active)) - self.rates[phase]);
        let limit = if was_sparse { SPARSE.1 } else { SPARSE.0 };
        self.is_sparse = u8::from(self.unpredictability(season) > limit);
        self.is_sparse() && !was_sparse
    }

    fn unpredictability(&self, season: usize) -> f64 {
        let rates = &self.rates[..season];
        rates.iter().map(|rate| rate * (1.0 - rate)).sum::<f64>() / rates.len().max(1) as f64
    }

    /// Stores or restores it, for a season of so many phases.
    pub(super) fn fields(&mut self, fields: &mut impl Fields, season: usize) {
        fields.floats(&mut self.rates[..season]);
        fields.byte(&mut self.is_sparse);
    }
}
