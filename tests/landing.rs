//! Landing: deliveries, slices, quarantine, and what makes charges old.

use std::path::Path;

use ratehouse::warehouse::Landed;

use crate::fixture::{Fixture, Line, focus, refused, rows, run};

const COSTS: &str = "select node_id, cost from charges order by node_id, cost";

#[tokio::test]
async fn the_same_file_twice_changes_nothing() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    let state = "select (select count(*) from ops.snapshots), (select count(*) from ops.files)";
    let before = rows(&admin, state).await;
    let path = fixture.path().join("incoming/october.csv");
    let again = fixture.land_path(&path).await.expect("it is known");
    assert!(matches!(again.as_slice(), [Landed::Known { delivery_id: 1, .. }]), "{again:?}");
    // Nor under another name.
    let content = std::fs::read_to_string(&path).expect("it was written");
    let copy = fixture.file("elsewhere/copy.csv", &content);
    let again = fixture.land_path(&copy).await.expect("it is known");
    assert!(matches!(again.as_slice(), [Landed::Known { delivery_id: 1, .. }]), "{again:?}");
    assert_eq!(rows(&admin, state).await, before);
}

#[tokio::test]
async fn a_new_delivery_takes_the_place_of_its_slice_and_of_no_other() {
    let fixture = Fixture::chain_with_usage().await;
    let finance = fixture.session("finance");
    let september = Line {
        period: "2025-09",
        from: "2025-09-05T00:00:00Z",
        to: "2025-09-05T01:00:00Z",
        ..Line::usage("a-acme", "7")
    };
    fixture.land("september.csv", &[september]).await;
    fixture.land("october-2.csv", &[Line::usage("a-acme", "101"), Line::usage("a-bolt", "3")]).await;
    assert_eq!(rows(&finance, COSTS).await, ["acme|7", "acme|101", "bolt|3"]);
    // The roll-ups went with it: 7 + 101 + 3.
    for relation in ["charges_daily", "charges_monthly"] {
        let sum = format!("select sum(cost) from {relation}");
        assert_eq!(rows(&finance, &sum).await, ["111"], "{relation}");
    }
    assert_eq!(rows(&finance, "select sum(amount) from ops.edges_monthly where depth = 0").await, ["111"]);
    let slices = "select billing_period, delivery_id, rows, billed_cost from ops.slices order by 1";
    assert_eq!(rows(&finance, slices).await, ["2025-09|2|1|7", "2025-10|3|2|104"]);
    // A line that is the same in both deliveries keeps its id.
    let id = "select charge_id from charges where cost = 101";
    let before = rows(&finance, id).await;
    fixture.land("october-3.csv", &[Line::usage("a-bolt", "4"), Line::usage("a-acme", "101")]).await;
    assert_eq!(rows(&finance, id).await, before);
}

/// A folder with a manifest that says when it was made.
fn delivery(fixture: &Fixture, folder: &str, created_at: &str, lines: &[Line<'_>]) -> std::path::PathBuf {
    fixture.file(&format!("{folder}/part.csv"), &focus(lines));
    let manifest = format!("{{\"created_at\": \"{created_at}\", \"files\": [\"part.csv\"]}}");
    fixture.file(&format!("{folder}/manifest.json"), &manifest)
}

#[tokio::test]
async fn an_older_delivery_is_recorded_and_ignored() {
    let fixture = Fixture::chain().await;
    let finance = fixture.session("finance");
    let newer = delivery(&fixture, "newer", "2025-11-03T00:00:00Z", &[Line::usage("a-acme", "2")]);
    let older = delivery(&fixture, "older", "2025-11-02T00:00:00Z", &[Line::usage("a-acme", "1")]);
    fixture.land_path(&newer).await.expect("it lands");
    let landed = fixture.land_path(&older).await.expect("it is recorded");
    assert!(matches!(landed.as_slice(), [Landed::Stale { delivery_id: 2, .. }]), "{landed:?}");
    assert_eq!(rows(&finance, COSTS).await, ["acme|2"]);
    let states = "select delivery_id, state from ops.deliveries order by 1";
    assert_eq!(rows(&finance, states).await, ["1|landed", "2|stale"]);
    // What nobody lists was removed: one file for each of six tables.
    let files = walk(&fixture.path().join("hot"));
    assert_eq!(files, 6);
}

fn walk(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() { walk(&path) } else { 1 }
        })
        .sum()
}

#[tokio::test]
async fn an_older_delivery_does_not_settle_what_a_newer_one_rejected() {
    let fixture = Fixture::chain().await;
    let bad = Line { from: "2025-13-01T00:00:00Z", ..Line::usage("a-bolt", "5") };
    let manifest = delivery(&fixture, "export", "2025-11-03T00:00:00Z", &[Line::usage("a-acme", "2"), bad]);
    fixture.land_path(&manifest).await.expect("it lands");
    let open = "select count(*) from ops.rejected_rows where state = 'open'";
    assert_eq!(rows(&fixture.admin(), open).await, ["1"]);
    // The same manifest's name, made earlier.
    let manifest = delivery(&fixture, "export", "2025-11-02T00:00:00Z", &[Line::usage("a-acme", "1")]);
    let landed = fixture.land_path(&manifest).await.expect("it is recorded");
    assert!(matches!(landed.as_slice(), [Landed::Stale { .. }]), "{landed:?}");
    assert_eq!(rows(&fixture.admin(), open).await, ["1"]);
    // Nor does another month under the same name.
    let november = Line {
        period: "2025-11",
        from: "2025-11-05T00:00:00Z",
        to: "2025-11-05T01:00:00Z",
        ..Line::usage("a-acme", "7")
    };
    let manifest = delivery(&fixture, "export", "2025-12-03T00:00:00Z", &[november]);
    fixture.land_path(&manifest).await.expect("it lands");
    assert_eq!(rows(&fixture.admin(), open).await, ["1"]);
}

#[tokio::test]
async fn a_second_priced_source_of_one_cost_is_refused_whole() {
    let fixture = Fixture::chain_with_usage().await;
    let path = fixture.path().join("incoming/october.csv");
    let content = std::fs::read_to_string(&path).expect("it was written");
    // The same account and month as FOCUS 1.0, which another mapping reads.
    let header = content.lines().next().expect("a header");
    let other = content.replace(header, &header.replace("InvoiceId", "x_Other"));
    let path = fixture.file("focus-1-0.csv", &other);
    let landed = fixture.warehouse.land(&[path.display().to_string()], Some("focus_1_0"), "admin", &|_| {}).await;
    let error = landed.expect_err("one cost is priced once").to_string();
    assert!(error.contains("Globex B1 2025-10") && error.contains("focus_1_2"), "{error}");
    let finance = fixture.session("finance");
    assert_eq!(rows(&finance, "select count(*) from ops.deliveries").await, ["1"]);
    assert_eq!(rows(&finance, "select sum(cost) from charges").await, ["710"]);
}

#[tokio::test]
async fn a_rejected_row_blocks_the_close_until_a_right_one_takes_its_place() {
    let fixture = Fixture::chain().await;
    let bad = Line { billed: "12,5", ..Line::usage("a-bolt", "12.5") };
    let path = fixture.file("october.csv", &focus(&[Line::usage("a-acme", "100"), bad]));
    let landed = fixture.land_path(&path).await.expect("the rest lands");
    assert!(matches!(landed.as_slice(), [Landed::Landed { rows: 1, rejected_rows: 1, .. }]), "{landed:?}");
    let admin = fixture.admin();
    // Row 2 of the data; the value itself is not in the reason.
    let rejected = "select source_row, column_name, state from ops.rejected_rows";
    assert_eq!(rows(&admin, rejected).await, ["2|BilledCost|open"]);
    let reason = rows(&admin, "select value_class || reason from ops.rejected_rows").await;
    assert!(!reason[0].contains("12,5"), "{reason:?}");
    let error = refused(&admin, "call close_period('2025-10')").await;
    assert_eq!(error.sqlstate, "55000");
    let blockers = "select blocker, usage_rows from ops.close_blockers";
    assert_eq!(rows(&admin, blockers).await, ["rejected_rows|1"]);
    fixture.land("october-2.csv", &[Line::usage("a-acme", "100"), Line::usage("a-bolt", "12.5")]).await;
    assert_eq!(rows(&admin, rejected).await, ["2|BilledCost|replaced"]);
    run(&admin, "call close_period('2025-10')").await;
}

#[tokio::test]
async fn a_file_that_is_malformed_as_a_whole_changes_nothing() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    let good = focus(&[Line::usage("a-acme", "1")]);
    for (name, content) in [
        ("empty.csv", ""),
        ("html.csv", "<html><body>sign in</body></html>"),
        ("headless.csv", good.split_once('\n').expect("a header and a row").1),
        ("short.csv", &good.replace("EffectiveCost", "x_Effective")),
        ("truncated.csv.gz", "\u{1f}not gzip"),
        ("folder/manifest.json", "{\"files\": [\"missing.csv\"]}"),
    ] {
        let path = fixture.file(name, content);
        assert!(fixture.land_path(&path).await.is_err(), "{name}");
    }
    assert!(fixture.land_path(Path::new("/nowhere/at-all.csv")).await.is_err());
    assert_eq!(rows(&admin, "select count(*) from ops.deliveries").await, ["1"]);
    assert_eq!(rows(&admin, "select sum(cost) from charges").await, ["710"]);
}

#[tokio::test]
async fn numbered_parts_of_a_folder_are_one_delivery() {
    let fixture = Fixture::chain().await;
    fixture.file("export/part-00001.csv", &focus(&[Line::usage("a-acme", "1"), Line::usage("a-bolt", "2")]));
    fixture.file("export/part-00002.csv", &focus(&[Line::usage("a-core", "4")]));
    let landed = fixture.land_path(&fixture.path().join("incoming/export")).await.expect("it lands");
    assert!(matches!(landed.as_slice(), [Landed::Landed { rows: 3, slices: 1, .. }]), "{landed:?}");
    let finance = fixture.session("finance");
    assert_eq!(rows(&finance, COSTS).await, ["acme|1", "bolt|2", "core|4"]);
    let places = "select source_file, source_row from usage order by 1, 2";
    assert_eq!(rows(&finance, places).await, ["0|1", "0|2", "1|1"]);
    assert_eq!(rows(&finance, "select parts from ops.deliveries").await, ["2"]);
}

#[tokio::test]
async fn a_change_of_terms_marks_the_slices_it_reaches_and_refresh_rates_those() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    fixture.accounts("x,acme").await;
    run(
        &admin,
        "insert into ref.accounts (provider_name, billing_account_id, node_id) values ('Globex', 'B-core', 'core')",
    )
    .await;
    let core = Line { billing: "B-core", ..Line::usage("s", "1000") };
    fixture.land("core.csv", &[core]).await;
    let september = Line {
        period: "2024-01",
        from: "2024-01-05T00:00:00Z",
        to: "2024-01-05T01:00:00Z",
        ..Line::usage("a-acme", "1")
    };
    fixture.land("old.csv", &[september]).await;
    fixture
        .copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nbolt-terms,north,bolt,USD,Bolt\n")
        .await;
    run(&admin, "call refresh()").await;
    let stale = "select billing_account_id, billing_period, stale_reason from ops.slices where stale_since is not null order by 1, 2";
    assert!(rows(&admin, stale).await.is_empty());
    let rated = "select billing_account_id || ' ' || billing_period, rated_snapshot from ops.slices order by 1";
    let before = rows(&admin, rated).await;
    // Terms of north for bolt from October on: B-core has nothing of bolt, and January 2024 is long before.
    fixture.version("bolt-terms", "1,2025-10-01,", "all,markup_pct,25\n").await;
    assert_eq!(rows(&admin, stale).await, ["B1|2025-10|ref.rate_card_versions changed"]);
    // Until then the old price stands: 200 × 1.1 × 1.5 = 330; then 220 × 1.25 = 275.
    let price = "select price from charges where node_id = 'bolt'";
    let north = fixture.session("finance@north");
    assert_eq!(rows(&north, price).await, ["330"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&north, price).await, ["275"]);
    assert!(rows(&admin, stale).await.is_empty());
    let after = rows(&admin, rated).await;
    let changed: Vec<&String> = after.iter().filter(|row| !before.contains(row)).collect();
    assert!(matches!(changed.as_slice(), [one] if one.starts_with("B1 2025-10|")), "{changed:?}");
}

#[tokio::test]
async fn a_close_rates_what_is_old_by_itself() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    run(&admin, "update ref.accounts set node_id = 'bolt' where sub_account_id = 'a-acme'").await;
    let stale = "select stale_reason from ops.slices where stale_since is not null";
    assert_eq!(rows(&admin, stale).await, ["ref.accounts changed"]);
    run(&admin, "call close_period('2025-10')").await;
    assert!(rows(&admin, stale).await.is_empty());
    // (100 + 200) × 1.1 × 1.5 = 495.
    let total = "select buyer_node_id, total from invoices where seller_node_id = 'north'";
    assert_eq!(rows(&admin, total).await, ["bolt|495"]);
}

#[tokio::test]
async fn bands_count_the_whole_period_over_all_deliveries() {
    let fixture = Fixture::empty();
    fixture.nodes("cust,dist,customer").await;
    fixture.accounts("a-cust,cust").await;
    run(
        &fixture.admin(),
        "insert into ref.accounts (provider_name, billing_account_id, node_id) values ('Globex', 'B2', 'cust')",
    )
    .await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nbands,dist,cust,USD,Bands\n").await;
    fixture.copy("rate_card_versions", "card_id,version\nbands,1\n").await;
    let rules = "card_id,version,rule_id,method,bands\nbands,1,all,graduated,\"[{\"\"up_to\"\": \"\"100\"\", \"\"price\"\": \"\"0.10\"\"}, {\"\"up_to\"\": null, \"\"price\"\": \"\"0.08\"\"}]\"\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("bands", "1").await;
    let first = Line { quantity: "80", ..Line::usage("a-cust", "5") };
    fixture.land("first.csv", &[first]).await;
    let admin = fixture.admin();
    let prices = "select billing_account_id, price from charges order by 1";
    // 80 × 0.10.
    assert_eq!(rows(&admin, prices).await, ["B1|8"]);
    let second = Line { billing: "B2", quantity: "120", ..Line::usage("other", "5") };
    fixture.land("second.csv", &[second]).await;
    // The total is 200 now: the first slice was rated with 80.
    let stale = "select billing_account_id from ops.slices where stale_since is not null";
    assert_eq!(rows(&admin, stale).await, ["B1"]);
    run(&admin, "call refresh()").await;
    assert!(rows(&admin, stale).await.is_empty());
    // 100 × 0.10 + 100 × 0.08 = 18.00 over 200: 80 cost 7.20, 120 cost 10.80.
    assert_eq!(rows(&admin, prices).await, ["B1|7.2", "B2|10.8"]);
    // A correction of the second changes the total again: 80 + 20 = 100 × 0.10.
    let corrected = Line { billing: "B2", quantity: "20", ..Line::usage("other", "5") };
    fixture.land("third.csv", &[corrected]).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, prices).await, ["B1|8", "B2|2"]);
}

#[tokio::test]
async fn credits_of_google_are_charges_of_their_own_and_the_slice_adds_up() {
    let fixture = Fixture::empty();
    fixture.nodes("cust,dist,customer").await;
    fixture.card("direct", "dist", "cust", "pass_through", "").await;
    let account = "01ABCD-234567-89EFGH";
    fixture.copy("accounts", &format!("provider_name,billing_account_id,node_id\nGoogle Cloud,{account},cust\n")).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/gcp");
    let landed = fixture.land_path(&folder.join("detailed_export.jsonl")).await.expect("it lands");
    assert!(matches!(landed.as_slice(), [Landed::Landed { rows: 13, slices: 1, rejected_rows: 0, .. }]), "{landed:?}");
    let admin = fixture.admin();
    // Costs 14.00300066: 0.112 + 0.084 + 2.25 + 0.00000066 + 0.5 + 1.31 − 0.25 − 0.003 + 10; credits −5.5712001.
    let sums = "select charge_category = 'Credit', count(*), sum(billed_cost) from usage group by 1 order by 1";
    assert_eq!(rows(&admin, sums).await, ["false|9|14.00300066", "true|4|-5.5712001"]);
    let slice = "select billing_period, rows, billed_cost from ops.slices";
    assert_eq!(rows(&admin, slice).await, ["2026-03|13|8.43180056"]);
    // The same lines in another form are another delivery of the same slice.
    fixture.land_path(&folder.join("detailed_export.parquet")).await.expect("it lands");
    assert_eq!(rows(&admin, slice).await, ["2026-03|13|8.43180056"]);
    assert_eq!(rows(&admin, "select max(delivery_id), count(*) from usage").await, ["2|13"]);
}
