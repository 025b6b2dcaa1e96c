//! CUR 2.0 and the FOCUS export of AWS, as Data Exports delivers them.

use ratehouse::lake::schema::USAGE_DECIMALS;
use ratehouse::landing::{LandingError, LocalOnly, discover};

use super::{Landed, data, file, folder, land, plain, read};

/// Σ of a column over the usage rows of these source rows.
fn sum_of(landed: &Landed, column: &str, source_rows: &[i64]) -> i128 {
    let rows = landed.source_rows();
    let picked = (0..rows.len()).filter(|row| source_rows.contains(&rows[*row]));
    picked.filter_map(|row| landed.money(column, row)).map(|text| units(&text)).sum()
}

/// Units of 1e-9: the made file has no more digits.
fn units(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<9}").parse().expect("at most nine places")
}

#[tokio::test]
async fn a_cur_with_commitments_nets_to_the_providers_total() {
    let landed = land(&data("aws/cur2_commitments.csv")).await.expect("lands");
    assert_eq!((landed.raw.rows, landed.raw.rejected_rows, landed.raw.usage_rows), (18, 0, 21));
    // 0.864 on demand after discount + plan fees 2 × 0.9 + 525.6 + reservation 54 + 328.5 + marketplace 7.5
    // − credit 12.345678901 − refund 0.4 + tax 61.83.
    assert_eq!(landed.sum("billed_cost").0, "967.348321099");
    // Rows 3 to 8: two days of a plan. What it covers is billed and taken back; its fees remain.
    assert_eq!(sum_of(&landed, "billed_cost", &[3, 4, 6, 7]), 0);
    assert_eq!(sum_of(&landed, "billed_cost", &[5, 8]), units("1.8"));
    // Used 1.2 + 0.9 and unused 0.3 + 0.6 are two commitments of 1.5, each counted once.
    assert_eq!(sum_of(&landed, "effective_cost", &[3, 4, 5, 6, 7, 8]), units("3"));
    assert_eq!(sum_of(&landed, "list_cost", &[3, 4, 6, 7]), units("3.36"));
    assert_eq!(sum_of(&landed, "consumed_quantity", &[3, 4, 6, 7]), units("17.5"));
    // The upfront fee is billed once and has no effective cost: each hour's commitment has its share.
    assert_eq!((sum_of(&landed, "billed_cost", &[9]), sum_of(&landed, "effective_cost", &[9])), (units("525.6"), 0));
    // The reservation: 10 hours at 0.1125 used, 710 hours unused, 720 hours together: 54 + 27.
    assert_eq!(sum_of(&landed, "effective_cost", &[10, 11, 12]), units("81"));
    assert_eq!(sum_of(&landed, "billed_cost", &[10, 11, 12]), units("382.5"));
    // A private discount is in the net cost of the line, so its own line is 0; on demand stays what it was.
    assert_eq!(sum_of(&landed, "billed_cost", &[1, 2]), units("0.864"));
    assert_eq!(sum_of(&landed, "effective_cost", &[1, 2]), units("0.864"));
    assert_eq!(sum_of(&landed, "list_cost", &[1, 2]), units("0.96"));
    assert_eq!(
        landed.text("tags", 0),
        Some(r#"{"app":"shop","aws_created_by":"root","costCategory/Charge type":"Usage"}"#)
    );
    assert_eq!(landed.text("service_name", 0), Some("Amazon Elastic Compute Cloud"));
    assert_eq!(landed.text("sub_account_name", 0), Some("shop"));
}

#[tokio::test]
async fn split_cost_allocation_is_kept_and_counted_once() {
    let landed = land(&data("aws/cur2_commitments.csv")).await.expect("lands");
    for column in ["billed_cost", "effective_cost", "list_cost", "contracted_cost", "pricing_quantity"] {
        assert_eq!(sum_of(&landed, column, &[17, 18]), 0, "{column}");
    }
    let at = landed.source_rows().iter().position(|row| *row == 18).expect("row");
    let kept = landed.text("x_columns", at).expect("columns");
    for part in [
        r#""x_split_line_item_parent_resource_id":"i-0aa""#,
        r#""x_split_line_item_split_cost":"0.6""#,
        r#""x_split_line_item_net_unused_cost":"0.108""#,
    ] {
        assert!(kept.contains(part), "{kept}");
    }
    // A split row that bills something would be billed beside its parent.
    let temp = folder();
    let text = std::fs::read_to_string(data("aws/cur2_commitments.csv")).expect("sample");
    let header: Vec<&str> = text.lines().next().expect("header").split(',').collect();
    let net = header.iter().position(|name| *name == "line_item_net_unblended_cost").expect("column");
    let last = text.lines().last().expect("row");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(last.as_bytes());
    let mut cells: Vec<String> =
        reader.records().next().expect("row").expect("csv").iter().map(str::to_owned).collect();
    cells[net] = "0.72".to_owned();
    let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    let changed = text.replace(last, &quoted.join(","));
    let landed = land(&file(&temp, "cur.csv", changed.as_bytes())).await.expect("lands");
    assert_eq!((landed.rejected.len(), landed.rejected[0].source_row), (1, 18));
    assert!(landed.rejected[0].reason.contains("split cost allocation"), "{}", landed.rejected[0].reason);
    assert_eq!(plain(landed.raw.provider_cost.to_i128().expect("small")), "968.068321099");
}

#[tokio::test]
async fn cur_2_0_says_the_same_in_parquet() {
    let csv = land(&data("aws/cur2_commitments.csv")).await.expect("lands");
    let parquet = land(&data("aws/cur2_commitments.snappy.parquet")).await.expect("lands");
    assert_eq!((parquet.source.as_str(), parquet.raw), ("aws_cur_legacy", csv.raw));
    for column in USAGE_DECIMALS {
        assert_eq!(parquet.sum(column), csv.sum(column), "{column}");
    }
    // Row groups are batches: rows of a batch are followed by those of its commitments that were not used.
    let order = |landed: &Landed| {
        let rows = landed.source_rows();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|row| (rows[*row], landed.text("commitment_discount_status", *row) == Some("Unused")));
        order
    };
    for (a, b) in order(&csv).into_iter().zip(order(&parquet)) {
        for column in ["tags", "service_name", "charge_category", "commitment_discount_id", "resource_id", "region_id"]
        {
            assert_eq!(parquet.text(column, b), csv.text(column, a), "{column} of row {a}");
        }
        for column in ["billing_period_start", "charge_period_start", "charge_period_end"] {
            assert_eq!(parquet.instant(column, b), csv.instant(column, a), "{column} of row {a}");
        }
    }
    let discounts = parquet.text("x_columns", 0).expect("columns");
    assert!(discounts.contains(r#""x_discount":"{\"edp\":\"-0.096\"}""#), "{discounts}");
}

#[tokio::test]
async fn the_focus_export_of_aws_is_exact_though_its_numbers_are_doubles() {
    let landed = land(&data("focus/aws_focus_1_2.snappy.parquet")).await.expect("lands");
    assert_eq!((landed.source.as_str(), landed.raw.rows, landed.rejected.len()), ("focus_1_2", 6, 0));
    // 0.1 + 0.2 + 1.23e-9 + 0 + 1.5 + 123456789.12, as written; as doubles 0.1 + 0.2 alone is not 0.3.
    assert_eq!(landed.sum("billed_cost").0, "123456790.92000000123");
    assert_eq!(landed.sum("effective_cost").0, "123456790.62000000123");
    assert_eq!(landed.money("list_unit_price", 0).as_deref(), Some("0.3333333333333333"));
    assert_eq!(landed.text("tags", 0), Some(r#"{"app":"shop","quote":"a\"b"}"#));
    assert_eq!(landed.text("tags", 1), None);
    assert_eq!(landed.text("sku_price_details", 0), Some(r#"{"volumeType":"Standard"}"#));
    let kept = landed.text("x_columns", 0).expect("columns");
    assert!(kept.contains(r#""x_Discounts":"{\"EDP\":\"-0.01\"}""#) && kept.contains(r#""x_ServiceCode":"AmazonS3""#));
    assert!(landed.text("x_columns", 1).expect("columns").contains(r#""x_Operation":"None""#));
    // 2026-05-02: 1777680000.
    assert_eq!(landed.instant("charge_period_start", 0), 1_777_680_000_000_000);
}

/// A Data Exports folder; `run` is empty where the export overwrites.
fn export(temp: &tempfile::TempDir, run: &str, parts: &[(&str, &str)]) {
    let period = format!("shop/data/BILLING_PERIOD=2026-06/{run}");
    let mut keys = Vec::new();
    for (name, text) in parts {
        file(temp, &format!("{period}{name}"), &super::gzip(text.as_bytes()));
        keys.push(format!("\"s3://bucket/exports/{period}{name}\""));
    }
    let manifest = format!("{{\"executionId\": \"{run}\", \"dataFiles\": [{}]}}", keys.join(", "));
    file(temp, &format!("shop/metadata/BILLING_PERIOD=2026-06/{run}shop-Manifest.json"), manifest.as_bytes());
}

#[tokio::test]
async fn both_layouts_of_data_exports_are_read_by_the_manifest_once() {
    let text = std::fs::read_to_string(data("aws/cur2_commitments.csv")).expect("sample");
    let (header, rows) = text.split_once('\n').expect("header");
    let rows: Vec<&str> = rows.lines().collect();
    let part = |rows: &[&str]| format!("{header}\n{}\n", rows.join("\n"));
    let (first, second) = (part(&rows[..9]), part(&rows[9..]));
    for (runs, count) in [(vec![""], 1), (vec!["20260602T030405Z-bbbb/", "20260614T030405Z-aaaa/"], 2)] {
        let temp = folder();
        for (i, run) in runs.iter().enumerate() {
            // An older run has only the first rows.
            let parts = [("shop-00001.csv.gz", first.as_str()), ("shop-00002.csv.gz", second.as_str())];
            export(&temp, run, if i + 1 == count { &parts[..] } else { &parts[..1] });
        }
        let found = discover(&[temp.path().display().to_string()], &LocalOnly).await.expect("found");
        assert_eq!(found.len(), 1, "{runs:?}");
        assert_eq!(found[0].parts.len(), 2, "{runs:?}");
        let made_at = found[0].manifest.as_ref().and_then(|m| m.created_at.clone());
        assert_eq!(made_at.as_deref(), (count == 2).then_some("2026-06-14T03:04:05.000000Z"));
        let landed = read(found.into_iter().next().expect("one"), &super::built_in(), None).await.expect("lands");
        assert_eq!(landed.sum("billed_cost").0, "967.348321099", "{runs:?}");
        // The part that its manifest names is gone.
        let gone = format!("shop/data/BILLING_PERIOD=2026-06/{}shop-00002.csv.gz", runs.last().expect("run"));
        std::fs::remove_file(temp.path().join(gone)).expect("removed");
        let missing = discover(&[temp.path().display().to_string()], &LocalOnly).await;
        assert!(matches!(missing, Err(LandingError::MissingPart { .. })), "{runs:?}");
    }
}
