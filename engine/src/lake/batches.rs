//! Batches kept in memory until their rows are written, and what they really occupy.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, new_null_array};
use arrow::buffer::Buffer;
use arrow::compute::{interleave, take};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
    UInt32Type,
};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::texts::{is_loose, packed};

/// One row among those held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowRef {
    /// Which batch.
    pub(super) batch: u32,
    /// Which row of it.
    pub(super) row: u32,
}

/// One column of a held batch. A column that has one value throughout, which is common in rows of
/// one delivery, is kept as a single row.
#[derive(Debug)]
pub(super) struct HeldColumn {
    array: ArrayRef,
    constant: bool,
}

impl HeldColumn {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        if let Some(single) = single_value(array)? {
            return Ok(Self { array: single, constant: true });
        }
        let array = match array.as_string_view_opt() {
            Some(texts) if is_loose(texts) => packed(texts)?,
            _ => Arc::clone(array),
        };
        Ok(Self { array, constant: false })
    }

    /// A column of which it is known whether it has one value.
    pub(super) fn known(array: ArrayRef, constant: bool) -> Self {
        Self { array, constant }
    }

    /// Whether it is kept as a single row.
    pub(super) fn is_constant(&self) -> bool {
        self.constant
    }

    /// The values.
    pub(super) fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// Where the value of a row is.
    pub(super) fn place(&self, row: u32) -> usize {
        if self.constant { 0 } else { row as usize }
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

    /// Keeps the columns of a batch and answers with its number.
    pub(super) fn hold(&mut self, columns: &[ArrayRef]) -> Result<u32, ArrowError> {
        let live = columns.first().map_or(0, Array::len);
        self.keep(columns.iter().map(HeldColumn::new).collect::<Result<_, _>>()?, live)
    }

    /// The same for columns of so many rows that were held before.
    pub(super) fn keep(&mut self, columns: Vec<HeldColumn>, live: usize) -> Result<u32, ArrowError> {
        let number = u32::try_from(self.held.len())
            .map_err(|_| ArrowError::InvalidArgumentError("more batches than numbers for them".to_owned()))?;
        for column in &columns {
            for_each_buffer(&column.array, |buffer| {
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
                    for_each_buffer(&column.array, |buffer| self.forget(buffer));
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

impl Selection<'_> {
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
        if sources.iter().any(|source| source.constant) {
            let moved = |&(source, row): &(usize, usize)| (source, if sources[source].constant { 0 } else { row });
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
        if let [only] = sources
            && only.constant
        {
            return true;
        }
        let mut values = self.places.iter().map(|(source, row)| {
            let place = if sources[*source].constant { 0 } else { *row };
            value(*source, place)
        });
        let first = values.next();
        values.all(|value| Some(value) == first)
    }

    /// Like [`Self::collect`], with texts copied out of the buffers they were in.
    pub(super) fn copy(&self, column: usize, range: std::ops::Range<usize>) -> Result<ArrayRef, ArrowError> {
        let collected = self.collect(column, range)?;
        Ok(match collected.as_string_view_opt() {
            Some(texts) => packed(texts)?,
            None => collected,
        })
    }
}

fn address(buffer: &Buffer) -> usize {
    buffer.data_ptr().addr().get()
}

fn for_each_buffer(array: &ArrayRef, mut visit: impl FnMut(&Buffer)) {
    let data = array.to_data();
    data.buffers().iter().for_each(&mut visit);
    if let Some(nulls) = data.nulls() {
        visit(nulls.buffer());
    }
}

/// The only value of a column as an array of one row, if there is only one.
fn single_value(array: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    if array.len() < 2 {
        return Ok(None);
    }
    if array.null_count() == array.len() {
        return Ok(Some(new_null_array(array.data_type(), 1)));
    }
    if array.null_count() > 0 {
        return Ok(None);
    }
    if let Some(texts) = array.as_string_view_opt() {
        let (views, first) = (texts.views(), texts.value(0));
        let single = (1..texts.len()).all(|row| views[row] == views[0] || texts.value(row) == first);
        return single.then(|| packed(&texts.slice(0, 1))).transpose();
    }
    let single = match array.data_type() {
        DataType::Decimal128(..) => all_equal::<Decimal128Type>(array),
        DataType::Timestamp(..) => all_equal::<TimestampMicrosecondType>(array),
        DataType::Date32 => all_equal::<Date32Type>(array),
        DataType::Int64 => all_equal::<Int64Type>(array),
        DataType::Int32 => all_equal::<Int32Type>(array),
        _ => false,
    };
    if !single {
        return Ok(None);
    }
    take(array, &PrimitiveArray::<UInt32Type>::from_iter_values([0]), None).map(Some)
}

fn all_equal<T: ArrowPrimitiveType>(array: &ArrayRef) -> bool {
    array.as_primitive_opt::<T>().is_some_and(|array| {
        let values = array.values();
        values.iter().all(|value| *value == values[0])
    })
}
