//! The order of rows in a row group.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::batches::{Batches, RowRef, Selection};

/// Sorts rows by two columns, the first of which is text; rows that are equal in both stay in the
/// order in which they came. Nulls come first, texts compare by bytes.
///
/// Every row gets one number: 32 bits of the text's rank, 64 of the second column, 32 of its
/// place. Sorting numbers costs a tenth of comparing columns.
pub(super) fn sort(batches: &Batches, columns: [usize; 2], rows: &[RowRef]) -> Result<Vec<RowRef>, ArrowError> {
    let selection = batches.select(rows);
    let first = text_ranks(&selection, columns[0])?;
    let second = keys(&selection, columns[1])?;
    let mut numbers: Vec<u128> = first
        .into_iter()
        .zip(second)
        .zip(0_u32..)
        .map(|((rank, key), place)| (u128::from(rank) << 96) | (u128::from(key) << 32) | u128::from(place))
        .collect();
    numbers.sort_unstable();
    let place = |number: u128| (number & u128::from(u32::MAX)) as usize;
    Ok(numbers.into_iter().map(|number| rows[place(number)]).collect())
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
            Ok(numbers(selection, |source, row| {
                let (held, array) = &sources[source];
                let place = held.place(row);
                array.is_valid(place).then(|| array.value(place))
            }))
        }
        Some(DataType::Date32) => {
            let sources: Vec<_> =
                selection.column(column).map(|s| (s, s.array().as_primitive::<Date32Type>())).collect();
            Ok(numbers(selection, |source, row| {
                let (held, array) = &sources[source];
                let place = held.place(row);
                array.is_valid(place).then(|| i64::from(array.value(place)))
            }))
        }
        Some(other) => Err(ArrowError::NotYetImplemented(format!("sorting rows by {other}"))),
    }
}

fn numbers(selection: &Selection<'_>, value: impl Fn(usize, u32) -> Option<i64>) -> Vec<u64> {
    const SIGN: u64 = 1 << 63;
    let number = |value: Option<i64>| value.map_or(0, |v| v.cast_unsigned() ^ SIGN);
    selection.places().iter().map(|&(source, row)| number(value(source, row_number(row)))).collect()
}

/// Rows of a batch are counted in 32 bits, see [`RowRef`].
fn row_number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
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
    let mut last: Option<(&str, u32)> = None;
    for &(source, row) in selection.places() {
        let (held, texts) = &sources[source];
        let place = held.place(row_number(row));
        if texts.is_null(place) {
            number_of_row.push(0);
            continue;
        }
        let text = texts.value(place);
        let number = match last {
            Some((same, number)) if same == text => number,
            _ => {
                let next = u32::try_from(numbers.len() + 1)
                    .map_err(|_| ArrowError::ComputeError("too many texts to rank".to_owned()))?;
                *numbers.entry(text).or_insert(next)
            }
        };
        last = Some((text, number));
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
