//! The past: time travel, old and new values, and a chain that shows tampering.

use std::path::Path;

use crate::fixture::{Fixture, copy, refused, rows, run};

const NAME: &str = "select name from ref.nodes where node_id = 'acme'";

async fn head(fixture: &Fixture) -> String {
    rows(&fixture.admin(), "select max(snapshot_id) from ops.snapshots").await.remove(0)
}

#[tokio::test]
async fn the_root_sees_the_warehouse_as_it_was_known() {
    let fixture = Fixture::chain_with_usage().await;
    let before = head(&fixture).await;
    run(&fixture.admin(), "update ref.nodes set name = 'Changed' where node_id = 'acme'").await;
    let more = [crate::fixture::Line::usage("a-acme", "1000")];
    fixture.land("corrected.csv", &more).await;
    let costs = "select sum(cost) from charges";
    for login in ["admin", "finance", "auditor"] {
        let session = fixture.session(login);
        assert_eq!(rows(&session, NAME).await, ["Changed"]);
        assert_eq!(rows(&session, costs).await, ["1000"]);
        run(&session, &format!("set ratehouse.snapshot = {before}")).await;
        assert_eq!(rows(&session, NAME).await, ["acme"]);
        // 100 + 200 + 400 + 10.
        assert_eq!(rows(&session, costs).await, ["710"]);
        run(&session, "set ratehouse.snapshot = default").await;
        assert_eq!(rows(&session, NAME).await, ["Changed"]);
        assert_eq!(refused(&session, "set ratehouse.snapshot = 4711").await.sqlstate, "22023");
        assert_eq!(refused(&session, "set ratehouse.snapshot = 'x'").await.sqlstate, "22023");
    }
    for login in ["portal@acme", "finance@north", "admin@north"] {
        let error = refused(&fixture.session(login), &format!("set ratehouse.snapshot = {before}")).await;
        assert_eq!(error.sqlstate, "42501", "{login}");
        // Nor in any other way of setting a parameter.
        let session = fixture.session(login);
        for other in [
            format!("set local ratehouse.snapshot = {before}"),
            format!("select set_config('ratehouse.snapshot', '{before}', false)"),
            format!("select set_config('Ratehouse.Snapshot', '{before}', true)"),
        ] {
            assert_eq!(refused(&session, &other).await.sqlstate, "42501", "{login}: {other}");
            session.set_at_startup("ratehouse.snapshot", &before).expect_err("not at the start");
            assert_eq!(session.setting("ratehouse.snapshot").as_deref(), Some("default"), "{login}: {other}");
        }
    }
    // The past is not written.
    let admin = fixture.admin();
    run(&admin, &format!("set ratehouse.snapshot = {before}")).await;
    let update = "update ref.nodes set name = 'x' where node_id = 'acme'";
    assert_eq!(refused(&admin, update).await.sqlstate, "25006");
    let rows = copy(
        &admin,
        "fx_rates",
        "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\nx,market,USD,EUR,2025-01-01,1\n",
    )
    .await;
    assert_eq!(rows.expect_err("the past is not written").sqlstate, "25006");
}

#[tokio::test]
async fn changes_show_old_and_new_values_and_who_made_them() {
    let fixture = Fixture::chain().await;
    let admin = fixture.session("admin@north");
    let insert = "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('x.north', 'north', 'customer', 'First', 'USD')";
    run(&admin, insert).await;
    run(&admin, "update ref.nodes set name = 'Second' where node_id = 'x.north'").await;
    run(&admin, "delete from ref.nodes where node_id = 'x.north'").await;
    let changes = "select action, actor, old_values like '%\"name\":\"First\"%', old_values like '%\"name\":\"Second\"%', new_values like '%\"name\":\"First\"%', new_values like '%\"name\":\"Second\"%' from ops.changes where relation = 'nodes' and row_key like 'x.north%' order by snapshot_id";
    let found = rows(&fixture.session("auditor"), changes).await;
    assert_eq!(
        found,
        [
            "insert|admin@north|null|null|true|false",
            "update|admin@north|true|false|false|true",
            "delete|admin@north|false|true|null|null"
        ]
    );
    assert_eq!(refused(&admin, "select * from ops.changes").await.sqlstate, "42P01");
}

/// Changes the catalog behind the program's back.
fn tamper(directory: &Path, sql: &str) {
    let catalog = rusqlite::Connection::open(directory.join("catalog.sqlite")).expect("the catalog is a SQLite file");
    let changed = catalog.execute(sql, []).expect("the statement is right");
    assert_eq!(changed, 1, "{sql}");
}

#[tokio::test]
async fn a_chain_that_was_tampered_with_does_not_verify() {
    for sql in [
        "update snapshot set note = 'something else' where snapshot_id = 3",
        "update snapshot set actor = 'somebody else' where snapshot_id = 4",
        "update snapshot set at = '2001-01-01T00:00:00.000000Z' where snapshot_id = 2",
        "delete from snapshot where snapshot_id = 3",
        "delete from snapshot where snapshot_id = (select max(snapshot_id) from snapshot)",
    ] {
        let fixture = Fixture::chain().await;
        let verified = fixture.warehouse.verify().await.expect("the catalog can be read");
        assert_eq!(verified.problems, Vec::<String>::new());
        tamper(fixture.path(), sql);
        let verified = fixture.warehouse.verify().await.expect("the catalog can be read");
        assert_eq!(verified.problems.len(), 1, "{sql}");
    }
}

#[tokio::test]
async fn a_data_file_that_was_cut_or_removed_does_not_verify() {
    let fixture = Fixture::chain_with_usage().await;
    let files = rows(&fixture.admin(), "select path from ops.files where table_name = 'charges' order by 1").await;
    let path = fixture.path().join(files.first().expect("there are charges"));
    let content = std::fs::read(&path).expect("the file is where the catalog says");
    std::fs::write(&path, &content[..content.len() - 1]).expect("it can be written");
    let verified = fixture.warehouse.verify().await;
    assert!(verified.map_or(true, |verified| !verified.problems.is_empty()));
}
