//! Numbers, sizes, and the precision columns of `information_schema`.

use rusqlite::types::Value;

use super::super::error::CatalogQueryError;
use super::super::session::CatalogSession;
use super::super::types::{
    BPCHAR, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, INTERVAL, NUMERIC, OID, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ,
    VARCHAR, XID,
};
use super::{Arguments, Native, Nulls, Returns, called, generic, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    generic("abs", Returns::First, Nulls::Strict, |_, arguments| on_number(arguments, i64::checked_abs, f64::abs)),
    generic("ceil", Returns::First, Nulls::Strict, |_, arguments| on_number(arguments, Some, f64::ceil)),
    generic("ceiling", Returns::First, Nulls::Strict, |_, arguments| on_number(arguments, Some, f64::ceil)),
    generic("floor", Returns::First, Nulls::Strict, |_, arguments| on_number(arguments, Some, f64::floor)),
    generic("trunc", Returns::First, Nulls::Strict, |_, arguments| on_number(arguments, Some, f64::trunc)),
    strict("round", NUMERIC, &[], |_, arguments| on_number(arguments, Some, f64::round)),
    generic("mod", Returns::First, Nulls::Strict, modulo),
    generic("greatest", Returns::Common, Nulls::Called, |_, arguments| extreme(arguments, Extreme::Greatest)),
    generic("least", Returns::Common, Nulls::Called, |_, arguments| extreme(arguments, Extreme::Least)),
    strict("age", INT4, &[XID], |_, _| Ok(Value::Integer(1))),
    strict("mxid_age", INT4, &[XID], |_, _| Ok(Value::Integer(1))),
    strict("pg_size_pretty", TEXT, &[INT8], pg_size_pretty),
    strict("_pg_char_max_length", INT4, &[OID, INT4], |_, arguments| optional(char_max_length(arguments))),
    strict("_pg_char_octet_length", INT4, &[OID, INT4], |_, arguments| optional(char_octet_length(arguments))),
    strict("_pg_numeric_precision", INT4, &[OID, INT4], |_, arguments| optional(numeric_precision(arguments))),
    strict("_pg_numeric_precision_radix", INT4, &[OID, INT4], |_, arguments| optional(radix(arguments))),
    strict("_pg_numeric_scale", INT4, &[OID, INT4], |_, arguments| optional(numeric_scale(arguments))),
    strict("_pg_datetime_precision", INT4, &[OID, INT4], |_, arguments| optional(datetime_precision(arguments))),
    called("_pg_interval_type", TEXT, &[OID, INT4], |_, _| Ok(Value::Null)),
];

fn optional(number: Option<i64>) -> Outcome {
    Ok(number.map_or(Value::Null, Value::Integer))
}

fn on_number(arguments: &Arguments<'_>, whole: fn(i64) -> Option<i64>, real: fn(f64) -> f64) -> Outcome {
    match arguments.value(0) {
        Value::Integer(number) => {
            whole(number).map(Value::Integer).ok_or_else(|| CatalogQueryError::new("22003", "bigint out of range"))
        }
        Value::Real(number) => Ok(Value::Real(real(number))),
        other => Ok(other),
    }
}

fn modulo(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    match (arguments.integer(0), arguments.integer(1)) {
        (Some(_), Some(0)) => Err(CatalogQueryError::new("22012", "division by zero")),
        (Some(left), Some(right)) => Ok(Value::Integer(left.wrapping_rem(right))),
        _ => Ok(Value::Null),
    }
}

#[derive(Clone, Copy)]
enum Extreme {
    Greatest,
    Least,
}

/// Nulls do not count, as in PostgreSQL and unlike SQLite's `max(a, b)`.
fn extreme(arguments: &Arguments<'_>, which: Extreme) -> Outcome {
    let mut best = Value::Null;
    for at in 0..arguments.len() {
        let value = arguments.value(at);
        let larger = match (&best, &value) {
            (_, Value::Null) => continue,
            (Value::Null, _) => {
                best = value;
                continue;
            }
            (Value::Text(left), Value::Text(right)) => right > left,
            _ => arguments.real(at) > real_of(&best),
        };
        let replaces = match which {
            Extreme::Greatest => larger,
            Extreme::Least => !larger && value != best,
        };
        if replaces {
            best = value;
        }
    }
    Ok(best)
}

fn real_of(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => number.to_string().parse().ok(),
        Value::Real(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        Value::Null | Value::Blob(_) => None,
    }
}

/// PostgreSQL's rule: the next unit from 10 kB upward, rounded half up.
fn pg_size_pretty(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let mut size = arguments.integer(0).unwrap_or(0);
    if size.unsigned_abs() < 10 * 1024 {
        return text_value(format!("{size} bytes"));
    }
    // one bit is kept for rounding, so the first step goes to twice the number of kB
    size /= 512;
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
        if size.unsigned_abs() < 20 * 1024 - 1 || unit == "PB" {
            return text_value(format!("{} {unit}", (size + size.signum()) / 2));
        }
        size /= 1024;
    }
    Ok(Value::Null)
}

fn type_and_modifier(arguments: &Arguments<'_>) -> (u32, i64) {
    (arguments.oid(0), arguments.integer(1).unwrap_or(-1))
}

fn char_max_length(arguments: &Arguments<'_>) -> Option<i64> {
    match type_and_modifier(arguments) {
        (_, -1) => None,
        (BPCHAR | VARCHAR, modifier) => Some(modifier - 4),
        (1560 | 1562, modifier) => Some(modifier),
        _ => None,
    }
}

fn char_octet_length(arguments: &Arguments<'_>) -> Option<i64> {
    match type_and_modifier(arguments) {
        (TEXT | BPCHAR | VARCHAR, -1) => Some(1 << 30),
        (TEXT | BPCHAR | VARCHAR, _) => char_max_length(arguments).map(|length| length * 4),
        _ => None,
    }
}

fn numeric_precision(arguments: &Arguments<'_>) -> Option<i64> {
    match type_and_modifier(arguments) {
        (INT2, _) => Some(16),
        (INT4, _) => Some(32),
        (INT8, _) => Some(64),
        (NUMERIC, modifier) if modifier >= 4 => Some(((modifier - 4) >> 16) & 65_535),
        (FLOAT4, _) => Some(24),
        (FLOAT8, _) => Some(53),
        _ => None,
    }
}

fn radix(arguments: &Arguments<'_>) -> Option<i64> {
    match arguments.oid(0) {
        INT2 | INT4 | INT8 | FLOAT4 | FLOAT8 => Some(2),
        NUMERIC => Some(10),
        _ => None,
    }
}

fn numeric_scale(arguments: &Arguments<'_>) -> Option<i64> {
    match type_and_modifier(arguments) {
        (INT2 | INT4 | INT8, _) => Some(0),
        (NUMERIC, modifier) if modifier >= 4 => Some((modifier - 4) & 65_535),
        _ => None,
    }
}

fn datetime_precision(arguments: &Arguments<'_>) -> Option<i64> {
    match type_and_modifier(arguments) {
        (DATE, _) => Some(0),
        (TIME | TIMESTAMP | TIMESTAMPTZ | 1266, modifier) => Some(if modifier < 0 { 6 } else { modifier }),
        (INTERVAL, modifier) => Some(if modifier < 0 || modifier & 65_535 == 65_535 { 6 } else { modifier & 65_535 }),
        _ => None,
    }
}
