//! Division with the digits PostgreSQL gives.
//!
//! SQL leaves the scale of a quotient open. PostgreSQL picks it from the operands' values, so that at least 16 significant
//! digits come out (`select_div_scale` in `src/backend/utils/adt/numeric.c`, version 15), and rounds half away from zero.
//! Amounts that people compare between the two systems must not differ in the last digit, so this follows it. A column has
//! one scale in Arrow: quotients are stored at [`QUOTIENT_SCALE`], which also caps PostgreSQL's choice.

use super::mul_div::{ArithmeticError, divide_rounded};
use super::rounding::Rounding;
use super::wide::U512;
use arrow::datatypes::i256;

/// The scale at which quotients are stored.
pub const QUOTIENT_SCALE: i8 = 38;

/// PostgreSQL's `NUMERIC_MIN_SIG_DIGITS`.
const SIGNIFICANT_DIGITS_MIN: i32 = 16;

/// PostgreSQL's `DEC_DIGITS`: its numerics are in base 10,000.
const GROUP_DIGITS: i32 = 4;

/// The leading base-10,000 digit of a number, and its power.
#[derive(Debug, Clone, Copy)]
struct Leading {
    weight: i32,
    digit: u128,
}

/// Finds the leading base-10,000 digit of `magnitude` at `scale`; zero has weight and digit zero, as in PostgreSQL.
fn leading(magnitude: &U512, scale: i32) -> Leading {
    let (top, dropped) = match magnitude.to_u128() {
        Some(0) => {
            return Leading { weight: 0, digit: 0 };
        }
        Some(narrow) => (narrow, 0),
        None => {
            // More than 38 digits: the leading ones decide. A Decimal256 has at most 77, so one step leaves at most 39.
            let unit = U512::from_u128(10_u128.pow(38));
            let (high, _) = magnitude.div_rem(&unit);
            match high.to_u128() {
                // At least four leading digits are needed.
                Some(high) if high >= 1000 => (high, 38),
                _ => (magnitude.div_rem(&U512::from_u128(10_u128.pow(30))).0.to_u128().unwrap_or(u128::MAX), 30),
            }
        }
    };
    let exponent = i32::try_from(top.ilog10()).unwrap_or(0) + dropped - scale;
    let weight = exponent.div_euclid(GROUP_DIGITS);
    // The digit is the number divided by 10^(4 * weight); `top` already lacks `dropped` places.
    let power = scale + GROUP_DIGITS * weight - dropped;
    let factor = 10_u128.pow(power.unsigned_abs());
    let digit = if power >= 0 { top / factor } else { top * factor };
    Leading { weight, digit }
}

/// Returns the scale PostgreSQL 15 gives to `numerator / divisor`, not capped.
///
/// `divisor` is not zero. Scales are display scales: of a column, its declared scale.
#[must_use]
pub fn division_scale(numerator: i256, numerator_scale: i8, divisor: i256, divisor_scale: i8) -> i32 {
    let numerator_magnitude = U512::from_magnitude(numerator);
    let divisor_magnitude = U512::from_magnitude(divisor);
    scale_of_magnitudes(&numerator_magnitude, numerator_scale.into(), &divisor_magnitude, divisor_scale.into())
}

fn scale_of_magnitudes(numerator: &U512, numerator_scale: i32, divisor: &U512, divisor_scale: i32) -> i32 {
    let first = leading(numerator, numerator_scale);
    let second = leading(divisor, divisor_scale);
    let mut quotient_weight = first.weight - second.weight;
    if first.digit <= second.digit {
        quotient_weight -= 1;
    }
    (SIGNIFICANT_DIGITS_MIN - quotient_weight * GROUP_DIGITS).max(numerator_scale).max(divisor_scale).max(0)
}

/// Divides two decimals, rounding half away from zero to PostgreSQL's scale; the result is at [`QUOTIENT_SCALE`].
///
/// Scales are 0 to 76.
///
/// # Errors
/// `DivideByZero`, and `Overflow` where the result has more than 38 digits before the point.
pub fn divide(numerator: i256, numerator_scale: i8, divisor: i256, divisor_scale: i8) -> Result<i256, ArithmeticError> {
    let is_negative = (numerator < i256::ZERO) != (divisor < i256::ZERO);
    let numerator_magnitude = U512::from_magnitude(numerator);
    let divisor_magnitude = U512::from_magnitude(divisor);
    if divisor_magnitude.is_zero() {
        return Err(ArithmeticError::DivideByZero);
    }
    let (from, by) = (i32::from(numerator_scale), i32::from(divisor_scale));
    let scale = scale_of_magnitudes(&numerator_magnitude, from, &divisor_magnitude, by).min(QUOTIENT_SCALE.into());
    let shift = scale + by - from;
    let (dividend, divisor) = if shift >= 0 {
        (numerator_magnitude.checked_mul_power_of_ten(shift.unsigned_abs()), Some(divisor_magnitude))
    } else {
        (Some(numerator_magnitude), divisor_magnitude.checked_mul_power_of_ten(shift.unsigned_abs()))
    };
    let (Some(dividend), Some(divisor)) = (dividend, divisor) else {
        return Err(ArithmeticError::Overflow);
    };
    divide_rounded(&dividend, &divisor, Rounding::HalfUp)
        .checked_mul_power_of_ten((i32::from(QUOTIENT_SCALE) - scale).unsigned_abs())
        .and_then(|quotient| quotient.to_i256(is_negative))
        .ok_or(ArithmeticError::Overflow)
}

#[cfg(test)]
mod tests;
