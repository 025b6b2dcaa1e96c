//! Tables that are rewritten as a whole and name no snapshots: the row they belong to has their hash.

use super::digest::RowsDigest;
use crate::catalog::{CatalogError, Tx, Value};

/// A table of details.
pub(in crate::catalog) struct Detail {
    relation: &'static str,
    /// The rows that belong to `?1`.
    rows: &'static str,
    /// To whom rows belong: the snapshot that wrote it, its key, its hash of the rows; in the order of snapshots.
    owners: &'static str,
    /// A row if any belongs to nobody.
    strangers: &'static str,
}

/// Statistics of live and ended files; a removed file has none.
pub(in crate::catalog) const FILE_STATS: Detail = Detail {
    relation: "file_stats",
    rows: "select column_name, min_value, max_value, nulls from file_stats where file_id = ?1 order by column_name",
    owners: "select begin_snapshot, file_id, stats_hash from data_file order by begin_snapshot, file_id",
    strangers: "select 1 from file_stats where file_id not in (select file_id from data_file) limit 1",
};

/// Owners of the charges that a slice has now.
pub(in crate::catalog) const SLICE_OWNERS: Detail = Detail {
    relation: "slice_owner",
    rows: "select node_path from slice_owner where slice_id = ?1 order by node_path",
    owners: "select begin_snapshot, slice_id, owners_hash from slice_state where end_snapshot is null order by begin_snapshot, slice_id",
    strangers: "select 1 from slice_owner where slice_id not in (select slice_id from slice_state) limit 1",
};

/// What a slice adds to band counters now.
pub(in crate::catalog) const BAND_TOTALS: Detail = Detail {
    relation: "band_total",
    rows: "select counter, quantity from band_total where slice_id = ?1 order by counter",
    owners: "select begin_snapshot, slice_id, bands_hash from slice_state where end_snapshot is null order by begin_snapshot, slice_id",
    strangers: "select 1 from band_total where slice_id not in (select slice_id from slice_state) limit 1",
};

/// The verifier of a login that is in force.
pub(in crate::catalog) const VERIFIERS: Detail = Detail {
    relation: "credential",
    rows: "select verifier from credential where login = ?1 and end_snapshot is null",
    owners: "select begin_snapshot, login, verifier_hash from credential where end_snapshot is null order by begin_snapshot, login",
    strangers: "select 1 from credential where end_snapshot is not null and verifier is not null limit 1",
};

impl Detail {
    /// The hash of the rows that belong to `key`.
    pub(in crate::catalog) fn hash(&self, tx: &dyn Tx, key: Value) -> Result<String, CatalogError> {
        let mut rows = RowsDigest::default();
        tx.each(self.rows, &[key], &mut |row| {
            rows.add(row.values());
            Ok(())
        })?;
        Ok(rows.finish())
    }

    fn difference(&self, tx: &dyn Tx) -> Result<Option<CatalogError>, CatalogError> {
        let relation = || self.relation.to_owned();
        for owner in tx.rows(self.owners, &[])? {
            let key = owner.values().get(1).cloned().unwrap_or(Value::Null);
            if self.hash(tx, key)? != owner.text(2)? {
                return Ok(Some(CatalogError::Altered { relation: relation(), snapshot: owner.int(0)? }));
            }
        }
        let stranger = tx.row(self.strangers, &[])?;
        Ok(stranger.map(|_| CatalogError::Unrecorded { relation: relation() }))
    }
}

/// The tables of details that are not what their owners' rows say.
pub(super) fn differences(tx: &dyn Tx) -> Result<Vec<CatalogError>, CatalogError> {
    let mut found = Vec::new();
    for detail in [FILE_STATS, SLICE_OWNERS, BAND_TOTALS, VERIFIERS] {
        match detail.difference(tx) {
            Ok(difference) => found.extend(difference),
            // A value of a type that the catalog never writes.
            Err(CatalogError::Shape { .. }) => {
                found.push(CatalogError::Unrecorded { relation: detail.relation.to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
