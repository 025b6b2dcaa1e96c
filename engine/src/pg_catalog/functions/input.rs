//! Reading values from text and printing them: what casts are made of.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone, Utc};
use rusqlite::types::Value;

use super::super::error::CatalogQueryError;
use super::super::regtypes;
use super::super::session::CatalogSession;
use super::super::types::{BOOL, CHAR, INT4, OID, REGCLASS, REGCOLLATION, REGNAMESPACE, REGOPER, REGOPERATOR, REGPROC};
use super::super::types::{REGPROCEDURE, REGROLE, REGTYPE, TEXT, TIMESTAMPTZ, TYPES};
use super::{Arguments, Native, bool_value, called, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    strict("to_regclass", REGCLASS, &[TEXT], |session, arguments| to_reg(session, arguments, REGCLASS)),
    strict("to_regtype", REGTYPE, &[TEXT], |session, arguments| to_reg(session, arguments, REGTYPE)),
    strict("to_regproc", REGPROC, &[TEXT], |session, arguments| to_reg(session, arguments, REGPROC)),
    strict("to_regprocedure", REGPROCEDURE, &[TEXT], |session, arguments| to_reg(session, arguments, REGPROCEDURE)),
    strict("to_regnamespace", REGNAMESPACE, &[TEXT], |session, arguments| to_reg(session, arguments, REGNAMESPACE)),
    strict("to_regrole", REGROLE, &[TEXT], |session, arguments| to_reg(session, arguments, REGROLE)),
    strict("to_regoper", REGOPER, &[TEXT], |session, arguments| to_reg(session, arguments, REGOPER)),
    strict("to_regoperator", REGOPERATOR, &[TEXT], |session, arguments| to_reg(session, arguments, REGOPERATOR)),
    strict("to_regcollation", REGCOLLATION, &[TEXT], |session, arguments| to_reg(session, arguments, REGCOLLATION)),
    called("now", TIMESTAMPTZ, &[], now),
    called("transaction_timestamp", TIMESTAMPTZ, &[], now),
    called("statement_timestamp", TIMESTAMPTZ, &[], now),
    called("clock_timestamp", TIMESTAMPTZ, &[], now),
    strict("to_timestamp", TIMESTAMPTZ, &[], to_timestamp),
    // the compiler's own
    strict("reg_in", OID, &[], reg_in),
    strict("reg_out", TEXT, &[], reg_out),
    strict("bool_in", BOOL, &[], bool_in),
    strict("integer_in", INT4, &[], integer_in),
    strict("char_in", CHAR, &[], char_in),
    strict("instant_in", TIMESTAMPTZ, &[], instant_in),
    strict("instant_out", TEXT, &[], instant_out),
    strict("date_in", 1082, &[], date_in),
    strict("date_out", TEXT, &[], date_out),
];

fn to_reg(session: &CatalogSession, arguments: &Arguments<'_>, reg: u32) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    let found = match text.parse::<u32>() {
        Ok(oid) => Some(oid),
        Err(_) => regtypes::find(session, reg, &text)?,
    };
    Ok(found.map_or(Value::Null, |oid| Value::Integer(i64::from(oid))))
}

fn now(session: &CatalogSession, _: &Arguments<'_>) -> Outcome {
    Ok(Value::Integer((session.directory.facts.clock)()))
}

fn to_timestamp(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    Ok(arguments.integer(0).map_or(Value::Null, |seconds| Value::Integer(seconds.saturating_mul(1_000_000))))
}

/// `reg_in(text, reg type)`.
fn reg_in(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = regtypes::parse(session, arguments.oid(1), &arguments.text(0).unwrap_or_default())?;
    Ok(Value::Integer(i64::from(oid)))
}

/// `reg_out(oid, reg type)`.
fn reg_out(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    text_value(regtypes::print(session, arguments.oid(1), arguments.oid(0)))
}

fn bool_in(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    bool_value(bool_from_text(&text).ok_or_else(|| CatalogQueryError::invalid_text("boolean", &text))?)
}

/// Reads a boolean as PostgreSQL does.
pub(in super::super) fn bool_from_text(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `integer_in(text, type)`.
fn integer_in(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    let number = text.trim().parse::<i64>();
    number
        .map(Value::Integer)
        .map_err(|_| CatalogQueryError::invalid_text(&TYPES.format(arguments.oid(1), None), &text))
}

fn char_in(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    text_value(arguments.text(0).unwrap_or_default().chars().take(1).collect::<String>())
}

fn instant_in(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    if text == "now" {
        return now(session, arguments);
    }
    Ok(Value::Integer(instant_from_text(&text)?))
}

fn date_in(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    Ok(Value::Integer(date_from_text(&arguments.text(0).unwrap_or_default())?))
}

/// Reads a timestamp; without a zone it is UTC.
///
/// # Errors
/// 22007 when it is not one.
pub(in super::super) fn instant_from_text(text: &str) -> Result<i64, CatalogQueryError> {
    let invalid = || CatalogQueryError::new("22007", format!("invalid input syntax for type timestamp: \"{text}\""));
    let spaced = text.trim().replacen(' ', "T", 1);
    let full = match spaced.rfind(['+', '-']).filter(|at| *at > 10) {
        Some(at) if spaced.len() - at == 3 => format!("{spaced}:00"),
        _ => spaced,
    };
    if let Ok(found) = DateTime::parse_from_rfc3339(&full) {
        return Ok(found.timestamp_micros());
    }
    if let Ok(found) = full.parse::<NaiveDateTime>() {
        return Ok(Utc.from_utc_datetime(&found).timestamp_micros());
    }
    date_from_text(text).map(|days| days * 86_400_000_000).map_err(|_| invalid())
}

/// Reads a date as days since 1970-01-01.
///
/// # Errors
/// 22007 when it is not one.
pub(in super::super) fn date_from_text(text: &str) -> Result<i64, CatalogQueryError> {
    let date: NaiveDate = text
        .trim()
        .parse()
        .map_err(|_| CatalogQueryError::new("22007", format!("invalid input syntax for type date: \"{text}\"")))?;
    Ok(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// `instant_out(micros, type)`.
fn instant_out(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(moment) = arguments.integer(0).and_then(DateTime::from_timestamp_micros) else {
        return Ok(Value::Null);
    };
    let mut text = moment.to_rfc3339_opts(SecondsFormat::Micros, true).replace('T', " ").replace('Z', "");
    while text.contains('.') && text.ends_with(['0', '.']) {
        let ended = text.ends_with('.');
        text.pop();
        if ended {
            break;
        }
    }
    if arguments.oid(1) == TIMESTAMPTZ {
        text.push_str("+00");
    }
    text_value(text)
}

fn date_out(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let days = arguments.integer(0).unwrap_or(0);
    let epoch = NaiveDate::default();
    let date = match u64::try_from(days) {
        Ok(after) => epoch.checked_add_days(Days::new(after)),
        Err(_) => epoch.checked_sub_days(Days::new(days.unsigned_abs())),
    };
    Ok(date.map_or(Value::Null, |date| Value::Text(date.to_string())))
}
