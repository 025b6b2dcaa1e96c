//! Which catalog rows a caller sees.

use std::collections::BTreeMap;

use super::moment::Moment;
use super::row_source::{Parties, Whose};
use crate::catalog::{CatalogError, RefTable, Tx, Value};
use crate::period::BillingPeriod;

/// The seller of each card, as the moment knows it; none for a table whose rows do not need it to be found visible.
pub(super) fn sellers_of_cards(
    table: &RefTable,
    tx: &dyn Tx,
    moment: &Moment,
) -> Result<BTreeMap<String, String>, CatalogError> {
    if !matches!(table.name, "rate_card_versions" | "rate_rules") {
        return Ok(BTreeMap::new());
    }
    let Some(table) = RefTable::named("rate_cards") else { return Ok(BTreeMap::new()) };
    let rows = moment.overlay.rows(tx, table, moment.snapshot)?;
    let text = |values: &[Value], column| {
        table.position(column).and_then(|at| values.get(at)).and_then(Value::as_text).map(str::to_owned)
    };
    Ok(rows.values().filter_map(|values| Some((text(values, "card_id")?, text(values, "seller_node_id")?))).collect())
}

/// Whether a reference row is in the caller's subtree.
///
/// A node's row counts for the nodes above it at the time the row is about; cards, versions and
/// rules only for their seller and, unless that does not disclose its sales, those above it;
/// exchange rates by the sources that nodes of the subtree use.
pub(super) fn is_visible(
    table: &RefTable,
    values: &[Value],
    moment: &Moment,
    cards: &BTreeMap<String, String>,
    now: &str,
) -> bool {
    let text = |column: &str| table.position(column).and_then(|at| values.get(at)).and_then(Value::as_text);
    let own = moment.scope.node_id.as_str();
    let within = |node: Option<&str>| node.is_some_and(|node| moment.tree.is_within_now(node, own, now));
    let within_then = |node: Option<&str>| {
        let span = (text("valid_from").unwrap_or_default(), text("valid_to"));
        node.is_some_and(|node| node == own || !moment.tree.times_within(node, own, span).is_empty())
    };
    let sells = |seller: Option<&str>| {
        let is_shown = seller.is_none_or(|seller| seller == own || moment.tree.discloses(seller));
        is_shown && (moment.scope.is_root || within(seller))
    };
    match table.name {
        "rate_cards"
        | "approval_rules"
        | "adjustment_policies"
        | "licences"
        | "time_entries"
        | "quotes"
        | "contracts"
        | "credits" => sells(text("seller_node_id")),
        "margin_targets" => sells(text("owner_node_id")),
        "credit_policies" => sells(text("node_id")),
        "rate_card_versions" | "rate_rules" => {
            sells(text("card_id").and_then(|card| cards.get(card)).map(String::as_str))
        }
        _ if moment.scope.is_root => true,
        "holidays" => true,
        "nodes" | "accounts" => within_then(text("node_id")),
        "attribution_rules" | "pools" | "pool_shares" | "drivers" | "driver_rules" | "tag_policies"
        | "virtual_tags" | "planned_changes" | "budgets" | "thresholds" => within(text("owner_node_id")),
        "charge_policies" | "users" => within(text("node_id")),
        "fx_rates" => text("source").is_some_and(|source| moment.tree.uses_rates_of(source, own)),
        _ => false,
    }
}

/// Whether a row that a query of the catalog gives is the caller's to see.
pub(super) fn is_in_scope(whose: Whose, values: &[Value], moment: &Moment, now: &str) -> bool {
    match whose {
        Whose::Roots => moment.scope.is_root,
        Whose::Parties(parties) => is_party(parties, values, moment, now),
        // As reference rows with an owner.
        Whose::Owner(at) => {
            let owner = values.get(at).and_then(Value::as_text);
            let own = moment.scope.node_id.as_str();
            moment.scope.is_root || owner.is_some_and(|owner| moment.tree.is_within_now(owner, own, now))
        }
    }
}

/// Whether a row between two parties is the caller's to see: its buyer, its seller, and those
/// above the seller, unless the seller does not disclose its sales.
///
/// A document is of a whole period: who stood above its seller for a part of that only does not
/// see it, since it holds charges of the other part. Other rows count for who stands above now.
pub(super) fn is_party(parties: Parties, values: &[Value], moment: &Moment, now: &str) -> bool {
    let Parties { seller, buyer, period } = parties;
    let own = moment.scope.node_id.as_str();
    let text = |at: usize| values.get(at).and_then(Value::as_text).unwrap_or_default();
    let (seller, buyer) = (text(seller), text(buyer));
    if buyer == own || seller == own {
        return true;
    }
    if !moment.tree.discloses(seller) {
        return false;
    }
    let Some(period) = period else {
        return moment.scope.is_root || moment.tree.is_within_now(seller, own, now);
    };
    let Ok(month) = text(period).parse::<BillingPeriod>() else { return moment.scope.is_root };
    let begin = |day: chrono::NaiveDate| format!("{day}T00:00:00.000000Z");
    let (from, to) = (month.first_day(), month.first_day() + chrono::Months::new(1));
    moment.scope.is_root || moment.tree.is_within_throughout(seller, own, &begin(from), &begin(to))
}
