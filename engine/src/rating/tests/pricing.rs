//! Methods, policies, precedence: the worked examples of the domain page and their neighbours.

use super::charge::Charge;
use super::fixtures::{Line, World, at, chain, dec, span};
use crate::rating::Span;

/// What the reseller pays for 10,000 of cost under one rule.
fn sold(method: &str, value: &str, lines: &[Line]) -> Vec<Charge> {
    let edge = "dist>res";
    World::default()
        .node("dist", "distributor", "USD")
        .node("dist/res", "reseller", "USD")
        .account("aws/payer", "res", Span::ALWAYS)
        .card(edge, "USD")
        .rule(edge, "r", method, value)
        .rate(lines)
}

fn cents(price: &str) -> String {
    use ratehouse_udfs::decimal::{Rounding, format_decimal, rescale_round};
    let rounded = rescale_round(dec(price), 18, 2, Rounding::HalfEven).expect("in range");
    format_decimal(rounded, 2)
}

#[test]
fn one_account_one_card_one_markup() {
    let world = chain().card("dist>res", "USD").rule("dist>res", "base", "markup_pct", "10").card("res>*", "USD").rule(
        "res>*",
        "retail",
        "markup_pct",
        "20",
    );
    let charges = world.rate(&[Line::new("100")]);
    assert_eq!(charges.len(), 1);
    let charge = &charges[0];
    assert_eq!((charge.path.as_str(), charge.fate.as_str()), ("dist/res/cust", "direct"));
    // 100; 100 x 1.10 = 110; 110 x 1.20 = 132
    assert_eq!(charge.step(0), "100.00 USD billed");
    assert_eq!(charge.step(1), "110.00 USD billed");
    assert_eq!(charge.step(2), "132.00 USD billed");
    assert_eq!(charge.step(3), "absent");
    assert_eq!(charge.steps[1].rule.as_deref(), Some("dist>res/1/base"));
    // 2026-10-05 is 20,727 + 4
    assert_eq!((charge.date, charge.portion), (20_731, 0));
}

#[test]
fn f6_markup_is_not_margin() {
    let price = |method: &str, value: &str| {
        let charges = sold(method, value, &[Line::new("10000")]);
        cents(charges[0].steps[1].price.as_deref().expect("a price"))
    };
    assert_eq!(price("markup_pct", "15"), "11500.00");
    assert_eq!(price("markup_pct", "20"), "12000.00");
    // 10,000 / 0.85 = 11,764.705882...; 10,000 / 0.80
    assert_eq!(price("margin_pct", "15"), "11764.71");
    assert_eq!(price("margin_pct", "20"), "12500.00");
}

#[test]
fn f7_compute_and_licences_at_their_own_rates() {
    let lines = [Line::new("6000").set("service_name", "Compute"), Line::new("4000").set("service_name", "Licences")];
    let total = |method: &str| {
        let edge = "dist>res";
        let world = chain().card(edge, "USD").rule(edge, "other", method, "15").rule_with(
            edge,
            "licences",
            method,
            "20",
            |r| r.service_name = Some("Licences".into()),
        );
        let prices = world.rate(&lines);
        let sum: i128 = prices.iter().map(|charge| dec(charge.steps[1].price.as_deref().expect("a price"))).sum();
        cents(&ratehouse_udfs::decimal::format_decimal(sum, 18))
    };
    // 6,000 x 1.15 + 4,000 x 1.20 = 6,900 + 4,800
    assert_eq!(total("markup_pct"), "11700.00");
    // 6,000 / 0.85 + 4,000 / 0.80 = 7,058.823529... + 5,000
    assert_eq!(total("margin_pct"), "12058.82");
}

#[test]
fn f8_a_version_changes_mid_month() {
    let edge = "dist>res";
    let world = chain()
        .card_only(edge, "USD")
        .version(edge, 1, span("", "2026-10-16"))
        .version(edge, 2, span("2026-10-16", ""))
        .rule("dist>res#1", "h", "unit_price", "0.192")
        .rule("dist>res#2", "h", "unit_price", "0.21");
    // October has 744 hours: 15 days = 360 h, 16 days = 384 h.
    let month = Line::new("1").set("pricing_quantity", "744").during("2026-10-01", "2026-11-01");
    let charges = world.rate(&[month]);
    let parts: Vec<_> = charges.iter().map(|c| (c.quantity.as_deref().unwrap_or("-"), c.step(1))).collect();
    // 360 x 0.192 = 69.12; 384 x 0.21 = 80.64; together 149.76
    assert_eq!(parts, [("360.00", "69.12 USD billed".to_owned()), ("384.00", "80.64 USD billed".to_owned())]);
    assert_eq!(charges[0].end, at("2026-10-16"));
    assert_eq!(charges[1].start, at("2026-10-16"));
    assert_eq!(charges[1].portion, 1);
}

#[test]
fn f5_a_machine_that_ran_all_month_is_one_line_of_744_hours() {
    // Compute, disk and egress stay three lines; 744 h is 31 days x 24 h.
    let edge = "dist>res";
    let world = chain()
        .card(edge, "USD")
        .rule_with(edge, "compute", "unit_price", "0.192", |r| r.sku_id = Some("d4s".into()))
        .rule_with(edge, "disk", "unit_price", "19.71", |r| r.sku_id = Some("p10".into()))
        .rule_with(edge, "egress", "unit_price", "0.087", |r| r.sku_id = Some("out".into()))
        .card("res>*", "USD")
        .rule("res>*", "same", "pass_through", "");
    let line = |sku: &str, quantity: &str| {
        let line = Line::new("1").set("sku_id", sku).set("pricing_quantity", quantity);
        line.during("2026-10-01", "2026-11-01")
    };
    let hours = (at("2026-11-01") - at("2026-10-01")) / 3_600_000_000;
    assert_eq!(hours, 744);
    let charges = world.rate(&[line("d4s", "744"), line("p10", "1"), line("out", "100")]);
    let prices: Vec<String> = charges.iter().map(|c| c.step(2)).collect();
    // 744 x 0.192 = 142.848; 1 x 19.71; 100 x 0.087 = 8.70
    assert_eq!(prices, ["142.848 USD billed", "19.71 USD billed", "8.70 USD billed"]);
}

#[test]
fn f15_version_and_owner_change_within_one_line() {
    let world = World::default()
        .node("dist", "distributor", "USD")
        .node("dist/a", "reseller", "USD")
        .node("dist/b", "reseller", "USD")
        .account("aws/payer/acct", "a", span("", "2026-10-12"))
        .account("aws/payer/acct", "b", span("2026-10-12", ""))
        .card_only("dist>*", "USD")
        .version("dist>*", 1, span("", "2026-10-15"))
        .version("dist>*", 2, span("2026-10-15", ""))
        .rule("dist>*#1", "r", "markup_pct", "10")
        .rule("dist>*#2", "r", "markup_pct", "20");
    // 31 days, 31.00: one a day. 1st-11th: 11 days, owner a; 12th-14th: 3 days, owner b, version 1;
    // 15th-31st: 17 days, owner b, version 2.
    let charges = world.rate(&[Line::new("31").during("2026-10-01", "2026-11-01")]);
    let parts: Vec<(String, String, String)> = charges.iter().map(|c| (c.path.clone(), c.step(0), c.step(1))).collect();
    let part = |path: &str, cost: &str, price: &str| {
        (path.to_owned(), format!("{cost} USD billed"), format!("{price} USD billed"))
    };
    assert_eq!(
        parts,
        [
            part("dist/a", "11.00", "12.10"), // 11 x 1.10
            part("dist/b", "3.00", "3.30"),   // 3 x 1.10
            part("dist/b", "17.00", "20.40"), // 17 x 1.20
        ]
    );
    assert_eq!(charges[1].steps[1].rule.as_deref(), Some("dist>*/1/r"));
    assert_eq!(charges[2].steps[1].rule.as_deref(), Some("dist>*/2/r"));
}

#[test]
fn only_usage_is_cut_and_the_last_portion_takes_the_rest() {
    let world = World::default()
        .node("dist", "distributor", "USD")
        .node("dist/a", "reseller", "USD")
        .node("dist/b", "reseller", "USD")
        .account("aws/payer/acct", "a", span("", "2026-10-02"))
        .account("aws/payer/acct", "b", span("2026-10-02", ""))
        .card("dist>*", "USD")
        .rule("dist>*", "r", "pass_through", "");
    let line = Line::new("10").set("pricing_quantity", "").during("2026-10-01", "2026-10-04");
    let charges = world.rate(&[line.clone(), line.set("charge_category", "Purchase")]);
    let costs: Vec<String> = charges.iter().map(|c| c.step(0)).collect();
    // A third of 10 at scale 18, then the rest.
    assert_eq!(costs, ["3.333333333333333333 USD billed", "6.666666666666666667 USD billed", "10.00 USD billed"]);
    assert_eq!(charges[2].path, "dist/a");
}

#[test]
fn methods_and_bases() {
    let line = Line::new("80").set("list_cost", "100").set("billed_cost", "70");
    let line = line.set("effective_cost", "60").set("contracted_cost", "75");
    let price = |method: &str, value: &str, base: Option<&str>| {
        let edge = "dist>res";
        let world = chain()
            .card(edge, "USD")
            .rule_with(edge, "r", method, value, |r| r.base = base.map(str::to_owned))
            .card("res>*", "USD")
            .rule("res>*", "r", "pass_through", "");
        world.rate(std::slice::from_ref(&line))[0].step(2)
    };
    // At the root's edges cost is the effective cost.
    assert_eq!(price("markup_pct", "10", None), "66.00 USD billed");
    assert_eq!(price("markup_pct", "10", Some("list")), "110.00 USD billed");
    assert_eq!(price("markup_pct", "10", Some("on_demand")), "110.00 USD billed");
    assert_eq!(price("markup_pct", "10", Some("billed")), "77.00 USD billed");
    assert_eq!(price("markup_pct", "10", Some("contracted")), "82.50 USD billed");
    assert_eq!(price("markup_pct", "10", Some("effective")), "66.00 USD billed");
    // A discount is on the list price unless said otherwise.
    assert_eq!(price("discount_pct", "15", None), "85.00 USD billed");
    assert_eq!(price("discount_pct", "15", Some("cost")), "51.00 USD billed");
    assert_eq!(price("pass_through", "", None), "60.00 USD billed");
    assert_eq!(price("zero", "", None), "0.00 USD billed");
    assert_eq!(price("unit_price", "0.25", None), "0.25 USD billed");
    // A margin of everything has no price, and neither has a word nobody knows.
    assert_eq!(price("margin_pct", "100", None), "absent");
    assert_eq!(price("magic", "1", None), "absent");
}

#[test]
fn below_the_root_only_cost_and_list_can_be_a_base() {
    let world = |base: &str| {
        chain().card("dist>res", "USD").rule("dist>res", "r", "markup_pct", "10").card("res>*", "USD").rule_with(
            "res>*",
            "r",
            "markup_pct",
            "10",
            |r| r.base = Some(base.to_owned()),
        )
    };
    let line = [Line::new("100").set("list_cost", "200")];
    // 100 x 1.1 x 1.1; 200 x 1.1
    assert_eq!(world("cost").rate(&line)[0].step(2), "121.00 USD billed");
    assert_eq!(world("list").rate(&line)[0].step(2), "220.00 USD billed");
    for hidden in ["billed", "contracted", "effective", "on_demand"] {
        assert_eq!(world(hidden).rate(&line)[0].step(2), "- USD unrated", "{hidden}");
    }
}

#[test]
fn results_are_rounded_half_even_at_the_eighteenth_digit() {
    let price = |cost: &str| sold("markup_pct", "50", &[Line::new(cost)])[0].step(1);
    // 1e-18 x 1.5 is 1.5e-18: to the even 2; 3e-18 x 1.5 = 4.5e-18: to the even 4.
    assert_eq!(price("0.000000000000000001"), "0.000000000000000002 USD billed");
    assert_eq!(price("0.000000000000000003"), "0.000000000000000004 USD billed");
    assert_eq!(price("-0.000000000000000003"), "-0.000000000000000004 USD billed");
}

#[test]
fn an_amount_out_of_range_is_an_error_that_names_the_row() {
    let edge = "dist>res";
    let world = chain().card(edge, "USD").rule(edge, "big", "unit_price", "99999999999");
    let run = crate::rating::RatingRun::new(world.book(), Default::default());
    let lines = [Line::new("1"), Line::new("1").set("pricing_quantity", "99999999999999")];
    let usage = super::fixtures::usage(&lines);
    let error = crate::rating::Rater::new(&run).rate(&usage).expect_err("out of range");
    assert_eq!(error.sqlstate(), "22003");
    assert_eq!(
        error.to_string(),
        "usage row 2 of part 0 (delivery 0): the amount on edge 1 is out of range; correct the rule dist>res/1/big"
    );
}
