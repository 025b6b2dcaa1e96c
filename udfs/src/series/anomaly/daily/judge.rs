//! How a value is judged once there is a level.

use super::{Daily, Moment, NEW_AFTER, SETTLING, Stage};
use crate::series::Frequency;
use crate::series::anomaly::bar::{Bar, TUNED};
use crate::series::anomaly::day_memory::Effect;
use crate::series::anomaly::deviation::UNIT_FLOOR;
use crate::series::anomaly::expectation::Expectation;
use crate::series::anomaly::judgement::{Direction, Judgement, Kind, Status};
use crate::series::anomaly::noise::CLIP;
use crate::series::anomaly::shift::{Alarm, Shift};

/// Values for which a return to the level before a shift is nothing unusual.
const RETURN: u32 = 21;
/// A level is back where it was when it is within this share of it, or two noise widths.
const BACK: f64 = 0.25;
/// A level that moved by less is followed, and not flagged.
const SHIFT_MIN: f64 = 0.02;
/// Values of the same phase, all unusual and on one side, after which the phase has changed.
const RUN_MAX: u8 = 3;
/// Shifts and growth weigh as much as they show in plain sight: in full at so many plain standard deviations of all values.
const SHIFT_DISTANCE: f64 = 1.0;
const GROWTH_DISTANCE: f64 = 2.5;
/// A value below needs a little less than one above: the scale below is linear.
const BAR_BELOW: f64 = 0.95;

/// One value, and all that is known of it before it is learned.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    value: f64,
    moment: Moment,
    effect: Effect,
    /// What its weekday usually is, in the unit of the series, above 0.
    usual: f64,
    expectation: Expectation,
    bar: Bar,
    /// The distance from the expectation, in noise widths.
    error: f64,
    /// The distance from everything that would be usual, in noise widths.
    surprise: f64,
    is_settling: bool,
}

/// What speaks for an anomaly: 1 and more is one.
#[derive(Debug, Clone, Copy)]
struct Evidence {
    strength: f64,
    kind: Kind,
}

impl Evidence {
    fn or(self, strength: f64, kind: Kind) -> Self {
        match strength > self.strength {
            // What has no alarm of its own yet makes the day more suspicious, but not of another kind.
            true if strength < 1.0 => Self { strength, ..self },
            true => Self { strength, kind },
            false => self,
        }
    }
}

impl Daily {
    /// Judges a value, then learns from it.
    pub(super) fn judge(&mut self, value: f64, moment: Moment, threshold: f64) -> Judgement {
        let effect = self.memory.effect(moment.month_day, moment.holiday, self.noise.overall());
        let expectation = self.expectation(moment, effect);
        let bar = self.bars.bar(&expectation);
        let (lower, upper) = expectation.bounds(bar.flag * threshold / TUNED, BAR_BELOW);
        let expected = expectation.expected;
        let before = self.lasting.next(Some(self.profile.level));
        let plain = Judgement {
            expected,
            baseline: before.map_or(expected, |before| expected * before / self.profile.level),
            // A value below zero is a credit, which is not judged: the interval ends there.
            lower: lower.max(0.0),
            upper,
            is_lasting: before.is_some(),
            ..Judgement::unknown(Status::Judged)
        };
        if let Some(status) = self.unjudged(value, moment) {
            let direction = if value < expected { Direction::Down } else { Direction::Up };
            return Judgement { status, direction, ..plain };
        }
        let sighting = Sighting {
            value,
            moment,
            effect,
            usual: self.usual(moment.phase),
            expectation,
            bar,
            error: expectation.error(value),
            surprise: self.surprise(value, &expectation),
            is_settling: self.settling_left > 0,
        };
        self.settling_left = self.settling_left.saturating_sub(1);
        self.weigh(&sighting, plain)
    }

    /// Why a value cannot be judged, if so. Counts zeros.
    fn unjudged(&mut self, value: f64, moment: Moment) -> Option<Status> {
        if value.is_nan() {
            return Some(Status::MissingValue);
        }
        if value < 0.0 {
            return Some(Status::Credit);
        }
        let was_sparse = self.activity.is_sparse();
        self.zeros = if value == 0.0 { self.zeros.saturating_add(1) } else { 0 };
        if self.zeros >= NEW_AFTER.max(self.zeros_longest.saturating_mul(2)) {
            self.stage = Stage::Waiting;
            return Some(Status::AllZero);
        }
        if was_sparse {
            self.zeros_longest = self.zeros_longest.max(self.zeros);
        }
        if self.activity.learn(moment.phase, value != 0.0, self.season()) {
            // The level is no longer the same thing.
            self.shift = Shift::default();
        }
        if was_sparse && value == 0.0 {
            return Some(Status::Idle);
        }
        let first_of_kind = moment.holiday.filter(|kind| !self.memory.knows(*kind))?;
        self.memory.learn(None, Some(first_of_kind), value / self.usual(moment.phase));
        Some(Status::FirstHoliday)
    }

    fn expectation(&self, moment: Moment, effect: Effect) -> Expectation {
        let level = self.profile.level;
        let factor = if self.activity.is_sparse() { 1.0 } else { self.profile.factor(moment.phase) };
        let noise = self.noise.of_phase(moment.phase);
        Expectation {
            expected: level * factor * effect.ratio,
            low: level * factor * effect.low,
            high: level * factor * effect.high,
            level,
            noise: (noise * noise + effect.spread * effect.spread).sqrt(),
        }
    }

    /// What a phase usually is, in the unit of the series, for ratios to it.
    fn usual(&self, phase: usize) -> f64 {
        let factor = if self.activity.is_sparse() { 1.0 } else { self.profile.factor(phase).max(UNIT_FLOOR) };
        self.profile.level * factor
    }

    /// How far a value is from everything that would be usual: also from the level before a shift, for a while.
    fn surprise(&mut self, value: f64, expectation: &Expectation) -> f64 {
        let surprise = expectation.surprise(value);
        if self.return_left == 0 {
            return surprise;
        }
        self.return_left -= 1;
        let returned = expectation.scaled(self.level_before / self.profile.level).surprise(value);
        if returned.abs() < surprise.abs() { returned } else { surprise }
    }

    /// Weighs all evidence, and learns from the value.
    fn weigh(&mut self, sighting: &Sighting, plain: Judgement) -> Judgement {
        let direction = if sighting.error >= 0.0 { Direction::Up } else { Direction::Down };
        let kind = match direction {
            Direction::Up => Kind::Spike,
            Direction::Down if sighting.value == 0.0 && self.activity.is_always(sighting.moment.phase) => {
                Kind::MissingData
            }
            Direction::Down => Kind::Drop,
        };
        let bar = if sighting.surprise < 0.0 { BAR_BELOW * sighting.bar.flag } else { sighting.bar.flag };
        let mut evidence = Evidence { strength: sighting.surprise.abs() / bar, kind };
        let distance = self.bars.distance(sighting.value);

        let climb = (self.climb(sighting) * distance / GROWTH_DISTANCE).sqrt();
        evidence = evidence.or(climb, Kind::Growth);
        let level = sighting.expectation.level;
        if climb >= 1.0 {
            self.level_noticed = level * self.growth.share_without();
            self.growth.rest();
        }
        if self.shift.is_quiet() {
            self.level_quiet = level;
        }
        let alarm = self.shift.advance(sighting.expectation.surprise(sighting.value) * TUNED / sighting.bar.robust);
        if let Some(alarm) = alarm
            && self.follow(alarm)
        {
            evidence = evidence.or((alarm.evidence * distance / SHIFT_DISTANCE).sqrt(), Kind::LevelShift);
            if evidence.kind == Kind::LevelShift {
                self.level_noticed = self.level_quiet;
            }
        }
        self.bars.learn(sighting.value, sighting.expectation.expected, sighting.surprise);
        self.learn(sighting, alarm.is_some());
        self.profile.hold(sighting.value);

        let status = if sighting.is_settling { Status::Settling } else { Status::Judged };
        // One that goes on already is told from its beginning.
        let baseline = match evidence.kind {
            Kind::LevelShift | Kind::Growth if !plain.is_lasting => plain.expected * self.level_noticed / level,
            _ => plain.baseline,
        };
        Judgement { baseline, score: evidence.strength * TUNED, direction, kind: Some(evidence.kind), status, ..plain }
    }

    /// Adds the value to the search for growth. Returns the evidence.
    fn climb(&mut self, sighting: &Sighting) -> f64 {
        let has_usual = self.activity.is_sparse() || self.profile.factor(sighting.moment.phase) > UNIT_FLOOR;
        if self.frequency != Frequency::Day || !has_usual {
            return 0.0;
        }
        let ordinary = sighting.value / (sighting.usual * sighting.effect.ratio.max(UNIT_FLOOR)) * self.profile.level;
        self.growth.advance(ordinary, self.noise.overall())
    }

    /// Takes the level to where it has moved. Returns whether that is news: neither a return nor next to nothing.
    fn follow(&mut self, alarm: Alarm) -> bool {
        self.settling_left = SETTLING;
        let before = self.profile.level;
        let Some(level) = self.growth.recent(alarm.days).filter(|level| *level > 0.0) else { return true };
        let is_back =
            self.return_left > 0 && (level / self.level_before).ln().abs() < BACK.max(2.0 * self.noise.overall());
        self.level_before = before;
        self.return_left = RETURN;
        self.profile.level = level;
        !is_back && (level / before - 1.0).abs() >= SHIFT_MIN
    }

    /// Learns from a value.
    fn learn(&mut self, sighting: &Sighting, has_shifted: bool) {
        let Moment { phase, month_day, holiday } = sighting.moment;
        self.memory.learn(month_day, holiday, sighting.value / sighting.usual);
        if sighting.effect != Effect::NONE {
            // A month-end run says nothing of ordinary days.
            return;
        }
        self.noise.learn(phase, sighting.error * sighting.expectation.noise);
        if has_shifted {
            return;
        }
        let error = sighting.expectation.clipped(sighting.value, CLIP);
        if self.activity.is_sparse() {
            self.profile.learn_level(error, sighting.is_settling);
        } else if self.has_phase_changed(sighting) {
            self.profile.replace_factor(phase, sighting.value / self.profile.level);
        } else {
            self.profile.learn(phase, error, sighting.is_settling);
        }
    }

    /// Whether this weekday has now been unusual for weeks, on one side: a machine that runs on weekends from now on.
    fn has_phase_changed(&mut self, sighting: &Sighting) -> bool {
        let run = &mut self.runs[sighting.moment.phase];
        if sighting.surprise.abs() <= sighting.bar.flag / 2.0 {
            *run = 0;
            return false;
        }
        let is_up = sighting.error > 0.0;
        let count = if (*run & 1 == 1) == is_up { (*run >> 1) + 1 } else { 1 };
        *run = if count >= RUN_MAX { 0 } else { (count << 1) | u8::from(is_up) };
        count >= RUN_MAX
    }
}
