//! Lists as Postgres arrays: `{1,NULL,"a b"}`, nested lists as more dimensions, and the `int2vector` family of the catalog.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};

use super::cell::{CellWriter, cell_writer};
use super::presentation::{ColumnType, Scale, unsupported};
use super::{Format, OutputSettings, oid};
use crate::wire::backend::Failure;

/// A list column, its innermost values behind any number of nested lists.
struct Lists<'a> {
    /// First child and one past the last child of a row.
    bounds: Box<dyn Fn(usize) -> (usize, usize) + Send + 'a>,
    children: &'a ArrayRef,
    inner: Inner<'a>,
}

enum Inner<'a> {
    Values(CellWriter<'a>),
    Lists(Box<Lists<'a>>),
}

/// Makes the writer of a list column.
pub(crate) fn array_writer<'a>(
    values: &'a ArrayRef,
    column: &ColumnType,
    format: Format,
    settings: OutputSettings,
) -> Result<CellWriter<'a>, Failure> {
    let is_vector = matches!(column.oid, oid::INT2VECTOR | oid::OIDVECTOR);
    let element_oid = match column.oid {
        oid::INT2VECTOR => oid::INT2,
        oid::OIDVECTOR => oid::OID,
        array => oid::element_of(array).map_or(oid::TEXT, |ty| ty.oid),
    };
    let element = ColumnType { oid: element_oid, size: -1, modifier: -1, scale: scale_of(values), table: 0, number: 0 };
    let mut lists = Lists::new(values, &element, format, settings)?;
    Ok(match format {
        Format::Text if is_vector => Box::new(move |row, out| lists.write_vector(row, out)),
        Format::Text => Box::new(move |row, out| lists.write_text(row, out)),
        Format::Binary => Box::new(move |row, out| lists.write_binary(row, element_oid, is_vector, out)),
    })
}

fn scale_of(values: &ArrayRef) -> Scale {
    match values.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            ColumnType::of(item).map_or(Scale::Trim(0), |column| column.scale)
        }
        _ => Scale::Trim(0),
    }
}

impl<'a> Lists<'a> {
    fn new(
        values: &'a ArrayRef,
        element: &ColumnType,
        format: Format,
        settings: OutputSettings,
    ) -> Result<Self, Failure> {
        type Bounds<'a> = Box<dyn Fn(usize) -> (usize, usize) + Send + 'a>;
        let (bounds, children): (Bounds<'a>, &'a ArrayRef) = match values.data_type() {
            DataType::List(_) => {
                let list = values.as_list::<i32>();
                let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
                (Box::new(move |row| (at(list.value_offsets()[row]), at(list.value_offsets()[row + 1]))), list.values())
            }
            DataType::LargeList(_) => {
                let list = values.as_list::<i64>();
                let at = |offset: i64| usize::try_from(offset).unwrap_or(0);
                (Box::new(move |row| (at(list.value_offsets()[row]), at(list.value_offsets()[row + 1]))), list.values())
            }
            DataType::FixedSizeList(..) => {
                let list = values.as_fixed_size_list();
                let length = usize::try_from(list.value_length()).unwrap_or(0);
                (Box::new(move |row| (row * length, (row + 1) * length)), list.values())
            }
            other => return Err(unsupported(other)),
        };
        let inner = match children.data_type() {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
                Inner::Lists(Box::new(Self::new(children, element, format, settings)?))
            }
            _ => Inner::Values(cell_writer(children, element, format, settings)?),
        };
        Ok(Self { bounds, children, inner })
    }

    fn write_text(&mut self, row: usize, out: &mut BytesMut) -> Result<(), Failure> {
        let (first, end) = (self.bounds)(row);
        out.put_u8(b'{');
        for child in first..end {
            if child > first {
                out.put_u8(b',');
            }
            if self.children.is_null(child) {
                out.put_slice(b"NULL");
                continue;
            }
            match &mut self.inner {
                Inner::Lists(lists) => lists.write_text(child, out)?,
                Inner::Values(write) => {
                    let start = out.len();
                    write(child, out)?;
                    quote_element(start, out);
                }
            }
        }
        out.put_u8(b'}');
        Ok(())
    }

    /// The text of `int2vector` and `oidvector`: numbers with blanks between.
    fn write_vector(&mut self, row: usize, out: &mut BytesMut) -> Result<(), Failure> {
        let (first, end) = (self.bounds)(row);
        for child in first..end {
            if child > first {
                out.put_u8(b' ');
            }
            if let Inner::Values(write) = &mut self.inner {
                write(child, out)?;
            }
        }
        Ok(())
    }

    fn write_binary(&mut self, row: usize, element: u32, is_vector: bool, out: &mut BytesMut) -> Result<(), Failure> {
        let mut dimensions = Vec::new();
        self.measure(row, 0, &mut dimensions)?;
        // A vector of the catalog has one dimension counted from 0, even when it is empty.
        if !is_vector && dimensions.contains(&0) {
            dimensions.clear();
        }
        out.put_i32(length(dimensions.len())?);
        let flags = out.len();
        out.put_i32(0);
        out.put_u32(element);
        for dimension in &dimensions {
            out.put_i32(length(*dimension)?);
            out.put_i32(i32::from(!is_vector));
        }
        if !dimensions.is_empty() && self.write_elements(row, out)? {
            out[flags + 3] = 1;
        }
        Ok(())
    }

    /// Finds the length of every dimension; Postgres' arrays are boxes. Errors: 2202E for ragged lists.
    fn measure(&self, row: usize, depth: usize, dimensions: &mut Vec<usize>) -> Result<(), Failure> {
        let (first, end) = (self.bounds)(row);
        match dimensions.get(depth) {
            None => dimensions.push(end - first),
            Some(known) if *known == end - first => {}
            Some(_) => {
                return Err(Failure::new(
                    "2202E",
                    "nested lists of different lengths cannot be sent as a binary array",
                ));
            }
        }
        if let Inner::Lists(lists) = &self.inner {
            (first..end).try_for_each(|child| lists.measure(child, depth + 1, dimensions))?;
        }
        Ok(())
    }

    /// Writes the elements with their lengths and tells whether one was null.
    fn write_elements(&mut self, row: usize, out: &mut BytesMut) -> Result<bool, Failure> {
        let (first, end) = (self.bounds)(row);
        let mut any_null = false;
        for child in first..end {
            match &mut self.inner {
                Inner::Lists(lists) => any_null |= lists.write_elements(child, out)?,
                Inner::Values(_) if self.children.is_null(child) => {
                    any_null = true;
                    out.put_i32(-1);
                }
                Inner::Values(write) => {
                    let start = out.len();
                    out.put_i32(0);
                    write(child, out)?;
                    let size = length(out.len() - start - 4)?;
                    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
                }
            }
        }
        Ok(any_null)
    }
}

fn length(value: usize) -> Result<i32, Failure> {
    i32::try_from(value).map_err(|_| Failure::new("54000", "array is too large to send"))
}

/// Puts quotes around the element written since `start` where `array_in` would misread it.
fn quote_element(start: usize, out: &mut BytesMut) {
    let element = &out[start..];
    let needs = element.is_empty()
        || element.eq_ignore_ascii_case(b"null")
        || element.iter().any(|byte| b"{},\"\\".contains(byte) || byte.is_ascii_whitespace() || *byte == 0x0b);
    if !needs {
        return;
    }
    let element = out.split_off(start);
    out.put_u8(b'"');
    for byte in element {
        if byte == b'"' || byte == b'\\' {
            out.put_u8(b'\\');
        }
        out.put_u8(byte);
    }
    out.put_u8(b'"');
}
