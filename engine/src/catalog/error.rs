//! What can go wrong in the catalog.

/// A failure of the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database refused or broke.
    #[error("catalog database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The directory holds no warehouse.
    #[error("no warehouse in {0}: make one with `ratehouse init` or `ratehouse demo`")]
    Missing(String),
    /// The directory already holds a warehouse.
    #[error("{0} already holds a warehouse")]
    Exists(String),
    /// The catalog was written by another version of the program.
    #[error("the catalog has schema version {found}, this program reads {expected}")]
    Version {
        /// What the catalog says.
        found: String,
        /// What this program writes.
        expected: &'static str,
    },
    /// A stored value has another type than expected.
    #[error("catalog column {column} does not hold {wanted}")]
    Shape {
        /// Position in the result.
        column: usize,
        /// The expected type.
        wanted: &'static str,
    },
    /// Somebody else committed a change to the same rows first.
    #[error("could not serialize access due to concurrent update")]
    Conflict,
    /// A stored text is not what it must be.
    #[error("the catalog holds a malformed {what}")]
    Malformed {
        /// What it should have been.
        what: &'static str,
    },
    /// The hash chain of snapshots is broken.
    #[error("the audit chain breaks at snapshot {snapshot}: {reason}")]
    Chain {
        /// The first snapshot that does not fit.
        snapshot: i64,
        /// What does not fit.
        reason: &'static str,
    },
    /// Rows are not those that a snapshot wrote, ended or removed.
    #[error(
        "table {relation} is not what snapshot {snapshot} made of it: catalog.sqlite was edited outside Ratehouse; restore a backup"
    )]
    Altered {
        /// The table.
        relation: String,
        /// The first snapshot that disagrees.
        snapshot: i64,
    },
    /// Rows or values that no snapshot can have written.
    #[error(
        "table {relation} holds what no snapshot wrote: catalog.sqlite was edited outside Ratehouse; restore a backup"
    )]
    Unrecorded {
        /// The table.
        relation: String,
    },
    /// The commit's own check said no; nothing was written.
    #[error("{0}")]
    Refused(String),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
}
