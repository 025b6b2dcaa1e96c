//! Shared cost: who takes part in a pool at an instant, and with which weight.
//!
//! Weights are known before any row is priced, so rows are shared out one by one, in any order.

use std::sync::Arc;

use hashbrown::HashMap;
use ratehouse_udfs::decimal::ONE;

use super::facts::{DriverRow, PoolMethod, PoolRow, RefFacts};
use super::measured::{is_measured, quantities_of};
use super::quantities::{Quantities, Quantity, Use, Whose};
use super::span::{Span, holds_at};
use super::tree::{NodeIndex, Tree};

/// A pool's number in [`Pools`].
pub(crate) type PoolIndex = usize;

const HUNDRED: i128 = 100 * ONE;

/// A node, and how much of a pool is its share.
type Weight = (NodeIndex, i128);

/// What `ref.pools` says of a pool in a stretch of time.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) method: PoolMethod,
    /// The driver's name, of pools by usage.
    pub(crate) driver: Option<String>,
    pub(crate) is_disclosed: bool,
    fallback: Option<NodeIndex>,
    spreads_idle: bool,
    quantities: Option<usize>,
}

/// A pool with its shares.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) owner: NodeIndex,
    pub(crate) pool_id: String,
    terms: Vec<(Span, Terms)>,
    shares: Vec<(Span, Weight)>,
}

/// Who takes part in a pool at an instant; each gets its weight's part of the total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    /// Nodes with weights above zero; empty when nobody takes part and the cost stays with the owner.
    pub(crate) parts: Vec<Weight>,
    /// What the weights are parts of; none where they are amounts of what the pool costs its owner in a billing period.
    pub(crate) total: Option<i128>,
    /// Whether rows count towards that cost.
    pub(crate) is_counted: bool,
    /// Whether a part of the total is nobody's although others have theirs.
    pub(crate) leaves: bool,
}

/// All pools.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    pools: Vec<Pool>,
    index: HashMap<NodeIndex, HashMap<String, PoolIndex>>,
    quantities: Vec<Quantities>,
}

impl Pools {
    pub(crate) fn compile(facts: &RefFacts, tree: &Tree) -> Self {
        let mut own = Self::default();
        let mut drivers: HashMap<(NodeIndex, &str), usize> = HashMap::new();
        let by_hand = facts.drivers.iter().map(|row| {
            let DriverRow { owner_node_id, driver, node_id, resource_id, quantity, valid } = row;
            ((owner_node_id, driver, node_id, resource_id), (*valid, *quantity))
        });
        let landed = facts.metrics.counted(&facts.drivers);
        let landed = landed.map(|((owner, driver, node, resource), window)| ((owner, driver, node, resource), window));
        for ((owner, driver, node, resource), (time, quantity)) in by_hand.chain(landed) {
            let (Some(owner), Some(node)) = (tree.node(owner), tree.node(node)) else { continue };
            let at = *drivers.entry((owner, driver)).or_insert_with(|| {
                own.quantities.push(Quantities::default());
                own.quantities.len() - 1
            });
            own.quantities[at].add(resource.clone(), time, (Whose::Named(node), quantity));
        }
        for row in &facts.pools {
            let (Some(owner), Some(driver)) = (tree.node(&row.owner_node_id), row.driver.as_deref()) else { continue };
            if !is_measured(driver) {
                continue;
            }
            let at = *drivers.entry((owner, driver)).or_insert_with(|| {
                own.quantities.push(Quantities::default());
                own.quantities.len() - 1
            });
            if !own.quantities[at].has_measured() {
                own.quantities[at].measure(quantities_of(facts, tree, (owner, driver)));
            }
        }
        own.quantities.iter_mut().for_each(Quantities::sort);
        let mut rows: Vec<&PoolRow> = facts.pools.iter().collect();
        rows.sort_by_key(|row| row.valid.from);
        for row in rows {
            let Some(owner) = tree.node(&row.owner_node_id) else { continue };
            let named = own.index.entry(owner).or_default();
            let at = *named.entry(row.pool_id.clone()).or_insert(own.pools.len());
            if at == own.pools.len() {
                own.pools.push(Pool { owner, pool_id: row.pool_id.clone(), terms: Vec::new(), shares: Vec::new() });
            }
            let quantities = row.driver.as_deref().and_then(|name| drivers.get(&(owner, name)).copied());
            let terms = Terms {
                method: row.method,
                driver: row.driver.clone(),
                is_disclosed: row.disclose,
                fallback: row.fallback_node_id.as_deref().and_then(|name| tree.node(name)),
                spreads_idle: row.spread_idle,
                quantities,
            };
            own.pools[at].terms.push((row.valid, terms));
        }
        for row in &facts.pool_shares {
            let (Some(owner), Some(node)) = (tree.node(&row.owner_node_id), tree.node(&row.node_id)) else { continue };
            let Some(at) = own.find(owner, &row.pool_id) else { continue };
            own.pools[at].shares.push((row.valid, (node, row.share.unwrap_or_default())));
        }
        for pool in &mut own.pools {
            pool.shares.sort_by(|(_, (a, _)), (_, (b, _))| tree.name(*a).cmp(tree.name(*b)));
        }
        own
    }

    /// The pool of an owner.
    pub(crate) fn find(&self, owner: NodeIndex, pool_id: &str) -> Option<PoolIndex> {
        self.index.get(&owner)?.get(pool_id).copied()
    }

    pub(crate) fn get(&self, pool: PoolIndex) -> &Pool {
        &self.pools[pool]
    }

    /// Whether shares of some pool are fixed amounts at some time of these.
    pub(crate) fn have_fixed_shares(&self, time: Span) -> bool {
        let terms = self.pools.iter().flat_map(|pool| &pool.terms);
        let mut fixed = terms.filter(|(_, terms)| terms.method == PoolMethod::Fixed);
        fixed.any(|(span, _)| span.overlaps(time))
    }

    /// What holds of a pool at an instant, none where it is no pool then, and until when that is so.
    pub(crate) fn terms(&self, pool: PoolIndex, at: i64) -> (Option<&Terms>, Span) {
        let (found, span) = holds_at(&self.pools[pool].terms, at, |(span, _)| *span);
        (found.map(|(_, terms)| terms), span)
    }
}

/// Quantities by resource.
type OfResource = HashMap<Option<Box<str>>, Arc<[Quantity]>>;

/// The splits that one worker has worked out: those by usage depend on the row, all others on the instant only.
#[derive(Debug, Default)]
pub(crate) struct Splits {
    of_pool: HashMap<PoolIndex, Vec<(Span, Arc<Split>)>>,
    weights: HashMap<(PoolIndex, Span), OfResource>,
    held: usize,
}

/// Weights that are kept before the memory of them is cleared.
const WEIGHTS_MAX: usize = 1 << 20;

impl Splits {
    /// Who shares a row of a pool at an instant, and how long that holds at least.
    pub(crate) fn at(
        &mut self,
        pools: &Pools,
        tree: &Tree,
        pool: PoolIndex,
        row: Use<'_>,
        at: i64,
    ) -> (Arc<Split>, Span) {
        if let Some(known) = self.of_pool.get(&pool)
            && let Some((span, split)) = known.iter().find(|(span, _)| span.contains(at))
        {
            return (Arc::clone(split), *span);
        }
        let (terms, mut span) = pools.terms(pool, at);
        let Some(terms) = terms else {
            return (Arc::new(Split { parts: Vec::new(), total: Some(ONE), is_counted: false, leaves: false }), span);
        };
        let mut sharing = Sharing { tree, owner: pools.get(pool).owner, at, span: Span::ALWAYS };
        let split = match terms.method {
            PoolMethod::Usage => {
                let weights = self.weights(pools, terms, (pool, row));
                sharing.in_proportion(terms, &weights)
            }
            PoolMethod::Even => sharing.evenly(terms, pools.get(pool)),
            PoolMethod::Percentage => sharing.by_percentage(terms, pools.get(pool)),
            PoolMethod::Fixed => sharing.by_amount(terms, pools.get(pool)),
        };
        span = span.intersect(sharing.span);
        let split = Arc::new(split);
        if terms.method != PoolMethod::Usage {
            self.of_pool.entry(pool).or_default().push((span, Arc::clone(&split)));
        }
        (split, span)
    }

    fn weights(&mut self, pools: &Pools, terms: &Terms, (pool, row): (PoolIndex, Use<'_>)) -> Arc<[Quantity]> {
        if self.held > WEIGHTS_MAX {
            self.weights.clear();
            self.held = 0;
        }
        let of_time = self.weights.entry((pool, row.period)).or_default();
        let resource = row.resource_id.map(Box::from);
        if let Some(known) = of_time.get(&resource) {
            return Arc::clone(known);
        }
        let found: Arc<[Quantity]> = match terms.quantities {
            None => Arc::from([]),
            Some(at) => pools.quantities[at].during(row).into(),
        };
        self.held += found.len() + 1;
        of_time.insert(resource, Arc::clone(&found));
        found
    }
}

/// One pool at one instant.
struct Sharing<'a> {
    tree: &'a Tree,
    owner: NodeIndex,
    at: i64,
    /// How long what was found holds.
    span: Span,
}

impl Sharing<'_> {
    /// Whether a node is the owner or stands below it.
    fn is_below(&mut self, node: NodeIndex) -> bool {
        let (stretch, holds) = self.tree.stretch(node, self.at);
        self.span = self.span.intersect(holds);
        stretch.is_some_and(|found| found.rows.iter().any(|row| self.tree.node_of_row(*row) == self.owner))
    }

    fn by_percentage(&mut self, terms: &Terms, pool: &Pool) -> Split {
        let parts = self.named(terms, pool);
        self.split(terms, parts, Some(HUNDRED))
    }

    fn by_amount(&mut self, terms: &Terms, pool: &Pool) -> Split {
        let parts = self.named(terms, pool);
        let has_weight = parts.iter().any(|(_, amount)| *amount > 0);
        let split = self.split(terms, parts, None);
        Split { total: split.total.filter(|_| !has_weight), is_counted: true, ..split }
    }

    /// The shares that hold; those of nodes that are not below the owner are the fallback's.
    fn named(&mut self, terms: &Terms, pool: &Pool) -> Vec<Weight> {
        let (mut parts, mut homeless) = (Vec::new(), 0);
        for (node, share) in self.shares(pool) {
            if self.is_below(node) {
                parts.push((node, share));
            } else {
                homeless += share;
            }
        }
        self.with_fallback(terms, &mut parts, homeless);
        parts
    }

    fn evenly(&mut self, terms: &Terms, pool: &Pool) -> Split {
        let named = self.shares(pool);
        let nodes: Vec<NodeIndex> = match named.is_empty() {
            false => named.into_iter().map(|(node, _)| node).filter(|node| self.is_below(*node)).collect(),
            true => {
                let (children, holds) = self.tree.children(self.owner, self.at);
                self.span = self.span.intersect(holds);
                children
            }
        };
        self.split(terms, nodes.into_iter().map(|node| (node, ONE)).collect(), None)
    }

    /// By what was used; what is nobody's is the fallback's, or stays with the owner.
    fn in_proportion(&mut self, terms: &Terms, quantities: &[Quantity]) -> Split {
        let (mut parts, mut nobodys) = (Vec::new(), 0);
        for (whose, weight) in quantities.iter().copied().filter(|(_, weight)| *weight > 0) {
            match whose {
                Whose::Named(node) if self.is_below(node) => parts.push((node, weight)),
                Whose::Ruled(node) if self.is_below(node) => parts.push((node, weight)),
                Whose::Named(_) => {}
                Whose::Idle if terms.spreads_idle => {}
                Whose::Ruled(_) | Whose::Nobody | Whose::Idle => nobodys += weight,
            }
        }
        let total = parts.iter().fold(nobodys, |sum, (_, weight)| sum + weight);
        let is_anybodys = !parts.is_empty();
        self.with_fallback(terms, &mut parts, nobodys);
        let taken = parts.iter().fold(0, |sum, (_, weight)| sum + weight);
        let split = self.split(terms, parts, is_anybodys.then_some(total));
        Split { leaves: is_anybodys && taken < total, ..split }
    }

    /// The shares that hold.
    fn shares(&mut self, pool: &Pool) -> Vec<Weight> {
        let mut held = Vec::new();
        for (span, weight) in &pool.shares {
            self.span = self.span.intersect(span.around(self.at));
            if span.contains(self.at) {
                held.push(*weight);
            }
        }
        held
    }

    fn with_fallback(&mut self, terms: &Terms, parts: &mut Vec<Weight>, weight: i128) {
        let Some(node) = terms.fallback.filter(|_| weight > 0) else { return };
        if !self.is_below(node) {
            return;
        }
        match parts.iter_mut().find(|(held, _)| *held == node) {
            Some((_, held)) => *held += weight,
            None => parts.push((node, weight)),
        }
    }

    /// The split by these weights; where they are all zero, the fallback takes everything.
    fn split(&mut self, terms: &Terms, mut parts: Vec<Weight>, total: Option<i128>) -> Split {
        parts.retain(|(_, weight)| *weight > 0);
        if parts.is_empty() {
            self.with_fallback(terms, &mut parts, ONE);
            return Split { parts, total: Some(ONE), is_counted: false, leaves: false };
        }
        let sum = parts.iter().fold(0_i128, |sum, (_, weight)| sum.saturating_add(*weight));
        parts.sort_by(|(a, _), (b, _)| self.tree.name(*a).cmp(self.tree.name(*b)));
        Split { parts, total: Some(total.unwrap_or(sum)), is_counted: false, leaves: false }
    }
}
