//! Adjustments in the catalog: the statements that read and write them.

use super::Method;
use crate::billing::draft::Line;
use crate::billing::edges::EdgeKey;
use crate::billing::error::BillingError;
use crate::catalog::{CatalogError, Commit, Row, SnapshotId, Tx, Value};

/// What an adjustment is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What charges changed by.
    Restatement,
    /// What somebody credits.
    Credit,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Restatement => "restatement",
            Self::Credit => "credit",
        }
    }
}

/// What of an adjustment corrects which line of the invoice: the line from 1, or none; the amount in minor units as text.
pub(super) type Part = (Option<i64>, String);

/// An adjustment that was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adjustment {
    pub(super) id: i64,
    pub(super) object: String,
    pub(super) kind: Kind,
    pub(super) invoice: String,
    pub(super) key: EdgeKey,
    pub(super) period: String,
    pub(super) method: Method,
    /// Unrounded, as text.
    pub(super) amount: String,
    pub(super) parts: Vec<Part>,
    pub(super) reason: String,
    /// Of a restatement.
    pub(super) charges: Option<SnapshotId>,
}

const COLUMNS: &str = "adjustment_id, object_id, kind, invoice_number, seller_node_id, buyer_node_id, currency, billing_period, method, \
    amount, parts, reason, charges_snapshot";

fn adjustment(row: &Row) -> Result<Adjustment, CatalogError> {
    let text = |at| row.text(at).map(str::to_owned);
    let malformed = || CatalogError::Malformed { what: "adjustment" };
    Ok(Adjustment {
        id: row.int(0)?,
        object: text(1)?,
        kind: if row.text(2)? == Kind::Credit.name() { Kind::Credit } else { Kind::Restatement },
        invoice: text(3)?,
        key: EdgeKey { seller: text(4)?, buyer: text(5)?, currency: text(6)? },
        period: text(7)?,
        method: Method::parse(row.text(8)?).ok_or_else(malformed)?,
        amount: text(9)?,
        parts: serde_json::from_str(row.text(10)?).map_err(|_| malformed())?,
        reason: text(11)?,
        charges: row.opt_int(12)?,
    })
}

/// The adjustment of that name that waits for approval.
pub(super) fn waiting(tx: &dyn Tx, object: &str) -> Result<Option<Adjustment>, CatalogError> {
    let sql = format!(
        "select {COLUMNS} from adjustment where object_id = ?1 and status = 'submitted' and end_snapshot is null order by adjustment_id"
    );
    tx.row(&sql, &[object.into()])?.as_ref().map(adjustment).transpose()
}

/// The adjustments of an invoice that were settled or may be.
pub(super) fn of_invoice(tx: &dyn Tx, number: &str) -> Result<Vec<Adjustment>, CatalogError> {
    let sql = format!(
        "select {COLUMNS} from adjustment where invoice_number = ?1 and status <> 'rejected' and end_snapshot is null order by adjustment_id"
    );
    tx.rows(&sql, &[number.into()])?.iter().map(adjustment).collect()
}

/// Whether what charges of an invoice changed by waits for approval.
pub(super) fn is_restatement_waiting(tx: &dyn Tx, number: &str) -> Result<bool, CatalogError> {
    let row = tx.row(
        "select 1 from adjustment where invoice_number = ?1 and kind = 'restatement' and status = 'submitted' and end_snapshot is null limit 1",
        &[number.into()],
    )?;
    Ok(row.is_some())
}

/// The number of the next adjustment.
pub(super) fn next_id(tx: &dyn Tx) -> Result<i64, CatalogError> {
    let row = tx.row("select coalesce(max(adjustment_id), 0) + 1 from adjustment", &[])?;
    row.ok_or(CatalogError::Malformed { what: "number of an adjustment" })?.int(0)
}

/// The state of an adjustment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State<'a> {
    /// Somebody must approve it.
    Submitted,
    /// It is billed by a note of this number, or with this billing period.
    Settled(&'a str),
    /// It is not.
    Rejected,
}

/// Writes an adjustment's state.
pub(super) fn write(commit: &Commit<'_>, adjustment: &Adjustment, state: State<'_>) -> Result<(), BillingError> {
    let (status, settled_by) = match state {
        State::Submitted => ("submitted", Value::Null),
        State::Settled(by) => ("settled", by.into()),
        State::Rejected => ("rejected", Value::Null),
    };
    let parts = serde_json::to_string(&adjustment.parts);
    let values: [Value; 17] = [
        adjustment.id.into(),
        adjustment.object.as_str().into(),
        adjustment.kind.name().into(),
        adjustment.invoice.as_str().into(),
        adjustment.key.seller.as_str().into(),
        adjustment.key.buyer.as_str().into(),
        adjustment.period.as_str().into(),
        adjustment.key.currency.as_str().into(),
        adjustment.method.name().into(),
        status.into(),
        adjustment.amount.as_str().into(),
        parts.map_err(|_| CatalogError::Malformed { what: "adjustment" })?.into(),
        adjustment.reason.as_str().into(),
        adjustment.charges.into(),
        settled_by,
        commit.snapshot.into(),
        Value::Null,
    ];
    commit.tx.execute(
        "insert into adjustment (adjustment_id, object_id, kind, invoice_number, seller_node_id, buyer_node_id, billing_period, currency, method, \
         status, amount, parts, reason, charges_snapshot, settled_by, begin_snapshot, end_snapshot) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        &values,
    )?;
    Ok(())
}

/// Ends the state of an adjustment that waits for approval.
///
/// # Errors
/// A conflict when somebody decided about it first.
pub(super) fn end(commit: &Commit<'_>, adjustment: &Adjustment) -> Result<(), CatalogError> {
    let ended = commit.tx.execute(
        "update adjustment set end_snapshot = ?1 where adjustment_id = ?2 and status = 'submitted' and end_snapshot is null",
        &[commit.snapshot.into(), adjustment.id.into()],
    )?;
    if ended == 1 { Ok(()) } else { Err(CatalogError::Conflict) }
}

/// What the lines of a note correct.
pub(super) fn parts(lines: &[Line]) -> Vec<Part> {
    lines.iter().map(|line| (line.corrects_line, line.amount.clone())).collect()
}

/// Under what the charges of an adjustment are pinned.
pub(super) fn pin_name(id: i64) -> String {
    format!("adjustment {id}")
}
