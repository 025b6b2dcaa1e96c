//! What returns on the same day of every month, and on holidays.

use super::codec::Fields;
use super::ring::Brief;

/// The last three days of a month, then its 1st to 28th.
const SLOTS: usize = 3 + 28;
/// Months remembered of each.
const MONTHS: usize = 3;
/// Kinds of holidays remembered.
const HOLIDAYS: usize = 12;
/// A run is worth remembering where it differs by more noise widths than this...
const NOISE_WIDTHS: f64 = 3.0;
/// ... and by more than this share of the usual day.
const SHARE_MIN: f64 = 0.1;

/// Ratios of the latest days like this one to their usual weekday (1 is as usual), newest last.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    ratios: [Brief; MONTHS],
    count: u8,
}

impl Slot {
    fn push(&mut self, ratio: f64) {
        if usize::from(self.count) == MONTHS {
            self.ratios.rotate_left(1);
        } else {
            self.count += 1;
        }
        self.ratios[usize::from(self.count) - 1] = Brief::new(ratio);
    }

    fn fields(&mut self, fields: &mut impl Fields) {
        self.ratios.iter_mut().for_each(|ratio| ratio.fields(fields));
        fields.byte(&mut self.count);
        self.count = self.count.min(3);
    }
}

/// Which day of the month it is, counted from the nearer end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MonthDay(usize);

impl MonthDay {
    /// From days to the month's end (0 on the last) and the day of the month (from 1), as `Calendar::day_of_month` gives them.
    pub(super) fn new((days_left, day): (u32, u32)) -> Self {
        Self(if days_left < 3 { days_left as usize } else { 2 + (day as usize).clamp(1, 28) })
    }

    /// A number from 0 to 30 for it.
    pub(super) fn number(self) -> u8 {
        u8::try_from(self.0).unwrap_or(0)
    }

    /// The last three days of a month and the 1st, on which batch jobs and invoices run.
    fn is_edge(self) -> bool {
        self.0 <= 3
    }
}

/// What is known of a day beyond its weekday. Ratios are relative to the usual weekday.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Effect {
    /// What to expect.
    pub(super) ratio: f64,
    /// Any ratio from here...
    pub(super) low: f64,
    /// ... to here is as usual.
    pub(super) high: f64,
    /// How far the remembered ratios lie apart, as a share of `ratio`.
    pub(super) spread: f64,
}

impl Effect {
    /// A day like any other.
    pub(super) const NONE: Self = Self { ratio: 1.0, low: 1.0, high: 1.0, spread: 0.0 };
}

/// The month ends, invoice days and holidays of a series.
///
/// A month-end run is learned when two of the last three months showed it. Until then it is flagged; once learned, its absence is not (a
/// run that slips by a weekend is no incident). The classical way is a dummy variable in a regression (Box & Tiao 1975,
/// intervention analysis); two or three remembered ratios need no refit.
#[derive(Debug, Clone)]
pub(super) struct DayMemory {
    month_days: [Slot; SLOTS],
    holidays: [Slot; HOLIDAYS],
    kinds: [u32; HOLIDAYS],
    kinds_known: u8,
}

impl DayMemory {
    /// Nothing remembered.
    pub(super) fn new() -> Self {
        Self {
            month_days: [Slot::default(); SLOTS],
            holidays: [Slot::default(); HOLIDAYS],
            kinds: [0; HOLIDAYS],
            kinds_known: 0,
        }
    }

    fn known_kinds(&self) -> &[u32] {
        &self.kinds[..usize::from(self.kinds_known).min(HOLIDAYS)]
    }

    /// Whether a holiday of this kind has been seen.
    pub(super) fn knows(&self, holiday: u32) -> bool {
        self.known_kinds().contains(&holiday)
    }

    /// What to expect of a day, where errors of `noise` (relative) are usual.
    pub(super) fn effect(&self, month_day: Option<MonthDay>, holiday: Option<u32>, noise: f64) -> Effect {
        if let Some(at) = holiday.and_then(|kind| self.known_kinds().iter().position(|known| *known == kind)) {
            // One holiday a year is all there is: what it did last time is expected, a normal day is not unusual either.
            return summary(&self.holidays[at], 1, 0.0).unwrap_or(Effect::NONE);
        }
        let notable = SHARE_MIN.max(NOISE_WIDTHS * noise);
        let of_month = month_day.and_then(|day| {
            let slot = &self.month_days[day.0];
            summary(slot, 2, notable).or_else(|| {
                // One run at a month's edge is a reason to wait for the second, not to expect it.
                let seen = summary(slot, 1, notable).filter(|_| day.is_edge() && slot.count == 1)?;
                Some(Effect { ratio: 1.0, ..seen })
            })
        });
        of_month.unwrap_or(Effect::NONE)
    }

    /// Remembers how a day was, relative to its usual weekday.
    pub(super) fn learn(&mut self, month_day: Option<MonthDay>, holiday: Option<u32>, ratio: f64) {
        if let Some(kind) = holiday {
            let known = self.known_kinds().iter().position(|known| *known == kind);
            let at = known.unwrap_or(usize::from(self.kinds_known));
            if at < HOLIDAYS {
                self.kinds[at] = kind;
                self.kinds_known = self.kinds_known.max(u8::try_from(at + 1).unwrap_or(0));
                self.holidays[at].push(ratio);
            }
        } else if let Some(day) = month_day {
            self.month_days[day.0].push(ratio);
        }
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        self.month_days.iter_mut().chain(&mut self.holidays).for_each(|slot| slot.fields(fields));
        fields.words(&mut self.kinds);
        fields.byte(&mut self.kinds_known);
    }
}

/// What at least `months_min` of the remembered ratios agree on: notable and on one side.
fn summary(slot: &Slot, months_min: usize, notable: f64) -> Option<Effect> {
    let ratios = || slot.ratios[..usize::from(slot.count).min(MONTHS)].iter().map(|ratio| ratio.get());
    let is_above = |ratio: &f64| *ratio >= 1.0 + notable;
    let is_below = |ratio: &f64| *ratio <= 1.0 - notable;
    let (above, below) = (ratios().filter(is_above).count(), ratios().filter(is_below).count());
    let is_agreed = |ratio: &f64| if above >= below { is_above(ratio) } else { is_below(ratio) };
    let count = above.max(below);
    if count < months_min.max(1) {
        return None;
    }
    let agreed = || ratios().filter(is_agreed);
    let ratio = agreed().sum::<f64>() / count as f64;
    let (low, high) = agreed().fold((1.0_f64, 1.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    let distance = agreed().map(|other| (other - ratio).abs()).sum::<f64>() / count as f64;
    Some(Effect { ratio, low, high, spread: if ratio > 0.0 { distance / ratio } else { 0.0 } })
}
