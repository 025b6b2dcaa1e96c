//! The rate book: everything that pricing needs, compiled once per snapshot.

use std::sync::Arc;

use super::attribution::{Accounts, Attribution};
use super::cards::Cards;
use super::commitments::Commitments;
use super::error::RatingError;
use super::facts::RefFacts;
use super::fx::FxRates;
use super::own::OwnTerms;
use super::policies::Policies;
use super::pools::Pools;
use super::span::{DAY_US, Span};
use super::tags::TagKeys;
use super::tree::Tree;
use super::vocabulary::Vocabulary;

/// How long before its billing period a row may have been used for its bands to be counted.
const CORRECTION_DAYS_MAX: i64 = 400;
/// No billing period is longer.
const PERIOD_DAYS_MAX: i64 = 62;

/// Everything that pricing needs, as known at one snapshot. Immutable, shared by all workers.
#[derive(Debug)]
pub struct RateBook {
    pub(crate) snapshot: i64,
    pub(crate) tree: Tree,
    pub(crate) accounts: Accounts,
    pub(crate) pools: Pools,
    pub(crate) attribution: Attribution,
    pub(crate) cards: Cards,
    pub(crate) policies: Policies,
    pub(crate) commitments: Commitments,
    pub(crate) fx: FxRates,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) own: OwnTerms,
}

impl RateBook {
    /// Compiles reference rows.
    ///
    /// Cost: one pass over the rows; the rules of a version are compiled when the first row meets
    /// it, paths and card versions of an owner when the first row is its own.
    ///
    /// # Errors
    /// Only when the tree has no single root, a cycle, or a node too deep. A faulty card or rule
    /// leaves what it would price `unrated`.
    pub fn compile(facts: &RefFacts, snapshot: i64) -> Result<Arc<Self>, RatingError> {
        let tree = Tree::build(&facts.nodes)?;
        let pools = Pools::compile(facts, &tree);
        let vocabulary = Vocabulary::of(facts);
        Ok(Arc::new(Self {
            snapshot,
            accounts: Accounts::compile(facts, &tree),
            attribution: Attribution::compile(facts, &tree, &pools),
            pools,
            cards: Cards::compile(facts, &tree),
            policies: Policies::compile(facts, &tree),
            commitments: Commitments::compile(facts, &tree, &vocabulary),
            fx: FxRates::compile(facts),
            vocabulary,
            own: OwnTerms::compile(facts, &tree),
            tree,
        }))
    }

    /// The snapshot it was compiled at.
    pub fn snapshot(&self) -> i64 {
        self.snapshot
    }

    /// The tree of nodes.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The exchange rates.
    pub fn fx(&self) -> &FxRates {
        &self.fx
    }

    /// Keys of the tags that rules look at and policies speak of: the ones that roll-ups keep.
    pub fn tag_keys(&self) -> &TagKeys {
        &self.vocabulary.tag_keys
    }

    /// Those of them that rules of some sellers look at, policies of some owners speak of, and rules of virtual tags have: `tells`
    /// says so of an owner, and whether it discloses the rule.
    pub(crate) fn tag_keys_of(
        &self,
        sells: impl Fn(&str) -> bool,
        owns: impl Fn(&str) -> bool,
        tells: impl Fn(&str, bool) -> bool,
    ) -> TagKeys {
        let Vocabulary { keys_of_sellers, keys_of_policies, keys_of_virtual, .. } = &self.vocabulary;
        let rules = keys_of_sellers.iter().filter(|(seller, _)| sells(seller));
        let policies = keys_of_policies.iter().filter(|(owner, _)| owns(owner));
        let made = keys_of_virtual.iter().filter(|(owner, disclosed, _)| tells(owner, *disclosed));
        let of_rules = rules.map(|(_, key)| key.clone()).chain(made.map(|(.., key)| key.clone()));
        TagKeys::new(of_rules, policies.map(|(_, key)| key.clone()))
    }

    /// Whether rows of a billing period (days since 1970 of its first day) can meet prices that depend on sums over the period,
    /// those of bands and of pools with fixed shares, so that these must be counted before rows are priced.
    ///
    /// A row that was used more than 400 days before its billing period is not counted: it comes
    /// out `unrated` when it meets such a price.
    pub fn needs_counting(&self, period: i32) -> bool {
        let first_day = i64::from(period);
        let from = (first_day - CORRECTION_DAYS_MAX) * DAY_US;
        let until = (first_day + PERIOD_DAYS_MAX) * DAY_US;
        let window = Span { from, until };
        self.cards.versions.iter().any(|version| version.has_bands && version.valid.overlaps(window))
            || self.pools.have_fixed_shares(window)
    }
}
