//! The audit chain: each snapshot's hash covers who, when, why, a digest of every change it made
//! and the hash before it, so that no snapshot can be altered, dropped or inserted unnoticed.
//!
//! The digests are made of the tables alone (`record`, `details`), so that checking the catalog is
//! making them again: a row that was edited, added or taken away behind the program's back makes
//! another digest than the one in the chain. The chain has no key: whoever rewrites it from some
//! snapshot on makes a chain that holds, but not one that ends in the hash that was noted elsewhere.

pub(super) mod details;
pub(super) mod digest;
mod record;

use sha2::{Digest as _, Sha256};

use super::tx::{Row, Tx};
use super::{CatalogError, Change, Commit, SnapshotId};
use digest::{add_text, hex};

/// Now, as the catalog writes instants.
pub(super) fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// One snapshot of the chain.
struct Entry {
    snapshot_id: SnapshotId,
    at: String,
    actor: String,
    kind: String,
    note: String,
    changes_hash: String,
    prev_hash: String,
    hash: String,
}

impl Entry {
    fn of(row: &Row) -> Result<Self, CatalogError> {
        let text = |at| row.text(at).map(str::to_owned);
        Ok(Self {
            snapshot_id: row.int(0)?,
            at: text(1)?,
            actor: text(2)?,
            kind: text(3)?,
            note: text(4)?,
            changes_hash: text(5)?,
            prev_hash: text(6)?,
            hash: text(7)?,
        })
    }

    fn expected_hash(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.snapshot_id.to_be_bytes());
        for text in [&self.at, &self.actor, &self.kind, &self.note, &self.changes_hash, &self.prev_hash] {
            add_text(&mut digest, text);
        }
        hex(&digest.finalize())
    }
}

/// Notes what a commit did and writes the snapshot row that ends it.
pub(super) fn seal(commit: &Commit<'_>, change: &Change) -> Result<(), CatalogError> {
    record::write(commit.tx, commit.snapshot)?;
    let before = commit.tx.row("select hash from snapshot where snapshot_id = ?1", &[(commit.snapshot - 1).into()])?;
    let prev_hash = before.map(|row| row.text(0).map(str::to_owned)).transpose()?.unwrap_or_default();
    let mut entry = Entry {
        snapshot_id: commit.snapshot,
        at: commit.at.clone(),
        actor: change.actor.clone(),
        kind: change.kind.to_owned(),
        note: change.note.clone(),
        changes_hash: record::changes_hash(commit.tx, commit.snapshot)?,
        prev_hash,
        hash: String::new(),
    };
    entry.hash = entry.expected_hash();
    commit.tx.execute(
        "insert into snapshot values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &[
            entry.snapshot_id.into(),
            entry.at.into(),
            entry.actor.into(),
            entry.kind.into(),
            entry.note.into(),
            entry.changes_hash.into(),
            entry.prev_hash.into(),
            entry.hash.into(),
        ],
    )?;
    Ok(())
}

/// What the check of a catalog found.
#[derive(Debug)]
pub struct Audit {
    /// Snapshots whose chain holds; none where it breaks.
    pub snapshots: i64,
    /// What is not as it was written: [`CatalogError::Chain`], [`CatalogError::Altered`] and
    /// [`CatalogError::Unrecorded`], at most one of each kind and table.
    pub problems: Vec<CatalogError>,
}

/// Walks the whole chain and reads every row of every table that it covers.
///
/// # Errors
/// When the catalog cannot be read; what is wrong with it is in the result.
pub fn audit(tx: &dyn Tx) -> Result<Audit, CatalogError> {
    let mut problems = Vec::new();
    let snapshots = match chain(tx) {
        Ok(count) => count,
        Err(error @ CatalogError::Chain { .. }) => {
            problems.push(error);
            0
        }
        // A value of a type that the catalog never writes.
        Err(CatalogError::Shape { .. }) => {
            problems.push(CatalogError::Unrecorded { relation: "snapshot".to_owned() });
            0
        }
        Err(error) => return Err(error),
    };
    problems.extend(record::differences(tx)?);
    problems.extend(details::differences(tx)?);
    Ok(Audit { snapshots, problems })
}

/// Walks the chain and gives the number of snapshots.
fn chain(tx: &dyn Tx) -> Result<i64, CatalogError> {
    let mut expected_id = 1;
    let mut prev_hash = String::new();
    tx.each(
        "select snapshot_id, at, actor, kind, note, changes_hash, prev_hash, hash from snapshot order by snapshot_id",
        &[],
        &mut |row| {
            let entry = Entry::of(&row)?;
            let broken = |reason| Err(CatalogError::Chain { snapshot: expected_id, reason });
            if entry.snapshot_id != expected_id {
                return broken("it is missing");
            }
            if entry.prev_hash != prev_hash {
                return broken("it does not name the one before it");
            }
            if entry.hash != entry.expected_hash() {
                return broken("its hash is not that of its content");
            }
            if entry.changes_hash != record::changes_hash(tx, entry.snapshot_id)? {
                return broken("its changes are not those that it noted");
            }
            expected_id += 1;
            prev_hash = entry.hash;
            Ok(())
        },
    )?;
    let head = tx.row("select count(*), coalesce(max(snapshot_id), 0) from head", &[])?;
    let head = head.map(|row| Ok::<_, CatalogError>((row.int(0)?, row.int(1)?))).transpose()?;
    if head != Some((1, expected_id - 1)) {
        return Err(CatalogError::Chain { snapshot: expected_id, reason: "it is missing, or the head is wrong" });
    }
    let beyond = "select snapshot_id from snapshot_change where snapshot_id not in (select snapshot_id from snapshot)";
    if let Some(row) = tx.row(beyond, &[])? {
        return Err(CatalogError::Chain { snapshot: row.int(0)?, reason: "it has changes and does not exist" });
    }
    Ok(expected_id - 1)
}
