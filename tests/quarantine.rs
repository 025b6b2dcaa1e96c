//! Rejected rows: which closes they stand against, and which deliveries settle them.

use ratehouse::warehouse::Landed;

use crate::fixture::{Fixture, Line, focus, refused, rows, run};

const STATES: &str =
    "select delivery_id, coalesce(billing_period, '?'), state from ops.rejected_rows order by delivery_id, source_row";

/// A line that is rejected for its cost; everything else of it can be read.
fn bad(line: Line<'_>) -> Line<'_> {
    Line { billed: "12,5", ..line }
}

fn september(line: Line<'_>) -> Line<'_> {
    Line { period: "2025-09", from: "2025-09-05T00:00:00Z", to: "2025-09-05T01:00:00Z", ..line }
}

fn november(line: Line<'_>) -> Line<'_> {
    Line { period: "2025-11", from: "2025-11-05T00:00:00Z", to: "2025-11-05T01:00:00Z", ..line }
}

/// Lands text as a file of that name.
async fn land(fixture: &Fixture, name: &str, content: &str) -> Landed {
    let path = fixture.file(name, content);
    fixture.land_path(&path).await.expect("it lands").remove(0)
}

async fn close(fixture: &Fixture, period: &str) {
    run(&fixture.admin(), &format!("call close_period('{period}')")).await;
}

/// What a close that must be refused says.
async fn blocked(fixture: &Fixture, period: &str) -> String {
    let error = refused(&fixture.admin(), &format!("call close_period('{period}')")).await;
    assert_eq!(error.sqlstate, "55000");
    error.to_string()
}

#[tokio::test]
async fn a_delivery_of_rejected_rows_alone_blocks_its_period_until_the_slice_is_delivered() {
    let fixture = Fixture::chain().await;
    let lines = [Line::usage("a-acme", "100"), Line::usage("a-bolt", "12.5")];
    let landed = land(&fixture, "october.csv", &focus(&lines.map(bad))).await;
    assert!(matches!(landed, Landed::Landed { rows: 0, rejected_rows: 2, slices: 0, .. }), "{landed:?}");
    let said = blocked(&fixture, "2025-10").await;
    let path = fixture.path().join("incoming/october.csv").display().to_string();
    assert!(said.contains(&format!("rejected_rows Globex B1: delivery 1 ({path}) has rows in quarantine")), "{said}");
    assert!(said.contains("land the corrected file under the same name"), "{said}");
    assert!(!said.contains("12,5"), "{said}");
    // It says October: other months are not its business.
    close(&fixture, "2025-09").await;
    land(&fixture, "by-hand.csv", &focus(&lines)).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|2025-10|replaced", "1|2025-10|replaced"]);
    close(&fixture, "2025-10").await;
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn rows_whose_period_cannot_be_read_block_every_close_until_the_file_comes_again() {
    let fixture = Fixture::chain().await;
    let lines = [Line::usage("a-acme", "100")];
    let unreadable = focus(&lines).replace("\"2025-10-01T00:00:00Z\"", "\"soon\"");
    land(&fixture, "october.csv", &unreadable).await;
    fixture.land("september.csv", &[september(lines[0])]).await;
    for period in ["2025-09", "2025-10", "2026-01"] {
        let said = blocked(&fixture, period).await;
        assert!(said.contains("whose billing period cannot be read"), "{said}");
    }
    let every = "select count(*) from ops.close_blockers where billing_period is null";
    assert_eq!(rows(&fixture.admin(), every).await, ["1"]);
    // The month under another name may be another file.
    land(&fixture, "elsewhere.csv", &focus(&lines)).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|?|open"]);
    land(&fixture, "october.csv", &focus(&[Line::usage("a-acme", "101")])).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|?|replaced"]);
    close(&fixture, "2025-09").await;
    close(&fixture, "2025-10").await;
}

#[tokio::test]
async fn rows_that_say_nothing_go_when_all_that_came_with_them_is_replaced() {
    let fixture = Fixture::chain().await;
    let (acme, bolt) = (Line::usage("a-acme", "100"), Line::usage("a-bolt", "5"));
    let unreadable = focus(&[bolt]).replace("\"2025-10-01T00:00:00Z\"", "\"soon\"");
    let (_, unreadable) = unreadable.split_once('\n').expect("a header and a row");
    let mixed = focus(&[acme, september(acme)]) + unreadable;
    land(&fixture, "autumn.csv", &mixed).await;
    blocked(&fixture, "2025-10").await;
    // One of its two slices comes again, then the other.
    fixture.land("october.csv", &[acme, bolt]).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|?|open"]);
    fixture.land("september.csv", &[september(acme)]).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|?|replaced"]);
    close(&fixture, "2025-10").await;
    // An older delivery is ignored with all its rows.
    fixture.file("old/part.csv", &(focus(&[Line::usage("a-acme", "99")]) + unreadable));
    let manifest = "{\"created_at\": \"2025-11-01T00:00:00Z\", \"files\": [\"part.csv\"]}";
    let landed = land(&fixture, "old/manifest.json", manifest).await;
    assert!(matches!(landed, Landed::Stale { .. }), "{landed:?}");
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|?|replaced", "4|?|replaced"]);
}

#[tokio::test]
async fn a_period_after_the_landing_is_not_believed() {
    let fixture = Fixture::chain().await;
    let far = focus(&[bad(Line::usage("a-acme", "1"))]).replace("2025-10-01T", "2525-10-01T");
    land(&fixture, "far.csv", &far).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|?|open"]);
    blocked(&fixture, "2025-10").await;
}

#[tokio::test]
async fn a_slice_of_rejected_rows_alone_is_not_settled_by_the_rest_of_its_delivery() {
    let fixture = Fixture::chain().await;
    let acme = Line::usage("a-acme", "100");
    land(&fixture, "both.csv", &focus(&[acme, bad(september(acme))])).await;
    close(&fixture, "2025-10").await;
    blocked(&fixture, "2025-09").await;
    // October alone comes again, under a name of its own and under the same one.
    fixture.land("october.csv", &[Line::usage("a-acme", "101")]).await;
    land(&fixture, "both.csv", &focus(&[Line::usage("a-acme", "102")])).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|2025-09|open"]);
    fixture.land("september.csv", &[september(acme)]).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|2025-09|replaced"]);
    close(&fixture, "2025-09").await;
}

#[tokio::test]
async fn the_next_month_under_the_same_name_settles_nothing_and_an_empty_file_withdraws() {
    let fixture = Fixture::chain().await;
    // The account is misspelt: no delivery will ever hold that slice.
    let misspelt = Line { billing: "B9", ..Line::usage("a-acme", "100") };
    land(&fixture, "export.csv", &focus(&[bad(misspelt)])).await;
    land(&fixture, "export.csv", &focus(&[november(Line::usage("a-acme", "7"))])).await;
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|2025-10|open"]);
    close(&fixture, "2025-11").await;
    blocked(&fixture, "2025-10").await;
    let landed = land(&fixture, "export.csv", &focus(&[])).await;
    assert!(matches!(landed, Landed::Landed { rows: 0, rejected_rows: 0, .. }), "{landed:?}");
    assert_eq!(rows(&fixture.admin(), STATES).await, ["1|2025-10|replaced"]);
    close(&fixture, "2025-10").await;
}

#[tokio::test]
async fn a_file_that_a_wrong_mapping_rejected_lands_once_the_mapping_is_mended() {
    let fixture = Fixture::chain().await;
    let mapping = |cost: &str, role: &str| {
        let text = format!(
            "-- source: acme\n-- title: Acme\n-- provider: Globex\n-- role: {role}\n-- detect: Price, Day\n-- conserved: billed_cost = Price\n--\nselect 'B1' as billing_account_id, 'USD' as billing_currency, 'Usage' as charge_category, 'a-acme' as sub_account_id, \"Day\" as charge_period_start, \"Day\" as charge_period_end, {cost} as billed_cost, {cost} as effective_cost from source\n"
        );
        std::fs::create_dir_all(fixture.path().join("sources")).expect("a folder");
        std::fs::write(fixture.path().join("sources/acme.sql"), text).expect("a mapping");
    };
    let content = "Price,Day\n5,2025-10-05\n6,2025-10-06\n";
    // Another view of cost is never charged: it blocks nothing.
    mapping("\"Day\"", "reference");
    land(&fixture, "view.csv", &format!("{content}7,2025-10-07\n")).await;
    assert_eq!(rows(&fixture.admin(), "select blocker from ops.close_blockers").await, Vec::<String>::new());
    mapping("\"Day\"", "priced");
    land(&fixture, "acme.csv", content).await;
    blocked(&fixture, "2025-10").await;
    // Nothing was mended: the same rows are rejected again and counted once.
    land(&fixture, "acme.csv", content).await;
    let open =
        "select delivery_id, count(*) from ops.rejected_rows where state = 'open' and role = 'priced' group by 1";
    assert_eq!(rows(&fixture.admin(), open).await, ["3|2"]);
    mapping("\"Price\"", "priced");
    let landed = land(&fixture, "acme.csv", content).await;
    assert!(matches!(landed, Landed::Landed { rows: 2, rejected_rows: 0, .. }), "{landed:?}");
    assert_eq!(rows(&fixture.admin(), open).await, Vec::<String>::new());
    close(&fixture, "2025-10").await;
    // Now it stands, and the same file is known.
    let landed = land(&fixture, "acme.csv", content).await;
    assert!(matches!(landed, Landed::Known { delivery_id: 4, .. }), "{landed:?}");
}
