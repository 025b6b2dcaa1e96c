//! What policies of commitments move between nodes: rows at the root's edges.

use super::{Month, OwnRow, stays_below};
use crate::rating::book::RateBook;
use crate::rating::outcome::Origin;

/// Why something of a commitment is billed to a node, or given to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommitmentMove {
    /// What others pay more for covered usage than it effectively cost.
    Benefit,
    /// What was left unused.
    Unused,
    /// What the provider billed for the commitment.
    Purchase,
    /// What such purchases amortise to.
    Amortisation,
}

impl CommitmentMove {
    /// The service name and description of its charges.
    pub fn name(self) -> &'static str {
        match self {
            Self::Benefit => "Commitment benefit",
            Self::Unused => "Unused commitment",
            Self::Purchase => "Commitment purchase",
            Self::Amortisation => "Commitment amortisation",
        }
    }
}

impl RateBook {
    /// Whether policies of commitments may move something in a billing period (days since 1970 of its first day).
    pub fn moves_commitments(&self, period: i32) -> bool {
        self.commitments.overlap(Month::around(period))
    }

    /// The row that bills a node what commitments come to in a billing period, in the provider's currency; none where the node does not
    /// stand below the root then: the root keeps it.
    pub fn commitment_row(
        &self,
        period: i32,
        what: CommitmentMove,
        node: &str,
        (amount, currency): (i128, &str),
    ) -> Option<OwnRow> {
        let root = self.tree.root();
        let node = self.tree.node(node).filter(|node| *node != root)?;
        let month = Month::of(&self.tree, root, period)?;
        let mut stays = stays_below(&self.tree, node, root, (month.span, &month)).into_iter();
        let stay = stays.rfind(|stay| stay.real.overlaps(month.span))?;
        Some(OwnRow {
            origin: Origin::Adjustment,
            seller: root,
            node,
            name: format!("{}/{currency}", what.name()),
            span: month.span,
            at: stay.real.nearest(month.span.until - 1),
            category: "Adjustment",
            service_name: Some(what.name().to_owned()),
            sku_id: None,
            description: what.name().to_owned(),
            tags: None,
            quantity: None,
            unit: None,
            amount,
            currency: currency.to_owned(),
            rule: None,
        })
    }
}
