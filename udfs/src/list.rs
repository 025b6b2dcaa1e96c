//! Texts as arrays: `'{1,2}'::int[]`.

use crate::conversion::{Conversion, cast_strictly};
use arrow::array::{ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::Volatility;
use std::sync::Arc;

/// A cast from text to an array of one dimension, as `array_in` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ToArray;

impl Conversion for ToArray {
    const NAME: &'static str = "to_array";

    fn volatility(_to: &DataType) -> Volatility {
        Volatility::Immutable
    }

    fn convert(self, values: &ArrayRef, to: &DataType, _options: &ConfigOptions) -> Result<ArrayRef> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for text in cast(values, &DataType::Utf8View)?.as_string_view() {
            let Some(text) = text else {
                lists.append_null();
                continue;
            };
            let Some(elements) = array_literal(text) else { return exec_err!("malformed array literal") };
            lists.append_value(elements);
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        cast_strictly(&lists, to)
    }
}

/// The elements of a one-dimensional array literal such as `{a,"b c",NULL}`; an unquoted NULL is none.
#[must_use]
pub fn array_literal(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut elements = Vec::new();
    let mut characters = inner.chars().peekable();
    loop {
        while characters.next_if(char::is_ascii_whitespace).is_some() {}
        let is_quoted = characters.next_if_eq(&'"').is_some();
        let mut element = String::new();
        // How much of an unquoted element is more than trailing space.
        let mut length = 0;
        loop {
            match characters.next_if(|character| is_quoted || *character != ',') {
                Some('"') if is_quoted => break,
                Some('"' | '{' | '}') if !is_quoted => return None,
                Some('\\') => {
                    element.push(characters.next()?);
                    length = element.len();
                }
                Some(character) => {
                    element.push(character);
                    if !character.is_ascii_whitespace() {
                        length = element.len();
                    }
                }
                None if is_quoted => return None,
                None => break,
            }
        }
        if is_quoted {
            while characters.next_if(char::is_ascii_whitespace).is_some() {}
        } else {
            element.truncate(length);
            if element.is_empty() {
                return None;
            }
        }
        let is_null = !is_quoted && element.eq_ignore_ascii_case("null");
        elements.push((!is_null).then_some(element));
        match characters.next() {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::array_literal;

    #[test]
    fn arrays_are_read_as_array_in_reads_them() {
        let read =
            |text| array_literal(text).map(|list| list.into_iter().map(|e| e.unwrap_or("-".to_owned())).collect());
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<String>>());
        assert_eq!(read("{}"), list(&[]));
        assert_eq!(read(" { a , b c } "), list(&["a", "b c"]));
        assert_eq!(read(r#"{"a,b","c\"d",NULL,"NULL"}"#), list(&["a,b", "c\"d", "-", "NULL"]));
        // An escaped blank is no blank around the element.
        assert_eq!(read(r"{a\ }"), list(&["a "]));
        for broken in ["a", "{a", "{a,}", "{a}b", r#"{"a"#, r#"{"a"b}"#, "{{a}}"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
