//! Ways: paths from the card's seller down, with the terms of each edge as they stay for a time.

use std::sync::Arc;

use chrono_tz::Tz;
use hashbrown::HashMap;

use super::Simulation;
use crate::rating::cards::Held;
use crate::rating::facts::MINIMUM;
use crate::rating::fx::Particular;
use crate::rating::lanes::{Edge, Lane, edge_at};
use crate::rating::policies::EdgePolicies;
use crate::rating::rules::Condition;
use crate::rating::span::{Span, holds_at};
use crate::rating::texts::NULL;
use crate::rating::tree::NodeIndex;

/// A path in which the seller sells to a buyer that its card is for.
#[derive(Debug)]
pub(super) struct Path {
    /// The seller's position.
    pub(super) seller_at: usize,
    /// The nodes' names, root first.
    pub(super) names: Vec<Arc<str>>,
    /// The nodes from the seller down; none where one of them is not there any more.
    nodes: Option<Vec<NodeIndex>>,
    /// The position of the first node whose sales the caller is not shown.
    hidden_at: Option<usize>,
}

impl Path {
    /// None for a path that the card prices nothing on.
    pub(super) fn parse(simulation: &Simulation, text: &str) -> Option<Self> {
        let names: Vec<Arc<str>> = text.split('/').map(Arc::from).collect();
        let seller_at = names.iter().position(|name| name.as_ref() == simulation.seller())?;
        let buyer = names.get(seller_at + 1)?;
        if simulation.buyer().is_some_and(|only| only != buyer.as_ref()) {
            return None;
        }
        let tree = &simulation.run.book.tree;
        let nodes: Option<Vec<NodeIndex>> = names[seller_at..].iter().map(|name| tree.node(name)).collect();
        let sellers = nodes.iter().flat_map(|nodes| &nodes[..nodes.len() - 1]);
        let hidden = sellers.into_iter().position(|node| simulation.hidden.contains(node));
        Some(Self { seller_at, names, nodes, hidden_at: hidden.map(|at| seller_at + at) })
    }
}

/// The lane of a path as far as it is priced anew: of the edges above only the seller's currency is there.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) lane: Lane,
    pub(super) seller_at: usize,
    /// The nodes from the seller down.
    nodes: Vec<NodeIndex>,
    /// The minimums of its edges, as far as the caller is shown them.
    pub(super) minimums: Vec<EdgeMinimum>,
    /// The same as far as the first node whose sales the caller is not shown. What is above that must not depend on what is below.
    pub(super) head: Option<Arc<Self>>,
}

/// A rule that bills what is missing to its value, on an edge of a way.
#[derive(Debug, Clone)]
pub(super) struct EdgeMinimum {
    /// The buyer's position.
    pub(super) position: usize,
    /// `card/version/rule`.
    pub(super) rule: String,
    /// Which charges count for it.
    pub(super) condition: Condition,
}

/// How many minimums of a path a simulation keeps apart.
pub(crate) const MINIMUMS_MAX: usize = 64;

impl Way {
    /// The edges that are priced anew, with the position of each buyer.
    pub(super) fn edges(&self) -> impl Iterator<Item = (usize, &Edge)> {
        self.lane.edges.iter().enumerate().skip(self.seller_at).map(|(at, edge)| (at + 1, edge))
    }

    /// The lane down to a position: what is priced before it is shared out there belongs to the node at that position.
    pub(super) fn down_to(&self, position: usize) -> Option<Lane> {
        let owner = *self.nodes.get(position.checked_sub(self.seller_at)?)?;
        if position == self.seller_at || owner == self.lane.owner {
            return None;
        }
        let edges = self.lane.edges.iter().take(position).cloned().collect();
        Some(Lane { owner, edges, ..self.lane.clone() })
    }
}

/// How long a way stays the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds {
    /// As it is.
    pub(super) span: Span,
    /// As far as the caller is shown.
    pub(super) shown: Span,
    /// Down to the first node whose sales the caller is not shown.
    pub(super) head: Span,
}

/// Number of a path's text, currency of the provider's costs, currency of the seller.
pub(super) type WayKey = (u32, [u32; 2]);

/// The ways that one worker has met.
#[derive(Debug, Default)]
pub(super) struct Ways(HashMap<WayKey, Vec<(Holds, Arc<Way>)>>);

impl Ways {
    /// The way of a path at an instant, and how long it surely holds; none where one of its nodes is not there any more.
    #[inline]
    pub(super) fn at(
        &mut self,
        simulation: &Simulation,
        path: &Path,
        key: WayKey,
        at: i64,
    ) -> Option<(Arc<Way>, Holds)> {
        let list = self.0.entry(key).or_default();
        if let (Some((holds, way)), _) = holds_at(list, at, |(holds, _)| holds.span) {
            return Some((Arc::clone(way), *holds));
        }
        let (way, holds) = build(simulation, path, key.1, at)?;
        let way = Arc::new(way);
        let place = list.partition_point(|(other, _)| other.span.from < holds.span.from);
        list.insert(place, (holds, Arc::clone(&way)));
        Some((way, holds))
    }
}

fn build(simulation: &Simulation, path: &Path, [currency, own]: [u32; 2], at: i64) -> Option<(Way, Holds)> {
    let run = &simulation.run;
    let (book, texts) = (&run.book, &run.terms);
    let nodes = path.nodes.as_ref()?;
    let seller = simulation.seller;
    let above = Edge {
        seller,
        buyer: seller,
        cards: [(Held::Nothing, true); 2],
        policies: EdgePolicies::default(),
        allocates: false,
        currency: own,
        seller_currency: NULL,
        fx_policy: NULL,
        fx_of: Particular::Nothing,
    };
    let mut edges = vec![above; path.seller_at];
    let mut minimums = Vec::new();
    let mut holds = Holds { span: Span::ALWAYS, shown: Span::ALWAYS, head: Span::ALWAYS };
    let mut cost_currency = if path.seller_at == 0 { currency } else { own };
    // Commitments are the root's: nobody below it knows of them.
    let mut commitments = Vec::new();
    if path.seller_at == 0 {
        let (held, span) = book.commitments.at(nodes.get(1).copied(), at, &book.tree, texts);
        commitments = held;
        holds = Holds { span, shown: span, head: span };
    }
    for pair in nodes.windows(2) {
        let rows = [pair[0], pair[1]].map(|node| (node, book.tree.row_at(node, at)));
        let (edge, mut span) = edge_at(book, texts, (rows[0], rows[1]), at);
        for (_, row) in rows {
            span = span.intersect(row.valid.around(at));
        }
        for from in [cost_currency, currency] {
            if from != edge.currency {
                let [policy, from, to] = [edge.fx_policy, from, edge.currency].map(|number| texts.text(number));
                let buyer = book.tree.name(edge.buyer);
                span = span.intersect(book.fx.holds((&policy, buyer), (&from, &to), at));
            }
        }
        holds.span = holds.span.intersect(span);
        if !simulation.hidden.contains(&edge.seller) {
            holds.shown = holds.shown.intersect(span);
        }
        if path.hidden_at.is_none_or(|hidden| edges.len() < hidden) {
            holds.head = holds.head.intersect(span);
        }
        cost_currency = edge.currency;
        if !simulation.hidden.contains(&edge.seller) {
            let position = edges.len() + 1;
            for (version, row) in book.cards.own_rules(edge.cards.map(|(card, _)| card), MINIMUM) {
                let rule = book.cards.rule_text(version, &row.rule_id);
                minimums.push(EdgeMinimum { position, rule, condition: Condition::of(row, &book.vocabulary) });
            }
        }
        edges.push(edge);
    }
    let lane = Lane {
        owner: nodes.last().copied().unwrap_or(seller),
        node_id: NULL,
        node_path: NULL,
        owner_place: 0,
        child_place: 0,
        time_zone: Tz::UTC,
        edges,
        commitments,
        is_unallocated: false,
    };
    let head = path.hidden_at.map(|hidden| {
        let lane = Lane { edges: lane.edges[..hidden].to_vec(), ..lane.clone() };
        let minimums = minimums.iter().filter(|minimum| minimum.position <= hidden).cloned().collect();
        Arc::new(Way { lane, seller_at: path.seller_at, nodes: nodes.clone(), minimums, head: None })
    });
    Some((Way { lane, seller_at: path.seller_at, nodes: nodes.clone(), minimums, head }, holds))
}
