//! Policies, commitments, and what exists below an edge.

use super::fixtures::{Line, World, chain, span};
use crate::rating::{RuleRow, Span};

fn priced() -> World {
    chain().card("dist>res", "USD").rule("dist>res", "r", "markup_pct", "10").card("res>*", "USD").rule(
        "res>*",
        "r",
        "markup_pct",
        "10",
    )
}

fn line(category: &str) -> Line {
    Line::new("100").set("charge_category", category)
}

fn steps(world: &World, line: Line) -> [String; 2] {
    let charge = &world.rate(&[line])[0];
    [charge.step(1), charge.step(2)]
}

#[test]
fn defaults_hold_where_nothing_is_said() {
    let world = priced();
    // 100 x 1.1 = 110; 110 x 1.1 = 121
    assert_eq!(steps(&world, line("Usage")), ["110.00 USD billed", "121.00 USD billed"]);
    assert_eq!(steps(&world, line("Purchase")), ["110.00 USD billed", "121.00 USD billed"]);
    assert_eq!(steps(&world, line("Tax")), ["- USD retained", "absent"]);
    assert_eq!(steps(&world, line("Credit")), ["- USD retained", "absent"]);
    assert_eq!(steps(&world, line("Adjustment")), ["100.00 USD billed", "100.00 USD billed"]);
}

#[test]
fn a_policy_passes_retains_or_reports() {
    let world = priced().policy("dist>*", "Tax", "pass").policy("res>cust", "Tax", "report");
    assert_eq!(steps(&world, line("Tax")), ["100.00 USD billed", "100.00 USD reported"]);
    let world = priced().policy("dist>*", "Usage", "retain");
    assert_eq!(steps(&world, line("Usage")), ["- USD retained", "absent"]);
    // A report shows what the rule would have billed, and the next seller starts from it.
    let world = priced().policy("dist>*", "Usage", "report");
    assert_eq!(steps(&world, line("Usage")), ["110.00 USD reported", "121.00 USD billed"]);
    // A credit stays negative: nothing is clamped.
    let world = priced().policy("dist>*", "Credit", "pass");
    let credit = Line::new("-100").set("charge_category", "Credit");
    assert_eq!(steps(&world, credit), ["-100.00 USD billed", "- USD retained"]);
}

#[test]
fn the_nearer_policy_holds() {
    let world = priced().policy("dist>*", "Tax", "pass").policy("dist>res", "Tax", "retain").policy(
        "dist>res",
        "Tax/Correction",
        "report",
    );
    assert_eq!(steps(&world, line("Tax"))[0], "- USD retained");
    let correction = line("Tax").set("charge_class", "Correction");
    assert_eq!(steps(&world, correction)[0], "100.00 USD reported");
    // Policies have their time.
    let mut world = priced().policy("dist>*", "Usage", "retain");
    world.0.charge_policies[0].valid = span("2026-11-01", "");
    assert_eq!(steps(&world, line("Usage"))[0], "110.00 USD billed");
}

#[test]
fn a_rule_that_names_the_category_states_the_policy() {
    let world = priced().policy("dist>*", "Usage", "retain").policy("dist>*", "Tax", "retain").rule_with(
        "dist>res",
        "tax",
        "pass_through",
        "",
        |r| r.charge_category = Some("Tax".into()),
    );
    assert_eq!(steps(&world, line("Tax"))[0], "100.00 USD billed");
    // The rule for usage names no category: the policy holds.
    assert_eq!(steps(&world, line("Usage"))[0], "- USD retained");
}

#[test]
fn rerating_prices_covered_usage_at_the_list_price() {
    let world = priced().policy("dist>*", "Usage", "rerate");
    let covered = Line::new("60").set("list_cost", "100").set("commitment_discount_id", "ri-1");
    // 100 x 1.1 and not 60 x 1.1
    assert_eq!(steps(&world, covered.clone())[0], "110.00 USD billed");
    let open = covered.set("commitment_discount_id", "");
    assert_eq!(steps(&world, open)[0], "66.00 USD billed");
}

#[test]
fn what_the_root_sells_on_demand_is_covered_by_nothing_below() {
    let committed = |r: &mut RuleRow| r.pricing_category = Some("Committed".into());
    let world = priced().rule_with("res>*", "committed", "zero", "", committed).policy("res>*", "Usage", "rerate");
    let covered = Line::new("60")
        .set("list_cost", "100")
        .set("commitment_discount_id", "ri-1")
        .set("commitment_discount_status", "Used")
        .set("pricing_category", "Committed");
    // The reseller buys covered usage: its rule for it matches, 60 x 1.1 and 0.
    assert_eq!(steps(&world, covered.clone()), ["66.00 USD billed", "0.00 USD billed"]);
    // It buys it as it would be on demand: 100 x 1.1, and its own terms start from that.
    let rerated = world.policy("dist>*", "Usage", "rerate");
    assert_eq!(steps(&rerated, covered), ["110.00 USD billed", "121.00 USD billed"]);
}

#[test]
fn commitments_and_what_they_left_unused_stay_with_the_root() {
    let world = priced().policy("dist>*", "Purchase", "pass");
    let bought = line("Purchase").set("commitment_discount_id", "ri-1");
    assert_eq!(steps(&world, bought), ["- USD retained", "absent"]);
    let unused = line("Usage").set("commitment_discount_id", "ri-1").set("commitment_discount_status", "Unused");
    assert_eq!(steps(&world, unused), ["- USD retained", "absent"]);
    assert_eq!(steps(&world, line("Purchase"))[0], "100.00 USD billed");
}

#[test]
fn corrections_are_priced_as_what_they_correct() {
    let edge = "dist>res";
    let world = chain()
        .card_only(edge, "USD")
        .version(edge, 1, span("", "2026-10-01"))
        .version(edge, 2, span("2026-10-01", ""))
        .rule("dist>res#1", "r", "markup_pct", "10")
        .rule("dist>res#2", "r", "markup_pct", "20");
    // Billed in October for September: version 1, -50 x 1.1
    let late = Line::new("-50").set("charge_class", "Correction").during("2026-09-10T00:00:00", "2026-09-10T01:00:00");
    assert_eq!(steps(&world, late)[0], "-55.00 USD billed");
}

#[test]
fn below_an_unrated_edge_the_portion_does_not_exist() {
    // No card for the reseller: nothing below it is guessed.
    let world = chain().card("res>*", "USD").rule("res>*", "r", "markup_pct", "10");
    let charge = &world.rate(&[Line::new("100")])[0];
    assert_eq!(charge.steps.len(), 2);
    assert_eq!(charge.step(0), "100.00 USD billed");
    assert_eq!(charge.step(1), "- USD unrated");
}

#[test]
fn units_of_a_customer_pass_cost_through() {
    let world = priced()
        .node("cust/unit", "business_unit", "USD")
        .node("unit/team", "team", "USD")
        .account("aws/payer/acct2", "team", Span::ALWAYS)
        .policy("dist>*", "Tax", "pass")
        .policy("res>*", "Tax", "pass");
    let rated = |world: &World, category: &str| {
        let charge = &world.rate(&[line(category).set("sub_account_id", "acct2")])[0];
        [charge.step(2), charge.step(3), charge.step(4)]
    };
    // 121 all the way down; tax too, once it has come so far.
    let same = |amount: &str| [0; 3].map(|_| format!("{amount} USD billed"));
    assert_eq!(rated(&world, "Usage"), same("121.00"));
    assert_eq!(rated(&world, "Tax"), same("100.00"));
    // A card prices where it can; where it cannot, cost passes.
    let world = world.card("cust>unit", "USD").rule_with("cust>unit", "u", "markup_pct", "100", |r| {
        r.unit = Some("GB".into());
    });
    assert_eq!(rated(&world, "Usage"), same("121.00"));
    let mut world = world;
    world.0.rate_rules.last_mut().expect("a rule").unit = None;
    assert_eq!(rated(&world, "Usage"), ["121.00 USD billed", "242.00 USD billed", "242.00 USD billed"]);
}
