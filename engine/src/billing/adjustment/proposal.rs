//! Submitting what the charges of an issued invoice changed by.

use chrono::{DateTime, Utc};

use super::approval::{self, Approver};
use super::stored::{self, Adjustment, Kind, State};
use super::{Method, Progress, settle};
use crate::billing::draft::{self, Corrected, Draft};
use crate::billing::edges::{EdgeCharge, EdgeKey};
use crate::billing::error::BillingError;
use crate::billing::query::{Query, amount_at, amounts, run, text_at, texts};
use crate::billing::store::{self, Stored};
use crate::billing::{gate, keep_until, lines, nodes};
use crate::catalog::{Catalog, CatalogError, Change, RefTable, SnapshotId, Tx, Value};
use crate::period::BillingPeriod;

/// Who submits what, why and when.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// Who.
    pub who: Approver<'a>,
    /// The object, as it was named.
    pub object: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The instant that a note bears.
    pub at: DateTime<Utc>,
    /// The warehouse's secret; it keys the ids of documents.
    pub secret: &'a [u8; 32],
}

/// An edge and period as a submission names them.
pub(super) struct Edge<'a> {
    pub(super) seller: &'a str,
    pub(super) buyer: &'a str,
    pub(super) period: BillingPeriod,
    pub(super) currency: Option<&'a str>,
}

/// Whether the gate of a period is open, as for its invoices.
///
/// # Errors
/// [`BillingError::Blocked`] with what stands against it.
pub async fn must_be_open(query: &dyn Query, period: BillingPeriod) -> Result<(), BillingError> {
    let blockers = gate::blockers(query, period).await?;
    if blockers.is_empty() { Ok(()) } else { Err(BillingError::Blocked { period, blockers }) }
}

/// Submits the difference of an edge between what it is charged at the session's snapshot and what it was billed.
///
/// Where `ref.approval_rules` asks for nobody the difference is billed at once.
///
/// # Errors
/// [`BillingError::NotIssued`], [`BillingError::NothingToAdjust`], [`BillingError::Waits`] where the seller's policy is to wait,
/// [`BillingError::Submitted`] when it was before, [`BillingError::Changed`] when charges move meanwhile.
pub async fn submit_restatement(
    query: &dyn Query,
    catalog: &Catalog,
    (seller, buyer, period, currency): (&str, &str, BillingPeriod, Option<&str>),
    submission: &Submission<'_>,
) -> Result<Progress, BillingError> {
    let edge = Edge { seller, buyer, period, currency };
    let object = || submission.object.to_owned();
    let (invoice, method) = catalog.read(|tx| {
        let invoice = issued(tx, &edge, submission.object)?;
        Ok::<_, BillingError>((invoice, method_of(tx, query.snapshot(), seller, buyer)?))
    })?;
    if method == Method::Wait {
        return Err(BillingError::Waits { seller: seller.to_owned(), buyer: buyer.to_owned() });
    }
    let note = note(query, catalog, &invoice.number, (&invoice.key, period)).await?;
    let is_nothing = match method {
        Method::TrueUp => note.charges == 0,
        Method::Note | Method::Wait => stored::parts(&note.lines).iter().all(|(_, amount)| is_zero(amount)),
    };
    if is_nothing {
        return Err(BillingError::NothingToAdjust { object: object() });
    }
    let change = Change::new(submission.who.login, "submit", format!("adjustment {}: {}", object(), submission.reason));
    let (_, progress) = catalog.commit(&change, |commit| {
        if store::changed_since(commit.tx, period, query.snapshot())? {
            return Err(BillingError::Changed { period, since: "they were read" });
        }
        if stored::is_restatement_waiting(commit.tx, &invoice.number)? {
            return Err(BillingError::Submitted { object: object() });
        }
        let adjustment = Adjustment {
            id: stored::next_id(commit.tx)?,
            object: object(),
            kind: Kind::Restatement,
            invoice: invoice.number.clone(),
            key: invoice.key.clone(),
            period: period.to_string(),
            method,
            amount: note.charges_total.clone(),
            parts: stored::parts(&note.lines),
            reason: submission.reason.to_owned(),
            charges: Some(commit.snapshot),
        };
        store::pin_slices(commit, period, &stored::pin_name(adjustment.id), &keep_until(&commit.at)?)?;
        approval::record(commit, &adjustment, "submit", &submission.who, submission.reason)?;
        let needed = approval::needed_roles(commit, &adjustment)?;
        if needed.is_empty() {
            return settle::settle(commit, &adjustment, &note, (submission.at, submission.secret));
        }
        stored::write(commit, &adjustment, State::Submitted)?;
        Ok(Progress::WaitsFor(needed.into_iter().collect()))
    })?;
    Ok(progress)
}

fn is_zero(amount: &str) -> bool {
    amount.bytes().all(|digit| matches!(digit, b'0' | b'.' | b'-'))
}

/// The issued invoice of an edge.
fn issued(tx: &dyn Tx, edge: &Edge<'_>, object: &str) -> Result<Stored, BillingError> {
    let mut invoices = store::of_period(tx, edge.period)?;
    invoices.retain(|invoice| {
        invoice.is_issued()
            && invoice.key.seller == edge.seller
            && invoice.key.buyer == edge.buyer
            && edge.currency.is_none_or(|currency| invoice.key.currency == currency)
    });
    if invoices.len() > 1 {
        return Err(BillingError::SeveralCurrencies { object: object.to_owned() });
    }
    invoices.pop().ok_or_else(|| BillingError::NotIssued { object: object.to_owned() })
}

/// What a seller does with approved differences of a buyer's invoices.
fn method_of(tx: &dyn Tx, snapshot: SnapshotId, seller: &str, buyer: &str) -> Result<Method, BillingError> {
    let malformed = CatalogError::Malformed { what: "table ref.adjustment_policies" };
    let Some(table) = RefTable::named("adjustment_policies") else { return Err(malformed.into()) };
    let mut found = Method::Note;
    for row in table.rows_at(tx, snapshot)? {
        let text = |column| table.position(column).and_then(|at| row.values.get(at)).and_then(Value::as_text);
        if text("seller_node_id") != Some(seller) {
            continue;
        }
        let method = text("method").and_then(Method::parse);
        match text("buyer_node_id") {
            Some(named) if named == buyer => {
                return method.ok_or(CatalogError::Malformed { what: "adjustment policy" }.into());
            }
            Some(_) => {}
            None => found = method.unwrap_or(found),
        }
    }
    Ok(found)
}

/// The note of what an edge's charges changed by, as the session sees it.
pub(super) async fn note(
    query: &dyn Query,
    catalog: &Catalog,
    number: &str,
    (key, period): (&EdgeKey, BillingPeriod),
) -> Result<Draft, BillingError> {
    let differences = differences(query, key, period).await?;
    let (mode, corrected) = catalog.read(|tx| {
        let modes = nodes::rounding_modes(tx, query.snapshot(), period)?;
        let invoice = store::by_number(tx, number)?;
        let invoice = invoice.ok_or_else(|| BillingError::NoInvoice { number: number.to_owned() })?;
        Ok::<_, BillingError>((modes.get(&key.buyer).copied(), lines::of_document(tx, &invoice.invoice_id)?))
    })?;
    let missing = || BillingError::Incomplete {
        period,
        seller: key.seller.clone(),
        buyer: key.buyer.clone(),
        what: "buyer in ref.nodes",
    };
    let mode = mode.ok_or_else(missing)?;
    draft::note(key.clone(), differences, mode, &Corrected { number, lines: &corrected })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What the charges of an edge changed by, by what makes a line of a document.
async fn differences(query: &dyn Query, key: &EdgeKey, period: BillingPeriod) -> Result<Vec<EdgeCharge>, BillingError> {
    let sql = format!(
        "select origin, provider_name, service_name, charge_category, charge_class, sum(difference) as amount from proposed_adjustments \
         where billing_period = {} and seller_node_id = {} and buyer_node_id = {} and currency = {} \
         group by origin, provider_name, service_name, charge_category, charge_class",
        period.literal(),
        quoted(&key.seller),
        quoted(&key.buyer),
        quoted(&key.currency)
    );
    let mut found = Vec::new();
    for batch in run(query, &sql).await? {
        let (origin, provider) = (texts(&batch, "origin")?, texts(&batch, "provider_name")?);
        let (service, category) = (texts(&batch, "service_name")?, texts(&batch, "charge_category")?);
        let (class, amount) = (texts(&batch, "charge_class")?, amounts(&batch, "amount")?);
        for row in 0..batch.num_rows() {
            let owned = |array| text_at(array, row).map(str::to_owned);
            found.push(EdgeCharge {
                origin: owned(&origin).unwrap_or_default(),
                provider_name: owned(&provider).unwrap_or_default(),
                service_name: owned(&service),
                charge_category: owned(&category).unwrap_or_default(),
                charge_class: owned(&class),
                is_billed: true,
                amount: amount_at(&amount, row).unwrap_or_default(),
            });
        }
    }
    Ok(found)
}
