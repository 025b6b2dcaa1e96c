//! What a simulation says of an edge, a node and a month.

use std::collections::BTreeSet;

/// One node's charges of a month on one edge of its path, as they were charged and as they would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EdgeMonth {
    /// Who sells.
    pub(crate) seller: String,
    /// Who buys.
    pub(crate) buyer: String,
    /// Who has the charges: the buyer, or a node below it.
    pub(crate) node: String,
    /// Of what the buyer pays.
    pub(crate) currency: Option<String>,
    /// Of what the seller pays.
    pub(crate) cost_currency: Option<String>,
    /// What the buyer was billed, scale 18.
    pub(crate) charged: i128,
    /// What the buyer would be billed.
    pub(crate) simulated: i128,
    /// What the seller paid.
    pub(crate) cost: i128,
    /// What the seller would pay.
    pub(crate) simulated_cost: i128,
    /// Charges that were sold on the edge.
    pub(crate) usage_rows: i64,
    /// Those that no price could be found for.
    pub(crate) unrated_rows: i64,
    /// Why not: names of reasons.
    pub(crate) reasons: BTreeSet<&'static str>,
    /// Whether the caller is not shown what the seller pays: its own seller keeps its sales to itself.
    pub(crate) is_cost_kept: bool,
    /// Whether they had to be read from `charges`.
    pub(crate) is_from_charges: bool,
}
