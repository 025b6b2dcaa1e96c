//! Hand-worked edges and comparison with long division on digits.

use super::*;
use crate::decimal::oracle::Digits;
use proptest::prelude::*;

/// Any 512-bit integer whose length varies.
fn wide() -> impl Strategy<Value = U512> {
    (
        prop::array::uniform8(prop_oneof![3 => any::<u64>(), 1 => Just(0), 1 => Just(u64::MAX), 1 => Just(1 << 63)]),
        0..=8_usize,
    )
        .prop_map(|(mut limbs, len)| {
            limbs[len..].fill(0);
            U512(limbs)
        })
}

fn digits(value: &U512) -> Digits {
    let base = Digits::new("18446744073709551616");
    let mut total = Digits::new("0");
    for limb in value.0.iter().rev() {
        total = add(&total.times(&base), *limb);
    }
    total
}

/// total + limb, through text: the oracle has no addition of its own beyond increments.
fn add(total: &Digits, limb: u64) -> Digits {
    let mut carry = u128::from(limb);
    let mut reversed: Vec<u8> = total.text().bytes().rev().collect();
    let mut place = 0;
    while carry > 0 {
        if place == reversed.len() {
            reversed.push(b'0');
        }
        let sum = u128::from(reversed[place] - b'0') + carry;
        reversed[place] = b'0' + u8::try_from(sum % 10).expect("a digit");
        carry = sum / 10;
        place += 1;
    }
    reversed.reverse();
    Digits::new(std::str::from_utf8(&reversed).expect("digits"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn division_agrees_with_long_division(dividend in wide(), divisor in wide()) {
        prop_assume!(!divisor.is_zero());
        let (quotient, remainder) = dividend.div_rem(&divisor);
        let expected = digits(&dividend).divide(&digits(&divisor));
        prop_assert_eq!((digits(&quotient), digits(&remainder)), expected);
    }

    #[test]
    fn multiplication_agrees_with_the_columns(a in wide(), b in wide()) {
        let expected = digits(&a).times(&digits(&b));
        match a.checked_mul(&b) {
            Some(product) => prop_assert_eq!(digits(&product), expected),
            None => prop_assert!(expected.compare(&digits(&U512([u64::MAX; 8]))) == Ordering::Greater),
        }
    }

    #[test]
    fn doubling_compares_as_the_double(a in wide(), b in wide()) {
        let doubled = digits(&a).times(&Digits::new("2"));
        prop_assert_eq!(a.cmp_doubled(&b), doubled.compare(&digits(&b)));
    }
}

#[test]
fn the_estimate_that_is_one_too_large_is_added_back() {
    // Knuth's example shape for step D6: the top limbs suggest a quotient that the low limb refutes.
    let dividend = U512([0, 0, 1 << 63, (1 << 63) - 1, 0, 0, 0, 0]);
    let divisor = U512([1, 0, 1 << 63, 0, 0, 0, 0, 0]);
    let (quotient, remainder) = dividend.div_rem(&divisor);
    let expected = digits(&dividend).divide(&digits(&divisor));
    assert_eq!((digits(&quotient), digits(&remainder)), expected);
}

#[test]
fn magnitudes_and_limits() {
    assert_eq!(U512::from_magnitude(i256::MINUS_ONE), U512::from_u128(1));
    assert_eq!(U512::from_magnitude(i256::from_i128(i128::MIN)), U512::from_u128(1 << 127));
    assert_eq!(U512::from_magnitude(i256::MIN), U512([0, 0, 0, 1 << 63, 0, 0, 0, 0]));
    let limit = U512::from_u128(1).checked_mul_power_of_ten(76).expect("76 digits fit");
    assert_eq!(limit.to_i256(false), None);
    assert_eq!(limit.to_i256(true), None);
    assert_eq!(I256_LIMIT.to_string(), format!("1{}", "0".repeat(76)));
    assert_eq!(U512::from_u128(7).to_i256(true), Some(i256::from_i128(-7)));
}
