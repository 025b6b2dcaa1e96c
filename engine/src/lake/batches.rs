//! Batches kept in memory until their rows are written, and what they really occupy.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringViewArray, UInt32Array, new_null_array};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::compute::{interleave, take};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
    UInt32Type,
};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::texts::{Numbering, is_loose, numbered, packed};

/// One row among those held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowRef {
    /// Which batch.
    pub(super) batch: u32,
    /// Which row of it.
    pub(super) row: u32,
}

/// One column of a held batch.
///
/// Many columns of a delivery have one value throughout, and most texts repeat. A row's place in a short array stays in the
/// processor's cache while rows are collected from everywhere; its text would not.
#[derive(Debug)]
pub(super) struct HeldColumn {
    array: ArrayRef,
    rows: Rows,
}

/// Where in its array each row of a column is.
#[derive(Debug)]
enum Rows {
    Each,
    /// All in the first place, which has this value.
    Same(Value),
    Numbered(ScalarBuffer<u16>),
}

/// The value of a column that has only one.
#[derive(Debug, PartialEq)]
enum Value {
    Null,
    Number(i128),
    Text(Box<str>),
}

impl HeldColumn {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        if array.len() > 1
            && let Some(value) = Value::throughout(array)
        {
            return Ok(Self { array: only_first(array)?, rows: Rows::Same(value) });
        }
        let Some(texts) = array.as_string_view_opt() else {
            return Ok(Self::of_rows(Arc::clone(array)));
        };
        Ok(match numbered(texts) {
            Some((texts, numbers)) => Self::of_numbered(texts, numbers),
            None => Self::of_rows(if is_loose(texts) { packed(texts)? } else { Arc::clone(array) }),
        })
    }

    /// A column with a value for each row.
    pub(super) fn of_rows(array: ArrayRef) -> Self {
        Self { array, rows: Rows::Each }
    }

    /// A column whose rows have the values in those places of `array`.
    pub(super) fn of_numbered(array: ArrayRef, numbers: ScalarBuffer<u16>) -> Self {
        Self { array, rows: Rows::Numbered(numbers) }
    }

    /// A column that has the value of the first row of `array` in so many rows.
    pub(super) fn of_one_value(array: ArrayRef, rows: usize) -> Self {
        let rows = match Value::throughout(&array.slice(0, 1)) {
            Some(value) => Rows::Same(value),
            None => Rows::Numbered(vec![0; rows].into()),
        };
        Self { array, rows }
    }

    /// The values, in which rows are at their [`Self::place`].
    pub(super) fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// The same column with its rows in another order.
    pub(super) fn reordered(self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        Ok(match self.rows {
            Rows::Each => Self::of_rows(take(&self.array, rows, None)?),
            Rows::Same(value) => Self { array: self.array, rows: Rows::Same(value) },
            Rows::Numbered(numbers) => {
                let numbers = rows.values().iter().map(|row| numbers[*row as usize]);
                Self { array: self.array, rows: Rows::Numbered(numbers.collect()) }
            }
        })
    }

    /// Where the value of a row is.
    pub(super) fn place(&self, row: usize) -> usize {
        match &self.rows {
            Rows::Each => row,
            Rows::Same(_) => 0,
            Rows::Numbered(numbers) => usize::from(numbers[row]),
        }
    }

    fn constant(&self) -> Option<&Value> {
        if let Rows::Same(value) = &self.rows { Some(value) } else { None }
    }

    fn for_each_buffer(&self, mut visit: impl FnMut(&Buffer)) {
        let data = self.array.to_data();
        data.buffers().iter().for_each(&mut visit);
        if let Some(nulls) = data.nulls() {
            visit(nulls.buffer());
        }
        if let Rows::Numbered(numbers) = &self.rows {
            visit(numbers.inner());
        }
    }
}

#[derive(Debug)]
struct Held {
    columns: Vec<HeldColumn>,
    /// Rows not written yet.
    live: usize,
}

/// The batches of a writer.
///
/// Buffers that several arrays share (dictionary pages behind views, slices of one batch) are
/// counted once, and until the last array that uses them is gone.
#[derive(Debug, Default)]
pub(super) struct Batches {
    held: Vec<Option<Held>>,
    /// By address: length and number of arrays.
    buffers: HashMap<usize, (usize, usize)>,
    bytes: usize,
}

impl Batches {
    /// Bytes of all buffers held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps columns of so many rows and answers with the number of the batch.
    pub(super) fn keep(&mut self, columns: Vec<HeldColumn>, live: usize) -> Result<u32, ArrowError> {
        let number = u32::try_from(self.held.len())
            .map_err(|_| ArrowError::InvalidArgumentError("more batches than numbers for them".to_owned()))?;
        for column in &columns {
            column.for_each_buffer(|buffer| {
                let bytes = buffer.capacity().max(buffer.len());
                let (_, users) = self.buffers.entry(address(buffer)).or_insert_with(|| {
                    self.bytes += bytes;
                    (bytes, 0)
                });
                *users += 1;
            });
        }
        self.held.push(Some(Held { columns, live }));
        Ok(number)
    }

    /// Notes that rows are written. A batch goes with its last row.
    pub(super) fn release(&mut self, rows: &[RowRef]) {
        for row in rows {
            let slot = &mut self.held[row.batch as usize];
            let Some(held) = slot else { continue };
            held.live -= 1;
            if held.live == 0
                && let Some(gone) = slot.take()
            {
                for column in &gone.columns {
                    column.for_each_buffer(|buffer| self.forget(buffer));
                }
            }
        }
    }

    fn forget(&mut self, buffer: &Buffer) {
        let key = address(buffer);
        if let Some((bytes, users)) = self.buffers.get_mut(&key) {
            *users -= 1;
            if *users == 0 {
                self.bytes -= *bytes;
                self.buffers.remove(&key);
            }
        }
    }

    /// Selects rows to collect, in the order given.
    pub(super) fn select(&self, rows: &[RowRef]) -> Selection<'_> {
        const ABSENT: u32 = u32::MAX;
        let mut number_of = vec![ABSENT; self.held.len()];
        let mut sources = Vec::new();
        let mut places = Vec::with_capacity(rows.len());
        for row in rows {
            let number = &mut number_of[row.batch as usize];
            if *number == ABSENT
                && let Some(held) = &self.held[row.batch as usize]
            {
                *number = u32::try_from(sources.len()).unwrap_or(ABSENT);
                sources.push(held.columns.as_slice());
            }
            places.push((*number as usize, row.row as usize));
        }
        Selection { sources, places }
    }
}

/// Rows of some batches, to be collected column by column.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    sources: Vec<&'a [HeldColumn]>,
    /// Source and row there.
    places: Vec<(usize, usize)>,
}

impl<'a> Selection<'a> {
    /// All rows of one batch.
    pub(super) fn of_batch(columns: &'a [HeldColumn], rows: usize) -> Self {
        Self { sources: vec![columns], places: (0..rows).map(|row| (0, row)).collect() }
    }

    /// Rows selected.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// One column of each source, in the order of the numbers in [`Self::places`].
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = &HeldColumn> {
        self.sources.iter().map(move |columns| &columns[column])
    }

    /// For each row its source and its row there.
    pub(super) fn places(&self) -> &[(usize, usize)] {
        &self.places
    }

    /// The number of each row's text, and the texts by number, if there are not more than so many.
    pub(super) fn numbered(&self, column: usize, texts_max: usize) -> Option<(Vec<u16>, Vec<Option<&str>>)> {
        /// Arrays up to this length are short beside the rows that are selected from them.
        const SHORT: usize = 2048;
        let sources: Vec<_> = self.column(column).map(|source| (source, source.array.as_string_view())).collect();
        // What is known of the places of short arrays.
        let unknown = |texts: &StringViewArray| vec![None; if texts.len() <= SHORT { texts.len() } else { 0 }];
        let mut known: Vec<Vec<Option<u16>>> = sources.iter().map(|(_, texts)| unknown(texts)).collect();
        let mut numbering = Numbering::new();
        let mut numbers = Vec::with_capacity(self.places.len());
        for &(source, row) in &self.places {
            let (held, texts) = sources[source];
            let place = held.place(row);
            let number = match known[source].get_mut(place) {
                Some(Some(number)) => *number,
                Some(slot) => *slot.insert(numbering.of(source, texts, place)),
                None => numbering.of(source, texts, place),
            };
            if numbering.len() > texts_max {
                return None;
            }
            numbers.push(number);
        }
        Some((numbers, numbering.into_texts()))
    }

    /// The values of a column in a range of the selected rows. Texts still point into the buffers
    /// of their batches.
    pub(super) fn collect(&self, column: usize, range: std::ops::Range<usize>) -> Result<ArrayRef, ArrowError> {
        let sources: Vec<&HeldColumn> = self.column(column).collect();
        let arrays: Vec<&dyn Array> = sources.iter().map(|source| source.array.as_ref()).collect();
        if let Some(first) = arrays.first()
            && arrays.iter().all(|array| array.null_count() == array.len())
        {
            return Ok(new_null_array(first.data_type(), range.len()));
        }
        let places = &self.places[range];
        if sources.iter().any(|source| !matches!(source.rows, Rows::Each)) {
            let moved = |&(source, row): &(usize, usize)| (source, sources[source].place(row));
            return interleave(&arrays, &places.iter().map(moved).collect::<Vec<_>>());
        }
        interleave(&arrays, places)
    }

    /// The value that all selected rows have in a column, as an array of one row.
    pub(super) fn single(&self, column: usize) -> Result<Option<ArrayRef>, ArrowError> {
        let sources: Vec<&HeldColumn> = self.column(column).collect();
        let Some(first) = sources.first() else {
            return Ok(None);
        };
        // Every source has a row here, so that those of one value are compared without looking at rows.
        let mut values = sources.iter().filter_map(|source| source.constant());
        if let Some(value) = values.next()
            && values.any(|other| other != value)
        {
            return Ok(None);
        }
        if sources.iter().all(|source| source.constant().is_some()) {
            return Ok(Some(Arc::clone(&first.array)));
        }
        let is_single = match first.array.data_type() {
            DataType::Utf8View => {
                let texts: Vec<_> = sources.iter().map(|source| source.array.as_string_view()).collect();
                self.agree(&sources, |source, row| texts[source].is_valid(row).then(|| texts[source].value(row)))
            }
            DataType::Decimal128(..) => self.agree_in::<Decimal128Type>(&sources),
            DataType::Timestamp(..) => self.agree_in::<TimestampMicrosecondType>(&sources),
            DataType::Date32 => self.agree_in::<Date32Type>(&sources),
            DataType::Int64 => self.agree_in::<Int64Type>(&sources),
            DataType::Int32 => self.agree_in::<Int32Type>(&sources),
            _ => sources.iter().all(|source| source.array.null_count() == source.array.len()),
        };
        if is_single && !self.places.is_empty() { self.collect(column, 0..1).map(Some) } else { Ok(None) }
    }

    fn agree_in<T: ArrowPrimitiveType>(&self, sources: &[&HeldColumn]) -> bool {
        let arrays: Vec<_> = sources.iter().map(|source| source.array.as_primitive::<T>()).collect();
        self.agree(sources, |source, row| arrays[source].is_valid(row).then(|| arrays[source].value(row)))
    }

    /// Whether all rows have the value of the first.
    fn agree<T: PartialEq>(&self, sources: &[&HeldColumn], value: impl Fn(usize, usize) -> Option<T>) -> bool {
        let mut values = self.places.iter().map(|&(source, row)| value(source, sources[source].place(row)));
        let first = values.next();
        values.all(|value| Some(value) == first)
    }
}

fn address(buffer: &Buffer) -> usize {
    buffer.data_ptr().addr().get()
}

fn only_first(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.as_string_view_opt() {
        Some(texts) => packed(&texts.slice(0, 1)),
        None => take(array, &PrimitiveArray::<UInt32Type>::from_value(0, 1), None),
    }
}

impl Value {
    /// The value that all rows of a column have; none for types whose values are not compared.
    fn throughout(array: &ArrayRef) -> Option<Self> {
        if array.null_count() == array.len() {
            return Some(Self::Null);
        }
        if array.null_count() > 0 {
            return None;
        }
        if let Some(texts) = array.as_string_view_opt() {
            let (views, first) = (texts.views(), texts.value(0));
            let is_single = (1..texts.len()).all(|row| views[row] == views[0] || texts.value(row) == first);
            return is_single.then(|| Self::Text(first.into()));
        }
        match array.data_type() {
            DataType::Decimal128(..) => number::<Decimal128Type>(array),
            DataType::Timestamp(..) => number::<TimestampMicrosecondType>(array),
            DataType::Date32 => number::<Date32Type>(array),
            DataType::Int64 => number::<Int64Type>(array),
            DataType::Int32 => number::<Int32Type>(array),
            _ => None,
        }
        .map(Self::Number)
    }
}

fn number<T: ArrowPrimitiveType<Native: Into<i128>>>(array: &ArrayRef) -> Option<i128> {
    let values = array.as_primitive_opt::<T>()?.values();
    let first = *values.first()?;
    values.iter().all(|value| *value == first).then(|| first.into())
}
