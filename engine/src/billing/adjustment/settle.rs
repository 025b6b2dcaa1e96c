//! Billing an approved adjustment: by a note of its own, or on the seller's next invoice.

use chrono::{DateTime, Days, SecondsFormat, Utc};

use super::stored::{self, Adjustment, Kind, State};
use super::{Method, Progress, after};
use crate::billing::draft::{Draft, invoice_id};
use crate::billing::edges::EdgeKey;
use crate::billing::error::BillingError;
use crate::billing::issue::{NET_DAYS, net_days_of_contracts};
use crate::billing::number::Numbers;
use crate::billing::store::{self, NewInvoice, Note};
use crate::catalog::{Commit, SliceKey, SliceRow};
use crate::period::BillingPeriod;
use crate::rating::OWN_SOURCE;

/// Bills an adjustment in the commit that approved it.
pub(super) fn settle(
    commit: &Commit<'_>,
    adjustment: &Adjustment,
    note: &Draft,
    (at, secret): (DateTime<Utc>, &[u8; 32]),
) -> Result<Progress, BillingError> {
    match adjustment.method {
        Method::TrueUp => {
            let period = next_open(commit, &adjustment.key.seller)?;
            mark_own_slice(commit, &adjustment.key.seller, &period)?;
            stored::write(commit, adjustment, State::Settled(&period))?;
            Ok(Progress::TrueUp(period))
        }
        Method::Note => {
            let number = issue(commit, adjustment, note, (at, secret))?;
            stored::write(commit, adjustment, State::Settled(&number))?;
            Ok(Progress::Note(number))
        }
        Method::Wait => {
            Err(BillingError::Waits { seller: adjustment.key.seller.clone(), buyer: adjustment.key.buyer.clone() })
        }
    }
}

/// Writes the note, issued.
fn issue(
    commit: &Commit<'_>,
    adjustment: &Adjustment,
    draft: &Draft,
    (at, secret): (DateTime<Utc>, &[u8; 32]),
) -> Result<String, BillingError> {
    let period: BillingPeriod = adjustment.period.parse()?;
    let key = &adjustment.key;
    let number = Numbers::default().take(commit.tx, key)?;
    let revision = store::revisions(commit.tx, period)?.get(key).copied().unwrap_or_default();
    let is_debit = draft.total_minor > 0;
    // What a seller owes has no day by which its buyer pays.
    let due_date = if is_debit { Some(due_date(commit, key, at)?) } else { None };
    let note = Note {
        document_type: if is_debit { "debit_note" } else { "credit_note" }.to_owned(),
        corrects: adjustment.invoice.clone(),
        reason: match adjustment.kind {
            Kind::Credit => adjustment.reason.clone(),
            // Why somebody submitted it is the seller's business.
            Kind::Restatement => format!("Charges of {period} changed after {} was issued", adjustment.invoice),
        },
    };
    let issued_at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let invoice_id = invoice_id(secret, key, period, revision);
    let new = NewInvoice { draft, invoice_id, number: number.clone(), period, note: Some((note, issued_at, due_date)) };
    store::insert(commit, &new)?;
    Ok(number)
}

/// The day by which a buyer pays, as documents have it.
fn due_date(commit: &Commit<'_>, key: &EdgeKey, at: DateTime<Utc>) -> Result<String, BillingError> {
    let agreed = net_days_of_contracts(commit, &at)?;
    let days = agreed.get(&(key.seller.clone(), key.buyer.clone())).copied().unwrap_or(NET_DAYS);
    let due = at.date_naive().checked_add_days(Days::new(days)).ok_or(BillingError::Overflow)?;
    Ok(format!("{due}T00:00:00.000000Z"))
}

/// The first billing period of which a seller has issued no invoice, nor of any later one.
fn next_open(commit: &Commit<'_>, seller: &str) -> Result<String, BillingError> {
    let last = commit.tx.row(
        "select max(billing_period) from invoice where seller_node_id = ?1 and document_type = 'invoice' \
         and status not in ('draft', 'approved') and end_snapshot is null",
        &[seller.into()],
    )?;
    let last = last.map(|row| row.opt_text(0).map(|text| text.map(str::to_owned))).transpose()?.flatten();
    let last: BillingPeriod = last.unwrap_or_default().parse()?;
    Ok(after(last)?.to_string())
}

/// What the seller bills by itself in that period is to be made anew.
fn mark_own_slice(commit: &Commit<'_>, seller: &str, period: &str) -> Result<(), BillingError> {
    let key = SliceKey {
        source: OWN_SOURCE.to_owned(),
        provider_name: OWN_SOURCE.to_owned(),
        billing_account_id: seller.to_owned(),
        billing_period: period.to_owned(),
    };
    if let Some(slice) = SliceRow::find(commit.tx, &key)? {
        commit.set_stale(slice.slice_id, "a difference is billed with it")?;
    }
    Ok(())
}
