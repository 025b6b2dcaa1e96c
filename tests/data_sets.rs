//! What providers say beside cost and usage: periods, invoices and commitments land, are replaced, and hold or free a close.

use std::path::Path;

use ratehouse::warehouse::Landed;

use crate::fixture::{Fixture, Line, focus, refused, rows, run};

fn sample(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/focus").join(format!("synthetic_focus_1_4_{name}.csv"))
}

/// Billing periods of Globex: `month,status` a line.
fn periods(lines: &str) -> String {
    let rows: String = lines
        .lines()
        .map(|line| {
            let (month, status) = line.split_once(',').expect("a month and a status");
            let start: chrono::NaiveDate = format!("{month}-01").parse().expect("a month");
            let end = start + chrono::Months::new(1);
            format!("{start}T00:00:00Z,{end}T00:00:00Z,{end}T00:00:00Z,{start}T00:00:00Z,{status},Globex\n")
        })
        .collect();
    format!(
        "BillingPeriodCreated,BillingPeriodEnd,BillingPeriodLastUpdated,BillingPeriodStart,BillingPeriodStatus,InvoiceIssuerName\n{rows}"
    )
}

const INVOICE_HEADER: &str = "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,InvoiceDetailCreated,\
InvoiceDetailDescription,InvoiceDetailGrain,InvoiceDetailId,InvoiceDetailLastUpdated,InvoiceId,InvoiceIssueDate,InvoiceIssueStatus,InvoiceIssuerName,\
PaymentDueDate,PaymentTerms,ReferenceInvoiceId";

/// Lines of Globex' invoices of account B1 in USD: `month,invoice,line,amount,status` a line.
fn invoices(lines: &str) -> String {
    let rows: String = lines
        .lines()
        .map(|line| {
            let [month, invoice, detail, amount, status] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("{line} has five parts")
            };
            let start: chrono::NaiveDate = format!("{month}-01").parse().expect("a month");
            let end = start + chrono::Months::new(1);
            format!(
                "{amount},B1,USD,{end}T00:00:00Z,{start}T00:00:00Z,Usage,{end}T00:00:00Z,,,{detail},{end}T00:00:00Z,{invoice},{end}T00:00:00Z,{status},Globex,,Net 30,{invoice}\n"
            )
        })
        .collect();
    format!("{INVOICE_HEADER}\n{rows}")
}

async fn land(fixture: &Fixture, name: &str, content: &str) -> Landed {
    let path = fixture.file(name, content);
    fixture.land_path(&path).await.expect("it lands").remove(0)
}

/// A folder with a manifest that says when it was made.
async fn land_made_at(fixture: &Fixture, folder: &str, created_at: &str, content: &str) -> Landed {
    fixture.file(&format!("{folder}/part.csv"), content);
    let manifest = format!("{{\"created_at\": \"{created_at}\", \"files\": [\"part.csv\"]}}");
    let path = fixture.file(&format!("{folder}/manifest.json"), &manifest);
    fixture.land_path(&path).await.expect("it lands").remove(0)
}

async fn refusal(fixture: &Fixture, name: &str, content: &str) -> String {
    let path = fixture.file(name, content);
    fixture.land_path(&path).await.expect_err("it is refused").to_string()
}

const COMPARED: &str = "select billing_period, invoice_id, expected, actual, difference, status from ops.invoice_reconciliation order by 1, 2";

/// What stands against October.
async fn blockers(fixture: &Fixture) -> Vec<String> {
    let sql = "select blocker, scope, expected, actual from ops.close_blockers where billing_period = date '2025-10-01' order by 1, 2";
    rows(&fixture.admin(), sql).await
}

#[tokio::test]
async fn the_samples_land_as_they_are_and_the_invoices_are_those_of_the_cost_and_usage() {
    let fixture = Fixture::chain().await;
    for (name, source, count, units) in [
        ("billing_period", "focus_billing_period", 1, 1),
        ("invoice_detail", "focus_invoice_detail", 6, 2),
        ("contract_commitment", "focus_contract_commitment", 75, 75),
        ("cost_and_usage", "focus_1_4", 1000, 2),
    ] {
        let landed = fixture.land_path(&sample(name)).await.expect("it lands").remove(0);
        let Landed::Landed { source: found, rows, rejected_rows: 0, findings: 0, slices, .. } = landed else {
            panic!("{landed:?}")
        };
        assert_eq!((found.as_str(), rows, slices), (source, count, units));
    }
    let admin = fixture.admin();
    // By Python's decimal, of the cost and usage: sums of BilledCost by InvoiceId.
    assert_eq!(
        rows(&admin, COMPARED).await,
        [
            "2026-05-01|INV-2026-05-0001|11903.22717782717599|11903.22717782717599|0|ok",
            "2026-05-01|INV-2026-05-0002|11732.625175744698684|11732.625175744698684|0|ok",
        ]
    );
    let period = "select invoice_issuer_name, billing_period, billing_period_start, billing_period_end, billing_period_status, delivery_id from ops.provider_billing_periods";
    assert_eq!(rows(&admin, period).await, ["AWS|2026-05|2026-05-01T00:00:00Z|2026-06-01T00:00:00Z|Closed|1"]);
    // 46 of the 75 have no quantity; by Python's csv.
    let commitments = "select count(*), count(contract_commitment_quantity), count(contract_commitment_discount_percentage), count(distinct contract_id) from ops.contract_commitments";
    assert_eq!(rows(&admin, commitments).await, ["75|29|0|27"]);
    let scope = "select contract_commitment_applicability ->> 'IsComplexScope' from ops.contract_commitments limit 1";
    assert_eq!(rows(&admin, scope).await, ["true"]);
    let delivery = "select source, rows, billed_cost, state from ops.deliveries where delivery_id = 2";
    assert_eq!(rows(&admin, delivery).await, ["focus_invoice_detail|6|23635.852353571874674|landed"]);
    // The same file twice is nothing.
    let again = fixture.land_path(&sample("invoice_detail")).await.expect("it is known");
    assert!(matches!(again.as_slice(), [Landed::Known { delivery_id: 2, .. }]), "{again:?}");
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_newer_delivery_takes_the_place_of_an_invoice_and_of_no_other_and_the_past_can_be_read() {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    let first = "2025-10,I-1,1,700,Issued\n2025-10,I-1,2,10,Issued\n2025-10,I-2,1,5,Issued";
    land_made_at(&fixture, "first", "2025-11-02T00:00:00Z", &invoices(first)).await;
    let before = rows(&admin, "select max(snapshot_id) from ops.snapshots").await.remove(0);
    let corrected =
        land_made_at(&fixture, "corrected", "2025-11-04T00:00:00Z", &invoices("2025-10,I-1,1,705,Issued")).await;
    assert!(matches!(corrected, Landed::Landed { rows: 1, slices: 1, .. }), "{corrected:?}");
    let lines = "select invoice_id, invoice_detail_id, billed_cost from ops.provider_invoices order by 1, 2";
    assert_eq!(rows(&admin, lines).await, ["I-1|1|705", "I-2|1|5"]);
    // One made between the two is older than what is held.
    let late = land_made_at(&fixture, "late", "2025-11-03T00:00:00Z", &invoices("2025-10,I-1,1,701,Issued")).await;
    assert!(matches!(late, Landed::Stale { delivery_id: 3, .. }), "{late:?}");
    assert_eq!(rows(&admin, lines).await, ["I-1|1|705", "I-2|1|5"]);
    let states = "select delivery_id, state from ops.deliveries order by 1";
    assert_eq!(rows(&admin, states).await, ["1|landed", "2|landed", "3|stale"]);
    let both = invoices("2025-10,I-1,1,701,Issued\n2025-10,I-3,1,1,Issued");
    fixture.file("mixed/part.csv", &both);
    let manifest =
        fixture.file("mixed/manifest.json", "{\"created_at\": \"2025-11-03T12:00:00Z\", \"files\": [\"part.csv\"]}");
    let error = fixture.land_path(&manifest).await.expect_err("part of it is older").to_string();
    assert!(error.contains("land the newer delivery of all of it"), "{error}");
    run(&admin, &format!("set ratehouse.snapshot = {before}")).await;
    assert_eq!(rows(&admin, lines).await, ["I-1|1|700", "I-1|2|10", "I-2|1|5"]);
    run(&admin, "set ratehouse.snapshot = default").await;
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_cannot_be_kept_are_rejected_with_reasons_and_block_their_period_until_the_file_comes_again() {
    let fixture = Fixture::chain().await;
    let content = invoices(
        "2025-10,I-1,1,700,Issued\n2025-10,I-1,2,7.5x,Issued\n2025-10,I-1,3,5,Sent\n2025-10,,4,5,Issued\n2025-10,I-1,5,5,Issued",
    );
    // The last line was issued at no time, and a line is cut off after it.
    let (head, last) = content.trim_end().rsplit_once('\n').expect("lines");
    let content = format!("{head}\n{}\n1,B1,USD\n", last.replace("2025-11-01T00:00:00Z,Issued", "soon,Issued"));
    let landed = land(&fixture, "invoices.csv", &content).await;
    assert!(matches!(landed, Landed::Landed { rows: 1, rejected_rows: 5, .. }), "{landed:?}");
    let admin = fixture.admin();
    let rejected = "select source_row, column_name, reason, billing_period, role, state from ops.rejected_rows order by source_row";
    let found = rows(&admin, rejected).await;
    let expected = [
        "2|BilledCost|is not a decimal number (line 3)|2025-10|statement|open",
        "3|InvoiceIssueStatus|is none of Open, Issued, Voided (line 4)|2025-10|statement|open",
        "4|InvoiceId|is empty (line 5)|2025-10|statement|open",
        "5|InvoiceIssueDate|is not a time such as 2026-10-01T00:00:00Z (line 6)|2025-10|statement|open",
    ];
    assert_eq!(found[..4], expected);
    assert!(found[4].starts_with("6|null|") && found[4].ends_with("|null|statement|open"), "{}", found[4]);
    assert!(blockers(&fixture).await.iter().any(|blocker| blocker.starts_with("rejected_rows|Globex B1")));
    land(&fixture, "invoices.csv", &invoices("2025-10,I-1,1,700,Issued\n2025-10,I-1,2,10,Issued")).await;
    let open = "select count(*) from ops.rejected_rows where state = 'open'";
    assert_eq!(rows(&admin, open).await, ["0"]);
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn files_that_contradict_themselves_or_lack_columns_are_refused_whole() {
    let fixture = Fixture::chain().await;
    let twice = refusal(&fixture, "twice.csv", &periods("2025-10,Open\n2025-11,Open\n2025-10,Closed")).await;
    assert!(
        twice.contains("rows 1 (part 1) and 3 (part 1) have the same InvoiceIssuerName, BillingPeriodStart"),
        "{twice}"
    );
    let doubled = refusal(&fixture, "doubled.csv", &invoices("2025-10,I-1,1,5,Issued\n2025-10,I-1,1,5,Issued")).await;
    assert!(doubled.contains("InvoiceDetailId"), "{doubled}");
    let lacking =
        refusal(&fixture, "lacking.csv", &invoices("2025-10,I-1,1,5,Issued").replace("BillingCurrency", "Money")).await;
    assert!(lacking.contains("as focus_invoice_detail the header must also have: BillingCurrency"), "{lacking}");
    fixture.file("parts/x-00001.csv", &periods("2025-10,Open"));
    fixture.file("parts/x-00002.csv", &invoices("2025-10,I-1,1,5,Issued"));
    let parts = fixture.land_path(&fixture.path().join("incoming/parts")).await.expect_err("they differ").to_string();
    assert!(parts.contains("is focus_invoice_detail") && parts.contains("is focus_billing_period"), "{parts}");
    let path = fixture.file("usage.csv", &focus(&[Line::usage("a-acme", "1")]));
    let named =
        fixture.warehouse.land(&[path.display().to_string()], Some("focus_invoice_detail"), "admin", &|_| {}).await;
    assert!(named.expect_err("it is none").to_string().contains("must also have"));
    assert_eq!(rows(&fixture.admin(), "select count(*) from ops.deliveries").await, ["0"]);
    // A header alone says nothing of anything.
    let empty = land(&fixture, "empty.csv", &periods("")).await;
    assert!(matches!(empty, Landed::Landed { rows: 0, slices: 0, .. }), "{empty:?}");
}

#[tokio::test]
async fn an_invoice_that_is_one_cent_off_blocks_the_close_until_it_is_corrected() {
    let fixture = Fixture::chain_with_usage().await;
    // 100 + 200 + 400 + 10 are landed for I-1; nothing is said of invoices, and nothing blocks.
    assert_eq!(blockers(&fixture).await, Vec::<String>::new());
    land(&fixture, "invoice.csv", &invoices("2025-10,I-1,1,700.00,Issued\n2025-10,I-1,2,10.02,Issued")).await;
    // Two lines to the cent may be 0.01 off by rounding, not 0.02.
    assert_eq!(rows(&fixture.admin(), COMPARED).await, ["2025-10-01|I-1|710.02|710|-0.02|differs"]);
    assert_eq!(blockers(&fixture).await, ["invoice_difference|Globex B1 I-1|710.02|710"]);
    let error = refused(&fixture.admin(), "call close_period('2025-10')").await;
    assert_eq!(error.sqlstate, "55000");
    assert!(error.to_string().contains("the landed cost is not what the provider invoiced"), "{error}");
    let dry = fixture.warehouse.close("2025-10", "admin", true).await.expect("a dry run");
    let named: Vec<_> =
        dry.blockers.iter().map(|b| (b.blocker.as_str(), b.expected.as_deref(), b.actual.as_deref())).collect();
    assert_eq!(named, [("invoice_difference", Some("710.02"), Some("710.00"))]);
    // A single line has half a cent to spare, and one of a tenth of a cent was not rounded.
    for (amount, status) in [("710.01", "differs"), ("710.001", "differs"), ("710", "ok")] {
        land(&fixture, "invoice.csv", &invoices(&format!("2025-10,I-1,1,{amount},Issued"))).await;
        let found = rows(&fixture.admin(), "select status from ops.invoice_reconciliation").await;
        assert_eq!(found, [status], "{amount}");
    }
    let check = "select scope, currency, expected, actual, difference, status from ops.reconciliation where \"check\" = 'provider_invoice'";
    assert_eq!(rows(&fixture.admin(), check).await, ["Globex B1 I-1|USD|710|710|0|ok"]);
    land(&fixture, "invoice.csv", &invoices("2025-10,I-1,1,700.01,Issued\n2025-10,I-1,2,10,Issued")).await;
    assert_eq!(rows(&fixture.admin(), COMPARED).await, ["2025-10-01|I-1|710.01|710|-0.01|rounding"]);
    run(&fixture.admin(), "call close_period('2025-10')").await;
}

#[tokio::test]
async fn an_invoice_that_is_missing_voided_or_not_landed_is_named() {
    let fixture = Fixture::chain_with_usage().await;
    let september = Line {
        period: "2025-09",
        from: "2025-09-05T00:00:00Z",
        to: "2025-09-05T01:00:00Z",
        ..Line::usage("a-acme", "7")
    };
    fixture.land("september.csv", &[september]).await;
    // October's invoices are known, and so is one that nothing landed is of; September is before the first of them.
    land(
        &fixture,
        "october.csv",
        &invoices("2025-10,I-1,1,710,Issued\n2025-10,I-9,1,3,Issued\n2025-10,I-8,1,4,Voided"),
    )
    .await;
    assert_eq!(
        rows(&fixture.admin(), COMPARED).await,
        ["2025-10-01|I-1|710|710|0|ok", "2025-10-01|I-8|0|null|0|ok", "2025-10-01|I-9|3|null|-3|not_landed"]
    );
    assert_eq!(blockers(&fixture).await, ["invoice_difference|Globex B1 I-9|3|null"]);
    // Invoices of September are delivered, and not that of October: what was landed of October is covered by none.
    let fixture = Fixture::chain_with_usage().await;
    fixture.land("september.csv", &[september]).await;
    let september_invoice = "2025-09,I-1,1,7,Issued";
    land(&fixture, "september-invoice.csv", &invoices(september_invoice)).await;
    assert_eq!(
        rows(&fixture.admin(), COMPARED).await,
        ["2025-09-01|I-1|7|7|0|ok", "2025-10-01|I-1|null|710|710|not_invoiced"]
    );
    assert_eq!(blockers(&fixture).await, ["missing_invoice|Globex B1 I-1|null|710"]);
    // One that is not issued yet is shown, and blocks nothing.
    land(&fixture, "october-invoice.csv", &invoices("2025-10,I-1a,1,700,Open")).await;
    let open =
        "select invoice_id, status from ops.invoice_reconciliation where billing_period = date '2025-10-01' order by 1";
    assert_eq!(rows(&fixture.admin(), open).await, ["I-1|not_invoiced", "I-1a|open"]);
}

#[tokio::test]
async fn a_period_that_the_provider_marks_open_is_not_closed() {
    let fixture = Fixture::chain_with_usage().await;
    land(&fixture, "periods.csv", &periods("2025-09,Closed\n2025-10,Open")).await;
    assert_eq!(blockers(&fixture).await, ["open_period|Globex|null|null"]);
    let error = refused(&fixture.admin(), "call close_period('2025-10')").await;
    assert!(
        error.to_string().contains("open_period Globex: the provider has not closed this billing period"),
        "{error}"
    );
    run(&fixture.admin(), "call close_period('2025-09')").await;
    // October alone comes again: September stays what it was.
    land(&fixture, "periods-2.csv", &periods("2025-10,Closed")).await;
    let states =
        "select billing_period, billing_period_status, delivery_id from ops.provider_billing_periods order by 1";
    assert_eq!(rows(&fixture.admin(), states).await, ["2025-09|Closed|2", "2025-10|Closed|3"]);
    run(&fixture.admin(), "call close_period('2025-10')").await;
}

#[tokio::test]
async fn only_the_root_sees_what_providers_say() {
    let fixture = Fixture::chain().await;
    land(&fixture, "invoice.csv", &invoices("2025-10,I-1,1,710,Issued")).await;
    for relation in ["provider_billing_periods", "provider_invoices", "contract_commitments", "invoice_reconciliation"]
    {
        for login in ["admin@north", "finance@south", "portal@acme"] {
            let error = refused(&fixture.session(login), &format!("select * from ops.{relation}")).await;
            assert_eq!(error.sqlstate, "42P01", "{login} {relation}");
        }
    }
    assert_eq!(rows(&fixture.session("finance"), "select count(*) from ops.provider_invoices").await, ["1"]);
}

#[tokio::test]
async fn exports_that_name_no_invoice_are_compared_by_account_period_and_currency() {
    let fixture = Fixture::chain().await;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
    for name in ["aws/cur_legacy_sample.csv", "azure/ea_export_cad_sample.csv", "oci/oci_cost_report_sample.csv"] {
        fixture.land_path(&data.join(name)).await.expect("it lands");
    }
    let tenancy =
        "ocid1.organizationssubscription.oc1.us-sanjose-1.amaaaaaa33abj3qa7lv6zso4gq45je75qdvql5fmgrmzlic6nbtm33hlbt5q";
    let line = |issuer: &str, account: &str, currency: &str, month: &str, detail: &str, amount: &str| {
        let start: chrono::NaiveDate = format!("{month}-01").parse().expect("a month");
        let end = start + chrono::Months::new(1);
        format!("\"{issuer}\",{account},{month},{detail},{start},{end},Usage,{amount},{currency},Issued\n")
    };
    let content = [
        "InvoiceIssuerName,BillingAccountId,InvoiceId,InvoiceDetailId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,BilledCost,BillingCurrency,InvoiceIssueStatus\n".to_owned(),
        line("Amazon Web Services Canada, Inc.", "123412340534", "USD", "2023-11", "usage", "1.50"),
        line("Amazon Web Services Canada, Inc.", "123412340534", "USD", "2023-11", "tax", "0.18"),
        line("Microsoft", "12345678", "CAD", "2023-09", "1", "1.27"),
        line("Oracle", tenancy, "USD", "2023-10", "1", "2.52"),
    ]
    .concat();
    land(&fixture, "invoices.csv", &content).await;
    // Sums of the files by Python's decimal. 1.6823086974 is 1.68 by rounding two lines; 1.26136926505726 would be 1.26, a cent less;
    // Oracle's November is landed and only its October invoiced.
    let compared = "select invoice_issuer_name, billing_period, invoice_id, currency, expected, actual, status from ops.invoice_reconciliation order by 1, 2";
    assert_eq!(
        rows(&fixture.admin(), compared).await,
        [
            "Amazon Web Services Canada, Inc.|2023-11-01|null|USD|1.68|1.6823086974|rounding",
            "Microsoft|2023-09-01|null|CAD|1.27|1.26136926505726|differs",
            "Oracle|2023-10-01|null|USD|2.52|null|not_landed",
            "Oracle|2023-11-01|null|USD|null|2.523589325400648027|not_invoiced",
        ]
    );
    let named =
        "select billing_period, blocker, scope from ops.close_blockers where blocker like '%invoice%' order by 1, 2";
    assert_eq!(
        rows(&fixture.admin(), named).await,
        [
            "2023-09-01|invoice_difference|Microsoft 12345678".to_owned(),
            format!("2023-10-01|invoice_difference|Oracle {tenancy}"),
            format!("2023-11-01|missing_invoice|Oracle {tenancy}"),
        ]
    );
}

#[tokio::test]
async fn a_reference_view_of_the_same_cost_is_not_compared() {
    let fixture = Fixture::chain().await;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/partner_center");
    for name in ["invoice_reconciliation.csv", "daily_rated_usage.csv"] {
        fixture.land_path(&data.join(name)).await.expect("it lands");
    }
    let admin = fixture.admin();
    // The invoice is priced, its usage in days is not: 1041.61 of subtotals and 58.40 of taxes.
    let slices = "select source, role, billing_period, rows, billed_cost from ops.slices order by 1";
    assert_eq!(
        rows(&admin, slices).await,
        [
            "partner_center_daily_usage|reference|2025-10|5|41.22782205219",
            "partner_center_invoice|priced|2025-10|20|1100.01"
        ]
    );
    assert_eq!(rows(&admin, "select sum(cost) from charges").await, ["1100.01"]);
    let found = "select d.source, q.rule, q.rows, q.example, q.description from ops.quality q join ops.deliveries d on d.delivery_id = q.delivery_id where q.rule = 'S' order by 1, 4";
    assert_eq!(
        rows(&admin, found).await,
        [
            "partner_center_daily_usage|S|1|0:4|BillingPreTaxTotal does not follow from the row's EffectiveUnitPrice, Quantity and PCToBCExchangeRate",
            "partner_center_invoice|S|1|0:8|Subtotal does not follow from the line's EffectiveUnitPrice, BillableQuantity and PCToBCExchangeRate",
            "partner_center_invoice|S|1|0:9|Total is not Subtotal and TaxTotal",
        ]
    );
    let invoice = "InvoiceIssuerName,BillingAccountId,InvoiceId,InvoiceDetailId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,BilledCost,BillingCurrency,InvoiceIssueStatus\n\
                   Microsoft,0e195b37-4574-4539-bc42-0e539b9684c0/EUR,G012345678,1,2025-10-01,2025-11-01,Usage,1100.01,EUR,Issued\n";
    land(&fixture, "invoice.csv", invoice).await;
    assert_eq!(rows(&admin, COMPARED).await, ["2025-10-01|G012345678|1100.01|1100.01|0|ok"]);
}
