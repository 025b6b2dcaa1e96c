//! What the same buyer was billed before: the figures of a document's trend.

use serde::Serialize;

use super::{Document, money};
use crate::billing::BillingError;
use crate::catalog::Tx;
use crate::period::BillingPeriod;

/// Months of a trend, with that of the document.
const MONTHS: u32 = 12;

/// What was billed for one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrendPoint {
    /// The billing period, `2026-10`.
    pub billing_period: String,
    /// The totals of its invoices.
    pub amount: String,
    /// The same for people.
    pub amount_text: String,
}

/// The totals of the invoices between the parties of an invoice in its currency, period by period, with itself as the last: those
/// that had been issued when it was, so that a document looks the same for ever. Empty for a note, and for a first invoice.
///
/// `issued` is the instant of the document's issue; a draft has none.
pub(super) fn of(
    tx: &dyn Tx,
    document: &Document,
    issued: Option<&str>,
    digits: u8,
) -> Result<Vec<TrendPoint>, BillingError> {
    if document.document_type != "invoice" {
        return Ok(Vec::new());
    }
    let period: BillingPeriod = document.billing_period.parse()?;
    let first = period.first_day() - chrono::Months::new(MONTHS - 1);
    let earlier = tx.rows(
        "select billing_period, total, issued_at from invoice \
         where seller_node_id = ?1 and buyer_node_id = ?2 and currency = ?3 and document_type = 'invoice' and end_snapshot is null \
           and billing_period >= ?4 and billing_period < ?5 and issued_at is not null \
         order by billing_period",
        &[
            document.seller.node_id.as_str().into(),
            document.buyer.node_id.as_str().into(),
            document.currency.as_str().into(),
            first.format("%Y-%m").to_string().into(),
            document.billing_period.as_str().into(),
        ],
    )?;
    let mut points: Vec<(String, Vec<String>)> = Vec::new();
    for row in &earlier {
        let (at, total) = (row.text(0)?, row.text(1)?.to_owned());
        // Instants are written in one form, so that they compare as texts.
        let row_issued = row.text(2)?;
        if issued.is_some_and(|issued| row_issued > issued) {
            continue;
        }
        match points.last_mut() {
            Some((last, totals)) if *last == at => totals.push(total),
            _ => points.push((at.to_owned(), vec![total])),
        }
    }
    if points.is_empty() {
        return Ok(Vec::new());
    }
    points.push((document.billing_period.clone(), vec![document.total.clone()]));
    let point = |(billing_period, totals): (String, Vec<String>)| {
        let amount = money::sum(totals.iter().map(String::as_str), digits)?;
        Ok(TrendPoint { billing_period, amount_text: money::grouped(&amount), amount })
    };
    points.into_iter().map(point).collect()
}
