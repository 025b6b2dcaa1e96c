//! Rejected rows with what a person needs to find and mend them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Date32Type;

use super::batch::{RejectedPlace, RejectedRow};
use super::convert::as_text;
use super::rows::{Fault, RawRows, SourceRows};
use super::tags::objects_of_columns;

/// The places of source rows by their number in the chunk.
pub(crate) type Places = HashMap<usize, RejectedPlace>;

/// Where the rows with a fault belong; `row_of` gives the source row of a row of `usage`. A source row that became rows of
/// several slices belongs where all of them do.
pub(crate) fn places_of(usage: &RecordBatch, faults: &[Option<Fault>], row_of: impl Fn(usize) -> usize) -> Places {
    let mut places = Places::new();
    if faults.iter().all(Option::is_none) {
        return places;
    }
    let text = |name: &str, row: usize| {
        let column = usage.column_by_name(name)?.as_string_view_opt()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let period = |row: usize| {
        let is_known = usage.column_by_name("billing_period_start")?.is_valid(row);
        let days = usage.column_by_name("billing_period")?.as_primitive_opt::<Date32Type>()?;
        is_known.then(|| days.value(row))
    };
    for row in (0..usage.num_rows()).filter(|row| faults[row_of(*row)].is_some()) {
        let here = RejectedPlace {
            provider_name: text("provider_name", row),
            billing_account_id: text("billing_account_id", row),
            billing_period: period(row),
        };
        let place = places.entry(row_of(row)).or_insert_with(|| here.clone());
        place.provider_name.take_if(|known| Some(&*known) != here.provider_name.as_ref());
        place.billing_account_id.take_if(|known| Some(&*known) != here.billing_account_id.as_ref());
        place.billing_period.take_if(|known| Some(*known) != here.billing_period);
    }
    places
}

/// What is known of the source rows of a chunk.
pub(crate) struct Known<'a> {
    pub(crate) faults: &'a [Option<Fault>],
    pub(crate) costs: &'a [Option<i128>],
    pub(crate) places: &'a Places,
}

/// The rejected rows of a chunk in order, each with the newlines before it where that is known.
pub(crate) fn rejected_rows(
    source: &SourceRows,
    known: &Known<'_>,
    source_file: i32,
) -> (Vec<RejectedRow>, Vec<Option<u64>>) {
    let mut found: Vec<(u32, RejectedRow, Option<u64>)> = Vec::new();
    let mut lines = LineNumbers { at: 0, lines: 0 };
    for (row, fault) in known.faults.iter().enumerate().filter_map(|(row, f)| Some((row, f.as_ref()?))) {
        let rejected = RejectedRow {
            source_file,
            source_row: i64::from(source.ordinals[row]) + 1,
            column: (!fault.column.is_empty()).then(|| fault.column.to_string()),
            value_class: fault.value_class.clone(),
            reason: fault.reason.clone(),
            raw: raw_text(&source.raw, row),
            billed_cost: known.costs[row],
            place: known.places.get(&row).cloned().unwrap_or_default(),
        };
        found.push((source.ordinals[row], rejected, lines.before(&source.raw, row)));
    }
    for row in &source.unreadable {
        let rejected = RejectedRow {
            source_file,
            source_row: i64::from(row.ordinal) + 1,
            column: None,
            value_class: "a row".to_owned(),
            reason: row.reason.clone(),
            raw: row.raw.clone(),
            billed_cost: None,
            place: RejectedPlace::default(),
        };
        found.push((row.ordinal, rejected, row.line));
    }
    found.sort_by_key(|(ordinal, ..)| *ordinal);
    found.into_iter().map(|(_, rejected, line)| (rejected, line)).unzip()
}

fn raw_text(raw: &RawRows, row: usize) -> String {
    match raw {
        RawRows::Chunk { text, ranges } => {
            let (start, end) = ranges[row];
            text.get(start as usize..end as usize).unwrap_or_default().trim_end_matches('\r').to_owned()
        }
        RawRows::Columns { names, columns } => {
            let one: Vec<(Arc<str>, ArrayRef)> = names
                .iter()
                .cloned()
                .zip(columns.iter().map(|c| Arc::new(as_text(&c.slice(row, 1))) as ArrayRef))
                .collect();
            let object = objects_of_columns(&one, 1);
            let object = object.as_string_view();
            if object.is_valid(0) { object.value(0).to_owned() } else { "{}".to_owned() }
        }
    }
}

/// Counts newlines up to rows asked for in order.
struct LineNumbers {
    at: usize,
    lines: u64,
}

impl LineNumbers {
    fn before(&mut self, raw: &RawRows, row: usize) -> Option<u64> {
        let RawRows::Chunk { text, ranges } = raw else {
            return None;
        };
        let start = ranges[row].0 as usize;
        self.lines += memchr::memchr_iter(b'\n', &text.as_bytes()[self.at..start]).count() as u64;
        self.at = start;
        Some(self.lines)
    }
}
