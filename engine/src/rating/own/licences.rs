//! Seats by the month.

use hashbrown::HashMap;
use ratehouse_udfs::decimal::{ONE, Rounding, mul_div_round};
use ratehouse_udfs::money::{Convention, prorate};

use super::{Month, OwnRow, times_below};
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
    let mut rows = Vec::new();
    // By licence: thirtieths that its rows have taken, and its dearest row of convention `full_month`.
    let mut thirtieths: HashMap<&str, i64> = HashMap::new();
    let mut dearest: HashMap<&str, usize> = HashMap::new();
    for licence in book.own.licences.get(&seller).into_iter().flatten() {
        let Some(node) = book.tree.node(&licence.node_id) else { continue };
        let held = licence.valid.intersect(month.span);
        if held.is_empty() || licence.is_suspended {
            continue;
        }
        for span in times_below(&book.tree, node, seller, held) {
            let taken = thirtieths.entry(&licence.licence_id).or_insert(0);
            let Some(amount) = amount(licence, span, month, taken) else { continue };
            if amount == 0 {
                continue;
            }
            let row = row(licence, (seller, node), span, amount);
            match (licence.convention, dearest.get(licence.licence_id.as_str())) {
                // The month is billed once, as the most that it had.
                (Convention::FullMonth, Some(at)) => {
                    let held: &mut OwnRow = &mut rows[*at];
                    if held.amount < row.amount {
                        *held = row;
                    }
                }
                (Convention::FullMonth, None) => {
                    dearest.insert(&licence.licence_id, rows.len());
                    rows.push(row);
                }
                (Convention::Actual | Convention::ThirtyDays | Convention::None, _) => rows.push(row),
            }
        }
    }
    rows
}

fn row(licence: &LicenceRow, (seller, node): (NodeIndex, NodeIndex), span: Span, amount: i128) -> OwnRow {
    OwnRow {
        origin: Origin::Licence,
        seller,
        node,
        name: format!("{}/{}", licence.licence_id, span.from),
        span,
        category: "Purchase",
        service_name: Some(licence.product.clone()),
        sku_id: licence.sku_id.clone(),
        resource_id: Some(licence.licence_id.clone()),
        description: licence.product.clone(),
        tags: None,
        quantity: Some(licence.seats),
        unit: Some("Seats"),
        amount,
        currency: licence.currency.clone(),
        rule: None,
    }
}

/// What a stretch of a licence costs; none where it does not fit. `thirtieths` are those that the licence's stretches have taken so
/// far: together they are no more than a month.
fn amount(licence: &LicenceRow, span: Span, month: &Month, thirtieths: &mut i64) -> Option<i128> {
    let whole = mul_div_round(licence.unit_price, licence.seats, ONE, Rounding::HalfEven).ok()?;
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
