//! Who owns a row: accounts, moves, attribution rules, time zones; and exchange rates.

use super::fixtures::{Line, World, chain, span};
use crate::rating::{AttributionRow, AttributionTarget, RatingError, Span, Tree};

fn attributed(world: World, rule_id: &str, owner: &str, node: &str, change: impl FnOnce(&mut AttributionRow)) -> World {
    let mut world = world;
    let mut rule = AttributionRow {
        rule_id: rule_id.to_owned(),
        owner_node_id: owner.to_owned(),
        priority: 0,
        provider_name: None,
        billing_account_id: None,
        sub_account_id: None,
        tag_key: None,
        tag_value: None,
        resource_pattern: None,
        service_name: None,
        target: AttributionTarget::Node(node.to_owned()),
        valid: Span::ALWAYS,
    };
    change(&mut rule);
    world.0.attribution_rules.push(rule);
    world
}

fn paths(world: &World, lines: &[Line]) -> Vec<String> {
    world.rate(lines).into_iter().map(|charge| charge.path).collect()
}

#[test]
fn unknown_accounts_stay_at_the_root_unallocated() {
    let charges = chain().rate(&[Line::new("5").set("sub_account_id", "unknown")]);
    assert_eq!((charges[0].path.as_str(), charges[0].fate.as_str()), ("dist", "unallocated"));
    assert_eq!(charges[0].steps.len(), 1);
    assert_eq!(charges[0].step(0), "5.00 USD billed");
}

#[test]
fn a_sub_account_without_a_row_belongs_to_the_billing_account() {
    let world = chain().account("aws/payer", "res", Span::ALWAYS).account(
        "aws/payer/late",
        "cust",
        span("2026-10-05T10:30:00", ""),
    );
    let line = |sub: &str| Line::new("1").set("sub_account_id", sub);
    assert_eq!(paths(&world, &[line("acct"), line("x"), line("")]), ["dist/res/cust", "dist/res", "dist/res"]);
    // Before its own row begins, the default holds; the hour is cut in the middle.
    assert_eq!(paths(&world, &[line("late")]), ["dist/res", "dist/res/cust"]);
}

#[test]
fn what_the_root_owns_itself_is_direct() {
    let world = chain().account("aws/payer/own", "dist", Span::ALWAYS);
    let charge = &world.rate(&[Line::new("1").set("sub_account_id", "own")])[0];
    assert_eq!((charge.path.as_str(), charge.fate.as_str(), charge.steps.len()), ("dist", "direct", 1));
}

#[test]
fn a_moved_node_keeps_its_past_path() {
    let world = chain()
        .node("dist/other", "reseller", "USD")
        .node("other/cust", "customer", "USD")
        .with_node(|node| node.valid = span("2026-10-05T10:15:00", ""));
    let charges = world.rate(&[Line::new("8")]);
    // A quarter of the hour before the move: 2 of 8.
    let parts: Vec<_> = charges.iter().map(|c| (c.path.as_str(), c.step(0))).collect();
    assert_eq!(
        parts,
        [("dist/res/cust", "2.00 USD billed".to_owned()), ("dist/other/cust", "6.00 USD billed".to_owned())]
    );
}

#[test]
fn nodes_may_swap_places_over_time_but_not_at_one_instant() {
    let swapped = |from_b: &str, until_a: &str| {
        World::default()
            .node("dist", "distributor", "USD")
            .node("dist/a", "reseller", "USD")
            .with_node(|n| n.valid = span("", until_a))
            .node("b/a", "reseller", "USD")
            .with_node(|n| n.valid = span(until_a, ""))
            .node("a/b", "reseller", "USD")
            .with_node(|n| n.valid = span("", from_b))
            .node("dist/b", "reseller", "USD")
            .with_node(|n| n.valid = span(from_b, ""))
    };
    let tree = Tree::build(&swapped("2026-10-05", "2026-10-05").0.nodes).expect("sound at every instant");
    let a = tree.node("a").expect("a node");
    let path = |day: &str| tree.path(a, super::fixtures::at(day)).map(|path| tree.path_text(&path));
    assert_eq!(path("2026-10-04").as_deref(), Some("dist/a"));
    assert_eq!(path("2026-10-05").as_deref(), Some("dist/b/a"));
    let error = Tree::build(&swapped("2026-10-06", "2026-10-05").0.nodes).expect_err("a circle for a day");
    assert!(matches!(error, RatingError::Path { .. }), "{error}");
}

#[test]
fn eight_places_below_the_root_and_no_more() {
    let deep = |places: usize| {
        let mut world = World::default().node("n0", "distributor", "USD");
        for place in 1..=places {
            world = world.node(&format!("n{}/n{place}", place - 1), "reseller", "USD");
        }
        Tree::build(&world.0.nodes).map(|_| ())
    };
    assert!(deep(8).is_ok());
    let error = deep(9).expect_err("too deep").to_string();
    assert_eq!(error, "node n9: its path is more than eight places below the root");
    let rootless = Tree::build(&[]).expect_err("no root").to_string();
    assert_eq!(rootless, "ref.nodes needs exactly one node without a parent, found 0");
}

#[test]
fn rules_of_the_root_and_then_of_each_node_reassign_within_their_subtree() {
    let world = chain()
        .node("res/cust2", "customer", "USD")
        .node("cust2/web", "team", "USD")
        .node("dist/far", "reseller", "USD");
    // The root moves tag team=b to cust2; cust2 moves its vm-web-* resources to its team.
    let world = attributed(world, "b", "dist", "cust2", |r| {
        (r.tag_key, r.tag_value) = (Some("team".into()), Some("b".into()));
    });
    let world = attributed(world, "web", "cust2", "web", |r| r.resource_pattern = Some("vm-web-%".into()));
    // A reseller cannot give rows away to another's subtree.
    let world = attributed(world, "away", "res", "far", |r| r.resource_pattern = Some("vm-away".into()));
    let line = |tags: &str, resource: &str| Line::new("1").set("tags", tags).set("resource_id", resource);
    let lines = [
        line(r#"{"team":"b"}"#, "vm-1"),
        line(r#"{"team":"b"}"#, "vm-web-1"),
        line(r#"{"team":"c"}"#, "vm-web-1"),
        line("", "vm-away"),
        line(r#"{"team":"b"}"#, "vm-1").set("sub_account_id", "nobody"),
    ];
    assert_eq!(
        paths(&world, &lines),
        ["dist/res/cust2", "dist/res/cust2/web", "dist/res/cust", "dist/res/cust", "dist/res/cust2"]
    );
}

#[test]
fn the_rule_of_highest_priority_comes_first_and_rules_have_their_time() {
    let world = chain().node("res/a", "customer", "USD").node("res/b", "customer", "USD");
    let world = attributed(world, "x", "res", "a", |r| r.priority = 1);
    let world = attributed(world, "y", "res", "b", |r| {
        (r.priority, r.valid) = (2, span("2026-10-05T10:45:00", ""));
    });
    let charges = world.rate(&[Line::new("4")]);
    let parts: Vec<_> = charges.iter().map(|c| (c.path.as_str(), c.step(0))).collect();
    // Three quarters of the hour, then the stronger rule begins.
    assert_eq!(parts, [("dist/res/a", "3.00 USD billed".to_owned()), ("dist/res/b", "1.00 USD billed".to_owned())]);
}

#[test]
fn charge_dates_are_days_of_the_owners_time_zone() {
    let world = chain().with_node(|node| node.time_zone = chrono_tz::Tz::Asia__Tokyo);
    let late = Line::new("1").during("2026-10-05T16:00:00", "2026-10-05T17:00:00");
    // 16:00 UTC is 01:00 of the 6th in Tokyo: 20,727 + 5.
    assert_eq!(world.rate(&[late])[0].date, 20_732);
}

fn euro() -> World {
    World::default()
        .node("dist", "distributor", "USD")
        .node("dist/res", "reseller", "EUR")
        .node("res/cust", "customer", "GBP")
        .account("aws/payer/acct", "cust", Span::ALWAYS)
        .card("dist>*", "EUR")
        .rule("dist>*", "r", "markup_pct", "10")
        .card("res>*", "GBP")
        .rule("res>*", "r", "pass_through", "")
}

#[test]
fn costs_are_converted_by_the_rate_of_the_day() {
    let world = euro()
        .fx("USD/EUR", "2026-10-01", "0.90")
        .fx("USD/EUR", "2026-10-05", "0.80")
        .fx("USD/EUR", "2026-10-05T00:00:01", "0.10")
        .fx("GBP/EUR", "2026-10-01", "1.25");
    let charge = &world.rate(&[Line::new("100")])[0];
    // The latest rate at or before the start of the day: 100 x 0.80 x 1.10 = 88.00 EUR.
    assert_eq!(charge.step(1), "88.00 EUR billed");
    assert_eq!(charge.steps[1].fx_rate.as_deref(), Some("USD/EUR@2026-10-05"));
    // No EUR/GBP rate: the inverse of GBP/EUR, 88 / 1.25 = 70.40 GBP.
    assert_eq!(charge.step(2), "70.40 GBP billed");
    assert_eq!(charge.steps[2].fx_rate.as_deref(), Some("GBP/EUR@2026-10-01"));
    assert_eq!(charge.step(0), "100.00 USD billed");
}

#[test]
fn a_direct_rate_comes_before_an_inverse_one_and_none_is_crossed() {
    let world = euro().fx("EUR/USD", "2026-10-05", "2").fx("USD/EUR", "2026-01-01", "0.9");
    assert_eq!(world.rate(&[Line::new("100")])[0].step(1), "99.00 EUR billed");
    let crossed = euro().fx("USD/GBP", "2026-01-01", "0.8").fx("GBP/EUR", "2026-01-01", "1.25");
    assert_eq!(crossed.rate(&[Line::new("100")])[0].step(1), "- EUR unrated");
    // A rate that only begins later is none.
    let late = euro().fx("USD/EUR", "2026-10-06", "0.9");
    assert_eq!(late.rate(&[Line::new("100")])[0].step(1), "- EUR unrated");
}

#[test]
fn each_buyer_has_its_own_source_and_unit_prices_need_no_rate() {
    let mut world = euro().fx("USD/EUR", "2026-10-01", "0.9");
    world.0.fx_rates[0].source = "fixed".to_owned();
    assert_eq!(world.rate(&[Line::new("100")])[0].step(1), "- EUR unrated");
    world.0.nodes[1].fx_policy = "fixed".to_owned();
    assert_eq!(world.rate(&[Line::new("100")])[0].step(1), "99.00 EUR billed");
    let own = euro().rule_with("dist>*", "u", "unit_price", "3", |r| r.priority = 1);
    assert_eq!(own.rate(&[Line::new("100")])[0].step(1), "3.00 EUR billed");
    // An absolute price of another currency is no price; a share of the cost is.
    let mut foreign = own;
    foreign.0.rate_cards[0].currency = "USD".to_owned();
    assert_eq!(foreign.rate(&[Line::new("100")])[0].step(1), "- EUR unrated");
}

#[test]
fn a_rate_agreed_with_a_node_or_stated_by_a_provider_comes_before_that_of_all() {
    let mut world = euro();
    let rates = [
        ("market", "0.5"),
        ("fixed", "0.9"),
        ("fixed/res", "0.8"),
        ("fixed/cust", "0.1"),
        ("provider", "0.7"),
        ("provider/aws", "0.6"),
        ("provider/azure", "0.2"),
        ("market/aws", "0.3"),
        ("market/res", "0.4"),
    ];
    for (source, rate) in rates {
        world = world.fx("USD/EUR", "2026-10-01", rate);
        let added = world.0.fx_rates.last_mut().expect("a rate");
        (added.source, added.fx_rate_id) = (source.to_owned(), source.to_owned());
    }
    let priced = |policy: &str, without: &str| {
        let mut world = world.clone();
        world.0.nodes[1].fx_policy = policy.to_owned();
        world.0.fx_rates.retain(|rate| rate.source != without);
        let charge = world.rate(&[Line::new("100")]).remove(0);
        (charge.step(1), charge.steps[1].fx_rate.clone().unwrap_or_default())
    };
    let of = |step: &str, rate: &str| (step.to_owned(), rate.to_owned());
    // 100 x the rate x 1.10.
    assert_eq!(priced("market", ""), of("55.00 EUR billed", "market"));
    assert_eq!(priced("fixed", ""), of("88.00 EUR billed", "fixed/res"));
    assert_eq!(priced("fixed", "fixed/res"), of("99.00 EUR billed", "fixed"));
    assert_eq!(priced("provider", ""), of("66.00 EUR billed", "provider/aws"));
    assert_eq!(priced("provider", "provider/aws"), of("77.00 EUR billed", "provider"));
    // What another node has agreed on is nobody else's.
    world.0.fx_rates.retain(|rate| rate.source == "fixed/cust");
    world.0.nodes[1].fx_policy = "fixed".to_owned();
    assert_eq!(world.rate(&[Line::new("100")])[0].step(1), "- EUR unrated");
}
