//! `sum` and `avg` as SQL sees them.

use super::ExactSum;
use crate::testing::{error, rows, session, value};
use arrow::datatypes::DataType;

/// The greatest numeric(38,18), near which a sum of 128 bits wraps at the second value.
const MOST: &str = "99999999999999999999.999999999999999999";

#[test]
fn a_total_may_pass_the_range_as_long_as_the_result_fits() {
    assert_eq!(
        value(&format!(
            "select sum(x) from (values ({MOST}::numeric(38,18)), ({MOST}), ({MOST}), (-{MOST}), (-{MOST})) as t(x)"
        )),
        MOST
    );
    let text = error(&format!("select sum(x) from (values ({MOST}::numeric(38,18)), ({MOST})) as t(x)"));
    assert!(text.contains("numeric value out of range") && !text.contains("9999"), "{text}");
    assert_eq!(value(&format!("select avg(x) from (values ({MOST}::numeric(38,18)), ({MOST})) as t(x)")), MOST);
    let most_256 = "9".repeat(76);
    assert_eq!(
        value(&format!("select sum(x) from (values ({most_256}), ({most_256}), (-{most_256})) as t(x)")),
        most_256
    );
    assert!(error(&format!("select sum(x) from (values ({most_256}), ({most_256})) as t(x)")).contains("out of range"));
}

#[test]
fn groups_agree_with_the_whole() {
    let table = "(values (1, 0.1), (2, 0.2), (1, -0.4), (3, null), (2, 0.7)) as t(g, x)";
    assert_eq!(
        rows(&format!("select g, sum(x), avg(x) from {table} group by g order by g")),
        [
            "1 -0.3 -0.15000000000000000000000000000000000000",
            "2 0.9 0.45000000000000000000000000000000000000",
            "3 null null",
        ]
    );
    assert_eq!(
        rows(&format!("select sum(x), sum(x) filter (where g = 1), sum(x) filter (where g = 9) from {table}")),
        ["0.6 -0.3 null"]
    );
    assert_eq!(
        rows(&format!("select g, sum(x) filter (where x > 0) from {table} group by g order by g")),
        ["1 0.1", "2 0.9", "3 null"]
    );
}

#[test]
fn integers_sum_to_the_types_of_postgresql() {
    let types = |sql: &str| {
        crate::testing::block_on(async {
            let frame = session().sql(sql).await.expect("a plan");
            frame.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
        })
    };
    assert_eq!(
        types(
            "select sum(a), sum(b), sum(c), avg(c), sum(d), sum(e), sum(f) from (values (1::smallint, 1::int, 1::bigint, 1.5, 1e50, 1::float8)) as t(a, b, c, d, e, f)"
        ),
        [
            DataType::Int64,
            DataType::Int64,
            DataType::Decimal128(38, 0),
            DataType::Decimal256(76, 38),
            DataType::Decimal128(38, 1),
            DataType::Decimal256(76, 0),
            DataType::Float64,
        ]
    );
    assert_eq!(
        value("select sum(x) from (values (9223372036854775807), (9223372036854775807)) as t(x)"),
        "18446744073709551614"
    );
    // The sum has 20 digits, so PostgreSQL gives the average scale 16 - 4 * 4 = 0.
    assert_eq!(
        value("select avg(x) from (values (9223372036854775807), (9223372036854775806)) as t(x)"),
        "9223372036854775807"
    );
    assert_eq!(value("select avg(x) from (values (1::int), (2::int), (2::int)) as t(x)"), "1.6666666666666667");
    assert_eq!(value("select avg(x) from (values (1.5::float8), (2)) as t(x)"), "1.75");
}

#[test]
fn distinct_values_count_once() {
    let table = "(values (1.5), (1.5), (-2.25), (null)) as t(x)";
    assert_eq!(
        rows(&format!("select sum(distinct x), avg(distinct x) from {table}")),
        ["-0.75 -0.37500000000000000000000000000000000000"]
    );
    assert_eq!(
        rows(&format!("select sum(distinct x), count(distinct x), sum(x), avg(distinct x * x) from {table}")),
        ["-0.75 2 0.75 3.65625000000000000000000000000000000000"]
    );
    // The optimizer splits this one into a sum of sums, whose type must not change.
    assert_eq!(rows("select sum(n), count(distinct x) from (values (1::int, 1), (2, 1), (3, 2)) as t(n, x)"), ["6 2"]);
    assert_eq!(
        rows("select sum(n), count(distinct x) from (values (1::bigint, 1), (2, 1), (3, 2)) as t(n, x)"),
        ["6 2"]
    );
}

#[test]
fn sliding_frames_take_away_what_leaves() {
    let table =
        format!("(values (1, {MOST}::numeric(38,18)), (2, 1.5), (3, -{MOST}), (4, null), (5, 0.25)) as t(k, x)");
    let frame = "over (order by k rows between 1 preceding and current row)";
    assert_eq!(
        rows(&format!("select avg(x) {frame} from {table} where k > 1")),
        [
            "1.50000000000000000000000000000000000000",
            // (1.5 - MOST) / 2 ends in 2499999999999999995 and PostgreSQL gives it scale 18.
            "-49999999999999999999.25000000000000000000000000000000000000",
            "-99999999999999999999.99999999999999999900000000000000000000",
            "0.25000000000000000000000000000000000000",
        ]
    );
    assert_eq!(
        rows(&format!("select sum(x) {frame} from (values (1, 1), (2, 2), (3, 3)) as t(k, x)")),
        ["1", "3", "5"]
    );
    assert_eq!(
        rows(&format!("select sum(distinct x) {frame} from (values (1, 1.5), (2, 1.5), (3, 2.0)) as t(k, x)")),
        ["1.5", "1.5", "3.5"]
    );
    assert_eq!(
        rows(&format!("select sum(n) {frame} from (values (1, 1::int), (2, 2), (3, 3)) as t(k, n)")),
        ["1", "3", "5"]
    );
}

#[test]
fn text_has_no_sum() {
    assert!(error("select sum('a')").contains("does not exist"));
    assert_eq!(datafusion::logical_expr::AggregateUDF::from(ExactSum::new()).name(), "sum");
}
