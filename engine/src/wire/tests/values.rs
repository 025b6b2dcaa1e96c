//! Values in text and binary against Postgres' own forms, worked out by hand from the documentation of its `*_send` functions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::{
    Array, ArrayRef, Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int64Array,
    IntervalMonthDayNanoArray, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, IntervalMonthDayNano, Schema, TimeUnit, i256};
use bytes::BytesMut;
use datafusion::scalar::ScalarValue;

use super::Fixture;
use crate::wire::types::cell::cell_writer;
use crate::wire::types::datetime::Zone;
use crate::wire::types::numeric::Decimal;
use crate::wire::types::parameter::ParameterType;
use crate::wire::types::presentation::{ColumnType, Scale};
use crate::wire::types::row::{BatchWriter, RowShape};
use crate::wire::types::{Format, OutputSettings};

fn settings(zone: &str) -> OutputSettings {
    OutputSettings { zone: Zone::of_setting(zone), extra_float_digits: 1 }
}

fn written(values: &ArrayRef, field: &Field, format: Format, zone: &str, row: usize) -> Vec<u8> {
    let column = ColumnType::of(field).expect("a type");
    let mut write = cell_writer(values, &column, format, settings(zone)).expect("a writer");
    let mut out = BytesMut::new();
    write(row, &mut out).expect("a value");
    out.to_vec()
}

fn text_of(values: &ArrayRef, zone: &str) -> Vec<String> {
    let field = Field::new("c", values.data_type().clone(), true);
    let text = |row| String::from_utf8(written(values, &field, Format::Text, zone, row)).expect("utf-8");
    (0..values.len()).map(text).collect()
}

/// The words of numeric_send: ndigits, weight, sign, dscale, digits.
fn words(bytes: &[u8]) -> Vec<i32> {
    bytes.chunks(2).map(|pair| i32::from(i16::from_be_bytes([pair[0], pair[1]]))).collect()
}

#[test]
fn numeric_binary_is_groups_of_four_digits_around_the_point() {
    for (unscaled, scale, expected) in [
        // 0 has no digits.
        (0, 0, vec![0, 0, 0, 0]),
        (1, 0, vec![1, 0, 0, 0, 1]),
        // 12345.678 = 1 * 10000 + 2345 + 0.6780
        (12_345_678, 3, vec![3, 1, 0, 3, 1, 2345, 6780]),
        // -0.0001 is one group after the point.
        (-1, 4, vec![1, -1, 0x4000, 4, 1]),
        // 0.00000001: two groups after the point, the first empty.
        (1, 8, vec![1, -2, 0, 8, 1]),
        // 10000 is one group of weight 1; the empty last group is left out.
        (10_000, 0, vec![1, 1, 0, 0, 1]),
        (100_000_000, 0, vec![1, 2, 0, 0, 1]),
        // 9999.99
        (999_999, 2, vec![2, 0, 0, 2, 9999, 9900]),
    ] {
        let mut decimal = Decimal::default();
        decimal.set_i128(unscaled, scale);
        let mut out = BytesMut::new();
        decimal.write_binary(&mut out);
        assert_eq!(words(&out), expected, "{unscaled}e-{scale}");
        let back = Decimal::from_binary(&out).expect("numeric").to_scalar(&DataType::Decimal128(38, scale));
        assert_eq!(back.expect("fits"), ScalarValue::Decimal128(Some(unscaled), 38, scale));
    }
}

#[test]
fn numbers_of_38_and_76_digits_pass_both_ways_unchanged() {
    let nines = 10_i128.pow(38) - 1;
    let values: ArrayRef =
        Arc::new(Decimal128Array::from(vec![nines, -nines]).with_precision_and_scale(38, 18).expect("type"));
    let shown = ["99999999999999999999.999999999999999999", "-99999999999999999999.999999999999999999"];
    assert_eq!(text_of(&values, "UTC"), shown);
    let wide = "1".repeat(70) + ".123456";
    let unscaled = i256::from_string(&wide.replace('.', "")).expect("76 digits");
    let values: ArrayRef =
        Arc::new(Decimal256Array::from(vec![unscaled]).with_precision_and_scale(76, 6).expect("type"));
    assert_eq!(text_of(&values, "UTC"), std::slice::from_ref(&wide));
    let field = Field::new("c", values.data_type().clone(), true);
    let binary = written(&values, &field, Format::Binary, "UTC", 0);
    let back = Decimal::from_binary(&binary).expect("numeric").to_scalar(&DataType::Decimal256(76, 6)).expect("fits");
    assert_eq!(back, ScalarValue::Decimal256(Some(unscaled), 76, 6));
    assert_eq!(Decimal::from_text(&"1".repeat(77)).expect_err("77 digits").sqlstate, "22003");
}

#[test]
fn metadata_decides_how_many_digits_a_decimal_shows() {
    let values: ArrayRef = Arc::new(
        Decimal128Array::from(vec![1_500_000, 2_000_000, 1_234_565, -4, 0])
            .with_precision_and_scale(38, 6)
            .expect("type"),
    );
    let shown = |scale: Option<&str>| -> Vec<String> {
        let metadata: HashMap<String, String> =
            scale.map(|scale| ("pg_scale".to_owned(), scale.to_owned())).into_iter().collect();
        let field = Field::new("c", values.data_type().clone(), true).with_metadata(metadata);
        let text = |row| String::from_utf8(written(&values, &field, Format::Text, "UTC", row)).expect("utf-8");
        (0..values.len()).map(text).collect()
    };
    // A type that declares few digits shows them all, as numeric(38,6) does; full width shows what is needed.
    assert_eq!(shown(None), ["1.500000", "2.000000", "1.234565", "-0.000004", "0.000000"]);
    assert_eq!(shown(Some("trim:0")), ["1.5", "2", "1.234565", "-0.000004", "0"]);
    assert_eq!(shown(Some("trim:2")), ["1.50", "2.00", "1.234565", "-0.000004", "0.00"]);
    // Half away from zero, as numeric(38,5) rounds; what becomes zero has no sign.
    assert_eq!(shown(Some("fixed:5")), ["1.50000", "2.00000", "1.23457", "0.00000", "0.00000"]);
    assert_eq!(shown(Some("fixed:8"))[0], "1.50000000");
    let field = Field::new("c", DataType::Decimal128(38, 6), true);
    let field = field.with_metadata([("pg_scale".to_owned(), "fixed:5".to_owned())].into());
    // ((38 << 16) | 5) + 4
    assert_eq!(ColumnType::of(&field).expect("type").modifier, 2_490_377);
    assert_eq!(ColumnType::of(&field).expect("type").scale, Scale::Fixed(5));
}

#[test]
fn numbers_in_text_are_read_as_postgres_reads_them() {
    let read = |text: &str| Decimal::from_text(text).and_then(|decimal| decimal.to_scalar(&DataType::Utf8));
    let decimal = |value, precision, scale| Ok(ScalarValue::Decimal128(Some(value), precision, scale));
    assert_eq!(read(" 12.50 "), decimal(1_250, 4, 2));
    assert_eq!(read("-.5e-2"), decimal(-5, 3, 3));
    assert_eq!(read("1e3"), decimal(1_000, 4, 0));
    assert_eq!(read("+0"), decimal(0, 1, 0));
    for wrong in ["", "-", "1,5", "1.2.3", "abc", "1e", "0x10", "."] {
        assert_eq!(read(wrong).expect_err(wrong).sqlstate, "22P02", "{wrong}");
    }
    // A column's scale never rounds what was sent.
    let exact = Decimal::from_text("1.234").expect("number").to_scalar(&DataType::Decimal128(38, 2));
    assert_eq!(exact, decimal(1_234, 4, 3));
}

#[test]
fn floats_print_as_postgres_prints_them() {
    let values = vec![1e15, 123_456_789_012_345.0, 0.1, 1e-5, 0.0001, -0.0, f64::NAN, f64::NEG_INFINITY, 1.5e300];
    let shown = ["1e+15", "123456789012345", "0.1", "1e-05", "0.0001", "-0", "NaN", "-Infinity", "1.5e+300"];
    assert_eq!(text_of(&(Arc::new(Float64Array::from(values)) as ArrayRef), "UTC"), shown);
    let values = vec![1e6_f32, 123_456.0, 0.1];
    assert_eq!(text_of(&(Arc::new(Float32Array::from(values)) as ArrayRef), "UTC"), ["1e+06", "123456", "0.1"]);
}

#[test]
fn instants_are_shown_in_the_zone_of_the_session() {
    // 2026-02-28 23:59:59 UTC = 1772323199 s; before 1970 and before year 1: 1 BC is year 0.
    let instants = vec![1_772_323_199_000_000, 1_772_323_199_500_000, -1, -62_135_596_800_000_001];
    let values = TimestampMicrosecondArray::from(instants);
    let zoned: ArrayRef = Arc::new(values.clone().with_timezone("UTC"));
    let utc = [
        "2026-02-28 23:59:59+00",
        "2026-02-28 23:59:59.5+00",
        "1969-12-31 23:59:59.999999+00",
        "0001-12-31 23:59:59.999999+00 BC",
    ];
    assert_eq!(text_of(&zoned, "UTC"), utc);
    assert_eq!(text_of(&zoned, "Europe/Berlin")[0], "2026-03-01 00:59:59+01");
    assert_eq!(text_of(&zoned, "asia/kolkata")[0], "2026-03-01 05:29:59+05:30");
    assert_eq!(text_of(&zoned, "<-03>+03")[0], "2026-02-28 20:59:59-03");
    let plain: ArrayRef = Arc::new(values);
    assert_eq!(text_of(&plain, "Europe/Berlin")[0], "2026-02-28 23:59:59");
    let field = Field::new("c", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    // Seconds since 2000-01-01: 1772323199 - 946684800.
    let expected = (825_638_399_i64 * 1_000_000).to_be_bytes();
    assert_eq!(written(&plain, &field, Format::Binary, "UTC", 0), expected);
}

#[test]
fn intervals_print_with_their_signs() {
    let value = |months, days, microseconds: i64| IntervalMonthDayNano::new(months, days, microseconds * 1_000);
    let values =
        vec![value(14, 3, 14_706_789_000), value(0, 0, 0), value(-1, 1, 0), value(0, -1, 1), value(12, 0, -1_000_000)];
    let shown = [
        "1 year 2 mons 3 days 04:05:06.789",
        "00:00:00",
        "-1 mons +1 day",
        "-1 days +00:00:00.000001",
        "1 year -00:00:01",
    ];
    assert_eq!(text_of(&(Arc::new(IntervalMonthDayNanoArray::from(values)) as ArrayRef), "UTC"), shown);
}

#[test]
fn arrays_are_quoted_where_array_in_needs_it() {
    let words = vec![Some("a"), None, Some(""), Some("a b"), Some("null"), Some("q\"\\"), Some("é")];
    let items: ArrayRef = Arc::new(StringArray::from(words));
    let list = ListArray::new(
        Field::new_list_field(DataType::Utf8, true).into(),
        arrow::buffer::OffsetBuffer::from_lengths([7, 0]),
        items,
        None,
    );
    assert_eq!(text_of(&(Arc::new(list) as ArrayRef), "UTC"), [r#"{a,NULL,"","a b","null","q\"\\",é}"#, "{}"]);
    let numbers: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(7), None])]));
    let field = Field::new("c", numbers.data_type().clone(), true);
    // One dimension, has nulls, int8, 2 elements from 1; 8 bytes of 7, null.
    let expected = [1, 1, 20, 2, 1, 8, 0, 7, -1].iter().flat_map(|word: &i32| word.to_be_bytes()).collect::<Vec<_>>();
    assert_eq!(written(&numbers, &field, Format::Binary, "UTC", 0), expected);
    let vector = field.with_metadata([("pg_type".to_owned(), "oidvector".to_owned())].into());
    let numbers: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(7), Some(8)])]));
    assert_eq!(written(&numbers, &vector, Format::Text, "UTC", 0), b"7 8");
}

#[test]
fn structs_become_json() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a\"b"), None]));
    let amounts: ArrayRef =
        Arc::new(Decimal128Array::from(vec![Some(1_500), Some(2_000)]).with_precision_and_scale(38, 3).expect("type"));
    let fields = vec![
        (Arc::new(Field::new("name", DataType::Utf8, true)), names),
        (Arc::new(Field::new("amount", DataType::Decimal128(38, 3), true)), amounts),
    ];
    let values: ArrayRef = Arc::new(StructArray::from(fields));
    assert_eq!(text_of(&values, "UTC"), [r#"{"name":"a\"b","amount":1.500}"#, r#"{"name":null,"amount":2.000}"#]);
}

#[test]
fn metadata_overrides_the_announced_type() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![23]));
    let typed = |name: &str| {
        Field::new("c", DataType::Int64, true).with_metadata([("pg_type".to_owned(), name.to_owned())].into())
    };
    assert_eq!(written(&values, &typed("int4"), Format::Binary, "UTC", 0), 23_i32.to_be_bytes());
    assert_eq!(written(&values, &typed("oid"), Format::Binary, "UTC", 0), 23_u32.to_be_bytes());
    assert_eq!(ColumnType::of(&typed("oid")).map(|column| (column.oid, column.size)), Ok((26, 4)));
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
    let column = ColumnType::of(&typed("int4")).expect("type");
    let mut write = cell_writer(&wide, &column, Format::Binary, settings("UTC")).expect("writer");
    assert_eq!(write(0, &mut BytesMut::new()).expect_err("too wide").sqlstate, "22003");
}

#[test]
fn parameters_are_read_as_the_planned_type() {
    let read = |oid, ty: DataType, text: &str| {
        ParameterType::new(oid, &ty).expect("type").read(Some(text.as_bytes()), Format::Text, Zone::Utc)
    };
    assert_eq!(read(0, DataType::Int64, " 42 "), Ok(ScalarValue::Int64(Some(42))));
    assert_eq!(read(23, DataType::Int64, "42"), Ok(ScalarValue::Int64(Some(42))));
    assert_eq!(read(0, DataType::Date32, "2026-03-01"), Ok(ScalarValue::Date32(Some(20_513))));
    assert_eq!(read(25, DataType::Utf8View, "a"), Ok(ScalarValue::Utf8View(Some("a".to_owned()))));
    assert_eq!(read(1043, DataType::Date32, "1970-01-02"), Ok(ScalarValue::Date32(Some(1))));
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let instant = |us| Ok(ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())));
    assert_eq!(read(0, zoned.clone(), "1970-01-01 01:00:00+01"), instant(0));
    assert_eq!(read(0, zoned, "1970-01-01T00:00:00.5Z"), instant(500_000));
    let code = |result: Result<ScalarValue, crate::wire::backend::Failure>| result.expect_err("an error").sqlstate;
    assert_eq!(code(read(0, DataType::Int64, "abc")), "22P02");
    assert_eq!(code(read(21, DataType::Int64, "40000")), "22003");
    assert_eq!(code(read(0, DataType::Date32, "2026-02-30")), "22008");
    assert_eq!(code(read(0, DataType::Date32, "soon")), "22007");
    let short = ParameterType::new(20, &DataType::Int64).expect("type").read(Some(&[0, 1]), Format::Binary, Zone::Utc);
    assert_eq!(code(short), "22P03");
    let null = ParameterType::new(0, &DataType::Int64).expect("type").read(None, Format::Text, Zone::Utc);
    assert_eq!(null, Ok(ScalarValue::Int64(None)));
    let names = DataType::List(Field::new_list_field(DataType::Utf8, true).into());
    let list = read(0, names, r#"{a,"b,c",NULL}"#).expect("a list");
    let ScalarValue::List(list) = list else { panic!("no list") };
    let items = list.value(0);
    let items: Vec<_> = items.as_any().downcast_ref::<StringArray>().expect("strings").iter().collect();
    assert_eq!(items, [Some("a"), Some("b,c"), None]);
}

#[tokio::test]
async fn a_driver_reads_and_writes_binary_values() {
    let fixture = Fixture::start().await;
    let client = fixture.client().await;
    let sql = "select $1 + 1, $2, $3 is null, $4::double, true, $1::int";
    use tokio_postgres::types::Type;
    let types = [Type::INT8, Type::TEXT, Type::INT8, Type::FLOAT8];
    let statement = client.prepare_typed(sql, &types).await.expect("statement");
    let row = client.query_one(&statement, &[&41_i64, &"é", &None::<i64>, &1.5_f64]).await.expect("row");
    assert_eq!(row.get::<_, i64>(0), 42);
    assert_eq!(row.get::<_, &str>(1), "é");
    assert!(row.get::<_, bool>(2));
    assert!((row.get::<_, f64>(3) - 1.5).abs() < f64::EPSILON);
    assert_eq!(row.get::<_, i32>(5), 41);
}

#[tokio::test]
async fn an_untyped_null_does_not_shift_the_parameters_after_it() {
    let fixture = Fixture::start().await;
    let client = fixture.client().await;
    let row = client.query_one("select $1 as a, $2 as b", &[&None::<&str>, &"second"]).await.expect("row");
    assert_eq!(row.get::<_, Option<&str>>(0), None);
    assert_eq!(row.get::<_, &str>(1), "second");
}

#[test]
fn a_binary_copy_has_the_digits_that_its_column_declares() {
    let values =
        Decimal128Array::from(vec![1_500_000_000_000_000_000]).with_precision_and_scale(38, 18).expect("a type");
    // ((38 << 16) | 18) + 4
    let metadata =
        [("pg_typmod", "2490390"), ("pg_scale", "trim:2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let field = Field::new("c", DataType::Decimal128(38, 18), true).with_metadata(metadata.into());
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).expect("a batch");
    let shape = RowShape::of(&schema, Format::Binary, settings("UTC")).expect("a shape");
    let written = |shape: &RowShape| {
        let mut out = BytesMut::new();
        BatchWriter::new(&batch, shape).expect("writers").write_fields(0, &mut out).expect("a row");
        out.to_vec()
    };
    // Length, then two groups of four digits (1 and 5000), the first of weight 0, no sign, and the digits after the point.
    let numeric = |digits: u8| vec![0, 0, 0, 12, 0, 2, 0, 0, 0, 0, 0, digits, 0, 1, 0x13, 0x88];
    assert_eq!(written(&shape), numeric(2));
    assert_eq!(written(&shape.with_declared_scales()), numeric(18));
}
