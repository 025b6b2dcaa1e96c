//! One series, advanced one value at a time.

use super::codec::{Fields, Reader, Writer};
use super::daily::{Daily, Moment};
use super::day_memory::MonthDay;
use super::ensemble::Ensemble;
use super::feedback::{Accepted, Candidate, Feedback};
use super::judgement::{Direction, Judgement, Kind, Status};
use super::options::{DetectorOptions, Method, ScoreScale};
use crate::series::{Calendar, Frequency, PlannedChange, Recurrence};

/// The version of the stored form, its first byte.
const VERSION: u8 = 2;
/// Values beyond are not money but mistakes, and their squares would not be numbers.
const VALUE_MAX: f64 = 1e150;

#[derive(Debug, Clone)]
enum Engine {
    Cost(Box<Daily>),
    Gm3(Box<Ensemble>),
}

/// One series, advanced one value at a time.
#[derive(Debug, Clone)]
pub struct Detector {
    options: DetectorOptions,
    calendar: Calendar,
    position: usize,
    threshold: f64,
    engine: Engine,
    feedback: Feedback,
}

impl Detector {
    /// A detector that has seen nothing; `calendar` says where the first value lies.
    #[must_use]
    pub fn new(options: &DetectorOptions, calendar: Calendar) -> Self {
        let (engine, scale) = match options.method_for(calendar.frequency) {
            Method::Gm3 => (Engine::Gm3(Box::new(Ensemble::new())), Ensemble::SCALE),
            Method::Auto | Method::Cost => (Engine::Cost(Box::new(Daily::new(calendar.frequency))), Daily::SCALE),
        };
        let threshold = scale.threshold(options.anomaly_prob_threshold);
        Self { options: *options, calendar, position: 0, threshold, engine, feedback: Feedback::default() }
    }

    /// Forgets the series and what users said of it, to begin the next one. Allocates only where the frequency asks for the other
    /// method.
    pub fn reset(&mut self, calendar: Calendar) {
        let method = self.options.method_for(calendar.frequency);
        match &mut self.engine {
            Engine::Cost(daily) if method != Method::Gm3 => **daily = Daily::new(calendar.frequency),
            Engine::Gm3(ensemble) if method == Method::Gm3 => **ensemble = Ensemble::new(),
            _ => {
                *self = Self::new(&self.options, calendar);
                return;
            }
        }
        (self.calendar, self.position, self.feedback) = (calendar, 0, Feedback::default());
    }

    /// Judges the next value, NaN where it is missing, and learns from it.
    pub fn advance(&mut self, value: f64, planned: &[PlannedChange], holiday: Option<u32>) -> Judgement {
        let moment = self.moment(self.position, holiday);
        let value = if value.abs() <= VALUE_MAX { value } else { f64::NAN };
        self.follow(planned);
        let judgement = match &mut self.engine {
            Engine::Cost(daily) => daily.advance(value, moment, self.threshold),
            Engine::Gm3(ensemble) => {
                ensemble.advance(value, moment.phase, self.calendar.frequency.season().min(24), self.threshold)
            }
        };
        self.position += 1;
        self.conclude(judgement, value, moment)
    }

    /// Takes planned changes into account that begin or end with the next value.
    fn follow(&mut self, planned: &[PlannedChange]) {
        let position = i64::try_from(self.position).unwrap_or(i64::MAX);
        for plan in planned {
            let Engine::Cost(daily) = &mut self.engine else { return };
            if plan.from == position {
                daily.begin(plan.change);
            }
            if plan.until == Some(position) {
                daily.end(plan.change);
                let share = daily.share_of(plan.change);
                if let (Some(recurrence), Ok(position)) = (plan.recurs, usize::try_from(plan.from)) {
                    self.learn_planned(position, share, recurrence);
                }
            }
        }
    }

    /// Learns that what was planned at a position, a share of the level, may come again.
    fn learn_planned(&mut self, position: usize, share: f64, recurrence: Recurrence) {
        let (direction, kinds) = match share {
            _ if share > 0.0 => (Direction::Up, &[Kind::Spike][..]),
            _ if share < 0.0 => (Direction::Down, &[Kind::Drop, Kind::MissingData][..]),
            _ => return,
        };
        for kind in kinds {
            self.learn_expected(&Accepted { position, kind: *kind, direction, magnitude: share, recurrence });
        }
    }

    fn scale(&self) -> ScoreScale {
        match self.engine {
            Engine::Cost(_) => Daily::SCALE,
            Engine::Gm3(_) => Ensemble::SCALE,
        }
    }

    fn moment(&self, position: usize, holiday: Option<u32>) -> Moment {
        let season = match &self.engine {
            Engine::Cost(daily) => daily.season(),
            Engine::Gm3(_) => self.calendar.frequency.season().min(24),
        };
        let first = usize::try_from(self.calendar.first.rem_euclid(1680)).unwrap_or(0);
        let phase = (first + position) % season;
        let month_day =
            (self.calendar.frequency == Frequency::Day).then(|| MonthDay::new(self.calendar.day_of_month(position)));
        Moment { phase, month_day, holiday }
    }

    fn conclude(&mut self, judgement: Judgement, value: f64, moment: Moment) -> Judgement {
        let score = if judgement.score.is_finite() { judgement.score } else { 0.0 };
        let probability = if score > 0.0 { self.scale().probability(score) } else { 0.0 };
        let baseline = if judgement.baseline.is_nan() { judgement.expected } else { judgement.baseline };
        // A level that has moved slowly has taken the expectation with it.
        let lasts = judgement.kind.is_some_and(Kind::lasts);
        let against = if lasts { baseline } else { judgement.expected };
        let impact = (value - against).abs();
        let is_large = impact >= self.options.min_impact && impact >= self.options.min_impact_pct * against.abs();
        let mut is_anomaly = score > self.threshold && is_large && judgement.status == Status::Judged;
        if is_anomaly && !self.feedback.is_empty() {
            is_anomaly = !judgement.kind.is_some_and(|kind| {
                let magnitude = impact / against.abs();
                self.feedback.accepts(&Candidate {
                    kind,
                    direction: judgement.direction,
                    magnitude,
                    phase: u8::try_from(moment.phase).unwrap_or(0),
                    month_day: moment.month_day.map_or(0, MonthDay::number),
                })
            });
        }
        if is_anomaly
            && lasts
            && let Engine::Cost(daily) = &mut self.engine
        {
            daily.goes_on();
        }
        let is_lasting = judgement.is_lasting && value.is_finite();
        let kind = judgement.kind.filter(|_| is_anomaly);
        Judgement { score, probability, is_anomaly, is_lasting, baseline, kind, ..judgement }
    }

    /// Learns that users expect such an episode: later ones like it are not flagged.
    pub fn learn_expected(&mut self, accepted: &Accepted) {
        let moment = self.moment(accepted.position, None);
        let candidate = Candidate {
            kind: accepted.kind,
            direction: accepted.direction,
            magnitude: accepted.magnitude.abs(),
            phase: u8::try_from(moment.phase).unwrap_or(0),
            month_day: moment.month_day.map_or(0, MonthDay::number),
        };
        self.feedback.accept(&candidate, accepted.recurrence);
    }

    /// Appends the stored form, about 2 KB.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        bytes.push(match self.calendar.frequency {
            Frequency::Hour => 0,
            Frequency::Day => 1,
            Frequency::Week => 2,
            Frequency::Month => 3,
        });
        bytes.extend_from_slice(&self.calendar.first.to_le_bytes());
        let mut writer = Writer(bytes);
        let mut copy = self.clone();
        copy.options.fields(&mut writer);
        copy.rest(&mut writer);
    }

    /// Restores what [`Self::to_bytes`] stored; none for anything else, as of another version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [VERSION, frequency, a, b, c, d, rest @ ..] = bytes else { return None };
        let frequency = match frequency {
            0 => Frequency::Hour,
            1 => Frequency::Day,
            2 => Frequency::Week,
            3 => Frequency::Month,
            _ => return None,
        };
        let calendar = Calendar { first: i32::from_le_bytes([*a, *b, *c, *d]), frequency };
        let mut reader = Reader::new(rest);
        let mut options = DetectorOptions::default();
        options.fields(&mut reader);
        let mut detector = Self::new(&options, calendar);
        detector.rest(&mut reader);
        reader.is_complete().then_some(detector)
    }

    fn rest(&mut self, fields: &mut impl Fields) {
        let mut position = u32::try_from(self.position).unwrap_or(u32::MAX);
        fields.word(&mut position);
        self.position = position as usize;
        match &mut self.engine {
            Engine::Cost(daily) => daily.fields(fields),
            Engine::Gm3(ensemble) => ensemble.fields(fields),
        }
        self.feedback.fields(fields);
    }
}
