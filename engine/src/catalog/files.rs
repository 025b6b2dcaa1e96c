//! Data files: which immutable Parquet files make up which table at which snapshot.

use super::audit::details::FILE_STATS;
use super::tx::{Row, Tx, Value};
use super::{CatalogError, Commit, SnapshotId};

/// A durable file that a commit is about to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// The catalog's number of its table.
    pub table_id: i64,
    /// Tier and path.
    pub path: String,
    /// Rows in it.
    pub rows: i64,
    /// Its size.
    pub bytes: i64,
    /// The size of its footer.
    pub footer_bytes: i64,
    /// The slice all its rows belong to.
    pub slice_id: i64,
    /// The root's child all its rows belong to, empty for the root's own.
    pub child: String,
    /// `(column, min, max, nulls)`.
    pub stats: Vec<(String, Option<String>, Option<String>, i64)>,
}

/// A listed file and its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Its number.
    pub file_id: i64,
    /// What it is.
    pub file: NewFile,
    /// The provider of its slice.
    pub provider_name: String,
    /// The billing account of its slice.
    pub billing_account_id: String,
    /// The billing period of its slice, `2026-10`.
    pub billing_period: String,
    /// The role of its slice.
    pub role: String,
    /// The snapshot that listed it.
    pub begin_snapshot: SnapshotId,
    /// The snapshot that replaced it.
    pub end_snapshot: Option<SnapshotId>,
}

fn live(row: &Row) -> Result<LiveFile, CatalogError> {
    Ok(LiveFile {
        file_id: row.int(0)?,
        file: NewFile {
            table_id: row.int(1)?,
            path: row.text(2)?.to_owned(),
            rows: row.int(3)?,
            bytes: row.int(4)?,
            footer_bytes: row.int(5)?,
            slice_id: row.int(6)?,
            child: row.text(7)?.to_owned(),
            stats: Vec::new(),
        },
        begin_snapshot: row.int(8)?,
        end_snapshot: row.opt_int(9)?,
        provider_name: row.text(10)?.to_owned(),
        billing_account_id: row.text(11)?.to_owned(),
        billing_period: row.text(12)?.to_owned(),
        role: row.text(13)?.to_owned(),
    })
}

impl LiveFile {
    /// Files whose life began or ended after `since`, with their statistics: what an index that
    /// stands at `since` must learn. From 0 it is every file ever listed and not yet removed.
    pub fn changed_since(tx: &dyn Tx, since: SnapshotId) -> Result<Vec<Self>, CatalogError> {
        let mut files = Vec::new();
        tx.each(
            "select f.file_id, f.table_id, f.path, f.rows, f.bytes, f.footer_bytes, f.slice_id, f.child, f.begin_snapshot, f.end_snapshot, \
             s.provider_name, s.billing_account_id, s.billing_period, s.role \
             from data_file f join slice s on s.slice_id = f.slice_id \
             where f.begin_snapshot > ?1 or f.end_snapshot > ?1 order by f.file_id",
            &[since.into()],
            &mut |row| {
                files.push(live(&row)?);
                Ok(())
            },
        )?;
        let mut at = 0;
        tx.each(
            "select t.file_id, t.column_name, t.min_value, t.max_value, t.nulls from file_stats t \
             join data_file f on f.file_id = t.file_id \
             where f.begin_snapshot > ?1 or f.end_snapshot > ?1 order by t.file_id",
            &[since.into()],
            &mut |row| {
                let file_id = row.int(0)?;
                while files.get(at).is_some_and(|f: &Self| f.file_id < file_id) {
                    at += 1;
                }
                if let Some(found) = files.get_mut(at).filter(|f| f.file_id == file_id) {
                    found.file.stats.push((
                        row.text(1)?.to_owned(),
                        row.opt_text(2)?.map(str::to_owned),
                        row.opt_text(3)?.map(str::to_owned),
                        row.int(4)?,
                    ));
                }
                Ok(())
            },
        )?;
        Ok(files)
    }
}

impl Commit<'_> {
    /// Lists a file that is already durable.
    pub fn add_file(&self, file: &NewFile) -> Result<i64, CatalogError> {
        // The number of a removed file is not given again.
        let next = self.tx.row(
            "select max((select coalesce(max(file_id), 0) from data_file), (select coalesce(max(file_id), 0) from removed_file)) + 1",
            &[],
        )?;
        let file_id = next.ok_or(CatalogError::Malformed { what: "file number" })?.int(0)?;
        for (column, min, max, nulls) in &file.stats {
            self.tx.execute(
                "insert into file_stats values (?1, ?2, ?3, ?4, ?5)",
                &[file_id.into(), column.as_str().into(), min.clone().into(), max.clone().into(), (*nulls).into()],
            )?;
        }
        let values: [Value; 11] = [
            file_id.into(),
            file.table_id.into(),
            file.path.as_str().into(),
            file.rows.into(),
            file.bytes.into(),
            file.footer_bytes.into(),
            file.slice_id.into(),
            file.child.as_str().into(),
            FILE_STATS.hash(self.tx, file_id.into())?.into(),
            self.snapshot.into(),
            Value::Null,
        ];
        self.tx.execute("insert into data_file values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", &values)?;
        Ok(file_id)
    }

    /// Ends the live files of a slice in one table and says how many there were.
    pub fn end_files(&self, slice_id: i64, table_id: i64) -> Result<usize, CatalogError> {
        self.tx.execute(
            "update data_file set end_snapshot = ?1 where slice_id = ?2 and table_id = ?3 and end_snapshot is null",
            &[self.snapshot.into(), slice_id.into(), table_id.into()],
        )
    }
}
