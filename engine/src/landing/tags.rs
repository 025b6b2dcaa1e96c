//! Tags as one JSON object of text values.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use serde_json::{Map, Value};

/// A JSON object from `{"a": "b"}`, or from `"a": "b","c": ""` as Azure writes it without braces.
///
/// Keys stay byte for byte, ` org` beside `org`. Values that are not text become their JSON text;
/// null stays null. `None` if the text is no such object.
pub(crate) fn object_of(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let parsed: Result<Map<String, Value>, _> = if trimmed.starts_with('{') {
        serde_json::from_str(trimmed)
    } else {
        serde_json::from_str(&format!("{{{trimmed}}}"))
    };
    let texts: Map<String, Value> = parsed
        .ok()?
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(_) | Value::Null => (key, value),
            other => (key, Value::String(other.to_string())),
        })
        .collect();
    (!texts.is_empty()).then(|| Value::Object(texts).to_string())
}

/// Appends `text` as a JSON string.
pub(crate) fn push_json_text(json: &mut String, text: &str) {
    json.push('"');
    let mut plain_from = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        json.push_str(&text[plain_from..i]);
        plain_from = i + 1;
        match byte {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            _ => drop(write!(json, "\\u{byte:04x}")),
        }
    }
    json.push_str(&text[plain_from..]);
    json.push('"');
}

/// One JSON object a row from columns with fixed keys; null cells are left out, a row without
/// any is null.
pub(crate) fn objects_of_columns(columns: &[(Arc<str>, ArrayRef)], rows: usize) -> ArrayRef {
    let mut objects = StringViewBuilder::with_capacity(rows);
    let keys: Vec<String> = columns
        .iter()
        .map(|(key, _)| {
            let mut json = String::new();
            push_json_text(&mut json, key);
            json.push(':');
            json
        })
        .collect();
    let cells: Vec<_> = columns.iter().map(|(_, column)| column.as_string_view()).collect();
    let mut json = String::new();
    for row in 0..rows {
        json.clear();
        for (key, column) in keys.iter().zip(&cells) {
            if column.is_valid(row) {
                json.push(if json.is_empty() { '{' } else { ',' });
                json.push_str(key);
                push_json_text(&mut json, column.value(row));
            }
        }
        if json.is_empty() {
            objects.append_null();
        } else {
            json.push('}');
            objects.append_value(&json);
        }
    }
    Arc::new(objects.finish())
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;

    use super::*;

    #[test]
    fn braces_or_not() {
        let expected = Some(r#"{"env":"prod","a":""}"#.to_owned());
        assert_eq!(object_of(r#""env": "prod","a": """#), expected);
        assert_eq!(object_of(r#"{"env": "prod","a": ""}"#), expected);
        assert_eq!(object_of(r#""org": "x"," org": "y""#), Some(r#"{"org":"x"," org":"y"}"#.to_owned()));
        assert_eq!(object_of(r#"{"n": 1, "b": true, "z": null}"#), Some(r#"{"n":"1","b":"true","z":null}"#.to_owned()));
        assert_eq!(object_of("{}"), None);
        assert_eq!(object_of("env=prod"), None);
        assert_eq!(object_of("[1]"), None);
    }

    #[test]
    fn columns_become_objects() {
        let a: ArrayRef = Arc::new(StringViewArray::from(vec![Some("x\"y\\\u{1}"), None]));
        let b: ArrayRef = Arc::new(StringViewArray::from(vec![Some("é"), None]));
        let objects = objects_of_columns(&[("a b".into(), a), ("ns.key".into(), b)], 2);
        let objects = objects.as_string_view();
        assert_eq!(objects.value(0), "{\"a b\":\"x\\\"y\\\\\\u0001\",\"ns.key\":\"é\"}");
        assert!(objects.is_null(1));
        assert!(serde_json::from_str::<Value>(objects.value(0)).is_ok());
    }
}
