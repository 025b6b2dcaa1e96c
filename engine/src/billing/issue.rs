//! Approving and issuing: from drafts to documents that never change again.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Days, SecondsFormat, Utc};
use serde::Serialize;

use super::error::BillingError;
use super::store::{self, NextState, Stored};
use super::{keep_until, nodes};
use crate::catalog::{Catalog, CatalogError, Change, Commit, RefTable, SnapshotId, Value};
use crate::period::BillingPeriod;

/// Net days of a document whose edge has no contract.
pub const NET_DAYS: u64 = 30;

/// What to issue, who asks, and when.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// The period.
    pub period: BillingPeriod,
    /// The login.
    pub actor: String,
    /// The instant that the documents bear.
    pub issued_at: DateTime<Utc>,
    /// Days from then to the due date, where no contract says otherwise.
    pub net_days: u64,
}

/// What was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueReport {
    /// The period, `2026-10`.
    pub period: String,
    /// The snapshot that it made.
    pub snapshot_id: SnapshotId,
    /// The numbers, by seller and buyer.
    pub numbers: Vec<String>,
    /// When they are due where no contract says otherwise, `2026-11-30`.
    pub due_date: String,
}

/// Issues every open invoice of a period.
///
/// Where `ref.approval_rules` has a rule of kind `invoice` at the seller or above it, its drafts must have been approved; where none
/// applies, issuing approves. From here on the documents are immutable: later differences become credit or debit notes.
///
/// # Errors
/// [`BillingError::NotClosed`], [`BillingError::Changed`] when charges moved after the close, [`BillingError::NeedsApproval`],
/// [`BillingError::Altered`] when a stored document is not what its hash says.
pub fn issue_invoices(catalog: &Catalog, request: &IssueRequest) -> Result<IssueReport, BillingError> {
    let period = request.period;
    let due_date = |net_days| {
        let due = request.issued_at.date_naive().checked_add_days(Days::new(net_days));
        due.map(|due| due.to_string()).ok_or(BillingError::Overflow)
    };
    let change = Change::new(&request.actor, "issue", format!("issue invoices of {period}"));
    let (snapshot_id, numbers) = catalog.commit(&change, |commit| {
        let open = issuable(commit, period)?;
        let agreed = net_days_of_contracts(commit, &request.issued_at)?;
        for invoice in &open {
            let edge = (invoice.key.seller.clone(), invoice.key.buyer.clone());
            issue(commit, invoice, request, &due_date(agreed.get(&edge).copied().unwrap_or(request.net_days))?)?;
        }
        let keep_until = keep_until(&commit.at)?;
        store::pin_slices(commit, period, &format!("invoices {period} {}", commit.snapshot), &keep_until)?;
        Ok::<_, BillingError>(open.into_iter().map(|invoice| invoice.number).collect())
    })?;
    Ok(IssueReport { period: period.to_string(), snapshot_id, numbers, due_date: due_date(request.net_days)? })
}

/// Net days of the contracts that hold at an instant, by seller and buyer; of several on one edge the shortest.
pub(super) fn net_days_of_contracts(
    commit: &Commit<'_>,
    at: &DateTime<Utc>,
) -> Result<HashMap<(String, String), u64>, BillingError> {
    let table = RefTable::named("contracts").ok_or(CatalogError::Malformed { what: "table ref.contracts" })?;
    let position = |column| table.position(column).ok_or(CatalogError::Malformed { what: "column of ref.contracts" });
    let (seller, buyer, days) = (position("seller_node_id")?, position("buyer_node_id")?, position("net_days")?);
    let (from, to) = (position("valid_from")?, position("valid_to")?);
    let now = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut agreed: HashMap<(String, String), u64> = HashMap::new();
    for row in table.rows_at(commit.tx, commit.snapshot)? {
        let text = |at: usize| row.values.get(at).and_then(Value::as_text);
        let holds = text(from).unwrap_or_default() <= now.as_str() && text(to).is_none_or(|to| now.as_str() < to);
        let days = row.values.get(days).and_then(Value::as_int).and_then(|days| u64::try_from(days).ok());
        if let (true, Some(seller), Some(buyer), Some(days)) = (holds, text(seller), text(buyer), days) {
            let held = agreed.entry((seller.to_owned(), buyer.to_owned())).or_insert(days);
            *held = days.min(*held);
        }
    }
    Ok(agreed)
}

/// The open documents of a closed period, once nothing stands against issuing them.
fn issuable(commit: &Commit<'_>, period: BillingPeriod) -> Result<Vec<Stored>, BillingError> {
    let Some(closed_at) = store::closed_at(commit.tx, period)? else {
        return Err(BillingError::NotClosed { period });
    };
    if store::changed_since(commit.tx, period, closed_at)? {
        return Err(BillingError::Changed { period, since: "it was closed" });
    }
    let mut open = store::of_period(commit.tx, period)?;
    open.retain(Stored::is_open);
    if open.is_empty() {
        return Err(BillingError::NotClosed { period });
    }
    let governed = governed_sellers(commit)?;
    let nodes = nodes::at_end(commit.tx, commit.snapshot, period)?;
    let needs = |invoice: &&Stored| {
        invoice.status == "draft"
            && nodes::ancestry(&nodes, &invoice.key.seller).into_iter().any(|node| governed.contains(node))
    };
    let waiting: Vec<&Stored> = open.iter().filter(needs).collect();
    match waiting.first() {
        Some(first) => Err(BillingError::NeedsApproval { period, count: waiting.len(), first: first.number.clone() }),
        None => Ok(open),
    }
}

/// Nodes with an approval rule for invoices.
fn governed_sellers(commit: &Commit<'_>) -> Result<HashSet<String>, BillingError> {
    let table =
        RefTable::named("approval_rules").ok_or(CatalogError::Malformed { what: "table ref.approval_rules" })?;
    let position =
        |column| table.position(column).ok_or(CatalogError::Malformed { what: "column of ref.approval_rules" });
    let (kind, seller) = (position("kind")?, position("seller_node_id")?);
    let rows = table.rows_at(commit.tx, commit.snapshot)?;
    let text = |values: &[Value], at: usize| values.get(at).and_then(Value::as_text).unwrap_or_default().to_owned();
    Ok(rows.iter().filter(|row| text(&row.values, kind) == "invoice").map(|row| text(&row.values, seller)).collect())
}

fn issue(commit: &Commit<'_>, invoice: &Stored, request: &IssueRequest, due_date: &str) -> Result<(), BillingError> {
    if !store::is_unaltered(commit.tx, invoice)? {
        return Err(BillingError::Altered { number: invoice.number.clone() });
    }
    let issued = NextState::Issued {
        issued_at: request.issued_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        due_date: format!("{due_date}T00:00:00.000000Z"),
    };
    store::advance(commit, &invoice.invoice_id, issued)
}

/// Approves one draft inside the commit that records the approval.
///
/// # Errors
/// [`BillingError::NoInvoice`] for an unknown number, [`BillingError::State`] for one that is no draft.
pub fn approve_invoice(commit: &Commit<'_>, number: &str) -> Result<(), BillingError> {
    let row = commit
        .tx
        .row("select invoice_id, status from invoice where number = ?1 and end_snapshot is null", &[number.into()])?;
    let Some(row) = row else {
        return Err(BillingError::NoInvoice { number: number.to_owned() });
    };
    let status = row.text(1)?;
    if status != "draft" {
        let remedy =
            if status == "approved" { "it needs no further approval" } else { "issued documents stay as they are" };
        return Err(BillingError::State { number: number.to_owned(), status: status.to_owned(), remedy });
    }
    store::advance(commit, row.text(0)?, NextState::Approved)
}

#[cfg(test)]
mod tests;
