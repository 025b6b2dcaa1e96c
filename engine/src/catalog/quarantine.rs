//! Quarantine: rows that were rejected, and which deliveries settle them.
//!
//! An open row stands against the close of its billing period, or of every period where its own cannot be read. So a row is
//! settled only by a delivery that must contain what it should have said:
//!
//! 1. a newer delivery holds the slice that the row belongs to, whole;
//! 2. where the row does not say its slice: newer deliveries took the place of all that its own delivery held (of the row's
//!    period, if that is known), or its delivery was older than what its slices held and was ignored;
//! 3. where its delivery holds nothing now: the same file came again (by source and name, or by content) and has rows of
//!    every period that open rows of the delivery are known to be of, or rows that stand against every period themselves; or
//!    it came without any row, which withdraws it.
//!
//! What another month says under the same name settles nothing of this one.

use super::tx::Value;
use super::{CatalogError, Commit};

/// A row in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectRow {
    /// Which part file, from 0.
    pub source_file: i64,
    /// Which row of it.
    pub source_row: i64,
    /// The column at fault.
    pub column: Option<String>,
    /// What kind of value it held.
    pub value_class: String,
    /// Why the row was refused.
    pub reason: String,
    /// The row as it came.
    pub raw: String,
    /// Its billed cost if that could be read, decimal text.
    pub billed_cost: Option<String>,
    /// Its provider if that could be read.
    pub provider_name: Option<String>,
    /// Its billing account if that could be read.
    pub billing_account_id: Option<String>,
    /// Its billing period if that could be read, `2026-10`.
    pub billing_period: Option<String>,
}

/// Rule 1: the slice was delivered again.
const BY_SLICE: &str = "update rejected_row set end_snapshot = ?1 where end_snapshot is null and exists (\
    select 1 from delivery d \
    join slice s on s.source = d.source and s.provider_name = rejected_row.provider_name \
    and s.billing_account_id = rejected_row.billing_account_id and s.billing_period = rejected_row.billing_period \
    join delivery_slice p on p.slice_id = s.slice_id and p.end_snapshot is null \
    join delivery h on h.delivery_id = p.delivery_id \
    where d.delivery_id = rejected_row.delivery_id and (h.sequence, h.delivery_id) > (d.sequence, d.delivery_id))";

/// Rule 2: all of its delivery was delivered again.
const BY_DELIVERY: &str = "update rejected_row set end_snapshot = ?1 where end_snapshot is null \
    and (provider_name is null or billing_account_id is null or billing_period is null) \
    and not exists (select 1 from delivery_slice p where p.delivery_id = rejected_row.delivery_id and p.end_snapshot is null) \
    and (exists (select 1 from delivery_slice p join slice s on s.slice_id = p.slice_id where p.delivery_id = rejected_row.delivery_id \
    and (rejected_row.billing_period is null or s.billing_period = rejected_row.billing_period)) \
    or (billing_period is null and exists (select 1 from delivery d where d.delivery_id = rejected_row.delivery_id and d.state = 'stale')))";

/// Rule 3: the same file came again, as delivery `?2`.
const BY_FILE: &str = "update rejected_row set end_snapshot = ?1 where end_snapshot is null and delivery_id in (\
    select d.delivery_id from delivery d join delivery n on n.delivery_id = ?2 \
    where (n.sequence, n.delivery_id) > (d.sequence, d.delivery_id) and n.state <> 'stale' \
    and ((d.source = n.source and d.name = n.name) or d.content_hash = n.content_hash) \
    and not exists (select 1 from delivery_slice p where p.delivery_id = d.delivery_id and p.end_snapshot is null) \
    and ((n.rows = 0 and n.rejected_rows = 0) \
    or exists (select 1 from rejected_row q where q.delivery_id = n.delivery_id and q.billing_period is null) \
    or not exists (select 1 from rejected_row o where o.delivery_id = d.delivery_id and o.end_snapshot is null \
    and o.billing_period is not null \
    and not exists (select 1 from delivery_slice p join slice s on s.slice_id = p.slice_id where p.delivery_id = n.delivery_id and s.billing_period = o.billing_period) \
    and not exists (select 1 from rejected_row q where q.delivery_id = n.delivery_id and q.billing_period = o.billing_period))))";

impl Commit<'_> {
    /// Puts a row of a delivery in quarantine.
    pub(super) fn add_rejected(&self, delivery_id: i64, row: &RejectRow) -> Result<(), CatalogError> {
        let values: [Value; 12] = [
            delivery_id.into(),
            row.source_file.into(),
            row.source_row.into(),
            row.column.clone().into(),
            row.value_class.as_str().into(),
            row.reason.as_str().into(),
            row.raw.as_str().into(),
            row.billed_cost.clone().into(),
            row.provider_name.clone().into(),
            row.billing_account_id.clone().into(),
            row.billing_period.clone().into(),
            self.snapshot.into(),
        ];
        self.tx.execute(
            "insert into rejected_row values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, null)",
            &values,
        )?;
        Ok(())
    }

    /// Ends the rows in quarantine that a delivery, recorded with all its slices, settles.
    pub fn settle_rejected(&self, delivery_id: i64) -> Result<(), CatalogError> {
        let snapshot = || Value::from(self.snapshot);
        self.tx.execute(BY_SLICE, &[snapshot()])?;
        self.tx.execute(BY_DELIVERY, &[snapshot()])?;
        self.tx.execute(BY_FILE, &[snapshot(), delivery_id.into()])?;
        Ok(())
    }
}
