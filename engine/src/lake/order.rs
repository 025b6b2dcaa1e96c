//! The order of rows in a row group.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::batches::{Batches, HeldColumn, RowRef, Selection};

/// Sorts rows by two columns, the first of which is text; rows that are equal in both stay in the
/// order in which they came. Nulls come first, texts compare by bytes.
///
/// Every row gets one number: 32 bits of the text's rank, 64 of the second column, 32 of its
/// place. Sorting numbers costs a tenth of comparing columns.
pub(super) fn sort(batches: &Batches, columns: [usize; 2], rows: &[RowRef]) -> Result<Vec<RowRef>, ArrowError> {
    let mut numbers = numbers(&batches.select(rows), columns)?;
    numbers.sort_unstable();
    let place = |number: u128| (number & u128::from(u32::MAX)) as usize;
    Ok(numbers.into_iter().map(|number| rows[place(number)]).collect())
}

/// The rows of a batch by place, then as [`sort`] has them.
pub(super) fn order_of_batch<P: Ord>(
    columns: &[HeldColumn],
    sort: [usize; 2],
    rows: usize,
    place_of: impl Fn(u32) -> P,
) -> Result<Vec<u32>, ArrowError> {
    let numbers = numbers(&Selection::of_batch(columns, rows), sort)?;
    let mut order: Vec<(P, u128, u32)> =
        numbers.into_iter().zip(0_u32..).map(|(number, row)| (place_of(row), number, row)).collect();
    order.sort_unstable();
    Ok(order.into_iter().map(|(.., row)| row).collect())
}

/// A number for each row: its value in two columns, then its place among the rows.
fn numbers(selection: &Selection<'_>, columns: [usize; 2]) -> Result<Vec<u128>, ArrowError> {
    let first = text_ranks(selection, columns[0])?;
    let second = keys(selection, columns[1])?;
    let number = |((rank, key), place): ((u32, u64), u32)| {
        (u128::from(rank) << 96) | (u128::from(key) << 32) | u128::from(place)
    };
    Ok(first.into_iter().zip(second).zip(0_u32..).map(number).collect())
}

/// An order-preserving number for each row's value; null has the lowest.
fn keys(selection: &Selection<'_>, column: usize) -> Result<Vec<u64>, ArrowError> {
    let data_type = selection.column(column).next().map(|source| source.array().data_type().clone());
    match data_type {
        None => Ok(Vec::new()),
        Some(DataType::Utf8View) => Ok(text_ranks(selection, column)?.into_iter().map(u64::from).collect()),
        Some(DataType::Timestamp(..)) => {
            let sources: Vec<_> =
                selection.column(column).map(|s| (s, s.array().as_primitive::<TimestampMicrosecondType>())).collect();
            Ok(key_of_rows(selection, |source, row| {
                let (held, array) = &sources[source];
                let place = held.place(row);
                array.is_valid(place).then(|| array.value(place))
            }))
        }
        Some(DataType::Date32) => {
            let sources: Vec<_> =
                selection.column(column).map(|s| (s, s.array().as_primitive::<Date32Type>())).collect();
            Ok(key_of_rows(selection, |source, row| {
                let (held, array) = &sources[source];
                let place = held.place(row);
                array.is_valid(place).then(|| i64::from(array.value(place)))
            }))
        }
        Some(other) => Err(ArrowError::NotYetImplemented(format!("sorting rows by {other}"))),
    }
}

fn key_of_rows(selection: &Selection<'_>, value: impl Fn(usize, usize) -> Option<i64>) -> Vec<u64> {
    const SIGN: u64 = 1 << 63;
    let number = |value: Option<i64>| value.map_or(0, |v| v.cast_unsigned() ^ SIGN);
    selection.places().iter().map(|&(source, row)| number(value(source, row))).collect()
}

/// The place of each row's text among the different texts, from 1; null is 0.
fn text_ranks(selection: &Selection<'_>, column: usize) -> Result<Vec<u32>, ArrowError> {
    let sources: Vec<_> = selection
        .column(column)
        .map(|source| source.array().as_string_view_opt().map(|texts| (source, texts)))
        .collect::<Option<_>>()
        .ok_or_else(|| ArrowError::SchemaError("rows are sorted by a text column first".to_owned()))?;
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut number_of_row = Vec::with_capacity(selection.len());
    // By source, the numbers of the places in its array, where that is short; 0 is what is not known yet.
    let is_short = |held: &HeldColumn| held.array().len() <= selection.len();
    let mut known: Vec<Vec<u32>> =
        sources.iter().map(|(held, _)| if is_short(held) { vec![0; held.array().len()] } else { Vec::new() }).collect();
    for &(source, row) in selection.places() {
        let (held, texts) = &sources[source];
        let place = held.place(row);
        if texts.is_null(place) {
            number_of_row.push(0);
            continue;
        }
        let mut number = known[source].get(place).copied().unwrap_or_default();
        if number == 0 {
            let next = u32::try_from(numbers.len() + 1)
                .map_err(|_| ArrowError::ComputeError("too many texts to rank".to_owned()))?;
            number = *numbers.entry(texts.value(place)).or_insert(next);
            if let Some(slot) = known[source].get_mut(place) {
                *slot = number;
            }
        }
        number_of_row.push(number);
    }
    let mut texts: Vec<(&str, u32)> = numbers.into_iter().collect();
    texts.sort_unstable();
    let mut rank_of_number = vec![0; texts.len() + 1];
    for ((_, number), rank) in texts.into_iter().zip(1..) {
        rank_of_number[number as usize] = rank;
    }
    number_of_row.iter_mut().for_each(|number| *number = rank_of_number[*number as usize]);
    Ok(number_of_row)
}
