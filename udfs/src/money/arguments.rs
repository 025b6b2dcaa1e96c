//! Reading the arguments of money functions.

use crate::decimal::wide::U512;
use crate::decimal::{ArithmeticError, Rounding, SCALE, divide_rounded, power_of_ten, rescale_round, within_precision};
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::{DataType, i256};
use datafusion::common::{Result, exec_datafusion_err, internal_err, plan_err};
use datafusion::logical_expr::ColumnarValue;
use std::sync::Arc;

/// The type of stored money.
pub(super) const MONEY: DataType = DataType::Decimal128(crate::decimal::PRECISION, SCALE);

/// A text argument: a column, or a constant that stands for every row.
#[derive(Debug)]
pub(super) struct Text {
    array: StringViewArray,
    mask: usize,
}

impl Text {
    /// Reads an argument that was coerced to `Utf8View`.
    pub(super) fn new(value: &ColumnarValue) -> Result<Self> {
        let (array, mask): (ArrayRef, usize) = match value {
            ColumnarValue::Array(array) => (Arc::clone(array), usize::MAX),
            ColumnarValue::Scalar(scalar) => (scalar.to_array_of_size(1)?, 0),
        };
        match array.as_string_view_opt() {
            Some(array) => Ok(Self { array: array.clone(), mask }),
            None => internal_err!("a text argument of type {} was not coerced", array.data_type()),
        }
    }

    /// Returns the text of a row, or `None` for NULL.
    pub(super) fn at(&self, row: usize) -> Option<&str> {
        let row = row & self.mask;
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

/// Parses a text argument once per run of equal texts: constants once, columns where they change.
pub(super) struct Parsed<'a, V> {
    text: &'a Text,
    last: Option<(&'a str, V)>,
    parse: fn(&str) -> Result<V>,
}

impl<'a, V: Copy> Parsed<'a, V> {
    /// Parses `text` by `parse`.
    pub(super) fn new(text: &'a Text, parse: fn(&str) -> Result<V>) -> Self {
        Self { text, last: None, parse }
    }

    /// Returns the parsed value of a row, or `None` for NULL.
    pub(super) fn at(&mut self, row: usize) -> Result<Option<V>> {
        let Some(text) = self.text.at(row) else {
            return Ok(None);
        };
        if let Some((last, value)) = self.last
            && last == text
        {
            return Ok(Some(value));
        }
        let value = (self.parse)(text)?;
        self.last = Some((text, value));
        Ok(Some(value))
    }
}

/// Parses the name of a rounding mode.
pub(super) fn parse_rounding(text: &str) -> Result<Rounding> {
    text.parse().map_err(|error| exec_datafusion_err!("{error}"))
}

/// Returns the decimal type an amount is read as: decimals and integers keep their own digits.
///
/// # Errors
/// A plan error for floats and everything else: money does not go through a float.
pub(super) fn amount_type(function: &str, data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::Null => MONEY,
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if *scale >= 0 => data_type.clone(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) if *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        integer if integer.is_integer() => DataType::Decimal128(20, 0),
        decimal if decimal.is_decimal() => DataType::Decimal256(76, 0),
        other => {
            return plan_err!("{function} takes an exact amount (numeric), not {other}: cast it to numeric");
        }
    })
}

/// Returns the type a text argument is read as.
///
/// # Errors
/// A plan error where it is not text.
pub(super) fn text_type(function: &str, argument: &str, data_type: &DataType) -> Result<DataType> {
    match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(DataType::Utf8View),
        DataType::Dictionary(_, value) => text_type(function, argument, value),
        other => plan_err!("{function}: {argument} is text, not {other}"),
    }
}

/// Rounds a decimal of any width to `places` digits, once, and returns it at the scale `to`, which is not below `places`.
///
/// # Errors
/// `Overflow` where the result has more than 38 digits.
pub(super) fn round_to(value: i256, from: i8, places: i8, to: i8, mode: Rounding) -> Result<i128, ArithmeticError> {
    let places = places.min(from);
    let rounded = match value.to_i128() {
        Some(narrow) => rescale_round(narrow, from, places, mode)?,
        None => {
            let unit = U512::from_u128(1).checked_mul_power_of_ten(u32::from(from.abs_diff(places)));
            let unit = unit.ok_or(ArithmeticError::Overflow)?;
            divide_rounded(&U512::from_magnitude(value), &unit, mode)
                .to_i256(value < i256::ZERO)
                .and_then(i256::to_i128)
                .ok_or(ArithmeticError::Overflow)?
        }
    };
    if rounded == 0 {
        return Ok(0);
    }
    let factor = power_of_ten(u32::from(to.abs_diff(places))).ok_or(ArithmeticError::Overflow)?;
    within_precision(rounded.checked_mul(factor).ok_or(ArithmeticError::Overflow)?)
}
