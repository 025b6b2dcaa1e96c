//! `gm3`: the geometric mean of three z-scores.

use super::codec::Fields;
use super::judgement::{Direction, Judgement, Kind, Status};
use super::options::ScoreScale;
use super::profile::SEASON_MAX;
use super::ring::Ring;

/// The score at which it flags, tuned on hourly metrics labelled by engineers (Microsoft Cloud Monitoring).
const TUNED: f64 = 4.25;
/// Values of the short window.
const WINDOW: usize = 30;
/// Weights of level and season in the Holt-Winters part, and of its error's variance.
const LEVEL_WEIGHT: f64 = 0.1;
const SEASON_WEIGHT: f64 = 0.2;
const VARIANCE_WEIGHT: f64 = 0.05;
/// A standard deviation below this share of the largest value seen is rounding, not noise.
const ROUNDING: f64 = 1e-9;

/// Three views of a value, each a z-score: against all history, against the last 30 values, and against an additive seasonal
/// Holt-Winters smoothing (Holt 1957, Winters 1960).
///
/// Their geometric mean is high only where all three are: an hour that is high for the whole history, for the last day and for its
/// hour of the day. Simple as it is, it was the best of twenty on labels that others made.
#[derive(Debug, Clone)]
pub(super) struct Ensemble {
    count: f64,
    mean: f64,
    /// Sum of squared distances to the mean (Welford 1962).
    squares: f64,
    largest: f64,
    window: Ring<WINDOW>,
    level: f64,
    seasonal: [f64; SEASON_MAX],
    variance: f64,
}

impl Ensemble {
    /// The scale of its scores.
    pub(super) const SCALE: ScoreScale = ScoreScale { tuned: TUNED };

    /// Nothing known.
    pub(super) fn new() -> Self {
        Self {
            count: 0.0,
            mean: 0.0,
            squares: 0.0,
            largest: 0.0,
            window: Ring::default(),
            level: 0.0,
            seasonal: [0.0; SEASON_MAX],
            variance: 0.0,
        }
    }

    /// Judges a value (finite, or NaN where missing), where `threshold` is the score to flag at, then learns from it.
    pub(super) fn advance(&mut self, value: f64, phase: usize, season: usize, threshold: f64) -> Judgement {
        let judgement = self.judge(value, phase, season, threshold);
        if !value.is_nan() {
            self.learn(value, phase);
        }
        judgement
    }

    fn judge(&self, value: f64, phase: usize, season: usize, threshold: f64) -> Judgement {
        // A season and a half, and not less than the short window holds half of.
        if self.count < (1.5 * season as f64).max(15.0) {
            return Judgement::unknown(Status::ShortHistory);
        }
        if self.largest == 0.0 && !(value != 0.0) {
            return Judgement { expected: 0.0, lower: 0.0, upper: 0.0, ..Judgement::unknown(Status::AllZero) };
        }
        let floor = ROUNDING * self.largest.max(value.abs());
        let (short_mean, short_deviation) = self.window_moments();
        let views = [
            (self.mean, (self.squares / self.count).sqrt().max(floor)),
            (short_mean, short_deviation.max(floor)),
            (self.level + self.seasonal[phase], self.variance.sqrt().max(floor)),
        ];
        let (expected, _) = views[2];
        // The distance from the expectation at which the mean of the three z-scores is the threshold, were they of one centre.
        let width = threshold * views.iter().map(|(_, deviation)| deviation).product::<f64>().cbrt();
        let unjudged = Judgement {
            expected,
            lower: expected - width,
            upper: expected + width,
            ..Judgement::unknown(Status::Judged)
        };
        if value.is_nan() {
            return Judgement { status: Status::MissingValue, ..unjudged };
        }
        let scores = views.map(|(centre, deviation)| (value - centre) / deviation);
        let score = scores.iter().product::<f64>().abs().cbrt();
        let direction = if value >= expected { Direction::Up } else { Direction::Down };
        Judgement { score, direction, kind: Some(spike_or_drop(direction)), ..unjudged }
    }

    fn window_moments(&self) -> (f64, f64) {
        let count = self.window.len().max(1) as f64;
        let mean = self.window.unordered().sum::<f64>() / count;
        let squares = self.window.unordered().map(|other| (other - mean) * (other - mean)).sum::<f64>();
        (mean, (squares / count).sqrt())
    }

    fn learn(&mut self, value: f64, phase: usize) {
        self.count += 1.0;
        self.largest = self.largest.max(value.abs());
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
        self.window.push(value);
        if self.count == 1.0 {
            self.level = value;
            return;
        }
        let error = value - self.level - self.seasonal[phase];
        let rate = |weight: f64| weight.max(1.0 / self.count);
        let (level_rate, variance_rate) = (rate(LEVEL_WEIGHT), rate(VARIANCE_WEIGHT));
        self.level += level_rate * error;
        self.seasonal[phase] += SEASON_WEIGHT * (1.0 - level_rate) * error;
        self.variance += variance_rate * (error * error - self.variance);
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        fields.float(&mut self.count);
        fields.float(&mut self.mean);
        fields.float(&mut self.squares);
        fields.float(&mut self.largest);
        self.window.fields(fields);
        fields.float(&mut self.level);
        fields.floats(&mut self.seasonal);
        fields.float(&mut self.variance);
    }
}

fn spike_or_drop(direction: Direction) -> Kind {
    match direction {
        Direction::Up => Kind::Spike,
        Direction::Down => Kind::Drop,
    }
}
