//! Shared cost: who takes part in a pool at an instant, and with which weight.
//!
//! Weights are known before any row is priced, so rows are shared out one by one, in any order. A driver's quantities count by
//! how much of their time lies in the row's whole charge period, whatever cuts the row: what changes above a pool does not
//! change its weights.

use std::sync::Arc;

use hashbrown::HashMap;
use ratehouse_udfs::decimal::{ONE, Rounding, mul_div_round};

use super::facts::{PoolMethod, PoolRow, RefFacts};
use super::method::greatest_common_divisor;
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

/// The quantities of one driver, sorted by their beginning.
#[derive(Debug, Default)]
struct Quantities {
    of_resource: HashMap<Option<String>, Vec<(Span, Weight)>>,
    longest: i64,
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
        for row in &facts.drivers {
            let (Some(owner), Some(node)) = (tree.node(&row.owner_node_id), tree.node(&row.node_id)) else { continue };
            let at = *drivers.entry((owner, &row.driver)).or_insert_with(|| {
                own.quantities.push(Quantities::default());
                own.quantities.len() - 1
            });
            let held = &mut own.quantities[at];
            held.longest = held.longest.max(row.valid.until.saturating_sub(row.valid.from));
            held.of_resource.entry(row.resource_id.clone()).or_default().push((row.valid, (node, row.quantity)));
        }
        for held in own.quantities.iter_mut().flat_map(|held| held.of_resource.values_mut()) {
            held.sort_unstable();
        }
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

/// What decides the weights of a row besides the instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use<'a> {
    /// The row's whole charge period, half-open.
    pub(crate) period: Span,
    pub(crate) resource_id: Option<&'a str>,
}

/// Weights by resource.
type OfResource = HashMap<Option<Box<str>>, Arc<[Weight]>>;

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
            return (Arc::new(Split { parts: Vec::new(), total: Some(ONE), is_counted: false }), span);
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

    fn weights(&mut self, pools: &Pools, terms: &Terms, (pool, row): (PoolIndex, Use<'_>)) -> Arc<[Weight]> {
        if self.held > WEIGHTS_MAX {
            self.weights.clear();
            self.held = 0;
        }
        let of_time = self.weights.entry((pool, row.period)).or_default();
        let resource = row.resource_id.map(Box::from);
        if let Some(known) = of_time.get(&resource) {
            return Arc::clone(known);
        }
        let found: Arc<[Weight]> = match terms.quantities {
            None => Arc::from([]),
            Some(at) => pools.quantities[at].during(row).into(),
        };
        self.held += found.len() + 1;
        of_time.insert(resource, Arc::clone(&found));
        found
    }
}

impl Quantities {
    /// The quantities of a resource in a time; of a resource without any, those that are of no resource.
    fn during(&self, row: Use<'_>) -> Vec<Weight> {
        let own = row.resource_id.and_then(|id| self.of_resource.get(&Some(id.to_owned())));
        let found = own.map(|list| self.overlapping(list, row.period)).unwrap_or_default();
        match self.of_resource.get(&None) {
            Some(general) if found.is_empty() => self.overlapping(general, row.period),
            _ => found,
        }
    }

    fn overlapping(&self, list: &[(Span, Weight)], period: Span) -> Vec<Weight> {
        // What has no length is measured at its instant.
        let period = Span { until: period.until.max(period.from.saturating_add(1)), ..period };
        let first = list.partition_point(|(span, _)| span.from < period.from.saturating_sub(self.longest));
        let mut used = Vec::new();
        for (span, (node, quantity)) in list[first..].iter().take_while(|(span, _)| span.from < period.until) {
            let shared = span.intersect(period);
            let length = |span: Span| i128::from(span.until) - i128::from(span.from);
            if !shared.is_empty() {
                used.push(Used { node: *node, quantity: *quantity, part: Part::of(length(shared), length(*span)) });
            }
        }
        exact(&used).unwrap_or_else(|| rounded(&used))
    }
}

/// A fraction in lowest terms.
#[derive(Debug, Clone, Copy)]
struct Part {
    of: i128,
    all: i128,
}

impl Part {
    fn of(part: i128, all: i128) -> Self {
        let shared = greatest_common_divisor(part.unsigned_abs(), all.unsigned_abs());
        let shared = i128::try_from(shared).unwrap_or(1).max(1);
        Self { of: part / shared, all: all / shared }
    }
}

/// A quantity, and how much of its time counts.
#[derive(Debug, Clone, Copy)]
struct Used {
    node: NodeIndex,
    quantity: i128,
    part: Part,
}

/// Weights in the same ratio as the parts of the quantities; none where 128 bits do not hold them.
fn exact(used: &[Used]) -> Option<Vec<Weight>> {
    let mut common = 1_i128;
    for Used { part, .. } in used {
        let shared = greatest_common_divisor(common.unsigned_abs(), part.all.unsigned_abs());
        common = common.checked_mul(part.all / i128::try_from(shared).ok()?)?;
    }
    let weight = |used: &Used| used.quantity.checked_mul(used.part.of)?.checked_mul(common / used.part.all);
    let weights: Vec<i128> = used.iter().map(weight).collect::<Option<_>>()?;
    // As small as they can be, so that their sum fits, too.
    let shared = weights.iter().fold(0, |shared, weight| greatest_common_divisor(shared, weight.unsigned_abs()));
    let shared = i128::try_from(shared.max(1)).ok()?;
    let mut sum = 0_i128;
    for weight in &weights {
        sum = sum.checked_add(weight / shared)?;
    }
    Some(summed(used.iter().zip(weights).map(|(used, weight)| (used.node, weight / shared))))
}

/// Weights rounded half-even to scale 18.
fn rounded(used: &[Used]) -> Vec<Weight> {
    let weight = |used: &Used| mul_div_round(used.quantity, used.part.of, used.part.all, Rounding::HalfEven);
    summed(used.iter().map(|used| (used.node, weight(used).unwrap_or_default())))
}

/// One weight for each node.
fn summed(weights: impl Iterator<Item = Weight>) -> Vec<Weight> {
    let mut sums: Vec<Weight> = Vec::new();
    let mut places: HashMap<NodeIndex, usize> = HashMap::new();
    for (node, weight) in weights {
        let at = *places.entry(node).or_insert(sums.len());
        match sums.get_mut(at) {
            Some((_, sum)) => *sum = sum.saturating_add(weight),
            None => sums.push((node, weight)),
        }
    }
    sums
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

    fn in_proportion(&mut self, terms: &Terms, weights: &[Weight]) -> Split {
        let parts = weights.iter().copied().filter(|(node, weight)| *weight > 0 && self.is_below(*node)).collect();
        self.split(terms, parts, None)
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
            return Split { parts, total: Some(ONE), is_counted: false };
        }
        let sum = parts.iter().fold(0_i128, |sum, (_, weight)| sum.saturating_add(*weight));
        parts.sort_by(|(a, _), (b, _)| self.tree.name(*a).cmp(self.tree.name(*b)));
        Split { parts, total: Some(total.unwrap_or(sum)), is_counted: false }
    }
}
