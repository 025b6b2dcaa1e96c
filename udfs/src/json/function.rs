//! The functions behind the operators, under PostgreSQL's names.

use super::find::{element, member, path, shown};
use crate::columnar::shaped;
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::borrow::Cow;
use std::sync::Arc;

/// How a function finds its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// By the name of a member: `json -> text`.
    Field,
    /// By the place in an array: `json -> integer`.
    Element,
    /// By names and places, one after the other: `json #> path`.
    Path,
}

/// How a function shows its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    /// As JSON, as it is written.
    Json,
    /// As text: strings without quotes, null as NULL.
    Text,
}

/// Finds a value in JSON text; NULL where there is none, and where the text is not JSON.
///
/// ```sql
/// select tags ->> 'team', sum(cost) from charges group by 1;
/// select json_extract_path_text(tags, 'team') from charges;
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct JsonFunction {
    step: Step,
    shows: Shown,
    aliases: Vec<String>,
    signature: Signature,
}

impl JsonFunction {
    /// Every step with every way to show it.
    pub const ALL: [(Step, Shown); 6] = [
        (Step::Field, Shown::Json),
        (Step::Field, Shown::Text),
        (Step::Element, Shown::Json),
        (Step::Element, Shown::Text),
        (Step::Path, Shown::Json),
        (Step::Path, Shown::Text),
    ];

    /// Returns the function.
    #[must_use]
    pub fn new(step: Step, shows: Shown) -> Self {
        let aliases = vec![name_of(step, shows).replacen("json", "jsonb", 1)];
        Self { step, shows, aliases, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn key_type(&self, key: &DataType) -> Result<DataType> {
        match self.step {
            Step::Field | Step::Path if is_text(key) => Ok(DataType::Utf8View),
            Step::Element if key.is_integer() || key.is_null() => Ok(DataType::Int64),
            Step::Field | Step::Path => plan_err!("{} takes the names of members as text, not {key}", self.name()),
            Step::Element => plan_err!("{} takes the place of an element as an integer, not {key}", self.name()),
        }
    }

    fn find<'a>(&self, json: &'a str, keys: &Keys, row: usize) -> Option<Cow<'a, str>> {
        let value = match keys {
            Keys::Names(names) if self.step == Step::Path => {
                if names.iter().any(|name| name.is_null(row)) {
                    return None;
                }
                path(json, names.iter().map(|name| name.value(row)))
            }
            Keys::Names(names) => {
                let name = names.first().filter(|name| name.is_valid(row))?;
                member(json, name.value(row))
            }
            Keys::Places(places) => element(json, places.is_valid(row).then(|| places.value(row))?),
        };
        match self.shows {
            Shown::Json => value.map(Cow::Borrowed),
            Shown::Text => value.and_then(shown),
        }
    }
}

const fn name_of(step: Step, shows: Shown) -> &'static str {
    match (step, shows) {
        (Step::Field, Shown::Json) => "json_object_field",
        (Step::Field, Shown::Text) => "json_object_field_text",
        (Step::Element, Shown::Json) => "json_array_element",
        (Step::Element, Shown::Text) => "json_array_element_text",
        (Step::Path, Shown::Json) => "json_extract_path",
        (Step::Path, Shown::Text) => "json_extract_path_text",
    }
}

/// Whether a value of the type can hold JSON, or a name.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// The keys of each row, or the one row of them that stands for all.
enum Keys {
    Names(Vec<StringViewArray>),
    Places(arrow::array::Int64Array),
}

impl Keys {
    fn of(step: Step, arrays: &[ArrayRef]) -> Option<Self> {
        Some(match (step, arrays) {
            (Step::Element, [places]) => Self::Places(places.as_primitive_opt::<Int64Type>()?.clone()),
            (Step::Element, _) => return None,
            (Step::Field | Step::Path, names) => {
                Self::Names(names.iter().map(|array| array.as_string_view_opt().cloned()).collect::<Option<_>>()?)
            }
        })
    }
}

/// What was found in texts seen before in a batch: resources repeat, and so do their tags. Equal views are equal texts.
struct Memory<'a>(Vec<Option<(u128, Option<Cow<'a, str>>)>>);

impl<'a> Memory<'a> {
    const SLOTS: usize = 256;

    fn find(&mut self, view: u128, find: impl FnOnce() -> Option<Cow<'a, str>>) -> Option<&str> {
        // Fibonacci hashing: the highest bits of the product depend on all of the view.
        let mixed = (view ^ (view >> 64)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 120;
        let slot = self.0.get_mut(usize::try_from(mixed).ok()?)?;
        if slot.as_ref().is_none_or(|(held, _)| *held != view) {
            *slot = Some((view, find()));
        }
        slot.as_ref().and_then(|(_, value)| value.as_deref())
    }
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        name_of(self.step, self.shows)
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [json, keys @ ..] = arg_types else {
            return plan_err!("{} takes JSON text first", self.name());
        };
        if !is_text(json) {
            return plan_err!("{} takes JSON text first, not {json}", self.name());
        }
        if self.step != Step::Path && keys.len() != 1 {
            return plan_err!("{} takes JSON text and one key", self.name());
        }
        let keys = keys.iter().map(|key| self.key_type(key));
        std::iter::once(Ok(DataType::Utf8View)).chain(keys).collect()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::Utf8View, true);
        Ok(Arc::new(match self.shows {
            // So that clients are told what it is.
            Shown::Json => field.with_metadata([("pg_type".to_owned(), "json".to_owned())].into()),
            Shown::Text => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [json, keys @ ..] = args.args.as_slice() else {
            return internal_err!("{} takes JSON text first", self.name());
        };
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let one_key = keys.iter().all(is_scalar);
        let is_constant = one_key && is_scalar(json);
        let rows = if is_constant { 1 } else { args.number_rows };
        let json = json.to_array(rows)?;
        let arrays = keys.iter().map(|key| key.to_array(if one_key { 1 } else { rows })).collect::<Result<Vec<_>>>()?;
        let (Some(json), Some(keys)) = (json.as_string_view_opt(), Keys::of(self.step, &arrays)) else {
            return internal_err!("the arguments of {} were not coerced", self.name());
        };
        let mut memory = Memory(if one_key { vec![None; Memory::SLOTS] } else { Vec::new() });
        let mut values = StringViewBuilder::with_capacity(rows);
        for (row, view) in json.views().iter().enumerate() {
            if json.is_null(row) {
                values.append_null();
            } else if one_key {
                values.append_option(memory.find(*view, || self.find(json.value(row), &keys, 0)));
            } else {
                values.append_option(self.find(json.value(row), &keys, row));
            }
        }
        let values = values.finish();
        shaped(Arc::new(values), is_constant)
    }
}
