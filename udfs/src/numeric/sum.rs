//! Sums and differences of decimals of different scales.

use crate::decimal::wide::{I256_LIMIT, U512};
use crate::decimal::{ArithmeticError, power_of_ten, within_precision};
use arrow::datatypes::i256;

/// Adds two 128-bit decimals, each raised to the common scale first.
#[inline]
pub(super) fn add_narrow(a: i128, b: i128, raise_a: i128, raise_b: i128) -> Result<i128, ArithmeticError> {
    let sum = a.checked_mul(raise_a).zip(b.checked_mul(raise_b)).and_then(|(a, b)| a.checked_add(b));
    within_precision(sum.ok_or(ArithmeticError::Overflow)?)
}

/// Returns the factor that raises a decimal by `digits` places.
pub(super) fn raise(digits: u32) -> Result<i128, ArithmeticError> {
    power_of_ten(digits).ok_or(ArithmeticError::Overflow)
}

/// Adds two decimals, each raised by a number of digits first.
pub(super) fn add(a: i256, b: i256, raise_a: u32, raise_b: u32) -> Result<i256, ArithmeticError> {
    let sum = raised(a, raise_a)?.checked_add(raised(b, raise_b)?).ok_or(ArithmeticError::Overflow)?;
    if sum >= I256_LIMIT || sum <= I256_LIMIT.wrapping_neg() {
        return Err(ArithmeticError::Overflow);
    }
    Ok(sum)
}

fn raised(value: i256, digits: u32) -> Result<i256, ArithmeticError> {
    if digits == 0 {
        return Ok(value);
    }
    U512::from_magnitude(value)
        .checked_mul_power_of_ten(digits)
        .and_then(|magnitude| magnitude.to_i256(value < i256::ZERO))
        .ok_or(ArithmeticError::Overflow)
}
