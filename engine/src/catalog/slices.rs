//! Slices: what one provider billing account said for one billing period, the unit of replacement.

use super::audit::details::{BAND_TOTALS, SLICE_OWNERS};
use super::tx::{Row, Tx, Value};
use super::{CatalogError, Commit, SnapshotId};

/// Names a slice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SliceKey {
    /// The mapping that read it.
    pub source: String,
    /// The provider.
    pub provider_name: String,
    /// The provider's billing account.
    pub billing_account_id: String,
    /// The provider's billing period, `2026-10`.
    pub billing_period: String,
}

/// A slice and how fresh its charges are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceRow {
    /// Its number.
    pub slice_id: i64,
    /// Its name.
    pub key: SliceKey,
    /// `priced`; `amortised` for what the commitments of a priced one cost; `reference` for another view of cost that is priced elsewhere.
    pub role: String,
    /// The snapshot whose reference data its charges show; none before the first rating.
    pub rated_snapshot: Option<SnapshotId>,
    /// The snapshot that made its charges old.
    pub stale_since: Option<SnapshotId>,
    /// Why they are old.
    pub stale_reason: Option<String>,
}

const COLUMNS: &str = "s.slice_id, s.source, s.provider_name, s.billing_account_id, s.billing_period, s.role, r.rated_snapshot, r.stale_since, r.stale_reason";
const SLICES: &str = "slice s join slice_state r on r.slice_id = s.slice_id and r.end_snapshot is null";

fn slice(row: &Row) -> Result<SliceRow, CatalogError> {
    Ok(SliceRow {
        slice_id: row.int(0)?,
        key: SliceKey {
            source: row.text(1)?.to_owned(),
            provider_name: row.text(2)?.to_owned(),
            billing_account_id: row.text(3)?.to_owned(),
            billing_period: row.text(4)?.to_owned(),
        },
        role: row.text(5)?.to_owned(),
        rated_snapshot: row.opt_int(6)?,
        stale_since: row.opt_int(7)?,
        stale_reason: row.opt_text(8)?.map(str::to_owned),
    })
}

impl SliceRow {
    /// Whether a seller bills it by itself: no provider sends it.
    pub fn is_own(&self) -> bool {
        self.key.source == crate::rating::OWN_SOURCE
    }

    /// All slices, in the order of their numbers.
    pub fn all(tx: &dyn Tx) -> Result<Vec<Self>, CatalogError> {
        tx.rows(&format!("select {COLUMNS} from {SLICES} order by s.slice_id"), &[])?.iter().map(slice).collect()
    }

    /// The slices of one source, in the order of their numbers.
    pub fn all_of(tx: &dyn Tx, source: &str) -> Result<Vec<Self>, CatalogError> {
        let sql = format!("select {COLUMNS} from {SLICES} where s.source = ?1 order by s.slice_id");
        tx.rows(&sql, &[source.into()])?.iter().map(slice).collect()
    }

    /// The slice of that name.
    pub fn find(tx: &dyn Tx, key: &SliceKey) -> Result<Option<Self>, CatalogError> {
        let sql = format!(
            "select {COLUMNS} from {SLICES} where source = ?1 and provider_name = ?2 and billing_account_id = ?3 and billing_period = ?4"
        );
        let parameters = [
            key.source.as_str().into(),
            key.provider_name.as_str().into(),
            key.billing_account_id.as_str().into(),
            key.billing_period.as_str().into(),
        ];
        tx.row(&sql, &parameters)?.as_ref().map(slice).transpose()
    }

    /// Another source's slice of this provider, account and period that has a role and holds a delivery.
    pub fn beside(tx: &dyn Tx, key: &SliceKey, role: &str) -> Result<Option<Self>, CatalogError> {
        let sql = format!(
            "select {COLUMNS} from {SLICES} where source <> ?1 and provider_name = ?2 and billing_account_id = ?3 and billing_period = ?4 and role = ?5 \
             and exists (select 1 from delivery_slice d where d.slice_id = s.slice_id and d.end_snapshot is null)"
        );
        let parameters = [
            key.source.as_str().into(),
            key.provider_name.as_str().into(),
            key.billing_account_id.as_str().into(),
            key.billing_period.as_str().into(),
            role.into(),
        ];
        tx.row(&sql, &parameters)?.as_ref().map(slice).transpose()
    }
}

impl Commit<'_> {
    /// The slice of that name, made if it is new.
    pub fn ensure_slice(&self, key: &SliceKey, role: &str) -> Result<i64, CatalogError> {
        if let Some(found) = SliceRow::find(self.tx, key)? {
            return Ok(found.slice_id);
        }
        let next = self.tx.row("select coalesce(max(slice_id), 0) + 1 from slice", &[])?;
        let slice_id = next.ok_or(CatalogError::Malformed { what: "slice number" })?.int(0)?;
        let values = [
            slice_id.into(),
            key.source.as_str().into(),
            key.provider_name.as_str().into(),
            key.billing_account_id.as_str().into(),
            key.billing_period.as_str().into(),
            role.into(),
            self.snapshot.into(),
        ];
        self.tx.execute("insert into slice values (?1, ?2, ?3, ?4, ?5, ?6, ?7)", &values)?;
        self.set_state([slice_id.into(), Value::Null, Value::Null, Value::Null], self.detail_hashes(slice_id)?)?;
        Ok(slice_id)
    }

    /// Notes that a slice's charges, with their owners and band totals, now show the reference data of `snapshot`.
    pub fn set_rated(&self, slice_id: i64, snapshot: SnapshotId) -> Result<(), CatalogError> {
        self.set_state([slice_id.into(), snapshot.into(), Value::Null, Value::Null], self.detail_hashes(slice_id)?)
    }

    /// Marks a slice's charges as old; the first reason stays.
    pub fn set_stale(&self, slice_id: i64, reason: &str) -> Result<(), CatalogError> {
        let fresh = self.tx.row(
            "select rated_snapshot, owners_hash, bands_hash from slice_state \
             where slice_id = ?1 and end_snapshot is null and stale_since is null",
            &[slice_id.into()],
        )?;
        let Some(fresh) = fresh else { return Ok(()) };
        let hashes = [fresh.text(1)?.to_owned(), fresh.text(2)?.to_owned()];
        self.set_state([slice_id.into(), fresh.opt_int(0)?.into(), self.snapshot.into(), reason.into()], hashes)
    }

    /// The hashes of what the slice has in `slice_owner` and `band_total`.
    fn detail_hashes(&self, slice_id: i64) -> Result<[String; 2], CatalogError> {
        Ok([SLICE_OWNERS.hash(self.tx, slice_id.into())?, BAND_TOTALS.hash(self.tx, slice_id.into())?])
    }

    /// Ends a slice's state and writes the next: slice, rated, stale since, why. Of several in one commit the last stays.
    fn set_state(&self, state: [Value; 4], [owners, bands]: [String; 2]) -> Result<(), CatalogError> {
        let [slice_id, rated, since, reason] = state;
        let before = [slice_id.clone(), self.snapshot.into()];
        self.tx.execute("delete from slice_state where slice_id = ?1 and begin_snapshot = ?2", &before)?;
        self.tx.execute(
            "update slice_state set end_snapshot = ?2 where slice_id = ?1 and end_snapshot is null",
            &before,
        )?;
        self.tx.execute(
            "insert into slice_state values (?1, ?2, ?3, ?4, ?5, ?6, ?7, null)",
            &[slice_id, rated, since, reason, owners.into(), bands.into(), self.snapshot.into()],
        )?;
        Ok(())
    }
}
