//! How large errors usually are.

use super::codec::Fields;
use super::profile::SEASON_MAX;

/// Errors are clipped at so many standard deviations before anything learns from them (Gelper, Fried & Croux 2010 use 2).
pub(super) const CLIP: f64 = 2.5;
/// Turns a mean absolute error clipped at [`CLIP`] into the standard deviation of normal errors.
const TO_DEVIATION: f64 = 1.27;
/// No series is held to be quieter than this share of its level: with the threshold of 5, changes below about 10 % are left alone.
const FLOOR: f64 = 0.021;
/// ... nor noisier than this: beyond, a relative error says nothing.
const CEILING: f64 = 2.0;
/// How fast the estimate follows: about the last two months.
const WEIGHT: f64 = 0.035;
/// The same for one phase, which has fewer values.
const PHASE_WEIGHT: f64 = 0.1;
/// How much of a phase's own noise counts, the rest is the noise of all phases.
const PHASE_SHARE: f64 = 0.5;

/// The standard deviation of errors, relative (see [`super::deviation`]), of all phases and of each phase.
///
/// The mean absolute error of clipped errors, the scale of Gelper, Fried & Croux (2010). The median absolute deviation of a
/// fit that saw the same days is the usual recipe, and too small by half when it judges the next day.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    overall: f64,
    by_phase: [f64; SEASON_MAX],
}

impl Noise {
    /// Nothing known.
    pub(super) fn new() -> Self {
        Self { overall: 0.0, by_phase: [0.0; SEASON_MAX] }
    }

    /// Starts from one estimate for all phases.
    pub(super) fn start(&mut self, deviation: f64) {
        self.overall = deviation;
        self.by_phase = [deviation; SEASON_MAX];
    }

    /// The standard deviation of errors in a phase.
    pub(super) fn of_phase(&self, phase: usize) -> f64 {
        let (all, own) = (self.overall, self.by_phase[phase]);
        ((1.0 - PHASE_SHARE) * all * all + PHASE_SHARE * own * own).sqrt().max(FLOOR)
    }

    /// The standard deviation of all errors.
    pub(super) fn overall(&self) -> f64 {
        self.overall.max(FLOOR)
    }

    /// Learns from an error, relative.
    pub(super) fn learn(&mut self, phase: usize, error: f64) {
        let follow = |estimate: &mut f64, weight: f64| {
            let clipped = error.abs().min(CLIP * estimate.max(FLOOR));
            *estimate = (*estimate + weight * (TO_DEVIATION * clipped - *estimate)).min(CEILING);
        };
        follow(&mut self.overall, WEIGHT);
        follow(&mut self.by_phase[phase], PHASE_WEIGHT);
    }

    /// Stores or restores it, for a season of so many phases.
    pub(super) fn fields(&mut self, fields: &mut impl Fields, season: usize) {
        fields.float(&mut self.overall);
        fields.floats(&mut self.by_phase[..season]);
    }
}
