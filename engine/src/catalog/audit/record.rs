//! What a snapshot did to each table: the rows that it wrote, ended and removed, as one digest each.
//!
//! A row names the snapshot that wrote it and the one that ended it, and nothing else of it ever
//! changes. So what a snapshot did can be read from the tables again at any time: the commit and
//! the check run the same statements, the one over its own rows, the other over all.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::digest::RowsDigest;
use crate::catalog::{CatalogError, ProviderTable, RefTable, SnapshotId, Tx};

/// A table whose rows name their snapshots.
struct Recorded {
    name: &'static str,
    /// The column with the snapshot that wrote a row.
    begin: &'static str,
    /// All other columns but `end_snapshot`.
    columns: &'static str,
    /// What names a row.
    key: &'static str,
    ends: Ends,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Rows have an `end_snapshot`.
    Sometimes,
    /// Rows stay for ever.
    Never,
}

const fn kept(name: &'static str, begin: &'static str, key: &'static str, columns: &'static str) -> Recorded {
    Recorded { name, begin, columns, key, ends: Ends::Never }
}

const fn ended(name: &'static str, begin: &'static str, key: &'static str, columns: &'static str) -> Recorded {
    Recorded { name, begin, columns, key, ends: Ends::Sometimes }
}

/// All but the reference tables, which [`RefTable`] describes, those of [`ProviderTable`], and `data_file`, whose rows move to `removed_file`.
const TABLES: [Recorded; 15] = [
    ended(
        "adjustment",
        "begin_snapshot",
        "adjustment_id, begin_snapshot",
        "adjustment_id, object_id, kind, invoice_number, seller_node_id, buyer_node_id, billing_period, currency, method, status, amount, parts, reason, charges_snapshot, settled_by",
    ),
    kept(
        "approval",
        "snapshot_id",
        "kind, object_id, action, login",
        "kind, object_id, action, login, role, justification, at, revision",
    ),
    kept("closed_period", "snapshot_id", "billing_period", "billing_period, closed_at"),
    ended("credential", "begin_snapshot", "login, begin_snapshot", "login, verifier_hash, changed_at"),
    kept(
        "delivery",
        "snapshot_id",
        "delivery_id",
        "delivery_id, source, name, content_hash, sequence, parts, bytes, rows, rejected_rows, lossy_rows, billed_cost, rejected_billed_cost, state, landed_at, role",
    ),
    ended(
        "delivery_slice",
        "begin_snapshot",
        "delivery_id, slice_id",
        "delivery_id, slice_id, rows, billed_cost, effective_cost, list_cost",
    ),
    kept(
        "finding",
        "begin_snapshot",
        "delivery_id, rule, description",
        "delivery_id, rule, severity, rows, example, description",
    ),
    ended(
        "invoice",
        "begin_snapshot",
        "invoice_id, begin_snapshot",
        "invoice_id, number, seller_node_id, buyer_node_id, billing_period, currency, status, document_type, corrects_number, reason, subtotal, tax, credits, total, charges_total, snapshot_id, content_hash, issued_at, due_date",
    ),
    kept("invoice_content", "begin_snapshot", "invoice_id", "invoice_id, lines"),
    ended("pin", "snapshot_id", "snapshot_id, slice_id, reference", "slice_id, reference, keep_until"),
    ended(
        "rejected_row",
        "begin_snapshot",
        "delivery_id, source_file, source_row",
        "delivery_id, source_file, source_row, column_name, value_class, reason, raw, billed_cost, provider_name, billing_account_id, billing_period",
    ),
    kept("setting", "begin_snapshot", "name", "name, value"),
    kept(
        "slice",
        "begin_snapshot",
        "slice_id",
        "slice_id, source, provider_name, billing_account_id, billing_period, role",
    ),
    ended(
        "slice_state",
        "begin_snapshot",
        "slice_id, begin_snapshot",
        "slice_id, rated_snapshot, stale_since, stale_reason, owners_hash, bands_hash",
    ),
    kept("tier", "begin_snapshot", "name", "name, url, storage_class"),
];

const FILE_COLUMNS: &str = "file_id, table_id, path, rows, bytes, footer_bytes, slice_id, child, stats_hash";

/// One thing that snapshots do to one table.
struct Event {
    relation: String,
    name: &'static str,
    /// The rows of snapshot `?1`, each with its snapshot first.
    of_one: String,
    /// The rows of all snapshots, in their order.
    of_all: String,
}

/// Where an event's rows are.
struct Place<'a> {
    source: &'a str,
    /// The column with the snapshot.
    at: &'a str,
    columns: &'a str,
    key: &'a str,
}

impl Event {
    fn new(relation: &str, name: &'static str, place: &Place<'_>) -> Self {
        let Place { source, at, columns, key } = place;
        let select = format!("select {at}, {columns} from {source} where {at}");
        Self {
            relation: relation.to_owned(),
            name,
            of_one: format!("{select} = ?1 order by {key}"),
            of_all: format!("{select} is not null order by {at}, {key}"),
        }
    }
}

/// Everything that snapshots do.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let mut events = Vec::new();
    for table in TABLES {
        let Recorded { name, begin, columns, key, ends } = table;
        events.push(Event::new(name, "begun", &Place { source: name, at: begin, columns, key }));
        if ends == Ends::Sometimes {
            events.push(Event::new(name, "ended", &Place { source: name, at: "end_snapshot", columns: key, key }));
        }
    }
    for table in RefTable::all() {
        let (name, key) = (table.stored_name(), "row_id");
        let columns = format!("row_id, {}", table.column_list());
        events.push(Event::new(&name, "begun", &Place { source: &name, at: "begin_snapshot", columns: &columns, key }));
        events.push(Event::new(&name, "ended", &Place { source: &name, at: "end_snapshot", columns: key, key }));
    }
    for table in ProviderTable::all() {
        let (name, key) = (table.name, "delivery_id, source_file, source_row");
        let columns = table.column_list();
        events.push(Event::new(name, "begun", &Place { source: name, at: "begin_snapshot", columns: &columns, key }));
        events.push(Event::new(name, "ended", &Place { source: name, at: "end_snapshot", columns: key, key }));
    }
    let (name, key) = ("data_file", "file_id");
    let lives = format!("{FILE_COLUMNS}, begin_snapshot, end_snapshot");
    let source = format!("(select {lives} from data_file union all select {lives} from removed_file) as file");
    let begun = Place { source: &source, at: "begin_snapshot", columns: FILE_COLUMNS, key };
    events.push(Event::new(name, "begun", &begun));
    events.push(Event::new(name, "ended", &Place { at: "end_snapshot", columns: key, ..begun }));
    let removed = Place { source: "removed_file", at: "removed_snapshot", columns: key, key };
    events.push(Event::new(name, "removed", &removed));
    events
});

/// Notes what the snapshot that is being committed did. Costs one indexed look-up an event, and the rows themselves.
pub(super) fn write(tx: &dyn Tx, snapshot: SnapshotId) -> Result<(), CatalogError> {
    for event in EVENTS.iter() {
        let mut rows = None;
        tx.each(&event.of_one, &[snapshot.into()], &mut |row| {
            rows.get_or_insert_with(RowsDigest::default).add(row.values());
            Ok(())
        })?;
        let Some(rows) = rows else { continue };
        tx.execute(
            "insert into snapshot_change values (?1, ?2, ?3, ?4)",
            &[snapshot.into(), event.relation.as_str().into(), event.name.into(), rows.finish().into()],
        )?;
    }
    Ok(())
}

/// The digest of everything that a snapshot noted: its `changes_hash`.
pub(super) fn changes_hash(tx: &dyn Tx, snapshot: SnapshotId) -> Result<String, CatalogError> {
    let mut noted = RowsDigest::default();
    tx.each(
        "select relation, event, digest from snapshot_change where snapshot_id = ?1 order by relation, event",
        &[snapshot.into()],
        &mut |row| {
            noted.add(row.values());
            Ok(())
        },
    )?;
    Ok(noted.finish())
}

/// Reads every row of every table again; gives the tables that are not what the snapshots noted,
/// each with the first snapshot that disagrees.
pub(super) fn differences(tx: &dyn Tx) -> Result<Vec<CatalogError>, CatalogError> {
    let mut found = Vec::new();
    for event in EVENTS.iter() {
        match first_difference(tx, event) {
            Ok(None) => {}
            Ok(Some(snapshot)) => found.push(CatalogError::Altered { relation: event.relation.clone(), snapshot }),
            // A value of a type that the catalog never writes.
            Err(CatalogError::Shape { .. }) => {
                found.push(CatalogError::Unrecorded { relation: event.relation.clone() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn first_difference(tx: &dyn Tx, event: &Event) -> Result<Option<SnapshotId>, CatalogError> {
    let mut noted = BTreeMap::new();
    tx.each(
        "select snapshot_id, digest from snapshot_change where relation = ?1 and event = ?2",
        &[event.relation.as_str().into(), event.name.into()],
        &mut |row| {
            noted.insert(row.int(0)?, row.text(1)?.to_owned());
            Ok(())
        },
    )?;
    let mut first: Option<SnapshotId> = None;
    let mut compare = |snapshot: SnapshotId, rows: RowsDigest| {
        if noted.remove(&snapshot) != Some(rows.finish()) {
            first.get_or_insert(snapshot);
        }
    };
    let mut current: Option<(SnapshotId, RowsDigest)> = None;
    tx.each(&event.of_all, &[], &mut |row| {
        let snapshot = row.int(0)?;
        let (_, mut rows) = match current.take() {
            Some((at, rows)) if at != snapshot => {
                compare(at, rows);
                (snapshot, RowsDigest::default())
            }
            other => other.unwrap_or_default(),
        };
        rows.add(row.values());
        current = Some((snapshot, rows));
        Ok(())
    })?;
    if let Some((at, rows)) = current {
        compare(at, rows);
    }
    // Noted, and no row left.
    let gone = noted.first_key_value().map(|(snapshot, _)| *snapshot);
    Ok(first.into_iter().chain(gone).min())
}

#[cfg(test)]
mod tests;
