//! Bands: totals over many rows and slices, and what they depend on.

use std::sync::Arc;

use super::charge::Charge;
use super::fixtures::{Line, PERIOD, World, chain, dec, usage};
use crate::rating::{
    AttributionRow, AttributionTarget, BandTotals, PoolMethod, PoolRow, Rater, RatingRun, RuleRow, ShareRow, Span,
};

const TWO: &str = r#"[{"up_to": "100", "price": "0.10"}, {"up_to": null, "price": "0.08"}]"#;

fn banded(method: &str, scope: &str) -> World {
    let change = |rule: &mut RuleRow| {
        rule.bands = Some(TWO.to_owned());
        rule.scope = scope.to_owned();
    };
    World::default()
        .node("dist", "distributor", "USD")
        .node("dist/res", "reseller", "USD")
        .node("res/a", "customer", "USD")
        .node("res/b", "customer", "USD")
        .account("aws/payer/a1", "a", Span::ALWAYS)
        .account("aws/payer/a2", "a", Span::ALWAYS)
        .account("aws/payer/b1", "b", Span::ALWAYS)
        .card("dist>res", "USD")
        .rule_with("dist>res", "r", method, "", change)
        .card("res>*", "USD")
        .rule("res>*", "r", "pass_through", "")
}

fn line(sub: &str, quantity: &str) -> Line {
    Line::new("1").set("sub_account_id", sub).set("pricing_quantity", quantity)
}

fn prices(world: &World, lines: &[Line]) -> Vec<String> {
    world.rate(lines).iter().map(|charge: &Charge| charge.step(1)).collect()
}

#[test]
fn the_total_is_priced_once_and_spread_by_quantity() {
    let lines = [line("a1", "80"), line("a2", "80"), line("b1", "40")];
    // subtree: 200 in all: 100 x 0.10 + 100 x 0.08 = 18.00, or 0.09 a unit: 7.20, 7.20, 3.60
    assert_eq!(
        prices(&banded("graduated", "subtree"), &lines),
        ["7.20 USD billed", "7.20 USD billed", "3.60 USD billed"]
    );
    // node: a has 160: 10.00 + 60 x 0.08 = 14.80, a half each: 7.40; b has 40: 4.00
    assert_eq!(prices(&banded("graduated", "node"), &lines), ["7.40 USD billed", "7.40 USD billed", "4.00 USD billed"]);
    // account: 80 each: 8.00; 40: 4.00
    assert_eq!(
        prices(&banded("graduated", "account"), &lines),
        ["8.00 USD billed", "8.00 USD billed", "4.00 USD billed"]
    );
    // volume, subtree: all 200 at 0.08: 6.40, 6.40, 3.20
    assert_eq!(prices(&banded("volume", "subtree"), &lines), ["6.40 USD billed", "6.40 USD billed", "3.20 USD billed"]);
}

#[test]
fn a_correction_changes_the_total() {
    let lines = [line("a1", "150"), line("a1", "-50").set("charge_class", "Correction")];
    // 100 in all at 0.10 = 10.00: 15.00 and -5.00
    assert_eq!(prices(&banded("graduated", "node"), &lines), ["15.00 USD billed", "-5.00 USD billed"]);
}

#[test]
fn versions_count_for_themselves() {
    let edge = "dist>res";
    let change = |rule: &mut RuleRow| rule.bands = Some(TWO.to_owned());
    let world = chain()
        .card_only(edge, "USD")
        .version(edge, 1, super::fixtures::span("", "2026-10-16"))
        .version(edge, 2, super::fixtures::span("2026-10-16", ""))
        .rule_with("dist>res#1", "r", "graduated", "", change)
        .rule_with("dist>res#2", "r", "graduated", "", change);
    let line = Line::new("1").set("pricing_quantity", "248").during("2026-10-01", "2026-11-01");
    // 15 of 31 days: 120 units, 10.00 + 20 x 0.08 = 11.60; 16 days: 128 units, 10.00 + 28 x 0.08 = 12.24
    assert_eq!(prices(&world, &[line]), ["11.60 USD billed", "12.24 USD billed"]);
}

#[test]
fn other_slices_count_too_and_what_was_not_counted_is_unrated() {
    let book = banded("graduated", "subtree").book();
    assert!(book.needs_counting(PERIOD));
    assert!(!chain().book().needs_counting(PERIOD));
    let usage = usage(&[line("a1", "50")]);
    let run = RatingRun::new(Arc::clone(&book), BandTotals::default());
    let mut counter = Rater::counting(&run);
    counter.count(&usage).expect("counts");
    let counted = counter.counted().expect("sums");
    let own = counted.get(&0).expect("the only slice");
    let name = r#"["2026-10","dist","res","dist>res","1","r","subtree"]"#;
    assert_eq!(own.sorted(), [(name, 50 * 1_000_000_000_000_000_000)]);
    // Another slice brought 150: 200 in all cost 18.00, of which 50 are a quarter.
    let mut totals = own.clone();
    totals.add(name, 150 * 1_000_000_000_000_000_000).expect("in range");
    let rate = |totals: BandTotals| {
        let run = RatingRun::new(Arc::clone(&book), totals);
        let rated = Rater::new(&run).rate(&usage).expect("rates");
        Charge::read(&rated.charges)[0].step(1)
    };
    assert_eq!(rate(totals), "4.50 USD billed");
    assert_eq!(rate(BandTotals::default()), "- USD unrated");
}

#[test]
fn what_does_not_reach_an_edge_is_not_counted_on_it() {
    let mut world = banded("graduated", "subtree").policy("dist>*", "Usage", "pass");
    // The reseller's own card has the bands; usage that the distributor retains never comes there.
    world.0.rate_rules.clear();
    let world = world
        .rule_with("res>*", "r", "graduated", "", |r| {
            (r.bands, r.scope) = (Some(TWO.to_owned()), "account".to_owned());
        })
        .rule_with("dist>res", "keep", "zero", "", |r| {
            (r.sku_id, r.charge_category) = (Some("free".into()), Some("Usage".into()));
        })
        .policy("dist>*", "Purchase", "retain");
    let lines = [line("a1", "80"), line("a1", "80").set("charge_category", "Purchase")];
    let charges = world.rate(&lines);
    // Only the first 80 count: 8.00
    assert_eq!(charges[0].step(2), "8.00 USD billed");
    assert_eq!(charges[1].step(1), "- USD retained");
}

/// 10 a unit up to 8 of them, else 8.
fn up_to_eight(rule: &mut RuleRow) {
    rule.bands = Some(r#"[{"up_to": "8", "price": "10"}, {"up_to": null, "price": "8"}]"#.to_owned());
}

#[test]
fn bands_below_a_fixed_pool_count_what_is_shared_in_the_end() {
    let mut world = World::default()
        .node("dist", "distributor", "USD")
        .node("dist/b", "reseller", "USD")
        .node("b/c", "customer", "USD")
        .account("aws/payer/acct", "b", Span::ALWAYS)
        .card("dist>b", "USD")
        .rule("dist>b", "plain", "pass_through", "")
        .rule_with("dist>b", "banded", "volume", "", |rule| {
            rule.bands = Some(r#"[{"up_to": null, "price": "5"}]"#.to_owned());
            rule.sku_id = Some("s2".to_owned());
        })
        .card("b>c", "USD")
        .rule_with("b>c", "r", "volume", "", up_to_eight);
    world.0.pools.push(PoolRow {
        owner_node_id: "b".to_owned(),
        pool_id: "q".to_owned(),
        method: PoolMethod::Fixed,
        driver: None,
        fallback_node_id: None,
        disclose: false,
        spread_idle: false,
        valid: Span::ALWAYS,
    });
    world.0.pool_shares.push(ShareRow {
        owner_node_id: "b".to_owned(),
        pool_id: "q".to_owned(),
        node_id: "c".to_owned(),
        share: Some(dec("30")),
        valid: Span::ALWAYS,
    });
    world.0.attribution_rules.push(AttributionRow {
        rule_id: "q".to_owned(),
        owner_node_id: "b".to_owned(),
        priority: 0,
        provider_name: None,
        billing_account_id: None,
        sub_account_id: None,
        tag_key: None,
        tag_value: None,
        resource_pattern: None,
        service_name: None,
        target: AttributionTarget::Pool("q".to_owned()),
        valid: Span::ALWAYS,
    });
    // Both cost b 50: by pass through, and 10 × 5. c has 30 of 100: 3 units of each, 6 in all, at 10.
    let lines = [
        Line::new("50").set("pricing_quantity", "10"),
        Line::new("50").set("pricing_quantity", "10").set("sku_id", "s2"),
    ];
    let charges = world.rate(&lines);
    let shares: Vec<String> =
        charges.iter().filter(|charge| charge.path == "dist/b/c").map(|charge| charge.step(2)).collect();
    assert_eq!(shares, ["30.00 USD billed", "30.00 USD billed"]);
}

#[test]
fn what_is_beyond_the_last_band_is_not_counted_below() {
    let world = chain()
        .card("dist>res", "USD")
        .rule("dist>res", "plain", "pass_through", "")
        .rule_with("dist>res", "limited", "volume", "", |rule| {
            rule.bands = Some(r#"[{"up_to": "5", "price": "1"}]"#.to_owned());
            rule.sku_id = Some("s2".to_owned());
        })
        .card("res>*", "USD")
        .rule_with("res>*", "r", "volume", "", up_to_eight);
    let units = |sku: &str, quantity: &str| Line::new("50").set("sku_id", sku).set("pricing_quantity", quantity);
    let steps = |quantity: &str| {
        let charges = world.rate(&[units("s1", "4"), units("s2", quantity)]);
        [charges[1].step(1), charges[0].step(2)]
    };
    // 6 units have no price: 4 reach the edge below, at 10. With 5 they are 9, at 8.
    assert_eq!(steps("6"), ["- USD unrated", "40.00 USD billed"]);
    assert_eq!(steps("5"), ["5.00 USD billed", "32.00 USD billed"]);
}
