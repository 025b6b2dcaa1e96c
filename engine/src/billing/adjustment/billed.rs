//! What is billed: the issued invoices, and the charges that they and what corrected them account for.

use ratehouse_udfs::decimal::parse_decimal;

use crate::billing::error::BillingError;
use crate::catalog::{CatalogError, SnapshotId, Tx};

/// An invoice that was issued, and the state of the charges that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Billed {
    /// Its number.
    pub(crate) number: String,
    /// Who sells.
    pub(crate) seller: String,
    /// Who buys.
    pub(crate) buyer: String,
    /// Of its amounts.
    pub(crate) currency: String,
    /// Its billing period.
    pub(crate) period: String,
    /// The charges of this snapshot are billed: those it was made of, or those that the last settled adjustment brought it to.
    pub(crate) charges: SnapshotId,
}

/// The invoices that were issued as a snapshot knows them, in the order of periods and edges.
pub(crate) fn billed(tx: &dyn Tx, snapshot: SnapshotId) -> Result<Vec<Billed>, CatalogError> {
    let rows = tx.rows(
        "select i.number, i.seller_node_id, i.buyer_node_id, i.currency, i.billing_period, i.snapshot_id, max(a.charges_snapshot) \
         from invoice i left join adjustment a on a.invoice_number = i.number and a.status = 'settled' \
         and a.begin_snapshot <= ?1 and (a.end_snapshot is null or a.end_snapshot > ?1) \
         where i.document_type = 'invoice' and i.status not in ('draft', 'approved') \
         and i.begin_snapshot <= ?1 and (i.end_snapshot is null or i.end_snapshot > ?1) \
         group by i.number, i.seller_node_id, i.buyer_node_id, i.currency, i.billing_period, i.snapshot_id \
         order by i.billing_period, i.seller_node_id, i.buyer_node_id, i.currency, i.number",
        &[snapshot.into()],
    )?;
    rows.iter()
        .map(|row| {
            let text = |at| row.text(at).map(str::to_owned);
            Ok(Billed {
                number: text(0)?,
                seller: text(1)?,
                buyer: text(2)?,
                currency: text(3)?,
                period: text(4)?,
                charges: row.int(5)?.max(row.opt_int(6)?.unwrap_or_default()),
            })
        })
        .collect()
}

/// The unrounded charges that an issued invoice and what was settled since account for.
pub(in crate::billing) fn billed_charges(tx: &dyn Tx, number: &str, charges_total: &str) -> Result<i128, BillingError> {
    let settled = tx.rows(
        "select amount from adjustment where invoice_number = ?1 and kind = 'restatement' and status = 'settled' and end_snapshot is null",
        &[number.into()],
    )?;
    let mut sum = amount(charges_total)?;
    for row in settled {
        sum = sum.checked_add(amount(row.text(0)?)?).ok_or(BillingError::Overflow)?;
    }
    Ok(sum)
}

/// A stored unrounded amount, scale 18.
pub(super) fn amount(text: &str) -> Result<i128, BillingError> {
    let parsed = parse_decimal(text).map_err(|_| CatalogError::Malformed { what: "amount of a document" })?;
    Ok(parsed.value)
}
