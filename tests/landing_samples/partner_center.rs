//! Partner Center: published amounts stay, the month is the invoice's, and the formulas are checked to the cent.

use arrow::array::AsArray;
use arrow::datatypes::Decimal128Type;
use ratehouse::landing::RejectedPlace;

use super::{Landed, data, file, folder, gzip, land, plain};

const INVOICE: &str = "partner_center/invoice_reconciliation.csv";

/// The charge of a source row, and its tax if it has one.
fn rows_of(landed: &Landed, source_row: i64) -> Vec<usize> {
    let numbers = landed.source_rows();
    (0..numbers.len()).filter(|row| numbers[*row] == source_row).collect()
}

fn day(text: &str) -> i64 {
    let date: chrono::NaiveDate = text.parse().expect("a date");
    date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros()
}

#[tokio::test]
async fn f10_a_usage_line_is_what_its_formula_gives_and_its_tax_is_a_row_of_its_own() {
    let landed = land(&data(INVOICE)).await.expect("lands");
    let [line, tax] = rows_of(&landed, 1)[..] else { panic!("a line and its tax") };
    // ROUNDDOWN(0.0451 × 1000.337, 2) = 45.11; ROUNDDOWN(45.11 × 0.9137, 2) = 41.21.
    assert_eq!(landed.money("billed_cost", line).as_deref(), Some("41.21"));
    assert_eq!(landed.money("pricing_currency_contracted_unit_price", line).as_deref(), Some("0.0451"));
    // 0.0451 × 0.9137 = 0.04120787.
    assert_eq!(landed.money("contracted_unit_price", line).as_deref(), Some("0.04120787"));
    assert_eq!(landed.money("pricing_quantity", line).as_deref(), Some("1000.337"));
    assert_eq!(landed.text("charge_category", line), Some("Usage"));
    assert_eq!(landed.text("pricing_currency", line), Some("USD"));
    assert_eq!(
        landed.text("sku_price_id", line),
        Some("DZH318Z0BNZ5:006G:DZH318Z08B80:One-Month commitment for monthly billing")
    );
    assert_eq!(landed.text("charge_category", tax), Some("Tax"));
    assert_eq!(landed.money("billed_cost", tax).as_deref(), Some("7.83"));
    assert_eq!(landed.money("pricing_quantity", tax), None);
    for row in [line, tax] {
        assert_eq!(landed.text("billing_account_id", row), Some("0e195b37-4574-4539-bc42-0e539b9684c0/EUR"));
        assert_eq!(landed.text("invoice_id", row), Some("G012345678"));
    }
    // No tax, no row: a credit with 0 and a line with nothing.
    assert_eq!((rows_of(&landed, 10).len(), rows_of(&landed, 11).len()), (1, 1));
}

#[tokio::test]
async fn f13_a_seat_added_for_29_of_30_days_is_a_credit_and_a_rebill_as_published() {
    let landed = land(&data(INVOICE)).await.expect("lands");
    // 4.00 × 29 / 30 = 3.8666..., published as 3.87 a seat: one credited, two billed.
    let amounts = landed.usage.column_by_name("billed_cost").expect("billed_cost").as_primitive::<Decimal128Type>();
    let mut total = 0;
    for (source_row, billed, quantity) in [(2, "4", "1"), (3, "-3.87", "-1"), (4, "7.74", "2")] {
        let row = rows_of(&landed, source_row)[0];
        assert_eq!(landed.money("billed_cost", row).as_deref(), Some(billed), "row {source_row}");
        assert_eq!(landed.money("pricing_quantity", row).as_deref(), Some(quantity), "row {source_row}");
        assert_eq!(landed.text("charge_category", row), Some("Purchase"), "row {source_row}");
        total += amounts.value(row);
    }
    // 4.00 − 3.87 + 7.74.
    assert_eq!(plain(total), "7.87");
    let row = rows_of(&landed, 3)[0];
    assert_eq!(landed.money("contracted_unit_price", row).as_deref(), Some("3.87"));
    // 10/2 to 10/30 inclusive.
    assert_eq!(landed.instant("charge_period_start", row), day("2025-10-02"));
    assert_eq!(landed.instant("charge_period_end", row), day("2025-10-31"));
}

#[tokio::test]
async fn lines_of_months_before_are_of_the_invoices_month() {
    let landed = land(&data(INVOICE)).await.expect("lands");
    for source_row in [6, 7] {
        for row in rows_of(&landed, source_row) {
            assert!(landed.instant("charge_period_start", row) < day("2025-10-01"));
            assert_eq!(landed.instant("billing_period_start", row), day("2025-10-01"));
            assert_eq!(landed.instant("billing_period_end", row), day("2025-11-01"));
        }
    }
    // A month that has not begun is a misprint: it does not take the invoice with it.
    let temp = folder();
    let text = std::fs::read_to_string(data(INVOICE))
        .expect("sample")
        .replace(",10/15/2025,11/14/2025,", ",10/15/2099,11/14/2099,");
    let misprinted = land(&file(&temp, "invoice.csv", text.as_bytes())).await.expect("lands");
    let row = rows_of(&misprinted, 5)[0];
    assert_eq!(misprinted.instant("charge_period_start", row), day("2099-10-15"));
    assert_eq!(misprinted.instant("billing_period_start", row), day("2025-10-01"));
}

#[tokio::test]
async fn lines_that_contradict_themselves_are_kept_and_noted_and_one_that_is_no_number_is_rejected() {
    let landed = land(&data(INVOICE)).await.expect("lands");
    // 10.10 × 3 = 30.30, published 30.31; 5.00 + 0.95 = 5.95, published 5.94.
    let billed: Vec<_> =
        [8, 9].map(|row| landed.money("billed_cost", rows_of(&landed, row)[0])).into_iter().flatten().collect();
    assert_eq!(billed, ["30.31", "5"]);
    let noted: Vec<_> = landed.noted.iter().map(|note| (note.rows, note.first, note.says.split(' ').next())).collect();
    assert_eq!(noted, [(1, (0, 8), Some("Subtotal")), (1, (0, 9), Some("Total"))]);
    let rejected = &landed.rejected[0];
    assert_eq!((rejected.source_row, rejected.column.as_deref()), (12, Some("Subtotal")));
    // The query fails at that row as a whole: where it belongs is not known, so that it stands against every close.
    assert_eq!(rejected.place, RejectedPlace::default());
}

#[tokio::test]
async fn a_reseller_id_that_says_nothing_is_null_and_a_clock_at_the_end_of_the_day_ends_it() {
    let landed = land(&data(INVOICE)).await.expect("lands");
    let x = |source_row| landed.text("x_columns", rows_of(&landed, source_row)[0]).expect("columns");
    // -1, the partner's own id, another one.
    assert!(!x(1).contains("x_reseller_mpn_id") && !x(5).contains("x_reseller_mpn_id"));
    assert!(x(6).contains("\"x_reseller_mpn_id\":\"6048879\""), "{}", x(6));
    // The description of a price adjustment is JSON in text.
    let columns: serde_json::Value = serde_json::from_str(x(1)).expect("JSON");
    let adjustments = columns["x_price_adjustment_description"].as_str().expect("text");
    let adjustments: Vec<String> = serde_json::from_str(adjustments).expect("JSON in text");
    assert_eq!(adjustments, ["15.0% Partner earned credit for services managed"]);
    // 10/4/2025 0:00 to 11/3/2025 23:59.
    let row = rows_of(&landed, 11)[0];
    assert_eq!(landed.instant("charge_period_start", row), day("2025-10-04"));
    assert_eq!(landed.instant("charge_period_end", row), day("2025-11-04"));
}

#[tokio::test]
async fn daily_usage_of_an_azure_plan_is_of_the_subscription_that_its_entitlement_names() {
    let landed = land(&data("partner_center/daily_rated_usage.csv")).await.expect("lands");
    assert_eq!(landed.text("sub_account_id", 0), Some("1234547f-b249-4edd-9319-637862d8c0b4"));
    assert_eq!(landed.text("sub_account_name", 0), Some("Shop production"));
    // Without an entitlement the plan itself.
    assert_eq!(landed.text("sub_account_id", 3), Some("307628f1-d9d2-f09c-ea1f-4183f0cae308"));
    assert_eq!(landed.text("tags", 0), Some(r#"{"env":"prod","cost center":"4711"}"#));
    assert_eq!(landed.text("tags", 1), Some(r#"{"env":"prod"}"#));
    // Row 1 is not rounded, row 2 is 20.603935 cut, row 3 is −0.4120787 cut downwards; row 4 is 0.4120787 and says 0.43.
    let billed: Vec<_> = (0..4).filter_map(|row| landed.money("billed_cost", row)).collect();
    assert_eq!(billed, ["20.61782205219", "20.6", "-0.42", "0.43"]);
    let noted: Vec<_> = landed.noted.iter().map(|note| (note.rows, note.first)).collect();
    assert_eq!(noted, [(1, (0, 4))]);
}

#[tokio::test]
async fn utilization_records_have_quantities_and_no_cost() {
    let landed = land(&data("partner_center/azure_utilization.jsonl")).await.expect("lands");
    assert_eq!(landed.source, "partner_center_utilization");
    // Of seven records the fifth is of August, a month before what was asked for, and the seventh says "1,5".
    assert_eq!(landed.source_rows(), [1, 2, 3, 4, 6]);
    let rejected: Vec<_> = landed.rejected.iter().map(|row| (row.source_row, row.column.as_deref())).collect();
    assert_eq!(rejected, [(7, Some("quantity"))]);
    // As they are written; 0.24 of 100 hours, 12 of 10,000 operations.
    let quantities: Vec<_> = (0..5).filter_map(|row| landed.money("consumed_quantity", row)).collect();
    assert_eq!(quantities, ["0.217790327034891", "0.3", "24", "120000", "0.000001"]);
    assert_eq!(landed.text("consumed_unit", 2), Some("Hours"));
    for cost in ["billed_cost", "effective_cost", "list_cost", "contracted_cost"] {
        assert_eq!(landed.sum(cost), ("0".to_owned(), 5), "{cost}");
    }
    assert_eq!((landed.text("billing_currency", 0), landed.money("list_unit_price", 0)), (None, None));
    // Midnight in UTC begins September: 17:00 of 31 August seven hours to the west.
    assert_eq!(landed.instant("charge_period_start", 0), day("2025-09-01"));
    assert_eq!(landed.instant("billing_period_start", 0), day("2025-09-01"));
    assert_eq!(landed.instant("billing_period_start", 1), day("2025-10-01"));
    // The subscription of the resource's URI; without one Partner Center's.
    assert_eq!(landed.text("sub_account_id", 0), Some("1234547f-b249-4edd-9319-637862d8c0b4"));
    assert_eq!(landed.text("sub_account_id", 3), Some("c5a1f0de-8f33-4f0e-a6c1-0d2f9f1b7a55"));
    assert_eq!(landed.text("tags", 0), Some(r#"{"env":"prod"}"#));
    assert_eq!(landed.text("service_name", 2), Some("Virtual Machines"));
    let marketplace = landed.usage.column_by_name("marketplace").expect("marketplace").as_boolean();
    assert_eq!((marketplace.value(0), marketplace.value(4)), (false, true));
    let columns: serde_json::Value = serde_json::from_str(landed.text("x_columns", 4).expect("columns")).expect("JSON");
    assert_eq!((columns["x_part_number"].as_str(), columns.get("x_reported_from")), (Some("contoso-fw"), None));
}

#[tokio::test]
async fn the_export_of_the_graph_is_the_same_invoice() {
    let temp = folder();
    let text = std::fs::read_to_string(data("partner_center/invoice_line_items.jsonl")).expect("sample");
    let lines: Vec<&str> = text.lines().collect();
    // Two blobs that a manifest names; one of an older run lies beside them. What is null in the file is an empty text here.
    for (name, lines) in
        [("part-0.json.gz", &lines[..7]), ("part-1.json.gz", &lines[7..]), ("old.json.gz", &lines[..1])]
    {
        file(&temp, &format!("run/{name}"), &gzip(lines.join("\n").as_bytes()));
    }
    let manifest = r#"{"id": "1", "schemaVersion": "2", "dataFormat": "compressedJSON", "createdDateTime": "2025-11-08T06:00:00Z",
        "partnerTenantId": "0e195b37-4574-4539-bc42-0e539b9684c0", "rootDirectory": "run", "partitionType": "default", "blobCount": 2,
        "blobs": [{"name": "part-0.json.gz", "partitionValue": "default"}, {"name": "part-1.json.gz", "partitionValue": "default"}]}"#;
    file(&temp, "run/manifest.json", manifest.as_bytes());
    let exported = land(&temp.path().join("run")).await.expect("lands");
    let written = land(&data(INVOICE)).await.expect("lands");
    assert_eq!(exported.source, "partner_center_invoice");
    for column in ratehouse::lake::schema::USAGE_DECIMALS {
        assert_eq!(exported.sum(column), written.sum(column), "{column}");
    }
    let periods = |landed: &Landed| -> Vec<i64> {
        (0..landed.usage.num_rows()).map(|row| landed.instant("billing_period_start", row)).collect()
    };
    assert!(periods(&exported).iter().all(|period| *period == day("2025-10-01")));
    assert_eq!(periods(&exported).len(), 20);
    let noted: Vec<_> = exported.noted.iter().map(|note| (note.rows, note.first)).collect();
    // Lines 8 and 9 are the first two of the second blob.
    assert_eq!(noted, [(1, (1, 1)), (1, (1, 2))]);
    assert_eq!((exported.rejected.len(), exported.rejected[0].source_row), (1, 5));
    let row = (0..20).find(|row| exported.money("billed_cost", *row).as_deref() == Some("749.23")).expect("the WAF");
    assert_eq!(exported.text("x_columns", row).map(|x| x.contains("reseller_mpn_id")), Some(false));
    assert_eq!(exported.instant("charge_period_end", row), day("2025-11-04"));
}
