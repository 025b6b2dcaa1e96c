//! Writers of single values: one closure per column and batch, so that the type is decided once and not per row.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    i256,
};
use bytes::{BufMut, BytesMut};

use super::moment::{intervals, moments};
use super::numeric::Decimal;
use super::presentation::{ColumnType, unsupported};
use super::{Format, OutputSettings, array, float, json, oid};
use crate::wire::backend::Failure;

/// Writes the value of a row, which must not be null, without a length before it.
pub(crate) type CellWriter<'a> = Box<dyn FnMut(usize, &mut BytesMut) -> Result<(), Failure> + Send + 'a>;

/// Reads the value of a row, which must not be null.
pub(crate) type Reader<'a, T> = Box<dyn Fn(usize) -> T + Send + 'a>;

/// Makes the writer of a column.
///
/// Errors: 0A000 when the Arrow type cannot be sent; the writer gives 22003, 22008 or 22P03 for a value that the announced type
/// cannot hold.
pub(crate) fn cell_writer<'a>(
    values: &'a ArrayRef,
    column: &ColumnType,
    format: Format,
    settings: OutputSettings,
) -> Result<CellWriter<'a>, Failure> {
    let oid = column.oid;
    // Announced as text, a value of any type is its text in both formats.
    let format = if oid::is_text(oid) { Format::Text } else { format };
    Ok(match values.data_type() {
        DataType::Boolean => {
            let values = values.as_boolean();
            match format {
                Format::Text => Box::new(move |row, out| {
                    out.put_u8(if values.value(row) { b't' } else { b'f' });
                    Ok(())
                }),
                Format::Binary => Box::new(move |row, out| {
                    out.put_u8(u8::from(values.value(row)));
                    Ok(())
                }),
            }
        }
        DataType::Float16 => {
            floats(primitive::<Float16Type, _>(values, |value| f64::from(value.to_f32())), oid, format, settings)
        }
        DataType::Float32 => floats(primitive::<Float32Type, _>(values, f64::from), oid, format, settings),
        DataType::Float64 => floats(primitive::<Float64Type, _>(values, |value| value), oid, format, settings),
        DataType::Decimal32(_, scale) => decimals(
            primitive::<Decimal32Type, _>(values, |value| i256::from_i128(value.into())),
            *scale,
            column,
            format,
        ),
        DataType::Decimal64(_, scale) => decimals(
            primitive::<Decimal64Type, _>(values, |value| i256::from_i128(value.into())),
            *scale,
            column,
            format,
        ),
        DataType::Decimal128(_, scale) => {
            decimals(primitive::<Decimal128Type, _>(values, i256::from_i128), *scale, column, format)
        }
        DataType::Decimal256(_, scale) => {
            decimals(primitive::<Decimal256Type, _>(values, |value| value), *scale, column, format)
        }
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => {
            moments(values, format, settings)?
        }
        DataType::Interval(_) | DataType::Duration(_) => intervals(values, format)?,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            array::array_writer(values, column, format, settings)?
        }
        DataType::Struct(_) | DataType::Map(..) => {
            let mut write = json::json_writer(values, settings)?;
            let version = (oid == oid::JSONB && format == Format::Binary).then_some(1);
            Box::new(move |row, out| {
                version.into_iter().for_each(|version| out.put_u8(version));
                write(row, out)
            })
        }
        DataType::Dictionary(..) => {
            let dictionary = values.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            let mut write = cell_writer(dictionary.values(), column, format, settings)?;
            Box::new(move |row, out| write(keys[row], out))
        }
        DataType::Null => Box::new(|_, _| Ok(())),
        other => {
            if let Some(texts) = strings(values) {
                texts_writer(texts, oid, format)
            } else if let Some(bytes) = binaries(values) {
                binaries_writer(bytes, oid, format)
            } else if let Some(numbers) = integers(values) {
                integers_writer(numbers, oid, format)
            } else {
                return Err(unsupported(other));
            }
        }
    })
}

/// Makes the reader of a primitive array.
pub(crate) fn primitive<'a, T, V>(values: &'a ArrayRef, convert: impl Fn(T::Native) -> V + Send + 'a) -> Reader<'a, V>
where
    T: ArrowPrimitiveType,
{
    let values = values.as_primitive::<T>();
    Box::new(move |row| convert(values.value(row)))
}

fn integers(values: &ArrayRef) -> Option<Reader<'_, i128>> {
    Some(match values.data_type() {
        DataType::Int8 => primitive::<Int8Type, _>(values, i128::from),
        DataType::Int16 => primitive::<Int16Type, _>(values, i128::from),
        DataType::Int32 => primitive::<Int32Type, _>(values, i128::from),
        DataType::Int64 => primitive::<Int64Type, _>(values, i128::from),
        DataType::UInt8 => primitive::<UInt8Type, _>(values, i128::from),
        DataType::UInt16 => primitive::<UInt16Type, _>(values, i128::from),
        DataType::UInt32 => primitive::<UInt32Type, _>(values, i128::from),
        DataType::UInt64 => primitive::<UInt64Type, _>(values, i128::from),
        _ => return None,
    })
}

fn strings(values: &ArrayRef) -> Option<Reader<'_, &str>> {
    Some(match values.data_type() {
        DataType::Utf8 => Box::new(move |row| values.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Box::new(move |row| values.as_string::<i64>().value(row)),
        DataType::Utf8View => Box::new(move |row| values.as_string_view().value(row)),
        _ => return None,
    })
}

fn binaries(values: &ArrayRef) -> Option<Reader<'_, &[u8]>> {
    Some(match values.data_type() {
        DataType::Binary => Box::new(move |row| values.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Box::new(move |row| values.as_binary::<i64>().value(row)),
        DataType::BinaryView => Box::new(move |row| values.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Box::new(move |row| values.as_fixed_size_binary().value(row)),
        _ => return None,
    })
}

/// The error of a value that the announced type cannot hold.
fn out_of_range(oid: u32) -> Failure {
    let name = oid::by_oid(oid).map_or("the announced type", |ty| ty.name);
    Failure::new("22003", format!("value out of range for type {name}"))
}

fn integers_writer(read: Reader<'_, i128>, oid: u32, format: Format) -> CellWriter<'_> {
    let mut decimal = Decimal::default();
    Box::new(move |row, out| {
        let value = read(row);
        if format == Format::Text {
            return write!(out, "{value}").map_err(|_| out_of_range(oid));
        }
        put_integer(value, oid, &mut decimal, out)
    })
}

fn put_integer(value: i128, oid: u32, decimal: &mut Decimal, out: &mut BytesMut) -> Result<(), Failure> {
    let wide = |_| out_of_range(oid);
    match oid {
        oid::BOOL => out.put_u8(u8::from(value != 0)),
        oid::CHAR => out.put_u8(u8::try_from(value).map_err(wide)?),
        oid::INT2 => out.put_i16(i16::try_from(value).map_err(wide)?),
        oid::INT4 => out.put_i32(i32::try_from(value).map_err(wide)?),
        oid::INT8 => out.put_i64(i64::try_from(value).map_err(wide)?),
        3220 | 5069 => out.put_u64(u64::try_from(value).map_err(wide)?),
        oid::NUMERIC => {
            decimal.set_i128(value, 0);
            decimal.write_binary(out);
        }
        oid::FLOAT4 | oid::FLOAT8 => put_float(value.to_string().parse().map_err(|_| out_of_range(oid))?, oid, out),
        other if oid::is_oid_like(other) => out.put_u32(u32::try_from(value).map_err(wide)?),
        _ => write!(out, "{value}").map_err(|_| out_of_range(oid))?,
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a float4 column was a float4 before it was widened")]
fn put_float(value: f64, oid: u32, out: &mut BytesMut) {
    if oid == oid::FLOAT4 { out.put_f32(value as f32) } else { out.put_f64(value) }
}

#[expect(clippy::cast_possible_truncation, reason = "a float4 column was a float4 before it was widened")]
fn floats(read: Reader<'_, f64>, oid: u32, format: Format, settings: OutputSettings) -> CellWriter<'_> {
    let digits = settings.extra_float_digits;
    Box::new(move |row, out| {
        match (format, oid) {
            (Format::Text, oid::FLOAT4) => float::write_float4(read(row) as f32, digits, out),
            (Format::Text, _) => float::write_float8(read(row), digits, out),
            (Format::Binary, oid::NUMERIC) => Decimal::from_text(&read(row).to_string())?.write_binary(out),
            (Format::Binary, _) => put_float(read(row), oid, out),
        }
        Ok(())
    })
}

fn decimals<'a>(read: Reader<'a, i256>, scale: i8, column: &ColumnType, format: Format) -> CellWriter<'a> {
    let (oid, presentation) = (column.oid, column.scale);
    let mut decimal = Decimal::default();
    Box::new(move |row, out| {
        decimal.set_i256(read(row), scale);
        decimal.present(presentation);
        match (format, oid) {
            (Format::Text, _) => decimal.write_text(out),
            (Format::Binary, oid::NUMERIC) => decimal.write_binary(out),
            (Format::Binary, _) => {
                let mut text = BytesMut::new();
                decimal.write_text(&mut text);
                let text = String::from_utf8_lossy(&text);
                match oid {
                    oid::FLOAT4 | oid::FLOAT8 => put_float(text.parse().map_err(|_| out_of_range(oid))?, oid, out),
                    oid::INT2 | oid::INT4 | oid::INT8 => {
                        let value = text.parse().map_err(|_| out_of_range(oid))?;
                        put_integer(value, oid, &mut Decimal::default(), out)?;
                    }
                    _ => out.put_slice(text.as_bytes()),
                }
            }
        }
        Ok(())
    })
}

fn texts_writer<'a>(read: Reader<'a, &'a str>, oid: u32, format: Format) -> CellWriter<'a> {
    if format == Format::Text {
        return Box::new(move |row, out| {
            out.put_slice(read(row).as_bytes());
            Ok(())
        });
    }
    let mut decimal = Decimal::default();
    Box::new(move |row, out| {
        let text = read(row);
        match oid {
            oid::CHAR => out.put_u8(text.as_bytes().first().copied().unwrap_or(0)),
            oid::UUID => out.put_slice(uuid::Uuid::parse_str(text).map_err(|_| out_of_range(oid))?.as_bytes()),
            oid::JSONB => {
                out.put_u8(1);
                out.put_slice(text.as_bytes());
            }
            oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC => {
                let number = Decimal::from_text(text).map_err(|_| out_of_range(oid))?;
                if oid == oid::NUMERIC {
                    number.write_binary(out);
                } else if matches!(oid, oid::FLOAT4 | oid::FLOAT8) {
                    put_float(text.parse().map_err(|_| out_of_range(oid))?, oid, out);
                } else {
                    put_integer(text.parse().map_err(|_| out_of_range(oid))?, oid, &mut decimal, out)?;
                }
            }
            // A name in place of an object id cannot be resolved here; 0 is how Postgres shows "none".
            other if oid::is_oid_like(other) => out.put_u32(text.parse().unwrap_or(0)),
            _ => out.put_slice(text.as_bytes()),
        }
        Ok(())
    })
}

fn binaries_writer<'a>(read: Reader<'a, &'a [u8]>, oid: u32, format: Format) -> CellWriter<'a> {
    Box::new(move |row, out| {
        let bytes = read(row);
        match (format, oid) {
            (Format::Text, oid::UUID) if bytes.len() == 16 => {
                let text = uuid::Uuid::from_slice(bytes).map_err(|_| out_of_range(oid))?.to_string();
                out.put_slice(text.as_bytes());
            }
            (Format::Text, _) => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.put_slice(b"\\x");
                for byte in bytes {
                    out.put_u8(HEX[usize::from(byte >> 4)]);
                    out.put_u8(HEX[usize::from(byte & 15)]);
                }
            }
            (Format::Binary, _) => out.put_slice(bytes),
        }
        Ok(())
    })
}
