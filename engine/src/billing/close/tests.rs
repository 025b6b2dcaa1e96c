use super::*;
use crate::billing::fixture::{Session, Tier, Warehouse, insert, money, october, usage};
use crate::catalog::Value;

const ACME: &str = "dist/reseller/acme";
const BOLT: &str = "dist/reseller/bolt";
const ACME_TEAM: &str = "dist/reseller/acme/team";

/// Two customers of one reseller; acme has a team below it, and a credit that the reseller keeps.
fn month() -> Vec<Tier> {
    let credit = Tier { category: "Credit", ..usage(0, ACME, "Compute", "-2") };
    vec![
        usage(0, ACME, "Compute", "10.004"),
        usage(1, ACME, "Compute", "11.0044"),
        usage(2, ACME, "Compute", "12.104"),
        credit,
        Tier { depth: 1, ..credit },
        Tier { depth: 2, outcome: "retained", amount: "0", ..credit },
        usage(0, BOLT, "Storage", "1"),
        usage(1, BOLT, "Storage", "1.105"),
        usage(2, BOLT, "Storage", "1.215"),
        usage(0, ACME_TEAM, "Storage", "3"),
        usage(1, ACME_TEAM, "Storage", "3.3"),
        usage(2, ACME_TEAM, "Storage", "3.6"),
        usage(3, ACME_TEAM, "Storage", "3.6"),
    ]
}

async fn close(warehouse: &Warehouse, tiers: &[Tier], mode: CloseMode) -> Result<CloseReport, BillingError> {
    let session = Session::new(&warehouse.catalog, october(), tiers);
    close_period(&session, &warehouse.catalog, &warehouse.request(mode)).await
}

fn totals(report: &CloseReport) -> Vec<(&str, &str, DraftState)> {
    report.invoices.iter().map(|i| (i.number.as_deref().unwrap_or("none"), i.total.as_str(), i.state)).collect()
}

#[tokio::test]
async fn every_invoiced_edge_gets_a_draft_that_adds_up() {
    let warehouse = Warehouse::new();
    let report = close(&warehouse, &month(), CloseMode::Commit).await.expect("a close");
    // dist to reseller: Compute 11.0044, Storage 1.105 + 3.3 = 4.405, Credit -2: 13.4094 -> 13.41; lines 11.00 + 4.40 (to even) - 2.00 = 13.40.
    // reseller to acme: 12.104 + 3.6 = 15.704 -> 15.70. reseller to bolt, half up: 1.215 -> 1.22. Nothing to the team.
    assert_eq!(
        totals(&report),
        [
            ("dist/reseller/0001", "13.41", DraftState::New),
            ("reseller/acme/0001", "15.70", DraftState::New),
            ("reseller/bolt/0001", "1.22", DraftState::New),
        ]
    );
    let first = &report.invoices[0];
    assert_eq!((first.subtotal.as_str(), first.credits.as_str(), first.rounding.as_str()), ("15.40", "-2.00", "0.01"));
    assert_eq!(first.charges_total, "13.4094");
    // reseller: 15.704 + 1.215 = 16.919 charged, 15.70 + 1.22 = 16.92 invoiced, 0.001 between them.
    let reseller = &report.sellers[1];
    assert_eq!(
        (reseller.charges.as_str(), reseller.invoiced.as_str(), reseller.rounding.as_str()),
        ("16.919", "16.92", "0.001")
    );
    assert_eq!(warehouse.value("select sum(json_array_length(lines)) from invoice_content"), Value::Int(4 + 2 + 1));
    assert_eq!(warehouse.value("select count(*) from pin where reference = 'close 2026-10'"), Value::Int(1));
    assert_eq!(
        warehouse.value("select snapshot_id from closed_period"),
        Value::Int(report.snapshot_id.expect("a snapshot"))
    );
    assert!(warehouse.problems().is_empty(), "{:?}", warehouse.problems());
}

#[tokio::test]
async fn closing_again_replaces_what_changed_and_keeps_numbers() {
    let warehouse = Warehouse::new();
    close(&warehouse, &month(), CloseMode::Commit).await.expect("a close");
    let kept = warehouse.value("select invoice_id from invoice where buyer_node_id = 'bolt'");

    let mut later = month();
    later[2].amount = "20";
    let report = close(&warehouse, &later, CloseMode::Commit).await.expect("a close");
    assert_eq!(
        totals(&report),
        [
            ("dist/reseller/0001", "13.41", DraftState::Unchanged),
            ("reseller/acme/0001", "23.60", DraftState::Replaced),
            ("reseller/bolt/0001", "1.22", DraftState::Unchanged),
        ]
    );
    assert_eq!(warehouse.value("select invoice_id from invoice where buyer_node_id = 'bolt'"), kept);
    assert_eq!(warehouse.value("select count(*) from invoice where buyer_node_id = 'acme'"), Value::Int(2));
    assert_eq!(warehouse.value("select count(*) from invoice where end_snapshot is null"), Value::Int(3));
    // The pins of the first close went with it.
    assert_eq!(warehouse.value("select count(*) from pin where end_snapshot is null"), Value::Int(1));
}

#[tokio::test]
async fn a_withdrawn_draft_gives_its_number_back() {
    let warehouse = Warehouse::new();
    close(&warehouse, &month(), CloseMode::Commit).await.expect("a close");
    let without_bolt: Vec<Tier> = month().into_iter().filter(|tier| tier.path != BOLT).collect();
    let report = close(&warehouse, &without_bolt, CloseMode::Commit).await.expect("a close");
    assert_eq!(report.withdrawn, ["reseller/bolt/0001"]);
    let report = close(&warehouse, &month(), CloseMode::Commit).await.expect("a close");
    assert_eq!(totals(&report)[2], ("reseller/bolt/0001", "1.22", DraftState::New));
    assert_eq!(
        warehouse.value("select count(distinct invoice_id) from invoice where buyer_node_id = 'bolt'"),
        Value::Int(2)
    );
}

#[tokio::test]
async fn another_currency_is_another_document() {
    let warehouse = Warehouse::new();
    let tiers = [
        Tier { currency: "JPY", ..usage(2, BOLT, "Compute", "1000.5") },
        Tier { currency: "KWD", ..usage(2, BOLT, "Compute", "0.0005") },
        Tier { currency: "KWD", category: "Credit", ..usage(2, BOLT, "Compute", "-1.0005") },
    ];
    let report = close(&warehouse, &tiers, CloseMode::Commit).await.expect("a close");
    // Bolt rounds half up. JPY 1000.5 -> 1001. KWD: 0.0005 -> 0.001, -1.0005 -> -1.001, sum -1.0000 -> -1.000: no rounding line.
    assert_eq!(
        totals(&report),
        [("reseller/bolt/0001", "1001", DraftState::New), ("reseller/bolt/0002", "-1.000", DraftState::New)]
    );
    assert_eq!(report.invoices[1].rounding, "0.000");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let warehouse = Warehouse::new();
    let head = warehouse.catalog.head().expect("a head");
    let blocked = Session::blocked(&warehouse.catalog, october(), &month(), &[("stale_slice", "AWS payer")]);
    let report =
        close_period(&blocked, &warehouse.catalog, &warehouse.request(CloseMode::DryRun)).await.expect("a dry run");
    assert_eq!(report.blockers.len(), 1);
    assert_eq!(report.blockers[0].remedy, "remedy");
    assert_eq!(totals(&report)[1], ("none", "15.70", DraftState::New));
    assert_eq!(report.snapshot_id, None);
    assert_eq!(warehouse.catalog.head().expect("a head"), head);
    assert_eq!(warehouse.value("select count(*) from invoice"), Value::Int(0));
}

#[tokio::test]
async fn a_blocked_period_is_refused_with_its_blockers() {
    let warehouse = Warehouse::new();
    let blocked =
        Session::blocked(&warehouse.catalog, october(), &month(), &[("unrated", "dist to reseller: Compute")]);
    let refused = close_period(&blocked, &warehouse.catalog, &warehouse.request(CloseMode::Commit))
        .await
        .expect_err("a shut gate");
    assert!(matches!(&refused, BillingError::Blocked { blockers, .. } if blockers[0].blocker == "unrated"));
    assert_eq!(refused.sqlstate(), "55000");
    assert_eq!(warehouse.value("select count(*) from invoice"), Value::Int(0));
}

#[tokio::test]
async fn charges_that_move_between_reading_and_writing_are_refused() {
    let warehouse = Warehouse::new();
    warehouse.refresh();
    let session = Session::new(&warehouse.catalog, october(), &month());
    warehouse.change_slice();
    let refused = close_period(&session, &warehouse.catalog, &warehouse.request(CloseMode::Commit))
        .await
        .expect_err("a conflict");
    assert_eq!(refused.sqlstate(), "40001");
    // What changed before the session's snapshot is the gate's business, not a conflict.
    close(&warehouse, &month(), CloseMode::Commit).await.expect("a close");
}

#[tokio::test]
async fn an_unknown_buyer_is_named() {
    let warehouse = Warehouse::new();
    let refused = close(&warehouse, &[usage(2, "dist/reseller/ghost", "Compute", "1")], CloseMode::Commit)
        .await
        .expect_err("no such node");
    assert!(matches!(&refused, BillingError::Incomplete { buyer, .. } if buyer == "ghost"));
}

#[tokio::test]
async fn a_node_rounds_as_it_does_at_the_end_of_the_period() {
    let warehouse = Warehouse::new();
    let mut row: Vec<Value> =
        ["bolt", "reseller", "customer", "Bolt", "USD", "UTC", "2026-10-15T00:00:00.000000Z"].map(Value::from).into();
    row.extend([Value::Null, "market".into(), "down".into(), true.into(), Value::Null]);
    insert(&warehouse.catalog, "nodes", &[row]);
    let report = close(&warehouse, &[usage(2, BOLT, "Compute", "1.219")], CloseMode::Commit).await.expect("a close");
    assert_eq!(totals(&report), [("reseller/bolt/0001", "1.21", DraftState::New)]);
}

#[test]
fn drafts_that_miss_a_charge_are_refused() {
    let charged = BTreeMap::from([(("reseller".to_owned(), "USD".to_owned()), money("1"))]);
    assert!(
        matches!(seller_totals(&[], &charged), Err(BillingError::NotConserved { seller, .. }) if seller == "reseller")
    );
}
