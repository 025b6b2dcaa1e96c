//! Arrays: JSON text inside, `{a,b}` outside.

use rusqlite::types::Value;
use serde_json::Value as Json;

use super::super::error::CatalogQueryError;
use super::super::session::CatalogSession;
use super::super::types::{INT4, NAME, TEXT, TEXT_ARRAY};
use super::array_text::{array_literal_to_json, json_to_array_literal, plain};
use super::{Arguments, Native, Nulls, Returns, bool_value, called, generic, optional_text, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    strict("array_length", INT4, &[], array_upper),
    strict("array_upper", INT4, &[], array_upper),
    strict("array_lower", INT4, &[], array_lower),
    strict("array_ndims", INT4, &[], array_lower),
    strict("cardinality", INT4, &[], cardinality),
    generic("array_append", Returns::First, Nulls::Called, array_append),
    generic("array_cat", Returns::First, Nulls::Called, array_cat),
    generic("array_remove", Returns::First, Nulls::Called, array_remove),
    called("array_position", INT4, &[], array_position),
    called("array_to_string", TEXT, &[], array_to_string),
    called("string_to_array", TEXT_ARRAY, &[TEXT, TEXT, TEXT], string_to_array),
    strict("parse_ident", TEXT_ARRAY, &[TEXT], parse_ident),
    // the compiler's own
    generic("array_prepend_element", Returns::First, Nulls::Called, array_prepend_element),
    strict("array_element", TEXT, &[], array_element),
    generic("array_slice", Returns::First, Nulls::Called, array_slice),
    strict("array_in", TEXT_ARRAY, &[], array_in),
    strict("array_out", TEXT, &[], array_out),
    strict("array_contains", 16, &[], array_contains),
    strict("array_overlaps", 16, &[], array_overlaps),
    strict("array_as_text", TEXT_ARRAY, &[NAME], array_as_text),
];

fn list(arguments: &Arguments<'_>, index: usize) -> Vec<Json> {
    arguments.array(index).unwrap_or_default()
}

fn json_text(elements: Vec<Json>) -> Outcome {
    text_value(Json::Array(elements).to_string())
}

fn integer(number: usize) -> Outcome {
    Ok(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn element_of(arguments: &Arguments<'_>, index: usize) -> Json {
    match arguments.value(index) {
        Value::Integer(number) => Json::from(number),
        Value::Text(text) => Json::from(text),
        Value::Real(number) => Json::from(number),
        Value::Null | Value::Blob(_) => Json::Null,
    }
}

/// Elements are equal if they print alike: a text literal beside a number means that number.
fn alike(left: &Json, right: &Json) -> bool {
    plain(left) == plain(right)
}

fn array_upper(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let elements = list(arguments, 0);
    if elements.is_empty() || arguments.integer(1).unwrap_or(1) != 1 {
        Ok(Value::Null)
    } else {
        integer(elements.len())
    }
}

fn array_lower(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    Ok(if list(arguments, 0).is_empty() { Value::Null } else { Value::Integer(1) })
}

fn cardinality(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    integer(list(arguments, 0).len())
}

fn array_append(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let mut elements = list(arguments, 0);
    elements.push(element_of(arguments, 1));
    json_text(elements)
}

fn array_prepend_element(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let mut elements = list(arguments, 1);
    elements.insert(0, element_of(arguments, 0));
    json_text(elements)
}

fn array_cat(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    if arguments.is_null(0) && arguments.is_null(1) {
        return Ok(Value::Null);
    }
    let mut elements = list(arguments, 0);
    elements.extend(list(arguments, 1));
    json_text(elements)
}

fn array_remove(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    if arguments.is_null(0) {
        return Ok(Value::Null);
    }
    let removed = element_of(arguments, 1);
    json_text(list(arguments, 0).into_iter().filter(|element| !alike(element, &removed)).collect())
}

fn array_position(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let wanted = element_of(arguments, 1);
    match list(arguments, 0).iter().position(|element| alike(element, &wanted)) {
        Some(position) => integer(position + 1),
        None => Ok(Value::Null),
    }
}

fn array_to_string(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (Some(elements), Some(separator)) = (arguments.array(0), arguments.text(1)) else {
        return Ok(Value::Null);
    };
    let null_text = arguments.text(2);
    let printed: Vec<String> =
        elements.iter().filter_map(|element| plain(element).or_else(|| null_text.clone())).collect();
    text_value(printed.join(&separator))
}

fn string_to_array(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(text) = arguments.text(0) else {
        return Ok(Value::Null);
    };
    let null_text = arguments.text(2);
    let parts: Vec<String> = match arguments.text(1).as_deref() {
        _ if text.is_empty() => Vec::new(),
        None => text.chars().map(String::from).collect(),
        Some("") => vec![text],
        Some(separator) => text.split(separator).map(str::to_owned).collect(),
    };
    json_text(
        parts
            .into_iter()
            .map(|part| if Some(&part) == null_text.as_ref() { Json::Null } else { Json::from(part) })
            .collect(),
    )
}

fn parse_ident(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    let parts = super::super::names::split_qualified(&text)
        .ok_or_else(|| CatalogQueryError::new("22023", format!("string is not a valid identifier: \"{text}\"")))?;
    json_text(parts.into_iter().map(Json::from).collect())
}

/// `array_element(array, index from 0)`.
fn array_element(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let index = arguments.integer(1).and_then(|index| usize::try_from(index).ok());
    let elements = list(arguments, 0);
    Ok(match index.and_then(|index| elements.get(index)) {
        Some(Json::Number(number)) => {
            number.as_i64().map_or_else(|| number.as_f64().map_or(Value::Null, Value::Real), Value::Integer)
        }
        Some(Json::Bool(flag)) => Value::Integer(i64::from(*flag)),
        Some(element) => plain(element).map_or(Value::Null, Value::Text),
        None => Value::Null,
    })
}

/// `array_slice(array, first or null, last or null)`, both counted from 0 and inclusive.
fn array_slice(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(elements) = arguments.array(0) else {
        return Ok(Value::Null);
    };
    let first = arguments.integer(1).unwrap_or(0).max(0);
    let last = arguments.integer(2).unwrap_or(i64::MAX);
    json_text(
        (0..)
            .zip(elements)
            .filter(|(at, _): &(i64, _)| (first..=last).contains(at))
            .map(|(_, element)| element)
            .collect(),
    )
}

/// `array_in(text, element type)`.
fn array_in(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    text_value(array_literal_to_json(&arguments.text(0).unwrap_or_default(), arguments.oid(1))?)
}

/// `array_out(array, array type)`.
fn array_out(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    optional_text(json_to_array_literal(&arguments.text(0).unwrap_or_default(), arguments.oid(1)))
}

fn array_contains(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let left = list(arguments, 0);
    bool_value(list(arguments, 1).iter().all(|wanted| left.iter().any(|element| alike(element, wanted))))
}

fn array_overlaps(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let left = list(arguments, 0);
    bool_value(list(arguments, 1).iter().any(|wanted| left.iter().any(|element| alike(element, wanted))))
}

/// `array_as_text(array, element type)`: every element printed.
fn array_as_text(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let element_type = arguments.oid(1);
    let printed = list(arguments, 0).into_iter().map(|element| match element {
        Json::Null => Json::Null,
        Json::Number(number) if super::super::types::is_reg(element_type) => {
            let oid = number.as_u64().and_then(|oid| u32::try_from(oid).ok()).unwrap_or(0);
            Json::from(super::super::regtypes::print(session, element_type, oid))
        }
        Json::Number(number) if element_type == super::super::types::BOOL => {
            Json::from(if number.as_i64() == Some(0) { "false" } else { "true" })
        }
        other => plain(&other).map_or(Json::Null, Json::from),
    });
    json_text(printed.collect())
}
