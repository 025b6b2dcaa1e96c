//! Structs and maps as JSON text, as no client can read an anonymous record.
//!
//! Numbers keep all their digits, NaN and infinities become strings, everything without a JSON form is its Postgres text in quotes.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};

use super::cell::{CellWriter, cell_writer};
use super::presentation::ColumnType;
use super::{Format, OutputSettings};
use crate::wire::backend::Failure;

/// Makes a writer of JSON text; unlike a cell writer it takes null rows, and writes `null`.
pub(crate) fn json_writer<'a>(values: &'a ArrayRef, settings: OutputSettings) -> Result<CellWriter<'a>, Failure> {
    let mut write = not_null_writer(values, settings)?;
    let nulls = values.logical_nulls();
    Ok(Box::new(move |row, out| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.put_slice(b"null");
            return Ok(());
        }
        write(row, out)
    }))
}

fn not_null_writer<'a>(values: &'a ArrayRef, settings: OutputSettings) -> Result<CellWriter<'a>, Failure> {
    Ok(match values.data_type() {
        DataType::Struct(fields) => {
            let mut members = Vec::with_capacity(fields.len());
            for (field, column) in fields.iter().zip(values.as_struct().columns()) {
                members.push((quoted(field.name()), json_writer(column, settings)?));
            }
            Box::new(move |row, out| {
                for (index, (name, write)) in members.iter_mut().enumerate() {
                    out.put_u8(if index == 0 { b'{' } else { b',' });
                    out.put_slice(name.as_bytes());
                    out.put_u8(b':');
                    write(row, out)?;
                }
                out.put_slice(if members.is_empty() { b"{}" } else { b"}" });
                Ok(())
            })
        }
        DataType::Map(..) => {
            let map = values.as_map();
            let mut keys = text_writer(map.keys(), settings)?;
            let mut members = json_writer(map.values(), settings)?;
            Box::new(move |row, out| {
                let offsets = map.value_offsets();
                let (first, end) = (child(offsets[row]), child(offsets[row + 1]));
                write_all(b'{', b'}', first..end, out, |entry, out| {
                    let start = out.len();
                    keys(entry, out)?;
                    quote_since(start, out);
                    out.put_u8(b':');
                    members(entry, out)
                })
            })
        }
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            let mut items = json_writer(list.values(), settings)?;
            Box::new(move |row, out| {
                let offsets = list.value_offsets();
                let range = child(offsets[row])..child(offsets[row + 1]);
                write_all(b'[', b']', range, out, |entry, out| items(entry, out))
            })
        }
        DataType::Boolean => {
            let values = values.as_boolean();
            Box::new(move |row, out| {
                out.put_slice(if values.value(row) { b"true" } else { b"false" });
                Ok(())
            })
        }
        other => {
            let is_number = other.is_numeric();
            let mut write = text_writer(values, settings)?;
            Box::new(move |row, out| {
                let start = out.len();
                write(row, out)?;
                // NaN and Infinity are not JSON.
                if !is_number || out[start..].iter().any(|byte| b"NIy".contains(byte)) {
                    quote_since(start, out);
                }
                Ok(())
            })
        }
    })
}

fn text_writer<'a>(values: &'a ArrayRef, settings: OutputSettings) -> Result<CellWriter<'a>, Failure> {
    let field = arrow::datatypes::Field::new("", values.data_type().clone(), true);
    cell_writer(values, &ColumnType::of(&field)?, Format::Text, settings)
}

fn write_all(
    open: u8,
    close: u8,
    range: std::ops::Range<usize>,
    out: &mut BytesMut,
    mut write: impl FnMut(usize, &mut BytesMut) -> Result<(), Failure>,
) -> Result<(), Failure> {
    out.put_u8(open);
    let first = range.start;
    for entry in range {
        if entry > first {
            out.put_u8(b',');
        }
        write(entry, out)?;
    }
    out.put_u8(close);
    Ok(())
}

fn child(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn quote_since(start: usize, out: &mut BytesMut) {
    let text = out.split_off(start);
    out.put_slice(quoted(&String::from_utf8_lossy(&text)).as_bytes());
}
