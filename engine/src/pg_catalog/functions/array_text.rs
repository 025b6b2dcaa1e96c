//! Array literals: `{a,"b c",NULL}` to JSON and back.

use std::fmt::Write;

use serde_json::Value as Json;

use super::super::error::CatalogQueryError;
use super::super::types::{BOOL, INT2VECTOR, OIDVECTOR, TEXT, TYPES, is_number};

/// Reads `{a,"b c",NULL}` (or a vector's `1 2 3`) as JSON.
///
/// # Errors
/// 22P02 when it is not an array literal.
pub(in super::super) fn array_literal_to_json(text: &str, element: u32) -> Result<String, CatalogQueryError> {
    let malformed = || CatalogQueryError::new("22P02", format!("malformed array literal: \"{text}\""));
    let to_json = |part: String, quoted: bool| -> Result<Json, CatalogQueryError> {
        if !quoted && part.eq_ignore_ascii_case("null") {
            return Ok(Json::Null);
        }
        if element == BOOL {
            return Ok(Json::from(i32::from(matches!(part.as_str(), "t" | "true" | "1"))));
        }
        if is_number(element) {
            let number: Result<Json, _> = serde_json::from_str(part.trim());
            return number.map_err(|_| CatalogQueryError::invalid_text(&TYPES.format(element, None), &part));
        }
        Ok(Json::from(part))
    };
    let trimmed = text.trim();
    let Some(inside) = trimmed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        if trimmed.split_whitespace().all(|part| part.parse::<i64>().is_ok()) {
            let numbers: Vec<Json> =
                trimmed.split_whitespace().filter_map(|part| part.parse::<i64>().ok()).map(Json::from).collect();
            return Ok(Json::Array(numbers).to_string());
        }
        return Err(malformed());
    };
    let mut elements = Vec::new();
    let mut letters = inside.chars().peekable();
    while letters.peek().is_some() {
        let (mut part, mut quoted) = (String::new(), false);
        while let Some(letter) = letters.next_if(|letter| *letter != ',') {
            match letter {
                '"' => {
                    quoted = true;
                    loop {
                        match letters.next().ok_or_else(malformed)? {
                            '"' => break,
                            '\\' => part.push(letters.next().ok_or_else(malformed)?),
                            other => part.push(other),
                        }
                    }
                }
                '\\' => part.push(letters.next().ok_or_else(malformed)?),
                '{' | '}' => return Err(CatalogQueryError::unsupported("an array of arrays")),
                other => part.push(other),
            }
        }
        if !quoted {
            part = part.trim().to_owned();
        }
        elements.push(to_json(part, quoted)?);
        letters.next();
    }
    Ok(Json::Array(elements).to_string())
}

/// Prints a JSON array as PostgreSQL prints an array or vector of this type; `None` if it is not one.
pub(in super::super) fn json_to_array_literal(json: &str, array_type: u32) -> Option<String> {
    let elements: Vec<Json> = serde_json::from_str(json).ok()?;
    let element_type = TYPES.element_of(array_type).unwrap_or(TEXT);
    if matches!(array_type, INT2VECTOR | OIDVECTOR) {
        return Some(elements.iter().filter_map(plain).collect::<Vec<_>>().join(" "));
    }
    let mut text = String::from("{");
    for (position, element) in elements.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        match plain(element) {
            None => text.push_str("NULL"),
            Some(value) if element_type == BOOL => text.push_str(if value == "0" { "f" } else { "t" }),
            Some(value) if needs_quotes(&value) => {
                let _ = write!(text, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
            }
            Some(value) => text.push_str(&value),
        }
    }
    text.push('}');
    Some(text)
}

fn needs_quotes(value: &str) -> bool {
    value.is_empty()
        || value.eq_ignore_ascii_case("null")
        || value.contains(|letter: char| matches!(letter, '{' | '}' | ',' | '"' | '\\') || letter.is_ascii_whitespace())
}

/// An element as text; `None` for null.
pub(super) fn plain(element: &Json) -> Option<String> {
    match element {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
