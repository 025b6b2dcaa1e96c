//! Numbers worked out by hand.

use super::*;

fn value(text: &str) -> i128 {
    parse_decimal(text).expect("a number").value
}

#[test]
fn plain_numbers_are_read_exactly() {
    assert_eq!(value("1"), ONE);
    assert_eq!(value("-12.34"), -12_340_000_000_000_000_000);
    assert_eq!(value("0.000000000000000001"), 1);
    assert_eq!(value(".5"), ONE / 2);
    assert_eq!(value("5."), 5 * ONE);
    assert_eq!(value("+7"), 7 * ONE);
    assert_eq!(value("  7 \t"), 7 * ONE);
    assert_eq!(value("-0"), 0);
    assert_eq!(value("999999999999999999.999999999999999999"), 999_999_999_999_999_999_999_999_999_999_999_999);
}

#[test]
fn scientific_notation_is_read_exactly() {
    assert_eq!(value("1e3"), 1000 * ONE);
    assert_eq!(value("1.5E-7"), 150_000_000_000);
    assert_eq!(value("-2.5e+1"), -25 * ONE);
    assert_eq!(value("0e999999999999"), 0);
    assert_eq!(value("1e-18"), 1);
}

#[test]
fn the_range_is_38_digits() {
    assert_eq!(value("99999999999999999999.999999999999999999"), POWERS_OF_TEN[38] - 1);
    assert_eq!(value("-99999999999999999999.999999999999999999"), 1 - POWERS_OF_TEN[38]);
    let out_of_range = Err(DecimalParseError::OutOfRange);
    assert_eq!(parse_decimal("100000000000000000000"), out_of_range);
    assert_eq!(parse_decimal("1e20"), out_of_range);
    assert_eq!(parse_decimal("1e999999999999999999999"), out_of_range);
    // Rounding up at scale 18 would need a 39th digit.
    assert_eq!(parse_decimal("99999999999999999999.9999999999999999995"), out_of_range);
    assert_eq!(value("000000000000000000000000000000000000000000000001"), ONE);
}

#[test]
fn digits_beyond_the_scale_round_half_even_and_are_reported() {
    let rounded = |text: &str| {
        let parsed = parse_decimal(text).expect("a number");
        (parsed.value, parsed.is_rounded)
    };
    assert_eq!(rounded("0.0000000000000000005"), (0, true));
    assert_eq!(rounded("0.0000000000000000015"), (2, true));
    assert_eq!(rounded("0.00000000000000000050001"), (1, true));
    assert_eq!(rounded("-0.0000000000000000025"), (-2, true));
    assert_eq!(rounded("-0.0000000000000000035"), (-4, true));
    assert_eq!(rounded("1.0000000000000000010000"), (ONE + 1, false));
    assert_eq!(rounded("9e-19"), (1, true));
    assert_eq!(rounded("9e-20"), (0, true));
    assert_eq!(rounded("999e-22"), (0, true));
    assert_eq!(rounded("0.00e-400"), (0, false));
}

#[test]
fn what_is_not_a_number_is_refused() {
    for text in ["", " ", "\t"] {
        assert_eq!(parse_decimal(text), Err(DecimalParseError::Empty), "{text:?}");
    }
    for text in [
        "abc", "1,000.00", "$5", "5 USD", "€5", "1_000", "--1", "+-1", ".", "-", "+", "e5", "1e", "1e+", "1e5x",
        "1.2.3", "NaN", "inf", "Infinity", "0x10", "١", "1 2", "(5)",
    ] {
        assert_eq!(parse_decimal(text), Err(DecimalParseError::NotANumber), "{text:?}");
    }
}

#[test]
fn a_float_is_read_through_its_shortest_text() {
    let float = |number: f64| parse_f64(number).map(|parsed| parsed.value);
    assert_eq!(float(0.1), Ok(ONE / 10));
    assert_eq!(float(-1.15), Ok(-1_150_000_000_000_000_000));
    assert_eq!(float(1e19), Ok(10_000_000_000_000_000_000 * ONE));
    assert_eq!(float(5e-324), Ok(0));
    assert_eq!(float(f64::NAN), Err(DecimalParseError::NotANumber));
    assert_eq!(float(f64::INFINITY), Err(DecimalParseError::NotANumber));
    assert_eq!(float(1e300), Err(DecimalParseError::OutOfRange));
}

#[test]
fn other_scales_follow_the_same_rules() {
    assert_eq!(parse_decimal_at("2.675", 2), Ok(ParsedDecimal { value: 268, is_rounded: true }));
    assert_eq!(parse_decimal_at("2.665", 2), Ok(ParsedDecimal { value: 266, is_rounded: true }));
    assert_eq!(parse_decimal_at("12", 0), Ok(ParsedDecimal { value: 12, is_rounded: false }));
}
