//! Columns of any type to the forms that a mapping needs.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::convert::{Failure, as_text, to_instants, to_money, without_nulls};
use super::rows::{Fault, Marks, RawRows, Reading, SourceRows};

/// Source rows with the columns of `reading`, in its order; all rows readable, none of them placed.
pub(crate) fn type_columns(columns: &[ArrayRef], rows: usize, reading: &Reading) -> SourceRows {
    let count = u32::try_from(rows).unwrap_or(u32::MAX);
    let mut source = SourceRows {
        rows,
        ordinals: (0..count).collect(),
        all_rows: count,
        text: Vec::with_capacity(columns.len()),
        numbers: Vec::with_capacity(columns.len()),
        instants: Vec::with_capacity(columns.len()),
        marks: Marks::default(),
        unreadable: Vec::new(),
        raw: RawRows::Columns { names: Vec::new(), columns: Vec::new() },
        lines: 0,
        bytes: 0,
        others: None,
    };
    for (column, reading_of) in columns.iter().zip(&reading.columns) {
        let need = &reading_of.need;
        let nulls = &reading_of.nulls;
        let mut numbers = None;
        if need.number || need.check {
            let converted = to_money(column, nulls);
            push_faults(&mut source.marks.faults, &reading_of.name, converted.failures);
            source.marks.rounded_rows.extend(converted.rounded.into_iter().filter_map(|row| u32::try_from(row).ok()));
            numbers = need.number.then_some(converted.array);
        }
        let mut instants = None;
        if need.instant {
            let converted = to_instants(column, nulls, &reading.formats);
            push_faults(&mut source.marks.faults, &reading_of.name, converted.failures);
            instants = Some(converted.array);
        }
        source.text.push(need.text.then(|| without_nulls(as_text(column), nulls)) as Option<ArrayRef>);
        source.numbers.push(numbers);
        source.instants.push(instants);
    }
    source
}

fn push_faults(faults: &mut Vec<Fault>, column: &Arc<str>, failures: Vec<Failure>) {
    faults.extend(failures.into_iter().filter_map(|f| {
        Some(Fault {
            row: u32::try_from(f.row).ok()?,
            column: Arc::clone(column),
            value_class: f.value_class,
            reason: f.reason.to_owned(),
        })
    }));
}
