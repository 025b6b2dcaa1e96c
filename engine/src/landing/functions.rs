//! Functions that mappings call: exact arithmetic, tag objects and look-up tables.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringViewArray, StringViewBuilder};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, i256};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

use super::lookup;
use super::number::{ONE, parse_number};
use super::tags;
use crate::lake::schema::{MONEY_PRECISION, MONEY_SCALE, money};

/// How the text of an error about a value begins; what follows never shows the value.
pub(crate) const OF_A_VALUE: &str = "a value ";

/// All of them, for registering in the context that plans mappings.
pub(crate) fn all() -> Vec<ScalarUDF> {
    let text = DataType::Utf8View;
    vec![
        // number('5.2E-9'): text to Decimal128(38,18), exactly.
        function("number", vec![text.clone()], money(), |columns| Ok(Arc::new(number(&columns[0])?))),
        // product(a, b): a × b, rounded half to even at scale 18.
        function("product", vec![money(), money()], money(), |columns| {
            Ok(Arc::new(product(&columns[0], &columns[1])?))
        }),
        // ratio(a, b): a ÷ b, rounded half to even at scale 18; null if b is zero.
        function("ratio", vec![money(), money()], money(), |columns| Ok(Arc::new(ratio(&columns[0], &columns[1])?))),
        // round_down(a, 2): towards zero at so many places, as ROUNDDOWN of a spreadsheet.
        function("round_down", vec![money(), DataType::Int64], money(), |columns| {
            Ok(Arc::new(round_down(&columns[0], &columns[1])?))
        }),
        // tag_object('"env": "prod"'): a JSON object of text values, from braces or not or pairs of key and value; null if it is none.
        function("tag_object", vec![text.clone()], text.clone(), |columns| Ok(Arc::new(tag_object(&columns[0])))),
        // rename_tags('{"user_app": "x"}', 'user_', ''): keys that begin so begin with the other instead.
        function("rename_tags", vec![text.clone(), text.clone(), text.clone()], text.clone(), |columns| {
            Ok(Arc::new(rename_tags(columns)))
        }),
        // join_tags(a, b): one object of both; of a key that both have, the first one's value.
        function("join_tags", vec![text.clone(), text.clone()], text.clone(), |columns| {
            Ok(Arc::new(join_tags(&columns[0], &columns[1])))
        }),
        // lookup('azure_units', '10K', 'block'): a cell of a look-up table, by its key without case.
        function("lookup", vec![text.clone(), text.clone(), text.clone()], text, |columns| {
            Ok(Arc::new(look_up(columns)?))
        }),
    ]
}

type Body = fn(&[ArrayRef]) -> Result<ArrayRef>;

fn function(name: &str, arguments: Vec<DataType>, returns: DataType, body: Body) -> ScalarUDF {
    let call = move |values: &[ColumnarValue]| {
        let is_scalar = values.iter().all(|v| matches!(v, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(values)?;
        let result = body(&arrays)?;
        if is_scalar {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    };
    create_udf(name, arguments, returns, Volatility::Immutable, Arc::new(call))
}

fn number(texts: &ArrayRef) -> Result<Decimal128Array> {
    let parsed: Vec<Option<i128>> = texts
        .as_string_view()
        .iter()
        .map(|text| text.map(|t| parse_number(t.as_bytes()).map(|n| n.units)).transpose())
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| DataFusionError::Execution(format!("{OF_A_VALUE}{}", error.reason())))?;
    as_money(parsed)
}

fn as_money(units: Vec<Option<i128>>) -> Result<Decimal128Array> {
    Ok(Decimal128Array::from(units).with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE)?)
}

/// Applies `operation` to each pair of which both are there.
fn pairwise(
    left: &ArrayRef,
    right: &ArrayRef,
    operation: fn(i128, i128) -> Result<Option<i128>>,
) -> Result<Decimal128Array> {
    let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
    let units = left
        .iter()
        .zip(right.iter())
        .map(|pair| match pair {
            (Some(a), Some(b)) => operation(a, b),
            _ => Ok(None),
        })
        .collect::<Result<Vec<_>>>()?;
    as_money(units)
}

fn product(left: &ArrayRef, right: &ArrayRef) -> Result<Decimal128Array> {
    pairwise(left, right, |a, b| {
        let exact = i256::from_i128(a).checked_mul(i256::from_i128(b)).ok_or_else(too_large)?;
        divide_half_even(exact, i256::from_i128(ONE)).map(Some)
    })
}

fn ratio(left: &ArrayRef, right: &ArrayRef) -> Result<Decimal128Array> {
    pairwise(left, right, |a, b| {
        if b == 0 {
            return Ok(None);
        }
        let scaled = i256::from_i128(a).checked_mul(i256::from_i128(ONE)).ok_or_else(too_large)?;
        divide_half_even(scaled, i256::from_i128(b)).map(Some)
    })
}

fn round_down(values: &ArrayRef, places: &ArrayRef) -> Result<Decimal128Array> {
    let (values, places) = (values.as_primitive::<Decimal128Type>(), places.as_primitive::<Int64Type>());
    let rounded = values.iter().zip(places.iter()).map(|pair| {
        let (Some(value), Some(places)) = pair else { return Ok(None) };
        let dropped = u32::try_from(i64::from(MONEY_SCALE) - places).ok().filter(|_| places >= 0);
        let step = dropped.and_then(|digits| 10_i128.checked_pow(digits));
        let step =
            step.ok_or_else(|| DataFusionError::Execution(format!("round_down to 0 to {MONEY_SCALE} places")))?;
        Ok(Some(value - value % step))
    });
    as_money(rounded.collect::<Result<_>>()?)
}

fn too_large() -> DataFusionError {
    DataFusionError::Execution("a result has more than 38 digits".to_owned())
}

/// `a ÷ b` to a whole number, halves to even.
fn divide_half_even(a: i256, b: i256) -> Result<i128> {
    let (quotient, remainder) = (a.wrapping_div(b), a.wrapping_rem(b));
    let doubled = magnitude(remainder).wrapping_mul(i256::from_i128(2));
    let is_odd = quotient.wrapping_rem(i256::from_i128(2)) != i256::ZERO;
    let is_up = doubled > magnitude(b) || (doubled == magnitude(b) && is_odd);
    let step = match (is_up, (a < i256::ZERO) == (b < i256::ZERO)) {
        (false, _) => i256::ZERO,
        (true, true) => i256::ONE,
        (true, false) => i256::MINUS_ONE,
    };
    quotient.wrapping_add(step).to_i128().ok_or_else(too_large)
}

fn magnitude(value: i256) -> i256 {
    if value < i256::ZERO { value.wrapping_neg() } else { value }
}

fn tag_object(texts: &ArrayRef) -> StringViewArray {
    let mut objects = StringViewBuilder::with_capacity(texts.len());
    for text in texts.as_string_view() {
        objects.append_option(text.and_then(tags::object_of));
    }
    objects.finish()
}

fn rename_tags(columns: &[ArrayRef]) -> StringViewArray {
    let [objects, from, to] = [0, 1, 2].map(|i: usize| columns[i].as_string_view());
    let rename = |row: usize| {
        let texts = [objects, from, to].map(|texts| texts.is_valid(row).then(|| texts.value(row)));
        let [Some(object), Some(from), Some(to)] = texts else { return None };
        tags::renamed(object, from, to)
    };
    (0..objects.len()).map(rename).collect()
}

fn join_tags(first: &ArrayRef, second: &ArrayRef) -> StringViewArray {
    first.as_string_view().iter().zip(second.as_string_view()).map(|(a, b)| tags::joined(a, b)).collect()
}

fn look_up(columns: &[ArrayRef]) -> Result<StringViewArray> {
    let (tables, keys, wanted) =
        (columns[0].as_string_view(), columns[1].as_string_view(), columns[2].as_string_view());
    let mut found = StringViewBuilder::with_capacity(keys.len());
    for row in 0..keys.len() {
        if tables.is_null(row) || wanted.is_null(row) {
            return Err(DataFusionError::Execution("lookup needs a table and a column".to_owned()));
        }
        let key = keys.is_valid(row).then(|| keys.value(row));
        let cell = lookup::find(tables.value(row), key, wanted.value(row)).map_err(DataFusionError::Execution)?;
        found.append_option(cell);
    }
    Ok(found.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money_array(units: &[i128]) -> ArrayRef {
        Arc::new(as_money(units.iter().copied().map(Some).collect()).expect("money"))
    }

    #[test]
    fn product_and_ratio_round_half_to_even_at_scale_18() {
        // 1.5 × 1e-18 = 1.5e-18: half, to even is 2e-18; 0.5 × 1e-18 is half, to even 0.
        let left = money_array(&[3 * ONE / 2, ONE / 2, -ONE / 2, 3 * ONE]);
        let right = money_array(&[1, 1, 3, 3 * ONE]);
        let values = product(&left, &right).expect("product");
        assert_eq!(values.values().as_ref(), &[2, 0, -2, 9 * ONE]);
        // 1 ÷ 3 and −2 ÷ 3, 18 places.
        let thirds = ratio(&money_array(&[ONE, -2 * ONE, ONE]), &money_array(&[3 * ONE, 3 * ONE, 0])).expect("ratio");
        assert_eq!(thirds.value(0), 333_333_333_333_333_333);
        assert_eq!(thirds.value(1), -666_666_666_666_666_667);
        assert!(thirds.is_null(2));
    }

    #[test]
    fn round_down_goes_towards_zero() {
        // 45.1151987 is 45.11, −45.1151987 is −45.11; 41.217007 to no place is 41; all 18 places change nothing.
        let values =
            money_array(&[45_115_198_700_000_000_000, -45_115_198_700_000_000_000, 41_217_007 * ONE / 1_000_000, 1]);
        let places: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![2, 2, 0, 18]));
        let rounded = round_down(&values, &places).expect("rounded");
        assert_eq!(rounded.values().as_ref(), &[4_511 * ONE / 100, -4_511 * ONE / 100, 41 * ONE, 1]);
        for wrong in [-1, 19] {
            let places: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![wrong; 4]));
            assert!(round_down(&values, &places).is_err(), "{wrong}");
        }
    }

    #[test]
    fn overflow_is_an_error() {
        let large = money_array(&[10_i128.pow(37)]);
        assert!(product(&large, &large).is_err());
    }
}
