//! Descriptions of data files: what a writer made, what the catalog lists, what a scan reads.

use std::sync::Arc;

use super::schema::LakeTable;

/// Bounds of one column in one file, as text.
///
/// Text columns have their own values, dates `2026-10-01`, instants `2026-10-01 00:00:00+00`
/// (with microseconds when there are any). Long texts are cut: `min` is then rounded down and
/// `max` up, so the bounds always hold. A bound is absent when the column is null throughout or
/// no bound could be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnStats {
    /// The column's name.
    pub column: String,
    /// Not greater than any value.
    pub min: Option<String>,
    /// Not less than any value.
    pub max: Option<String>,
    /// Rows in which the column is null.
    pub nulls: i64,
}

/// A file that a [`ClusteredWriter`](super::ClusteredWriter) has made: durable, not yet listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// The number that its rows were pushed with.
    pub file: u32,
    /// `<tier>/<table>/<prefix>/<uuid>.parquet`.
    pub path: String,
    /// Rows in it.
    pub rows: i64,
    /// Its length.
    pub bytes: i64,
    /// Length of the Parquet metadata at its end, without the eight bytes that follow.
    pub footer_bytes: i64,
    /// Bounds of the columns that queries select by, at most twelve.
    pub stats: Vec<ColumnStats>,
}

/// A file of a table as the catalog lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// The catalog's number.
    pub id: i64,
    /// The table it belongs to.
    pub table: LakeTable,
    /// `<tier>/<table>/<prefix>/<uuid>.parquet`.
    pub path: String,
    /// Rows in it.
    pub rows: i64,
    /// Its length.
    pub bytes: i64,
    /// Length of the Parquet metadata at its end, without the eight bytes that follow.
    pub footer_bytes: i64,
    /// The slice it is part of.
    pub slice_id: i64,
    /// First day of the billing period of every row, as days since 1970-01-01.
    pub billing_period: i32,
    /// The slice's provider. Files are skipped by the bounds of the column, not by this: a
    /// provider's file may spell its name in another way than the source that reads it.
    pub provider_name: String,
    /// The slice's billing account; a label like `provider_name`.
    pub billing_account_id: String,
    /// The root's child all rows belong to, empty when there is no such child.
    pub child: String,
    /// Bounds of some columns.
    pub stats: Vec<ColumnStats>,
}

/// The name under which the statistics of a file say in how many positions, from the root on, all its rows agree: not a column.
pub const AGREED_POSITIONS: &str = "agreed positions";

/// The name under which the statistics of a file list the sub-accounts of its rows, each between line ends: not a column.
pub const ACCOUNT_NAMES: &str = "account names";

/// The name under which the statistics of a file say at which snapshot's reference data its rows were made: not a column.
pub const RATED_SNAPSHOT: &str = "rated snapshot";

impl DataFile {
    /// The snapshot whose reference data its rows were made by, where it is kept.
    pub fn rated_snapshot(&self) -> Option<i64> {
        self.stats_of(RATED_SNAPSHOT)?.min.as_deref()?.parse().ok()
    }

    /// The sub-accounts of the file's rows, each between line ends; none where they are not known.
    pub fn account_names(&self) -> Option<&str> {
        self.stats_of(ACCOUNT_NAMES)?.min.as_deref()
    }

    /// Whether some of its charges may be shares of pools. Of the three fates theirs comes first.
    pub fn has_shares(&self) -> bool {
        let first = self.stats_of("fate").and_then(|stats| stats.min.as_deref());
        first.is_none_or(|fate| fate <= "allocated")
    }

    /// Whether some of its rows may have tags that rules or policies look at.
    pub fn has_rule_tags(&self) -> bool {
        self.stats_of("rule_tags").is_none_or(|stats| stats.nulls < self.rows)
    }

    /// Whether its rows begin at their sellers, who bill them by themselves.
    pub fn begins_at_seller(&self) -> bool {
        self.provider_name == crate::rating::OWN_SOURCE
    }

    /// In how many positions, from the root on, all rows of the file surely agree.
    pub fn agreed_positions(&self) -> usize {
        let stats = self.stats_of(AGREED_POSITIONS);
        stats.and_then(|stats| stats.min.as_deref()?.parse().ok()).unwrap_or_default()
    }

    /// The bounds of a column, if they are known.
    pub fn stats_of(&self, column: &str) -> Option<&ColumnStats> {
        self.stats.iter().find(|stats| stats.column == column)
    }
}

/// Files to read, shared between the index, the providers and the plans of a statement.
pub type FileList = Arc<[Arc<DataFile>]>;
