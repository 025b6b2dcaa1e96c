//! Differences of earlier invoices that a seller bills with a later period.
//!
//! Every edge of a chain has a difference of its own, so such a row ends at its buyer: nothing of it is priced further down.

use super::{Month, OwnRow, stays_of_edge};
use crate::rating::book::RateBook;
use crate::rating::outcome::Origin;
use crate::rating::span::Span;
use crate::rating::tree::NodeIndex;

/// The differences that a seller bills with a month, one row for each.
pub(super) fn rows(book: &RateBook, seller: NodeIndex, month: &Month) -> Vec<OwnRow> {
    let true_ups = book.own.true_ups.get(&seller).into_iter().flatten();
    let of_month = true_ups.filter(|row| row.billed_with == month.period);
    of_month
        .filter_map(|row| {
            let node = book.tree.node(&row.buyer_node_id)?;
            // Who has left since pays it on the path by which it bought last.
            let stays = stays_of_edge(&book.tree, node, seller, (Span::ALWAYS, month));
            let before = stays.iter().rev().find(|stay| stay.real.from < month.span.until);
            let stay = before.or(stays.first())?;
            let text = format!("Correction of {}", row.invoice_number);
            Some(OwnRow {
                origin: Origin::Adjustment,
                seller,
                node,
                name: format!("{}/{}", row.invoice_number, row.adjustment_id),
                span: month.span,
                at: stay.real.nearest(month.span.from),
                category: "Adjustment",
                service_name: Some(text.clone()),
                sku_id: None,
                description: text,
                tags: None,
                quantity: None,
                unit: None,
                amount: row.amount,
                currency: row.currency.clone(),
                rule: None,
            })
        })
        .collect()
}
