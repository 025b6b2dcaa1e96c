//! The phases of an aggregation: partial states, merges, skipped first phases and early emission.

use super::exact;
use super::input::Finish;
use crate::testing::{batches, rows_in, two_phase_session};
use arrow::array::{Array, ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, Int32Array};
use arrow::datatypes::{DataType, i256};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::EmitTo;
use std::sync::Arc;

fn narrow(values: &[Option<i128>]) -> ArrayRef {
    Arc::new(Decimal128Array::from(values.to_vec()).with_precision_and_scale(38, 18).expect("a type"))
}

fn wide(values: &[Option<i256>]) -> ArrayRef {
    Arc::new(Decimal256Array::from(values.to_vec()).with_precision_and_scale(76, 18).expect("a type"))
}

const LIMIT: i128 = 10_i128.pow(38) - 1;

/// Every way through the phases gives the same groups: 0 with 3 * LIMIT - 2 * LIMIT, 1 with NULL only, 2 with -7.
fn phases(values: &ArrayRef, finish: Finish, expected: &[ScalarValue]) {
    let groups = [0, 0, 0, 1, 2, 0, 0];
    let whole = || exact::groups_accumulator(values.data_type(), finish).expect("an accumulator");

    let mut direct = whole();
    direct.update_batch(&[Arc::clone(values)], &groups, None, 3).expect("rows");
    let result = direct.evaluate(EmitTo::All).expect("a result");
    check("one phase", &result, expected);

    let (mut first, mut second, mut last) = (whole(), whole(), whole());
    first.update_batch(&[values.slice(0, 5)], &groups[..5], None, 3).expect("rows");
    second.update_batch(&[values.slice(5, 2)], &groups[5..], None, 1).expect("rows");
    let state = first.state(EmitTo::First(1)).expect("a state");
    last.merge_batch(&state, &[0], 1).expect("a state");
    let state = first.state(EmitTo::All).expect("a state");
    last.merge_batch(&state, &[1, 2], 3).expect("a state");
    let state = second.state(EmitTo::All).expect("a state");
    last.merge_batch(&state, &[0], 3).expect("a state");
    check("two phases", &last.evaluate(EmitTo::All).expect("a result"), expected);

    let mut converted = whole();
    let state = converted.convert_to_state(&[Arc::clone(values)], None).expect("a state");
    converted.merge_batch(&state, &groups, 3).expect("a state");
    check("skipped first phase", &converted.evaluate(EmitTo::All).expect("a result"), expected);

    let nothing = BooleanArray::from(vec![Some(false), None, Some(false), None, None, None, Some(false)]);
    let state = converted.convert_to_state(&[Arc::clone(values)], Some(&nothing)).expect("a state");
    assert_eq!(state[0].null_count(), 7);

    let mut parts = Vec::new();
    for range in [0..3, 5..7] {
        let mut part = exact::accumulator(values.data_type(), finish, false).expect("an accumulator");
        part.update_batch(&[values.slice(range.start, range.len())]).expect("rows");
        parts.push(part.state().expect("a state"));
    }
    let mut single = exact::accumulator(values.data_type(), finish, false).expect("an accumulator");
    for part in parts {
        let arrays: Vec<ArrayRef> = part.iter().map(|scalar| scalar.to_array().expect("an array")).collect();
        single.merge_batch(&arrays).expect("a state");
    }
    assert_eq!(single.evaluate().expect("a result"), expected[0], "one group");
}

fn check(what: &str, result: &ArrayRef, expected: &[ScalarValue]) {
    for (row, value) in expected.iter().enumerate() {
        assert_eq!(&ScalarValue::try_from_array(result, row).expect("a value"), value, "{what}, group {row}");
    }
}

#[test]
fn phases_of_narrow_sums_agree() {
    let values = narrow(&[Some(LIMIT), Some(LIMIT), Some(LIMIT), None, Some(-7), Some(-LIMIT), Some(-LIMIT)]);
    let sum = |value| ScalarValue::Decimal128(value, 38, 18);
    phases(&values, Finish::SumDecimal128(18), &[sum(Some(LIMIT)), sum(None), sum(Some(-7))]);
}

#[test]
fn phases_of_averages_agree() {
    let values = narrow(&[Some(10), Some(20), Some(60), None, Some(-7), Some(-LIMIT), Some(LIMIT)]);
    let average = |value: Option<i128>| {
        let scaled = value.map(|value| i256::from_i128(value).wrapping_mul(i256::from_i128(10_i128.pow(20))));
        ScalarValue::Decimal256(scaled, 76, 38)
    };
    // (10 + 20 + 60) / 5 = 18 and -7 / 1, at scale 18.
    phases(&values, Finish::Average(18), &[average(Some(18)), average(None), average(Some(-7))]);
}

#[test]
fn phases_of_wide_sums_agree() {
    let most = i256::from_i128(LIMIT).wrapping_mul(i256::from_i128(10_i128.pow(38)));
    let minus = most.wrapping_neg();
    let seven = i256::from_i128(-7);
    let values = wide(&[Some(most), Some(most), Some(most), None, Some(seven), Some(minus), Some(minus)]);
    let sum = |value| ScalarValue::Decimal256(value, 76, 18);
    phases(&values, Finish::SumDecimal256(18), &[sum(Some(most)), sum(None), sum(Some(seven))]);
    // Twelve of them pass 256 bits; the wrap is carried through the state and back.
    let mut first = exact::groups_accumulator(&DataType::Decimal256(76, 18), Finish::SumDecimal256(18)).expect("one");
    let mut last = exact::groups_accumulator(&DataType::Decimal256(76, 18), Finish::SumDecimal256(18)).expect("one");
    first.update_batch(&[wide(&[Some(most); 12])], &[0; 12], None, 1).expect("rows");
    let state = first.state(EmitTo::All).expect("a state");
    last.merge_batch(&state, &[0], 1).expect("a state");
    last.update_batch(&[wide(&[Some(minus); 11])], &[0; 11], None, 1).expect("rows");
    check("carried", &last.evaluate(EmitTo::All).expect("a result"), &[sum(Some(most))]);
    last.update_batch(&[wide(&[Some(most); 12])], &[0; 12], None, 1).expect("rows");
    assert!(last.evaluate(EmitTo::All).is_err());
}

#[test]
fn phases_of_small_integers_agree() {
    let values: ArrayRef =
        Arc::new(Int32Array::from(vec![Some(i32::MAX), Some(i32::MAX), Some(5), None, Some(-7), Some(0), Some(0)]));
    let sum = |value| ScalarValue::Int64(value);
    phases(&values, Finish::SumInt64, &[sum(Some(4_294_967_299)), sum(None), sum(Some(-7))]);
}

#[test]
fn plans_of_two_phases_pass_their_states_on() {
    let context = two_phase_session();
    let values =
        "(1, 0.1, 1::int, 1e40), (2, 0.2, 2, 2e40), (1, -0.4, 3, 3e40), (3, null, null, null), (2, 0.7, 5, -4e40)";
    let values = format!("with t as (select * from (values {values}) as v(g, x, n, w))");
    // Rows in batches of two, so that the first phase sees some and passes the others through.
    let slices = batches(&context, &format!("{values} select * from t")).expect("rows");
    assert!(slices.len() > 1);
    let schema = slices[0].schema();
    let table = MemTable::try_new(schema, vec![slices]).expect("a table");
    context.register_table("t", Arc::new(table)).expect("a new name");

    let plan = rows_in(&context, "explain select g, sum(x) from t group by g").expect("a plan").join(" ");
    assert!(plan.contains("mode=Partial") && plan.contains("mode=Final"), "{plan}");
    let rows = |sql: &str| rows_in(&context, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(
        rows("select g, sum(x), sum(n), sum(g) from t group by g order by g"),
        ["1 -0.3 4 2", "2 0.9 7 4", "3 null null 3"]
    );
    let mut averages = rows("select g, avg(x), avg(w / 1e30), sum(w) / 1e30 from t group by g");
    averages.sort();
    let zeros = "0".repeat(38);
    assert_eq!(
        averages,
        [
            format!("1 -0.15{} 20000000000.{zeros} 40000000000.{zeros}", "0".repeat(36)),
            format!("2 0.45{} -10000000000.{zeros} -20000000000.{zeros}", "0".repeat(36)),
            "3 null null null".to_owned(),
        ]
    );
    assert_eq!(rows("select sum(x), sum(n), sum(distinct g), count(*) from t"), ["0.6 11 6 5"]);
    assert_eq!(
        rows("select sum(distinct x), sum(n), avg(distinct n) = 2.75, sum(w) / 1e40 from t"),
        [format!("0.6 11 true 2.{zeros}")]
    );
    assert_eq!(
        rows("select g, sum(distinct x), avg(distinct g) = g from t group by g order by g"),
        ["1 -0.3 true", "2 0.9 true", "3 null true"]
    );
    assert_eq!(rows("select sum(x) filter (where g = 1), sum(x) filter (where g > 9) from t"), ["-0.3 null"]);
}
