//! What users have said is as it should be.

use super::codec::Fields;
use super::judgement::{Direction, Kind};
use crate::series::Recurrence;

/// The most that is remembered of one series; the oldest makes way.
const REMEMBERED: usize = 8;
/// A deviation counts as similar up to this multiple of the one accepted.
const SIMILAR: f64 = 1.25;

/// A flagged episode that users marked as expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accepted {
    /// The position of its first day in the series.
    pub position: usize,
    /// What it was flagged as.
    pub kind: Kind,
    /// On which side it was.
    pub direction: Direction,
    /// Its largest deviation as a share of what was expected (1.5 is 150 % more or less).
    pub magnitude: f64,
    /// When it may come again.
    pub recurrence: Recurrence,
}

/// One accepted deviation. Small numbers, so that it can be stored.
#[derive(Debug, Clone, Copy, Default)]
struct Rule {
    kind: u8,
    /// 0 always, 1 same phase, 2 same day of the month.
    recurrence: u8,
    /// The phase or day of the month.
    day: u8,
    is_up: u8,
    magnitude: f64,
}

/// A deviation that may be accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) kind: Kind,
    pub(super) direction: Direction,
    /// Relative to what was expected.
    pub(super) magnitude: f64,
    /// The phase of the season.
    pub(super) phase: u8,
    /// The day of the month, see [`super::day_memory::MonthDay`].
    pub(super) month_day: u8,
}

/// What users have accepted: similar deviations (kind, direction, day, up to a quarter more in size) raise no flag later.
///
/// They still have their score, and the state learns from them as from any other value.
#[derive(Debug, Clone, Default)]
pub(super) struct Feedback {
    rules: [Rule; REMEMBERED],
    count: u8,
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Spike => 0,
        Kind::Drop => 1,
        Kind::LevelShift => 2,
        Kind::Growth => 3,
        Kind::NewService => 4,
        Kind::MissingData => 5,
    }
}

impl Feedback {
    /// Remembers that a deviation is as it should be.
    pub(super) fn accept(&mut self, accepted: &Candidate, recurrence: Recurrence) {
        let (recurrence, day) = match recurrence {
            Recurrence::Always => (0, 0),
            Recurrence::SamePhase => (1, accepted.phase),
            Recurrence::SameMonthDay => (2, accepted.month_day),
        };
        let rule = Rule {
            kind: kind_number(accepted.kind),
            recurrence,
            day,
            is_up: u8::from(accepted.direction == Direction::Up),
            magnitude: accepted.magnitude,
        };
        if usize::from(self.count) == REMEMBERED {
            self.rules.rotate_left(1);
        } else {
            self.count += 1;
        }
        self.rules[usize::from(self.count) - 1] = rule;
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a deviation is like one that was accepted.
    pub(super) fn accepts(&self, candidate: &Candidate) -> bool {
        self.rules[..usize::from(self.count)].iter().any(|rule| {
            let is_same_day = match rule.recurrence {
                1 => rule.day == candidate.phase,
                2 => rule.day == candidate.month_day,
                _ => true,
            };
            // What was nothing before has no size relative to it.
            let is_same_size = candidate.kind == Kind::NewService || candidate.magnitude <= SIMILAR * rule.magnitude;
            rule.kind == kind_number(candidate.kind)
                && (rule.is_up == 1) == (candidate.direction == Direction::Up)
                && is_same_day
                && is_same_size
        })
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        for rule in &mut self.rules {
            fields.byte(&mut rule.kind);
            fields.byte(&mut rule.recurrence);
            fields.byte(&mut rule.day);
            fields.byte(&mut rule.is_up);
            fields.float(&mut rule.magnitude);
        }
        fields.byte(&mut self.count);
        self.count = self.count.min(8);
    }
}
