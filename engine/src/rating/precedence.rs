//! What the author of a card version should know of its rules before they price: which come first, which never speak, and which
//! leave a price to chance.

use std::collections::BTreeMap;
use std::fmt;

use hashbrown::HashMap;

use super::cards::effective_rules;
use super::facts::{RefFacts, RuleRow};
use super::vocabulary::{Category, DIMENSIONS, Dimension};

/// Rules that look at the same things with the same priority: at most one of them matches a row, unless they are ambiguous.
#[derive(Debug)]
struct Rank<'a> {
    priority: i64,
    dimensions: u16,
    rules: Vec<&'a RuleRow>,
}

/// A rule that another one keeps from ever pricing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Silenced<'a> {
    /// The rule.
    pub(crate) rule_id: &'a str,
    /// What has a higher priority, and matches whatever the rule matches.
    pub(crate) by: &'a str,
}

/// The rules of one card version, those that it inherits included, in the order in which they are asked.
#[derive(Debug)]
pub(crate) struct Precedence<'a> {
    ranks: Vec<Rank<'a>>,
}

/// What a rule demands of a row, by dimension.
type Conditions<'a> = [Option<&'a str>; DIMENSIONS];

fn conditions(rule: &RuleRow) -> Conditions<'_> {
    let mut found: Conditions<'_> = [None; DIMENSIONS];
    for dimension in Dimension::ALL {
        let text = match dimension {
            Dimension::Provider => &rule.provider_name,
            Dimension::ServiceCategory => &rule.service_category,
            Dimension::PricingCategory => &rule.pricing_category,
            Dimension::Region => &rule.region_id,
            Dimension::Service => &rule.service_name,
            Dimension::Marketplace => {
                found[dimension.at()] = rule.marketplace.map(|is| if is { "true" } else { "false" });
                continue;
            }
            Dimension::ResourceType => &rule.resource_type,
            Dimension::TagKey => &rule.tag_key,
            Dimension::TagValue => &rule.tag_value,
            Dimension::Sku => &rule.sku_id,
            Dimension::ChargeCategory => &rule.charge_category,
        };
        found[dimension.at()] = text.as_deref();
    }
    found
}

fn dimensions_of(conditions: &Conditions<'_>) -> u16 {
    let set = Dimension::ALL.into_iter().filter(|dimension| conditions[dimension.at()].is_some());
    set.fold(0, |bits, dimension| bits | dimension.bit())
}

/// The conditions on some dimensions only.
fn only<'a>(conditions: &Conditions<'a>, dimensions: u16) -> Conditions<'a> {
    let mut kept = *conditions;
    for dimension in Dimension::ALL.into_iter().filter(|dimension| dimensions & dimension.bit() == 0) {
        kept[dimension.at()] = None;
    }
    kept
}

const TAGS: u16 = Dimension::TagKey.bit() | Dimension::TagValue.bit();

impl<'a> Precedence<'a> {
    /// The rules of a version; none where it or its base does not exist.
    pub(crate) fn of(facts: &'a RefFacts, card: &str, version: i64) -> Option<Self> {
        let mut ranks: BTreeMap<std::cmp::Reverse<(i64, u16)>, Vec<&RuleRow>> = BTreeMap::new();
        // What are charges of their own price no rows.
        for rule in effective_rules(facts, card, version)?.into_iter().filter(|rule| !rule.is_own()) {
            let rank = std::cmp::Reverse((rule.priority, dimensions_of(&conditions(rule))));
            ranks.entry(rank).or_default().push(rule);
        }
        let ranks = ranks.into_iter().map(|(std::cmp::Reverse((priority, dimensions)), mut rules)| {
            rules.sort_by_key(|rule| &rule.rule_id);
            Rank { priority, dimensions, rules }
        });
        Some(Self { ranks: ranks.collect() })
    }

    /// Two rules of one rank that can match one row.
    ///
    /// Different values of one tag key never match the same row; different tag keys always can.
    pub(crate) fn ambiguous(&self) -> Option<(&'a str, &'a str)> {
        self.ranks.iter().find_map(|rank| {
            let mut alike: HashMap<Conditions<'_>, Vec<&RuleRow>> = HashMap::new();
            rank.rules.iter().find_map(|rule| {
                let held = alike.entry(only(&conditions(rule), !TAGS)).or_default();
                let can_meet = |other: &&&RuleRow| other.tag_key != rule.tag_key || other.tag_value == rule.tag_value;
                let other = held.iter().find(can_meet).map(|other| (other.rule_id.as_str(), rule.rule_id.as_str()));
                held.push(rule);
                other
            })
        })
    }

    /// The rules that never price, because one of a higher priority matches whatever they match.
    pub(crate) fn silenced(&self) -> Vec<Silenced<'a>> {
        let mut found: Vec<Silenced<'a>> = Vec::new();
        for (at, rank) in self.ranks.iter().enumerate() {
            // A rule that names less than this rank's and is asked before them has the higher priority.
            let broader = self.ranks[..at].iter().filter(|above| above.dimensions & !rank.dimensions == 0);
            let broader: Vec<(u16, HashMap<Conditions<'_>, &str>)> = broader
                .map(|above| {
                    let rules = above.rules.iter().map(|rule| (conditions(rule), rule.rule_id.as_str()));
                    (above.dimensions, rules.collect())
                })
                .collect();
            for rule in &rank.rules {
                let own = conditions(rule);
                let by = broader.iter().find_map(|(dimensions, rules)| {
                    // Without a charge category a rule speaks of usage and purchases only.
                    let is_within = dimensions & Dimension::ChargeCategory.bit() != 0
                        || own[Dimension::ChargeCategory.at()].is_none_or(is_sold);
                    rules.get(&only(&own, *dimensions)).filter(|_| is_within)
                });
                found.extend(by.map(|by| Silenced { rule_id: &rule.rule_id, by }));
            }
        }
        found
    }
}

fn is_sold(category: &str) -> bool {
    Category::NAMES[..2].contains(&category)
}

/// The order as a sentence: `charge_category (2 rules), then sku_id (200 rules), then any usage or purchase (1 rule)`.
impl fmt::Display for Precedence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_priorities = self.ranks.windows(2).any(|ranks| ranks[0].priority != ranks[1].priority);
        for (at, rank) in self.ranks.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", then " })?;
            let named: Vec<&str> = Dimension::ALL
                .into_iter()
                .rev()
                // A value has its key.
                .filter(|dimension| *dimension != Dimension::TagKey || rank.dimensions & Dimension::TagValue.bit() == 0)
                .filter(|dimension| rank.dimensions & dimension.bit() != 0)
                .map(
                    |dimension| {
                        if dimension == Dimension::TagValue { "tag_key and tag_value" } else { dimension.column() }
                    },
                )
                .collect();
            match &named[..] {
                [] => f.write_str("any usage or purchase")?,
                named => f.write_str(&named.join(" and "))?,
            }
            if has_priorities {
                write!(f, " of priority {}", rank.priority)?;
            }
            let plural = if rank.rules.len() == 1 { "" } else { "s" };
            write!(f, " ({} rule{plural})", rank.rules.len())?;
        }
        Ok(())
    }
}
