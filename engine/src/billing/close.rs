//! Closing a period: the gate, then one draft invoice per edge and currency, in one commit.
//!
//! The work is two grouped queries over `ops.edges_monthly`, one pass over their rows, and one catalog transaction. Closing again
//! replaces drafts whose content changed and leaves the others alone, so a close that changes nothing writes no document. What was
//! issued is never touched: where its charges changed since, the close says what is proposed.

use std::collections::{BTreeMap, HashMap};

use ratehouse_udfs::decimal::{Rounding, format_decimal};
use serde::Serialize;

use super::adjustment::billed_charges;
use super::currency::minor_digits;
use super::draft::{Draft, draft, invoice_id};
use super::edges::{self, EdgeKey, Edges};
use super::error::BillingError;
use super::gate::{self, Blocker};
use super::number::Numbers;
use super::query::Query;
use super::store::{self, NewInvoice, Stored};
use super::{keep_until, nodes};
use crate::catalog::{Catalog, Change, Commit, SnapshotId, Tx};
use crate::period::BillingPeriod;

/// Whether a close writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseMode {
    /// Drafts the invoices.
    Commit,
    /// Says what it would draft and what blocks it, and changes nothing.
    DryRun,
}

/// What to close, who asks, and how.
#[derive(Debug, Clone)]
pub struct CloseRequest {
    /// The period.
    pub period: BillingPeriod,
    /// The login.
    pub actor: String,
    /// Whether to write.
    pub mode: CloseMode,
    /// The warehouse's secret; it keys the ids of documents.
    pub secret: [u8; 32],
}

/// What became of an edge's draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DraftState {
    /// The edge had no document yet.
    New,
    /// Its content changed: a new revision under the same number.
    Replaced,
    /// It is what it was.
    Unchanged,
}

/// A draft as the close reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DraftSummary {
    /// Its number; none in a dry run of an edge that has no document yet.
    pub number: Option<String>,
    /// Who sells.
    pub seller_node_id: String,
    /// Who buys.
    pub buyer_node_id: String,
    /// The currency.
    pub currency: String,
    /// Number of lines.
    pub lines: usize,
    /// Usage, licences, labour, fees and adjustments.
    pub subtotal: String,
    /// Credits, negative.
    pub credits: String,
    /// Taxes.
    pub tax: String,
    /// The rounding line.
    pub rounding: String,
    /// What is to be paid.
    pub total: String,
    /// The unrounded charges behind it.
    pub charges_total: String,
    /// What became of it.
    pub state: DraftState,
}

/// An issued invoice whose charges are others now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProposedSummary {
    /// The invoice's number.
    pub number: String,
    /// Who sells.
    pub seller_node_id: String,
    /// Who buys.
    pub buyer_node_id: String,
    /// The currency.
    pub currency: String,
    /// The unrounded charges that are billed.
    pub billed: String,
    /// The unrounded charges as they are.
    pub charged: String,
    /// What is proposed: charged less billed.
    pub difference: String,
}

/// A seller's drafts against its charges: law 5 of conservation with its one named difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SellerTotal {
    /// Who sells.
    pub seller_node_id: String,
    /// The currency.
    pub currency: String,
    /// Number of drafts.
    pub invoices: usize,
    /// Unrounded charges billed.
    pub charges: String,
    /// Sum of the documents.
    pub invoiced: String,
    /// What rounding each document once adds.
    pub rounding: String,
}

/// What a close did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CloseReport {
    /// The period, `2026-10`.
    pub period: String,
    /// The snapshot that it made; none in a dry run.
    pub snapshot_id: Option<SnapshotId>,
    /// What blocks it; only a dry run has any.
    pub blockers: Vec<Blocker>,
    /// The drafts, by seller and buyer.
    pub invoices: Vec<DraftSummary>,
    /// Numbers of drafts whose edge has no charges any more.
    pub withdrawn: Vec<String>,
    /// What changed under issued invoices, by seller and buyer: see `proposed_adjustments`.
    pub proposed: Vec<ProposedSummary>,
    /// Drafts against charges, by seller and currency.
    pub sellers: Vec<SellerTotal>,
}

/// Closes a period.
///
/// The caller refreshes stale slices first and hands a root session at the snapshot that results.
///
/// # Errors
/// [`BillingError::Blocked`] with the rows of the gate, [`BillingError::Changed`] when charges moved between the session's snapshot and the commit, [`BillingError::NotConserved`] when drafts and charges differ. Nothing is written then.
pub async fn close_period(
    query: &dyn Query,
    catalog: &Catalog,
    request: &CloseRequest,
) -> Result<CloseReport, BillingError> {
    let period = request.period;
    // One is planned while another runs; what the gate says comes first.
    let (blockers, edges, charged) =
        futures::join!(gate::blockers(query, period), edges::read(query, period), edges::totals(query, period));
    let blockers = blockers?;
    if request.mode == CloseMode::Commit && !blockers.is_empty() {
        return Err(BillingError::Blocked { period, blockers });
    }
    let (edges, charged) = (edges?, charged?);
    let modes = catalog.read(|tx| nodes::rounding_modes(tx, query.snapshot(), period))?;
    let all = drafts(edges, &modes, period)?;
    seller_totals(&all, &charged)?;
    let stored = catalog.read(|tx| store::of_period(tx, period))?;
    let is_issued = |key: &EdgeKey| stored.iter().any(|invoice| invoice.is_issued() && invoice.key == *key);
    let (issued, drafts): (Vec<Draft>, Vec<Draft>) = all.into_iter().partition(|draft| is_issued(&draft.key));
    let proposed = catalog.read(|tx| proposed(tx, &stored, &issued))?;
    let sellers = seller_totals(&drafts, &BTreeMap::new())?;
    let report = |snapshot_id, plan: Plan| CloseReport {
        period: period.to_string(),
        snapshot_id,
        blockers,
        invoices: drafts
            .iter()
            .zip(plan.states)
            .map(|(draft, (number, state))| summary(draft, number, state))
            .collect(),
        withdrawn: plan.withdrawn,
        proposed,
        sellers,
    };
    match request.mode {
        CloseMode::DryRun => {
            let plan = preview(&stored, &drafts, period);
            Ok(report(None, plan))
        }
        CloseMode::Commit => {
            let change = Change::new(&request.actor, "close", format!("close {period}"));
            let write = |commit: &Commit<'_>| {
                let is_changed = store::changed_since(commit.tx, period, query.snapshot())?;
                // Or somebody issued them meanwhile.
                if is_changed || store::of_period(commit.tx, period)? != stored {
                    return Err(BillingError::Changed { period, since: "they were read" });
                }
                write(commit, &stored, &drafts, request)
            };
            let (snapshot, plan) = catalog.commit(&change, write)?;
            Ok(report(Some(snapshot), plan))
        }
    }
}

fn drafts(edges: Edges, modes: &HashMap<String, Rounding>, period: BillingPeriod) -> Result<Vec<Draft>, BillingError> {
    let mut drafts = Vec::with_capacity(edges.len());
    for (key, charges) in edges {
        let Some(mode) = modes.get(&key.buyer) else {
            return Err(BillingError::Incomplete {
                period,
                seller: key.seller,
                buyer: key.buyer,
                what: "buyer in ref.nodes",
            });
        };
        drafts.push(draft(key, charges, *mode)?);
    }
    // An edge whose charges are all exactly zero has nothing to bill.
    drafts.retain(|draft| !draft.lines.is_empty());
    Ok(drafts)
}

/// Sums documents by seller and checks them against charges that were summed apart from them.
fn seller_totals(
    drafts: &[Draft],
    charged: &BTreeMap<(String, String), i128>,
) -> Result<Vec<SellerTotal>, BillingError> {
    let mut sums: BTreeMap<(&str, &str), (usize, i128, i128)> = BTreeMap::new();
    for draft in drafts {
        let sum = sums.entry((&draft.key.seller, &draft.key.currency)).or_default();
        sum.0 += 1;
        sum.1 = sum.1.checked_add(draft.charges).ok_or(BillingError::Overflow)?;
        sum.2 = sum.2.checked_add(draft.total_minor).ok_or(BillingError::Overflow)?;
    }
    for ((seller, currency), amount) in charged {
        let drafted = sums.get(&(seller.as_str(), currency.as_str())).map_or(0, |sum| sum.1);
        if drafted != *amount {
            return Err(BillingError::NotConserved { seller: seller.clone(), currency: currency.clone() });
        }
    }
    let total = |((seller, currency), (invoices, charges, invoiced)): ((&str, &str), (usize, i128, i128))| {
        let digits = minor_digits(currency);
        let unit = super::draft::unit(digits);
        let exact = invoiced.checked_mul(unit).ok_or(BillingError::Overflow)?;
        Ok(SellerTotal {
            seller_node_id: seller.to_owned(),
            currency: currency.to_owned(),
            invoices,
            charges: super::draft::unrounded(charges, digits),
            invoiced: format_decimal(invoiced, digits),
            rounding: super::draft::unrounded(exact - charges, digits),
        })
    };
    sums.into_iter().map(total).collect()
}

/// What a close does to the documents that are there: one entry a draft, in their order.
struct Plan {
    states: Vec<(Option<String>, DraftState)>,
    withdrawn: Vec<String>,
}

/// The open documents by edge.
fn open_documents(stored: &[Stored]) -> HashMap<&EdgeKey, &Stored> {
    stored.iter().filter(|invoice| invoice.is_open()).map(|invoice| (&invoice.key, invoice)).collect()
}

/// The issued invoices whose charges are not those that they and what was settled since account for.
fn proposed(tx: &dyn Tx, stored: &[Stored], now: &[Draft]) -> Result<Vec<ProposedSummary>, BillingError> {
    let mut found = Vec::new();
    for invoice in stored.iter().filter(|invoice| invoice.is_issued()) {
        let billed = billed_charges(tx, &invoice.number, &invoice.charges_total)?;
        let charged = now.iter().find(|draft| draft.key == invoice.key).map_or(0, |draft| draft.charges);
        let difference = charged.checked_sub(billed).ok_or(BillingError::Overflow)?;
        if difference == 0 {
            continue;
        }
        let digits = minor_digits(&invoice.key.currency);
        found.push(ProposedSummary {
            number: invoice.number.clone(),
            seller_node_id: invoice.key.seller.clone(),
            buyer_node_id: invoice.key.buyer.clone(),
            currency: invoice.key.currency.clone(),
            billed: super::draft::unrounded(billed, digits),
            charged: super::draft::unrounded(charged, digits),
            difference: super::draft::unrounded(difference, digits),
        });
    }
    Ok(found)
}

fn state(draft: &Draft, before: Option<&&Stored>, period: BillingPeriod) -> DraftState {
    match before {
        None => DraftState::New,
        Some(before) if draft.content_hash(&before.number, period, None) == before.content_hash => {
            DraftState::Unchanged
        }
        Some(_) => DraftState::Replaced,
    }
}

fn preview(stored: &[Stored], drafts: &[Draft], period: BillingPeriod) -> Plan {
    let mut open = open_documents(stored);
    let states = drafts
        .iter()
        .map(|draft| {
            let before = open.remove(&draft.key);
            (before.map(|b| b.number.clone()), state(draft, before.as_ref(), period))
        })
        .collect();
    let mut withdrawn: Vec<String> = open.into_values().map(|invoice| invoice.number.clone()).collect();
    withdrawn.sort_unstable();
    Plan { states, withdrawn }
}

fn write(
    commit: &Commit<'_>,
    stored: &[Stored],
    drafts: &[Draft],
    request: &CloseRequest,
) -> Result<Plan, BillingError> {
    let period = request.period;
    let mut open = open_documents(stored);
    let revisions = store::revisions(commit.tx, period)?;
    let mut numbers = Numbers::default();
    let mut states = Vec::with_capacity(drafts.len());
    let mut new = Vec::new();
    for draft in drafts {
        let before = open.remove(&draft.key);
        let state = state(draft, before.as_ref(), period);
        let number = match before {
            Some(before) => before.number.clone(),
            None => numbers.take(commit.tx, &draft.key)?,
        };
        if state != DraftState::Unchanged {
            if let Some(before) = before {
                store::end(commit, &before.invoice_id)?;
            }
            let revision = revisions.get(&draft.key).copied().unwrap_or_default();
            let invoice_id = invoice_id(&request.secret, &draft.key, period, revision);
            new.push(NewInvoice { draft, invoice_id, number: number.clone(), period, note: None });
        }
        states.push((Some(number), state));
    }
    // In the order of the ids, which are random, the database writes each page once.
    new.sort_unstable_by(|a, b| a.invoice_id.cmp(&b.invoice_id));
    for invoice in &new {
        store::insert(commit, invoice)?;
    }
    let mut left: Vec<&Stored> = open.into_values().collect();
    left.sort_unstable_by(|a, b| a.number.cmp(&b.number));
    for invoice in &left {
        store::end(commit, &invoice.invoice_id)?;
    }
    store::set_closed(commit, period)?;
    store::pin_slices(commit, period, &format!("close {period}"), &keep_until(&commit.at)?)?;
    Ok(Plan { states, withdrawn: left.into_iter().map(|invoice| invoice.number.clone()).collect() })
}

fn summary(draft: &Draft, number: Option<String>, state: DraftState) -> DraftSummary {
    DraftSummary {
        number,
        seller_node_id: draft.key.seller.clone(),
        buyer_node_id: draft.key.buyer.clone(),
        currency: draft.key.currency.clone(),
        lines: draft.lines.len(),
        subtotal: draft.subtotal.clone(),
        credits: draft.credits.clone(),
        tax: draft.tax.clone(),
        rounding: draft.rounding.clone(),
        total: draft.total.clone(),
        charges_total: draft.charges_total.clone(),
        state,
    }
}

#[cfg(test)]
mod tests;
