//! Finds one value in a JSON text.

use super::reader::{Quoted, Reader};
use std::borrow::Cow;

/// The value of an object's member, as it is written; of several members of one name the last.
///
/// ```
/// use ratehouse_udfs::json::member;
/// assert_eq!(member(r#"{"a": 1.50, "b": {"c": []}}"#, "b"), Some(r#"{"c": []}"#));
/// assert_eq!(member(r#"{"a": 1.50, "a": null}"#, "a"), Some("null"));
/// assert_eq!(member(r#"{"a": 1.50"#, "a"), None);
/// ```
#[must_use]
pub fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    each_member(json, |own, value| {
        if own.is(name) {
            found = Some(value);
        }
    })?;
    found
}

/// The members of an object in the order in which they are written: each name, and its value as it is written.
///
/// ```
/// use ratehouse_udfs::json::members;
/// let found = members(r#"{"a": 1.50, "b": [2]}"#).expect("an object");
/// assert_eq!(found, [("a".into(), "1.50"), ("b".into(), "[2]")]);
/// assert_eq!(members("[1]"), None);
/// ```
#[must_use]
pub fn members(json: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut found = Vec::new();
    each_member(json, |name, value| found.push((name, value)))?;
    found.into_iter().map(|(name, value)| Some((name.text()?, value))).collect()
}

/// Calls `visit` with every member of an object; `None` where the text is none.
fn each_member<'a>(json: &'a str, mut visit: impl FnMut(Quoted<'a>, &'a str)) -> Option<()> {
    let mut reader = Reader::new(json);
    reader.eat(b'{')?;
    reader.space();
    if reader.peek()? == b'}' {
        reader.next()?;
        return reader.end();
    }
    loop {
        let name = reader.name()?;
        visit(name, reader.value()?);
        reader.space();
        match reader.next()? {
            b',' => reader.space(),
            b'}' => return reader.end(),
            _ => return None,
        }
    }
}

/// The element of an array, as it is written; counted from 0, or from the end below that.
///
/// ```
/// use ratehouse_udfs::json::element;
/// assert_eq!(element("[10, 20.0, 30]", 1), Some("20.0"));
/// assert_eq!(element("[10, 20.0, 30]", -1), Some("30"));
/// ```
#[must_use]
pub fn element(json: &str, index: i64) -> Option<&str> {
    let wanted = match u64::try_from(index) {
        Ok(wanted) => wanted,
        Err(_) => count(json)?.checked_sub(index.unsigned_abs())?,
    };
    let mut found = None;
    each(json, |place, value| {
        if place == wanted {
            found = Some(value);
        }
    })?;
    found
}

/// The elements of an array, as they are written.
///
/// ```
/// use ratehouse_udfs::json::elements;
/// assert_eq!(elements(r#"[10, {"a": 1}]"#), Some(vec!["10", r#"{"a": 1}"#]));
/// assert_eq!(elements(r#"{"a": 1}"#), None);
/// ```
#[must_use]
pub fn elements(json: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    each(json, |_, value| found.push(value))?;
    Some(found)
}

fn count(json: &str) -> Option<u64> {
    let mut count = 0;
    each(json, |_, _| count += 1)?;
    Some(count)
}

/// Calls `visit` with every element of an array; `None` where the text is none.
fn each<'a>(json: &'a str, mut visit: impl FnMut(u64, &'a str)) -> Option<()> {
    let mut reader = Reader::new(json);
    reader.eat(b'[')?;
    reader.space();
    if reader.peek()? == b']' {
        reader.next()?;
        return reader.end();
    }
    let mut place = 0;
    loop {
        visit(place, reader.value()?);
        place += 1;
        reader.space();
        match reader.next()? {
            b',' => reader.space(),
            b']' => return reader.end(),
            _ => return None,
        }
    }
}

/// The value at the end of a path, as it is written: names of members, and of arrays the places. No steps give the whole.
///
/// ```
/// use ratehouse_udfs::json::path;
/// assert_eq!(path(r#"{"a": [{"b": 7}]}"#, ["a", "0", "b"]), Some("7"));
/// ```
#[must_use]
pub fn path<'a, 'k>(json: &'a str, steps: impl IntoIterator<Item = &'k str>) -> Option<&'a str> {
    let mut reader = Reader::new(json);
    let mut value = reader.value()?;
    reader.end()?;
    for step in steps {
        value = if value.starts_with('[') { element(value, place(step)?)? } else { member(value, step)? };
    }
    Some(value)
}

/// A place as PostgreSQL reads it, by C's `strtol`: spaces and a sign may lead, nothing may follow.
fn place(step: &str) -> Option<i64> {
    let digits = step.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    digits.parse::<i32>().ok().map(i64::from)
}

/// What `->>` shows of a value: a string without quotes and escapes, everything else as it is written; JSON's null and a
/// string that no text can hold are none.
///
/// ```
/// use ratehouse_udfs::json::shown;
/// assert_eq!(shown(r#""two\nlines""#).as_deref(), Some("two\nlines"));
/// assert_eq!(shown("1.50").as_deref(), Some("1.50"));
/// assert_eq!(shown("null"), None);
/// ```
#[must_use]
pub fn shown(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' => Quoted::of(value)?.text(),
        b'n' => None,
        _ => Some(Cow::Borrowed(value)),
    }
}
