//! The level of a series and its weekday profile.

use super::codec::Fields;

/// The most phases a season can have: 24 hours.
pub(super) const SEASON_MAX: usize = 24;

/// How fast the level follows: about the mean of the last two weeks.
const LEVEL_WEIGHT: f64 = 0.12;
/// How fast it follows just after a level shift, when little is known of the new level.
const SETTLING_WEIGHT: f64 = 0.25;
/// The share of the level that one value leaves at the least: a level is never zero.
const LEVEL_LEFT: f64 = 0.8;
/// How fast the plain mean follows, and how far the level may be from it.
const MEAN_WEIGHT: f64 = 0.03;
const REACH: f64 = 20.0;
/// How fast a phase's factor follows: about the mean of the last two months of that weekday.
const FACTOR_WEIGHT: f64 = 0.12;

/// The level (unit of the series, the mean over a season) and one factor for each phase of the season (mean 1).
///
/// Multiplicative exponential smoothing (Holt 1957, Winters 1960) without a trend. It is robust in the way of Gelper, Fried &
/// Croux (2010): the caller passes each value clipped to what the noise allows, so an incident neither becomes the new level
/// nor the new profile.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) level: f64,
    factors: [f64; SEASON_MAX],
    season: u8,
    seasons_seen: f64,
    /// The plain exponentially weighted mean of values, which an outlier moves, unlike the level.
    mean: f64,
}

impl Profile {
    /// A profile of so many phases, flat and at zero.
    pub(super) fn new(season: u8) -> Self {
        Self { level: 0.0, factors: [1.0; SEASON_MAX], season, seasons_seen: 0.0, mean: 0.0 }
    }

    /// How many phases it has.
    pub(super) fn season(&self) -> usize {
        usize::from(self.season)
    }

    /// Starts from the typical value of each phase, in the unit of the series, the means of `seasons` values.
    pub(super) fn start(&mut self, typical: &[f64; SEASON_MAX], seasons: f64) {
        let season = self.season();
        self.level = typical[..season].iter().sum::<f64>() / f64::from(self.season);
        for (factor, typical) in self.factors[..season].iter_mut().zip(typical) {
            *factor = typical / self.level;
        }
        self.seasons_seen = seasons;
        self.mean = self.level;
    }

    /// Starts without a profile.
    pub(super) fn start_flat(&mut self, level: f64) {
        self.level = level;
        self.factors = [1.0; SEASON_MAX];
        self.seasons_seen = 0.0;
        self.mean = level;
    }

    /// The factor of a phase.
    pub(super) fn factor(&self, phase: usize) -> f64 {
        self.factors[phase]
    }

    /// Takes a factor as it is, where the same weekday has been different for weeks.
    pub(super) fn replace_factor(&mut self, phase: usize, factor: f64) {
        self.factors[phase] = factor.clamp(0.0, 8.0 * f64::from(self.season));
        self.centre();
    }

    /// Learns from the clipped error of a value, in the unit of the series.
    pub(super) fn learn(&mut self, phase: usize, error: f64, is_settling: bool) {
        let level = self.level;
        let weight = if is_settling { SETTLING_WEIGHT } else { LEVEL_WEIGHT };
        // A weekend of a fiftieth of the level says little of the level: its errors count by at most twice their size.
        self.level = (level + weight * error / self.factors[phase].max(0.5)).max(LEVEL_LEFT * level);
        self.seasons_seen += 1.0 / f64::from(self.season);
        if self.season > 1 {
            let weight = FACTOR_WEIGHT.max(1.0 / (self.seasons_seen + 1.0));
            self.factors[phase] = (self.factors[phase] + weight * error / level).max(0.0);
            self.centre();
        }
    }

    /// Learns the level only.
    pub(super) fn learn_level(&mut self, error: f64, is_settling: bool) {
        let weight = if is_settling { SETTLING_WEIGHT } else { LEVEL_WEIGHT };
        self.level = (self.level + weight * error).max(LEVEL_LEFT * self.level);
    }

    /// Keeps the level within reach of the plain mean of values. A robust level can run away from a series whose values are
    /// mostly next to nothing and now and then large.
    pub(super) fn hold(&mut self, value: f64) {
        self.mean += MEAN_WEIGHT * (value - self.mean);
        if self.mean > 0.0 {
            self.level = self.level.max(self.mean / REACH).min(self.mean * REACH);
        }
    }

    /// Sees the level in the light of a planned change.
    pub(super) fn scale(&mut self, ratio: f64) {
        self.level *= ratio;
        self.mean *= ratio;
    }

    /// Brings the factors back to a mean of 1, so that the level stays the mean of a season.
    fn centre(&mut self) {
        let season = self.season();
        let mean = self.factors[..season].iter().sum::<f64>() / f64::from(self.season);
        if mean > 0.0 {
            self.level *= mean;
            self.factors[..season].iter_mut().for_each(|factor| *factor /= mean);
        }
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        fields.float(&mut self.level);
        let season = self.season();
        fields.floats(&mut self.factors[..season]);
        fields.float(&mut self.seasons_seen);
        fields.float(&mut self.mean);
    }
}
