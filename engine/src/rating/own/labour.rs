//! Hours worked.

use ratehouse_udfs::decimal::{ONE, Rounding, mul_div_round};

use super::{Month, OwnRow};
use crate::rating::book::RateBook;
use crate::rating::outcome::Origin;
use crate::rating::span::Span;
use crate::rating::tree::NodeIndex;

const HOUR_US: i128 = 3_600_000_000;

/// The hours that a seller bills in a month, one row for each entry.
pub(super) fn rows(book: &RateBook, seller: NodeIndex, month: &Month) -> Vec<OwnRow> {
    let entries = book.own.time_entries.get(&seller).into_iter().flatten();
    let of_month = entries.filter(|entry| month.span.contains(entry.worked_at));
    of_month
        .filter_map(|entry| {
            let node = book.tree.node(&entry.node_id)?;
            let path = book.tree.path(node, entry.worked_at)?;
            path.iter().position(|above| *above == seller)?;
            let length = mul_div_round(entry.hours, HOUR_US, ONE, Rounding::HalfEven).ok()?;
            let ends = entry.worked_at.checked_add(i64::try_from(length).ok()?)?;
            let tags = serde_json::json!({ "project": entry.project });
            Some(OwnRow {
                origin: Origin::Labour,
                seller,
                node,
                name: entry.entry_id.clone(),
                span: Span { from: entry.worked_at, until: ends },
                at: entry.worked_at,
                category: "Usage",
                service_name: Some(entry.project.clone()),
                sku_id: None,
                description: entry.description.clone().unwrap_or_else(|| entry.project.clone()),
                tags: Some(tags.to_string()),
                quantity: Some(entry.hours),
                unit: Some("Hours"),
                amount: mul_div_round(entry.rate, entry.hours, ONE, Rounding::HalfEven).ok()?,
                currency: entry.currency.clone(),
                rule: None,
            })
        })
        .collect()
}
