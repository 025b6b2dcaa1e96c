//! Deliveries: which files came, what became of them, and what they were refused for.

use super::tx::{Row, Tx, Value};
use super::{CatalogError, Commit, RejectRow, SnapshotId};

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its number.
    pub delivery_id: i64,
    /// The mapping that read it.
    pub source: String,
    /// Its file, folder or manifest.
    pub name: String,
    /// SHA-256 over its parts.
    pub content_hash: String,
    /// Orders the deliveries of one source: the later text is the newer.
    pub sequence: String,
    /// Number of part files.
    pub parts: i64,
    /// Their size.
    pub bytes: i64,
    /// Rows accepted.
    pub rows: i64,
    /// Rows in quarantine.
    pub rejected_rows: i64,
    /// Rows that lost digits beyond scale 18.
    pub lossy_rows: i64,
    /// Sum of the accepted rows' billed cost, decimal text.
    pub billed_cost: String,
    /// Sum of the rejected rows' billed cost as far as it could be read, decimal text.
    pub rejected_billed_cost: String,
    /// `landed`, `empty` or `stale`.
    pub state: String,
    /// When, RFC 3339 UTC.
    pub landed_at: String,
    /// The snapshot that recorded it.
    pub snapshot_id: SnapshotId,
    /// `priced`, or `reference` for another view of cost that is priced elsewhere.
    pub role: String,
}

/// What one delivery said about one slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverySlice {
    /// The slice.
    pub slice_id: i64,
    /// Rows of it.
    pub rows: i64,
    /// Sum of BilledCost, decimal text.
    pub billed_cost: String,
    /// Sum of EffectiveCost, decimal text.
    pub effective_cost: String,
    /// Sum of ListCost, decimal text.
    pub list_cost: String,
}

/// A data-quality finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// The rule, `R1` ... `R20`.
    pub rule: String,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// Rows that break it.
    pub rows: i64,
    /// The first one, `file:row`.
    pub example: String,
    /// What is wrong.
    pub description: String,
}

const COLUMNS: &str = "delivery_id, source, name, content_hash, sequence, parts, bytes, rows, rejected_rows, lossy_rows, billed_cost, rejected_billed_cost, state, landed_at, snapshot_id, role";

fn delivery(row: &Row) -> Result<DeliveryRow, CatalogError> {
    Ok(DeliveryRow {
        delivery_id: row.int(0)?,
        source: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        content_hash: row.text(3)?.to_owned(),
        sequence: row.text(4)?.to_owned(),
        parts: row.int(5)?,
        bytes: row.int(6)?,
        rows: row.int(7)?,
        rejected_rows: row.int(8)?,
        lossy_rows: row.int(9)?,
        billed_cost: row.text(10)?.to_owned(),
        rejected_billed_cost: row.text(11)?.to_owned(),
        state: row.text(12)?.to_owned(),
        landed_at: row.text(13)?.to_owned(),
        snapshot_id: row.int(14)?,
        role: row.text(15)?.to_owned(),
    })
}

impl DeliveryRow {
    /// The last delivery with that content, if it was landed before. One of which nothing was accepted and whose rows are
    /// in quarantine may come again: its mapping may have been mended.
    pub fn with_content(tx: &dyn Tx, content_hash: &str) -> Result<Option<Self>, CatalogError> {
        let sql = format!(
            "select {COLUMNS} from delivery where delivery_id = (select max(delivery_id) from delivery where content_hash = ?1) \
             and (rows > 0 or not exists \
             (select 1 from rejected_row r where r.delivery_id = delivery.delivery_id and r.end_snapshot is null))"
        );
        tx.row(&sql, &[content_hash.into()])?.as_ref().map(delivery).transpose()
    }

    /// Whether a delivery of so many stored bytes was landed before.
    pub fn is_any_of_size(tx: &dyn Tx, bytes: i64) -> Result<bool, CatalogError> {
        Ok(tx.row("select 1 from delivery where bytes = ?1 limit 1", &[bytes.into()])?.is_some())
    }

    /// The newest delivery sequence that the slice holds now.
    pub fn current_sequence(tx: &dyn Tx, slice_id: i64) -> Result<Option<String>, CatalogError> {
        let row = tx.row(
            "select max(d.sequence) from delivery_slice p join delivery d on d.delivery_id = p.delivery_id where p.slice_id = ?1 and p.end_snapshot is null",
            &[slice_id.into()],
        )?;
        Ok(row.map(|row| row.opt_text(0).map(|text| text.map(str::to_owned))).transpose()?.flatten())
    }

    /// The number that the next delivery will get.
    pub fn next_id(tx: &dyn Tx) -> Result<i64, CatalogError> {
        let row = tx.row("select coalesce(max(delivery_id), 0) + 1 from delivery", &[])?;
        row.ok_or(CatalogError::Malformed { what: "delivery number" })?.int(0)
    }
}

impl Commit<'_> {
    /// Records a delivery with its rejected rows and findings.
    pub fn add_delivery(
        &self,
        delivery: &DeliveryRow,
        rejected: &[RejectRow],
        findings: &[FindingRow],
    ) -> Result<(), CatalogError> {
        let id = delivery.delivery_id;
        let values: [Value; 16] = [
            id.into(),
            delivery.source.as_str().into(),
            delivery.name.as_str().into(),
            delivery.content_hash.as_str().into(),
            delivery.sequence.as_str().into(),
            delivery.parts.into(),
            delivery.bytes.into(),
            delivery.rows.into(),
            delivery.rejected_rows.into(),
            delivery.lossy_rows.into(),
            delivery.billed_cost.as_str().into(),
            delivery.rejected_billed_cost.as_str().into(),
            delivery.state.as_str().into(),
            self.at.as_str().into(),
            self.snapshot.into(),
            delivery.role.as_str().into(),
        ];
        self.tx.execute(
            "insert into delivery values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            &values,
        )?;
        for row in rejected {
            self.add_rejected(id, row)?;
        }
        for finding in findings {
            self.tx.execute(
                "insert into finding values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                &[
                    id.into(),
                    finding.rule.as_str().into(),
                    finding.severity.as_str().into(),
                    finding.rows.into(),
                    finding.example.as_str().into(),
                    finding.description.as_str().into(),
                    self.snapshot.into(),
                ],
            )?;
        }
        Ok(())
    }

    /// Makes `part` what the slice holds now, in place of what it held.
    pub fn replace_delivery_slice(&self, delivery_id: i64, part: &DeliverySlice) -> Result<(), CatalogError> {
        self.tx.execute(
            "update delivery_slice set end_snapshot = ?1 where slice_id = ?2 and end_snapshot is null",
            &[self.snapshot.into(), part.slice_id.into()],
        )?;
        let values: [Value; 7] = [
            delivery_id.into(),
            part.slice_id.into(),
            part.rows.into(),
            part.billed_cost.as_str().into(),
            part.effective_cost.as_str().into(),
            part.list_cost.as_str().into(),
            self.snapshot.into(),
        ];
        self.tx.execute("insert into delivery_slice values (?1, ?2, ?3, ?4, ?5, ?6, ?7, null)", &values)?;
        Ok(())
    }
}
