//! What each native source means, on made lines with sums by hand and on the real samples.

use ratehouse::landing::SourceCatalog;
use serde_json::Value;

use super::{data, file, folder, land, land_with, plain};
use arrow::array::AsArray;

#[tokio::test]
async fn focus_1_0_sample_keeps_what_it_says() {
    let landed = land(&data("focus/focus_1_0_sample.csv")).await.expect("lands");
    assert_eq!(landed.text("provider_name", 0), Some("AWS"));
    assert_eq!(landed.text("service_provider_name", 0), Some("AWS"));
    assert_eq!(landed.text("billing_account_id", 0), Some("1234567890123"));
    // The file's first row: 2024-09-18 22:00:00 without a zone is UTC; 1726696800 s.
    assert_eq!(landed.instant("charge_period_start", 0), 1_726_696_800_000_000);
    assert_eq!(landed.money("list_unit_price", 0).as_deref(), Some("0.0000004"));
    // Id and PublisherName are no columns of FOCUS 1.4.
    assert_eq!(landed.text("x_columns", 0), Some(r#"{"x_publisher_name":"Amazon Web Services, Inc.","x_id":"11472"}"#));
    let keys = |tags: &str| serde_json::from_str::<serde_json::Map<String, Value>>(tags).expect("object");
    let has_both = (0..1000)
        .filter_map(|row| landed.text("tags", row))
        .any(|t| keys(t).contains_key("org") && keys(t).contains_key(" org"));
    assert!(has_both, "keys stay byte for byte");
}

#[tokio::test]
async fn aws_none_is_an_operation_and_tags_columns_fold() {
    let landed = land(&data("aws/cur_legacy_sample.csv")).await.expect("lands");
    let nones = (0..landed.usage.num_rows())
        .filter_map(|r| landed.text("x_columns", r))
        .filter(|x| x.contains(r#""x_line_item_operation":"None""#));
    // grep: 12 rows have the operation None.
    assert_eq!(nones.count(), 12);
    assert_eq!(landed.text("provider_name", 0), Some("AWS"));
    assert_eq!(landed.text("charge_category", 0), Some("Tax"));
    assert_eq!(landed.text("service_name", 0), Some("AWS CloudTrail"));
    assert_eq!(landed.text("service_category", 0), Some("Management and Governance"));
}

/// A CUR with every kind of line. Sums by hand below.
pub(super) const CUR_KINDS: &str = "\
identity/LineItemId,bill/PayerAccountId,bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,bill/BillingEntity,lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,lineItem/UsageAmount,lineItem/CurrencyCode,lineItem/UnblendedCost,lineItem/ResourceId,pricing/publicOnDemandCost,pricing/unit,reservation/ReservationARN,reservation/EffectiveCost,reservation/UnusedAmortizedUpfrontFeeForBillingPeriod,reservation/UnusedRecurringFee,reservation/UnusedQuantity,savingsPlan/SavingsPlanARN,savingsPlan/SavingsPlanEffectiveCost,savingsPlan/TotalCommitmentToDate,savingsPlan/UsedCommitment,resourceTags/user:app,resourceTags/aws:createdBy,costCategory/Charge type
1,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,Usage,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonEC2,1,USD,1.00,i-1,1.00,Hrs,,,,,,,,,,shop,me,A
2,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,SavingsPlanCoveredUsage,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonEC2,10,USD,5.00,i-2,5.00,Hrs,,,,,,arn:sp/1,3.50,,,,,
3,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,SavingsPlanNegation,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonEC2,10,USD,-5.00,i-2,-5.00,Hrs,,,,,,arn:sp/1,0,,,,,
4,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,000000000001,SavingsPlanRecurringFee,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,ComputeSavingsPlans,1,USD,4.00,,,,,,,,,arn:sp/1,,4.00,3.50,,,
5,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,DiscountedUsage,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonRDS,2,USD,0,db-1,0.80,Hrs,arn:ri/1,0.50,,,,,,,,,,
6,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,000000000001,RIFee,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AmazonRDS,720,USD,30.00,,,Hrs,arn:ri/1,,1.25,2.25,54,,,,,,,
7,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,000000000001,Fee,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AmazonRDS,1,USD,100.00,,,,arn:ri/1,,,,,,,,,,,
8,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS Marketplace,012345678901,Fee,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,abc123,1,USD,7.00,,,,,,,,,,,,,,,
9,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,Tax,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AmazonEC2,1,USD,0.70,,,,,,,,,,,,,,,
10,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,Credit,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonEC2,0,USD,-0.40,,,,,,,,,,,,,,,
11,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,Refund,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonEC2,0,USD,-0.10,,,,,,,,,,,,,,,
12,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,EdpDiscount,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonEC2,1,USD,-0.05,,,Hrs,,,,,,,,,,,,
13,000000000001,2023-11-01T00:00:00Z,2023-12-01T00:00:00Z,AWS,012345678901,Surcharge,2023-11-01T00:00:00Z,2023-11-01T01:00:00Z,AmazonEC2,1,USD,0.09,,,Hrs,,,,,,,,,,,,
";

#[tokio::test]
async fn cur_line_item_types_have_their_costs() {
    let temp = folder();
    let landed = land(&file(&temp, "cur.csv", CUR_KINDS.as_bytes())).await.expect("lands");
    let by_row = |row: i64| landed.source_rows().iter().position(|r| *r == row).expect("row");
    // (row, category, billed, effective, quantity)
    let expected = [
        (1, "Usage", "1", "1", Some("1")),
        (2, "Usage", "5", "3.5", Some("10")),
        (3, "Usage", "-5", "0", Some("0")),
        (4, "Purchase", "4", "0", Some("1")),
        (5, "Usage", "0", "0.5", Some("2")),
        (6, "Purchase", "30", "0", Some("720")),
        (7, "Purchase", "100", "0", Some("1")),
        (8, "Purchase", "7", "7", Some("1")),
        (9, "Tax", "0.7", "0.7", None),
        (10, "Credit", "-0.4", "-0.4", Some("0")),
        (11, "Usage", "-0.1", "-0.1", Some("0")),
        (12, "Usage", "-0.05", "-0.05", Some("0")),
    ];
    for (source_row, category, billed, effective, quantity) in expected {
        let row = by_row(source_row);
        assert_eq!(landed.text("charge_category", row), Some(category), "row {source_row}");
        assert_eq!(landed.money("billed_cost", row).as_deref(), Some(billed), "row {source_row}");
        assert_eq!(landed.money("effective_cost", row).as_deref(), Some(effective), "row {source_row}");
        assert_eq!(landed.money("pricing_quantity", row).as_deref(), quantity, "row {source_row}");
    }
    // What the plan (4.00 − 3.50) and the reservation (1.25 + 2.25) did not use: rows of their own.
    let unused: Vec<_> = (0..landed.usage.num_rows())
        .filter(|r| landed.text("commitment_discount_status", *r) == Some("Unused"))
        .collect();
    let costs: Vec<_> = unused
        .iter()
        .map(|r| (landed.source_rows()[*r], landed.money("billed_cost", *r), landed.money("effective_cost", *r)))
        .collect();
    assert_eq!(
        costs,
        [(4, Some("0".to_owned()), Some("0.5".to_owned())), (6, Some("0".to_owned()), Some("3.5".to_owned()))]
    );
    // 1+5−5+4+0+30+100+7+0.7−0.4−0.1−0.05 = 142.15; the rejected surcharge is 0.09.
    assert_eq!(landed.sum("billed_cost").0, "142.15");
    assert_eq!(plain(landed.raw.provider_cost.to_i128().expect("small")), "142.24");
    assert_eq!((landed.raw.rows, landed.raw.rejected_rows, landed.raw.usage_rows), (13, 1, 14));
    assert_eq!(landed.rejected[0].billed_cost, Some(90_000_000_000_000_000));
    assert!(landed.rejected[0].reason.contains("LineItemType") && landed.rejected[0].reason.contains("(line 14)"));
    assert_eq!(
        landed.text("tags", by_row(1)),
        Some(r#"{"app":"shop","aws:createdBy":"me","costCategory/Charge type":"A"}"#)
    );
    assert_eq!(landed.text("sub_account_id", by_row(1)), Some("012345678901"));
    assert!(landed.usage.column_by_name("marketplace").expect("marketplace").as_boolean().value(by_row(8)));
    assert_eq!(landed.text("charge_class", by_row(11)), Some("Correction"));
}

#[tokio::test]
async fn cur_of_athena_is_the_same_source() {
    let temp = folder();
    // a/BcdEf is a_bcd_ef in Athena tables and CUR 2.0; tag columns are resource_tags_user_x.
    let (header, rows) = CUR_KINDS.split_once('\n').expect("header");
    let snake: String = header
        .split(',')
        .map(|name| {
            let mut out = String::new();
            for c in name.chars() {
                match c {
                    '/' | ':' | ' ' => out.push('_'),
                    c if c.is_uppercase() => {
                        if !out.is_empty() && !out.ends_with('_') {
                            out.push('_');
                        }
                        out.extend(c.to_lowercase());
                    }
                    c => out.push(c),
                }
            }
            out
        })
        .collect::<Vec<_>>()
        .join(",");
    let landed = land(&file(&temp, "cur.csv", format!("{snake}\n{rows}").as_bytes())).await.expect("lands");
    assert_eq!(landed.source, "aws_cur_legacy");
    assert_eq!(landed.sum("billed_cost").0, "142.15");
    assert!(landed.text("tags", 0).expect("tags").contains(r#""app":"shop""#));
}

#[tokio::test]
async fn azure_ends_become_exclusive_and_tags_get_braces() {
    let landed = land(&data("azure/EA_ActualCost_Small.csv")).await.expect("lands");
    // 09/01/2023 .. 09/30/2023 inclusive: 1693526400 .. 1696118400; 09/21/2023 is one day: 1695254400 .. 1695340800.
    assert_eq!(landed.instant("billing_period_start", 0), 1_693_526_400_000_000);
    assert_eq!(landed.instant("billing_period_end", 0), 1_696_118_400_000_000);
    assert_eq!(landed.instant("charge_period_start", 0), 1_695_254_400_000_000);
    assert_eq!(landed.instant("charge_period_end", 0), 1_695_340_800_000_000);
    assert_eq!(landed.text("charge_category", 0), Some("Purchase"));
    let tags: Vec<_> = (0..11).filter_map(|r| landed.text("tags", r)).collect();
    assert_eq!(tags.len(), 9);
    assert!(tags.iter().all(|t| serde_json::from_str::<serde_json::Map<String, Value>>(t).is_ok()));
    // 10K: 0.0004 blocks are 4 requests.
    let row = (0..11).find(|r| landed.money("pricing_quantity", *r).as_deref() == Some("0.0004")).expect("row");
    assert_eq!(landed.money("consumed_quantity", row).as_deref(), Some("4"));
    assert_eq!(landed.text("provider_name", row), Some("Microsoft"));
}

#[tokio::test]
async fn an_amortized_row_in_an_actual_delivery_is_rejected() {
    let temp = folder();
    let bytes = std::fs::read(data("azure/EA_AmortizedCost_Small.csv")).expect("sample");
    let landed = land(&file(&temp, "export.csv", &bytes)).await.expect("lands");
    assert_eq!(landed.source, "azure_ea_actual");
    // Two rows have a commitment's pricing model and a cost.
    assert_eq!(landed.rejected.len(), 2);
    assert!(landed.rejected.iter().all(|r| r.reason.contains("--source azure_ea_amortized")));
    let named = land_with(
        &file(&temp, "export.csv", &bytes),
        &SourceCatalog::built_in().expect("built in"),
        Some("azure_ea_amortized"),
    )
    .await;
    assert_eq!(named.expect("lands").rejected.len(), 0);
}

#[tokio::test]
async fn azure_customer_agreement_prices_are_brought_to_the_billing_currency() {
    let landed = land(&data("azure/mca_ActualCost.csv")).await.expect("lands");
    assert_eq!(landed.text("billing_account_id", 0), Some("PROF-AAAA-BG7-TGB"));
    // 0.1 USD × 0.9; 24 hours of that; retail 2.592 as Microsoft says; 2.16 / 0.9.
    assert_eq!(landed.money("contracted_unit_price", 0).as_deref(), Some("0.09"));
    assert_eq!(landed.money("contracted_cost", 0).as_deref(), Some("2.16"));
    assert_eq!(landed.money("list_cost", 0).as_deref(), Some("2.592"));
    assert_eq!(landed.money("pricing_currency_effective_cost", 0).as_deref(), Some("2.4"));
    // Half a unit of 10K.
    assert_eq!(landed.money("consumed_quantity", 1).as_deref(), Some("5000"));
    let kinds: Vec<_> = (0..9).map(|row| landed.text("charge_category", row).expect("category")).collect();
    assert_eq!(kinds, ["Usage", "Usage", "Usage", "Usage", "Purchase", "Purchase", "Tax", "Adjustment", "Usage"]);
    assert_eq!(landed.text("commitment_discount_status", 3), Some("Used"));
    assert_eq!(landed.text("charge_class", 5), Some("Correction"));
    assert_eq!(landed.text("tags", 0), Some(r#"{"env":"prod","team":"web"}"#));
    // 05/31/2026 is the last day inside: 2026-06-01 is 1780272000. The last row names no period: June.
    assert_eq!(landed.instant("billing_period_end", 0), 1_780_272_000_000_000);
    assert_eq!(landed.instant("billing_period_start", 8), 1_780_272_000_000_000);
}

#[tokio::test]
async fn azure_customer_agreement_views_are_never_mistaken_for_one_another() {
    let temp = folder();
    let bytes = std::fs::read(data("azure/mca_AmortizedCost.csv")).expect("sample");
    let landed = land(&file(&temp, "export.csv", &bytes)).await.expect("lands");
    assert_eq!(landed.source, "azure_mca_actual");
    // Covered usage with a cost, and what the reservation did not use.
    assert_eq!(landed.rejected.iter().map(|r| r.source_row).collect::<Vec<_>>(), [4, 5]);
    assert!(landed.rejected.iter().all(|r| r.reason.contains("--source azure_mca_amortized")));
    let amortized = land(&data("azure/mca_AmortizedCost.csv")).await.expect("lands");
    let unused = (0..8).find(|row| amortized.text("commitment_discount_status", *row) == Some("Unused")).expect("row");
    assert_eq!(amortized.money("billed_cost", unused).as_deref(), Some("0"));
    assert_eq!(amortized.money("effective_cost", unused).as_deref(), Some("0.41"));
}

#[tokio::test]
async fn a_partners_export_without_account_and_period_lands_by_partner_and_month() {
    let landed = land(&data("azure/EnterpriseCamel.csv")).await.expect("lands");
    assert_eq!(landed.text("billing_account_id", 0), Some("PartnerName"));
    // 2021-02-01 and 2021-02-02.
    assert_eq!(landed.instant("billing_period_start", 0), 1_612_137_600_000_000);
    assert_eq!(landed.instant("charge_period_start", 0), 1_612_224_000_000_000);
    let partner = land(&data("azure/csp_partner.csv")).await.expect("lands");
    assert_eq!(partner.text("sub_account_name", 1), Some("Customer B"));
    let kept = partner.text("x_columns", 1).expect("columns");
    assert!(kept.contains(r#""x_customer_tenant_id":"tenant-b""#) && kept.contains(r#""x_reseller_mpn_id":"1234567""#));
}

#[tokio::test]
async fn azure_ea_header_dialects_are_one_source() {
    let temp = folder();
    let text = std::fs::read_to_string(data("azure/EA_ActualCost_Small.csv")).expect("sample");
    let (header, rows) = text.trim_start_matches('\u{feff}').split_once('\n').expect("header");
    let names: Vec<&str> = header.split(',').collect();
    let camel = |n: &&str| n[..1].to_lowercase() + &n[1..];
    let german = |n: &&str| format!("Spalte ({n})");
    let dialects: [(&str, Vec<String>); 3] = [
        ("camel.csv", names.iter().map(camel).collect()),
        ("german.csv", names.iter().map(german).collect()),
        ("lower.csv", names.iter().map(|n| n.to_lowercase()).collect()),
    ];
    let plain_sum = land(&data("azure/EA_ActualCost_Small.csv")).await.expect("lands").sum("billed_cost");
    for (name, header) in dialects {
        let crlf = rows.replace('\n', "\r\n");
        let landed = land(&file(&temp, name, format!("{}\r\n{crlf}", header.join(",")).as_bytes())).await.expect(name);
        assert_eq!(
            (landed.source.as_str(), landed.sum("billed_cost")),
            ("azure_ea_actual", plain_sum.clone()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn real_headers_are_recognised_or_refused() {
    let temp = folder();
    for (name, expected) in [
        ("aws_cur2_columns", Some("aws_cur_legacy")),
        ("aws_cur_athena_154", Some("aws_cur_legacy")),
        ("aws_cur_legacy_201", Some("aws_cur_legacy")),
        ("aws_cur_legacy_94", Some("aws_cur_legacy")),
        ("aws_focus12_export", Some("focus_1_2")),
        ("azure_csp_partner", Some("azure_mca_actual")),
        ("azure_ea_2023", Some("azure_ea_actual")),
        ("azure_ea_c360", Some("azure_ea_actual")),
        ("azure_mca", Some("azure_mca_actual")),
        ("azure_paygo_legacy", Some("azure_usage_details")),
        ("gcp_resource_v1_flat", Some("gcp_billing_export")),
        ("gcp_v1_flat", Some("gcp_billing_export")),
        ("oci_cost", Some("oci_cost_report")),
        ("partner_center_daily_rated_usage_55", Some("partner_center_daily_usage")),
        ("partner_center_nce_invoice_recon_46", Some("partner_center_invoice")),
    ] {
        let text = std::fs::read_to_string(data(&format!("headers/{name}.txt"))).expect(name);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let header = format!("{}\n", lines.join(","));
        let landed = land(&file(&temp, &format!("{name}.csv"), header.as_bytes())).await;
        assert_eq!(landed.as_ref().ok().map(|l| l.source.as_str()), expected, "{name}");
    }
}
