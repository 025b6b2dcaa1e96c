//! Folders: files that come, change, are cut off or wait for their parts.

use chrono::{DateTime, TimeDelta, Utc};
use ratehouse::catalog::{RefTable, Value, head};
use ratehouse::collect::{Outcome, Which, freshness};
use ratehouse::warehouse::Landed;

use super::House;
use crate::fixture::{Line, focus, rows, run};

/// The folder that the fixture writes provider files to.
fn folder(house: &House, name: &str) -> String {
    let path = house.fixture.path().join("incoming").join(name);
    std::fs::create_dir_all(&path).expect("the folder can be made");
    path.display().to_string()
}

async fn snapshots(house: &House) -> String {
    rows(&house.fixture.admin(), "select max(snapshot_id) from ops.snapshots").await.remove(0)
}

#[tokio::test]
async fn a_folder_is_polled_and_what_is_new_lands_once() {
    let house = House::new().await;
    house.source("globex", "folder", &folder(&house, "globex"), &[]).await;
    assert_eq!(house.done("globex").await, Default::default(), "an empty folder is no error");

    house.fixture.file("globex/a.csv", &focus(&[Line::usage("a-acme", "100")]));
    house.fixture.file("globex/deep/b.csv", &focus(&[Line { billing: "B2", ..Line::usage("a-bolt", "200") }]));
    let report = house.done("globex").await;
    assert_eq!((report.landed.len(), report.unchanged), (2, 0));
    let landed = snapshots(&house).await;

    // Nothing new: nothing of the warehouse changes.
    let report = house.done("globex").await;
    assert_eq!((report.landed.len(), report.unchanged), (0, 2));
    assert_eq!(snapshots(&house).await, landed);

    // Written anew with the same content: landing knows it.
    house.fixture.file("globex/a.csv", &focus(&[Line::usage("a-acme", "100")]));
    let report = house.done("globex").await;
    assert!(matches!(report.landed.as_slice(), [Landed::Known { .. }]), "{report:?}");
    assert_eq!(snapshots(&house).await, landed);

    house.fixture.file("globex/a.csv", &focus(&[Line::usage("a-acme", "130")]));
    assert_eq!(house.done("globex").await.landed.len(), 1);
    let sums = "select billing_account_id, sum(billed_cost) from usage group by 1 order by 1";
    assert_eq!(rows(&house.fixture.admin(), sums).await, ["B1|130", "B2|200"]);
}

#[tokio::test]
async fn data_sets_are_collected_like_usage() {
    let house = House::new().await;
    let folder = folder(&house, "metrics");
    house.source("metrics", "folder", &folder, &[]).await;
    let header = "driver,node_id,quantity,valid_from,valid_to\n";
    house.fixture.file("metrics/a.csv", &format!("{header}orders,acme,7,2025-10-01,2025-10-02\n"));
    house.fixture.file(
        "metrics/b.csv",
        &format!("{header}orders,acme,9,2025-10-02,2025-10-03\norders,acme,x,2025-10-03,2025-10-04\n"),
    );
    let report = house.done("metrics").await;
    assert_eq!((report.landed.len(), report.refused.len()), (2, 0), "{report:?}");
    let held = "select driver, node_id, quantity from metrics order by valid_from";
    assert_eq!(rows(&house.fixture.session("finance"), held).await, ["orders|acme|7", "orders|acme|9"]);
    assert_eq!(rows(&house.fixture.admin(), "select count(*) from ops.rejected_rows").await, ["1"]);
    assert_eq!(house.done("metrics").await.unchanged, 2);
}

#[tokio::test]
async fn what_is_due_is_collected_and_nothing_else() {
    let house = House::new().await;
    house.source("hourly", "folder", &folder(&house, "hourly"), &[("cadence", "1 hour")]).await;
    house.source("daily", "folder", &folder(&house, "daily"), &[("cadence", "1 day")]).await;
    house.source("off", "folder", &folder(&house, "off"), &[("enabled", "false")]).await;
    let names = |collected: Vec<ratehouse::collect::Collected>| -> Vec<String> {
        collected.into_iter().map(|one| one.source).collect()
    };
    assert_eq!(names(house.collect(Which::Due).await), ["hourly", "daily"]);
    house.clock.advance(TimeDelta::minutes(59));
    assert!(house.collect(Which::Due).await.is_empty());
    house.clock.advance(TimeDelta::minutes(1));
    assert_eq!(names(house.collect(Which::Due).await), ["hourly"]);
    house.clock.advance(TimeDelta::hours(23));
    assert_eq!(names(house.collect(Which::Due).await), ["hourly", "daily"]);
    let off = house.collector().collect(Which::Named("off")).await.expect_err("it is disabled");
    assert!(off.to_string().contains("is disabled"), "{off}");
    let none = house.collector().collect(Which::Named("none")).await.expect_err("there is none");
    assert!(none.to_string().contains("there is no source \"none\""), "{none}");
}

#[tokio::test]
async fn a_file_that_still_changes_waits() {
    let house = House::new().await;
    house.source("globex", "folder", &folder(&house, "globex"), &[]).await;
    house.clock.advance(-TimeDelta::minutes(5));
    house.fixture.file("globex/a.csv", &focus(&[Line::usage("a-acme", "100")]));
    let report = house.done("globex").await;
    assert!(report.landed.is_empty() && report.waiting[0].contains("may still be being written"), "{report:?}");
    house.clock.advance(TimeDelta::minutes(2));
    assert_eq!(house.done("globex").await.landed.len(), 1);
}

#[tokio::test]
async fn a_manifest_waits_for_its_parts_and_stops_nobody() {
    let house = House::new().await;
    house.source("globex", "folder", &folder(&house, "globex"), &[]).await;
    house.fixture.file("globex/x/manifest.json", r#"{"files": ["p-1.csv", "p-2.csv"]}"#);
    house.fixture.file("globex/x/p-1.csv", &focus(&[Line::usage("a-acme", "100")]));
    house.fixture.file("globex/y/b.csv", &focus(&[Line { billing: "B2", ..Line::usage("a-bolt", "200") }]));
    let report = house.done("globex").await;
    assert_eq!(report.landed.len(), 1);
    assert!(report.waiting[0].contains("names p-2.csv, which is not there"), "{report:?}");
    let shown = "select state, detail like '%names p-2.csv%' from ops.freshness where item like '%manifest.json'";
    assert_eq!(rows(&house.fixture.admin(), shown).await, ["waiting|true"]);

    house.fixture.file("globex/x/p-2.csv", &focus(&[Line::usage("a-core", "7")]));
    let report = house.done("globex").await;
    assert_eq!((report.landed.len(), report.unchanged, report.waiting.len()), (1, 1, 0));
    assert!(rows(&house.fixture.admin(), shown).await.is_empty());
    assert_eq!(rows(&house.fixture.admin(), "select sum(billed_cost) from usage").await, ["307"]);
}

#[tokio::test]
async fn what_is_refused_shows_and_is_tried_again_when_it_changes() {
    let house = House::new().await;
    house.source("gone", "folder", "/nowhere/at/all", &[]).await;
    house.source("globex", "folder", &folder(&house, "globex"), &[]).await;
    house.fixture.file("globex/a.csv", "Nobody,Knows\n1,2\n");
    house.fixture.file("globex/b.csv", &focus(&[Line::usage("a-acme", "100")]));
    let collected = house.collect(Which::Due).await;
    // The first source fails, the second is collected all the same, and of it the file that can be read.
    assert!(
        matches!(&collected[0].outcome, Outcome::Failed { error } if error.contains("/nowhere/at/all: no such folder"))
    );
    assert!(
        matches!(&collected[1].outcome, Outcome::Done(report) if report.landed.len() == 1 && report.refused.len() == 1)
    );
    assert!(collected.iter().all(ratehouse::collect::Collected::is_failure));
    let shown =
        "select source, state, failures, detail from ops.freshness where state in ('failing', 'refused') order by 1";
    let found = rows(&house.fixture.admin(), shown).await;
    assert!(found[0].starts_with("globex|refused|0|") && found[0].contains("no source has this header"), "{found:?}");
    assert_eq!(found[1], "gone|failing|1|/nowhere/at/all: no such folder");

    // A failed source is tried again after a minute, then after two.
    for minutes in [1, 2] {
        house.clock.advance(TimeDelta::minutes(minutes) - TimeDelta::seconds(1));
        assert!(house.collect(Which::Due).await.is_empty());
        house.clock.advance(TimeDelta::seconds(1));
        assert_eq!(house.collect(Which::Due).await[0].source, "gone");
    }
    house.fixture.file("globex/a.csv", &focus(&[Line { billing: "B2", ..Line::usage("a-bolt", "200") }]));
    let report = house.done("globex").await;
    assert_eq!((report.landed.len(), report.unchanged, report.refused.len()), (1, 1, 0));
}

/// Rows of `ops.freshness` about periods, as they would be at an instant: period, state and lag.
fn periods(house: &House, at: &str) -> Vec<(String, String, i64)> {
    let now: DateTime<Utc> = at.parse().expect("an instant");
    let table = RefTable::named("sources").expect("a table");
    let shown = house.fixture.warehouse.catalog().read(|tx| {
        let source = table.rows_at(tx, head(tx)?)?.remove(0);
        freshness(tx, &source.values, now)
    });
    let text = |value: &Value| value.as_text().unwrap_or_default().to_owned();
    let rows = shown.expect("the catalog is there").into_iter().filter(|row| row[5] != Value::Null);
    rows.map(|row| (text(&row[5]), text(&row[6]), row[10].as_int().expect("a lag"))).collect()
}

#[tokio::test]
async fn periods_that_an_account_should_have_are_missing_until_it_ends() {
    let house = House::new().await;
    house.source("globex", "folder", &folder(&house, "globex"), &[("expected_lag", "2 days")]).await;
    house.fixture.file("globex/a.csv", &focus(&[Line::usage("a-acme", "100")]));
    assert_eq!(house.done("globex").await.landed.len(), 1);
    let missing = |at: &str| -> Vec<(String, i64)> {
        let found = periods(&house, at).into_iter().filter(|(_, state, _)| state == "missing");
        found.map(|(period, _, lag)| (period, lag)).collect()
    };
    // October is there; November is expected from the third on.
    assert_eq!(missing("2025-11-02T23:59:59Z"), []);
    assert_eq!(missing("2025-11-03T00:00:00Z"), [("2025-11".to_owned(), 0)]);
    // From 3 November to 20 January are 27 + 31 + 20 days, from 3 December 48, from 3 January 17.
    let day = 86_400;
    let winter = [("2025-11".to_owned(), 78 * day), ("2025-12".to_owned(), 48 * day), ("2026-01".to_owned(), 17 * day)];
    assert_eq!(missing("2026-01-20T00:00:00Z"), winter);
    // The account belongs to nobody from December on: nothing is expected of it.
    run(&house.fixture.admin(), "update ref.accounts set valid_to = '2025-12-01'").await;
    assert_eq!(missing("2026-01-20T00:00:00Z"), winter[..1]);
}
