//! What credits and the policies of those that they reach must satisfy.

use std::collections::BTreeSet;

use ratehouse_udfs::decimal::{POWERS_OF_TEN, SCALE};
use ratehouse_udfs::money::Currency;

use super::checks::{PRICE_MAX, QUANTITY_MAX, Record, State, no_overlap, node_exists, records};
use crate::catalog::{RefTable, Value};
use crate::security::{SessionError, Tree};

const KINDS: [&str; 3] = ["promotional", "service_level", "incentive"];
pub(super) const STATUSES: [&str; 3] = ["draft", "pending", "active"];
const POLICIES: [&str; 3] = ["pass", "retain", "split"];

/// Checks `ref.credits` and `ref.credit_policies`.
pub(super) fn check(state: &State, tree: &Tree, root: &str) -> Result<(), SessionError> {
    let mut opened = BTreeSet::new();
    for row in &records(state, "credits") {
        credit(row, tree, root)?;
        if let Some(charge) = row.text("charge_id")
            && !opened.insert(charge)
        {
            return Err(row.refuse("another credit passes this charge on already: one charge opens one credit"));
        }
    }
    policies(state, tree)
}

fn credit(row: &Record<'_>, tree: &Tree, root: &str) -> Result<(), SessionError> {
    row.id("credit_id")?;
    row.one_of("kind", &KINDS)?;
    row.one_of("status", &STATUSES)?;
    row.currency("currency")?;
    node_exists(tree, row, "seller_node_id")?;
    node_exists(tree, row, "node_id")?;
    if row.need("source").trim().is_empty() {
        return Err(row.refuse("source must say where it comes from: documents show it"));
    }
    if row.text("expires_at").is_some_and(|to| to <= row.need("valid_from")) {
        return Err(row.refuse("expires_at must be after valid_from"));
    }
    if row.text("charge_id").is_some() && row.need("seller_node_id") != root {
        return Err(row.refuse("only the root's credits name a charge: it is the root that providers give credits to"));
    }
    amount(row)
}

fn amount(row: &Record<'_>) -> Result<(), SessionError> {
    let Some(amount) = row.number("amount").filter(|amount| (1..=QUANTITY_MAX).contains(amount)) else {
        return Err(row.refuse("amount must be above 0 and at most 1000000000000"));
    };
    let digits = Currency::of(row.need("currency")).map_or(2, |currency| currency.minor_unit().unsigned_abs());
    if amount % POWERS_OF_TEN[usize::from(SCALE.unsigned_abs().saturating_sub(digits))] != 0 {
        return Err(row.refuse(&format!("amount has more than the {digits} digits of {}", row.need("currency"))));
    }
    Ok(())
}

/// Checks where a credit flows when it begins: from its seller down, all in one currency. This is asked of a credit that is written,
/// submitted or approved and not of all that there are: what is given stands, whatever becomes of its nodes.
///
/// # Errors
/// `23514` names the row and the node.
pub(crate) fn flows(values: &[Value], tree: &Tree) -> Result<(), SessionError> {
    let Some(table) = RefTable::named("credits") else { return Ok(()) };
    let row = &Record { table, values };
    let (seller, node, at) = (row.need("seller_node_id"), row.need("node_id"), row.need("valid_from"));
    let is_there = |place: &&crate::security::scope::Place| {
        place.from.as_str() <= at && place.to.as_deref().is_none_or(|to| at < to)
    };
    let places = tree.places(node);
    let path = places.iter().find(is_there).map(|place| place.path.as_str()).unwrap_or_default();
    let mut nodes = path.split('/').skip_while(|above| *above != seller);
    nodes.next();
    let mut buyers = nodes.peekable();
    if buyers.peek().is_none() {
        return Err(row.refuse("node_id must be below seller_node_id when it begins"));
    }
    for buyer in buyers {
        if tree.currency(buyer).is_some_and(|currency| currency != row.need("currency")) {
            return Err(row.refuse(&format!("currency must be what {buyer} pays in")));
        }
    }
    Ok(())
}

fn policies(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "credit_policies");
    for row in &rows {
        node_exists(tree, row, "node_id")?;
        row.one_of("kind", &KINDS)?;
        row.one_of("policy", &POLICIES)?;
        let shares = [row.number("keep_share"), row.number("pass_share")];
        match (row.need("policy") == "split", shares) {
            (true, [Some(keep), Some(pass)]) => {
                let are_weights = [keep, pass].iter().all(|share| (0..=PRICE_MAX).contains(share));
                if !are_weights || keep == 0 && pass == 0 {
                    return Err(row.refuse("keep_share and pass_share must be from 0 to 1000000000, and not both 0"));
                }
            }
            (true, _) => return Err(row.refuse("a split needs keep_share and pass_share")),
            (false, [None, None]) => {}
            (false, _) => return Err(row.refuse("only a split has keep_share and pass_share")),
        }
        if row.text("description_pattern").is_some() && row.text("kind").is_none() {
            return Err(row.refuse("description_pattern needs the kind that it stands for"));
        }
    }
    no_overlap(&rows, |row| vec![row.text("node_id"), row.text("kind")])
}
