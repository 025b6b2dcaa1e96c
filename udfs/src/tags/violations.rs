//! `tag_violations(tags, policy)`.

use super::policy::TagPolicy;
use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, resources_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes that one batch of rows may become.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// What is wrong with tags by a [policy](TagPolicy): a JSON array, `[]` where nothing is; null for no policy. Text that is no JSON
/// object has no tags.
///
/// ```sql
/// select tag_violations('{"env": "Prod"}', '{"tags": {"env": {"tag_value": ["prod", "test"]}}}');
/// -- [{"key":"env","reason":"value","value":"Prod"}]
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TagViolations {
    signature: Signature,
}

impl TagViolations {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        let texts = TypeSignature::Exact(vec![DataType::Utf8View; 2]);
        Self { signature: Signature::new(texts, Volatility::Immutable) }
    }
}

impl Default for TagViolations {
    fn default() -> Self {
        Self::new()
    }
}

impl ScalarUDFImpl for TagViolations {
    fn name(&self) -> &str {
        "tag_violations"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (tags, policies) = (arrays[0].as_string_view(), arrays[1].as_string_view());
        let mut shown = StringViewBuilder::with_capacity(tags.len());
        let mut held: Option<(&str, TagPolicy)> = None;
        let mut bytes = 0;
        for row in 0..tags.len() {
            if policies.is_null(row) {
                shown.append_null();
                continue;
            }
            let document = policies.value(row);
            // Mostly the same one for all rows.
            if held.as_ref().is_none_or(|(known, _)| *known != document) {
                held = Some((document, TagPolicy::parse(document)?));
            }
            let tags = if tags.is_null(row) { HashMap::new() } else { tags_of(tags.value(row)) };
            let found = held.as_ref().map(|(_, policy)| policy.violations(&tags)).unwrap_or_default();
            let found = serde_json::Value::from(found).to_string();
            bytes += found.len();
            if bytes > BATCH_BYTES_MAX {
                return resources_err!("what is wrong with these tags takes too much memory");
            }
            shown.append_value(found);
        }
        Ok(ColumnarValue::Array(Arc::new(shown.finish())))
    }
}

/// The members of a JSON object that are texts, numbers or truths.
fn tags_of(json: &str) -> HashMap<String, String> {
    use serde_json::Value;
    let Ok(Value::Object(members)) = serde_json::from_str(json) else { return HashMap::new() };
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    members.into_iter().filter_map(|(key, value)| Some((key, text(value)?))).collect()
}
