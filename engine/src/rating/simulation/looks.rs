//! What rules look at, and so what must be known of a charge to price it.

use std::collections::BTreeSet;

use crate::rating::facts::RuleRow;
use crate::rating::vocabulary::Dimension;

/// Columns of charges that some rules look at, beside those that every roll-up keeps: provider, charge category, marketplace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    dimensions: u16,
    tag_keys: BTreeSet<String>,
    units: bool,
    accounts: bool,
}

impl Looks {
    /// What one rule looks at.
    pub(crate) fn of(rule: &RuleRow) -> Self {
        let named = [
            (Dimension::ServiceCategory, &rule.service_category),
            (Dimension::PricingCategory, &rule.pricing_category),
            (Dimension::Region, &rule.region_id),
            (Dimension::Service, &rule.service_name),
            (Dimension::ResourceType, &rule.resource_type),
            (Dimension::Sku, &rule.sku_id),
        ];
        Self {
            dimensions: named.iter().filter(|(_, text)| text.is_some()).fold(0, |bits, (d, _)| bits | d.bit()),
            tag_keys: rule.tag_key.iter().cloned().collect(),
            units: rule.unit.is_some(),
            accounts: rule.counts_accounts(),
        }
    }

    /// Adds what others look at.
    pub(crate) fn add(&mut self, other: &Self) {
        self.dimensions |= other.dimensions;
        self.tag_keys.extend(other.tag_keys.iter().cloned());
        self.units |= other.units;
        self.accounts |= other.accounts;
    }

    /// Whether these look at everything that others do.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        other.dimensions & !self.dimensions == 0
            && other.tag_keys.is_subset(&self.tag_keys)
            && (self.units || !other.units)
            && (self.accounts || !other.accounts)
    }

    pub(super) fn have(&self, dimension: Dimension) -> bool {
        self.dimensions & dimension.bit() != 0
    }

    pub(super) fn have_tags(&self) -> bool {
        !self.tag_keys.is_empty()
    }

    pub(super) fn have_units(&self) -> bool {
        self.units
    }

    pub(super) fn have_accounts(&self) -> bool {
        self.accounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_rule_looks_at_covers_what_another_does() {
        let plain = Looks::of(&RuleRow::default());
        let rule = RuleRow {
            sku_id: Some("M1".to_owned()),
            tag_key: Some("env".to_owned()),
            unit: Some("Hours".to_owned()),
            ..RuleRow::default()
        };
        let bands = RuleRow { bands: Some("[]".to_owned()), scope: "account".to_owned(), ..RuleRow::default() };
        let (looks, counts) = (Looks::of(&rule), Looks::of(&bands));
        assert!(looks.cover(&plain) && looks.cover(&looks) && !plain.cover(&looks));
        assert!(!looks.cover(&counts) && !counts.cover(&looks));
        let mut both = looks.clone();
        both.add(&counts);
        assert!(both.cover(&looks) && both.cover(&counts));
        let other_tag = RuleRow { tag_key: Some("team".to_owned()), ..RuleRow::default() };
        assert!(!both.cover(&Looks::of(&other_tag)));
    }
}
