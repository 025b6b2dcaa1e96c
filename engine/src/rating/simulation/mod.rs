//! Months of charges priced anew, as if one version of a card had held from an instant to another.
//!
//! Charges are read from `charges_by_terms`, or as they are where that has lost what a rule looks at or an instant at which
//! something changes. They are folded first: what the same rules price on every edge from the card's seller down is one group,
//! whatever else told its rows apart. Then each group is priced once, by the code that prices usage. So a result depends neither on
//! what it was read from nor on how finely, and of what happens above the seller only on what the seller pays, as it was charged.
//!
//! A sum of prices that were rounded one by one and the price of a sum differ by less than half a unit of the 18th digit for each row.
//! Where a version rounds to fewer digits charges are priced one by one; parts of a row that was cut are rounded each by itself.

mod columns;
mod fold;
mod looks;
mod outcome;
mod owed;
mod price;
mod version;
mod ways;

use std::sync::Arc;

use hashbrown::HashSet;

pub(crate) use columns::{Columns, Source};
pub(crate) use fold::Fold;
pub(crate) use looks::Looks;
pub(crate) use outcome::EdgeMonth;
pub(crate) use ways::MINIMUMS_MAX;

use super::book::RateBook;
use super::counters::BandTotals;
use super::error::RatingError;
use super::facts::{MINIMUM, RefFacts};
use super::run::RatingRun;
use super::span::Span;
use super::tree::NodeIndex;

/// A card version that is tried out.
#[derive(Debug)]
pub(crate) struct Simulation {
    run: Arc<RatingRun>,
    seller: NodeIndex,
    /// The only buyer whose charges the card prices; none for all of the seller's.
    buyer: Option<NodeIndex>,
    /// Sellers whose sales the caller is not shown.
    hidden: HashSet<NodeIndex>,
    /// What rules of the seller and of those below it look at.
    looks: Looks,
    /// The same of rules that the caller is shown.
    shown_looks: Looks,
}

impl Simulation {
    /// The reference rows of a snapshot with the version of the card in force from an instant to another; none where there is no such
    /// version. `is_hidden` says of a seller whether the caller is shown nothing of what it sells.
    ///
    /// # Errors
    /// As [`RateBook::compile`].
    pub(crate) fn of(
        facts: &RefFacts,
        snapshot: i64,
        (card_id, version): (&str, i64),
        span: Span,
        is_hidden: impl Fn(&str) -> bool,
    ) -> Result<Option<Arc<Self>>, RatingError> {
        let Some(card) = facts.rate_cards.iter().find(|card| card.card_id == card_id) else { return Ok(None) };
        let Some(tried) = facts.with_version_alone((card_id, version), span) else { return Ok(None) };
        let book = RateBook::compile(&tried, snapshot)?;
        let tree = &book.tree;
        let Some(seller) = tree.node(&card.seller_node_id) else { return Ok(None) };
        let buyer = match &card.buyer_node_id {
            None => None,
            Some(name) => match tree.node(name) {
                None => return Ok(None),
                found => found,
            },
        };
        let mut simulation = Self {
            seller,
            buyer,
            hidden: HashSet::new(),
            looks: Looks::default(),
            shown_looks: Looks::default(),
            run: RatingRun::new(Arc::clone(&book), BandTotals::default()),
        };
        for (at, held) in book.cards.versions.iter().enumerate() {
            let card = facts.rate_cards.iter().find(|card| card.card_id == held.card_id);
            let Some(name) = card.map(|card| card.seller_node_id.as_str()) else { continue };
            let Some(node) = book.tree.node(name) else { continue };
            if node != seller && !book.tree.was_below(node, seller) {
                continue;
            }
            let is_shown = !is_hidden(name);
            for rule in book.cards.rule_rows(at).filter(|rule| !rule.is_own() || rule.method == MINIMUM) {
                simulation.looks.add(&Looks::of(rule));
                if is_shown {
                    simulation.shown_looks.add(&Looks::of(rule));
                }
            }
        }
        let sellers: HashSet<&str> = facts.nodes.iter().map(|node| node.node_id.as_str()).collect();
        simulation.hidden =
            sellers.into_iter().filter(|name| is_hidden(name)).filter_map(|name| book.tree.node(name)).collect();
        Ok(Some(Arc::new(simulation)))
    }

    /// Whether the roll-up is not enough because policies name commitments, which it does not keep. Only the root's prices depend on
    /// them.
    pub(crate) fn names_commitments(&self) -> bool {
        self.is_roots() && !self.run.book.vocabulary.commitments.is_empty()
    }

    /// Whether the card is one of the root's.
    fn is_roots(&self) -> bool {
        self.seller == self.run.book.tree.root()
    }

    /// What rules of the seller and of those below it look at, and the part of it that the caller is shown.
    pub(crate) fn looks(&self) -> (&Looks, &Looks) {
        (&self.looks, &self.shown_looks)
    }

    /// The seller.
    pub(crate) fn seller(&self) -> &str {
        self.run.book.tree.name(self.seller)
    }

    /// The only buyer, if there is one.
    pub(crate) fn buyer(&self) -> Option<&str> {
        self.buyer.map(|buyer| self.run.book.tree.name(buyer))
    }
}
