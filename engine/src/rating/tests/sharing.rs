//! The oracle's shared cost: who takes part in a pool, and what each pays.

use std::collections::BTreeMap;

use super::fixtures::Line;
use super::oracle::{Oracle, Piece, Shared, holds};
use arrow::datatypes::i256;

use crate::rating::{PoolMethod, PoolRow};

const ONE: i256 = i256::from_i128(1_000_000_000_000_000_000);

/// Stands for what a pool costs its owner in the period.
const OF_THE_POOL: i256 = i256::from_i128(-1);

/// `a x b / divisor`, cut off towards zero.
fn cut_off(a: i128, b: i256, divisor: i256) -> i128 {
    let product = i256::from_i128(a).checked_mul(b).expect("in range");
    product.checked_div(divisor).and_then(i256::to_i128).expect("in range")
}

impl<'a> Oracle<'a> {
    /// The nodes that share a line of a pool, by name, with their weights and what those are parts of.
    pub(super) fn parts(&self, pool: &PoolRow, line: &Line, at: i64) -> (Vec<(String, i256)>, i256) {
        let is_below = |node: &str| {
            self.path_at(node, at).is_some_and(|path| path.iter().any(|n| n.node_id == pool.owner_node_id))
        };
        let shares = self.facts.pool_shares.iter().filter(|row| {
            row.owner_node_id == pool.owner_node_id && row.pool_id == pool.pool_id && holds(row.valid, at)
        });
        let mut weights: Vec<(String, i256)> = match pool.method {
            PoolMethod::Percentage | PoolMethod::Fixed => {
                shares.map(|row| (row.node_id.clone(), i256::from_i128(row.share.expect("a share")))).collect()
            }
            PoolMethod::Even => {
                let named: Vec<_> = shares.map(|row| (row.node_id.clone(), ONE)).collect();
                if named.is_empty() { self.children(&pool.owner_node_id, at) } else { named }
            }
            PoolMethod::Usage => self.driven(pool, line),
        };
        let mut total = ONE.wrapping_mul(i256::from_i128(100));
        if matches!(pool.method, PoolMethod::Percentage | PoolMethod::Fixed) {
            for (node, _) in &mut weights {
                if !is_below(node) {
                    *node = pool.fallback_node_id.clone().unwrap_or_default();
                }
            }
        }
        weights.retain(|(node, weight)| *weight > i256::ZERO && is_below(node));
        let mut sums = std::collections::BTreeMap::<String, i256>::new();
        for (node, weight) in weights {
            let sum = sums.entry(node).or_insert(i256::ZERO);
            *sum = sum.wrapping_add(weight);
        }
        if sums.is_empty() {
            let fallback = pool.fallback_node_id.clone().filter(|node| is_below(node));
            return (fallback.map(|node| (node, ONE)).into_iter().collect(), ONE);
        }
        if pool.method != PoolMethod::Percentage {
            total = sums.values().fold(i256::ZERO, |sum, weight| sum.wrapping_add(*weight));
        }
        if pool.method == PoolMethod::Fixed {
            // Of whatever the pool costs.
            total = OF_THE_POOL;
        }
        (sums.into_iter().collect(), total)
    }

    fn children(&self, parent: &str, at: i64) -> Vec<(String, i256)> {
        let below = |node: &&crate::rating::NodeRow| {
            holds(node.valid, at)
                && node.parent_id.as_deref() == Some(parent)
                && self.path_at(&node.node_id, at).is_some()
        };
        self.facts.nodes.iter().filter(below).map(|node| (node.node_id.clone(), ONE)).collect()
    }

    fn driven(&self, pool: &PoolRow, line: &Line) -> Vec<(String, i256)> {
        let rows = self.facts.drivers.iter().filter(|row| {
            row.owner_node_id == pool.owner_node_id
                && Some(&row.driver) == pool.driver.as_ref()
                && row.valid.from < line.end.max(line.start + 1)
                && line.start < row.valid.until
        });
        let is_own = |row: &&crate::rating::DriverRow| {
            row.resource_id.is_some() && row.resource_id.as_deref() == line.get("resource_id")
        };
        let own: Vec<_> = rows.clone().filter(is_own).collect();
        let used = if own.is_empty() { rows.filter(|row| row.resource_id.is_none()).collect() } else { own };
        // Quantity x overlap / length, all times a number that every length divides.
        let length = |row: &crate::rating::DriverRow| i256::from_i128(i128::from(row.valid.until - row.valid.from));
        let all = used.iter().fold(i256::from_i128(1), |all, row| {
            if all.wrapping_rem(length(row)) == i256::ZERO {
                all
            } else {
                all.checked_mul(length(row)).expect("in range")
            }
        });
        let shared = |row: &&crate::rating::DriverRow| {
            let until = row.valid.until.min(line.end.max(line.start + 1));
            let overlap = i256::from_i128(i128::from(until - row.valid.from.max(line.start)));
            let weight = i256::from_i128(row.quantity).checked_mul(overlap).expect("in range");
            weight.checked_mul(all.wrapping_div(length(row))).expect("in range")
        };
        used.iter().map(|row| (row.node_id.clone(), shared(row))).collect()
    }

    /// Who shares in a line of a pool, and further below, in words.
    pub(super) fn sharing(&self, pool: &PoolRow, line: &Line, at: i64) -> String {
        let (parts, total) = self.parts(pool, line, at);
        let depth = self.path_at(&pool.owner_node_id, at).expect("an owner").len();
        let mut words = format!("{}/{} {total}", pool.owner_node_id, pool.pool_id);
        for (node, weight) in parts {
            let (_, below) = self.owner_at(line, at, self.path_at(&node, at), depth);
            let below = below.filter(|_| node != pool.owner_node_id);
            words +=
                &format!("[{node} {weight} {}]", below.map(|pool| self.sharing(pool, line, at)).unwrap_or_default());
        }
        words
    }

    /// The shares of pieces whose pool's owner stands at a position, once they are priced down to there.
    ///
    /// Pieces come in the order of rows and time. A share of a piece is what it is of all pieces of the row until then, less what
    /// it was of those before, as long as everybody's share stays the same.
    pub(super) fn share_out<'l>(&'l self, pieces: Vec<Piece<'l>>, position: usize) -> Vec<Piece<'l>>
    where
        'a: 'l,
    {
        let costs = self.costs_of_pools(&pieces, position);
        let mut held: BTreeMap<(usize, String), (i64, String, Vec<i128>)> = BTreeMap::new();
        let mut shared = Vec::new();
        for piece in pieces {
            let Some(pool) = piece.pool.filter(|_| piece.path.len() == position + 1) else {
                shared.push(piece);
                continue;
            };
            if !arrives(&piece) {
                self.runs.stray(&piece);
                shared.push(Piece { pool: None, ..piece });
                continue;
            }
            self.runs.see(&piece);
            let key = (piece.row, piece.chain.clone());
            let before = held.remove(&key).filter(|(end, sharing, _)| *end == piece.start && *sharing == piece.sharing);
            let before = before.map(|(_, _, sums)| sums).unwrap_or_default();
            let now = amounts(&piece);
            self.shared.borrow_mut().push(Shared {
                row: piece.row,
                start: piece.start,
                chain: format!("{}/{} {} ", piece.chain, pool.owner_node_id, pool.pool_id),
                prices: piece.steps.iter().map(|step| price(step)).collect(),
            });
            let sums: Vec<i128> =
                now.iter().enumerate().map(|(at, amount)| amount + before.get(at).copied().unwrap_or(0)).collect();
            let part = |weight: i256, total: i256| -> Vec<i128> {
                let until = |sums: &[i128], at: usize| sums.get(at).map_or(0, |sum| cut_off(*sum, weight, total));
                (0..now.len()).map(|at| until(&sums, at) - until(&before, at)).collect()
            };
            shared.extend(self.shares_of(&piece, pool, costs.get(&name(pool)).copied(), part));
            held.insert(key, (piece.end, piece.sharing.clone(), sums));
        }
        shared
    }

    /// What each pool costs its owner, by name.
    fn costs_of_pools(&self, pieces: &[Piece<'_>], position: usize) -> BTreeMap<String, i128> {
        let mut costs = BTreeMap::new();
        for piece in pieces.iter().filter(|piece| piece.path.len() == position + 1 && arrives(piece)) {
            if let (Some(pool), Some(cost)) = (piece.pool, self.cost_in_currency(piece)) {
                *costs.entry(name(pool)).or_default() += cost;
            }
        }
        costs
    }

    /// What the last node of the path pays, in its own currency.
    fn cost_in_currency(&self, piece: &Piece<'_>) -> Option<i128> {
        let step = piece.steps.last()?;
        let currency = step.split(' ').nth(1)?;
        (currency == piece.path.last()?.currency).then(|| price(step))
    }

    fn shares_of<'l>(
        &'l self,
        piece: &Piece<'l>,
        pool: &PoolRow,
        cost: Option<i128>,
        part: impl Fn(i256, i256) -> Vec<i128>,
    ) -> Vec<Piece<'l>>
    where
        'a: 'l,
    {
        let (mut parts, mut total) = self.parts(pool, piece.line, piece.start);
        if total == OF_THE_POOL {
            let is_in_currency = self.cost_in_currency(piece).is_some();
            total = i256::from_i128(cost.filter(|_| is_in_currency).unwrap_or(0));
            // Not of next to nothing either.
            let times = i256::from_i128(1_000_000_000);
            let magnitude = if total.is_negative() { total.wrapping_neg() } else { total };
            if total == i256::ZERO || parts.iter().any(|(_, amount)| amount.wrapping_div(times) > magnitude) {
                parts.clear();
            }
        }
        let fate = if parts.is_empty() { "unallocated" } else { "allocated" };
        let chain = |node: &str| format!("{}/{} {} {node}", piece.chain, pool.owner_node_id, pool.pool_id);
        let mut keeps = parts.is_empty();
        let mut rest = amounts(piece);
        let mut pieces = Vec::new();
        for (node, weight) in parts {
            if node == pool.owner_node_id {
                keeps = true;
                continue;
            }
            let (path, pool) =
                self.owner_at(piece.line, piece.start, self.path_at(&node, piece.start), piece.path.len());
            let own = part(weight, total);
            for (rest, own) in rest.iter_mut().zip(&own) {
                *rest -= own;
            }
            let path = path.expect("a node below");
            pieces.push(with_amounts(Piece { path, pool, fate, chain: chain(&node), ..piece.clone() }, &own));
        }
        if keeps || rest.iter().any(|amount| *amount != 0) {
            let own = Piece { pool: None, fate, chain: chain(&pool.owner_node_id), ..piece.clone() };
            pieces.push(with_amounts(own, &rest));
        }
        pieces
    }
}

fn name(pool: &PoolRow) -> String {
    format!("{}/{}", pool.owner_node_id, pool.pool_id)
}

/// What somebody above keeps does not reach a pool.
fn arrives(piece: &Piece<'_>) -> bool {
    let is_kept = piece.steps.last().is_some_and(|step| step.contains("retained") || step.contains("unrated"));
    piece.cost.is_some() && piece.steps.len() == piece.path.len() && !is_kept
}

fn price(step: &str) -> i128 {
    step.split(' ').next().and_then(|price| price.parse().ok()).unwrap_or(0)
}

/// Billed, effective, list, quantity, contracted; then prices from the pool's owner up to the root.
fn amounts(piece: &Piece<'_>) -> Vec<i128> {
    let [list, quantity, contracted] = [piece.list, piece.quantity, piece.contracted].map(Option::unwrap_or_default);
    let own = [piece.billed, piece.effective, list, quantity, contracted];
    own.into_iter().chain(piece.steps.iter().rev().map(|step| price(step))).collect()
}

fn with_amounts<'l>(piece: Piece<'l>, amounts: &[i128]) -> Piece<'l> {
    let priced = piece.steps.iter().rev().zip(&amounts[5..]).map(|(step, amount)| match step.split_once(' ') {
        Some(("-", _)) | None => step.clone(),
        Some((_, rest)) => format!("{amount} {rest}"),
    });
    let mut steps: Vec<String> = priced.collect();
    steps.reverse();
    // The root's own cost is the effective one.
    let cost = if steps.len() == 1 { amounts[1] } else { amounts[5] };
    Piece {
        billed: amounts[0],
        effective: amounts[1],
        list: piece.list.map(|_| amounts[2]),
        quantity: piece.quantity.map(|_| amounts[3]),
        contracted: piece.contracted.map(|_| amounts[4]),
        cost: piece.cost.map(|(_, currency)| (cost, currency)),
        steps,
        ..piece
    }
}
