//! Bound parameters as SQLite values of the type the statement gave them.

use datafusion::common::ScalarValue;
use rusqlite::types::Value;
use serde_json::Value as Json;

use super::error::CatalogQueryError;
use super::functions::{array_literal_to_json, bool_from_text, date_from_text, instant_from_text};
use super::types::{BOOL, DATE, FLOAT4, FLOAT8, NUMERIC, TYPES, is_instant, is_integer};

/// Converts one parameter.
///
/// # Errors
/// 22P02 when a text is not of the type the statement asks for, 0A000 for types that catalogs do not have.
pub(super) fn value(parameter: &ScalarValue, target: u32) -> Result<Value, CatalogQueryError> {
    if parameter.is_null() {
        return Ok(Value::Null);
    }
    Ok(match parameter {
        ScalarValue::Boolean(Some(flag)) => Value::Integer(i64::from(*flag)),
        ScalarValue::Int8(Some(number)) => Value::Integer((*number).into()),
        ScalarValue::Int16(Some(number)) => Value::Integer((*number).into()),
        ScalarValue::Int32(Some(number)) => Value::Integer((*number).into()),
        ScalarValue::Int64(Some(number)) => Value::Integer(*number),
        ScalarValue::UInt8(Some(number)) => Value::Integer((*number).into()),
        ScalarValue::UInt16(Some(number)) => Value::Integer((*number).into()),
        ScalarValue::UInt32(Some(number)) => Value::Integer((*number).into()),
        ScalarValue::Float32(Some(number)) => Value::Real((*number).into()),
        ScalarValue::Float64(Some(number)) => Value::Real(*number),
        ScalarValue::Date32(Some(days)) => Value::Integer((*days).into()),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Value::Integer(*micros),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            from_text(text, target)?
        }
        ScalarValue::List(_) | ScalarValue::LargeList(_) => list(parameter, target)?,
        other => from_text(&other.to_string(), target)?,
    })
}

fn from_text(text: &str, target: u32) -> Result<Value, CatalogQueryError> {
    let invalid = || CatalogQueryError::invalid_text(&TYPES.format(target, None), text);
    if let Some(element) = TYPES.element_of(target) {
        return Ok(Value::Text(array_literal_to_json(text, element)?));
    }
    Ok(match target {
        BOOL => Value::Integer(i64::from(bool_from_text(text).ok_or_else(invalid)?)),
        DATE => Value::Integer(date_from_text(text)?),
        FLOAT4 | FLOAT8 | NUMERIC => Value::Real(text.trim().parse().map_err(|_| invalid())?),
        _ if is_instant(target) => Value::Integer(instant_from_text(text)?),
        _ if is_integer(target) => Value::Integer(text.trim().parse().map_err(|_| invalid())?),
        _ => Value::Text(text.to_owned()),
    })
}

fn list(parameter: &ScalarValue, target: u32) -> Result<Value, CatalogQueryError> {
    let element = TYPES.element_of(target).unwrap_or(target);
    let items = match parameter {
        ScalarValue::List(array) => array.value(0),
        ScalarValue::LargeList(array) => array.value(0),
        _ => return Err(CatalogQueryError::unsupported("this type of parameter")),
    };
    let mut elements = Vec::new();
    for row in 0..items.len() {
        let item = ScalarValue::try_from_array(&items, row)
            .map_err(|_| CatalogQueryError::unsupported("this type of array parameter"))?;
        elements.push(match value(&item, element)? {
            Value::Null | Value::Blob(_) => Json::Null,
            Value::Integer(number) => Json::from(number),
            Value::Real(number) => Json::from(number),
            Value::Text(text) => Json::from(text),
        });
    }
    Ok(Value::Text(Json::Array(elements).to_string()))
}
