//! Changes that are known beforehand: a migration, a launch, a new price.

/// What becomes of the level of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Times one and this: 0.2 is a fifth more.
    Percent(f64),
    /// This much more a value.
    Amount(f64),
    /// This much a value, whatever it was before.
    Set(f64),
}

/// On which days something may come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurrence {
    /// On any day.
    Always,
    /// On the same weekday (hour of the day for hours).
    SamePhase,
    /// On the same day of the month, counted from the month's end for its last three days.
    SameMonthDay,
}

/// A change of the level of a series, from a position on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedChange {
    /// The first position it holds at; negative where it began before the first value.
    pub from: i64,
    /// The first position it no longer holds at; none where it stays.
    pub until: Option<i64>,
    /// What changes.
    pub change: Change,
    /// When the like of one that has ended is nothing unusual: it is not expected, but not flagged either.
    pub recurs: Option<Recurrence>,
}
