//! The detector of cost.

mod judge;
mod plan;

use super::activity::Activity;
use super::bar::{Bars, TUNED};
use super::codec::Fields;
use super::day_memory::{DayMemory, MonthDay};
use super::growth::Growth;
use super::judgement::{Judgement, Kind, Status};
use super::lasting::Lasting;
use super::noise::Noise;
use super::options::ScoreScale;
use super::profile::{Profile, SEASON_MAX};
use super::shift::Shift;
use super::warm_up::WarmUp;
use crate::series::Frequency;

/// Values after a level shift in which nothing is flagged; twice as many after the first values of a new service.
const SETTLING: u32 = 7;
/// Zeros in a row after which a value is a new service.
const NEW_AFTER: u32 = 28;

/// Where in its calendar a value lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The phase of the season.
    pub(super) phase: usize,
    /// The day of the month, for days.
    pub(super) month_day: Option<MonthDay>,
    /// The kind of holiday, if it is one.
    pub(super) holiday: Option<u32>,
}

/// What the detector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is nothing but zeros, from the start or for weeks.
    Waiting,
    /// The first values are gathered.
    WarmingUp,
    /// Values are judged.
    Judging,
}

/// The detector of cost: every value is compared with level × weekday × day of the month, in widths of the noise.
///
/// Invariants: while judging, the level is above 0. Nothing here has a unit of its own, so a series times a power of two is judged
/// alike, to the bit. A series of credits is seen in the mirror, so that its values are above 0 here too.
#[derive(Debug, Clone)]
pub(super) struct Daily {
    frequency: Frequency,
    stage: Stage,
    is_mirrored: bool,
    is_new_service: bool,
    warm_up: WarmUp,
    profile: Profile,
    noise: Noise,
    memory: DayMemory,
    activity: Activity,
    bars: Bars,
    shift: Shift,
    growth: Growth,
    /// Zeros in a row until now, and the most there were while the series was sparse.
    zeros: u32,
    zeros_longest: u32,
    /// Values left in which nothing is flagged.
    settling_left: u32,
    /// The level before the latest shift, and for how many values a return to it is nothing unusual.
    level_before: f64,
    return_left: u32,
    /// The level when nothing spoke for a shift, and before what the latest value has shown, should that go on.
    level_quiet: f64,
    level_noticed: f64,
    lasting: Lasting,
    /// The level before the latest planned change that set it.
    level_before_set: f64,
    /// For each phase, how many times in a row it was unusual on one side: twice the count, plus 1 if above.
    runs: [u8; SEASON_MAX],
}

impl Daily {
    /// The scale of its scores.
    pub(super) const SCALE: ScoreScale = ScoreScale { tuned: TUNED };

    /// Nothing known.
    pub(super) fn new(frequency: Frequency) -> Self {
        let season = match frequency {
            Frequency::Hour => 24,
            Frequency::Day => 7,
            // A yearly profile takes years to learn: such series are judged by their level.
            Frequency::Week | Frequency::Month => 1,
        };
        Self {
            frequency,
            stage: Stage::Waiting,
            is_mirrored: false,
            is_new_service: false,
            warm_up: WarmUp::default(),
            profile: Profile::new(season),
            noise: Noise::new(),
            memory: DayMemory::new(),
            activity: Activity::new(),
            bars: Bars::default(),
            shift: Shift::default(),
            growth: Growth::default(),
            zeros: 0,
            zeros_longest: 0,
            settling_left: 0,
            level_before: 0.0,
            return_left: 0,
            level_quiet: 0.0,
            level_noticed: 0.0,
            lasting: Lasting::default(),
            level_before_set: 0.0,
            runs: [0; SEASON_MAX],
        }
    }

    /// How many phases its season has.
    pub(super) fn season(&self) -> usize {
        self.profile.season()
    }

    /// Judges a value (finite, or NaN where missing), where `threshold` is the score to flag at, then learns from it.
    pub(super) fn advance(&mut self, value: f64, moment: Moment, threshold: f64) -> Judgement {
        let seen = if self.is_mirrored { -value } else { value };
        let was_mirrored = self.is_mirrored;
        let judgement = match self.stage {
            Stage::Waiting => self.wait(seen, moment),
            Stage::WarmingUp => {
                self.warm_up(seen, moment);
                let before = self.lasting.next(None);
                Judgement {
                    baseline: before.unwrap_or(f64::NAN),
                    is_lasting: before.is_some(),
                    ..Judgement::unknown(Status::ShortHistory)
                }
            }
            Stage::Judging => self.judge(seen, moment, threshold),
        };
        if was_mirrored { judgement.mirrored() } else { judgement }
    }

    /// What the latest value has shown is an anomaly that goes on.
    pub(super) fn goes_on(&mut self) {
        self.lasting.begin(self.level_noticed, self.profile.level);
    }

    /// While there is nothing but zeros. What comes after four weeks of them is a new service, which needs no scale to be seen.
    fn wait(&mut self, value: f64, moment: Moment) -> Judgement {
        let zero = Judgement { expected: 0.0, lower: 0.0, upper: 0.0, ..Judgement::unknown(Status::AllZero) };
        if value.is_nan() {
            return Judgement { status: Status::MissingValue, ..zero };
        }
        if value == 0.0 {
            self.zeros = self.zeros.saturating_add(1);
            return zero;
        }
        let is_new = self.zeros >= NEW_AFTER;
        if is_new && value < 0.0 {
            // A credit for a service that no longer runs.
            return Judgement { status: Status::Credit, ..zero };
        }
        self.stage = Stage::WarmingUp;
        self.is_new_service = is_new;
        self.zeros = 0;
        self.warm_up.clear();
        self.warm_up(value, moment);
        if is_new {
            self.level_noticed = 0.0;
            Judgement { score: 2.0 * TUNED, status: Status::Judged, kind: Some(Kind::NewService), ..zero }
        } else {
            Judgement::unknown(Status::ShortHistory)
        }
    }

    /// Gathers the first values, and starts once there are enough.
    fn warm_up(&mut self, value: f64, moment: Moment) {
        self.warm_up.push(value);
        if value.is_finite() {
            self.bars.learn_value(value);
        }
        if self.warm_up.is_negative() {
            self.is_mirrored = !self.is_mirrored;
            self.warm_up.map(|value| -value);
            self.bars.mirror();
        }
        let season = self.season();
        let Some(start) = self.warm_up.start(moment.phase, season) else { return };
        self.activity.start(&start.active, season);
        self.profile.start(&start.typical, start.seasons);
        self.noise.start(start.noise);
        if self.activity.is_sparse() || self.profile.level <= 0.0 {
            self.profile.start_flat(start.active_level);
            self.noise.start(start.active_noise);
        }
        if self.profile.level <= 0.0 {
            return;
        }
        self.stage = Stage::Judging;
        self.memory = DayMemory::new();
        self.bars.restart();
        self.growth.clear();
        self.shift = Shift::default();
        self.runs = [0; SEASON_MAX];
        self.return_left = 0;
        // A new service ramps up: its first weeks are no shift.
        self.settling_left = if self.is_new_service { 2 * SETTLING } else { 0 };
        self.is_new_service = false;
        self.warm_up.clear();
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        let stage = match self.stage {
            Stage::Waiting => 0,
            Stage::WarmingUp => 1,
            Stage::Judging => 2,
        };
        let mut flags = stage | (u8::from(self.is_mirrored) << 2) | (u8::from(self.is_new_service) << 3);
        fields.byte(&mut flags);
        self.stage = match flags & 3 {
            0 => Stage::Waiting,
            1 => Stage::WarmingUp,
            _ => Stage::Judging,
        };
        (self.is_mirrored, self.is_new_service) = (flags & 4 != 0, flags & 8 != 0);
        self.warm_up.fields(fields);
        self.profile.fields(fields);
        let season = self.season();
        self.noise.fields(fields, season);
        self.memory.fields(fields);
        self.activity.fields(fields, season);
        self.bars.fields(fields);
        self.shift.fields(fields);
        self.growth.fields(fields);
        for word in [&mut self.zeros, &mut self.zeros_longest, &mut self.settling_left, &mut self.return_left] {
            fields.word(word);
        }
        fields.float(&mut self.level_before);
        fields.float(&mut self.level_quiet);
        self.lasting.fields(fields);
        fields.float(&mut self.level_before_set);
        self.runs[..season].iter_mut().for_each(|run| fields.byte(run));
    }
}
