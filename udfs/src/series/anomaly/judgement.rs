//! What a detector says of one value.

/// Whether a value is above or below what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More than expected.
    Up,
    /// Less than expected.
    Down,
}

/// What an anomaly looks like on the day it is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value or a few far above.
    Spike,
    /// One value or a few far below.
    Drop,
    /// The level has moved and stays.
    LevelShift,
    /// The level climbs week after week, faster than it did before.
    Growth,
    /// Cost where there was none for weeks.
    NewService,
    /// Nothing at all where there always was something.
    MissingData,
}

impl Kind {
    /// Whether it goes on after the value at which it is noticed.
    pub(super) fn lasts(self) -> bool {
        matches!(self, Self::LevelShift | Self::Growth | Self::NewService)
    }

    /// The name of it in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::Drop => "drop",
            Self::LevelShift => "level_shift",
            Self::Growth => "growth",
            Self::NewService => "new_service",
            Self::MissingData => "missing_data",
        }
    }
}

/// How far a judgement can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Judged.
    Judged,
    /// Too few values before this one.
    ShortHistory,
    /// Nothing but zeros until now, or for four weeks and longer.
    AllZero,
    /// No value, or none that is a finite number.
    MissingValue,
    /// A credit or refund: below zero in a series of cost. Never flagged, never learned from.
    Credit,
    /// A zero in a series that is zero on many days: says nothing.
    Idle,
    /// The first holiday of its kind: what it does to this series is not known yet.
    FirstHoliday,
    /// Just after a level shift, which was flagged: the new level is being learned.
    Settling,
}

impl Status {
    /// The name of it in SQL, empty for a plain judgement.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Judged => "",
            Self::ShortHistory => "short_history",
            Self::AllZero => "all_zero",
            Self::MissingValue => "missing_value",
            Self::Credit => "credit",
            Self::Idle => "idle",
            Self::FirstHoliday => "first_holiday",
            Self::Settling => "settling",
        }
    }
}

/// What a detector says of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// What was expected, in the unit of the series; NaN where nothing can be expected yet.
    pub expected: f64,
    /// What there would be without an anomaly that goes on: at the level before a shift or a growth, nothing for a new service; else
    /// what was expected.
    pub baseline: f64,
    /// Values below are spikes downwards, in the unit of the series; NaN as above.
    pub lower: f64,
    /// Values above are spikes upwards, in the unit of the series; NaN as above.
    pub upper: f64,
    /// How unusual, 0 and more, comparable between series. A shift or growth can have a score that the distance to
    /// `expected` alone would not give.
    pub score: f64,
    /// The score as a number from 0 to 1, in the sense of BigQuery's `anomaly_probability`: rises with the score.
    pub probability: f64,
    /// Whether a user should look at it.
    pub is_anomaly: bool,
    /// Whether an anomaly that was flagged before goes on, for four weeks at most.
    pub is_lasting: bool,
    /// On which side of `expected` the value is.
    pub direction: Direction,
    /// What it looks like, where flagged.
    pub kind: Option<Kind>,
    /// How far to rely on this.
    pub status: Status,
}

impl Judgement {
    /// Nothing can be said.
    pub(super) fn unknown(status: Status) -> Self {
        Self {
            expected: f64::NAN,
            baseline: f64::NAN,
            lower: f64::NAN,
            upper: f64::NAN,
            score: 0.0,
            probability: 0.0,
            is_anomaly: false,
            is_lasting: false,
            direction: Direction::Up,
            kind: None,
            status,
        }
    }

    /// The same, seen in the series times -1.
    pub(super) fn mirrored(self) -> Self {
        let direction = match self.direction {
            Direction::Up => Direction::Down,
            Direction::Down => Direction::Up,
        };
        let kind = self.kind.map(|kind| match kind {
            Kind::Spike => Kind::Drop,
            Kind::Drop => Kind::Spike,
            other => other,
        });
        Self {
            expected: -self.expected,
            baseline: -self.baseline,
            lower: -self.upper,
            upper: -self.lower,
            direction,
            kind,
            ..self
        }
    }
}
