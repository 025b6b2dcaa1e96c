//! What is known of series beside their rows: planned changes, holidays, and until when they are complete.

use std::collections::HashMap;
use std::hash::Hasher as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type};
use chrono::{Datelike, NaiveDate};
use datafusion::error::{DataFusionError, Result};
use ratehouse_udfs::series::forecast::Holiday;
use ratehouse_udfs::series::{Calendar, Change, Frequency, PlannedChange, Recurrence};

use crate::security::SessionError;

/// Columns of planned changes after those of the ids, and whether there must be one.
pub(super) const PLANNED_COLUMNS: [(&str, DataType, bool); 5] = [
    ("valid_from", DataType::Date32, true),
    ("valid_to", DataType::Date32, false),
    ("change_type", DataType::Utf8View, true),
    ("value", DataType::Float64, true),
    ("recurrence", DataType::Utf8View, false),
];

/// Columns of holidays after those of the ids, and whether there must be one.
pub(super) const HOLIDAY_COLUMNS: [(&str, DataType, bool); 2] =
    [("holiday_date", DataType::Date32, true), ("name", DataType::Utf8View, false)];

/// Columns of last known times after those of the ids.
pub(super) const COMPLETE_COLUMNS: [(&str, DataType, bool); 1] = [("complete_until", DataType::Date32, true)];

/// Columns of parents after those of the ids.
pub(super) const PARENT_COLUMNS: [(&str, DataType, bool); 1] = [("counts_to", DataType::Utf8View, true)];

#[derive(Debug)]
struct Plan {
    /// None: every series.
    ids: Vec<Option<String>>,
    from: i32,
    until: Option<i32>,
    change: Change,
    recurs: Option<Recurrence>,
}

#[derive(Debug)]
struct DayOff {
    /// None: every series.
    ids: Vec<Option<String>>,
    /// Days since 1970.
    day: i32,
    /// The number of its name: the same in every statement, as states are remembered that know it.
    kind: u32,
}

#[derive(Debug)]
struct Complete {
    /// None: every series.
    ids: Vec<Option<String>>,
    /// Days since 1970.
    until: i32,
}

/// Whether something is about a series: it names no other id.
fn is_about(wanted: &[Option<String>], ids: &[Option<String>]) -> bool {
    wanted.iter().zip(ids).all(|(wanted, id)| wanted.is_none() || wanted == id)
}

/// What is about a series, of what lies by its first id.
fn about<'a, T>(
    all: &'a HashMap<Option<String>, Vec<T>>,
    ids: &'a [Option<String>],
    of: impl Fn(&T) -> &[Option<String>] + 'a,
) -> impl Iterator<Item = &'a T> {
    let first = ids.first().cloned().flatten();
    let named = first.is_some().then(|| all.get(&first)).flatten();
    named.into_iter().chain(all.get(&None)).flatten().filter(move |one| is_about(of(one), ids))
}

fn kind_of(name: &str) -> u32 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(name.as_bytes());
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

fn text(batch: &RecordBatch, place: usize, row: usize) -> Option<String> {
    let column = batch.column(place).as_string_view();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

/// What is known of all series.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By their first id, which most name.
    plans: HashMap<Option<String>, Vec<Plan>>,
    /// By their first id.
    holidays: HashMap<Option<String>, Vec<DayOff>>,
    /// By their first id.
    complete: HashMap<Option<String>, Vec<Complete>>,
    /// To what an id counts, by its place and value.
    parents: HashMap<(usize, String), Vec<String>>,
}

impl Known {
    /// Adds rows of planned changes, whose first `ids` columns are ids.
    pub(super) fn add_planned(&mut self, batch: &RecordBatch, ids: usize) -> Result<()> {
        let day = |place: usize, row: usize| {
            let column = batch.column(place).as_primitive::<Date32Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let values = batch.column(ids + 3).as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let kind = text(batch, ids + 2, row).unwrap_or_default();
            let value = if values.is_valid(row) { values.value(row) } else { f64::NAN };
            let change = match kind.to_lowercase().as_str() {
                "percent" => Change::Percent(value / 100.0),
                "amount" => Change::Amount(value),
                "set" => Change::Set(value),
                _ => {
                    let message = format!("planned: change_type is percent, amount or set, not \"{kind}\"");
                    return Err(DataFusionError::External(Box::new(SessionError::new("22023", message))));
                }
            };
            let recurs = match text(batch, ids + 4, row).as_deref() {
                None => None,
                Some("weekly") => Some(Recurrence::SamePhase),
                Some("monthly") => Some(Recurrence::SameMonthDay),
                Some(other) => {
                    let message = format!("planned: recurrence is weekly or monthly, not \"{other}\"");
                    return Err(DataFusionError::External(Box::new(SessionError::new("22023", message))));
                }
            };
            let Some(from) = day(ids, row).filter(|_| value.is_finite()) else { continue };
            let ids_of: Vec<Option<String>> = (0..ids).map(|place| text(batch, place, row)).collect();
            let plan = Plan { from, until: day(ids + 1, row), change, recurs, ids: ids_of };
            self.plans.entry(plan.ids.first().cloned().flatten()).or_default().push(plan);
        }
        Ok(())
    }

    /// Adds rows of holidays, whose first `ids` columns are ids.
    pub(super) fn add_holidays(&mut self, batch: &RecordBatch, ids: usize) {
        let days = batch.column(ids).as_primitive::<Date32Type>();
        for row in (0..batch.num_rows()).filter(|row| days.is_valid(*row)) {
            let kind = kind_of(&text(batch, ids + 1, row).unwrap_or_default());
            let ids: Vec<Option<String>> = (0..ids).map(|place| text(batch, place, row)).collect();
            let first = ids.first().cloned().flatten();
            self.holidays.entry(first).or_default().push(DayOff { ids, day: days.value(row), kind });
        }
    }

    /// Adds rows of last known times, whose first `ids` columns are ids.
    pub(super) fn add_complete(&mut self, batch: &RecordBatch, ids: usize) {
        let days = batch.column(ids).as_primitive::<Date32Type>();
        for row in (0..batch.num_rows()).filter(|row| days.is_valid(*row)) {
            let ids: Vec<Option<String>> = (0..ids).map(|place| text(batch, place, row)).collect();
            let first = ids.first().cloned().flatten();
            self.complete.entry(first).or_default().push(Complete { ids, until: days.value(row) });
        }
    }

    /// Adds rows of parents, whose first `ids` columns are ids.
    pub(super) fn add_parents(&mut self, batch: &RecordBatch, ids: usize) {
        for row in 0..batch.num_rows() {
            let Some(parent) = text(batch, ids, row) else { continue };
            for place in 0..ids {
                let Some(child) = text(batch, place, row) else { continue };
                let parents = self.parents.entry((place, child)).or_default();
                if !parents.contains(&parent) {
                    parents.push(parent.clone());
                }
            }
        }
    }

    /// To what an id counts.
    pub(super) fn parents_of(&self, place: usize, id: Option<&str>) -> &[String] {
        id.and_then(|id| self.parents.get(&(place, id.to_owned()))).map_or(&[], Vec::as_slice)
    }

    /// The last day that is known of one series: of what names most of its ids, the earliest.
    pub(super) fn complete_until(&self, ids: &[Option<String>]) -> Option<i32> {
        let named = |complete: &Complete| complete.ids.iter().flatten().count();
        let found = about(&self.complete, ids, |complete| &complete.ids);
        found.min_by_key(|complete| (std::cmp::Reverse(named(complete)), complete.until)).map(|complete| complete.until)
    }

    /// The changes of one series in the order of their beginnings.
    pub(super) fn planned_of(&self, ids: &[Option<String>], calendar: &Calendar, planned: &mut Vec<PlannedChange>) {
        planned.clear();
        planned.extend(about(&self.plans, ids, |plan| &plan.ids).map(|plan| PlannedChange {
            from: position(calendar, plan.from),
            until: plan.until.map(|until| position(calendar, until)),
            change: plan.change,
            recurs: plan.recurs,
        }));
        planned.sort_by_key(|plan| plan.from);
    }

    /// The holidays of one series of days, up to a position of its grid, in order.
    pub(super) fn holidays_of(
        &self,
        ids: &[Option<String>],
        calendar: &Calendar,
        rows: usize,
        holidays: &mut Vec<Holiday>,
    ) {
        holidays.clear();
        if calendar.frequency != Frequency::Day {
            return;
        }
        holidays.extend(about(&self.holidays, ids, |holiday| &holiday.ids).filter_map(|holiday| {
            let position = usize::try_from(i64::from(holiday.day) - i64::from(calendar.first)).ok()?;
            (position < rows).then_some(Holiday { position, kind: holiday.kind })
        }));
        holidays.sort_by_key(|holiday| (holiday.position, holiday.kind));
        holidays.dedup_by_key(|holiday| holiday.position);
    }
}

/// Where a day (since 1970) lies on a grid; negative before its first value.
pub(super) fn position(calendar: &Calendar, day: i32) -> i64 {
    let (first, day) = (i64::from(calendar.first), i64::from(day));
    match calendar.frequency {
        Frequency::Hour => day * 24 - first,
        Frequency::Day => day - first,
        Frequency::Week => (day - first).div_euclid(7),
        Frequency::Month => i64::from(month_of(i32::try_from(day).unwrap_or_default())) - first,
    }
}

/// Months since January 1970 of a day since 1970.
pub(super) fn month_of(day: i32) -> i32 {
    let date = NaiveDate::from_epoch_days(day).unwrap_or_default();
    (date.year() - 1970) * 12 + i32::try_from(date.month0()).unwrap_or_default()
}
