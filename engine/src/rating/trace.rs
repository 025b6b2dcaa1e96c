//! How a row came to its owner: the account, the rules and the pools on the way, worked out again.

use ratehouse_udfs::decimal::ONE;

use super::attribution::{Assigned, RowTexts};
use super::book::RateBook;
use super::facts::{PoolMethod, RuleRow};
use super::method::Method;
use super::pools::Splits;
use super::quantities::Use;
use super::span::Span;
use super::tree::NodeIndex;

/// One thing that decided whose a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// `ref.accounts`: the sub account's own row, or that of all others of its billing account.
    Account { node: NodeIndex },
    /// A rule of `ref.attribution_rules` that names a node.
    Rule { owner: NodeIndex, rule_id: String, node: NodeIndex },
    /// A rule that puts it into a pool, and the share that was followed.
    Pool { owner: NodeIndex, rule_id: String, pool_id: String, share: Option<PoolShare> },
}

/// A share of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolShare {
    pub(crate) node: NodeIndex,
    pub(crate) method: PoolMethod,
    pub(crate) driver: Option<String>,
    pub(crate) weight: i128,
    /// What the weight is a part of; none for fixed amounts.
    pub(crate) total: Option<i128>,
}

/// A row at an instant.
#[derive(Clone, Copy)]
pub(crate) struct Traced<'a> {
    pub(crate) texts: RowTexts<'a>,
    /// The row's charge period.
    pub(crate) period: Span,
    pub(crate) at: i64,
}

/// A rule of a card as it stands in the version that is in force.
#[derive(Debug, Clone)]
pub(crate) struct RuleTerms {
    pub(crate) row: RuleRow,
    /// What a percentage applies to, the method's own default included.
    pub(crate) base: Option<&'static str>,
}

impl RateBook {
    /// What led a row to a node, in order; what cannot be followed there again is left out.
    pub(crate) fn trace(&self, row: Traced<'_>, node: NodeIndex) -> Vec<Cause> {
        let account = self.accounts.find(&row.texts);
        let (owner, _) = self.accounts.owner(account, row.at);
        let mut causes: Vec<Cause> = owner.map(|node| Cause::Account { node }).into_iter().collect();
        if let Some(rest) = self.follow(row, owner, 0, node) {
            causes.extend(rest);
        }
        causes
    }

    fn follow(&self, row: Traced<'_>, from: Option<NodeIndex>, first: usize, to: NodeIndex) -> Option<Vec<Cause>> {
        let mut causes = Vec::new();
        let mut rule = String::new();
        let mut note = |owner: NodeIndex, rule_id: &str, node: Option<NodeIndex>| match node {
            Some(node) => causes.push(Cause::Rule { owner, rule_id: rule_id.to_owned(), node }),
            None => rule_id.clone_into(&mut rule),
        };
        let sources = (&self.pools, &self.tree);
        let (assigned, _) = self.attribution.assign_noting(sources, from, &row.texts, (row.at, first), &mut note);
        let (pool, path) = match assigned {
            Assigned::Node(node) => {
                return (node.unwrap_or(self.tree.root()) == to).then_some(causes);
            }
            Assigned::Pool(pool, path) => (pool, path),
        };
        let held = self.pools.get(pool);
        let (terms, _) = self.pools.terms(pool, row.at);
        let terms = terms?;
        let uses = Use { period: row.period, resource_id: row.texts.resource_id };
        let (split, _) = Splits::default().at(&self.pools, &self.tree, pool, uses, row.at);
        let cause =
            |share| Cause::Pool { owner: held.owner, rule_id: rule.clone(), pool_id: held.pool_id.clone(), share };
        let of = |node, weight| PoolShare {
            node,
            method: terms.method,
            driver: terms.driver.clone(),
            weight,
            total: split.total,
        };
        for (node, weight) in &split.parts {
            let below = match *node == held.owner {
                true => (to == held.owner).then(Vec::new),
                false => self.follow(row, Some(*node), path.len(), to),
            };
            if let Some(below) = below {
                causes.push(cause(Some(of(*node, *weight))));
                causes.extend(below);
                return Some(causes);
            }
        }
        if to != held.owner {
            return None;
        }
        causes.push(cause(None));
        Some(causes)
    }

    /// The rule named `card/version/rule` on what it priced, with its version's rounding if it has none of its own.
    pub(crate) fn rule_terms(&self, text: &str) -> Option<RuleTerms> {
        let mut parts = text.splitn(3, '/');
        let (card, version, rule) = (parts.next()?, parts.next()?.parse::<i64>().ok()?, parts.next()?);
        let at = self.cards.versions.iter().position(|held| held.card_id == card && held.version == version)?;
        let mut row = self.cards.rule_row(at, rule)?.clone();
        row.rounding = row.rounding.or(self.cards.versions[at].rounding);
        let base = match Method::of(&row) {
            Method::Factor { base, .. } => Some(base.name()),
            Method::UnitPrice(_) | Method::Bands { .. } | Method::Zero | Method::Broken => None,
        };
        Some(RuleTerms { row, base })
    }
}

impl PoolShare {
    /// The share as a percentage at scale 18; none for fixed amounts.
    pub(crate) fn percent(&self) -> Option<i128> {
        use ratehouse_udfs::decimal::{Rounding, mul_div_round};
        mul_div_round(self.weight, 100 * ONE, self.total?, Rounding::HalfEven).ok()
    }
}
