//! Rows to series: all values of one, wherever they stand in the input, on a regular grid.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array};
use arrow::datatypes::{Date32Type, Field, Float64Type, Schema, TimestampMicrosecondType};
use chrono::{Datelike, NaiveDate};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use ratehouse_udfs::series::{Calendar, Frequency};

use super::arguments::{Asked, Missing};
use super::known::{month_of, position};
use super::node::Shape;
use crate::security::SessionError;

/// Positions of one series; of a longer one the last so many.
pub(super) const SPAN_MAX: usize = 20_000;
/// Bytes that a value takes, and a series without values.
pub(super) const POINT_BYTES: usize = size_of::<i32>() + size_of::<f64>();
const SERIES_BYTES: usize = size_of::<Points>();
pub(super) const HOUR_US: i64 = 3_600_000_000;

/// The values of one series as they came.
#[derive(Debug, Default)]
pub(super) struct Points {
    /// Days since 1970, or hours where times are instants.
    pub(super) at: Vec<i32>,
    pub(super) value: Vec<f64>,
    /// The last time that is known, in days since 1970: of several the earliest.
    pub(super) as_of: Option<i32>,
}

impl Points {
    /// Takes in what else there is of the same series.
    fn take_in(&mut self, other: Self) {
        self.as_of = earlier(self.as_of, other.as_of);
        if self.at.is_empty() {
            (self.at, self.value) = (other.at, other.value);
        } else {
            self.at.extend(other.at);
            self.value.extend(other.value);
        }
    }

    /// By time, then by value: what is added up does not depend on the order of the rows, to the last bit.
    pub(super) fn sort(&mut self) {
        if self.at.is_sorted_by(|one, next| one < next) {
            return;
        }
        let mut pairs: Vec<(i32, f64)> = self.at.iter().copied().zip(self.value.iter().copied()).collect();
        // Stable, as that is fast where months lie one after the other.
        pairs.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        (self.at, self.value) = pairs.into_iter().unzip();
    }
}

/// The earlier of two days, of which either may not be known.
pub(super) fn earlier(one: Option<i32>, other: Option<i32>) -> Option<i32> {
    one.into_iter().chain(other).min()
}

/// Series as they are gathered from batches.
pub(super) struct Gathering {
    shape: Arc<Shape>,
    /// None where all rows are one series.
    keys: Option<Box<dyn GroupValues>>,
    groups: Vec<usize>,
    series: Vec<Points>,
    points: usize,
    reservation: MemoryReservation,
}

impl Gathering {
    pub(super) fn new(shape: &Arc<Shape>, reservation: MemoryReservation) -> Result<Self> {
        let keys = keys_of(&shape.ids)?;
        Ok(Self { shape: Arc::clone(shape), keys, groups: Vec::new(), series: Vec::new(), points: 0, reservation })
    }

    /// Adds rows; those without a time or a value say nothing.
    ///
    /// # Errors
    /// `53200` when the series do not fit in the memory of the statement.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let ids = self.shape.ids.len();
        match &mut self.keys {
            Some(keys) => keys.intern(&batch.columns()[..ids], &mut self.groups)?,
            None => {
                self.groups.clear();
                self.groups.resize(rows, 0);
            }
        }
        let series = self.keys.as_ref().map_or(usize::from(rows > 0), |keys| keys.len());
        if self.series.len() < series {
            self.series.resize_with(series, Points::default);
        }
        let times = batch.column(ids);
        let values = batch.column(ids + 1).as_primitive::<Float64Type>();
        let as_of = self.shape.has_as_of.then(|| batch.column(ids + 2).as_primitive::<Date32Type>());
        for row in 0..rows {
            let points = &mut self.series[self.groups[row]];
            if let Some(as_of) = as_of.filter(|as_of| as_of.is_valid(row)) {
                points.as_of = earlier(points.as_of, Some(as_of.value(row)));
            }
            if times.is_null(row) || values.is_null(row) {
                continue;
            }
            let at = if self.shape.is_instant {
                i32::try_from(times.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(HOUR_US))
                    .map_err(|_| out_of_range())?
            } else {
                times.as_primitive::<Date32Type>().value(row)
            };
            points.at.push(at);
            points.value.push(values.value(row));
            self.points += 1;
        }
        self.reserve()
    }

    fn reserve(&mut self) -> Result<()> {
        let keys = self.keys.as_ref().map_or(0, |keys| keys.size());
        // Vectors grow ahead of what they hold: by half of it in the mean.
        let bytes = keys + self.series.len() * SERIES_BYTES + self.points * (POINT_BYTES + POINT_BYTES / 2);
        self.reservation.try_resize(bytes)
    }

    /// Takes in what was gathered from other batches.
    pub(super) fn merge(&mut self, mut other: Self) -> Result<()> {
        match (&mut self.keys, &mut other.keys) {
            (Some(keys), Some(others)) => keys.intern(&emitted(others, &self.shape)?, &mut self.groups)?,
            _ => {
                self.groups.clear();
                self.groups.resize(other.series.len(), 0);
            }
        }
        let series = self.groups.iter().map(|group| group + 1).max().unwrap_or_default();
        if self.series.len() < series {
            self.series.resize_with(series, Points::default);
        }
        for (points, group) in other.series.into_iter().zip(&self.groups) {
            self.series[*group].take_in(points);
        }
        self.points += other.points;
        drop(other.reservation);
        self.reserve()
    }

    /// The ids of the series, a column each, and the series in the same order.
    pub(super) fn finish(mut self) -> Result<(Vec<ArrayRef>, Vec<Points>, MemoryReservation)> {
        let keys = match &mut self.keys {
            Some(keys) => emitted(keys, &self.shape)?,
            None => Vec::new(),
        };
        Ok((keys, self.series, self.reservation))
    }
}

/// The ids of all groups, a column each.
fn emitted(keys: &mut Box<dyn GroupValues>, shape: &Shape) -> Result<Vec<ArrayRef>> {
    match keys.is_empty() {
        true => Ok(shape.ids.iter().map(|id| new_empty_array(id.data_type())).collect()),
        false => keys.emit(EmitTo::All),
    }
}

/// Numbers for what is different in some columns; none where there are no columns.
pub(super) fn keys_of(ids: &[Field]) -> Result<Option<Box<dyn GroupValues>>> {
    match ids {
        [] => Ok(None),
        _ => new_group_values(Arc::new(Schema::new(ids.to_vec())), &GroupOrdering::None).map(Some),
    }
}

fn out_of_range() -> DataFusionError {
    DataFusionError::External(Box::new(SessionError::new("22008", "a time of the series is out of range")))
}

/// A series on its grid.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) calendar: Calendar,
    /// One for each position; NaN where nobody knows.
    pub(super) values: Vec<f64>,
    /// What came after the last known time, from the position after it on.
    pub(super) later: Vec<f64>,
    /// Whether nothing was known by the last known time.
    pub(super) is_unknown: bool,
}

impl Default for Laid {
    fn default() -> Self {
        let calendar = Calendar { first: 0, frequency: Frequency::Day };
        Self { calendar, values: Vec::new(), later: Vec::new(), is_unknown: false }
    }
}

impl Laid {
    /// Lays out a series that is known until a day; of what is later, so many values. Values of one position are added up.
    pub(super) fn lay(
        &mut self,
        mut points: Points,
        as_of: Option<i32>,
        later: usize,
        (asked, shape): (&Asked, &Shape),
    ) {
        self.values.clear();
        self.later.clear();
        points.sort();
        let as_of = earlier(earlier(asked.as_of, points.as_of), as_of);
        let day_of = |at: i32| shape.day_of(at);
        let known = as_of.map_or(points.at.len(), |as_of| points.at.partition_point(|at| day_of(*at) <= as_of));
        let (at, at_later) = points.at.split_at(known);
        let (first, last) = match (at.first(), at.last(), at_later.first(), as_of) {
            (Some(first), Some(last), _, _) => (*first, *last),
            // Of what was not known at all by then there is one value that nobody knows.
            (_, _, Some(_), Some(as_of)) if later > 0 => {
                let end = if shape.is_instant { as_of.saturating_mul(24).saturating_add(23) } else { as_of };
                (end, end)
            }
            _ => return,
        };
        self.is_unknown = at.is_empty();
        let frequency = asked.frequency.unwrap_or_else(|| match (self.is_unknown, shape.is_instant) {
            (false, _) => usual_frequency(at, shape.is_instant),
            // How far apart its values are is not known either.
            (true, true) => usual_frequency(at_later, true),
            (true, false) => Frequency::Day,
        });
        let start = match frequency {
            Frequency::Hour if shape.is_instant => first,
            Frequency::Hour => first.saturating_mul(24),
            Frequency::Day | Frequency::Week => day_of(first),
            Frequency::Month => month_of(day_of(first)),
        };
        self.calendar = Calendar { first: start, frequency };
        let calendar = self.calendar;
        let place = |at: i32| match frequency {
            Frequency::Hour if shape.is_instant => i64::from(at) - i64::from(start),
            _ => position(&calendar, day_of(at)),
        };
        let end = match (frequency, as_of) {
            // The whole of the last day.
            (Frequency::Hour, Some(as_of)) => position(&calendar, as_of).saturating_add(23),
            (_, Some(as_of)) => position(&calendar, as_of),
            (_, None) => 0,
        };
        let rows = usize::try_from(end.max(place(last)).saturating_add(1)).unwrap_or(0);
        let skipped = rows.saturating_sub(SPAN_MAX);
        self.values.resize(rows - skipped, f64::NAN);
        self.later.resize(later, f64::NAN);
        for (at, value) in points.at.iter().zip(&points.value) {
            let Some(place) = usize::try_from(place(*at)).ok().and_then(|place| place.checked_sub(skipped)) else {
                continue;
            };
            // What is later within the last known position (a week, a month) came with the next one.
            let is_known = as_of.is_none_or(|as_of| day_of(*at) <= as_of);
            let held = match place.checked_sub(self.values.len()) {
                None if is_known => self.values.get_mut(place),
                lead => self.later.get_mut(lead.unwrap_or_default()),
            };
            if let Some(held) = held {
                *held = if held.is_nan() { *value } else { *held + value };
            }
        }
        if asked.missing == Missing::Zero && known > 0 {
            self.values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.0);
        }
        if skipped > 0 {
            let steps = i32::try_from(skipped).unwrap_or(i32::MAX);
            let step = if frequency == Frequency::Week { 7 } else { 1 };
            self.calendar.first = start.saturating_add(steps.saturating_mul(step));
        }
    }
}

/// The frequency of times that are sorted: months where all are firsts of months, weeks where all lie whole weeks apart, hours where one
/// is not at midnight, else days.
fn usual_frequency(at: &[i32], is_instant: bool) -> Frequency {
    if is_instant && at.iter().any(|at| at.rem_euclid(24) != 0) {
        return Frequency::Hour;
    }
    let days = || at.iter().map(|at| if is_instant { at.div_euclid(24) } else { *at });
    let first = days().next().unwrap_or_default();
    let last = days().next_back().unwrap_or_default();
    let is_first = |day: i32| NaiveDate::from_epoch_days(day).is_some_and(|date| date.day() == 1);
    if last.saturating_sub(first) >= 56 && days().all(is_first) {
        Frequency::Month
    } else if last.saturating_sub(first) >= 14 && days().all(|day| day.saturating_sub(first) % 7 == 0) {
        Frequency::Week
    } else {
        Frequency::Day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i32 {
        text.parse::<NaiveDate>().expect("a day").to_epoch_days()
    }

    #[test]
    fn values_of_a_day_add_up_whatever_the_order_of_rows() {
        let costs = [0.1, 0.2, 0.3, 1e9, -1e9, 0.7];
        let asked = |costs: &[f64]| {
            let mut points = Points { at: vec![5; costs.len()], value: costs.to_vec(), as_of: None };
            points.sort();
            points.value.iter().fold(0.0, |sum, value| sum + value).to_bits()
        };
        let mut turned = costs;
        for _ in 0..costs.len() {
            turned.rotate_left(1);
            assert_eq!(asked(&turned), asked(&costs));
            turned.swap(0, 3);
        }
    }

    #[test]
    fn frequencies_are_read_off_the_times() {
        let days = |texts: &[&str]| texts.iter().map(|text| day(text)).collect::<Vec<_>>();
        assert_eq!(usual_frequency(&days(&["2026-01-01", "2026-01-02", "2026-01-05"]), false), Frequency::Day);
        assert_eq!(usual_frequency(&days(&["2026-01-04", "2026-01-11", "2026-02-01"]), false), Frequency::Week);
        assert_eq!(usual_frequency(&days(&["2026-01-01", "2026-02-01", "2026-03-01"]), false), Frequency::Month);
        assert_eq!(usual_frequency(&[48, 72, 96], true), Frequency::Day);
        assert_eq!(usual_frequency(&[48, 49, 96], true), Frequency::Hour);
    }
}
