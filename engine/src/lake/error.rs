//! What can go wrong with bulk data.

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;
use thiserror::Error;

/// A failure of the lake: what failed, where, and what to do when that is known.
///
/// Texts name objects and columns, never values of rows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LakeError {
    /// A tier that the warehouse does not have.
    #[error("there is no tier \"{tier}\"; the tiers are: {known}")]
    UnknownTier {
        /// The name asked for.
        tier: String,
        /// The names there are.
        known: String,
    },

    /// Two tiers of one name, or a name that cannot be the first segment of a path.
    #[error("tier name \"{tier}\" {problem}")]
    TierName {
        /// The name.
        tier: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A URL scheme that no store serves.
    #[error(
        "tier \"{tier}\": no store for URLs that begin with \"{scheme}:\"; use a directory, file://, s3://, az://, abfs:// or gs://"
    )]
    UnknownScheme {
        /// The tier.
        tier: String,
        /// The scheme of its URL.
        scheme: String,
    },

    /// A cloud URL in a build that has no cloud storage.
    #[error(
        "tier \"{tier}\": \"{scheme}:\" needs cloud storage, which this build leaves out; build with the cargo feature `cloud`"
    )]
    CloudLeftOut {
        /// The tier.
        tier: String,
        /// The scheme of its URL.
        scheme: String,
    },

    /// A local file or directory could not be used.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as an infinitive: "write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },

    /// A store refused or failed.
    #[error("cannot {action} {path}")]
    Store {
        /// What was tried, as an infinitive: "read".
        action: &'static str,
        /// The object's path in the lake, or the tier's name.
        path: String,
        /// The store's answer.
        source: object_store::Error,
    },

    /// A row group could not be encoded or a footer not be written.
    #[error("cannot encode {table}")]
    Encode {
        /// The table's name.
        table: &'static str,
        /// Parquet's answer.
        source: ParquetError,
    },

    /// Rows could not be collected into a row group.
    #[error("cannot cluster rows of {table}")]
    Cluster {
        /// The table's name.
        table: &'static str,
        /// Arrow's answer.
        source: ArrowError,
    },

    /// A batch whose columns are not the table's.
    #[error("column {position} of a batch for {table} must be {expected}, got {found}")]
    Columns {
        /// The table's name.
        table: &'static str,
        /// Counted from 1.
        position: usize,
        /// Name and type of the table's column.
        expected: String,
        /// Name and type of the batch's column.
        found: String,
    },

    /// A null in a column that has none.
    #[error("column {column} of {table} must not be null")]
    Null {
        /// The table's name.
        table: &'static str,
        /// The column.
        column: String,
    },

    /// A batch with another number of rows than file or group numbers.
    #[error("{rows} rows came with {files} file numbers and {groups} group numbers")]
    Assignment {
        /// Rows of the batch.
        rows: usize,
        /// File numbers given.
        files: usize,
        /// Group numbers given.
        groups: usize,
    },

    /// A path that is not one of the lake's.
    #[error("\"{path}\" is not the path of an object in the lake")]
    Path {
        /// The text.
        path: String,
    },

    /// Files with another number of rows than were pushed; none of them is published.
    #[error("{pushed} rows of {table} were pushed and {written} written; nothing is kept, please report this")]
    Rows {
        /// The table's name.
        table: &'static str,
        /// Rows pushed.
        pushed: i64,
        /// Rows in the files.
        written: i64,
    },

    /// An encoding thread ended without an answer; the files of this writer are not to be used.
    #[error("encoding {table} stopped unexpectedly")]
    Stopped {
        /// The table's name.
        table: &'static str,
    },
}

impl LakeError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(super) fn store(action: &'static str, path: &(impl ToString + ?Sized), source: object_store::Error) -> Self {
        Self::Store { action, path: path.to_string(), source }
    }
}

impl From<LakeError> for DataFusionError {
    fn from(error: LakeError) -> Self {
        Self::External(Box::new(error))
    }
}
