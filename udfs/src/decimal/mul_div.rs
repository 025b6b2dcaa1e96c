//! Multiply and divide with one rounding at the end: the inner step of rating, proration, FX and tax.

use super::power_of_ten;
use super::powers::POWERS_OF_TEN;
use super::rounding::Rounding;
use super::wide::U512;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use std::fmt;

/// Why an exact operation has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArithmeticError {
    /// The rounded result does not fit the type of the result; intermediate results never overflow.
    Overflow,
    /// The divisor is zero.
    DivideByZero,
}

impl fmt::Display for ArithmeticError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overflow => "numeric value out of range",
            Self::DivideByZero => "division by zero",
        })
    }
}

impl std::error::Error for ArithmeticError {}

/// The engine maps these two variants to SQLSTATE 22003 and 22012; neither carries a value of the data.
impl From<ArithmeticError> for DataFusionError {
    fn from(error: ArithmeticError) -> Self {
        let arrow_error = match error {
            ArithmeticError::Overflow => ArrowError::ArithmeticOverflow(error.to_string()),
            ArithmeticError::DivideByZero => ArrowError::DivideByZero,
        };
        Self::ArrowError(Box::new(arrow_error), None)
    }
}

/// Returns `a * b / divisor`, rounded once, exactly as if the product had unlimited width.
///
/// All three are plain integers; scales are the caller's. `mul_div_round(price, quantity, ONE, ...)` multiplies two values
/// of scale 18 into one of scale 18.
///
/// # Errors
/// `DivideByZero`, and `Overflow` where the result does not fit an `i128`.
///
/// ```
/// use ratehouse_udfs::decimal::{mul_div_round, Rounding};
/// // 22.00 for 17 of 31 days, to the cent: 12.0645...
/// assert_eq!(mul_div_round(2200, 17, 31, Rounding::HalfEven), Ok(1206));
/// ```
pub fn mul_div_round(a: i128, b: i128, divisor: i128, mode: Rounding) -> Result<i128, ArithmeticError> {
    match a.checked_mul(b) {
        Some(product) => div_round(product, divisor, mode),
        None => mul_div_wide(a, b, divisor, mode),
    }
}

/// Returns `numerator / divisor`, rounded.
///
/// # Errors
/// `DivideByZero`, and `Overflow` for the one quotient that has no `i128` (`i128::MIN / -1`).
#[inline]
pub fn div_round(numerator: i128, divisor: i128, mode: Rounding) -> Result<i128, ArithmeticError> {
    if divisor == 0 {
        return Err(ArithmeticError::DivideByZero);
    }
    let quotient = numerator.checked_div(divisor).ok_or(ArithmeticError::Overflow)?;
    let remainder = numerator - quotient * divisor;
    if remainder == 0 {
        return Ok(quotient);
    }
    let magnitude = remainder.unsigned_abs();
    // Compares 2 * magnitude with the divisor without the doubling, which could overflow.
    let to_half = magnitude.cmp(&(divisor.unsigned_abs() - magnitude));
    if !mode.increments(quotient % 2 != 0, to_half, false) {
        return Ok(quotient);
    }
    Ok(if (numerator < 0) == (divisor < 0) { quotient + 1 } else { quotient - 1 })
}

/// The path for products beyond 128 bits.
#[cold]
fn mul_div_wide(a: i128, b: i128, divisor: i128, mode: Rounding) -> Result<i128, ArithmeticError> {
    if divisor == 0 {
        return Err(ArithmeticError::DivideByZero);
    }
    let wide_divisor = U512::from_u128(divisor.unsigned_abs());
    let product = U512::from_u128(a.unsigned_abs())
        .checked_mul(&U512::from_u128(b.unsigned_abs()))
        .ok_or(ArithmeticError::Overflow)?;
    let rounded = divide_rounded(&product, &wide_divisor, mode);
    let magnitude = rounded.to_u128().ok_or(ArithmeticError::Overflow)?;
    signed(magnitude, (a < 0) ^ (b < 0) ^ (divisor < 0))
}

/// Divides magnitudes with one rounding; the divisor is not zero.
pub(crate) fn divide_rounded(numerator: &U512, divisor: &U512, mode: Rounding) -> U512 {
    let (quotient, remainder) = numerator.div_rem(divisor);
    if mode.increments(quotient.is_odd(), remainder.cmp_doubled(divisor), remainder.is_zero()) {
        quotient.incremented()
    } else {
        quotient
    }
}

fn signed(magnitude: u128, is_negative: bool) -> Result<i128, ArithmeticError> {
    if is_negative {
        0_i128.checked_sub_unsigned(magnitude).ok_or(ArithmeticError::Overflow)
    } else {
        i128::try_from(magnitude).map_err(|_| ArithmeticError::Overflow)
    }
}

/// Multiplies two values of scale 18 into one of scale 18: price by quantity, amount by FX rate.
///
/// # Errors
/// `Overflow` where the result has more than 38 digits.
#[inline]
pub fn mul_round(a: i128, b: i128, mode: Rounding) -> Result<i128, ArithmeticError> {
    let product = mul_div_round(a, b, super::ONE, mode)?;
    within_precision(product)
}

/// Brings `value` from one scale (0 to 38) to another, rounding where digits are lost.
///
/// # Errors
/// `Overflow` where the result has more than 38 digits.
pub fn rescale_round(value: i128, from: i8, to: i8, mode: Rounding) -> Result<i128, ArithmeticError> {
    let distance = power_of_ten(u32::from(from.abs_diff(to)));
    if to >= from {
        if value == 0 {
            return Ok(0);
        }
        let scaled = distance.and_then(|factor| value.checked_mul(factor));
        return within_precision(scaled.ok_or(ArithmeticError::Overflow)?);
    }
    match distance {
        Some(divisor) => div_round(value, divisor, mode),
        None => Ok(if mode == Rounding::Up { value.signum() } else { 0 }),
    }
}

/// Passes a value of at most 38 digits.
#[inline]
pub(crate) fn within_precision(value: i128) -> Result<i128, ArithmeticError> {
    if value.unsigned_abs() < POWERS_OF_TEN[38].unsigned_abs() { Ok(value) } else { Err(ArithmeticError::Overflow) }
}

#[cfg(test)]
mod tests;
