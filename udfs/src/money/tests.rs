//! Money functions as SQL sees them; F numbers are the worked examples of the domain.

use super::mask_margin;
use crate::testing::{error, rows, rows_in, session, value};

#[test]
fn amounts_round_to_the_minor_unit_of_their_currency() {
    assert_eq!(
        rows("select round_money(12.345, 'USD'), round_money(12.355, 'USD'), round_money(-12.345, 'USD')"),
        ["12.340000000000000000 12.360000000000000000 -12.340000000000000000"]
    );
    assert_eq!(value("select round_money(12.345, 'USD', 'half_up')"), "12.35");
    assert_eq!(value("select round_money(12.349, 'USD', 'down')"), "12.34");
    assert_eq!(value("select round_money(12.341, 'USD', 'up')"), "12.35");
    assert_eq!(value("select round_money(1234.5, 'JPY')"), "1234");
    assert_eq!(value("select round_money(1.2345, 'KWD')"), "1.234");
    assert_eq!(
        rows(
            "select round_money(a, c, m) from (values (1.005, 'EUR', 'half_even'), (1.5, 'JPY', 'up'), (null, 'USD', 'up'), (1, null, 'up'), (1, 'USD', null)) as t(a, c, m)"
        ),
        ["1.000000000000000000", "2.000000000000000000", "null", "null", "null"]
    );
}

#[test]
fn rounding_happens_once_from_all_digits() {
    // 0.0049999999999999999995 is below half a cent; rounded to 18 digits first it would be a tie.
    assert_eq!(value("select round_money(0.0049999999999999999995, 'USD', 'half_up')"), "0");
    // 1.15 * 0.1 * 1.0000000000000000001 = 0.11500000000000000001..., above the tie.
    assert_eq!(value("select round_money(1.15::numeric(38,18) * 0.1 * 1.000000000000000000000001, 'USD')"), "0.12");
}

#[test]
fn wrong_currencies_modes_and_floats_are_errors() {
    assert!(error("select round_money(1.5, 'usd')").contains("unknown currency"));
    assert!(error("select round_money(1.5, 'XAU')").contains("no minor unit"));
    assert!(error("select round_money(1.5, 'USD', 'bankers')").contains("unknown rounding mode"));
    assert!(error("select round_money(1.5::float8, 'USD')").contains("cast it to numeric"));
    assert!(error("select round_money(99999999999999999999.999::numeric(38,18), 'USD')").contains("out of range"));
}

#[test]
fn quotients_have_the_declared_scale() {
    assert_eq!(
        rows("select div_round(2, 3, 2), div_round(2, 3, 2, 'down'), div_round(-1, 8, 2), div_round(-1, 8, 2, 'up')"),
        ["0.67 0.66 -0.12 -0.13"]
    );
    assert_eq!(
        rows("select div_round(a, b, 4) from (values (1.15::numeric(38,18), 3), (null, 3), (1, null)) as t(a, b)"),
        ["0.3833", "null", "null"]
    );
    assert_eq!(value("select div_round(a * a, a, 2) from (values (1.15::numeric(38,18))) as t(a)"), "1.15");
    assert!(error("select div_round(1.5, 0, 2)").contains("Divide by zero"));
    assert!(error("select div_round(1.5, 2, x) from (values (1)) as t(x)").contains("constant"));
    assert!(error("select div_round(1.5, 2, 39)").contains("constant from 0 to 38"));
}

#[test]
fn f9_a_licence_added_on_15_march_costs_34_06() {
    // 22.00 * 17/31 = 12.0645..., plus April's 22.00.
    assert_eq!(
        value(
            "select round_money(prorate(22.00, date '2026-03-01', date '2026-04-01', date '2026-03-15', null, 'actual')
            + prorate(22.00, date '2026-04-01', date '2026-05-01', date '2026-03-15', null, 'actual'), 'USD')"
        ),
        "34.06"
    );
    assert_eq!(
        value("select prorate(22.00, date '2026-03-01', date '2026-04-01', date '2026-03-15', null, 'actual')"),
        "12.064516129032258065"
    );
}

#[test]
fn conventions_differ() {
    let march = |active: &str, convention: &str| {
        value(&format!("select prorate(30.00, date '2026-03-01', date '2026-04-01', {active}, '{convention}')"))
    };
    // 15 to 31 March is 17 days; 1 to 14 March 14 days.
    assert_eq!(march("date '2026-03-15', null", "30"), "17");
    assert_eq!(march("date '2026-02-01', date '2026-03-15'", "30"), "14");
    assert_eq!(march("date '2026-03-15', null", "full_month"), "30");
    assert_eq!(march("date '2026-03-15', null", "none"), "0");
    assert_eq!(march("date '2026-03-01', date '2026-03-02'", "none"), "30");
    // 31 days of March are a whole month, so are 28 of February.
    assert_eq!(march("date '2026-01-01', null", "30"), "30");
    assert_eq!(
        value("select prorate(30.00, date '2026-02-01', date '2026-03-01', date '2026-01-01', null, '30')"),
        "30"
    );
    // Outside the period nothing is due, by any convention.
    for convention in ["actual", "30", "full_month", "none"] {
        assert_eq!(march("date '2026-04-01', null", convention), "0");
        assert_eq!(march("date '2026-01-01', date '2026-03-01'", convention), "0");
    }
    // A started day costs a thirtieth: 36 hours are two days.
    assert_eq!(march("timestamp '2026-03-02 00:00:00', timestamp '2026-03-03 12:00:00'", "30"), "2");
    // 36 of 744 hours: 30 * 36 / 744 = 1.451612903225806452 (Python decimal).
    assert_eq!(
        march("timestamp '2026-03-02 00:00:00', timestamp '2026-03-03 12:00:00'", "actual"),
        "1.451612903225806452"
    );
    assert_eq!(
        rows(
            "select prorate(a, date '2026-03-01', date '2026-04-01', s, null, 'actual') from (values (31.0, date '2026-03-31'), (null, date '2026-03-31'), (31, null)) as t(a, s)"
        ),
        ["1.000000000000000000", "null", "null"]
    );
    assert_eq!(
        value("select prorate(-31.00, date '2026-03-01', date '2026-04-01', date '2026-03-31', null, 'actual')"),
        "-1"
    );
    assert!(
        error("select prorate(1.00, date '2026-03-01', date '2026-03-01', date '2026-03-01', null, 'actual')")
            .contains("period")
    );
    assert!(
        error("select prorate(1.00, date '2026-03-01', date '2026-04-01', date '2026-03-01', null, 'weekly')")
            .contains("unknown proration convention")
    );
}

#[test]
fn f8_a_price_change_splits_the_month() {
    // 360 h at 0.192 and 384 h at 0.21: 69.12 + 80.64.
    assert_eq!(value("select round_money(744 * 15 / 31.0 * 0.192 + 744 * 16 / 31.0 * 0.21, 'USD')"), "149.76");
    assert_eq!(
        value("select prorate(744, date '2026-03-01', date '2026-04-01', date '2026-03-01', date '2026-03-16', 'actual') * 0.192
            + prorate(744, date '2026-03-01', date '2026-04-01', date '2026-03-16', null, 'actual') * 0.21"),
        "149.76"
    );
}

#[test]
fn f6_and_f7_markup_is_not_margin() {
    assert_eq!(
        rows(
            "select round_money(10000 * (1 + 15 / 100.0), 'USD') = 11500, round_money(10000 * (1 + 20 / 100.0), 'USD') = 12000"
        ),
        ["true true"]
    );
    assert_eq!(
        rows("select div_round(10000, 1 - 15 / 100.0, 2), div_round(10000, 1 - 20 / 100.0, 2)"),
        ["11764.71 12500.00"]
    );
    assert_eq!(value("select 6000 * (1 + 15 / 100.0) + 4000 * (1 + 20 / 100.0)"), "11700");
    assert_eq!(value("select round_money(6000 / (1 - 15 / 100.0) + 4000 / (1 - 20 / 100.0), 'USD')"), "12058.82");
}

#[test]
fn f10_partner_center_rounds_down_twice() {
    // 0.0451 * 1000.337 = 45.1151987 -> 45.11; * 0.9137 = 41.217007 -> 41.21
    assert_eq!(value("select trunc(trunc(0.0451 * 1000.337, 2) * 0.9137, 2)"), "41.21");
    assert_eq!(
        value("select round_money(round_money(0.0451 * 1000.337, 'USD', 'down') * 0.9137, 'EUR', 'down')"),
        "41.21"
    );
}

#[test]
fn f11_a_credit_stays_whole() {
    // 81 lines with the exact sum 23,072.5296: 80 of 284.8461 are 22,787.688, the last is 284.8416.
    assert_eq!(value("select 80 * 284.8461 + 284.8416"), "23072.5296");
    assert_eq!(value("select round_money(-100.00, 'USD')"), "-100");
    // Total less credit, rounded once: 22,972.53; the credit line is what was granted.
    assert_eq!(
        value(
            "select round_money(80 * 284.8461 + 284.8416 - 100.00, 'USD') - round_money(80 * 284.8461 + 284.8416, 'USD')"
        ),
        "-100"
    );
}

#[test]
fn conversions_multiply_or_divide() {
    assert_eq!(value("select fx_convert(100.00, 0.9137)"), "91.37");
    assert_eq!(value("select fx_convert(100.00, 1.25, true)"), "80");
    // 1 / 3 rounds half-even at 18 digits.
    assert_eq!(value("select fx_convert(1, 3, true)"), "0.333333333333333333");
    assert_eq!(rows("select fx_convert(a, r) from (values (1.5, null), (null, 2.0)) as t(a, r)"), ["null", "null"]);
    assert!(error("select fx_convert(1.00, 0)").contains("an FX rate is positive"));
}

#[test]
fn billing_periods_follow_the_time_zone() {
    assert_eq!(value("select billing_period(timestamp '2026-03-31 22:30:00', 'Europe/Berlin')"), "2026-04-01");
    assert_eq!(value("select billing_period(timestamp '2026-03-31 21:59:59', 'Europe/Berlin')"), "2026-03-01");
    assert_eq!(value("select billing_period(timestamp '2026-04-01 03:59:59', 'America/New_York')"), "2026-03-01");
    assert_eq!(value("select billing_period(timestamp '2026-04-01 04:00:00', 'America/New_York')"), "2026-04-01");
    assert_eq!(value("select billing_period(date '2026-02-28', 'UTC')"), "2026-02-01");
    assert_eq!(
        rows(
            "select billing_period(t, z) from (values (timestamp '2026-01-31 18:00:00', 'Asia/Tokyo'), (null, 'UTC'), (timestamp '2026-01-01 00:00:00', null)) as t(t, z)"
        ),
        ["2026-02-01", "null", "null"]
    );
    assert!(error("select billing_period(date '2026-01-01', 'Mars/Olympus')").contains("unknown time zone"));
}

#[test]
fn months_with_a_clock_change_keep_all_their_hours() {
    use chrono_tz::Europe::Berlin;
    let hour = 3_600_000_000_i64;
    // Hours of 2026 in UTC from 1 January 00:00; March in Berlin has 743 hours, October 745.
    let start = 1_767_225_600_000_000;
    let mut hours = std::collections::BTreeMap::new();
    for index in 0..8760 {
        *hours.entry(super::billing_period(start + index * hour, Berlin).expect("a date")).or_insert(0) += 1;
    }
    let counts: Vec<i32> = hours.into_values().collect();
    // The first hour of January in Berlin lies in 2025, the last hour of 2026 UTC in January 2027.
    assert_eq!(counts, [743, 672, 743, 720, 744, 720, 744, 744, 720, 745, 720, 744, 1]);
}

#[test]
fn margins_show_to_their_owner_and_above_only() {
    let margins = |viewer: Option<&str>| {
        let context = session();
        context.register_udf(mask_margin(viewer.map(str::to_owned)));
        rows_in(&context, "select mask_margin(m, o) from (values (1.5, 'dist/r1'), (2.5, 'dist/r1/c1'), (3.5, 'dist/r10'), (4.5, 'dist'), (5.5, null)) as t(m, o)")
            .expect("rows")
    };
    assert_eq!(margins(Some("dist/r1")), ["1.5", "2.5", "null", "null", "null"]);
    assert_eq!(margins(Some("dist")), ["1.5", "2.5", "3.5", "4.5", "null"]);
    let nothing = ["null"; 5];
    assert_eq!(margins(None), nothing);
    assert_eq!(margins(Some("")), nothing);
    assert_eq!(margins(Some("other")), nothing);
    assert_eq!(value("select mask_margin(1.5, 'dist')"), "null");
}
