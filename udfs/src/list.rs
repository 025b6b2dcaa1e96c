//! Texts as arrays: `'{1,2}'::int[]`.

use crate::columnar::{name_of_argument, shaped};
use arrow::array::{AsArray, ListArray, ListBuilder, StringBuilder, StringViewArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// A cast from text to an array of one dimension, as `array_in` reads it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToArray {
    to: DataType,
    signature: Signature,
}

impl ToArray {
    pub(crate) fn new(to: DataType) -> Self {
        Self { to, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToArray {
    fn name(&self) -> &str {
        "to_array"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(name_of_argument(args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, _arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8View])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("a cast has one argument") };
        let is_constant = matches!(value, ColumnarValue::Scalar(_));
        let texts = value.to_array(if is_constant { 1 } else { args.number_rows })?;
        let lists = read(cast(&texts, &DataType::Utf8View)?.as_string_view())?;
        let options = CastOptions { safe: false, ..CastOptions::default() };
        shaped(cast_with_options(&lists, &self.to, &options)?, is_constant)
    }
}

fn read(texts: &StringViewArray) -> Result<ListArray> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for text in texts {
        let Some(text) = text else {
            lists.append_null();
            continue;
        };
        let Some(elements) = elements(text) else { return exec_err!("malformed array literal") };
        lists.append_value(elements);
    }
    Ok(lists.finish())
}

/// The elements of `{a,"b c",NULL}`.
fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut rest = inner.trim();
    if rest.is_empty() {
        return Some(elements);
    }
    loop {
        let mut element = String::new();
        let mut characters = rest.chars();
        let was_quoted = rest.starts_with('"');
        if was_quoted {
            characters.next();
            loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => element.push(characters.next()?),
                    other => element.push(other),
                }
            }
            rest = characters.as_str().trim_start();
        } else {
            let mut end = rest.len();
            while let Some(character) = characters.next() {
                match character {
                    ',' => {
                        end = rest.len() - characters.as_str().len() - 1;
                        break;
                    }
                    '{' | '}' | '"' => return None,
                    '\\' => element.push(characters.next()?),
                    other => element.push(other),
                }
            }
            rest = &rest[end..];
            element.truncate(element.trim_end().len());
            if element.is_empty() {
                return None;
            }
        }
        let is_null = !was_quoted && element.eq_ignore_ascii_case("null");
        elements.push((!is_null).then_some(element));
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None => return rest.is_empty().then_some(elements),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn arrays_are_read_as_array_in_reads_them() {
        let read = |text| elements(text).map(|list| list.into_iter().map(|e| e.unwrap_or("-".to_owned())).collect());
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<String>>());
        assert_eq!(read("{}"), list(&[]));
        assert_eq!(read(" { a , b c } "), list(&["a", "b c"]));
        assert_eq!(read(r#"{"a,b","c\"d",NULL,"NULL"}"#), list(&["a,b", "c\"d", "-", "NULL"]));
        for broken in ["a", "{a", "{a,}", "{a}b", r#"{"a"#, r#"{"a"b}"#, "{{a}}"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
