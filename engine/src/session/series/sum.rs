//! Forecasts added up time by time: what the series of a node come to, whose own forecast is moved there.

use ratehouse_udfs::series::{Calendar, Frequency};

use super::gather::SPAN_MAX;
use super::work::Made;

/// The sum of what series have known last, and of what is forecast of them, by date: a week's or month's value counts on its first day.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// Whether it is of hours, and not of days; none: nothing was added yet.
    has_hours: Option<bool>,
    /// The hour or day of the first entry, since 1970.
    first: i64,
    /// The mean, and what planned changes are of it; NaN where there is none.
    steps: Vec<(f64, f64)>,
    /// Hours and days are not added up.
    is_mixed: bool,
}

/// The hour or day of a position, since 1970.
fn step(calendar: &Calendar, position: usize) -> i64 {
    match calendar.frequency {
        Frequency::Hour => i64::from(calendar.first).saturating_add(i64::try_from(position).unwrap_or(i64::MAX)),
        Frequency::Day | Frequency::Week | Frequency::Month => i64::from(calendar.date(position).to_epoch_days()),
    }
}

fn has_hours(calendar: &Calendar) -> bool {
    calendar.frequency == Frequency::Hour
}

impl Sum {
    /// Adds a forecast, and the values that are known from a position on.
    pub(super) fn add(&mut self, calendar: &Calendar, values: &[f64], made: &Made, from: usize) {
        if *self.has_hours.get_or_insert(has_hours(calendar)) != has_hours(calendar) {
            self.is_mixed = true;
            return;
        }
        for (position, value) in values.iter().enumerate().skip(from) {
            self.put(step(calendar, position), (*value, 0.0));
        }
        for lead in 0..made.mean.len() {
            let planned = made.value[lead] - made.baseline[lead];
            self.put(step(calendar, values.len() + lead), (made.mean[lead], planned));
        }
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        let Some(has_hours) = other.has_hours else { return };
        self.is_mixed |= other.is_mixed || *self.has_hours.get_or_insert(has_hours) != has_hours;
        for (at, value) in (other.first..).zip(&other.steps) {
            self.put(at, *value);
        }
    }

    /// Adds to one hour or day; nothing where that lies as far from the others as no series reaches.
    fn put(&mut self, at: i64, (mean, planned): (f64, f64)) {
        if mean.is_nan() && planned.is_nan() {
            return;
        }
        if self.steps.is_empty() {
            self.first = at;
        }
        let end = self.first.saturating_add(i64::try_from(self.steps.len()).unwrap_or(i64::MAX));
        let span = end.max(at.saturating_add(1)).saturating_sub(self.first.min(at));
        if !usize::try_from(span).is_ok_and(|span| span <= SPAN_MAX) {
            return;
        }
        const NONE: (f64, f64) = (f64::NAN, f64::NAN);
        if let Ok(before @ 1..) = usize::try_from(self.first - at) {
            self.steps.splice(0..0, std::iter::repeat_n(NONE, before));
            self.first = at;
        }
        let place = usize::try_from(at - self.first).unwrap_or_default();
        if self.steps.len() <= place {
            self.steps.resize(place + 1, NONE);
        }
        let held = &mut self.steps[place];
        *held = (added(held.0, mean), added(held.1, planned));
    }

    /// The sum at a position of a grid, and what of it are planned changes.
    pub(super) fn at(&self, calendar: &Calendar, position: usize) -> Option<(f64, f64)> {
        if self.is_mixed || self.has_hours != Some(has_hours(calendar)) {
            return None;
        }
        let place = usize::try_from(step(calendar, position) - self.first).ok()?;
        self.steps.get(place).copied().filter(|(mean, _)| !mean.is_nan())
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.steps.capacity() * size_of::<(f64, f64)>()
    }
}

/// The sum of what is known of two.
fn added(one: f64, other: f64) -> f64 {
    match (one.is_nan(), other.is_nan()) {
        (true, _) => other,
        (_, true) => one,
        _ => one + other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(mean: &[f64]) -> Made {
        Made { value: mean.to_vec(), mean: mean.to_vec(), baseline: mean.to_vec(), ..Made::default() }
    }

    fn of(frequency: Frequency, first: i32) -> Calendar {
        Calendar { first, frequency }
    }

    #[test]
    fn what_is_known_of_one_adds_to_what_is_forecast_of_another() {
        let day = |first| of(Frequency::Day, first);
        let mut sum = Sum::default();
        // Known on days 10 and 11, forecast for 12 and 13; the other is known on day 9 only.
        sum.add(&day(10), &[1.0, 2.0], &made(&[3.0, 4.0]), 0);
        sum.add(&day(9), &[10.0], &made(&[20.0, f64::NAN]), 0);
        let at = |day_of: usize| sum.at(&day(0), day_of).map(|(mean, _)| mean);
        assert_eq!(
            [8, 9, 10, 11, 12, 13, 14].map(at),
            [None, Some(10.0), Some(21.0), Some(2.0), Some(3.0), Some(4.0), None]
        );
    }

    #[test]
    fn weeks_and_months_count_on_their_first_days_and_hours_apart() {
        let mut sum = Sum::default();
        sum.add(&of(Frequency::Day, 26), &[1.0], &made(&[2.0; 6]), 1);
        // The week from day 28 on, and February 1970, which begins on day 31.
        sum.add(&of(Frequency::Week, 21), &[5.0], &made(&[10.0]), 1);
        sum.add(&of(Frequency::Month, 0), &[50.0], &made(&[100.0]), 1);
        let at = |sum: &Sum, day: usize| sum.at(&of(Frequency::Day, 0), day).map(|(mean, _)| mean);
        assert_eq!([26, 27, 28, 31].map(|day| at(&sum, day)), [None, Some(2.0), Some(12.0), Some(102.0)]);
        let mut hours = Sum::default();
        hours.add(&of(Frequency::Hour, 24), &[1.0], &made(&[2.0]), 0);
        sum.merge(&hours);
        assert_eq!(at(&sum, 28), None);
    }

    #[test]
    fn what_lies_too_far_apart_is_not_added() {
        let mut sum = Sum::default();
        sum.add(&of(Frequency::Day, 0), &[1.0], &made(&[2.0]), 0);
        sum.add(&of(Frequency::Day, 2_932_896), &[1.0], &made(&[2.0]), 0);
        assert!(sum.bytes() < 1_000);
        assert_eq!(sum.at(&of(Frequency::Day, 0), 1), Some((2.0, 0.0)));
    }
}
