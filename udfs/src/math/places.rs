//! Dropping digits of decimals.

use crate::columnar::shaped;
use crate::decimal::wide::U512;
use crate::decimal::{ArithmeticError, power_of_ten};
use crate::numeric::{Operand, compute};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Where a value goes when digits are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the next greater value.
    Up,
    /// To the next smaller value.
    Down,
    /// Toward zero.
    Zero,
    /// To the nearest value, a tie away from zero.
    Nearest,
}

/// Returns the type of a decimal that keeps `places` digits after the point, with room for a carry.
pub(super) fn shortened(data_type: &DataType, places: i8) -> Option<DataType> {
    let precision = |precision: u8, scale: i8, most: u8| {
        let dropped = scale.saturating_sub(places).unsigned_abs();
        if scale <= places { precision } else { (precision.saturating_sub(dropped) + 1).clamp(1, most) }
    };
    match *data_type {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale) => {
            Some(DataType::Decimal128(precision(digits, scale, 38), scale.min(places)))
        }
        DataType::Decimal256(digits, scale) => {
            Some(DataType::Decimal256(precision(digits, scale, 76), scale.min(places)))
        }
        _ => None,
    }
}

/// Drops the digits of the first argument that the type of the result has no place for, and `zeroed` more, which become
/// zeros.
pub(super) fn drop_digits(args: &ScalarFunctionArgs, direction: Direction, zeroed: u32) -> Result<ColumnarValue> {
    let result_type = args.return_type().clone();
    let scale = match result_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => scale,
        _ => 0,
    };
    let operand = Operand::new(&args.args[0])?;
    if operand.is_null_constant() {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&result_type)?));
    }
    let is_constant = matches!(args.args[0], ColumnarValue::Scalar(_));
    let rows = if is_constant { 1 } else { args.number_rows };
    let dropped = u32::from(operand.scale.abs_diff(scale)) + zeroed;
    let nulls = operand.nulls().cloned();
    let array = match operand.narrow() {
        Some(values) if matches!(result_type, DataType::Decimal128(_, _)) => {
            compute::<Decimal128Type>(rows, nulls, result_type, |row| {
                Ok(narrow(values.at(row), dropped, zeroed, direction))
            })?
        }
        _ => {
            let value = operand.wide();
            compute::<Decimal256Type>(rows, nulls, result_type, |row| wide(value(row), dropped, zeroed, direction))?
        }
    };
    shaped(array, is_constant)
}

/// Tells whether a truncated value moves one away from zero; `is_half` tells whether at least half a unit was dropped.
fn moves(is_negative: bool, is_half: bool, direction: Direction) -> bool {
    match direction {
        Direction::Up => !is_negative,
        Direction::Down => is_negative,
        Direction::Zero => false,
        Direction::Nearest => is_half,
    }
}

fn narrow(value: i128, dropped: u32, zeroed: u32, direction: Direction) -> i128 {
    let Some(unit) = power_of_ten(dropped) else {
        return 0;
    };
    let mut whole = value / unit;
    let rest = (value % unit).unsigned_abs();
    if rest != 0 && moves(value < 0, rest >= unit.unsigned_abs().div_ceil(2), direction) {
        whole += value.signum();
    }
    whole * power_of_ten(zeroed).unwrap_or(0)
}

fn wide(value: i256, dropped: u32, zeroed: u32, direction: Direction) -> Result<i256, ArithmeticError> {
    let is_negative = value < i256::ZERO;
    let unit = U512::from_u128(1).checked_mul_power_of_ten(dropped).ok_or(ArithmeticError::Overflow)?;
    let (mut whole, rest) = U512::from_magnitude(value).div_rem(&unit);
    let half =
        U512::from_u128(5).checked_mul_power_of_ten(dropped.saturating_sub(1)).ok_or(ArithmeticError::Overflow)?;
    let is_half = !rest.div_rem(&half).0.is_zero();
    if !rest.is_zero() && moves(is_negative, is_half, direction) {
        whole = whole.incremented();
    }
    let scaled = whole.checked_mul_power_of_ten(zeroed).ok_or(ArithmeticError::Overflow)?;
    scaled.to_i256(is_negative).ok_or(ArithmeticError::Overflow)
}

/// Returns a constant number of places, within what a decimal can have; null is 0.
pub(super) fn constant_places(function: &str, argument: Option<&ScalarValue>) -> Result<i8> {
    let Some(scalar) = argument else {
        return plan_err!("the number of places of {function} is a constant");
    };
    match scalar.cast_to(&DataType::Int64)? {
        ScalarValue::Int64(Some(places)) => Ok(i8::try_from(places.clamp(-77, 77)).unwrap_or(0)),
        _ => Ok(0),
    }
}

/// Returns the type a decimal argument is read as: `Decimal128` or `Decimal256`, of a scale that is not negative.
pub(super) fn widened(data_type: &DataType) -> DataType {
    match *data_type {
        DataType::Decimal32(digits, scale) | DataType::Decimal64(digits, scale) if scale >= 0 => {
            DataType::Decimal128(digits, scale)
        }
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if scale >= 0 => data_type.clone(),
        _ => DataType::Decimal256(76, 0),
    }
}
