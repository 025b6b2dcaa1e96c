//! The texts that rules name, as small numbers.
//!
//! Pricing compares numbers only: a value of a usage row becomes the number of the equal text in
//! the rules, or 0 when no rule names it. Marketplace and the values that pricing itself knows
//! (categories, `Correction`, `Unused`) have fixed numbers.

use hashbrown::HashMap;

use super::facts::{RefFacts, RuleRow};
use super::tags::TagKeys;

/// FOCUS pricing category of what nothing covered.
pub(crate) const STANDARD: &str = "Standard";

/// What a rule can look at. The number is the bit in a rule's set of dimensions, so that comparing
/// two sets as integers is the order of specificity: the highest bit that only one has decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Dimension {
    /// The provider.
    Provider = 0,
    /// FOCUS service category.
    ServiceCategory = 1,
    /// FOCUS pricing category.
    PricingCategory = 2,
    /// The region.
    Region = 3,
    /// The service.
    Service = 4,
    /// Whether it was sold on the provider's marketplace.
    Marketplace = 5,
    /// The type of the resource.
    ResourceType = 6,
    /// A tag with any value.
    TagKey = 7,
    /// A tag with its value.
    TagValue = 8,
    /// The SKU.
    Sku = 9,
    /// FOCUS charge category.
    ChargeCategory = 10,
}

/// How many dimensions there are.
pub(crate) const DIMENSIONS: usize = 11;

impl Dimension {
    /// All of them, the least specific first.
    pub const ALL: [Self; DIMENSIONS] = [
        Self::Provider,
        Self::ServiceCategory,
        Self::PricingCategory,
        Self::Region,
        Self::Service,
        Self::Marketplace,
        Self::ResourceType,
        Self::TagKey,
        Self::TagValue,
        Self::Sku,
        Self::ChargeCategory,
    ];

    /// The column of `ref.rate_rules` that names it.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Provider => "provider_name",
            Self::ServiceCategory => "service_category",
            Self::PricingCategory => "pricing_category",
            Self::Region => "region_id",
            Self::Service => "service_name",
            Self::Marketplace => "marketplace",
            Self::ResourceType => "resource_type",
            Self::TagKey => "tag_key",
            Self::TagValue => "tag_value",
            Self::Sku => "sku_id",
            Self::ChargeCategory => "charge_category",
        }
    }

    /// Its bit in a set of dimensions.
    pub const fn bit(self) -> u16 {
        1 << (self as u8)
    }

    /// Its place in an array of values.
    pub const fn at(self) -> usize {
        self as usize
    }
}

/// The number of `false` in dimension marketplace.
pub(crate) const MARKETPLACE_NO: u32 = 1;
/// The number of `true` in dimension marketplace.
pub(crate) const MARKETPLACE_YES: u32 = 2;

/// What a row is, as far as policies go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// Metered use.
    Usage,
    /// A fee, a reservation, an upfront payment.
    Purchase,
    /// Tax that the provider charged.
    Tax,
    /// A credit that the provider granted.
    Credit,
    /// Rounding and other corrections of the provider's.
    Adjustment,
    /// A word that FOCUS does not know.
    Unknown,
}

impl Category {
    /// Their FOCUS names; the number of a name in the vocabulary is its place here plus one.
    pub const NAMES: [&'static str; 5] = ["Usage", "Purchase", "Tax", "Credit", "Adjustment"];

    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Usage,
            2 => Self::Purchase,
            3 => Self::Tax,
            4 => Self::Credit,
            5 => Self::Adjustment,
            _ => Self::Unknown,
        }
    }

    /// Its place among the five names.
    pub(crate) fn place(self) -> Option<usize> {
        match self {
            Self::Usage => Some(0),
            Self::Purchase => Some(1),
            Self::Tax => Some(2),
            Self::Credit => Some(3),
            Self::Adjustment => Some(4),
            Self::Unknown => None,
        }
    }

    /// Whether rules that name no category apply to it.
    pub(crate) fn is_sold(self) -> bool {
        matches!(self, Self::Usage | Self::Purchase)
    }
}

/// One list of texts with their numbers, from 1.
#[derive(Debug, Default)]
pub(crate) struct Words(HashMap<String, u32>);

impl Words {
    /// The number of a text, 0 when no rule names it.
    pub(crate) fn number(&self, text: &str) -> u32 {
        self.0.get(text).copied().unwrap_or(0)
    }

    /// Whether no rule names any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, text: &str) {
        if !self.0.contains_key(text) {
            let next = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
            self.0.insert(text.to_owned(), next);
        }
    }
}

/// Every text that some rule names.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    words: [Words; DIMENSIONS],
    /// Units that rules price; the number of a unit that no rule names is 0.
    pub(crate) units: Words,
    /// Commitments that policies name; the number of another is 0.
    pub(crate) commitments: Words,
    /// The number of pricing category `Standard`.
    standard: u32,
    /// Keys of the tags that rules look at or make and policies speak of.
    pub(crate) tag_keys: TagKeys,
    /// Keys of the tags that rules look at.
    pub(crate) rule_keys: TagKeys,
    /// Whether some rule counts the quantities of single accounts.
    pub(crate) counts_accounts: bool,
    /// Those of rules with the seller on whose cards they are.
    pub(crate) keys_of_sellers: Vec<(String, String)>,
    /// Those of policies with their owner.
    pub(crate) keys_of_policies: Vec<(String, String)>,
    /// Those that rules of virtual tags make and look at, with their owner and whether nodes below may know.
    pub(crate) keys_of_virtual: Vec<(String, bool, String)>,
}

impl Vocabulary {
    pub(crate) fn of(facts: &RefFacts) -> Self {
        let mut own = Self::default();
        for name in Category::NAMES {
            own.words[Dimension::ChargeCategory.at()].add(name);
        }
        let sellers: HashMap<&str, &str> =
            facts.rate_cards.iter().map(|card| (card.card_id.as_str(), card.seller_node_id.as_str())).collect();
        for rule in &facts.rate_rules {
            let named = [
                (Dimension::Provider, &rule.provider_name),
                (Dimension::ServiceCategory, &rule.service_category),
                (Dimension::PricingCategory, &rule.pricing_category),
                (Dimension::Region, &rule.region_id),
                (Dimension::Service, &rule.service_name),
                (Dimension::ResourceType, &rule.resource_type),
                (Dimension::TagKey, &rule.tag_key),
                (Dimension::TagValue, &rule.tag_value),
                (Dimension::Sku, &rule.sku_id),
                (Dimension::ChargeCategory, &rule.charge_category),
            ];
            for (dimension, text) in named {
                if let Some(text) = text {
                    own.words[dimension.at()].add(text);
                }
            }
            if let Some(unit) = &rule.unit {
                own.units.add(unit);
            }
            if let (Some(key), Some(seller)) = (&rule.tag_key, sellers.get(rule.card_id.as_str())) {
                own.keys_of_sellers.push(((*seller).to_owned(), key.clone()));
            }
        }
        own.standard = own.words(Dimension::PricingCategory).number(STANDARD);
        for policy in &facts.commitment_policies {
            if let Some(provider) = &policy.provider_name {
                own.words[Dimension::Provider.at()].add(provider);
            }
            if let Some(commitment) = &policy.commitment_id {
                own.commitments.add(commitment);
            }
        }
        for policy in &facts.tag_policies {
            own.keys_of_policies.extend(policy.keys.iter().map(|key| (policy.owner_node_id.clone(), key.clone())));
        }
        for rule in &facts.virtual_tags {
            let keys = rule.tag_key.iter().chain([&rule.virtual_key]);
            own.keys_of_virtual.extend(keys.map(|key| (rule.owner_node_id.clone(), rule.disclose, key.clone())));
        }
        let of_rules = || facts.rate_rules.iter().filter_map(|rule| rule.tag_key.clone());
        own.rule_keys = TagKeys::new(of_rules(), std::iter::empty());
        own.counts_accounts = facts.rate_rules.iter().any(RuleRow::counts_accounts);
        let of_rules = of_rules().chain(own.keys_of_virtual.iter().map(|(.., key)| key.clone()));
        own.tag_keys = TagKeys::new(of_rules, own.keys_of_policies.iter().map(|(_, key)| key.clone()));
        own
    }

    /// The words of a dimension.
    pub(crate) fn words(&self, dimension: Dimension) -> &Words {
        &self.words[dimension.at()]
    }

    /// What rules below the root see of usage that it sells as if nothing had covered it.
    pub(crate) fn as_standard(&self, numbers: &[u32; DIMENSIONS]) -> [u32; DIMENSIONS] {
        let mut numbers = *numbers;
        numbers[Dimension::PricingCategory.at()] = self.standard;
        numbers
    }

    /// Whether some rule looks at the dimension.
    pub(crate) fn uses(&self, dimension: Dimension) -> bool {
        dimension == Dimension::ChargeCategory || !self.words[dimension.at()].is_empty()
    }
}
