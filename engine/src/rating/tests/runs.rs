//! The oracle's stretches that are priced as one: pieces of a row that look alike to a buyer cost together what they would as one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::levels::Price;
use super::oracle::Piece;

/// A row, which of its shares, and the pool that a piece still waits to be shared out by.
type Name = (usize, String, String);

/// What a piece looks like but for its amounts: where it ends, node and currency of each position, and for each the words of its step.
#[derive(Debug, Clone)]
struct Look {
    end: i64,
    path: Vec<(String, String)>,
    /// Sold at its on-demand price it is of another pricing category to everybody below the root.
    is_on_demand: bool,
    steps: Vec<String>,
}

impl Look {
    /// Outcome, exchange rate and whether there is a price; then the rule.
    fn words(&self, position: usize) -> (Option<(String, String, bool)>, Option<String>) {
        let Some(step) = self.steps.get(position) else { return (None, None) };
        let words: Vec<&str> = step.splitn(5, ' ').collect();
        let [price, _, outcome, rule, rate] = words[..] else { panic!("{step}") };
        (Some((outcome.to_owned(), rate.to_owned(), price != "-")), Some(rule.to_owned()))
    }

    /// Whether the buyer at a position, counted from the owner up, sees no difference, and is sold by the same rule.
    fn is_like(&self, other: &Self, up: usize) -> bool {
        if self.is_on_demand != other.is_on_demand {
            return false;
        }
        (0..=up).all(|above| {
            let position = |look: &Self| look.path.len().checked_sub(above + 1).filter(|position| *position > 0);
            let (Some(own), Some(others)) = (position(self), position(other)) else { return false };
            self.path[own] == other.path[others] && self.words(own) == other.words(others)
        })
    }
}

#[derive(Debug, Clone)]
struct Sums {
    end: i64,
    /// What the price is made of: a cost, the list price or the quantity.
    base: i128,
    price: i128,
}

/// What is remembered of pieces.
#[derive(Debug, Default)]
pub(super) struct Runs {
    looks: RefCell<BTreeMap<(Name, i64), Look>>,
    sums: RefCell<BTreeMap<(Name, usize), Sums>>,
    /// Pieces that do not reach the owner of their pool: they are charges like any that is in no pool.
    astray: RefCell<BTreeSet<(Name, i64)>>,
}

/// What a piece is called while it waits for its pool.
fn waiting(piece: &Piece<'_>) -> Name {
    let pool = piece.pool.map(|pool| format!("{}/{}", pool.owner_node_id, pool.pool_id));
    (piece.row, piece.chain.clone(), pool.unwrap_or_default())
}

impl Runs {
    fn name(&self, piece: &Piece<'_>) -> Name {
        let name = waiting(piece);
        if self.astray.borrow().contains(&(name.clone(), piece.start)) { (name.0, name.1, String::new()) } else { name }
    }

    /// Remembers that a piece does not reach the owner of its pool.
    pub(super) fn stray(&self, piece: &Piece<'_>) {
        self.astray.borrow_mut().insert((waiting(piece), piece.start));
    }

    pub(super) fn begin_again(&self) {
        self.sums.borrow_mut().clear();
    }

    /// Remembers what a piece looks like in the end.
    pub(super) fn see(&self, piece: &Piece<'_>) {
        let path = piece.path.iter().map(|node| (node.node_id.clone(), node.currency.clone())).collect();
        let look = Look { end: piece.end, path, is_on_demand: piece.is_on_demand, steps: piece.steps.clone() };
        self.looks.borrow_mut().insert((self.name(piece), piece.start), look);
    }

    /// A piece with what those before it were priced by, if they are priced as one with it, and what these cost. Whatever the piece is
    /// priced by itself is more of the same.
    pub(super) fn with_those_before<'l>(&self, piece: &Piece<'l>, k: usize) -> (Piece<'l>, i128) {
        let name = self.name(piece);
        let looks = self.looks.borrow();
        let sums = self.sums.borrow();
        let before = sums.get(&(name.clone(), k)).filter(|sums| sums.end == piece.start);
        let own = looks.get(&(name.clone(), piece.start));
        let last = looks.iter().find(|((other, _), look)| *other == name && look.end == piece.start);
        let (Some(before), Some(own), Some((_, last))) = (before, own, last) else { return (piece.clone(), 0) };
        let up = piece.path.len() - 1 - k;
        if !last.is_like(own, up) {
            return (piece.clone(), 0);
        }
        let mut whole = piece.clone();
        let base = before.base;
        whole.billed += base;
        whole.contracted = whole.contracted.map(|own| own + base);
        whole.effective += base;
        whole.list = whole.list.map(|own| own + base);
        whole.quantity = whole.quantity.map(|own| own + base);
        whole.cost = whole.cost.map(|(own, currency)| (own + base, currency));
        (whole, before.price)
    }

    /// Adds a piece: what all until now are priced by, and what they cost.
    pub(super) fn add(&self, whole: &Piece<'_>, k: usize, until: Option<Price>) {
        let (base, price) = until.map_or((0, 0), |until| (until.base, until.amount));
        let sums = Sums { end: whole.end, base, price };
        self.sums.borrow_mut().insert((self.name(whole), k), sums);
    }
}
