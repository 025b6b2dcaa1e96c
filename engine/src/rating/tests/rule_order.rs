//! What is said of a version's rules before they price.

use super::fixtures::{World, chain};
use crate::rating::{Precedence, RuleRow, Silenced};

const CARD: &str = "dist>res";

/// A rule's name, priority and conditions.
type Named = (&'static str, i64, fn(&mut RuleRow));

fn world(rules: &[Named]) -> World {
    rules.iter().fold(chain().card(CARD, "USD"), |world, (id, priority, change)| {
        world.rule_with(CARD, id, "pass_through", "", |rule| {
            change(rule);
            rule.priority = *priority;
        })
    })
}

fn of(world: &World, version: i64) -> Precedence<'_> {
    Precedence::of(&world.0, CARD, version).expect("a version")
}

fn sku(rule: &mut RuleRow) {
    rule.sku_id = Some("M1".to_owned());
}

fn compute(rule: &mut RuleRow) {
    rule.service_category = Some("Compute".to_owned());
}

fn prod(rule: &mut RuleRow) {
    (rule.tag_key, rule.tag_value) = (Some("env".to_owned()), Some("prod".to_owned()));
}

fn tax(rule: &mut RuleRow) {
    rule.charge_category = Some("Tax".to_owned());
}

fn usage(rule: &mut RuleRow) {
    rule.charge_category = Some("Usage".to_owned());
}

#[test]
fn the_order_of_rules_is_said_in_words() {
    let world = world(&[("a", 0, |_| {}), ("b", 0, sku), ("c", 0, compute), ("d", 0, prod), ("e", 0, tax)]);
    assert_eq!(
        of(&world, 1).to_string(),
        "charge_category (1 rule), then sku_id (1 rule), then tag_key and tag_value (1 rule), \
         then service_category (1 rule), then any usage or purchase (1 rule)"
    );
    let world = world_of_priorities();
    assert_eq!(
        of(&world, 1).to_string(),
        "service_category of priority 9 (1 rule), then sku_id of priority 0 (2 rules)"
    );
    // A fee prices no row.
    let world = chain().card(CARD, "USD").rule(CARD, "fee", "flat", "10");
    assert_eq!(of(&world, 1).to_string(), "");
}

fn world_of_priorities() -> World {
    world(&[("a", 9, compute), ("b", 0, sku), ("c", 0, |rule| rule.sku_id = Some("M2".to_owned()))])
}

#[test]
fn a_rule_that_another_one_swallows_is_named() {
    let silenced = |rules: &[Named]| -> Vec<(String, String)> {
        let world = world(rules);
        let found = of(&world, 1).silenced();
        found.into_iter().map(|Silenced { rule_id, by }| (rule_id.to_owned(), by.to_owned())).collect()
    };
    let pair = |rule: &str, by: &str| vec![(rule.to_owned(), by.to_owned())];
    // Without priorities the more specific rule is asked first.
    assert_eq!(silenced(&[("all", 0, |_| {}), ("sku", 0, sku)]), []);
    assert_eq!(silenced(&[("all", 1, |_| {}), ("sku", 0, sku)]), pair("sku", "all"));
    assert_eq!(silenced(&[("compute", 1, compute), ("sku", 0, sku)]), []);
    let both = |rule: &mut RuleRow| {
        compute(rule);
        sku(rule);
    };
    assert_eq!(silenced(&[("compute", 1, compute), ("both", 0, both)]), pair("both", "compute"));
    // Without a charge category a rule speaks of usage and purchases only.
    assert_eq!(silenced(&[("all", 1, |_| {}), ("tax", 0, tax)]), []);
    assert_eq!(silenced(&[("all", 1, |_| {}), ("usage", 0, usage)]), pair("usage", "all"));
    assert_eq!(silenced(&[("usage", 1, usage), ("all", 0, |_| {})]), []);
    // The key alone swallows its values.
    let key = |rule: &mut RuleRow| rule.tag_key = Some("env".to_owned());
    assert_eq!(silenced(&[("key", 1, key), ("prod", 0, prod)]), pair("prod", "key"));
}

#[test]
fn rules_that_can_match_one_row_are_found_among_inherited_ones_too() {
    let team = |rule: &mut RuleRow| (rule.tag_key, rule.tag_value) = (Some("team".to_owned()), Some("a".to_owned()));
    let test = |rule: &mut RuleRow| (rule.tag_key, rule.tag_value) = (Some("env".to_owned()), Some("test".to_owned()));
    assert_eq!(of(&world(&[("a", 0, prod), ("b", 0, test)]), 1).ambiguous(), None);
    assert_eq!(of(&world(&[("a", 0, prod), ("b", 0, team)]), 1).ambiguous(), Some(("a", "b")));
    assert_eq!(of(&world(&[("a", 0, prod), ("b", 1, team)]), 1).ambiguous(), None);
    assert_eq!(of(&world(&[("a", 0, sku), ("b", 0, sku)]), 1).ambiguous(), Some(("a", "b")));
    assert_eq!(of(&world(&[("a", 0, sku), ("b", 0, compute)]), 1).ambiguous(), None);
    // Version 2 has its own rule beside that of the version that it is based on.
    let mut world = world(&[("a", 0, sku)]).version(CARD, 2, crate::rating::Span::ALWAYS);
    world.0.rate_card_versions.last_mut().expect("a version").base = Some((CARD.to_owned(), 1));
    let same = format!("{CARD}#2");
    let replaced = world.clone().rule_with(&same, "a", "zero", "", sku);
    assert_eq!(of(&replaced, 2).ambiguous(), None);
    let beside = world.rule_with(&same, "b", "zero", "", sku);
    assert_eq!(of(&beside, 2).ambiguous(), Some(("a", "b")));
    assert!(Precedence::of(&beside.0, CARD, 3).is_none());
}
