//! Operators as SQL sees them. Expected values are worked out by hand or with Python's `decimal`.

use crate::testing::{error, rows, session, value};

const MONEY: &str = "(values (1.15::numeric(38,18), 3::numeric(38,18)), (-2.5, 0.7), (null, 1)) as t(a, b)";

#[test]
fn products_are_exact() {
    assert_eq!(value("select 1.15 * 1.15"), "1.3225");
    assert_eq!(
        value("select 99999999999999999999.999999999999999999 * 99999999999999999999.999999999999999999"),
        // (10^20 - 10^-18)^2 = 10^40 - 200 + 10^-36
        "9999999999999999999999999999999999999800.000000000000000000000000000000000001"
    );
    assert_eq!(value(&format!("select sum(a * b) from {MONEY}")), "1.7");
    assert_eq!(value("select 1e3 * 1.5"), "1500");
    assert_eq!(value("select 2 * 1.5"), "3");
}

#[test]
fn names_of_nested_operators_differ() {
    let context = session();
    let sql = "select (a + b) * b, a + b * b, -a / b from (values (1.5, 2.5)) as t(a, b)";
    let names: Vec<String> = crate::testing::block_on(async {
        let frame = context.sql(sql).await.expect("a plan");
        frame.schema().fields().iter().map(|field| field.name().clone()).collect()
    });
    assert_eq!(names, ["(t.a + t.b) * t.b", "t.a + (t.b * t.b)", "(- t.a) / t.b"]);
}

#[test]
fn quotients_have_the_digits_of_postgresql() {
    // PostgreSQL 15: select 1/3.0 -> 0.33333333333333333333, 10/3.0 -> 3.3333333333333333, 2/3.0 ends in 7.
    assert_eq!(value("select 1 / 3.0"), "0.33333333333333333333");
    assert_eq!(value("select 10 / 3.0"), "3.3333333333333333");
    assert_eq!(value("select 2 / 3.0"), "0.66666666666666666667");
    assert_eq!(value(&format!("select a / b from {MONEY} where a < 0")), "-3.571428571428571429");
    assert!(error("select 1.5 / 0").contains("Divide by zero"));
    assert!(error(&format!("select a / (b - b) from {MONEY}")).contains("Divide by zero"));
}

#[test]
fn operands_are_what_all_their_branches_are() {
    let either = "(case when a < 0 then 0 else a end)";
    assert_eq!(value(&format!("select 1 + {either} from (values (0.25)) v(a)")), "1.25");
    assert_eq!(value(&format!("select 1 / {either} from (values (0.25)) v(a)")), "4");
    let union = |rest: &str| format!("(select 4 as e union all select {rest}) u order by 1");
    assert_eq!(rows(&format!("select 100 * e from {}", union("0.25"))), ["25.00", "400.00"]);
    assert_eq!(rows(&format!("select (1 / e)::numeric(10,2) from {}", union("0.5"))), ["0.25", "2.00"]);
    assert_eq!(rows(&format!("select (1 + e) % 2 from {}", union("0.5"))), ["1.0", "1.5"]);
    assert_eq!(rows(&format!("select 7 / e from {}", union("2"))), ["1", "3"]);
    assert_eq!(rows(&format!("select 1 - e from {}", union("0.5::double precision"))), ["-3.0", "0.5"]);
    assert!(error(&format!("select 1 / (e - 4) from {}", union("2"))).contains("Divide by zero"));
    assert!(error(&format!("select 9223372036854775807 + e from {}", union("2"))).contains("verflow"));
}

#[test]
fn null_operands_give_null() {
    assert_eq!(
        rows(&format!("select a * b, a / b, a + b, a - b, a % b from {MONEY} where a is null")),
        ["null null null null null"]
    );
    assert_eq!(rows("select 1.5 * null, null / 1.5"), ["null null"]);
    // A zero divisor beside NULL is not divided by.
    assert_eq!(rows("select a / b from (values (null::numeric(38,18), 0)) as t(a, b)"), ["null"]);
}

#[test]
fn sums_and_remainders() {
    assert_eq!(value("select 99999999999999999999.5 + 0.25"), "99999999999999999999.75");
    assert_eq!(value("select 1.5 - 2"), "-0.5");
    assert_eq!(value("select -7.5 % 2"), "-1.5");
    assert_eq!(value("select 7.5 % -2"), "1.5");
    assert_eq!(value("select 5 % 0.3"), "0.2");
    assert!(error("select 5 % 0.0").contains("Divide by zero"));
    assert_eq!(
        value("select 99999999999999999999999999999999999999 + 0.5"),
        "99999999999999999999999999999999999999.5"
    );
}

#[test]
fn a_result_that_does_not_fit_is_an_error_without_values() {
    let text = error("select a + a from (values (99999999999999999999.0::numeric(38,18))) as t(a)");
    assert!(text.contains("numeric value out of range"), "{text}");
    assert!(!text.contains("999"), "{text}");
    let text = error("select 1e75 * 1e2 * 1.5");
    assert!(text.contains("out of range") || text.contains("overflow"), "{text}");
}

#[test]
fn parameters_next_to_decimals_are_decimals() {
    use datafusion::scalar::ScalarValue;
    let context = session();
    let run = |sql: &str, value: ScalarValue| {
        crate::testing::block_on(async {
            let frame = context.sql(sql).await.expect("a plan");
            let types = frame.logical_plan().get_parameter_types().expect("types");
            assert!(types["$1"].as_ref().is_some_and(arrow::datatypes::DataType::is_decimal), "{types:?}");
            frame.with_param_values(vec![value]).expect("bound").collect().await.expect("rows")
        })
    };
    let decimal = || ScalarValue::Decimal128(Some(2_500_000_000_000_000_000), 38, 18);
    for (sql, expected) in [
        (format!("select a * $1 from {MONEY} where b = 3"), "2.875"),
        (format!("select a / $1 from {MONEY} where b = 3"), "0.46"),
        (format!("select $1 + a from {MONEY} where b = 3"), "3.65"),
        (format!("select a - -$1 from {MONEY} where b = 3"), "3.65"),
    ] {
        let batches = run(&sql, decimal());
        let text = arrow::util::display::array_value_to_string(batches[0].column(0), 0).expect("text");
        assert_eq!(text.trim_end_matches('0'), expected, "{sql}");
    }
}

#[test]
fn quoted_literals_next_to_decimals_are_decimals() {
    assert_eq!(value("select 2.5 * '1.15'"), "2.875");
    assert_eq!(value("select '10' / 4.0"), "2.5");
    let text = error("select 2.5 * 'secret'");
    assert!(text.contains("invalid input syntax") && !text.contains("secret"), "{text}");
}

#[test]
fn decimals_of_both_widths_mix() {
    assert_eq!(rows(&format!("select coalesce(a * b, 0) >= a, a * b = 3.45 from {MONEY} where b = 3")), ["true true"]);
    assert_eq!(value(&format!("select sum(case when b = 3 then a * b else a end) from {MONEY}")), "0.95");
    assert_eq!(rows(&format!("select greatest(a * b, a) from {MONEY} where b = 3")).len(), 1);
}

#[test]
fn other_operands_stay_with_datafusion() {
    assert_eq!(value("select 7 / 2"), "3");
    assert_eq!(value("select 1.5::double precision * 2"), "3");
    assert_eq!(value("select 1.5 * 2::double precision"), "3");
    assert_eq!(value("select date '2026-03-15' + interval '17 days' = date '2026-04-01'"), "true");
}

#[test]
fn the_bare_type_numeric_keeps_18_digits() {
    assert_eq!(value("select 0.123456789012345678::numeric"), "0.123456789012345678");
    assert_eq!(value("select '0.123456789012345678'::numeric"), "0.123456789012345678");
}

#[test]
fn casts_round_and_read_floats_through_their_text() {
    assert_eq!(rows("select 1.7::int, 2.5::bigint, (-1.5)::int, 2.4::int"), ["2 3 -2 2"]);
    assert_eq!(value("select 1234567.891::double precision::numeric(38,18)"), "1234567.891");
    assert_eq!(value("select 0.1::real::double precision::numeric(38,4)"), "0.1");
    assert_eq!(
        rows("select '2.345'::numeric(10,2), ' 1e3 '::numeric(10,2), '-2.345'::numeric(10,2)"),
        ["2.35 1000.00 -2.35"]
    );
    for (sql, message) in [
        ("select 'secret'::numeric(10,2)", "invalid input syntax for type numeric"),
        ("select '123456789'::numeric(10,2)", "numeric value out of range"),
    ] {
        let text = error(sql);
        assert!(text.contains(message), "{text}");
        assert!(!text.contains("secret") && !text.contains("12345"), "{text}");
    }
}

#[test]
fn integers_that_do_not_fit_are_an_error() {
    for sum in
        ["9223372036854775807 + 1", "-9223372036854775807 - 2", "4611686018427387904 * 2", "2147483647::int + 1::int"]
    {
        assert!(error(&format!("select {sum}")).to_lowercase().contains("overflow"), "{sum}");
    }
    assert_eq!(rows("select 2147483647::int + 1, 2 * 3 - 7, 7 / 2, 7 % 4"), ["2147483648 -1 3 3"]);
    assert_eq!(
        rows("select arrow_typeof(1::smallint + 1::smallint), arrow_typeof(1::int * 1::smallint)"),
        ["Int16 Int32"]
    );
}

#[test]
fn texts_are_read_as_arrays() {
    assert_eq!(rows("select '{1,2}'::int[], '{a,b c,NULL}'::text[]"), ["[1, 2] [a, b c, null]"]);
    assert_eq!(rows("select array_length('{1.5,2}'::numeric[])"), ["2"]);
    assert!(error("select 'a'::int[]").contains("malformed array literal"));
}
