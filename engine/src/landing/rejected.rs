//! Rejected rows with what a person needs to find and mend them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};

use super::batch::RejectedRow;
use super::convert::as_text;
use super::rows::{Fault, RawRows, SourceRows};
use super::tags::objects_of_columns;

/// The rejected rows of a chunk in order, each with the newlines before it where that is known.
pub(crate) fn rejected_rows(
    source: &SourceRows,
    faults: &[Option<Fault>],
    costs: &[Option<i128>],
    source_file: i32,
) -> (Vec<RejectedRow>, Vec<Option<u64>>) {
    let mut found: Vec<(u32, RejectedRow, Option<u64>)> = Vec::new();
    let mut lines = LineNumbers { at: 0, lines: 0 };
    for (row, fault) in faults.iter().enumerate().filter_map(|(row, f)| Some((row, f.as_ref()?))) {
        let rejected = RejectedRow {
            source_file,
            source_row: i64::from(source.ordinals[row]) + 1,
            column: (!fault.column.is_empty()).then(|| fault.column.to_string()),
            value_class: fault.value_class.clone(),
            reason: fault.reason.clone(),
            raw: raw_text(&source.raw, row),
            billed_cost: costs[row],
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
