use crate::testing::{error, rows};

use super::digits::Digits;
use super::moment::{Moment, MomentPattern};
use super::number::NumberPattern;
use chrono::{FixedOffset, NaiveDate};

fn number(unscaled: &str, scale: i8, pattern: &str) -> String {
    let mut out = String::new();
    NumberPattern::new(pattern)
        .expect("a pattern")
        .show(&Digits::of_decimal(unscaled, scale), &mut out)
        .expect("a number");
    out
}

/// From the table of examples of PostgreSQL 15's manual, section 9.8.
#[test]
fn the_manuals_examples_of_numbers() {
    let examples = [
        ("-1", 1, "99.99", "  -.10"),
        ("-1", 1, "FM9.99", "-.1"),
        ("-1", 1, "FM90.99", "-0.1"),
        ("1", 1, "0.9", " 0.1"),
        ("12", 0, "9990999.9", "    0012.0"),
        ("12", 0, "FM9990999.9", "0012."),
        ("485", 0, "999", " 485"),
        ("-485", 0, "999", "-485"),
        ("485", 0, "9 9 9", " 4 8 5"),
        ("1485", 0, "9,999", " 1,485"),
        ("1485", 0, "9G999", " 1,485"),
        ("1485", 1, "999.999", " 148.500"),
        ("1485", 1, "FM999.999", "148.5"),
        ("1485", 1, "FM999.990", "148.500"),
        ("31485", 1, "9G999D999", " 3,148.500"),
        ("-485", 0, "999S", "485-"),
        ("-485", 0, "999MI", "485-"),
        ("485", 0, "999MI", "485 "),
        ("485", 0, "FM999MI", "485"),
        ("485", 0, "SG999", "+485"),
        ("-485", 0, "SG999", "-485"),
        ("-485", 0, "9SG99", "4-85"),
        ("-485", 0, "999PR", "<485>"),
        ("485", 0, "L999", "  485"),
        ("482", 0, "999th", " 482nd"),
        ("485", 0, "\"Good number:\"999", "Good number: 485"),
        ("4858", 1, "\"Pre:\"999\" Post:\" .999", "Pre: 485 Post: .800"),
        ("12", 0, "99V999", " 12000"),
        ("124", 1, "99V999", " 12400"),
        ("1245", 2, "99V9", " 125"),
    ];
    for (unscaled, scale, pattern, expected) in examples {
        assert_eq!(number(unscaled, scale, pattern), expected, "{unscaled}e-{scale} by {pattern}");
    }
}

#[test]
fn numbers_are_rounded_half_away_from_zero() {
    assert_eq!(number("9995", 3, "FM990.00"), "10.00");
    assert_eq!(number("-2345", 3, "FM990.00"), "-2.35");
    // More digits than the pattern has.
    assert_eq!(number("12345", 0, "999.9"), " ###.#");
}

#[test]
fn moments_by_pattern() {
    // 2026-01-01 is a Thursday in ISO week 1.
    let local = NaiveDate::from_ymd_opt(2026, 1, 1).and_then(|day| day.and_hms_micro_opt(15, 4, 5, 60_789));
    let offset = FixedOffset::east_opt(5 * 3600 + 1800).expect("an offset");
    let moment = Moment { local: local.expect("a time"), zone: Some((offset, "IST".to_owned())) };
    let shown = |pattern: &str| {
        let mut out = String::new();
        MomentPattern::new(pattern).expect("a pattern").show(&moment, &mut out);
        out
    };
    assert_eq!(shown("YYYY-MM-DD HH24:MI:SS.US"), "2026-01-01 15:04:05.060789");
    assert_eq!(shown("FMDay, FMDDth Month YY"), "Thursday, 1st January   26");
    assert_eq!(shown("IYYY-IW-ID Q DDD FMDDD WW W CC J"), "2026-01-4 1 001 1 01 1 21 2461042");
    assert_eq!(shown("HH12 am TZ tz OF TZH:TZM"), "03 pm IST ist +05:30 +05:30");
    assert_eq!(shown("\"Q\"Q \\\"x\\\" RM|"), "Q1 \"x\" I   |");
}

#[test]
fn wrong_patterns_are_refused() {
    for pattern in ["9.9.9", "9V9.9", "9PR9", "SG9S", "9EEEE", "RN"] {
        assert!(NumberPattern::new(pattern).is_err(), "{pattern}");
    }
}

// The expected values below are those of PostgreSQL 15.

#[test]
fn dates_are_read_by_pattern() {
    let read = |text: &str, pattern: &str| rows(&format!("select to_date('{text}', '{pattern}')")).remove(0);
    assert_eq!(read("05.10.2026", "DD.MM.YYYY"), "2026-10-05");
    assert_eq!(read("2026-278", "YYYY-DDD"), "2026-10-05");
    assert_eq!(read("5 Oct 99", "DD Mon YY"), "1999-10-05");
    assert_eq!(read("20261005", "YYYYMMDD"), "2026-10-05");
    assert_eq!(read("2026/10/5", "YYYY-MM-DD"), "2026-10-05");
    assert!(error("select to_date('2026-02-30', 'YYYY-MM-DD')").contains("out of range"));
    assert!(error("select to_date('soon', 'YYYY-MM-DD')").contains("invalid input syntax"));
}

#[test]
fn instants_are_read_by_pattern() {
    let read = |text: &str, pattern: &str| {
        rows(&format!("select cast(to_timestamp('{text}', '{pattern}') as text)")).remove(0)
    };
    assert_eq!(read("2026-10-05 14:30:15.25", "YYYY-MM-DD HH24:MI:SS.US"), "2026-10-05 14:30:15.25+00");
    assert_eq!(read("2026-10-05 02:30 PM", "YYYY-MM-DD HH12:MI AM"), "2026-10-05 14:30:00+00");
    assert_eq!(read("2026-10-05 14:30 +02", "YYYY-MM-DD HH24:MI TZH"), "2026-10-05 12:30:00+00");
    assert_eq!(read("2026-10-05T14:30", "YYYY-MM-DD\"T\"HH24:MI"), "2026-10-05 14:30:00+00");
    assert_eq!(rows("select cast(to_timestamp(1.5) as text)"), ["1970-01-01 00:00:01.5+00"]);
}
