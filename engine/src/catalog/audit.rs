//! The audit chain: each snapshot's hash covers who, when, why, a digest of every change it made
//! and the hash before it, so that no snapshot can be altered, dropped or inserted unnoticed.

use std::cell::RefCell;

use sha2::{Digest as _, Sha256};

use super::tx::{Tx, Value};
use super::{CatalogError, Change, Commit, SnapshotId};

/// Running digest of what a commit changes.
#[derive(Debug, Default)]
pub(super) struct Digest(RefCell<Sha256>);

impl Commit<'_> {
    /// Adds one change to the snapshot's digest. Fields are length-prefixed, so no two lists of
    /// fields have the same bytes.
    pub fn record(&self, what: &str, fields: &[Value]) {
        let mut digest = self.audit.0.borrow_mut();
        add(&mut digest, what);
        for field in fields {
            match field {
                Value::Null => digest.update([0]),
                Value::Int(int) => {
                    digest.update([1]);
                    digest.update(int.to_be_bytes());
                }
                Value::Text(text) => {
                    digest.update([2]);
                    add(&mut digest, text);
                }
            }
        }
    }
}

fn add(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text.as_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| text + &format!("{byte:02x}"))
}

/// Now, as the catalog writes instants.
pub(super) fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// One snapshot as the audit shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number.
    pub snapshot_id: SnapshotId,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What kind of change.
    pub kind: String,
    /// Why.
    pub note: String,
    /// Digest of the changes.
    pub changes_hash: String,
    /// The hash of the snapshot before.
    pub prev_hash: String,
    /// The hash of this one.
    pub hash: String,
}

impl AuditEntry {
    fn expected_hash(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.snapshot_id.to_be_bytes());
        for text in [&self.at, &self.actor, &self.kind, &self.note, &self.changes_hash, &self.prev_hash] {
            add(&mut digest, text);
        }
        hex(&digest.finalize())
    }
}

/// Writes the snapshot row that ends a commit.
pub(super) fn seal(commit: &Commit<'_>, change: &Change) -> Result<(), CatalogError> {
    let prev_hash =
        match commit.tx.row("select hash from snapshot where snapshot_id = ?1", &[(commit.snapshot - 1).into()])? {
            Some(row) => row.text(0)?.to_owned(),
            None => String::new(),
        };
    let mut entry = AuditEntry {
        snapshot_id: commit.snapshot,
        at: commit.at.clone(),
        actor: change.actor.clone(),
        kind: change.kind.to_owned(),
        note: change.note.clone(),
        changes_hash: hex(&commit.audit.0.borrow().clone().finalize()),
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

/// Walks the whole chain and gives the number of snapshots.
///
/// # Errors
/// [`CatalogError::Chain`] names the first snapshot that does not fit.
pub fn verify_chain(tx: &dyn Tx) -> Result<i64, CatalogError> {
    let mut expected_id = 1;
    let mut prev_hash = String::new();
    tx.each(
        "select snapshot_id, at, actor, kind, note, changes_hash, prev_hash, hash from snapshot order by snapshot_id",
        &[],
        &mut |row| {
            let entry = AuditEntry {
                snapshot_id: row.int(0)?,
                at: row.text(1)?.to_owned(),
                actor: row.text(2)?.to_owned(),
                kind: row.text(3)?.to_owned(),
                note: row.text(4)?.to_owned(),
                changes_hash: row.text(5)?.to_owned(),
                prev_hash: row.text(6)?.to_owned(),
                hash: row.text(7)?.to_owned(),
            };
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
            expected_id += 1;
            prev_hash = entry.hash;
            Ok(())
        },
    )?;
    if super::head(tx)? != expected_id - 1 {
        return Err(CatalogError::Chain { snapshot: expected_id, reason: "the newest snapshots are missing" });
    }
    Ok(expected_id - 1)
}
