//! Whether the level has moved and stays.

use super::codec::Fields;

/// What each day's deviation must exceed before it counts, in noise widths.
const SLACK: f64 = 1.25;
/// The sum at which the level has moved, in noise widths.
const LIMIT: f64 = 7.5;
/// The most that one day can add: a single spike, however high, is not a shift.
const DAY_MAX: f64 = 4.0;

/// The two-sided cumulative sum of Page (1954), of deviations in noise widths.
#[derive(Debug, Clone, Default)]
pub(super) struct Shift {
    up: f64,
    down: f64,
    days_up: u32,
    days_down: u32,
}

/// A shift of the level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alarm {
    /// The sum relative to its limit, 1 and more.
    pub(super) evidence: f64,
    /// Since how many values the level has been moving.
    pub(super) days: usize,
}

impl Shift {
    /// Adds a day's deviation, in noise widths. After an alarm it starts anew.
    pub(super) fn advance(&mut self, deviation: f64) -> Option<Alarm> {
        let day = deviation.clamp(-DAY_MAX, DAY_MAX);
        self.up = (self.up + day - SLACK).max(0.0);
        self.down = (self.down - day - SLACK).max(0.0);
        self.days_up = if self.up > 0.0 { self.days_up.saturating_add(1) } else { 0 };
        self.days_down = if self.down > 0.0 { self.days_down.saturating_add(1) } else { 0 };
        let (sum, days) = if self.up > self.down { (self.up, self.days_up) } else { (self.down, self.days_down) };
        if sum <= LIMIT {
            return None;
        }
        *self = Self::default();
        Some(Alarm { evidence: sum / LIMIT, days: days as usize })
    }

    /// Whether nothing speaks for a shift.
    pub(super) fn is_quiet(&self) -> bool {
        self.days_up == 0 && self.days_down == 0
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        fields.float(&mut self.up);
        fields.float(&mut self.down);
        fields.word(&mut self.days_up);
        fields.word(&mut self.days_down);
    }
}
