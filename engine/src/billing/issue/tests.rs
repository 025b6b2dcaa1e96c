use chrono::TimeZone as _;

use super::*;
use crate::billing::fixture::{Session, Warehouse, insert, october, usage};
use crate::billing::{CloseMode, close_period};
use crate::catalog::Value;

async fn closed() -> Warehouse {
    let warehouse = Warehouse::new();
    warehouse.refresh();
    close(&warehouse).await.expect("a close");
    warehouse
}

async fn close(warehouse: &Warehouse) -> Result<(), BillingError> {
    let tiers = [usage(1, "dist/reseller/acme", "Compute", "1.10"), usage(2, "dist/reseller/acme", "Compute", "1.20")];
    let session = Session::new(&warehouse.catalog, october(), &tiers);
    close_period(&session, &warehouse.catalog, &warehouse.request(CloseMode::Commit)).await.map(drop)
}

fn approval_rule() -> Vec<Value> {
    let mut row: Vec<Value> = ["r1", "invoice", "dist", "finance"].map(Value::from).into();
    row.push(Value::Null);
    row
}

fn issue_now(warehouse: &Warehouse) -> Result<IssueReport, BillingError> {
    let issued_at = Utc.with_ymd_and_hms(2026, 11, 3, 9, 0, 0).single().expect("an instant");
    let request = IssueRequest { period: october(), actor: "finance".to_owned(), issued_at, net_days: NET_DAYS };
    issue_invoices(&warehouse.catalog, &request)
}

#[tokio::test]
async fn issued_documents_bear_date_snapshot_and_pins_and_stay() {
    let warehouse = closed().await;
    let report = issue_now(&warehouse).expect("an issue");
    assert_eq!(report.numbers, ["dist/reseller/0001", "reseller/acme/0001"]);
    // 3 November and 30 days.
    assert_eq!(report.due_date, "2026-12-03");
    assert_eq!(
        warehouse.value("select distinct status || ' ' || issued_at from invoice where end_snapshot is null"),
        Value::from("issued 2026-11-03T09:00:00.000000Z")
    );
    assert_eq!(warehouse.value("select max(snapshot_id) from invoice"), Value::Int(report.snapshot_id));
    assert_eq!(warehouse.value("select count(*) from pin where reference like 'invoices 2026-10 %'"), Value::Int(1));

    // Closing again leaves them alone, and there is nothing left to issue.
    close(&warehouse).await.expect("a close");
    assert!(matches!(issue_now(&warehouse), Err(BillingError::NotClosed { .. })));
    assert_eq!(warehouse.value("select count(*) from invoice where end_snapshot is null"), Value::Int(2));
    // The drafts are the past of the documents.
    assert_eq!(
        warehouse.value("select count(*) from invoice where status = 'draft' and end_snapshot = begin_snapshot + 1"),
        Value::Int(2)
    );
    assert!(warehouse.problems().is_empty(), "{:?}", warehouse.problems());
}

#[tokio::test]
async fn a_period_that_changed_after_its_close_is_closed_again_first() {
    let warehouse = closed().await;
    warehouse.change_slice();
    assert!(matches!(issue_now(&warehouse), Err(BillingError::Changed { .. })));
    warehouse.refresh();
    close(&warehouse).await.expect("a close");
    issue_now(&warehouse).expect("an issue");
}

#[test]
fn a_period_that_was_never_closed_has_nothing_to_issue() {
    assert!(matches!(issue_now(&Warehouse::new()), Err(BillingError::NotClosed { .. })));
}

#[tokio::test]
async fn an_approval_rule_at_the_root_holds_for_every_seller() {
    let warehouse = closed().await;
    insert(&warehouse.catalog, "approval_rules", &[approval_rule()]);
    assert!(matches!(issue_now(&warehouse), Err(BillingError::NeedsApproval { count: 2, .. })));
    let approve = |number: &'static str| {
        warehouse.catalog.commit(&Change::new("cfo", "approve", ""), |commit| approve_invoice(commit, number)).map(drop)
    };
    approve("dist/reseller/0001").expect("an approval");
    approve("reseller/acme/0001").expect("an approval");
    assert!(matches!(approve("reseller/acme/0001"), Err(BillingError::State { .. })));
    assert!(matches!(approve("reseller/ghost/0001"), Err(BillingError::NoInvoice { .. })));
    issue_now(&warehouse).expect("an issue");
    let states = "select group_concat(status, ' ') from (select status from invoice where number = 'dist/reseller/0001' order by begin_snapshot)";
    assert_eq!(warehouse.value(states), Value::from("draft approved issued"));
    assert!(warehouse.problems().is_empty(), "{:?}", warehouse.problems());
}

#[tokio::test]
async fn an_altered_document_is_not_issued() {
    let warehouse = closed().await;
    let tamper = |commit: &Commit<'_>| {
        commit.tx.execute(
            "update invoice_content set lines = replace(lines, '0', '1') where invoice_id = (select min(invoice_id) from invoice)",
            &[],
        )
    };
    warehouse.catalog.commit(&Change::new("mallory", "dml", ""), tamper).expect("a commit");
    assert!(matches!(issue_now(&warehouse), Err(BillingError::Altered { .. })));
    assert_eq!(warehouse.value("select count(*) from invoice where status = 'draft'"), Value::Int(2));
}
