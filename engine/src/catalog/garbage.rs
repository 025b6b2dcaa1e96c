//! Which files nobody needs: written but never committed, or ended, old enough and not pinned.

use super::tx::Tx;
use super::{CatalogError, Commit};

/// What orphan collection may remove.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Orphans {
    /// Paths of files that ended before the grace period and that no pin needs.
    pub ended: Vec<String>,
}

impl Orphans {
    /// Ended files that may go: no reader is that far behind, and no pinned snapshot of their
    /// slice lies in their life.
    pub fn ended_before(tx: &dyn Tx, at: &str) -> Result<Self, CatalogError> {
        let rows = tx.rows(
            "select f.path from data_file f join snapshot e on e.snapshot_id = f.end_snapshot \
             where e.at < ?1 and not exists (select 1 from pin p where p.slice_id = f.slice_id and p.end_snapshot is null \
             and p.snapshot_id >= f.begin_snapshot and p.snapshot_id < f.end_snapshot) order by f.file_id",
            &[at.into()],
        )?;
        let ended = rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?;
        Ok(Self { ended })
    }
}

/// Whether the catalog lists the path, alive or ended.
pub fn is_listed(tx: &dyn Tx, path: &str) -> Result<bool, CatalogError> {
    Ok(tx.row("select 1 from data_file where path = ?1", &[path.into()])?.is_some())
}

impl Commit<'_> {
    /// Forgets an ended file but for what it was; its object is removed after the commit.
    pub fn forget_file(&self, path: &str) -> Result<(), CatalogError> {
        let kept = self.tx.execute(
            "insert into removed_file select file_id, table_id, path, rows, bytes, footer_bytes, slice_id, child, stats_hash, begin_snapshot, end_snapshot, ?2 \
             from data_file where path = ?1 and end_snapshot is not null",
            &[path.into(), self.snapshot.into()],
        )?;
        if kept != 1 {
            return Err(CatalogError::Conflict);
        }
        self.tx.execute(
            "delete from file_stats where file_id in (select file_id from data_file where path = ?1 and end_snapshot is not null)",
            &[path.into()],
        )?;
        self.tx.execute("delete from data_file where path = ?1 and end_snapshot is not null", &[path.into()])?;
        Ok(())
    }

    /// Keeps what a document was made of: the files of a slice that are alive at this snapshot.
    pub fn pin(&self, slice_id: i64, reference: &str, keep_until: &str) -> Result<(), CatalogError> {
        self.tx.execute(
            "insert into pin values (?1, ?2, ?3, ?4, null) on conflict do nothing",
            &[self.snapshot.into(), slice_id.into(), reference.into(), keep_until.into()],
        )?;
        Ok(())
    }

    /// Ends the pins of a reference: what they kept may go, unless another pin needs it.
    pub fn unpin(&self, reference: &str) -> Result<(), CatalogError> {
        self.tx.execute(
            "update pin set end_snapshot = ?1 where reference = ?2 and end_snapshot is null",
            &[self.snapshot.into(), reference.into()],
        )?;
        Ok(())
    }
}
