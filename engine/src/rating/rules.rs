//! The rules of one card version, compiled so that a row finds its rule without trying any.
//!
//! Rules that look at the same dimensions form a group: a hash map from the values they name to
//! the best of them. A row probes one group after the other, the one that would win first, and
//! stops when nothing better can follow.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use ratehouse_udfs::decimal::Rounding;

use super::facts::RuleRow;
use super::method::Method;
use super::vocabulary::{Category, DIMENSIONS, Dimension, MARKETPLACE_NO, MARKETPLACE_YES, Vocabulary};

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) rule_id: String,
    priority: i64,
    dimensions: u16,
    /// The unit it prices, if it names one.
    pub(crate) unit: Option<u32>,
    pub(crate) method: Method,
    /// How its prices are rounded, if not as its version says.
    pub(crate) rounding: Option<(Rounding, u8)>,
}

impl Rule {
    /// Whether it names a charge category, and so states the policy for it.
    pub(crate) fn states_policy(&self) -> bool {
        self.dimensions & Dimension::ChargeCategory.bit() != 0
    }

    /// What it looks at, the most specific first.
    pub(crate) fn dimensions(&self) -> impl Iterator<Item = Dimension> {
        Dimension::ALL.into_iter().rev().filter(|dimension| self.dimensions & dimension.bit() != 0)
    }

    /// Whether it wins against another rule that matches the same row.
    fn beats(&self, other: &Self) -> bool {
        let rank = (self.priority, self.dimensions);
        let other_rank = (other.priority, other.dimensions);
        rank > other_rank || (rank == other_rank && self.rule_id < other.rule_id)
    }
}

/// A row's values as numbers of the vocabulary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) numbers: &'a [u32; DIMENSIONS],
    pub(crate) category: Category,
    /// Key and value of each tag that rules look at.
    pub(crate) tags: &'a [(u32, u32)],
}

/// What a rule looks at, asked of one row after the other: of a rule that prices nothing and says what counts for it.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    dimensions: u16,
    numbers: [u32; DIMENSIONS],
    unit: Option<u32>,
}

impl Condition {
    pub(crate) fn of(row: &RuleRow, vocabulary: &Vocabulary) -> Self {
        let (dimensions, numbers) = numbered(row, vocabulary);
        Self { dimensions, numbers, unit: row.unit.as_deref().map(|unit| vocabulary.units.number(unit)) }
    }

    /// Whether a row is one of those that the rule means.
    pub(crate) fn holds(&self, values: &Values<'_>, unit: u32) -> bool {
        let looks_at = |dimension: Dimension| self.dimensions & dimension.bit() != 0;
        let is_of_category = looks_at(Dimension::ChargeCategory) || values.category.is_sold();
        let is_equal = |dimension: Dimension| self.numbers[dimension.at()] == values.numbers[dimension.at()];
        let plain = Dimension::ALL.into_iter().filter(|dimension| TAGS & dimension.bit() == 0);
        let [key, value] = [Dimension::TagKey, Dimension::TagValue].map(|tag| self.numbers[tag.at()]);
        let is_tagged = |(its_key, its_value): &(u32, u32)| {
            *its_key == key && (!looks_at(Dimension::TagValue) || *its_value == value)
        };
        is_of_category
            && self.unit.is_none_or(|own| own == unit)
            && plain.into_iter().all(|dimension| !looks_at(dimension) || is_equal(dimension))
            && (!looks_at(Dimension::TagKey) || values.tags.iter().any(is_tagged))
    }
}

#[derive(Debug)]
enum Entries {
    /// No dimension: at most one rule can win.
    Any(usize),
    /// One dimension, the most usual.
    One(usize, HashMap<u32, usize>),
    /// Up to four dimensions, packed.
    Few(HashMap<u128, usize>),
    /// More.
    Many(HashMap<[u32; DIMENSIONS], usize>),
}

#[derive(Debug)]
struct Group {
    dimensions: u16,
    /// The dimensions by place.
    places: Vec<usize>,
    highest_priority: i64,
    entries: Entries,
}

const TAGS: u16 = Dimension::TagKey.bit() | Dimension::TagValue.bit();

impl Group {
    fn names(&self, dimension: Dimension) -> bool {
        self.dimensions & dimension.bit() != 0
    }

    #[inline]
    fn find(&self, numbers: &[u32; DIMENSIONS]) -> Option<usize> {
        match &self.entries {
            Entries::Any(rule) => Some(*rule),
            // 0 is a value that no rule names.
            Entries::One(place, map) => match numbers[*place] {
                0 => None,
                number => map.get(&number).copied(),
            },
            Entries::Few(map) => {
                let mut key = 0_u128;
                for place in &self.places {
                    if numbers[*place] == 0 {
                        return None;
                    }
                    key = key << 32 | u128::from(numbers[*place]);
                }
                map.get(&key).copied()
            }
            Entries::Many(map) => map.get(&self.masked(numbers)?).copied(),
        }
    }

    fn masked(&self, numbers: &[u32; DIMENSIONS]) -> Option<[u32; DIMENSIONS]> {
        let mut key = [0; DIMENSIONS];
        for place in &self.places {
            if numbers[*place] == 0 {
                return None;
            }
            key[*place] = numbers[*place];
        }
        Some(key)
    }

    fn add(&mut self, numbers: &[u32; DIMENSIONS], at: usize, rules: &[Rule]) {
        let rule = &rules[at];
        self.highest_priority = self.highest_priority.max(rule.priority);
        let keep = |held: &mut usize| {
            if rule.beats(&rules[*held]) {
                *held = at;
            }
        };
        let masked = self.masked(numbers).unwrap_or_default();
        match &mut self.entries {
            Entries::Any(held) => keep(held),
            Entries::One(place, map) => insert(map, numbers[*place], at, keep),
            Entries::Few(map) => {
                let key = self.places.iter().fold(0, |key, p| key << 32 | u128::from(numbers[*p]));
                insert(map, key, at, keep);
            }
            Entries::Many(map) => insert(map, masked, at, keep),
        }
    }
}

fn insert<K: std::hash::Hash + Eq>(map: &mut HashMap<K, usize>, key: K, at: usize, keep: impl FnOnce(&mut usize)) {
    match map.entry(key) {
        Entry::Occupied(mut held) => keep(held.get_mut()),
        Entry::Vacant(free) => {
            free.insert(at);
        }
    }
}

/// The rules of one version, its base's included.
#[derive(Debug)]
pub(crate) struct RuleTable {
    pub(crate) rules: Vec<Rule>,
    groups: Vec<Group>,
}

impl RuleTable {
    /// Compiles rules whose ids are unique.
    pub(crate) fn compile<'a>(rows: impl IntoIterator<Item = &'a RuleRow>, vocabulary: &Vocabulary) -> Self {
        let mut rules = Vec::new();
        let mut numbers_of = Vec::new();
        for row in rows {
            // A value without its key names nothing that a row could have.
            if row.tag_value.is_some() && row.tag_key.is_none() {
                continue;
            }
            let (dimensions, numbers) = numbered(row, vocabulary);
            rules.push(Rule {
                rule_id: row.rule_id.clone(),
                priority: row.priority,
                dimensions,
                unit: row.unit.as_deref().map(|unit| vocabulary.units.number(unit)),
                method: Method::of(row),
                rounding: row.rounding,
            });
            numbers_of.push(numbers);
        }
        let mut groups: Vec<Group> = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            let found = groups.iter_mut().find(|group| group.dimensions == rule.dimensions);
            match found {
                Some(group) => group.add(&numbers_of[at], at, &rules),
                None => {
                    let mut group = new_group(rule, at);
                    group.add(&numbers_of[at], at, &rules);
                    groups.push(group);
                }
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse((group.highest_priority, group.dimensions)));
        Self { rules, groups }
    }

    /// The rule that prices a row, none when no rule matches.
    #[inline]
    pub(crate) fn find(&self, values: &Values<'_>) -> Option<usize> {
        let mut best: Option<usize> = None;
        for group in &self.groups {
            if let Some(held) = best {
                let held = &self.rules[held];
                if (held.priority, held.dimensions) >= (group.highest_priority, group.dimensions) {
                    break;
                }
            }
            if !group.names(Dimension::ChargeCategory) && !values.category.is_sold() {
                continue;
            }
            if group.dimensions & TAGS == 0 {
                best = self.better(best, group.find(values.numbers));
                continue;
            }
            for (key, value) in values.tags {
                let mut numbers = *values.numbers;
                numbers[Dimension::TagKey.at()] = *key;
                numbers[Dimension::TagValue.at()] = *value;
                best = self.better(best, group.find(&numbers));
            }
        }
        best
    }

    fn better(&self, held: Option<usize>, found: Option<usize>) -> Option<usize> {
        match (held, found) {
            (Some(held), Some(found)) if self.rules[found].beats(&self.rules[held]) => Some(found),
            (Some(held), _) => Some(held),
            (None, found) => found,
        }
    }
}

fn new_group(rule: &Rule, at: usize) -> Group {
    let places: Vec<usize> = Dimension::ALL
        .into_iter()
        .filter(|dimension| rule.dimensions & dimension.bit() != 0)
        .map(Dimension::at)
        .collect();
    let entries = match places[..] {
        [] => Entries::Any(at),
        [place] => Entries::One(place, HashMap::new()),
        _ if places.len() <= 4 => Entries::Few(HashMap::new()),
        _ => Entries::Many(HashMap::new()),
    };
    Group { dimensions: rule.dimensions, places, highest_priority: rule.priority, entries }
}

fn numbered(row: &RuleRow, vocabulary: &Vocabulary) -> (u16, [u32; DIMENSIONS]) {
    let mut dimensions = 0;
    let mut numbers = [0; DIMENSIONS];
    let named = [
        (Dimension::Provider, &row.provider_name),
        (Dimension::ServiceCategory, &row.service_category),
        (Dimension::PricingCategory, &row.pricing_category),
        (Dimension::Region, &row.region_id),
        (Dimension::Service, &row.service_name),
        (Dimension::ResourceType, &row.resource_type),
        (Dimension::TagKey, &row.tag_key),
        (Dimension::TagValue, &row.tag_value),
        (Dimension::Sku, &row.sku_id),
        (Dimension::ChargeCategory, &row.charge_category),
    ];
    for (dimension, text) in named {
        if let Some(text) = text {
            dimensions |= dimension.bit();
            numbers[dimension.at()] = vocabulary.words(dimension).number(text);
        }
    }
    if let Some(yes) = row.marketplace {
        dimensions |= Dimension::Marketplace.bit();
        numbers[Dimension::Marketplace.at()] = if yes { MARKETPLACE_YES } else { MARKETPLACE_NO };
    }
    (dimensions, numbers)
}
