//! JSON lines and nested columns, and Google's export in all its forms.

use arrow::array::AsArray;
use ratehouse::lake::schema::USAGE_DECIMALS;
use ratehouse::landing::LandingError;

use super::{Landed, data, file, folder, gzip, land, plain};

/// One line of Google's export with what a test changes in it.
fn line(changes: &[(&str, &str)]) -> String {
    let mut line = r#"{"billing_account_id":"01AB","service":{"id":"S","description":"Compute Engine"},"sku":{"id":"K"},"usage_start_time":"2026-03-02 00:00:00 UTC","usage_end_time":"2026-03-02 01:00:00 UTC","cost":1.5,"currency":"EUR","invoice":{"month":"202603"},"cost_type":"regular","credits":[]}"#.to_owned();
    for (from, to) in changes {
        assert!(line.contains(from), "{from}");
        line = line.replace(from, to);
    }
    line
}

async fn land_lines(lines: &[String]) -> Landed {
    let temp = folder();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    land(&file(&temp, "export.json", text.as_bytes())).await.expect("lands")
}

#[tokio::test]
async fn google_export_is_the_same_as_json_lines_csv_and_parquet() {
    let json = land(&data("gcp/detailed_export.jsonl")).await.expect("lands");
    for other in ["gcp/detailed_export_flat.csv", "gcp/detailed_export.parquet"] {
        let other_rows = land(&data(other)).await.expect(other);
        assert_eq!(other_rows.source, "gcp_billing_export");
        let totals = |l: &Landed| (l.raw.rows, l.raw.usage_rows, l.raw.provider_cost);
        assert_eq!(totals(&other_rows), totals(&json), "{other}");
        for column in USAGE_DECIMALS {
            assert_eq!(other_rows.sum(column), json.sum(column), "{other} {column}");
        }
        for column in ["tags", "resource_id", "charge_description", "sub_account_id", "charge_category", "service_name"]
        {
            let texts = |l: &Landed| {
                let rows = l.source_rows();
                let mut texts: Vec<_> =
                    (0..rows.len()).map(|r| (rows[r], l.text(column, r).map(str::to_owned))).collect();
                texts.sort();
                texts
            };
            assert_eq!(texts(&other_rows), texts(&json), "{other} {column}");
        }
    }
}

#[tokio::test]
async fn each_credit_is_a_row_and_nothing_is_cut_off_at_zero() {
    let landed = land(&data("gcp/detailed_export.jsonl")).await.expect("lands");
    let rows_of = |source_row: i64| -> Vec<usize> {
        (0..landed.usage.num_rows()).filter(|row| landed.source_rows()[*row] == source_row).collect()
    };
    let costs = |source_row: i64| -> Vec<(String, String)> {
        let cost = |row: &usize| landed.money("billed_cost", *row).expect("cost");
        let category = |row: &usize| landed.text("charge_category", *row).expect("category").to_owned();
        rows_of(source_row).iter().map(|row| (category(row), cost(row))).collect()
    };
    let pair = |category: &str, cost: &str| (category.to_owned(), cost.to_owned());
    assert_eq!(costs(1), [pair("Usage", "0.112"), pair("Credit", "-0.0612"), pair("Credit", "-0.0000001")]);
    // The credit is larger than the cost: together −3.25.
    assert_eq!(costs(3), [pair("Usage", "2.25"), pair("Credit", "-5.5")]);
    assert_eq!(costs(6), [pair("Tax", "1.31")]);
    assert_eq!(costs(7), [pair("Adjustment", "-0.25")]);
    assert_eq!(costs(8), [pair("Adjustment", "-0.003")]);
    let [usage, committed, _] = rows_of(1)[..] else { panic!("three rows") };
    assert_eq!(landed.text("commitment_discount_id", committed), Some("cud-1"));
    assert_eq!(landed.text("commitment_discount_category", committed), Some("Usage"));
    assert_eq!(landed.text("charge_description", committed), Some("Committed usage discount for N2 cores"));
    assert_eq!(landed.money("pricing_quantity", committed), None);
    assert_eq!(landed.money("pricing_quantity", usage).as_deref(), Some("4"));
    // 0.028 an hour; list 0.14 / 4; 0.112 / 0.875.
    assert_eq!(landed.money("contracted_unit_price", usage).as_deref(), Some("0.028"));
    assert_eq!(landed.money("list_unit_price", usage).as_deref(), Some("0.035"));
    assert_eq!(landed.money("pricing_currency_effective_cost", usage).as_deref(), Some("0.128"));
    let tags = r#"{"env":"prod","team":"platform","project/team":"web","compute.googleapis.com/cores":"4"}"#;
    assert_eq!(landed.text("tags", usage), Some(tags));
    let kept = landed.text("x_columns", usage).expect("columns");
    for part in [r#""x_price_tier_start_amount":"0""#, r#""x_project_number":"123456789012""#, "x_project_ancestors"] {
        assert!(kept.contains(part), "{kept}");
    }
    let marketplace = landed.usage.column_by_name("marketplace").expect("marketplace").as_boolean();
    assert_eq!((marketplace.value(rows_of(9)[0]), marketplace.value(usage)), (true, false));
}

#[tokio::test]
async fn the_period_is_the_invoice_month_in_california() {
    let landed = land(&data("gcp/detailed_export.jsonl")).await.expect("lands");
    // 2026-03-01T08:00Z (winter time) to 2026-04-01T07:00Z (summer time).
    assert_eq!(landed.instant("billing_period_start", 0), 1_772_352_000_000_000);
    assert_eq!(landed.instant("billing_period_end", 0), 1_775_026_800_000_000);
    // Usage of 28 February 23:00Z that March invoices keeps its own time.
    let late = landed.source_rows().iter().position(|row| *row == 5).expect("row");
    assert_eq!(landed.instant("charge_period_start", late), 1_772_319_600_000_000);
    assert_eq!(landed.instant("billing_period_start", late), 1_772_352_000_000_000);
    // December ends in January.
    let landed = land_lines(&[line(&[("202603", "202512")])]).await;
    // 2025-12-01T08:00Z and 2026-01-01T08:00Z.
    assert_eq!(landed.instant("billing_period_start", 0), 1_764_576_000_000_000);
    assert_eq!(landed.instant("billing_period_end", 0), 1_767_254_400_000_000);
}

#[tokio::test]
async fn bad_lines_are_rejected_with_line_and_reason_and_the_rest_lands() {
    let credits = |n: usize| format!("[{}]", vec![r#"{"amount":-0.001}"#; n].join(","));
    let lines = [
        line(&[]),
        "{\"cost\": 1,".to_owned(),
        String::new(),
        line(&[("\"cost\":1.5", "\"cost\":\"1,5\"")]),
        line(&[("\"regular\"", "\"surprise\"")]),
        line(&[("\"202603\"", "\"2026-03\"")]),
        line(&[("\"credits\":[]", "\"credits\":{\"amount\":1}")]),
        line(&[("\"credits\":[]", &format!("\"credits\":{}", credits(1_001)))]),
        line(&[("\"credits\":[]", "\"credits\":[{\"amount\":\"x\"}]")]),
        line(&[("\"sku\"", "\"currency\":\"USD\",\"sku\"")]),
        line(&[("\"id\":\"K\"", "\"id\":\"K\\u0000\"")]),
        line(&[("\"credits\":[]", &format!("\"credits\":{}", credits(1_000)))]),
    ];
    let landed = land_lines(&lines).await;
    assert_eq!(landed.raw.rows, 11);
    let found: Vec<(i64, Option<&str>, &str)> =
        landed.rejected.iter().map(|r| (r.source_row, r.column.as_deref(), r.reason.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, None, "is not one JSON object in one line (line 2)"),
            (3, Some("cost"), "is not a decimal number (line 4)"),
            (4, None, "cost_type is one that this mapping does not know (line 5)"),
            (5, None, "invoice.month is empty or no month such as 202311 (line 6)"),
            (6, Some("credits"), "is not a JSON array (line 7)"),
            (7, Some("credits"), "has 1001 elements, 1000 are allowed (line 8)"),
            (8, None, "the mapping: a value is not a decimal number (line 9)"),
            (9, None, "has two members that both mean currency (line 10)"),
            (10, None, "has a text in sku.id that is no text (\\u0000, or half of a pair) (line 11)"),
        ]
    );
    // 1.5, and 1.5 with a thousand credits of 0.001.
    assert_eq!((landed.usage.num_rows(), landed.sum("billed_cost").0.as_str()), (1_002, "2"));
    // Rejected lines whose cost parses: 4, 5: 1.5 each; 7: 1.5 − 1.001; 6 and 8 have credits that do not.
    assert_eq!(plain(landed.raw.provider_cost.to_i128().expect("small")), "5.499");
    assert_eq!(landed.rejected[1].raw, lines[3]);
}

#[tokio::test]
async fn a_member_that_comes_late_counts_all_the_same() {
    // The first lines have neither credits nor a conversion rate; the last one, after the first megabyte, has both.
    let early = line(&[(",\"credits\":[]", "")]);
    let mut lines = vec![early.clone(); (1 << 20) / early.len() + 2];
    let credits = "\"credits\":[{\"amount\":-0.5}],\"new_member\":{\"deep\":7.50},\"currency_conversion_rate\":0.75";
    lines.push(line(&[("\"credits\":[]", credits)]));
    let landed = land_lines(&lines).await;
    assert!(landed.rejected.is_empty());
    // 1.5 for each line, −0.5 once.
    let expected = i128::try_from(lines.len()).expect("small") * 1_500_000_000_000_000_000 - 500_000_000_000_000_000;
    assert_eq!(landed.sum("billed_cost").0, plain(expected));
    let late = landed.usage.num_rows() - 1;
    assert_eq!(landed.text("charge_category", late), Some("Credit"));
    assert!(landed.text("x_columns", late).expect("columns").contains(r#""x_new_member_deep":"7.50""#));
    // −0.5 / 0.75.
    assert_eq!(landed.money("pricing_currency_effective_cost", late).as_deref(), Some("-0.666666666666666667"));
}

#[tokio::test]
async fn numbered_compressed_json_parts_are_one_delivery() {
    let temp = folder();
    let lines = [line(&[]), line(&[("1.5", "2.25")])];
    for (i, text) in lines.iter().enumerate() {
        file(&temp, &format!("export-00000000000{i}.json.gz"), &gzip(format!("{text}\r\n").as_bytes()));
    }
    let landed = land(temp.path()).await.expect("lands");
    assert_eq!((landed.raw.rows, landed.sum("billed_cost").0.as_str()), (2, "3.75"));
    let marked = file(&temp, "marked/export.jsonl", format!("\u{feff}{}", lines[0]).as_bytes());
    assert_eq!(land(&marked).await.expect("lands").sum("billed_cost").0, "1.5");
}

#[tokio::test]
async fn json_that_is_not_in_lines_is_refused_whole() {
    let temp = folder();
    let object = line(&[]);
    let cases: [(&str, String, &str); 4] = [
        ("array.json", format!("[{object}]"), "a JSON array"),
        ("marked.json", format!("\u{feff}[{object}]"), "a JSON array"),
        ("pretty.json", object.replace(',', ",\n"), "one object a line"),
        ("other.json", "{\"a\": 1}\n".to_owned(), "no source has this header"),
    ];
    for (name, text, says) in cases {
        let error = land(&file(&temp, name, text.as_bytes())).await.err().unwrap_or_else(|| panic!("{name} landed"));
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
    let cut = gzip(object.as_bytes());
    let error = land(&file(&temp, "cut.json.gz", &cut[..cut.len() - 9])).await.err().expect("cut");
    assert!(matches!(error, LandingError::Truncated { .. }), "{error}");
}

#[tokio::test]
async fn a_focus_file_of_json_lines_keeps_its_digits() {
    let temp = folder();
    let line = |cost: &str, tags: &str| {
        format!(
            r#"{{"BilledCost":{cost},"BillingAccountId":"0012","BillingCurrency":"USD","BillingPeriodStart":"2024-09-01T00:00:00Z","BillingPeriodEnd":"2024-10-01T00:00:00Z","ChargeCategory":"Usage","ChargePeriodStart":"2024-09-02T00:00:00Z","ChargePeriodEnd":"2024-09-03T00:00:00Z","ContractedCost":1,"EffectiveCost":"1","InvoiceId":null,"ListCost":1,"ProviderName":"Acme","Tags":{tags},"x_Note":"n"}}"#
        )
    };
    let rows = [line("0.100000000000000001", r#"{"env":"prod"}"#), line("1.00e-19", "{}"), line("\"NULL\"", "null")];
    let landed = land(&file(&temp, "focus.jsonl", rows.join("\n").as_bytes())).await.expect("lands");
    assert_eq!(landed.source, "focus_1_2");
    // A double would be 0.1; 1e-19 is beyond the 18th place: 0, and the row is counted.
    assert_eq!((landed.sum("billed_cost").0.as_str(), landed.lossy_rows), ("0.100000000000000001", 1));
    assert_eq!(landed.text("tags", 0), Some(r#"{"env":"prod"}"#));
    assert_eq!(landed.text("tags", 1), None);
    assert_eq!(landed.text("x_columns", 0), Some(r#"{"x_Note":"n"}"#));
    assert_eq!((landed.rejected.len(), landed.rejected[0].column.as_deref()), (1, Some("BilledCost")));
}
