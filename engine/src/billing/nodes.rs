//! What documents take from the tree: names, rounding modes, parents.

use std::collections::HashMap;
use std::str::FromStr as _;

use ratehouse_udfs::decimal::Rounding;

use super::error::BillingError;
use crate::catalog::{CatalogError, RefTable, SnapshotId, Tx, Value};
use crate::period::BillingPeriod;

/// A node as it is at the end of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) parent: Option<String>,
    rounding_mode: String,
}

/// The nodes as they are at the end of a period, as a snapshot knows them.
pub(super) fn at_end(
    tx: &dyn Tx,
    snapshot: SnapshotId,
    period: BillingPeriod,
) -> Result<HashMap<String, Node>, BillingError> {
    let table = RefTable::named("nodes").ok_or(CatalogError::Malformed { what: "table ref.nodes" })?;
    let position = |column| table.position(column).ok_or(CatalogError::Malformed { what: "column of ref.nodes" });
    let (id, parent, name) = (position("node_id")?, position("parent_id")?, position("name")?);
    let (valid_from, rounding_mode) = (position("valid_from")?, position("rounding_mode")?);
    // Instants are RFC 3339 UTC text, so they compare as text with a date after the period's last instant.
    let last = format!("{}T23:59:59.999999Z", period.last_day());
    let mut newest: HashMap<String, (String, Node)> = HashMap::new();
    for row in table.rows_at(tx, snapshot)? {
        let text = |at: usize| row.values.get(at).and_then(Value::as_text).unwrap_or_default();
        let from = text(valid_from);
        let is_later = newest.get(text(id)).is_none_or(|(known, _)| known.as_str() < from);
        if from <= last.as_str() && is_later {
            let parent = row.values.get(parent).and_then(Value::as_text).map(str::to_owned);
            let node = Node { name: text(name).to_owned(), parent, rounding_mode: text(rounding_mode).to_owned() };
            newest.insert(text(id).to_owned(), (from.to_owned(), node));
        }
    }
    Ok(newest.into_iter().map(|(id, (_, node))| (id, node)).collect())
}

/// How each node's documents round.
pub(super) fn rounding_modes(
    tx: &dyn Tx,
    snapshot: SnapshotId,
    period: BillingPeriod,
) -> Result<HashMap<String, Rounding>, BillingError> {
    let mode = |(id, node): (String, Node)| {
        let mode = Rounding::from_str(&node.rounding_mode)
            .map_err(|_| CatalogError::Malformed { what: "rounding mode of a node" })?;
        Ok((id, mode))
    };
    at_end(tx, snapshot, period)?.into_iter().map(mode).collect()
}

/// The node and those above it, nearest first.
pub(super) fn ancestry<'a>(nodes: &'a HashMap<String, Node>, node_id: &'a str) -> Vec<&'a str> {
    let mut chain = vec![node_id];
    let mut at = node_id;
    // A tree is at most as deep as it has nodes; a cycle ends there too.
    while let Some(parent) = nodes.get(at).and_then(|node| node.parent.as_deref()) {
        if chain.len() > nodes.len() {
            break;
        }
        chain.push(parent);
        at = parent;
    }
    chain
}
