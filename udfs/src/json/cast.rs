//! Text as JSON.

use super::reader::Reader;
use crate::columnar::shaped;
use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// `json(text)`: what `text::json` and `text::jsonb` stand for. The text stays as it is written.
///
/// A constant that is not JSON is an error, as in PostgreSQL; in a column it is NULL, since a query must not fail on one bad row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToJson {
    signature: Signature,
}

impl Default for ToJson {
    fn default() -> Self {
        Self::new()
    }
}

impl ToJson {
    /// The function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8View], Volatility::Immutable) }
    }
}

/// Whether a text is one JSON value.
fn is_json(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.value().is_some() && reader.end().is_some()
}

impl ScalarUDFImpl for ToJson {
    fn name(&self) -> &str {
        "json"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::Utf8View, true);
        Ok(Arc::new(field.with_metadata([("pg_type".to_owned(), "json".to_owned())].into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("json has one argument") };
        let is_constant = matches!(value, ColumnarValue::Scalar(_));
        let array = value.to_array(if is_constant { 1 } else { args.number_rows })?;
        let texts = array.as_string_view();
        let mut values = StringViewBuilder::with_capacity(texts.len());
        for text in texts {
            match text {
                Some(text) if is_json(text) => values.append_value(text),
                Some(_) if is_constant => {
                    return Err(ArrowError::CastError("invalid input syntax for type json".to_owned()).into());
                }
                _ => values.append_null(),
            }
        }
        shaped(Arc::new(values.finish()), is_constant)
    }
}
