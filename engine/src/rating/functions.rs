//! SQL functions over a rate book.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringViewArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::book::RateBook;
use super::tags::{self, TagKeys};
use super::vocabulary::Dimension;
use crate::lake::schema;

/// `fx(amount, from, to, at, policy)`: an amount in another currency by the rate of a date.
///
/// The rate is the latest of source `policy` at or before the UTC date of `at`; the inverse of the
/// opposite pair only if there is no direct rate; rates are never crossed. The result is rounded
/// half-even to scale 18.
///
/// # Errors
/// A missing rate is an error, never 1: the statement fails naming source, pair and date.
///
/// ```sql
/// select fx(100.00, 'EUR', 'USD', timestamp '2026-10-05', 'market');
/// ```
pub fn fx(book: &Arc<RateBook>) -> ScalarUDF {
    ScalarUDF::from(Fx { book: Arc::clone(book), signature: Signature::user_defined(Volatility::Stable) })
}

/// `rule_tags(tags)`: those tags that rate rules look at, as a JSON object in the order of their
/// keys; null when the row has none of them. What roll-ups keep of a charge's tags.
///
/// ```sql
/// select rule_tags('{"CostCenter":"CC-1","Owner":"x"}');   -- {"CostCenter":"CC-1"}
/// ```
pub fn rule_tags(book: &Arc<RateBook>) -> ScalarUDF {
    tags_of(book.tag_keys().clone())
}

/// The same for these keys.
pub(crate) fn tags_of(keys: TagKeys) -> ScalarUDF {
    ScalarUDF::from(RuleTags { keys, signature: Signature::exact(vec![DataType::Utf8View], Volatility::Immutable) })
}

/// `looked_at(column, value)`: the value where rules of some card look at that column, else null; of `tags` those that rules look
/// at. What `charges_by_terms` keeps of a charge.
///
/// ```sql
/// select looked_at('sku_id', 'M1');
/// ```
pub fn looked_at(book: &Arc<RateBook>) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8, DataType::Utf8View], Volatility::Immutable);
    ScalarUDF::from(LookedAt { book: Arc::clone(book), signature })
}

#[derive(Debug)]
struct LookedAt {
    book: Arc<RateBook>,
    signature: Signature,
}

impl PartialEq for LookedAt {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.book, &other.book)
    }
}

impl Eq for LookedAt {}

impl Hash for LookedAt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.book.snapshot().hash(state);
    }
}

impl ScalarUDFImpl for LookedAt {
    fn name(&self) -> &'static str {
        "looked_at"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let column = match args.args.first() {
            Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(column)))) => column.clone(),
            _ => return exec_err!("looked_at takes the name of a column first"),
        };
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(values) = arrays.get(1).and_then(|array| array.as_string_view_opt()) else {
            return exec_err!("looked_at takes a text second");
        };
        let vocabulary = &self.book.vocabulary;
        if column == "tags" {
            let keys = &vocabulary.rule_keys;
            let kept: StringViewArray =
                values.iter().map(|json| json.and_then(|json| tags::only(json, keys))).collect();
            return Ok(ColumnarValue::Array(Arc::new(kept)));
        }
        let is_looked_at = match column.as_str() {
            "sub_account_id" => vocabulary.counts_accounts,
            "unit" => !vocabulary.units.is_empty(),
            _ => Dimension::ALL.into_iter().any(|known| known.column() == column && vocabulary.uses(known)),
        };
        let kept = if is_looked_at { values.clone() } else { StringViewArray::new_null(values.len()) };
        Ok(ColumnarValue::Array(Arc::new(kept)))
    }
}

#[derive(Debug)]
struct Fx {
    book: Arc<RateBook>,
    signature: Signature,
}

impl PartialEq for Fx {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.book, &other.book)
    }
}

impl Eq for Fx {}

impl Hash for Fx {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.book.snapshot().hash(state);
    }
}

impl ScalarUDFImpl for Fx {
    fn name(&self) -> &'static str {
        "fx"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(schema::money())
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [amount, _, _, at, _] = types else {
            return plan_err!("fx takes five arguments: amount, from, to, at, policy");
        };
        if amount.is_floating() {
            return plan_err!("fx takes an exact amount: cast the double precision argument to numeric");
        }
        let is_time = matches!(at, DataType::Null | DataType::Date32 | DataType::Timestamp(..)) || at.is_string();
        if !(amount.is_numeric() || amount.is_null()) || !is_time {
            return plan_err!("fx takes a numeric amount and an instant or a date, got {amount} and {at}");
        }
        let text = DataType::Utf8View;
        Ok(vec![schema::money(), text.clone(), text.clone(), schema::instant(), text])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [amounts, from, to, at, policies] = &arrays[..] else {
            return exec_err!("fx takes amount, from, to, at, policy");
        };
        let texts = |array: &ArrayRef| -> Result<StringViewArray> {
            Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone())
        };
        let (from, to, policies) = (texts(from)?, texts(to)?, texts(policies)?);
        let amounts = amounts.as_primitive::<Decimal128Type>();
        let instants = cast(at, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let instants: &TimestampMicrosecondArray = instants.as_primitive::<TimestampMicrosecondType>();
        let converted = (0..args.number_rows)
            .map(|row| {
                let is_null = amounts.is_null(row)
                    || instants.is_null(row)
                    || [&from, &to, &policies].iter().any(|texts| texts.is_null(row));
                if is_null {
                    return Ok(None);
                }
                let (base, quote) = (from.value(row), to.value(row));
                if base == quote {
                    return Ok(Some(amounts.value(row)));
                }
                let rates = self.book.fx();
                match rates.find(policies.value(row), base, quote, instants.value(row)) {
                    None => exec_err!(
                        "no {} rate from {base} to {quote} at or before that date: add one to ref.fx_rates",
                        policies.value(row)
                    ),
                    Some(rate) => match rate.apply(amounts.value(row)) {
                        Ok(amount) => Ok(Some(amount)),
                        Err(_) => exec_err!("numeric value out of range"),
                    },
                }
            })
            .collect::<Result<Decimal128Array>>()?;
        let array = converted.with_precision_and_scale(schema::MONEY_PRECISION, schema::MONEY_SCALE)?;
        Ok(ColumnarValue::Array(Arc::new(array)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RuleTags {
    keys: TagKeys,
    signature: Signature,
}

impl ScalarUDFImpl for RuleTags {
    fn name(&self) -> &'static str {
        "rule_tags"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(column) = arrays.first().and_then(|array| array.as_string_view_opt()) else {
            return exec_err!("rule_tags takes a text of tags");
        };
        if self.keys.is_empty() {
            return Ok(ColumnarValue::Array(Arc::new(StringViewArray::new_null(column.len()))));
        }
        let kept: StringViewArray =
            column.iter().map(|json| json.and_then(|json| tags::only(json, &self.keys))).collect();
        Ok(ColumnarValue::Array(Arc::new(kept)))
    }
}
