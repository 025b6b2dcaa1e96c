//! What stands against a close, and what reconciles.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};

use super::tables::{filled, month, register, relation, root_charges, rows, session, slice, view};
use crate::billing::fixture::{Tier, amounts, october, periods, texts, usage};

const ACME: &str = super::tables::ACME;

const BLOCKERS: &str = "select blocker, scope, currency, expected, actual from ops.close_blockers order by 1, 2";

#[tokio::test]
async fn a_settled_period_has_no_blockers() {
    let (_warehouse, session) = session(&month());
    register(&session, "dist", &[("ops.slices", slice("9", None))]);
    view(&session, "ops", "close_blockers", false).await;
    assert_eq!(rows(&session, BLOCKERS).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_blockers_of_a_period_read_only_its_edges() {
    let (_warehouse, session) = session(&month());
    register(&session, "dist", &[("ops.slices", slice("9", None))]);
    view(&session, "ops", "close_blockers", false).await;
    let sql = "select * from ops.close_blockers where billing_period = date '2026-10-01'";
    let plan = session.context.sql(sql).await.expect("a plan").into_optimized_plan().expect("an optimized plan");
    let shown = plan.display_indent().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let scans: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains("TableScan: ops.edges_monthly")).collect();
    assert_eq!(scans.len(), 4, "{shown}");
    for at in scans {
        let filter = lines[at - 1];
        assert!(filter.contains("Filter:") && filter.contains("billing_period = Date32(\"2026-10-01\")"), "{shown}");
    }
}

#[tokio::test]
async fn invoices_of_a_period_are_compared_with_usage_of_that_period_alone() {
    let (_warehouse, session) = session(&month());
    register(&session, "dist", &[]);
    session.context.deregister_table("ops.invoice_reconciliation").expect("the empty one");
    view(&session, "ops", "invoice_reconciliation", false).await;
    let sql = "select * from ops.invoice_reconciliation where billing_period = date '2026-10-01'";
    let plan = session.context.sql(sql).await.expect("a plan").into_optimized_plan().expect("an optimized plan");
    let shown = plan.display_indent().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines.iter().position(|line| line.contains("TableScan: usage")).expect("usage is read");
    let filter = lines[at - 1];
    assert!(filter.contains("Filter:") && filter.contains("billing_period = Date32(\"2026-10-01\")"), "{shown}");
}

#[tokio::test]
async fn stale_rejected_missing_and_unreconciled_slices_block() {
    let (_warehouse, session) = session(&month());
    let instants = |text: &str| {
        let at = chrono::DateTime::parse_from_rfc3339(text).expect("an instant").timestamp_micros();
        Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC")) as ArrayRef
    };
    let accounts = RecordBatch::try_from_iter_with_nullable([
        ("provider_name", texts([Some("Microsoft")].into_iter()), true),
        ("billing_account_id", texts([Some("8611537")].into_iter()), true),
        ("node_id", texts([Some("acme")].into_iter()), true),
        // It ends with the first instant of the period's last day: it is expected.
        ("valid_from", instants("2026-01-01T00:00:00Z"), true),
        ("valid_to", instants("2026-10-31T00:00:00Z"), true),
    ])
    .expect("a batch");
    // Delivery 5 holds the slice, 6 holds nothing: one row says its period, one says nothing, one is settled. 7 is never charged.
    let columns = [
        ("name", ["a.csv", "a.csv", "b.csv", "b.csv", "b.csv", "c.csv"].map(Some)),
        ("role", ["priced", "priced", "priced", "priced", "priced", "reference"].map(Some)),
        ("provider_name", [Some("AWS"), Some("AWS"), Some("AWS"), None, None, None]),
        ("billing_account_id", [Some("payer"), Some("payer"), None, None, None, None]),
        ("billing_period", [Some("2026-10"), Some("2026-10"), Some("2026-10"), None, None, None]),
        ("reason", ["no number", "no date", "no account", "no row", "no row", "no row"].map(Some)),
        ("state", ["open", "open", "open", "open", "replaced", "open"].map(Some)),
    ];
    let mut columns: Vec<_> =
        columns.into_iter().map(|(name, values)| (name, texts(values.into_iter()), true)).collect();
    columns.push(("delivery_id", Arc::new(Int64Array::from(vec![5, 5, 6, 6, 6, 7])) as ArrayRef, true));
    let rejects = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let tables = [
        ("ops.slices", slice("9.000000000000000001", Some(8))),
        ("ref.accounts", accounts),
        ("ops.rejected_rows", rejects),
    ];
    register(&session, "dist", &tables);
    view(&session, "ops", "close_blockers", false).await;
    assert_eq!(
        rows(&session, BLOCKERS).await,
        [
            "missing_slice | Microsoft 8611537 | - | - | -",
            "rejected_rows | AWS payer | - | - | -",
            "rejected_rows | b.csv | - | - | -",
            "rejected_rows | b.csv | - | - | -",
            "stale_slice | AWS payer | - | - | -",
            "unreconciled | AWS payer | - | 9.000000000000000001 | 9.00",
        ]
    );
    let rejected = "select billing_period, usage_rows, detail, remedy from ops.close_blockers where blocker = 'rejected_rows' order by 1, 2 desc";
    let remedy = "see ops.rejected_rows; land the corrected file under the same name, without rows to withdraw it";
    assert_eq!(
        rows(&session, rejected).await,
        [
            format!(
                "2026-10-01 | 2 | delivery 5 (a.csv) has rows in quarantine: no date | {remedy}, or a newer delivery of this account and period"
            ),
            format!("2026-10-01 | 1 | delivery 6 (b.csv) has rows in quarantine: no account | {remedy}"),
            format!(
                "- | 1 | delivery 6 (b.csv) has rows in quarantine whose billing period cannot be read: no row | {remedy}"
            ),
        ]
    );
}

#[tokio::test]
async fn unrated_edges_missing_rates_and_lost_rows_block() {
    let mut tiers = month();
    tiers.extend([
        // The reseller has no rule for Backup.
        usage(0, ACME, "Backup", "4"),
        usage(1, ACME, "Backup", "5"),
        Tier { outcome: "unrated", ..usage(2, ACME, "Backup", "0") },
        // Bolt pays EUR and nobody knows the rate.
        usage(0, "dist/reseller/bolt", "Compute", "6"),
        usage(1, "dist/reseller/bolt", "Compute", "7"),
        Tier { outcome: "unrated", currency: "EUR", ..usage(2, "dist/reseller/bolt", "Compute", "0") },
    ]);
    // The team's row is missing below acme: acme pays 16.3 and passes on 15.
    tiers.retain(|tier| tier.depth != 3);
    let (_warehouse, session) = session(&tiers);
    let nodes = RecordBatch::try_from_iter_with_nullable([
        ("node_id", texts([Some("acme"), Some("bolt")].into_iter()), true),
        ("currency", texts([Some("USD"), Some("EUR")].into_iter()), true),
        ("fx_policy", texts([Some("market"), Some("market")].into_iter()), true),
        ("disclose_up", Arc::new(BooleanArray::from(vec![true, true])) as ArrayRef, true),
    ])
    .expect("a batch");
    register(&session, "dist", &[("ref.nodes", nodes)]);
    view(&session, "ops", "close_blockers", false).await;
    assert_eq!(
        rows(&session, BLOCKERS).await,
        [
            "missing_fx | reseller to bolt: Compute | USD | 7.00 | -",
            "rollup_mismatch | acme | USD | 16.30 | 15.00",
            "unrated | reseller to acme: Backup | USD | 5.00 | -",
        ]
    );
}

/// What `ops.reconciliation` says of a draft and of an issued invoice whose charges are 0.30 more, with these tables beside.
async fn reconciled(named: &[(&'static str, RecordBatch)], sql: &str) -> Vec<String> {
    let (_warehouse, session) = session(&month());
    let ids = || texts([Some("a"), Some("b")].into_iter());
    let one = |text| texts([Some(text), Some(text)].into_iter());
    let schema =
        relation("invoice_id number seller_node_id buyer_node_id billing_period currency status", "total", "", "");
    let invoices = filled(
        &schema,
        &[
            ("invoice_id", ids()),
            ("number", texts([Some("dist/reseller/0001"), Some("reseller/acme/0001")].into_iter())),
            ("seller_node_id", texts([Some("dist"), Some("reseller")].into_iter())),
            ("buyer_node_id", texts([Some("reseller"), Some("acme")].into_iter())),
            ("currency", one("USD")),
            ("status", texts([Some("draft"), Some("issued")].into_iter())),
            // dist bills 12 - 2 + 1.1 = 11.10 and shows a cent more; the reseller billed 16.00 where charges are now 16.30.
            ("total", amounts([Some("11.105"), Some("16.00")].into_iter())),
            ("billing_period", one("2026-10")),
        ],
    );
    let lines = RecordBatch::try_from_iter_with_nullable([
        ("invoice_id", ids(), true),
        ("amount", amounts([Some("11.105"), Some("15.99")].into_iter()), true),
    ])
    .expect("a batch");
    let mut tables = vec![
        ("ops.slices", slice("9", None)),
        ("charges_monthly", root_charges("9")),
        ("charges_daily", root_charges("8.5")),
        ("invoices", invoices),
        ("invoice_lines", lines),
    ];
    tables.extend(named.iter().cloned());
    register(&session, "dist", &tables);
    view(&session, "ops", "reconciliation", false).await;
    rows(&session, sql).await
}

/// What is proposed to acme.
fn proposed(amount: &'static str) -> (&'static str, RecordBatch) {
    let schema = relation("seller_node_id buyer_node_id currency", "difference", "billing_period", "");
    let one = |text| texts([Some(text)].into_iter());
    let values = [
        ("seller_node_id", one("reseller")),
        ("buyer_node_id", one("acme")),
        ("currency", one("USD")),
        ("difference", amounts([Some(amount)].into_iter())),
        ("billing_period", periods(october(), 1)),
    ];
    ("proposed_adjustments", filled(&schema, &values))
}

/// What acme's invoice was adjusted by.
fn adjusted(kind: &'static str, method: &'static str, amount: &'static str) -> (&'static str, RecordBatch) {
    let schema = relation("seller_node_id buyer_node_id currency billing_period kind method status", "amount", "", "");
    let one = |text| texts([Some(text)].into_iter());
    let values = [
        ("seller_node_id", one("reseller")),
        ("buyer_node_id", one("acme")),
        ("currency", one("USD")),
        ("billing_period", one("2026-10")),
        ("kind", one(kind)),
        ("method", one(method)),
        ("status", one("settled")),
        ("amount", amounts([Some(amount)].into_iter())),
    ];
    ("adjustments", filled(&schema, &values))
}

#[tokio::test]
async fn what_an_issued_document_differs_by_has_a_name_or_is_broken() {
    // 16.00 were billed, 16.30 are charged.
    let sql = "select difference, status from ops.reconciliation where scope = 'reseller/acme/0001' and \"check\" = 'invoiced'";
    for (named, status) in [
        (vec![], "broken"),
        (vec![proposed("0.30")], "to_correct"),
        (vec![proposed("0.28")], "broken"),
        (vec![adjusted("credit", "note", "-0.30")], "adjusted"),
        (vec![adjusted("restatement", "true_up", "0.30")], "adjusted"),
        // A note is a document: it is in the sum already.
        (vec![adjusted("restatement", "note", "0.30")], "broken"),
        (vec![adjusted("restatement", "true_up", "0.20"), proposed("0.10")], "to_correct"),
    ] {
        assert_eq!(reconciled(&named, sql).await, [format!("-0.30 | {status}")], "{named:?}");
    }
}

#[tokio::test]
async fn reconciliation_names_every_difference() {
    let sql = "select \"check\", scope, expected, actual, difference, status from ops.reconciliation order by 1, 2";
    assert_eq!(
        reconciled(&[proposed("0.30")], sql).await,
        [
            "invoice_lines | dist/reseller/0001 | 11.105 | 11.105 | 0.00 | ok",
            "invoice_lines | reseller/acme/0001 | 16.00 | 15.99 | -0.01 | broken",
            "invoiced | dist/reseller/0001 | 11.10 | 11.105 | 0.005 | rounding",
            "invoiced | reseller/acme/0001 | 16.30 | 16.00 | -0.30 | to_correct",
            "landed | AWS payer | 9.00 | 0.00 | -9.00 | broken",
            // acme pays 15 for itself and 1.3 for its team
            "passed_on | acme | 16.30 | 16.30 | 0.00 | ok",
            "passed_on | dist | 9.00 | 9.00 | 0.00 | ok",
            "passed_on | reseller | 11.10 | 11.10 | 0.00 | ok",
            "passed_on | team | 1.30 | 1.30 | 0.00 | ok",
            "priced | AWS payer | 9.00 | 9.00 | 0.00 | ok",
            "rolled_up | AWS payer | 8.50 | 9.00 | 0.50 | broken",
        ]
    );
}
