//! Malformed rows and odd cells of real files.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};

use super::{file, focus, folder, land, plain, row};

#[tokio::test]
async fn bad_rows_are_rejected_with_row_column_and_line_and_the_rest_lands() {
    let temp = folder();
    let good = row("1.5", "kept");
    let rows = [
        good.as_str(),
        "1,2",
        &row("$10", "n"),
        &row("2", "n").replace("2024-09-02T00:00:00Z", "9/2/24"),
        &row("", "n"),
        &format!("{good},extra"),
        "\"open,1\n",
        &good,
    ];
    let landed = land(&file(&temp, "f.csv", focus(&rows).as_bytes())).await.expect("lands");
    assert_eq!(landed.source, "focus_1_2");
    assert_eq!(landed.source_rows(), [1, 8]);
    assert_eq!(landed.sum("billed_cost").0, "3");
    let found: Vec<(i64, Option<&str>, &str, &str)> = landed
        .rejected
        .iter()
        .map(|r| (r.source_row, r.column.as_deref(), r.value_class.as_str(), r.reason.as_str()))
        .collect();
    // Every whole row has two lines, so that row 2 is line 4.
    assert_eq!(
        found,
        [
            (2, None, "a row", "has 2 fields where the header has 16 (line 4)"),
            (3, Some("BilledCost"), "text of 3 characters", "is not a decimal number (line 5)"),
            (
                4,
                Some("ChargePeriodStart"),
                "text of 6 characters",
                "is not a time in a form that this source uses (line 7)"
            ),
            (5, Some("BilledCost"), "nothing", "is empty (line 9)"),
            (6, None, "a row", "has 17 fields where the header has 16 (line 11)"),
            (7, None, "a row", "has a quote that is not closed, or text after a closing quote (line 13)"),
        ]
    );
    // Conservation: 2 is the only rejected cost that parses.
    assert_eq!(landed.rejected[2].billed_cost, Some(2_000_000_000_000_000_000));
    assert_eq!(plain(landed.raw.provider_cost.to_i128().expect("small")), "5");
    assert_eq!(landed.rejected[0].raw, "1,2");
    assert!(landed.rejected.iter().all(|r| !r.reason.contains("$10")));
    assert_eq!(landed.text("charge_description", 0), Some("two\nlines, \"quoted\""));
    assert_eq!(landed.text("billing_account_id", 0), Some("0012"));
    assert_eq!(landed.text("x_columns", 0), Some(r#"{"x_Note":"kept"}"#));
}

#[tokio::test]
async fn bytes_that_are_no_text_cost_their_row_only() {
    let temp = folder();
    let mut bytes = focus(&[&row("1", "a"), &row("2", "b?"), &row("3", "c")]).into_bytes();
    let at = bytes.iter().position(|b| *b == b'?').expect("mark");
    bytes[at] = 0xfc;
    let landed = land(&file(&temp, "f.csv", &bytes)).await.expect("lands");
    assert_eq!(landed.sum("billed_cost").0, "4");
    assert_eq!((landed.rejected.len(), landed.rejected[0].source_row), (1, 2));
    assert!(landed.rejected[0].reason.starts_with("has bytes that are not UTF-8 text"));
}

#[tokio::test]
async fn parquet_floats_timestamps_and_maps_are_exact() {
    let temp = folder();
    let rows = 3;
    let repeat = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
    // 2024-09-01, 2024-10-01, 2024-09-02, 2024-09-03 in milliseconds.
    let time = |ms: i64| Arc::new(TimestampMillisecondArray::from(vec![ms; rows])) as ArrayRef;
    let float = |values: [f64; 3]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let mut tags =
        arrow::array::MapBuilder::new(None, arrow::array::StringBuilder::new(), arrow::array::StringBuilder::new());
    for (key, value) in [("env", "prod"), ("env", "te\"st")] {
        tags.keys().append_value(key);
        tags.values().append_value(value);
        tags.append(true).expect("map");
    }
    tags.append(true).expect("empty map");
    let decimals =
        arrow::array::Decimal128Array::from(vec![12_345_i128; rows]).with_precision_and_scale(20, 4).expect("decimal");
    let batch = RecordBatch::try_from_iter([
        // 0.1 + 0.2 as floats are not decimal; their shortest decimals are.
        ("BilledCost", float([0.1, 0.2, 1e-9])),
        ("BillingAccountId", repeat("0012")),
        ("BillingCurrency", repeat("USD")),
        ("BillingPeriodStart", time(1_725_148_800_000)),
        ("BillingPeriodEnd", time(1_727_740_800_000)),
        ("ChargeCategory", repeat("Usage")),
        ("ChargePeriodStart", time(1_725_235_200_000)),
        ("ChargePeriodEnd", time(1_725_321_600_000)),
        ("ContractedCost", Arc::new(decimals) as ArrayRef),
        ("EffectiveCost", float([0.1, 0.2, f64::NAN])),
        ("InvoiceId", repeat("INV")),
        ("ListCost", float([0.3, 0.3, 0.3])),
        ("ProviderName", repeat("AWS")),
        ("Tags", Arc::new(tags.finish()) as ArrayRef),
        ("x_Discounts", repeat("{}")),
    ])
    .expect("batch");
    let path = temp.path().join("f.snappy.parquet");
    let out = std::fs::File::create(&path).expect("create");
    let mut writer = parquet::arrow::ArrowWriter::try_new(out, batch.schema(), None).expect("writer");
    writer.write(&batch).expect("write");
    writer.close().expect("close");
    let landed = land(&path).await.expect("lands");
    assert_eq!(landed.source, "focus_1_2");
    assert_eq!(landed.sum("billed_cost").0, "0.3");
    assert_eq!(landed.money("contracted_cost", 0).as_deref(), Some("1.2345"));
    assert_eq!(landed.instant("charge_period_start", 0), 1_725_235_200_000_000);
    assert_eq!(landed.text("tags", 1), Some(r#"{"env":"te\"st"}"#));
    assert_eq!(landed.text("x_columns", 0), Some(r#"{"x_Discounts":"{}"}"#));
    // NaN is no amount.
    assert_eq!(
        (landed.rejected.len(), landed.rejected[0].source_row, landed.rejected[0].column.as_deref()),
        (1, 3, Some("EffectiveCost"))
    );
}

#[tokio::test]
async fn rows_keep_their_numbers_across_chunks() {
    let temp = folder();
    // More than 8 MiB: several chunks. Cost of row n is n millionths; every 10,000th row is short.
    let rows: u64 = 70_000;
    let mut text = focus(&[]);
    let mut expected: i128 = 0;
    for n in 1..=rows {
        if n % 10_000 == 0 {
            text.push_str("short\n");
        } else {
            expected += i128::from(n) * 1_000_000_000_000;
            text.push_str(&row(&format!("{n}e-6"), &format!("n{n}")));
            text.push('\n');
        }
    }
    assert!(text.len() > 8 << 20);
    let landed = land(&file(&temp, "f.csv", text.as_bytes())).await.expect("lands");
    assert_eq!(landed.sum("billed_cost").0, plain(expected));
    let found: Vec<i64> = landed.rejected.iter().map(|r| r.source_row).collect();
    assert_eq!(found, [10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000]);
    // A whole row has two lines, a short one has one: row 20,000 begins after the header, 19,998 whole rows and one short one.
    assert!(
        landed.rejected[1].reason.ends_with(&format!("(line {})", 1 + 2 * 19_998 + 1 + 1)),
        "{}",
        landed.rejected[1].reason
    );
    for (at, source_row) in landed.source_rows().into_iter().enumerate() {
        assert_eq!(landed.text("x_columns", at), Some(format!("{{\"x_Note\":\"n{source_row}\"}}").as_str()));
    }
}

#[tokio::test]
async fn a_field_beyond_its_limit_costs_its_row() {
    let temp = folder();
    let long = "x".repeat((1 << 20) + 1);
    let landed = land(&file(&temp, "f.csv", focus(&[&row("1", "a"), &row("2", &long), &row("4", "c")]).as_bytes()))
        .await
        .expect("lands");
    assert_eq!(landed.sum("billed_cost").0, "5");
    assert_eq!((landed.rejected.len(), landed.rejected[0].source_row), (1, 2));
    assert!(landed.rejected[0].reason.starts_with("has a field of 1048577 bytes"));
}

#[tokio::test]
async fn nulls_are_spelt_as_the_source_spells_them() {
    let temp = folder();
    let line = row("1", "NULL").replace(",Acme,", ",None,").replace("INV", "\"\"");
    let landed = land(&file(&temp, "f.csv", focus(&[&line]).as_bytes())).await.expect("lands");
    // NULL and a quoted empty cell are null in FOCUS files; None is a name.
    assert_eq!(landed.text("x_columns", 0), None);
    assert_eq!(landed.text("invoice_id", 0), None);
    assert_eq!(landed.text("provider_name", 0), Some("None"));
}

#[tokio::test]
async fn amounts_beyond_18_places_are_rounded_once_and_counted() {
    let temp = folder();
    let rows = [
        row("0.0000000000000000005", "a"),
        row("0.1000000000000000000000", "b"),
        row("1e-19", "c").replace("2024-09-02T", "x"),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let landed = land(&file(&temp, "f.csv", focus(&rows).as_bytes())).await.expect("lands");
    // Half of the last place goes to even, 0; a trailing zero is no digit; the third row is rejected.
    assert_eq!((landed.sum("billed_cost").0.as_str(), landed.lossy_rows, landed.rejected.len()), ("0.1", 1, 1));
}
