//! The arguments of one function call.

use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};

/// Reads SQLite values as what a function needs.
pub(in super::super) struct Arguments<'c> {
    values: Vec<ValueRef<'c>>,
}

impl<'c> Arguments<'c> {
    pub(super) fn new(context: &'c Context<'_>) -> Self {
        Self { values: (0..context.len()).map(|index| context.get_raw(index)).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn any_null(&self) -> bool {
        self.values.iter().any(|value| matches!(value, ValueRef::Null))
    }

    pub(super) fn value(&self, index: usize) -> Value {
        self.values.get(index).map_or(Value::Null, |value| Value::try_from(*value).unwrap_or(Value::Null))
    }

    pub(super) fn is_null(&self, index: usize) -> bool {
        self.values.get(index).is_none_or(|value| matches!(value, ValueRef::Null))
    }

    /// The text of a value; numbers print as numbers.
    pub(super) fn text(&self, index: usize) -> Option<String> {
        Some(match self.values.get(index)? {
            ValueRef::Null => return None,
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        })
    }

    /// A whole number, also from text that is one.
    pub(super) fn integer(&self, index: usize) -> Option<i64> {
        match self.values.get(index)? {
            ValueRef::Integer(number) => Some(*number),
            ValueRef::Real(number) => format!("{number:.0}").parse().ok(),
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
            ValueRef::Null | ValueRef::Blob(_) => None,
        }
    }

    pub(super) fn real(&self, index: usize) -> Option<f64> {
        match self.values.get(index)? {
            ValueRef::Integer(number) => number.to_string().parse().ok(),
            ValueRef::Real(number) => Some(*number),
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
            ValueRef::Null | ValueRef::Blob(_) => None,
        }
    }

    /// An oid; 0 when the value is not one.
    pub(super) fn oid(&self, index: usize) -> u32 {
        self.integer(index).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    pub(super) fn flag(&self, index: usize) -> bool {
        self.integer(index).is_some_and(|number| number != 0)
            || matches!(self.text(index).as_deref(), Some("t" | "true" | "on" | "yes"))
    }

    /// Whether the value is a number and not a text.
    pub(super) fn is_number(&self, index: usize) -> bool {
        matches!(self.values.get(index), Some(ValueRef::Integer(_) | ValueRef::Real(_)))
    }

    /// The elements of an array.
    pub(super) fn array(&self, index: usize) -> Option<Vec<serde_json::Value>> {
        serde_json::from_str(&self.text(index)?).ok()
    }
}
