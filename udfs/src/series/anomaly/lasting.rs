//! What goes on after the value at which it was noticed.

use super::codec::Fields;

/// Values for which a new level is told beside the one before; after that it is what is usual.
const VALUES: u32 = 28;
/// It is over when the level is back within this share of its way.
const BACK: f64 = 0.25;

/// A level shift, a growth or a new service that is going on: what it adds to is the level before it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lasting {
    /// The level before it, in the unit of the series.
    before: f64,
    /// The level that was furthest from that since.
    furthest: f64,
    /// Values left.
    left: u32,
}

impl Lasting {
    /// Notices that the level has moved from `before` to `now`. What moves on in one direction began where it first began.
    pub(super) fn begin(&mut self, before: f64, now: f64) {
        let moves_on = self.left > 0 && (now > before) == (self.furthest > self.before);
        if !moves_on {
            self.before = before;
        }
        (self.furthest, self.left) = (now, VALUES);
    }

    /// The level before, if it goes on with the next value, where the level is `now`.
    pub(super) fn next(&mut self, now: Option<f64>) -> Option<f64> {
        if self.left == 0 {
            return None;
        }
        if let Some(now) = now {
            let (way, furthest) = (now - self.before, self.furthest - self.before);
            if way * furthest.signum() < BACK * furthest.abs() {
                self.left = 0;
                return None;
            }
            if way.abs() > furthest.abs() {
                self.furthest = now;
            }
        }
        self.left -= 1;
        Some(self.before)
    }

    /// Sees everything before in the light of a planned change.
    pub(super) fn scale(&mut self, ratio: f64) {
        self.before *= ratio;
        self.furthest *= ratio;
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        fields.float(&mut self.before);
        fields.float(&mut self.furthest);
        fields.word(&mut self.left);
    }
}
