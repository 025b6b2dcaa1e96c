//! Which card version holds on an edge at an instant, and its compiled rules.

use std::sync::OnceLock;

use hashbrown::{HashMap, HashSet};
use ratehouse_udfs::decimal::Rounding;

use super::facts::{RefFacts, RuleRow, VersionRow};
use super::method::Method;
use super::rules::RuleTable;
use super::span::{Span, holds_at, sweep};
use super::tree::{NodeIndex, Tree};
use super::vocabulary::Vocabulary;

/// The card version that holds on an edge at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    /// No card, or no active version.
    Nothing,
    /// This version, by its number in [`Cards`].
    Version(usize),
    /// Several versions at once: nobody can say which price holds.
    Several,
}

/// An active card version.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) card_id: String,
    pub(crate) version: i64,
    pub(crate) valid: Span,
    pub(crate) currency: String,
    /// Rows of the rules, its base's included; none when the base is missing or leads back here.
    rows: Option<Vec<usize>>,
    pub(crate) has_bands: bool,
    /// How prices are rounded.
    pub(crate) rounding: Option<(Rounding, u8)>,
    /// Whether it has rules that are charges of their own.
    has_own_rules: bool,
    table: OnceLock<Option<RuleTable>>,
}

/// All active card versions and where they hold.
#[derive(Debug)]
pub(crate) struct Cards {
    pub(crate) versions: Vec<Version>,
    rules: Vec<RuleRow>,
    held: HashMap<EdgeKey, Vec<(Span, Held)>>,
}

/// Seller and buyer; no buyer is the seller's default card.
type EdgeKey = (NodeIndex, Option<NodeIndex>);

impl Cards {
    pub(crate) fn compile(facts: &RefFacts, tree: &Tree) -> Self {
        let inheritance = Inheritance::of(facts);
        let mut versions: Vec<Version> = Vec::new();
        let mut spans: HashMap<EdgeKey, Vec<(Span, usize)>> = HashMap::new();
        let cards: HashMap<&str, _> = facts.rate_cards.iter().map(|card| (card.card_id.as_str(), card)).collect();
        for row in facts.rate_card_versions.iter().filter(|row| row.is_active) {
            let Some(card) = cards.get(row.card_id.as_str()) else { continue };
            let Some(seller) = tree.node(&card.seller_node_id) else { continue };
            let buyer = match &card.buyer_node_id {
                None => None,
                Some(name) => match tree.node(name) {
                    None => continue,
                    found => found,
                },
            };
            spans.entry((seller, buyer)).or_default().push((row.valid, versions.len()));
            let rows = inheritance.rows(row);
            let has_bands =
                rows.iter().flatten().any(|at| matches!(Method::of(&facts.rate_rules[*at]), Method::Bands { .. }));
            let has_own_rules = rows.iter().flatten().any(|at| facts.rate_rules[*at].is_own());
            versions.push(Version {
                card_id: row.card_id.clone(),
                version: row.version,
                valid: row.valid,
                currency: card.currency.clone(),
                rows,
                has_bands,
                rounding: row.rounding,
                has_own_rules,
                table: OnceLock::new(),
            });
        }
        let held = spans.into_iter().map(|(edge, entries)| (edge, timeline(&entries))).collect();
        Self { versions, rules: facts.rate_rules.clone(), held }
    }

    /// The buyer's card and the seller's default card at an instant, and how long both hold.
    pub(crate) fn at(&self, seller: NodeIndex, buyer: NodeIndex, at: i64) -> ([Held; 2], Span) {
        let (own, own_span) = self.held_at((seller, Some(buyer)), at);
        let (default, default_span) = self.held_at((seller, None), at);
        ([own, default], own_span.intersect(default_span))
    }

    fn held_at(&self, edge: EdgeKey, at: i64) -> (Held, Span) {
        let Some(list) = self.held.get(&edge) else { return (Held::Nothing, Span::ALWAYS) };
        let (found, span) = holds_at(list, at, |(span, _)| *span);
        (found.map_or(Held::Nothing, |(_, held)| *held), span)
    }

    /// The compiled rules of a version; none when its inheritance is broken.
    #[inline]
    pub(crate) fn table(&self, version: usize, vocabulary: &Vocabulary) -> Option<&RuleTable> {
        let held = &self.versions[version];
        held.table
            .get_or_init(|| {
                let rows = held.rows.as_ref()?.iter().map(|at| &self.rules[*at]);
                Some(RuleTable::compile(rows.filter(|row| !row.is_own()), vocabulary))
            })
            .as_ref()
    }

    /// The sellers with rules that are charges of their own at some time of a span.
    pub(crate) fn with_own_rules(&self, within: Span) -> impl Iterator<Item = NodeIndex> {
        let has = move |(span, held): &(Span, Held)| match held {
            Held::Version(version) => self.versions[*version].has_own_rules && span.overlaps(within),
            Held::Nothing | Held::Several => false,
        };
        self.held.iter().filter(move |(_, list)| list.iter().any(has)).map(|((seller, _), _)| *seller)
    }

    /// The rules of one method that are charges of their own on an edge: those of the buyer's card, or, if it has none, of the seller's
    /// default card.
    pub(crate) fn own_rules(&self, held: [Held; 2], method: &str) -> Vec<(usize, &RuleRow)> {
        for card in held {
            let Held::Version(version) = card else { continue };
            let rows = self.versions[version].rows.iter().flatten().map(|at| &self.rules[*at]);
            let own: Vec<_> = rows.filter(|row| row.method == method).map(|row| (version, row)).collect();
            if !own.is_empty() {
                return own;
            }
        }
        Vec::new()
    }

    /// The rows of a version's rules, its own and inherited.
    pub(crate) fn rule_rows(&self, version: usize) -> impl Iterator<Item = &RuleRow> {
        self.versions[version].rows.iter().flatten().map(|at| &self.rules[*at])
    }

    /// The row of a version's rule, its own or inherited.
    pub(crate) fn rule_row(&self, version: usize, rule_id: &str) -> Option<&RuleRow> {
        self.rule_rows(version).find(|row| row.rule_id == rule_id)
    }

    /// The rule's name on what it priced: `card/version/rule`.
    ///
    /// An inherited rule bears the version that is in force, which names its base.
    pub(crate) fn rule_text(&self, version: usize, rule: &str) -> String {
        let held = &self.versions[version];
        format!("{}/{}/{rule}", held.card_id, held.version)
    }
}

fn timeline(entries: &[(Span, usize)]) -> Vec<(Span, Held)> {
    sweep(entries)
        .into_iter()
        .map(|(span, holding)| match holding[..] {
            [version] => (span, Held::Version(version)),
            _ => (span, Held::Several),
        })
        .collect()
}

/// The rules of a version, its own and those that it inherits; none where it or a base of it does not exist.
pub(crate) fn effective_rules<'a>(facts: &'a RefFacts, card: &str, version: i64) -> Option<Vec<&'a RuleRow>> {
    let row = facts.rate_card_versions.iter().find(|row| row.card_id == card && row.version == version)?;
    let rows = Inheritance::of(facts).rows(row)?;
    Some(rows.into_iter().map(|at| &facts.rate_rules[at]).collect())
}

/// Who inherits from whom.
struct Inheritance<'a> {
    versions: HashMap<(&'a str, i64), &'a VersionRow>,
    sellers: HashMap<&'a str, &'a str>,
    rules: HashMap<(&'a str, i64), Vec<(usize, &'a str)>>,
}

impl<'a> Inheritance<'a> {
    fn of(facts: &'a RefFacts) -> Self {
        let mut rules: HashMap<(&str, i64), Vec<(usize, &str)>> = HashMap::new();
        for (at, rule) in facts.rate_rules.iter().enumerate() {
            let key = (rule.card_id.as_str(), rule.version);
            rules.entry(key).or_default().push((at, rule.rule_id.as_str()));
        }
        Self {
            versions: facts.rate_card_versions.iter().map(|row| ((row.card_id.as_str(), row.version), row)).collect(),
            sellers: facts
                .rate_cards
                .iter()
                .map(|card| (card.card_id.as_str(), card.seller_node_id.as_str()))
                .collect(),
            rules,
        }
    }

    /// The union of a version's rules and its bases'; the nearer definition of a rule id replaces the farther.
    fn rows(&self, version: &VersionRow) -> Option<Vec<usize>> {
        let seller = self.sellers.get(version.card_id.as_str());
        let mut current = version;
        let mut seen_versions = HashSet::new();
        let mut seen_rules = HashSet::new();
        let mut rows = Vec::new();
        loop {
            let key = (current.card_id.as_str(), current.version);
            if !seen_versions.insert(key) || self.sellers.get(key.0) != seller {
                return None;
            }
            for (at, rule_id) in self.rules.get(&key).into_iter().flatten() {
                if seen_rules.insert(*rule_id) {
                    rows.push(*at);
                }
            }
            let Some((card, number)) = &current.base else { return Some(rows) };
            current = self.versions.get(&(card.as_str(), *number)).copied()?;
        }
    }
}
