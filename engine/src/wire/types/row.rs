//! Rows of a record batch as DataRow messages, straight into the connection's buffer.

use arrow::array::{Array, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};

use super::cell::{CellWriter, cell_writer};
use super::presentation::{ColumnType, Scale};
use super::{Format, OutputSettings};
use crate::wire::backend::Failure;

/// How the rows of a result are written.
#[derive(Debug, Clone)]
pub(crate) struct RowShape {
    /// The columns as announced.
    pub(crate) columns: Vec<ColumnType>,
    /// Text or binary, per column.
    pub(crate) formats: Vec<Format>,
    /// The settings at the time the statement was bound.
    pub(crate) settings: OutputSettings,
}

impl RowShape {
    /// Announces every column of a schema in one format.
    pub(crate) fn of(schema: &Schema, format: Format, settings: OutputSettings) -> Result<Self, Failure> {
        let columns = columns_of(schema)?;
        let formats = vec![format; columns.len()];
        Ok(Self { columns, formats, settings })
    }

    /// Gives every number of a column with a declared scale that many digits. Readers of a binary COPY go by the column's scale in
    /// the catalog; a driver may read a result as text first and in binary later, and must find the same digits.
    pub(crate) fn with_declared_scales(mut self) -> Self {
        for column in &mut self.columns {
            if let Some(declared) = column.declared_scale() {
                column.scale = Scale::Fixed(declared);
            }
        }
        self
    }
}

/// The announcement of every column of a schema.
pub(crate) fn columns_of(schema: &Schema) -> Result<Vec<ColumnType>, Failure> {
    schema.fields().iter().map(|field| ColumnType::of(field)).collect()
}

/// The writers of one batch.
pub(crate) struct BatchWriter<'a> {
    columns: Vec<(Option<NullBuffer>, CellWriter<'a>)>,
}

impl<'a> BatchWriter<'a> {
    /// Prepares the writers; the batch's columns must be those the shape announced.
    pub(crate) fn new(batch: &'a RecordBatch, shape: &RowShape) -> Result<Self, Failure> {
        if batch.num_columns() != shape.columns.len() {
            return Err(Failure::new("0A000", "cached plan must not change result type"));
        }
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (index, values) in batch.columns().iter().enumerate() {
            let write = cell_writer(values, &shape.columns[index], shape.formats[index], shape.settings)?;
            columns.push((values.logical_nulls(), write));
        }
        Ok(Self { columns })
    }

    /// Writes a row as a DataRow message. On an error nothing of it stays in the buffer.
    pub(crate) fn write_row(&mut self, row: usize, out: &mut BytesMut) -> Result<(), Failure> {
        let start = out.len();
        out.put_u8(b'D');
        out.put_i32(0);
        out.put_i16(i16::try_from(self.columns.len()).unwrap_or(i16::MAX));
        let written = self.write_fields(row, out).and_then(|()| {
            let size = size_of_part(out.len() - start - 1)?;
            out[start + 1..start + 5].copy_from_slice(&size.to_be_bytes());
            Ok(())
        });
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Writes the fields of a row, each with its length before it; null is -1.
    pub(crate) fn write_fields(&mut self, row: usize, out: &mut BytesMut) -> Result<(), Failure> {
        for (nulls, write) in &mut self.columns {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                out.put_i32(-1);
                continue;
            }
            let start = out.len();
            out.put_i32(0);
            write(row, out)?;
            let size = size_of_part(out.len() - start - 4)?;
            out[start..start + 4].copy_from_slice(&size.to_be_bytes());
        }
        Ok(())
    }

    /// Calls `each` with the text of every field of a row, `None` for null.
    pub(crate) fn each_field(
        &mut self,
        row: usize,
        scratch: &mut BytesMut,
        mut each: impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), Failure> {
        for (index, (nulls, write)) in self.columns.iter_mut().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                each(index, None);
                continue;
            }
            scratch.clear();
            write(row, scratch)?;
            each(index, Some(scratch));
        }
        Ok(())
    }
}

fn size_of_part(bytes: usize) -> Result<i32, Failure> {
    i32::try_from(bytes).map_err(|_| Failure::new("54000", "a row larger than 2 GiB cannot be sent"))
}
