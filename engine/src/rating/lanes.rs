//! Lanes: a path with the terms of each of its edges, as they stay for a time.
//!
//! A worker looks lanes up by owner and instant and keeps them; equal lanes are one, so that a
//! row is cut only where something on its path really changes.

use chrono_tz::Tz;
use hashbrown::HashMap;

use super::book::RateBook;
use super::cards::Held;
use super::commitments;
use super::facts::NodeRow;
use super::fx::Particular;
use super::places::Places;
use super::policies::EdgePolicies;
use super::span::{Span, holds_at};
use super::texts::{NULL, Texts};
use super::tree::NodeIndex;

/// What holds on one edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) seller: NodeIndex,
    pub(crate) buyer: NodeIndex,
    /// The buyer's card, then the seller's default card, each with whether it is in the buyer's currency.
    pub(crate) cards: [(Held, bool); 2],
    pub(crate) policies: EdgePolicies,
    /// Sold by a customer or below: cost passes through where no card says otherwise.
    pub(crate) allocates: bool,
    /// The buyer's currency.
    pub(crate) currency: u32,
    /// The seller's currency; null on the root's edges, where the row says it.
    pub(crate) seller_currency: u32,
    /// The buyer's FX policy.
    pub(crate) fx_policy: u32,
    /// What its more particular source is about.
    pub(crate) fx_of: Particular,
}

/// A path with its edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) owner: NodeIndex,
    pub(crate) node_id: u32,
    pub(crate) node_path: u32,
    pub(crate) owner_place: u32,
    pub(crate) child_place: u32,
    pub(crate) time_zone: Tz,
    pub(crate) edges: Vec<Edge>,
    /// The policies of commitments, the most specific first.
    pub(crate) commitments: Vec<commitments::Held>,
    /// Nobody owns these rows; they stay at the root.
    pub(crate) is_unallocated: bool,
}

/// The lanes that one worker has met.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    of_owner: HashMap<Option<NodeIndex>, Vec<(Span, usize)>>,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self { lanes: Vec::new(), of_owner: HashMap::new() }
    }

    pub(crate) fn get(&self, lane: usize) -> &Lane {
        &self.lanes[lane]
    }

    /// The lane of an owner at an instant, and how long it holds at least.
    #[inline]
    pub(crate) fn at(
        &mut self,
        book: &RateBook,
        texts: &Texts,
        places: &Places,
        owner: Option<NodeIndex>,
        at: i64,
    ) -> (usize, Span) {
        if let Some(list) = self.of_owner.get(&owner)
            && let (Some((span, lane)), _) = holds_at(list, at, |(span, _)| *span)
        {
            return (*lane, *span);
        }
        self.open(book, texts, places, owner, at)
    }

    #[cold]
    fn open(
        &mut self,
        book: &RateBook,
        texts: &Texts,
        places: &Places,
        owner: Option<NodeIndex>,
        at: i64,
    ) -> (usize, Span) {
        let (lane, span) = build(book, texts, places, owner, at);
        let list = self.of_owner.entry(owner).or_default();
        let equal = if lane.is_unallocated {
            // The one kind of lane that several owners can share: those that hang nowhere.
            self.lanes.iter().position(|held| *held == lane)
        } else {
            list.iter().map(|(_, held)| *held).find(|held| self.lanes[*held] == lane)
        };
        let number = equal.unwrap_or(self.lanes.len());
        if equal.is_none() {
            self.lanes.push(lane);
        }
        let place = list.partition_point(|(other, _)| other.from < span.from);
        list.insert(place, (span, number));
        (number, span)
    }
}

/// What holds between two nodes at an instant, and how long cards and policies stay the same.
pub(crate) fn edge_at(
    book: &RateBook,
    texts: &Texts,
    ((seller, seller_row), (buyer, buyer_row)): ((NodeIndex, &NodeRow), (NodeIndex, &NodeRow)),
    at: i64,
) -> (Edge, Span) {
    let (cards, cards_span) = book.cards.at(seller, buyer, at);
    let (policies, policies_span) = book.policies.at(seller, buyer, at);
    let is_in_currency = |held: &Held| match held {
        Held::Version(version) => book.cards.versions[*version].currency == buyer_row.currency,
        Held::Nothing | Held::Several => true,
    };
    let edge = Edge {
        seller,
        buyer,
        cards: cards.map(|held| (held, is_in_currency(&held))),
        policies,
        allocates: seller_row.kind.allocates(),
        currency: texts.number(&buyer_row.currency),
        seller_currency: texts.number(&seller_row.currency),
        fx_policy: texts.number(&buyer_row.fx_policy),
        fx_of: Particular::of(&buyer_row.fx_policy),
    };
    (edge, cards_span.intersect(policies_span))
}

fn build(book: &RateBook, texts: &Texts, places: &Places, owner: Option<NodeIndex>, at: i64) -> (Lane, Span) {
    let tree = &book.tree;
    let (stretch, mut span) = match owner {
        Some(node) => tree.stretch(node, at),
        None => (None, Span::ALWAYS),
    };
    let Some(stretch) = stretch else {
        let (root, root_span) = tree.stretch(tree.root(), at);
        let time_zone = root.and_then(|found| found.rows.first()).map(|row| tree.row(*row).time_zone);
        let name = tree.name(tree.root());
        let (held, holds) = book.commitments.at(None, at, tree, texts);
        let lane = Lane {
            owner: tree.root(),
            node_id: texts.number(name),
            node_path: texts.number(name),
            owner_place: places.owner(name),
            child_place: places.child(""),
            time_zone: time_zone.unwrap_or(Tz::UTC),
            edges: Vec::new(),
            commitments: held,
            is_unallocated: true,
        };
        return (lane, span.intersect(root_span).intersect(holds));
    };
    let rows: Vec<_> = stretch.rows.iter().map(|row| tree.row(*row)).collect();
    let nodes: Vec<NodeIndex> = stretch.rows.iter().map(|row| tree.node_of_row(*row)).collect();
    let mut edges = Vec::with_capacity(rows.len());
    for position in 1..rows.len() {
        let [seller, buyer] = [position - 1, position].map(|at| (nodes[at], rows[at]));
        let (edge, holds) = edge_at(book, texts, (seller, buyer), at);
        span = span.intersect(holds);
        edges.push(if position == 1 { Edge { seller_currency: NULL, ..edge } } else { edge });
    }
    let (held, holds) = book.commitments.at(nodes.get(1).copied(), at, tree, texts);
    span = span.intersect(holds);
    let path = tree.path_text(&nodes);
    let (last, child) = (nodes.last().copied().unwrap_or(tree.root()), nodes.get(1));
    let lane = Lane {
        owner: last,
        node_id: texts.number(tree.name(last)),
        node_path: texts.number(&path),
        owner_place: places.owner(&path),
        child_place: places.child(child.map_or("", |node| tree.name(*node))),
        time_zone: rows.last().map_or(Tz::UTC, |row| row.time_zone),
        edges,
        commitments: held,
        is_unallocated: false,
    };
    (lane, span)
}
