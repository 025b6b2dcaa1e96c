//! SQLite's rows as Arrow columns of PostgreSQL types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, ListArray, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
    UInt32Builder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Schema, SchemaRef};
use rusqlite::types::Value;
use serde_json::Value as Json;

use super::compile::OutputColumn;
use super::error::CatalogQueryError;
use super::functions::json_to_array_literal;
use super::regtypes;
use super::session::CatalogSession;
use super::types::{
    BOOL, CID, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, INTERVAL, NUMERIC, OID, PgType, RECORD, TIMESTAMP, TIMESTAMPTZ,
    TYPES, XID, arrow_type, element_field, is_reg, metadata_name, numeric_scale,
};

/// The Arrow schema of a result; every field says its PostgreSQL type in the metadata `pg_type`.
pub(super) fn schema(columns: &[OutputColumn]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|column| {
            let metadata = HashMap::from([
                ("pg_type".to_owned(), metadata_name(column.ty.oid)),
                ("pg_type_oid".to_owned(), column.ty.oid.to_string()),
                ("pg_typmod".to_owned(), column.ty.typmod.to_string()),
            ]);
            Field::new(&column.name, arrow_type(column.ty), true).with_metadata(metadata)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// Builds one batch from rows.
///
/// # Errors
/// 22003 when a value does not fit its type.
pub(super) fn batch(
    session: &CatalogSession,
    schema: &SchemaRef,
    columns: &[OutputColumn],
    rows: &[Vec<Value>],
) -> Result<RecordBatch, CatalogQueryError> {
    let mut arrays = Vec::new();
    for (position, column) in columns.iter().enumerate() {
        let values: Vec<&Value> = rows.iter().map(|row| row.get(position).unwrap_or(&Value::Null)).collect();
        arrays.push(array(session, column.ty, &values)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(|error| CatalogQueryError::new("XX000", format!("catalog result does not fit its schema: {error}")))
}

fn array(session: &CatalogSession, ty: PgType, values: &[&Value]) -> Result<ArrayRef, CatalogQueryError> {
    if let Some(element) = TYPES.element_of(ty.oid) {
        return list(session, element, values);
    }
    let integers = values.iter().map(|value| integer(value));
    Ok(match ty.oid {
        BOOL => {
            let mut builder = BooleanBuilder::new();
            integers.for_each(|value| builder.append_option(value.map(|number| number != 0)));
            Arc::new(builder.finish())
        }
        INT2 => {
            let mut builder = Int16Builder::new();
            for value in integers {
                builder.append_option(narrowed(value, "smallint")?);
            }
            Arc::new(builder.finish())
        }
        INT4 => {
            let mut builder = Int32Builder::new();
            for value in integers {
                builder.append_option(narrowed(value, "integer")?);
            }
            Arc::new(builder.finish())
        }
        INT8 => {
            let mut builder = Int64Builder::new();
            integers.for_each(|value| builder.append_option(value));
            Arc::new(builder.finish())
        }
        OID | XID | CID => {
            let mut builder = UInt32Builder::new();
            for value in integers {
                builder.append_option(narrowed(value, "oid")?);
            }
            Arc::new(builder.finish())
        }
        DATE => {
            let mut builder = Date32Builder::new();
            for value in integers {
                builder.append_option(narrowed(value, "date")?);
            }
            Arc::new(builder.finish())
        }
        TIMESTAMP | TIMESTAMPTZ => {
            let mut builder = TimestampMicrosecondBuilder::new();
            integers.for_each(|value| builder.append_option(value));
            Arc::new(if ty.oid == TIMESTAMPTZ { builder.finish().with_timezone("UTC") } else { builder.finish() })
        }
        FLOAT8 => {
            let mut builder = Float64Builder::new();
            values.iter().for_each(|value| builder.append_option(real(value)));
            Arc::new(builder.finish())
        }
        FLOAT4 => {
            let mut builder = Float32Builder::new();
            for value in values {
                builder.append_option(real(value).and_then(|number| number.to_string().parse::<f32>().ok()));
            }
            Arc::new(builder.finish())
        }
        NUMERIC => decimals(values, numeric_scale(ty.typmod))?,
        _ => {
            let mut builder = StringBuilder::new();
            values.iter().for_each(|value| builder.append_option(text(session, ty.oid, value)));
            Arc::new(builder.finish())
        }
    })
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Real(number) => format!("{number:.0}").parse().ok(),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Null | Value::Blob(_) => None,
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => number.to_string().parse().ok(),
        Value::Real(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Null | Value::Blob(_) => None,
    }
}

fn narrowed<T: TryFrom<i64>>(value: Option<i64>, name: &str) -> Result<Option<T>, CatalogQueryError> {
    match value {
        None => Ok(None),
        Some(number) => T::try_from(number).map(Some).map_err(|_| {
            CatalogQueryError::new("22003", format!("value \"{number}\" is out of range for type {name}"))
        }),
    }
}

fn decimals(values: &[&Value], scale: i8) -> Result<ArrayRef, CatalogQueryError> {
    let places = usize::try_from(scale).unwrap_or(0);
    let mut builder = Decimal128Builder::new();
    for value in values {
        let printed = match value {
            Value::Integer(number) => Some(format!("{number}.{:0>places$}", "")),
            Value::Real(number) => Some(format!("{number:.places$}")),
            Value::Text(text) => text.trim().parse::<f64>().ok().map(|number| format!("{number:.places$}")),
            Value::Null | Value::Blob(_) => None,
        };
        builder.append_option(printed.and_then(|text| text.replace('.', "").parse::<i128>().ok()));
    }
    let finished = builder.finish().with_precision_and_scale(38, scale);
    Ok(Arc::new(finished.map_err(|_| CatalogQueryError::new("22003", "numeric value out of range"))?))
}

/// What a value prints as, for types that travel as text.
fn text(session: &CatalogSession, oid: u32, value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Blob(_) => None,
        Value::Integer(number) if is_reg(oid) => {
            Some(regtypes::print(session, oid, u32::try_from(*number).unwrap_or(0)))
        }
        Value::Integer(micros) if oid == INTERVAL => Some(interval_text(*micros)),
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        // a record is a JSON array inside and (a,b) outside
        Value::Text(json) if oid == RECORD => {
            let array = json_to_array_literal(json, super::types::TEXT_ARRAY)?;
            Some(format!("({})", array.trim_start_matches('{').trim_end_matches('}').replace("NULL", "")))
        }
        Value::Text(text) => Some(text.clone()),
    }
}

/// `1 day 02:03:04.5`.
fn interval_text(micros: i64) -> String {
    let (days, rest) = (micros / 86_400_000_000, micros % 86_400_000_000);
    let sign = if rest < 0 { "-" } else { "" };
    let rest = rest.abs();
    let clock = format!("{sign}{:02}:{:02}:{:02}", rest / 3_600_000_000, rest / 60_000_000 % 60, rest / 1_000_000 % 60);
    let fraction = match rest % 1_000_000 {
        0 => String::new(),
        part => format!(".{part:06}").trim_end_matches('0').to_owned(),
    };
    match days {
        0 => format!("{clock}{fraction}"),
        1 | -1 => format!("{days} day {clock}{fraction}"),
        _ => format!("{days} days {clock}{fraction}"),
    }
}

fn list(session: &CatalogSession, element: u32, values: &[&Value]) -> Result<ArrayRef, CatalogQueryError> {
    let mut flat: Vec<Value> = Vec::new();
    let mut lengths = Vec::new();
    let mut present = Vec::new();
    for value in values {
        let elements = match value {
            Value::Text(json) => serde_json::from_str::<Vec<Json>>(json).ok(),
            Value::Null | Value::Blob(_) | Value::Integer(_) | Value::Real(_) => None,
        };
        present.push(elements.is_some());
        let elements = elements.unwrap_or_default();
        lengths.push(elements.len());
        flat.extend(elements.into_iter().map(|item| match item {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Integer(i64::from(flag)),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Integer(whole),
                None => number.as_f64().map_or(Value::Null, Value::Real),
            },
            Json::String(text) => Value::Text(text),
            other => Value::Text(other.to_string()),
        }));
    }
    let references: Vec<&Value> = flat.iter().collect();
    let items = array(session, PgType::plain(element), &references)?;
    let field = Arc::new(element_field(element));
    let array = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), items, Some(NullBuffer::from(present)));
    Ok(Arc::new(array.map_err(|error| CatalogQueryError::new("XX000", format!("catalog array: {error}")))?))
}
