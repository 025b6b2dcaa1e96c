//! The catalog: one small transactional database that says what the warehouse is.
//!
//! It lists the immutable data files, and holds reference rows, deliveries, invoices, number
//! sequences, pins and the audit chain. Every commit takes the next snapshot id under the write
//! lock, so ids are gap-free and in commit order, and one id names the state of everything.
//!
//! Invariants: this is the only code that talks to the database; it knows nothing of billing;
//! every file it lists was durable before the transaction that listed it began.

mod alerts;
mod answers;
mod audit;
mod collection;
mod credentials;
mod deliveries;
mod ducklake;
mod error;
mod files;
mod garbage;
mod provider_tables;
mod quarantine;
mod reference;
mod slices;
mod sqlite;
mod tx;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use alerts::{AlertDelivery, AlertLook, AlertRow};
pub use answers::FormerAnswer;
pub use audit::{Audit, audit};
pub use collection::{Allowance, CollectedItem, CollectedSlice, CollectionRun, QueuedRequest, SourceState};
pub use credentials::verifier_of_login;
pub use deliveries::{DeliveryRow, DeliverySlice, FindingRow};
pub use error::CatalogError;
pub use files::{LiveFile, NewFile};
pub use garbage::{Orphans, is_listed};
pub use provider_tables::{
    CONTRACT_COMMITMENTS, KUBERNETES_ALLOCATIONS, METRICS, OWNER, PROVIDER_BILLING_PERIODS, PROVIDER_INVOICES,
    ProviderTable, UnitCounts,
};
pub use quarantine::RejectRow;
pub use reference::{RefColumn, RefRow, RefTable, RefType};
pub use slices::{SliceKey, SliceRow};
pub use tx::{Row, Tx, Value};

/// The version of the catalog's tables; a catalog of another version is refused.
pub const SCHEMA_VERSION: &str = "11";
const FILE_NAME: &str = "catalog.sqlite";

/// A snapshot's number.
pub type SnapshotId = i64;

/// Who changes what and why: the head of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The login, or `system`.
    pub actor: String,
    /// What kind of change: `land`, `dml`, `close`, ...
    pub kind: &'static str,
    /// Why, in the actor's words or the program's.
    pub note: String,
}

impl Change {
    /// A change by `actor`.
    pub fn new(actor: &str, kind: &'static str, note: impl Into<String>) -> Self {
        Self { actor: actor.to_owned(), kind, note: note.into() }
    }
}

/// An open commit: a transaction that holds the write lock and the next snapshot id.
pub struct Commit<'a> {
    /// The transaction.
    pub tx: &'a dyn Tx,
    /// The snapshot that this commit makes.
    pub snapshot: SnapshotId,
    /// The instant of the commit, RFC 3339 UTC.
    pub at: String,
}

impl std::fmt::Debug for Commit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commit").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

/// The catalog of one warehouse. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    database: Arc<sqlite::Sqlite>,
    directory: Arc<PathBuf>,
}

impl Catalog {
    /// Makes a catalog in an existing directory.
    ///
    /// # Errors
    /// [`CatalogError::Exists`] when there is one already.
    pub fn create(directory: &Path) -> Result<Self, CatalogError> {
        let path = directory.join(FILE_NAME);
        if path.exists() {
            return Err(CatalogError::Exists(directory.display().to_string()));
        }
        let unfinished = directory.join(format!("{FILE_NAME}.new"));
        for name in [format!("{FILE_NAME}.new"), format!("{FILE_NAME}.new-wal"), format!("{FILE_NAME}.new-shm")] {
            let stale = directory.join(name);
            if stale.exists() {
                std::fs::remove_file(&stale).map_err(|source| io(&stale, source))?;
            }
        }
        // The tables are made under another name: a crash leaves no half catalog behind.
        let database = sqlite::Sqlite::open(&unfinished, true)?;
        database.write(|tx| {
            let ddl = include_str!("schema.sql");
            for statement in statements(ddl) {
                tx.execute(&statement, &[])?;
            }
            reference::create_tables(tx)?;
            provider_tables::create_tables(tx)?;
            ducklake::create_views(tx)?;
            tx.execute("insert into setting values ('schema_version', ?1, null)", &[SCHEMA_VERSION.into()])?;
            Ok::<_, CatalogError>(())
        })?;
        let complete = directory.join(format!("{FILE_NAME}.complete"));
        if complete.exists() {
            std::fs::remove_file(&complete).map_err(|source| io(&complete, source))?;
        }
        database.backup(&complete)?;
        drop(database);
        sync(&complete)?;
        std::fs::rename(&complete, &path).map_err(|source| io(&path, source))?;
        sync(directory)?;
        for name in [format!("{FILE_NAME}.new"), format!("{FILE_NAME}.new-wal"), format!("{FILE_NAME}.new-shm")] {
            let stale = directory.join(name);
            if stale.exists() {
                std::fs::remove_file(&stale).map_err(|source| io(&stale, source))?;
            }
        }
        Self::open(directory)
    }

    /// Opens the catalog of a directory.
    ///
    /// # Errors
    /// [`CatalogError::Missing`] when there is none, [`CatalogError::Version`] when another
    /// version of the program wrote it.
    pub fn open(directory: &Path) -> Result<Self, CatalogError> {
        let path = directory.join(FILE_NAME);
        if !path.exists() {
            return Err(CatalogError::Missing(directory.display().to_string()));
        }
        let database = Arc::new(sqlite::Sqlite::open(&path, false)?);
        let catalog = Self { database, directory: Arc::new(directory.to_owned()) };
        let found = catalog.setting("schema_version")?.unwrap_or_default();
        if found != SCHEMA_VERSION {
            return Err(CatalogError::Version { found, expected: SCHEMA_VERSION });
        }
        catalog.note_directory()?;
        Ok(catalog)
    }

    /// The warehouse's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs `work` on one consistent state.
    pub fn read<T, E: From<CatalogError>>(&self, work: impl FnOnce(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        self.database.read(work)
    }

    /// Runs `work` as one commit and gives its snapshot id. Every change of the warehouse comes
    /// through here. An error of `work` leaves nothing behind. Rows that `work` writes or ends name
    /// the commit's snapshot: the audit takes what the commit did from the tables.
    pub fn commit<T, E: From<CatalogError>>(
        &self,
        change: &Change,
        work: impl FnOnce(&Commit<'_>) -> Result<T, E>,
    ) -> Result<(SnapshotId, T), E> {
        self.database.write(|tx| {
            // First statement: takes the lock, so ids follow the order of commits.
            tx.execute("update head set snapshot_id = snapshot_id + 1", &[])?;
            let snapshot = head(tx)?;
            let commit = Commit { tx, snapshot, at: audit::now() };
            let result = work(&commit)?;
            audit::seal(&commit, change)?;
            Ok((snapshot, result))
        })
    }

    /// The newest snapshot.
    pub fn head(&self) -> Result<SnapshotId, CatalogError> {
        self.read(head)
    }

    /// A setting of the warehouse, such as its secret or its root node.
    pub fn setting(&self, name: &str) -> Result<Option<String>, CatalogError> {
        self.read(|tx| {
            let row = tx.row("select value from setting where name = ?1", &[name.into()])?;
            row.map(|row| row.text(0).map(str::to_owned)).transpose()
        })
    }

    /// Copies the catalog to a new file, consistent while others work.
    pub fn backup(&self, to: &Path) -> Result<(), CatalogError> {
        self.database.backup(to)?;
        sync(to)
    }
}

/// The newest snapshot that a transaction sees.
pub fn head(tx: &dyn Tx) -> Result<SnapshotId, CatalogError> {
    let row = tx.row("select snapshot_id from head", &[])?;
    row.ok_or(CatalogError::Malformed { what: "head" })?.int(0)
}

/// Splits DDL text at its semicolons; no literal in it holds one.
fn statements(ddl: &str) -> Vec<String> {
    let code: String = ddl
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .fold(String::new(), |text, line| text + line + "\n");
    code.split(';').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

fn io(path: &Path, source: std::io::Error) -> CatalogError {
    CatalogError::Io { path: path.display().to_string(), source }
}

fn sync(path: &Path) -> Result<(), CatalogError> {
    let file = std::fs::File::open(path).map_err(|source| io(path, source))?;
    file.sync_all().map_err(|source| io(path, source))
}
