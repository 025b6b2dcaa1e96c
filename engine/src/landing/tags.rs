//! Tags as one JSON object of text values.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use serde_json::{Map, Value};

/// A JSON object from `{"a": "b"}`, from `"a": "b","c": ""` as Azure writes it without braces, or from
/// `[{"key": "a", "value": "b"}]` as Google does.
///
/// Keys stay byte for byte, ` org` beside `org`. Values that are not text become their JSON text;
/// null stays null. `None` if the text is no such object.
pub(crate) fn object_of(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let parsed: Result<Map<String, Value>, _> = if trimmed.starts_with('{') {
        serde_json::from_str(trimmed)
    } else if trimmed.starts_with('[') {
        return object_of_pairs(trimmed);
    } else {
        serde_json::from_str(&format!("{{{trimmed}}}"))
    };
    written(parsed.ok()?.into_iter().map(|(key, value)| (key, as_text(value))).collect())
}

/// The object of an array of keys and values; a pair without a value has an empty one.
fn object_of_pairs(text: &str) -> Option<String> {
    let pairs: Vec<Map<String, Value>> = serde_json::from_str(text).ok()?;
    let pair = |mut pair: Map<String, Value>| {
        let Value::String(key) = pair.remove("key")? else { return None };
        let value = pair.remove("value").filter(|v| !v.is_null()).unwrap_or_else(|| Value::String(String::new()));
        Some((key, as_text(value)))
    };
    written(pairs.into_iter().map(pair).collect::<Option<_>>()?)
}

fn as_text(value: Value) -> Value {
    match value {
        Value::String(_) | Value::Null => value,
        other => Value::String(other.to_string()),
    }
}

fn written(object: Map<String, Value>) -> Option<String> {
    (!object.is_empty()).then(|| Value::Object(object).to_string())
}

/// The object with every key that begins with `from` beginning with `to` instead. A new name that
/// another key has is not taken: no tag hides another.
pub(crate) fn renamed(object: &str, from: &str, to: &str) -> Option<String> {
    let tags: Map<String, Value> = serde_json::from_str(object).ok()?;
    let mut result = Map::new();
    for (key, value) in &tags {
        let new = key.strip_prefix(from).map(|rest| format!("{to}{rest}"));
        let new = new.filter(|new| !new.is_empty() && (new == key || !tags.contains_key(new)));
        result.insert(new.unwrap_or_else(|| key.clone()), value.clone());
    }
    written(result)
}

/// The members of both objects; of a key that both have, the first one's value.
pub(crate) fn joined(first: Option<&str>, second: Option<&str>) -> Option<String> {
    let (Some(first), Some(second)) = (first, second) else {
        return first.or(second).map(str::to_owned);
    };
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let mut tags = object(first);
    for (key, value) in object(second) {
        tags.entry(key).or_insert(value);
    }
    written(tags)
}

/// Two columns of JSON objects whose keys differ as one, by putting their texts together.
pub(crate) fn joined_objects(first: &ArrayRef, second: &ArrayRef) -> ArrayRef {
    let (first, second) = (first.as_string_view(), second.as_string_view());
    let mut objects = StringViewBuilder::with_capacity(first.len());
    for (one, other) in first.iter().zip(second) {
        match (one.and_then(|o| o.strip_suffix('}')), other.and_then(|o| o.strip_prefix('{'))) {
            (Some(head), Some(tail)) => objects.append_value(format!("{head},{tail}")),
            _ => objects.append_option(one.or(other)),
        }
    }
    Arc::new(objects.finish())
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
    fn pairs_of_keys_and_values() {
        let pairs = r#"[{"key": "env", "value": "prod"}, {"value": 7, "key": "n"}, {"key": "bare"}]"#;
        assert_eq!(object_of(pairs), Some(r#"{"env":"prod","n":"7","bare":""}"#.to_owned()));
        for none in ["[]", "[{'key': 'a', 'value': 'b'}]", r#"[{"name": "a", "value": "b"}]"#] {
            assert_eq!(object_of(none), None, "{none}");
        }
    }

    #[test]
    fn tags_are_renamed_and_joined_and_none_hides_another() {
        let tags = r#"{"user_app":"shop","aws_created_by":"me","user_x":"1","x":"2"}"#;
        let renamed_tags = r#"{"app":"shop","aws_created_by":"me","user_x":"1","x":"2"}"#;
        assert_eq!(renamed(tags, "user_", "").as_deref(), Some(renamed_tags));
        assert_eq!(renamed(r#"{"a":"1"}"#, "", "project/").as_deref(), Some(r#"{"project/a":"1"}"#));
        assert_eq!(joined(Some(r#"{"a":"1"}"#), Some(r#"{"a":"2","b":"3"}"#)).as_deref(), Some(r#"{"a":"1","b":"3"}"#));
        assert_eq!(joined(None, Some(r#"{"b":"3"}"#)).as_deref(), Some(r#"{"b":"3"}"#));
        assert_eq!(joined(None, None), None);
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
