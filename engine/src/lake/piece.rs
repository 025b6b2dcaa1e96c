//! Consecutive rows of a run as bytes.
//!
//! Two batches in Arrow's stream format, compressed together: one of one row, with the value of
//! every column that has only one and the different texts of every other text column as a list;
//! and one of all rows, where a text is its number in that list.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StringArray, StringViewArray, UInt16Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, UInt16Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::batches::{HeldColumn, Selection};

/// Rows of a piece: of each run one piece at a time is in memory while runs are merged. Texts are numbered in 16 bits.
pub(super) const PIECE_ROWS: usize = 1024;

/// The fastest of Zstandard's levels that packs: most bytes are the zeros of decimals.
const LEVEL: i32 = 1;

/// A piece as bytes, and what it takes to read it.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) form: Form,
}

/// What it takes to read a piece.
#[derive(Debug)]
pub(super) struct Form {
    rows: usize,
    /// Bytes of the batch of one row, then of the other, unpacked.
    sizes: [usize; 2],
    is_single: Vec<bool>,
}

/// Columns of one of the two batches.
#[derive(Default)]
struct Part {
    fields: Vec<FieldRef>,
    arrays: Vec<ArrayRef>,
}

impl Part {
    fn add(&mut self, name: &str, array: ArrayRef) {
        self.fields.push(Arc::new(Field::new(name, array.data_type().clone(), true)));
        self.arrays.push(array);
    }

    fn write(self, rows: usize, to: &mut Vec<u8>) -> Result<(), ArrowError> {
        let schema = Arc::new(Schema::new(self.fields));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), self.arrays, &options)?;
        let mut writer = StreamWriter::try_new(to, &schema)?;
        writer.write(&batch)?;
        writer.finish()
    }
}

/// Packs at most [`PIECE_ROWS`] selected rows.
pub(super) fn pack(selection: &Selection<'_>, schema: &Schema) -> Result<Packed, ArrowError> {
    let (mut single_row, mut all_rows) = (Part::default(), Part::default());
    let mut is_single = Vec::with_capacity(schema.fields().len());
    for (column, field) in schema.fields().iter().enumerate() {
        let single = selection.single(column)?;
        is_single.push(single.is_some());
        match single {
            Some(value) => single_row.add(field.name(), value),
            None if *field.data_type() == DataType::Utf8View => {
                let (numbers, texts) = numbered(selection, column)?;
                single_row.add(field.name(), texts);
                all_rows.add(field.name(), numbers);
            }
            None => all_rows.add(field.name(), selection.collect(column, 0..selection.len())?),
        }
    }
    let mut content = Vec::new();
    single_row.write(1, &mut content)?;
    let single_bytes = content.len();
    all_rows.write(selection.len(), &mut content)?;
    let sizes = [single_bytes, content.len() - single_bytes];
    let bytes = zstd::bulk::compress(&content, LEVEL)?;
    Ok(Packed { bytes, form: Form { rows: selection.len(), sizes, is_single } })
}

/// The columns of a piece.
pub(super) fn unpack(bytes: &[u8], form: &Form) -> Result<Vec<HeldColumn>, ArrowError> {
    let content = zstd::bulk::decompress(bytes, form.sizes.iter().sum())?;
    let (single_row, all_rows) = content.split_at(form.sizes[0]);
    let (single_row, all_rows) = (read(single_row)?, read(all_rows)?);
    let (mut singles, mut others) = (single_row.columns().iter(), all_rows.columns().iter());
    let missing = || ArrowError::IpcError("a piece without one of its columns".to_owned());
    let column = |is_single: &bool| {
        if *is_single {
            return Ok(HeldColumn::of_one_value(Arc::clone(singles.next().ok_or_else(missing)?), form.rows));
        }
        let values = others.next().ok_or_else(missing)?;
        let Some(numbers) = values.as_primitive_opt::<UInt16Type>() else {
            return Ok(HeldColumn::of_rows(Arc::clone(values)));
        };
        let texts = singles.next().and_then(|texts| texts.as_list_opt::<i32>()).ok_or_else(missing)?.value(0);
        let texts = StringViewArray::from(texts.as_string::<i32>());
        Ok(HeldColumn::of_numbered(Arc::new(texts), numbers.values().clone()))
    };
    form.is_single.iter().map(column).collect()
}

fn read(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let missing = || ArrowError::IpcError("a piece without a batch".to_owned());
    StreamReader::try_new(Cursor::new(bytes), None)?.next().ok_or_else(missing)?
}

/// The texts of a column as a list in one row, and for each row the number of its text there.
fn numbered(selection: &Selection<'_>, column: usize) -> Result<(ArrayRef, ArrayRef), ArrowError> {
    let too_many = || ArrowError::InvalidArgumentError("more rows in a piece than numbers".to_owned());
    let (numbers, texts) = selection.numbered(column, PIECE_ROWS).ok_or_else(too_many)?;
    let texts = StringArray::from(texts);
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let list = ListArray::try_new(item, OffsetBuffer::from_lengths([texts.len()]), Arc::new(texts), None)?;
    Ok((Arc::new(UInt16Array::from(numbers)), Arc::new(list)))
}
