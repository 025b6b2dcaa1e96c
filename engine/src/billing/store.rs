//! Invoices in the catalog: the statements that read and write them.

use std::collections::{BTreeSet, HashMap};

use super::draft::{ContentHash, Draft, Heading};
use super::edges::EdgeKey;
use super::error::BillingError;
use super::lines;
use crate::catalog::{CatalogError, Commit, Row, SnapshotId, Tx, Value};
use crate::period::BillingPeriod;

/// A live document's heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) invoice_id: String,
    pub(super) number: String,
    pub(super) key: EdgeKey,
    pub(super) period: String,
    pub(super) status: String,
    pub(super) total: String,
    pub(super) charges_total: String,
    pub(super) content_hash: String,
    /// Of a note.
    pub(super) note: Option<Note>,
}

/// What a credit or debit note has beside what an invoice has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// `credit_note` or `debit_note`.
    pub(super) document_type: String,
    /// The number of the invoice.
    pub(super) corrects: String,
    /// Why.
    pub(super) reason: String,
}

impl Stored {
    /// Whether the document may still be replaced.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "draft" | "approved")
    }

    /// Whether it is an invoice that was issued.
    pub(super) fn is_issued(&self) -> bool {
        self.note.is_none() && !self.is_open()
    }
}

/// What the documents are called that correct nothing.
const INVOICE: &str = "invoice";

const HEADING: &str = "invoice_id, number, seller_node_id, buyer_node_id, currency, billing_period, status, total, charges_total, content_hash, \
    document_type, corrects_number, reason";

fn stored(row: &Row) -> Result<Stored, BillingError> {
    let text = |at| row.text(at).map(str::to_owned);
    let note = |document_type| -> Result<Note, CatalogError> {
        Ok(Note { document_type, corrects: text(11)?, reason: text(12)? })
    };
    Ok(Stored {
        note: Some(text(10)?).filter(|kind| kind != INVOICE).map(note).transpose()?,
        invoice_id: text(0)?,
        number: text(1)?,
        key: EdgeKey { seller: text(2)?, buyer: text(3)?, currency: text(4)? },
        period: text(5)?,
        status: text(6)?,
        total: text(7)?,
        charges_total: text(8)?,
        content_hash: text(9)?,
    })
}

/// The live documents of a period, in the order of their edges.
pub(super) fn of_period(tx: &dyn Tx, period: BillingPeriod) -> Result<Vec<Stored>, BillingError> {
    let sql = format!(
        "select {HEADING} from invoice where billing_period = ?1 and end_snapshot is null order by seller_node_id, buyer_node_id, currency, number"
    );
    tx.rows(&sql, &[period.to_string().into()])?.iter().map(stored).collect()
}

/// The edges of a seller whose documents were issued: buyer, billing period, currency.
pub(crate) fn issued_by(tx: &dyn Tx, seller: &str) -> Result<BTreeSet<(String, String, String)>, CatalogError> {
    let sql = "select buyer_node_id, billing_period, currency from invoice \
               where seller_node_id = ?1 and end_snapshot is null and status not in ('draft', 'approved')";
    let rows = tx.rows(sql, &[seller.into()])?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.text(2)?.to_owned()))).collect()
}

/// The live document of a number.
pub(super) fn by_number(tx: &dyn Tx, number: &str) -> Result<Option<Stored>, BillingError> {
    let sql = format!("select {HEADING} from invoice where number = ?1 and end_snapshot is null");
    tx.row(&sql, &[number.into()])?.as_ref().map(stored).transpose()
}

/// How many revisions each edge's document of the period has had: the number of its next one.
pub(super) fn revisions(tx: &dyn Tx, period: BillingPeriod) -> Result<HashMap<EdgeKey, i64>, BillingError> {
    let rows = tx.rows(
        "select seller_node_id, buyer_node_id, currency, count(distinct invoice_id) from invoice where billing_period = ?1 \
         group by seller_node_id, buyer_node_id, currency",
        &[period.to_string().into()],
    )?;
    rows.iter()
        .map(|row| {
            let text = |at| row.text(at).map(str::to_owned);
            Ok((EdgeKey { seller: text(0)?, buyer: text(1)?, currency: text(2)? }, row.int(3)?))
        })
        .collect()
}

/// A draft with the identity it is stored under.
pub(super) struct NewInvoice<'a> {
    pub(super) draft: &'a Draft,
    pub(super) invoice_id: String,
    pub(super) number: String,
    pub(super) period: BillingPeriod,
    /// Of a note, which is issued as it is written, and when: RFC 3339 UTC, and the due date if there is something to pay.
    pub(super) note: Option<(Note, String, Option<String>)>,
}

/// Writes a document and its lines: an invoice as a draft, a note as issued.
pub(super) fn insert(commit: &Commit<'_>, invoice: &NewInvoice<'_>) -> Result<(), BillingError> {
    let draft = invoice.draft;
    let note = invoice.note.as_ref().map(|(note, ..)| note);
    let content_hash = draft.content_hash(&invoice.number, invoice.period, note);
    let (issued_at, due_date) = match &invoice.note {
        Some((_, issued_at, due_date)) => (issued_at.as_str().into(), due_date.clone().into()),
        None => (Value::Null, Value::Null),
    };
    let values: [Value; 21] = [
        invoice.invoice_id.as_str().into(),
        invoice.number.as_str().into(),
        draft.key.seller.as_str().into(),
        draft.key.buyer.as_str().into(),
        invoice.period.to_string().into(),
        draft.key.currency.as_str().into(),
        if note.is_some() { "issued" } else { "draft" }.into(),
        note.map_or(INVOICE, |note| note.document_type.as_str()).into(),
        note.map(|note| note.corrects.as_str()).into(),
        note.map(|note| note.reason.as_str()).into(),
        draft.subtotal.as_str().into(),
        draft.tax.as_str().into(),
        draft.credits.as_str().into(),
        draft.total.as_str().into(),
        draft.charges_total.as_str().into(),
        commit.snapshot.into(),
        content_hash.into(),
        issued_at,
        due_date,
        commit.snapshot.into(),
        Value::Null,
    ];
    commit.tx.execute(
        "insert into invoice (invoice_id, number, seller_node_id, buyer_node_id, billing_period, currency, status, document_type, corrects_number, reason, \
         subtotal, tax, credits, total, charges_total, snapshot_id, content_hash, issued_at, due_date, begin_snapshot, end_snapshot) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
        &values,
    )?;
    let lines = lines::to_text(&draft.lines)?;
    commit.tx.execute(
        "insert into invoice_content (invoice_id, lines, begin_snapshot) values (?1, ?2, ?3)",
        &[invoice.invoice_id.as_str().into(), lines.into(), commit.snapshot.into()],
    )?;
    Ok(())
}

/// Ends an open document: another replaces it, or its next state, or nothing is left of it.
pub(super) fn end(commit: &Commit<'_>, invoice_id: &str) -> Result<(), BillingError> {
    let ended = commit.tx.execute(
        "update invoice set end_snapshot = ?1 where invoice_id = ?2 and end_snapshot is null and status in ('draft', 'approved')",
        &[commit.snapshot.into(), invoice_id.into()],
    )?;
    if ended != 1 {
        return Err(crate::catalog::CatalogError::Conflict.into());
    }
    Ok(())
}

/// The state that an open document enters.
pub(super) enum NextState {
    /// It may be issued.
    Approved,
    /// It is what its buyer got, made from this commit's snapshot.
    Issued {
        /// RFC 3339 UTC.
        issued_at: String,
        /// RFC 3339 UTC.
        due_date: String,
    },
}

/// Ends a document's state and writes the next; its content and lines stay.
pub(super) fn advance(commit: &Commit<'_>, invoice_id: &str, next: NextState) -> Result<(), BillingError> {
    end(commit, invoice_id)?;
    let (status, snapshot, issued_at, due_date) = match next {
        NextState::Approved => ("approved", Value::Null, Value::Null, Value::Null),
        NextState::Issued { issued_at, due_date } => {
            ("issued", commit.snapshot.into(), issued_at.into(), due_date.into())
        }
    };
    commit.tx.execute(
        "insert into invoice (invoice_id, number, seller_node_id, buyer_node_id, billing_period, currency, status, document_type, corrects_number, reason, \
         subtotal, tax, credits, total, charges_total, snapshot_id, content_hash, issued_at, due_date, begin_snapshot) \
         select invoice_id, number, seller_node_id, buyer_node_id, billing_period, currency, ?3, document_type, corrects_number, reason, \
         subtotal, tax, credits, total, charges_total, coalesce(?4, snapshot_id), content_hash, ?5, ?6, ?2 from invoice where invoice_id = ?1 and end_snapshot = ?2",
        &[invoice_id.into(), commit.snapshot.into(), status.into(), snapshot, issued_at, due_date],
    )?;
    Ok(())
}

/// The numbers of documents, ended ones too, whose content is not what their hash was made of.
pub(crate) fn altered_documents(tx: &dyn Tx) -> Result<Vec<String>, BillingError> {
    let mut numbers = Vec::new();
    for row in tx.rows(&format!("select {HEADING} from invoice order by number, begin_snapshot"), &[])? {
        let invoice = stored(&row)?;
        if !is_unaltered(tx, &invoice)? {
            numbers.push(invoice.number);
        }
    }
    numbers.dedup();
    Ok(numbers)
}

/// Whether the stored lines are those that the content hash was made of.
pub(super) fn is_unaltered(tx: &dyn Tx, invoice: &Stored) -> Result<bool, BillingError> {
    let heading = Heading {
        number: &invoice.number,
        key: &invoice.key,
        period: &invoice.period,
        total: &invoice.total,
        charges_total: &invoice.charges_total,
        note: invoice.note.as_ref(),
    };
    let lines = match lines::of_document(tx, &invoice.invoice_id) {
        Err(CatalogError::Malformed { .. }) => return Ok(false),
        other => other?,
    };
    let mut hash = ContentHash::new(&heading);
    for line in &lines {
        hash.line(line.each_ref().map(Option::as_deref));
    }
    Ok(hash.finish() == invoice.content_hash)
}

/// Whether charges of the period changed after a snapshot: files came or went, or a slice became stale.
pub(super) fn changed_since(tx: &dyn Tx, period: BillingPeriod, since: SnapshotId) -> Result<bool, BillingError> {
    let row = tx.row(
        "select 1 from slice s join slice_state r on r.slice_id = s.slice_id and r.end_snapshot is null \
         where s.billing_period = ?1 and s.role = 'priced' and (r.stale_since > ?2 or exists (\
         select 1 from data_file f where f.slice_id = s.slice_id and (f.begin_snapshot > ?2 or f.end_snapshot > ?2))) limit 1",
        &[period.to_string().into(), since.into()],
    )?;
    Ok(row.is_some())
}

/// The snapshot of the period's last close.
pub(super) fn closed_at(tx: &dyn Tx, period: BillingPeriod) -> Result<Option<SnapshotId>, BillingError> {
    let row =
        tx.row("select max(snapshot_id) from closed_period where billing_period = ?1", &[period.to_string().into()])?;
    Ok(row.map(|row| row.opt_int(0)).transpose()?.flatten())
}

/// Notes that the period was closed by this commit.
pub(super) fn set_closed(commit: &Commit<'_>, period: BillingPeriod) -> Result<(), BillingError> {
    let values = [period.to_string().into(), commit.snapshot.into(), commit.at.as_str().into()];
    commit
        .tx
        .execute("insert into closed_period (billing_period, snapshot_id, closed_at) values (?1, ?2, ?3)", &values)?;
    Ok(())
}

/// Pins the period's slices at this commit under `reference`, in place of its earlier pins, so that what the documents were made of is kept.
pub(super) fn pin_slices(
    commit: &Commit<'_>,
    period: BillingPeriod,
    reference: &str,
    keep_until: &str,
) -> Result<(), BillingError> {
    commit.unpin(reference)?;
    let slices = commit.tx.rows(
        "select slice_id from slice where billing_period = ?1 and role in ('priced', 'amortised') order by slice_id",
        &[period.to_string().into()],
    )?;
    for slice in slices {
        commit.pin(slice.int(0)?, reference, keep_until)?;
    }
    Ok(())
}
