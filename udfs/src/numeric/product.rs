//! Products, quotients and remainders of 256-bit decimals.

use crate::decimal::wide::U512;
use crate::decimal::{ArithmeticError, POWERS_OF_TEN, Rounding, div_round, divide_rounded, power_of_ten};
use arrow::datatypes::i256;

/// Multiplies two 128-bit decimals; 76 digits hold every product of two numbers of 38.
#[inline]
pub(super) fn multiply_narrow(a: i128, b: i128) -> i256 {
    match a.checked_mul(b) {
        Some(product) => i256::from_i128(product),
        None => i256::from_i128(a).wrapping_mul(i256::from_i128(b)),
    }
}

/// Multiplies and drops the last `dropped` digits, rounding half away from zero.
pub(super) fn multiply(a: i256, b: i256, dropped: u32) -> Result<i256, ArithmeticError> {
    if let (Some(narrow_a), Some(narrow_b)) = (a.to_i128(), b.to_i128())
        && let (Some(product), Some(unit)) = (narrow_a.checked_mul(narrow_b), power_of_ten(dropped))
    {
        return div_round(product, unit, Rounding::HalfUp).map(i256::from_i128);
    }
    let product = U512::from_magnitude(a).checked_mul(&U512::from_magnitude(b)).ok_or(ArithmeticError::Overflow)?;
    let rounded = if dropped == 0 {
        product
    } else {
        let unit = U512::from_u128(1).checked_mul_power_of_ten(dropped).ok_or(ArithmeticError::Overflow)?;
        divide_rounded(&product, &unit, Rounding::HalfUp)
    };
    rounded.to_i256((a < i256::ZERO) != (b < i256::ZERO)).ok_or(ArithmeticError::Overflow)
}

/// Returns the remainder of a division that truncates, at the wider scale: the sign is the dividend's.
pub(super) fn remainder(a: i256, b: i256, raise_a: u32, raise_b: u32) -> Result<i256, ArithmeticError> {
    if b == i256::ZERO {
        return Err(ArithmeticError::DivideByZero);
    }
    let dividend = U512::from_magnitude(a).checked_mul_power_of_ten(raise_a);
    let divisor = U512::from_magnitude(b).checked_mul_power_of_ten(raise_b);
    let (Some(dividend), Some(divisor)) = (dividend, divisor) else {
        return Err(ArithmeticError::Overflow);
    };
    dividend.div_rem(&divisor).1.to_i256(a < i256::ZERO).ok_or(ArithmeticError::Overflow)
}

/// The remainder where both operands and the result have 128 bits.
pub(super) fn remainder_narrow(a: i128, b: i128, raise_a: u32, raise_b: u32) -> Result<i128, ArithmeticError> {
    if b == 0 {
        return Err(ArithmeticError::DivideByZero);
    }
    let raised = |value: i128, digits: u32| power_of_ten(digits).and_then(|factor| value.checked_mul(factor));
    if let (Some(dividend), Some(divisor)) = (raised(a, raise_a), raised(b, raise_b)) {
        return dividend.checked_rem(divisor).ok_or(ArithmeticError::Overflow);
    }
    let wide = remainder(i256::from_i128(a), i256::from_i128(b), raise_a, raise_b)?;
    wide.to_i128()
        .filter(|value| value.unsigned_abs() < POWERS_OF_TEN[38].unsigned_abs())
        .ok_or(ArithmeticError::Overflow)
}
