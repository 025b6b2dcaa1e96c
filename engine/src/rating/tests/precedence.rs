//! Which rule prices a row: every step of the order, one at a time.

use super::fixtures::{Line, World, chain};
use crate::rating::{RuleRow, Span};

/// A line that has a value in every dimension.
fn full_line() -> Line {
    let mut line = Line::new("100")
        .set("service_category", "Compute")
        .set("service_name", "VM")
        .set("sku_id", "sku-1")
        .set("region_id", "eu")
        .set("pricing_category", "Standard")
        .set("resource_type", "Instance")
        .set("tags", r#"{"env":"prod","team":"a"}"#);
    line.marketplace = Some(true);
    line
}

type Change = fn(&mut RuleRow);

/// Dimensions from the least to the most specific, as rules name them.
const ORDER: [(&str, Change); 11] = [
    ("provider", |r| r.provider_name = Some("aws".into())),
    ("service_category", |r| r.service_category = Some("Compute".into())),
    ("pricing_category", |r| r.pricing_category = Some("Standard".into())),
    ("region", |r| r.region_id = Some("eu".into())),
    ("service", |r| r.service_name = Some("VM".into())),
    ("marketplace", |r| r.marketplace = Some(true)),
    ("resource_type", |r| r.resource_type = Some("Instance".into())),
    ("tag_key", |r| r.tag_key = Some("env".into())),
    ("tag_value", |r| (r.tag_key, r.tag_value) = (Some("env".into()), Some("prod".into()))),
    ("sku", |r| r.sku_id = Some("sku-1".into())),
    ("charge_category", |r| r.charge_category = Some("Usage".into())),
];

fn with(world: World, card: &str, id: &str, changes: &[Change], priority: i64) -> World {
    world.rule_with(card, id, "pass_through", "", |rule| {
        changes.iter().for_each(|change| change(rule));
        rule.priority = priority;
    })
}

#[test]
fn each_dimension_beats_all_less_specific_ones_together() {
    let edge = "dist>res";
    for upper in 1..ORDER.len() {
        let mut below: Vec<Change> = ORDER[..upper].iter().map(|(_, change)| *change).collect();
        if ORDER[upper].0 == "tag_value" {
            // The same key cannot be asked with and without a value by one rule.
            below.pop();
            below.push(|r| r.tag_key = Some("team".into()));
        }
        let world = with(chain().card(edge, "USD"), edge, "a-lower", &below, 0);
        let world = with(world, edge, "z-upper", &[ORDER[upper].1], 0);
        let charges = world.rate(&[full_line()]);
        assert_eq!(charges[0].rule(1), "z-upper", "{}", ORDER[upper].0);
        // Both orders of writing give the same.
        let mut reversed = world;
        reversed.0.rate_rules.reverse();
        assert_eq!(reversed.rate(&[full_line()])[0].rule(1), "z-upper");
    }
}

#[test]
fn each_dimension_must_match() {
    let edge = "dist>res";
    let other = Line::new("100")
        .set("provider_name", "azure")
        .set("charge_category", "Purchase")
        .set("tags", r#"{"env":"test"}"#);
    for (name, change) in ORDER {
        let world = with(chain().card(edge, "USD"), edge, "any", &[], 0);
        let world = with(world, edge, name, &[change], 0).account("azure/payer", "cust", Span::ALWAYS);
        assert_eq!(world.rate(&[full_line()])[0].rule(1), name);
        let expected = if name == "tag_key" { "tag_key" } else { "any" };
        assert_eq!(world.rate(std::slice::from_ref(&other))[0].rule(1), expected, "{name}");
    }
}

#[test]
fn many_dimensions_at_once() {
    let edge = "dist>res";
    let all: Vec<Change> = ORDER.iter().map(|(_, change)| *change).collect();
    let world = with(chain().card(edge, "USD"), edge, "all", &all, 0);
    assert_eq!(world.rate(&[full_line()])[0].rule(1), "all");
    assert_eq!(world.rate(&[full_line().set("region_id", "us")])[0].rule(1), "-");
}

#[test]
fn priority_beats_specificity() {
    let edge = "dist>res";
    let world = with(chain().card(edge, "USD"), edge, "exact", &[ORDER[10].1, ORDER[9].1], 1);
    let world = with(world, edge, "urgent", &[], 2);
    assert_eq!(world.rate(&[full_line()])[0].rule(1), "urgent");
}

#[test]
fn equal_rank_goes_to_the_smaller_rule_id() {
    let edge = "dist>res";
    // Different tag keys can always match one row.
    let world = with(chain().card(edge, "USD"), edge, "b", &[ORDER[7].1], 0);
    let world = with(world, edge, "a", &[|r| r.tag_key = Some("team".into())], 0);
    assert_eq!(world.rate(&[full_line()])[0].rule(1), "a");
}

#[test]
fn the_buyers_card_comes_first_and_the_default_only_if_nothing_matches() {
    let world = chain().card("dist>res", "USD").card("dist>*", "USD");
    let world = with(world, "dist>res", "own-region", &[ORDER[3].1], 0);
    let world = with(world, "dist>*", "default-sku", &[ORDER[9].1], 9);
    let charges = world.rate(&[full_line(), full_line().set("region_id", "us")]);
    assert_eq!(charges[0].steps[1].rule.as_deref(), Some("dist>res/1/own-region"));
    assert_eq!(charges[1].steps[1].rule.as_deref(), Some("dist>*/1/default-sku"));
}

#[test]
fn a_rule_without_category_prices_usage_and_purchase_only() {
    let edge = "dist>res";
    let world = with(chain().card(edge, "USD"), edge, "any", &[], 0);
    let line = |category: &str| Line::new("100").set("charge_category", category);
    let categories = ["Usage", "Purchase", "Tax", "Credit", "Adjustment", "Bogus"];
    let charges = world.rate(&categories.map(line));
    let steps: Vec<String> = charges.iter().map(|c| format!("{} {}", c.rule(1), c.step(1))).collect();
    assert_eq!(
        steps,
        [
            "any 100.00 USD billed",
            "any 100.00 USD billed",
            "- - USD retained",
            "- - USD retained",
            "- 100.00 USD billed",
            "- - USD unrated",
        ]
    );
}

#[test]
fn another_unit_is_unrated_not_another_rule() {
    let edge = "dist>res";
    let world = chain().card(edge, "USD").rule("dist>res", "any", "pass_through", "").rule_with(
        edge,
        "hours",
        "unit_price",
        "2",
        |r| {
            (r.sku_id, r.unit) = (Some("sku-1".into()), Some("Hours".into()));
        },
    );
    let line = Line::new("100").set("sku_id", "sku-1").set("pricing_quantity", "3");
    let charges =
        world.rate(&[line.clone(), line.clone().set("pricing_unit", "GB-Hours"), line.set("pricing_unit", "")]);
    // 3 x 2
    assert_eq!(charges[0].step(1), "6.00 USD billed");
    assert_eq!(charges[1].step(1), "- USD unrated");
    assert_eq!(charges[2].step(1), "- USD unrated");
    assert_eq!(charges[1].step(2), "absent");
}

#[test]
fn a_version_inherits_and_the_same_rule_id_replaces() {
    let edge = "dist>res";
    let mut world = chain()
        .card_only(edge, "USD")
        .version(edge, 1, super::fixtures::span("", "2026-10-01"))
        .version(edge, 2, super::fixtures::span("2026-10-01", ""))
        .rule("dist>res#1", "base", "markup_pct", "10")
        .rule_with("dist>res#1", "vm", "markup_pct", "20", |r| r.service_name = Some("VM".into()))
        .rule("dist>res#2", "base", "markup_pct", "30");
    world.0.rate_card_versions[1].base = Some((edge.to_owned(), 1));
    let lines = [Line::new("100"), Line::new("100").set("service_name", "VM")];
    let charges = world.rate(&lines);
    // Version 2 replaces `base` (30 %) and inherits `vm` (20 %), which bears the version in force.
    assert_eq!(charges[0].step(1), "130.00 USD billed");
    assert_eq!(charges[1].step(1), "120.00 USD billed");
    assert_eq!(charges[1].steps[1].rule.as_deref(), Some("dist>res/2/vm"));
    // A circle inherits nothing: no price by guess.
    world.0.rate_card_versions[0].base = Some((edge.to_owned(), 2));
    assert_eq!(world.rate(&lines)[0].step(1), "- USD unrated");
}

#[test]
fn drafts_price_nothing_and_two_versions_at_once_neither() {
    let edge = "dist>res";
    let mut world = chain().card(edge, "USD").rule(edge, "r", "pass_through", "");
    let twice = world.clone().version(edge, 2, Span::ALWAYS);
    assert_eq!(twice.rate(&[Line::new("1")])[0].step(1), "- USD unrated");
    world.0.rate_card_versions[0].is_active = false;
    assert_eq!(world.rate(&[Line::new("1")])[0].step(1), "- USD unrated");
}
