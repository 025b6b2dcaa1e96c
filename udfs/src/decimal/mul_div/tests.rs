//! Hand-worked roundings and comparison with digit arithmetic.

use super::*;
use crate::decimal::ONE;
use crate::decimal::oracle::Digits;
use proptest::prelude::*;

const MODES: [Rounding; 4] = [Rounding::HalfEven, Rounding::HalfUp, Rounding::Down, Rounding::Up];

#[test]
fn the_four_modes_on_both_sides_of_zero() {
    // 2.5, 3.5, 2.4, 2.6 in tenths: half_even 2 4 2 3, half_up 3 4 2 3, down 2 3 2 2, up 3 4 3 3.
    let expected = [[2, 4, 2, 3], [3, 4, 2, 3], [2, 3, 2, 2], [3, 4, 3, 3]];
    for (mode, results) in MODES.into_iter().zip(expected) {
        for (tenths, result) in [25, 35, 24, 26].into_iter().zip(results) {
            assert_eq!(div_round(tenths, 10, mode), Ok(result), "{mode} of {tenths}");
            assert_eq!(div_round(-tenths, 10, mode), Ok(-result), "{mode} of -{tenths}");
            assert_eq!(div_round(tenths, -10, mode), Ok(-result), "{mode} of {tenths} by -10");
            assert_eq!(div_round(-tenths, -10, mode), Ok(result), "{mode} of -{tenths} by -10");
        }
    }
    assert_eq!(div_round(1, 100, Rounding::Up), Ok(1));
    assert_eq!(div_round(-1, 100, Rounding::Up), Ok(-1));
    assert_eq!(div_round(1, i128::MIN, Rounding::Up), Ok(-1));
}

#[test]
fn zero_divisors_and_overflows_are_errors() {
    assert_eq!(div_round(1, 0, Rounding::Down), Err(ArithmeticError::DivideByZero));
    assert_eq!(mul_div_round(i128::MAX, 2, 0, Rounding::Down), Err(ArithmeticError::DivideByZero));
    assert_eq!(div_round(i128::MIN, -1, Rounding::Down), Err(ArithmeticError::Overflow));
    assert_eq!(mul_div_round(i128::MAX, 2, 1, Rounding::Down), Err(ArithmeticError::Overflow));
    assert_eq!(mul_div_round(i128::MAX, 2, 2, Rounding::Down), Ok(i128::MAX));
    assert_eq!(mul_div_round(i128::MIN, 2, 2, Rounding::Down), Ok(i128::MIN));
    assert_eq!(mul_round(POWERS_OF_TEN[37], 10 * ONE, Rounding::Down), Err(ArithmeticError::Overflow));
}

#[test]
fn rescaling_rounds_only_downwards() {
    assert_eq!(rescale_round(125, 2, 1, Rounding::HalfEven), Ok(12));
    assert_eq!(rescale_round(125, 2, 4, Rounding::HalfEven), Ok(12_500));
    assert_eq!(rescale_round(POWERS_OF_TEN[37], 0, 1, Rounding::Down), Err(ArithmeticError::Overflow));
}

/// Integers of every length.
fn integer() -> impl Strategy<Value = i128> {
    (any::<i128>(), 0..127_u32).prop_map(|(value, bits)| value >> bits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_digit_arithmetic(a in integer(), b in integer(), divisor in integer(), mode in prop::sample::select(&MODES)) {
        prop_assume!(divisor != 0);
        let digits = |value: i128| Digits::new(&value.unsigned_abs().to_string());
        let magnitude = digits(a).times(&digits(b)).divide_rounded(&digits(divisor), mode.name()).text();
        let is_negative = ((a < 0) ^ (b < 0) ^ (divisor < 0)) && magnitude != "0";
        let expected = if is_negative { format!("-{magnitude}") } else { magnitude };
        prop_assert_eq!(
            mul_div_round(a, b, divisor, mode).map(|value| value.to_string()),
            expected.parse::<i128>().map(|_| expected.clone()).map_err(|_| ArithmeticError::Overflow)
        );
    }
}
