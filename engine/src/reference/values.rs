//! Reference values between text, Arrow and the catalog.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Decimal128Builder, Int64Builder, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

use crate::catalog::{CatalogError, RefColumn, RefType, Value};
use crate::lake::schema;
use crate::security::SessionError;

/// The Arrow type in which a reference column is served.
pub fn data_type(kind: RefType) -> DataType {
    match kind {
        RefType::Text | RefType::Json => DataType::Utf8View,
        RefType::Int => DataType::Int64,
        RefType::Decimal => schema::money(),
        RefType::Bool => DataType::Boolean,
        RefType::Instant => schema::instant(),
    }
}

fn invalid(column: &RefColumn, wanted: &str) -> SessionError {
    SessionError::new("22P02", format!("invalid value for column \"{}\": {wanted} is expected", column.name))
}

/// Reads a value from text, as `COPY` and literals give it.
///
/// # Errors
/// `22P02` names the column and what it takes.
pub fn from_text(column: &RefColumn, text: &str) -> Result<Value, SessionError> {
    Ok(match column.kind {
        RefType::Text => Value::Text(text.to_owned()),
        RefType::Int => Value::Int(text.trim().parse().map_err(|_| invalid(column, "an integer"))?),
        RefType::Decimal => {
            Value::Text(canonical_decimal(text).ok_or_else(|| {
                invalid(column, "a decimal number of at most 20 digits before and 18 after the point")
            })?)
        }
        RefType::Bool => Value::from(boolean(text).ok_or_else(|| invalid(column, "true or false"))?),
        RefType::Instant => {
            Value::Text(instant(text).ok_or_else(|| invalid(column, "an instant such as 2026-10-15T00:00:00Z"))?)
        }
        RefType::Json => {
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| invalid(column, "a JSON document"))?;
            Value::Text(text.to_owned())
        }
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "yes" | "y" | "on" | "1" => Some(true),
        "f" | "false" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Decimal text without exponent, leading or trailing zeros.
fn canonical_decimal(text: &str) -> Option<String> {
    let parsed = ratehouse_udfs::decimal::parse_decimal(text.trim()).ok()?;
    (!parsed.is_rounded).then(|| ratehouse_udfs::decimal::format_trimmed(parsed.value, 18, 0))
}

/// An instant as the catalog keeps it; a text without zone is UTC.
fn instant(text: &str) -> Option<String> {
    let text = text.trim();
    let at: DateTime<Utc> = if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        at.to_utc()
    } else if let Ok(at) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z") {
        at.to_utc()
    } else if let Ok(at) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f") {
        at.and_utc()
    } else if let Ok(at) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
        at.and_utc()
    } else {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc()
    };
    Some(at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// Reads one row of an array, as a statement's expressions give it.
///
/// # Errors
/// `22P02` or `42804` name the column and what it takes.
pub fn from_array(column: &RefColumn, array: &ArrayRef, row: usize) -> Result<Value, SessionError> {
    if array.data_type() == &DataType::Null || array.is_null(row) {
        return Ok(Value::Null);
    }
    let one = array.slice(row, 1);
    match (column.kind, one.data_type()) {
        (RefType::Instant, DataType::Timestamp(..) | DataType::Date32) => {
            let at = cast(&one, &schema::instant()).map_err(|_| invalid(column, "an instant"))?;
            let micros = at.as_primitive::<TimestampMicrosecondType>().value(0);
            let at = DateTime::from_timestamp_micros(micros).ok_or_else(|| invalid(column, "an instant"))?;
            Ok(Value::Text(at.to_rfc3339_opts(SecondsFormat::Micros, true)))
        }
        (RefType::Bool, DataType::Boolean) => Ok(Value::from(one.as_boolean().value(0))),
        (RefType::Decimal | RefType::Int | RefType::Text | RefType::Json, DataType::Boolean) => {
            Err(SessionError::new("42804", format!("column \"{}\" does not take a boolean", column.name)))
        }
        (RefType::Int, kind) if kind.is_integer() => {
            let int = cast(&one, &DataType::Int64).map_err(|_| invalid(column, "an integer"))?;
            Ok(Value::Int(int.as_primitive::<Int64Type>().value(0)))
        }
        (_, DataType::Float32 | DataType::Float64) => {
            Err(SessionError::new("42804", format!("column \"{}\" does not take a floating-point number", column.name)))
        }
        (_, _) => {
            let text = cast(&one, &DataType::Utf8)
                .map_err(|_| SessionError::new("42804", format!("column \"{}\" is of another type", column.name)))?;
            if text.is_null(0) {
                return Err(invalid(column, "another value"));
            }
            from_text(column, text.as_string::<i32>().value(0))
        }
    }
}

/// Builds the Arrow column of stored values.
pub fn to_array<'a>(column: &RefColumn, values: impl Iterator<Item = &'a Value>) -> Result<ArrayRef, CatalogError> {
    let malformed = || CatalogError::Malformed { what: "reference value" };
    Ok(match column.kind {
        RefType::Text | RefType::Json => {
            let mut builder = StringViewBuilder::new();
            values.for_each(|value| builder.append_option(value.as_text()));
            Arc::new(builder.finish())
        }
        RefType::Int => {
            let mut builder = Int64Builder::new();
            values.for_each(|value| builder.append_option(value.as_int()));
            Arc::new(builder.finish())
        }
        RefType::Bool => {
            let mut builder = BooleanBuilder::new();
            values.for_each(|value| builder.append_option(value.as_int().map(|int| int != 0)));
            Arc::new(builder.finish())
        }
        RefType::Decimal => {
            let mut builder = Decimal128Builder::new().with_data_type(schema::money());
            for value in values {
                let parsed = value.as_text().map(ratehouse_udfs::decimal::parse_decimal);
                builder.append_option(parsed.transpose().map_err(|_| malformed())?.map(|p| p.value));
            }
            Arc::new(builder.finish())
        }
        RefType::Instant => {
            let mut builder = TimestampMicrosecondBuilder::new().with_data_type(schema::instant());
            for value in values {
                let micros = match value.as_text() {
                    Some(text) => Some(DateTime::parse_from_rfc3339(text).map_err(|_| malformed())?.timestamp_micros()),
                    None => None,
                };
                builder.append_option(micros);
            }
            Arc::new(builder.finish())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_kept_in_one_form() {
        for text in [
            "2026-10-15",
            "2026-10-15T00:00:00Z",
            "2026-10-15 00:00:00",
            "2026-10-15 02:00:00+02",
            "2026-10-15T02:00:00+02:00",
        ] {
            assert_eq!(instant(text).as_deref(), Some("2026-10-15T00:00:00.000000Z"), "{text}");
        }
        assert_eq!(instant("15.10.2026"), None);
    }

    #[test]
    fn decimals_are_kept_exactly_or_refused() {
        assert_eq!(canonical_decimal("1.1500"), Some("1.15".to_owned()));
        assert_eq!(canonical_decimal("5.2E-9"), Some("0.0000000052".to_owned()));
        assert_eq!(canonical_decimal("0.0000000000000000001"), None);
        assert_eq!(canonical_decimal("1,5"), None);
    }
}
