//! Counters: the quantity of a period that bands look at.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::cards::Cards;
use super::error::RatingError;
use super::lanes::Lane;
use super::pools::{Pool, PoolIndex};
use super::texts::Texts;
use super::tree::{NodeIndex, Tree};

/// What one counter adds up, as a worker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Counter {
    /// Quantities that bands look at.
    Band(CounterKey),
    /// What a pool costs its owner in a billing period.
    Pool(PoolIndex, i32),
}

/// Whose quantities bands look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CounterKey {
    pub(crate) seller: NodeIndex,
    pub(crate) buyer: NodeIndex,
    pub(crate) version: usize,
    pub(crate) rule: usize,
    pub(crate) period: i32,
    pub(crate) scope: Counted,
}

/// Whose quantity it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// Numbers of the texts of provider, billing account and sub account.
    Account([u32; 3]),
    /// The owner of the rows.
    Node(NodeIndex),
    /// Everything below the buyer.
    Subtree,
}

impl Counted {
    pub(crate) fn of(scope: super::bands::Scope, lane: &Lane, account: [u32; 3]) -> Self {
        match scope {
            super::bands::Scope::Account => Self::Account(account),
            super::bands::Scope::Node => Self::Node(lane.owner),
            super::bands::Scope::Subtree => Self::Subtree,
        }
    }
}

impl CounterKey {
    /// The counter's name, the same at every snapshot and in every process: a JSON array of
    /// billing period, seller, buyer, card, version, rule, scope and what the scope is of.
    pub(crate) fn text(&self, tree: &Tree, cards: &Cards, texts: &Texts, rule_id: &str) -> String {
        let version = &cards.versions[self.version];
        let number = version.version.to_string();
        let mut parts: Vec<String> = vec![
            period_text(self.period),
            tree.name(self.seller).to_owned(),
            tree.name(self.buyer).to_owned(),
            version.card_id.clone(),
            number,
            rule_id.to_owned(),
        ];
        match self.scope {
            Counted::Account(account) => {
                parts.push("account".to_owned());
                parts.extend(account.map(|text| texts.text(text).as_ref().to_owned()));
            }
            Counted::Node(node) => {
                parts.push("node".to_owned());
                parts.push(tree.name(node).to_owned());
            }
            Counted::Subtree => parts.push("subtree".to_owned()),
        }
        serde_json::Value::from(parts).to_string()
    }
}

/// The name of a pool's counter: a JSON array of billing period, `pool`, owner and pool.
pub(crate) fn name_of_pool(pool: &Pool, tree: &Tree, period: i32) -> String {
    let parts = [period_text(period), "pool".to_owned(), tree.name(pool.owner).to_owned(), pool.pool_id.clone()];
    serde_json::Value::from(parts.to_vec()).to_string()
}

/// The text of a billing period, `2026-10`; of one that does not begin a month, its day.
pub(crate) fn period_text(period: i32) -> String {
    let day = chrono::DateTime::from_timestamp(i64::from(period) * 86_400, 0).unwrap_or_default();
    let is_first = day.format("%d").to_string() == "01";
    day.format(if is_first { "%Y-%m" } else { "%Y-%m-%d" }).to_string()
}

/// Quantities by counter name, scale 18: one slice's, or the sum of all slices'.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BandTotals(HashMap<Arc<str>, i128>);

impl BandTotals {
    /// Adds a quantity to a counter.
    ///
    /// # Errors
    /// When the sum does not fit.
    pub fn add(&mut self, counter: &str, quantity: i128) -> Result<(), RatingError> {
        let held = match self.0.get_mut(counter) {
            Some(held) => held,
            None => self.0.entry(Arc::from(counter)).or_insert(0),
        };
        *held = held.checked_add(quantity).ok_or(RatingError::Sum { what: "quantities of a counter" })?;
        Ok(())
    }

    /// Adds all counters of another.
    ///
    /// # Errors
    /// When a sum does not fit.
    pub fn merge(&mut self, other: &Self) -> Result<(), RatingError> {
        other.0.iter().try_for_each(|(counter, quantity)| self.add(counter, *quantity))
    }

    /// The quantity of a counter.
    pub fn get(&self, counter: &str) -> Option<i128> {
        self.0.get(counter).copied()
    }

    /// Which of these counters have another quantity in another count.
    pub fn changed<'a>(&self, other: &Self, counters: &'a BTreeSet<String>) -> Vec<&'a str> {
        counters.iter().map(String::as_str).filter(|name| self.get(name) != other.get(name)).collect()
    }

    /// Drops a counter.
    pub fn remove(&mut self, counter: &str) {
        self.0.remove(counter);
    }

    /// Counters with their quantities, sorted by name.
    pub fn sorted(&self) -> Vec<(&str, i128)> {
        let mut all: Vec<_> = self.0.iter().map(|(name, q)| (name.as_ref(), *q)).collect();
        all.sort_unstable();
        all
    }

    /// Whether no counter was met.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
