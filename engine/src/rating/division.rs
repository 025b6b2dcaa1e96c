//! How a stretch of a row is shared out: the pool it meets first, who takes part, and the pools that some shares meet below.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::attribution::{Assigned, RowTexts};
use super::lanes::Lanes;
use super::pools::{PoolIndex, Splits};
use super::quantities::Use;
use super::run::RatingRun;
use super::span::Span;
use super::texts::NULL;
use super::tree::NodeIndex;

/// A pool as one stretch of a row meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Division {
    /// Number of the text of the pool's name.
    pub(crate) pool: u32,
    /// Number of the text of its driver's name; null unless it is split by usage.
    pub(crate) driver: u32,
    /// Position of its owner.
    pub(crate) depth: i32,
    /// Whether those who get a share see whose resource it is.
    pub(crate) is_disclosed: bool,
    /// The owner's lane.
    pub(crate) lane: usize,
    /// The owner's own share: named, or what the others leave over.
    pub(crate) own: Share,
    /// Names what nobody has a share of, where that is a charge of its own.
    pub(crate) left: Option<u64>,
    /// Shares of the others; none where nobody takes part.
    pub(crate) shares: Vec<(Share, Taker)>,
    /// What the weights are parts of; none where they are amounts of what the pool costs its owner in a billing period, in this
    /// currency.
    pub(crate) total: Option<i128>,
    /// Whether the row counts towards that cost.
    pub(crate) is_counted: bool,
    /// The owner's, where rows are counted; else null.
    pub(crate) currency: u32,
    pub(crate) index: PoolIndex,
}

/// A share of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Zero where it is only what the others leave over.
    pub(crate) weight: i128,
    /// Names the share among all of the row's, the same whenever the pools and the node have the same names.
    pub(crate) salt: u64,
}

/// What becomes of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taker {
    /// It is priced down this lane.
    Lane(usize),
    /// A node below the pool's owner shares it further.
    Division(Box<Division>),
}

impl Division {
    /// The most edges that one of its shares goes down.
    pub(crate) fn edges_max(&self, lanes: &Lanes) -> usize {
        let edges = |lane: usize| lanes.get(lane).edges.len();
        let of_shares = self.shares.iter().map(|(_, taker)| match taker {
            Taker::Lane(lane) => edges(*lane),
            Taker::Division(division) => division.edges_max(lanes),
        });
        of_shares.chain([edges(self.lane)]).max().unwrap_or_default()
    }

    /// Whether what a row costs there is counted towards a pool: its own, or one of those that its shares meet below.
    pub(crate) fn feeds_pool(&self) -> bool {
        let is_below = |taker: &Taker| match taker {
            Taker::Lane(_) => false,
            Taker::Division(division) => division.feeds_pool(),
        };
        self.is_counted || self.shares.iter().any(|(_, taker)| is_below(taker))
    }

    /// Whether the same nodes have the same parts of it, whatever they pay above and below.
    pub(crate) fn has_shares_of(&self, other: &Self) -> bool {
        let is_same = |((a, taker), (b, other)): (&(Share, Taker), &(Share, Taker))| {
            a == b
                && match (taker, other) {
                    (Taker::Lane(_), Taker::Lane(_)) => true,
                    (Taker::Division(a), Taker::Division(b)) => a.has_shares_of(b),
                    (Taker::Lane(_), Taker::Division(_)) | (Taker::Division(_), Taker::Lane(_)) => false,
                }
        };
        self.own == other.own
            && self.total == other.total
            && self.left == other.left
            && self.shares.len() == other.shares.len()
            && self.shares.iter().zip(&other.shares).all(is_same)
    }
}

/// Works out divisions; each worker has one.
#[derive(Debug, Default)]
pub(crate) struct Divider {
    splits: Splits,
}

/// One row at one instant.
#[derive(Clone, Copy)]
pub(crate) struct RowAt<'a> {
    pub(crate) texts: &'a RowTexts<'a>,
    /// The row's whole charge period.
    pub(crate) period: Span,
    pub(crate) at: i64,
}

impl Divider {
    /// How a pool shares a row out, and for how long at least; `path` ends at the pool's owner.
    pub(crate) fn divide(
        &mut self,
        run: &RatingRun,
        lanes: &mut Lanes,
        (pool, path): (PoolIndex, &[NodeIndex]),
        row: RowAt<'_>,
        salt: u64,
    ) -> (Division, Span) {
        let book = &run.book;
        let held = book.pools.get(pool);
        let uses = Use { period: row.period, resource_id: row.texts.resource_id };
        let (split, mut span) = self.splits.at(&book.pools, &book.tree, pool, uses, row.at);
        let (terms, _) = book.pools.terms(pool, row.at);
        let (lane, holds) = lanes.at(book, &run.terms, &run.places, Some(held.owner), row.at);
        span = span.intersect(holds);
        let name_of_share = |node: NodeIndex| {
            let names = [book.tree.name(held.owner), &held.pool_id, book.tree.name(node)];
            names.iter().fold(salt, |salt, name| salted(salt, name.as_bytes()))
        };
        let mut own = Share { weight: 0, salt: name_of_share(held.owner) };
        let mut shares = Vec::with_capacity(split.parts.len());
        for (node, weight) in &split.parts {
            if *node == held.owner {
                own.weight = *weight;
                continue;
            }
            let share = Share { weight: *weight, salt: name_of_share(*node) };
            let rules = &book.attribution;
            let (assigned, stays) =
                rules.assign((&book.pools, &book.tree), Some(*node), row.texts, (row.at, path.len()));
            span = span.intersect(stays);
            let taker = match assigned {
                Assigned::Node(node) => {
                    let (lane, holds) = lanes.at(book, &run.terms, &run.places, node, row.at);
                    span = span.intersect(holds);
                    Taker::Lane(lane)
                }
                Assigned::Pool(pool, path) => {
                    let (division, holds) = self.divide(run, lanes, (pool, &path), row, share.salt);
                    span = span.intersect(holds);
                    Taker::Division(Box::new(division))
                }
            };
            shares.push((share, taker));
        }
        let driver = terms.and_then(|terms| terms.driver.as_deref());
        let owner = if split.is_counted { book.tree.stretch(held.owner, row.at).0 } else { None };
        let currency = owner
            .and_then(|stretch| stretch.rows.last())
            .map_or(NULL, |own| run.terms.number(&book.tree.row(*own).currency));
        let division = Division {
            pool: run.terms.number(&held.pool_id),
            driver: driver.map_or(NULL, |name| run.terms.number(name)),
            depth: i32::try_from(path.len()).unwrap_or(i32::MAX) - 1,
            is_disclosed: terms.is_some_and(|terms| terms.is_disclosed),
            lane,
            left: split.leaves.then(|| salted(own.salt, b"left")),
            own,
            shares,
            total: split.total,
            is_counted: split.is_counted,
            currency,
            index: pool,
        };
        (division, span)
    }
}

/// Mixes bytes into a name; 0 is the row itself.
pub(crate) fn salted(salt: u64, bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(salt);
    hasher.write(bytes);
    hasher.finish()
}
