//! Scales as PostgreSQL 15 prints them; the script `tests/postgres_decimals.py` compares many more with a live server.

use super::*;
use crate::decimal::oracle::Digits;
use proptest::prelude::*;

fn scale(numerator: i128, numerator_scale: i8, divisor: i128, divisor_scale: i8) -> i32 {
    division_scale(i256::from_i128(numerator), numerator_scale, i256::from_i128(divisor), divisor_scale)
}

#[test]
fn the_scale_is_that_of_postgresql() {
    // select scale(1/3.0): weights 0 and 0, digits 1 <= 3, so the quotient's weight is -1: 16 + 4.
    assert_eq!(scale(1, 0, 30, 1), 20);
    // 10/3.0: digits 10 > 3, weight 0.
    assert_eq!(scale(10, 0, 30, 1), 16);
    // 100000/3.0: weight 1.
    assert_eq!(scale(100_000, 0, 30, 1), 12);
    // 1/30000.0: weights 0 and 1, digits 1 <= 3: quotient -2.
    assert_eq!(scale(1, 0, 300_000, 1), 24);
    // The scales of the operands are a lower bound.
    assert_eq!(scale(10_000_000_000_000_000_000, 18, 3, 0), 18);
    // Zero has weight 0 and digit 0.
    assert_eq!(scale(0, 2, 3, 0), 20);
    // 0.0001 has weight -1 and digit 1; 0.00012345 too.
    assert_eq!(scale(1, 4, 2, 0), 16 + 8);
    assert_eq!(scale(12_345, 8, 2, 0), 16 + 8);
}

fn quotient(numerator: i128, numerator_scale: i8, divisor: i128, divisor_scale: i8) -> String {
    divide(i256::from_i128(numerator), numerator_scale, i256::from_i128(divisor), divisor_scale)
        .expect("a quotient")
        .to_string()
}

#[test]
fn quotients_are_rounded_half_away_from_zero() {
    // 2 / 3.0 at scale 20: 0.66666666666666666667, stored with 18 zeros more.
    assert_eq!(quotient(2, 0, 30, 1), format!("{}7{}", "6".repeat(19), "0".repeat(18)));
    assert_eq!(quotient(-2, 0, 30, 1), format!("-{}7{}", "6".repeat(19), "0".repeat(18)));
    assert_eq!(quotient(0, 0, 3, 0), "0");
}

#[test]
fn only_a_result_that_does_not_fit_overflows() {
    let most = i256::from_i128(10_i128.pow(38) - 1);
    let least = i256::from_i128(1);
    // (10^38 - 1) / 1 has 38 digits before the point and fits; divided by 0.1 it has 39.
    assert_eq!(quotient(10_i128.pow(38) - 1, 18, 1, 18), format!("{}{}", "9".repeat(38), "0".repeat(38)));
    assert_eq!(divide(most, 0, least, 1), Err(ArithmeticError::Overflow));
    assert_eq!(divide(most, 18, i256::ZERO, 0), Err(ArithmeticError::DivideByZero));
    // The dividend alone has 114 digits on the way; the result is 1.
    let wide = most.wrapping_mul(most);
    assert_eq!(divide(wide, 38, wide, 38).map(|value| value.to_string()), Ok(format!("1{}", "0".repeat(38))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_long_division(
        a in any::<i128>(), a_bits in 0..127_u32, b in any::<i128>(), b_bits in 0..127_u32,
        a_scale in 0..=38_i8, b_scale in 0..=38_i8,
    ) {
        let (a, b) = (a >> a_bits, b >> b_bits);
        prop_assume!(b != 0);
        let scale = scale(a, a_scale, b, b_scale).min(38);
        let power = |exponent: i32| Digits::new(&format!("1{}", "0".repeat(usize::try_from(exponent).expect("small"))));
        let digits = |value: i128| Digits::new(&value.unsigned_abs().to_string());
        let magnitude = digits(a)
            .times(&power(scale + i32::from(b_scale)))
            .divide_rounded(&digits(b).times(&power(a_scale.into())), "half_up")
            .times(&power(38 - scale));
        let text = magnitude.text();
        let got = divide(i256::from_i128(a), a_scale, i256::from_i128(b), b_scale).map(|value| value.to_string());
        if text.len() > 76 {
            prop_assert_eq!(got, Err(ArithmeticError::Overflow));
        } else {
            let is_negative = (a < 0) != (b < 0) && text != "0";
            prop_assert_eq!(got, Ok(if is_negative { format!("-{text}") } else { text }));
        }
    }
}
