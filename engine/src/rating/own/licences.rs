//! Seats by the month.

use hashbrown::HashMap;
use ratehouse_udfs::decimal::{ONE, Rounding, mul_div_round};
use ratehouse_udfs::money::{Convention, prorate};

use super::{Month, OwnRow, stays_below};
use crate::rating::book::RateBook;
use crate::rating::facts::LicenceRow;
use crate::rating::outcome::Origin;
use crate::rating::span::{DAY_US, Span};
use crate::rating::tree::NodeIndex;

/// Thirtieths of a month by convention `30`.
const THIRTIETHS: i64 = 30;

/// The licences of a seller in a month: one row for each stretch in which seats, price and product stay the same and the node is
/// below the seller.
pub(super) fn rows(book: &RateBook, seller: NodeIndex, month: &Month) -> Vec<OwnRow> {
    let mut rows: Vec<OwnRow> = Vec::new();
    // Of the row made last.
    let mut seats = None;
    // By licence: thirtieths that its rows have taken, and its dearest row of convention `full_month`.
    let mut thirtieths: HashMap<&str, i64> = HashMap::new();
    let mut dearest: HashMap<&str, usize> = HashMap::new();
    for licence in book.own.licences.get(&seller).into_iter().flatten() {
        let Some(node) = book.tree.node(&licence.node_id) else { continue };
        let held = licence.valid.intersect(month.span);
        if held.is_empty() || licence.is_suspended {
            continue;
        }
        for stay in stays_below(&book.tree, node, seller, (held, month)) {
            let span = stay.days.intersect(held);
            if span.is_empty() {
                continue;
            }
            let taken = thirtieths.entry(&licence.licence_id).or_insert(0);
            let Some(row) = row(licence, (seller, node), (span, month), taken) else { continue };
            let row = OwnRow { at: stay.real.nearest(row.span.from), ..row };
            if licence.convention == Convention::FullMonth {
                // The month is billed once, as the most that it had.
                let at = *dearest.entry(&licence.licence_id).or_insert(rows.len());
                match rows.get_mut(at) {
                    None => rows.push(row),
                    Some(held) if held.amount < row.amount => *held = row,
                    Some(_) => {}
                }
                continue;
            }
            // Where only the price changes it is one row: whoever buys further down has no price of the seller's.
            match rows.last_mut() {
                Some(last) if last.goes_on_in(&row) && seats == Some(licence.seats) => last.take_in(&row),
                _ => rows.push(row),
            }
            seats = Some(licence.seats);
        }
    }
    rows
}

impl OwnRow {
    /// Whether another row of the same licence says the same of the time after it.
    fn goes_on_in(&self, next: &Self) -> bool {
        let is_same = (&self.name, self.node, &self.service_name) == (&next.name, next.node, &next.service_name)
            && (&self.sku_id, &self.currency) == (&next.sku_id, &next.currency);
        is_same && self.span.until == next.span.from
    }

    fn take_in(&mut self, next: &Self) {
        self.span.until = next.span.until;
        self.amount = self.amount.saturating_add(next.amount);
        self.quantity = self.quantity.zip(next.quantity).map(|(a, b)| a.saturating_add(b));
    }
}

/// A stretch of a licence; none where it counts for nothing by its convention. Its quantity is what of a month the seats are there, so
/// that whoever sells it on by the seat bills as much of it.
fn row(
    licence: &LicenceRow,
    (seller, node): (NodeIndex, NodeIndex),
    (span, month): (Span, &Month),
    thirtieths: &mut i64,
) -> Option<OwnRow> {
    let mut taken = *thirtieths;
    let whole = mul_div_round(licence.unit_price, licence.seats, ONE, Rounding::HalfEven).ok()?;
    let amount = part(licence, whole, (span, month), &mut taken)?;
    let quantity = part(licence, licence.seats, (span, month), thirtieths)?;
    (quantity != 0).then(|| OwnRow {
        origin: Origin::Licence,
        seller,
        node,
        name: licence.licence_id.clone(),
        // A whole month is one however late it began.
        span: if licence.convention == Convention::FullMonth { month.span } else { span },
        at: span.from,
        category: "Purchase",
        service_name: Some(licence.product.clone()),
        sku_id: licence.sku_id.clone(),
        description: licence.product.clone(),
        tags: None,
        quantity: Some(quantity),
        unit: Some("Seat-Months"),
        amount,
        currency: licence.currency.clone(),
        rule: None,
    })
}

/// The part of a month's whole that a stretch of a licence has; none where it does not fit. `thirtieths` are those that the licence's
/// stretches have taken so far: together they are no more than a month.
fn part(licence: &LicenceRow, whole: i128, (span, month): (Span, &Month), thirtieths: &mut i64) -> Option<i128> {
    let (period, active) = (month.on_the_wall(month.span), month.on_the_wall(span));
    if licence.convention != Convention::ThirtyDays {
        return prorate(whole, period, active, licence.convention).ok();
    }
    let started_days = (active.1 - active.0 + DAY_US - 1) / DAY_US;
    // A whole month is all of them, however short it is.
    let days = if active == period { THIRTIETHS } else { started_days.min(THIRTIETHS - *thirtieths) };
    *thirtieths += days;
    mul_div_round(whole, i128::from(days), i128::from(THIRTIETHS), Rounding::HalfEven).ok()
}
