//! Half-open stretches of time in microseconds since 1970, UTC.

use chrono::{DateTime, Datelike as _};

use crate::period::BillingPeriod;

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// `[from, until)`; `i64::MIN` and `i64::MAX` stand for always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first instant.
    pub from: i64,
    /// The first instant after it.
    pub until: i64,
}

impl Span {
    /// All of time.
    pub const ALWAYS: Self = Self { from: i64::MIN, until: i64::MAX };

    /// Whether the instant lies in it.
    pub fn contains(self, at: i64) -> bool {
        self.from <= at && at < self.until
    }

    /// The common part; empty (`from >= until`) when there is none.
    pub fn intersect(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// The instant in it that is the nearest to another; the span is not empty.
    pub(crate) fn nearest(self, at: i64) -> i64 {
        at.min(self.until - 1).max(self.from)
    }

    /// Whether no instant lies in it.
    pub fn is_empty(self) -> bool {
        self.from >= self.until
    }

    /// The stretch around an instant in which it lies in this span throughout, or throughout outside of it.
    pub(crate) fn around(self, at: i64) -> Self {
        let mut around = Self::ALWAYS;
        for edge in [self.from, self.until] {
            if edge <= at {
                around.from = around.from.max(edge);
            } else {
                around.until = around.until.min(edge);
            }
        }
        around
    }

    /// Whether some instant lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        !self.intersect(other).is_empty()
    }
}

/// The UTC month that an instant lies in: its first day, in days since 1970, and when it lasts.
pub(crate) fn month_around(at: i64) -> (i32, Span) {
    let day = i32::try_from(at.div_euclid(DAY_US)).unwrap_or_default();
    let Some(month) = BillingPeriod::of_day(day) else { return (day, Span { from: at, until: at }) };
    let first = month.first_day_number();
    let length = i64::from(month.last_day().day());
    let from = i64::from(first) * DAY_US;
    (first, Span { from, until: from + length * DAY_US })
}

/// Reads RFC 3339 text as microseconds.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.timestamp_micros())
}

/// The entry of a list sorted by `from` that holds at an instant, and until when that answer stays the same.
///
/// Gaps answer `None` until the next entry begins.
pub(crate) fn holds_at<T>(sorted: &[T], at: i64, span_of: impl Fn(&T) -> Span) -> (Option<&T>, Span) {
    let next = sorted.partition_point(|entry| span_of(entry).from <= at);
    let until = sorted.get(next).map_or(i64::MAX, |entry| span_of(entry).from);
    let Some(last) = next.checked_sub(1).and_then(|index| sorted.get(index)) else {
        return (None, Span { from: i64::MIN, until });
    };
    let span = span_of(last);
    if span.contains(at) {
        (Some(last), Span { from: span.from, until: span.until.min(until) })
    } else {
        (None, Span { from: span.until, until })
    }
}

/// Cuts overlapping spans into disjoint ones: each stretch with the entries that hold in it.
pub(crate) fn sweep<T: Copy>(entries: &[(Span, T)]) -> Vec<(Span, Vec<T>)> {
    let mut cuts: Vec<i64> =
        entries.iter().filter(|(span, _)| !span.is_empty()).flat_map(|(span, _)| [span.from, span.until]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut stretches = Vec::new();
    for pair in cuts.windows(2) {
        let span = Span { from: pair[0], until: pair[1] };
        let holding: Vec<T> =
            entries.iter().filter(|(other, _)| other.contains(span.from)).map(|(_, entry)| *entry).collect();
        if !holding.is_empty() {
            stretches.push((span, holding));
        }
    }
    stretches
}
