use std::collections::BTreeSet;

use super::*;
use crate::catalog::{Catalog, Value};

fn catalog() -> (tempfile::TempDir, Catalog) {
    let directory = tempfile::tempdir().expect("a directory");
    let catalog = Catalog::create(directory.path()).expect("a catalog");
    (directory, catalog)
}

fn texts(catalog: &Catalog, sql: &str, parameters: &[Value], column: usize) -> Vec<String> {
    let rows = catalog.read(|tx| tx.rows(sql, parameters)).expect("rows");
    rows.iter().map(|row| row.text(column).expect("a text").to_owned()).collect()
}

/// Tables without snapshots of their own: the chain, details and what the program itself knows.
const APART: [&str; 7] =
    ["band_total", "file_stats", "head", "lake_column", "slice_owner", "snapshot", "snapshot_change"];

#[test]
fn every_column_of_every_table_is_recorded() {
    let (_directory, catalog) = catalog();
    let split = |columns: &str| columns.split(", ").map(str::to_owned).collect::<BTreeSet<String>>();
    for name in texts(&catalog, "select name from sqlite_master where type = 'table' order by name", &[], 0) {
        // What collection and alerts remember is of no snapshot.
        let is_remembered = ["collection_", "alert"].iter().any(|kind| name.starts_with(kind));
        if APART.contains(&name.as_str()) || is_remembered {
            continue;
        }
        let mut recorded = if let Some(table) = TABLES.iter().find(|table| table.name == name) {
            let mut recorded = split(table.columns);
            recorded.insert(table.begin.to_owned());
            if table.ends == Ends::Sometimes {
                recorded.insert("end_snapshot".to_owned());
            }
            recorded
        } else if let Some(table) = name.strip_prefix("ref_").and_then(RefTable::named) {
            split(&format!("row_id, {}, begin_snapshot, end_snapshot", table.column_list()))
        } else if let Some(table) = ProviderTable::all().into_iter().find(|table| table.name == name) {
            split(&format!("{}, begin_snapshot, end_snapshot", table.column_list()))
        } else {
            assert!(matches!(name.as_str(), "data_file" | "removed_file"), "{name} is not recorded");
            split(&format!("{FILE_COLUMNS}, begin_snapshot, end_snapshot"))
        };
        match name.as_str() {
            // Covered by its hash.
            "credential" => recorded.insert("verifier".to_owned()),
            "removed_file" => recorded.insert("removed_snapshot".to_owned()),
            _ => false,
        };
        let stored = texts(&catalog, "select * from pragma_table_info(?1)", &[name.as_str().into()], 1);
        assert_eq!(recorded, stored.into_iter().collect::<BTreeSet<_>>(), "{name}");
    }
}

#[test]
fn a_commit_finds_its_rows_by_indexes_alone() {
    let (_directory, catalog) = catalog();
    for event in EVENTS.iter() {
        let plan = texts(&catalog, &format!("explain query plan {}", event.of_one), &[Value::Int(1)], 3);
        let scans: Vec<&String> = plan.iter().filter(|step| step.starts_with("SCAN")).collect();
        assert!(scans.is_empty() && plan.iter().any(|step| step.starts_with("SEARCH")), "{} {plan:?}", event.relation);
    }
}

#[test]
fn rows_that_differ_have_digests_that_differ() {
    let digest = |values: &[Value]| {
        let mut rows = RowsDigest::default();
        rows.add(values);
        rows.finish()
    };
    let rows: [&[Value]; 8] = [
        &["ab".into(), "c".into()],
        &["a".into(), "bc".into()],
        &["abc".into(), Value::Null],
        &[Value::Null, "abc".into()],
        &["".into(), "".into()],
        &[Value::Null, Value::Null],
        &["5".into(), Value::Null],
        &[Value::Int(5), Value::Null],
    ];
    let digests: BTreeSet<String> = rows.iter().map(|row| digest(row)).collect();
    assert_eq!(digests.len(), rows.len());
}
