//! `simulate_rate_card`: months under another version of a card, told to those who see the card.

use crate::fixture::{Fixture, Line, ask, refused, rows, run};

/// The chain with its usage of October and, of another version of the distributor's card for north, the rules (`rule,method,value`
/// and what else the header says).
async fn with_draft(header: &str, rules: &str) -> Fixture {
    let fixture = Fixture::chain_with_usage().await;
    draft(&fixture, "wholesale-north,2", header, rules).await;
    fixture
}

async fn draft(fixture: &Fixture, version: &str, header: &str, rules: &str) {
    fixture.copy("rate_card_versions", &format!("card_id,version,valid_from\n{version},2026-01-01\n")).await;
    let rules: String = rules.lines().map(|rule| format!("{version},{rule}\n")).collect();
    fixture.copy("rate_rules", &format!("card_id,version,rule_id,method,value{header}\n{rules}")).await;
}

const SIMULATED: &str = "select seller_node_id, buyer_node_id, node_id, charged, simulated, difference, currency, cost, simulated_cost, \
                         margin, simulated_margin, margin_difference, unrated_rows, source \
                         from simulate_rate_card('wholesale-north', 2, '2025-10', '2025-10') order by 1, 2, 3";

#[tokio::test]
async fn every_edge_from_the_seller_down_is_priced_anew() {
    let fixture = with_draft("", "all,markup_pct,20\n").await;
    // acme 100, bolt 200, north 10: × 1.1 was charged, × 1.2 is tried; half as much again below.
    let edges = [
        "dist|north|acme|110|120|10|USD|100|100|10|20|10|0|roll-up",
        "dist|north|bolt|220|240|20|USD|200|200|20|40|20|0|roll-up",
        "dist|north|north|11|12|1|USD|10|10|1|2|1|0|roll-up",
        "north|acme|acme|165|180|15|USD|110|120|55|60|5|0|roll-up",
        "north|bolt|bolt|330|360|30|USD|220|240|110|120|10|0|roll-up",
    ];
    for login in ["finance", "auditor", "admin"] {
        assert_eq!(rows(&fixture.session(login), SIMULATED).await, edges, "{login}");
    }
    // It changed nothing.
    let charged = "select seller_node_id, payer_node_id, sum(amount) from ops.edges_monthly where depth > 0 and payer_node_id in ('north', 'acme') group by 1, 2 order by 1";
    assert_eq!(rows(&fixture.session("finance"), charged).await, ["dist|north|341", "north|acme|165"]);
    let status = "select status from ref.rate_card_versions where card_id = 'wholesale-north' and version = 2";
    assert_eq!(rows(&fixture.session("finance"), status).await, ["draft"]);
}

#[tokio::test]
async fn who_does_not_see_a_card_is_told_what_is_told_of_one_that_is_not_there() {
    let fixture = with_draft("", "all,markup_pct,20\n").await;
    draft(&fixture, "retail-north,2", "", "all,markup_pct,60\n").await;
    let simulate = |card: &str, version: i64| {
        format!(
            "select seller_node_id, buyer_node_id, charged, simulated from simulate_rate_card('{card}', {version}, '2025-10', '2025-10') order by 1, 2"
        )
    };
    // 165 = 110 × 1.5, 176 = 110 × 1.6; 330 and 352. What north pays for it is not among the edges.
    let retail = ["north|acme|165|176", "north|bolt|330|352"];
    for login in ["finance@north", "admin@north", "finance"] {
        assert_eq!(rows(&fixture.session(login), &simulate("retail-north", 2)).await, retail, "{login}");
    }
    for (login, card, version) in [
        ("finance@north", "wholesale-north", 2),
        ("finance@north", "retail-south", 1),
        ("finance@north", "retail-north", 9),
        ("finance@south", "retail-north", 2),
        ("finance", "nothing", 1),
    ] {
        let error = refused(&fixture.session(login), &simulate(card, version)).await;
        let message = format!("version {version} of rate card \"{card}\" does not exist");
        assert_eq!((error.sqlstate, error.message), ("42704", message), "{login}");
    }
    // Who sees no cards has no such function.
    let function = refused(&fixture.session("portal@acme"), &simulate("retail-north", 2)).await;
    let missing =
        refused(&fixture.session("portal@acme"), &simulate("retail-north", 2).replace("simulate_", "mimic_")).await;
    assert_eq!(
        (function.sqlstate, function.message.replace("simulate_", "mimic_")),
        (missing.sqlstate, missing.message)
    );
}

#[tokio::test]
async fn a_seller_that_does_not_disclose_its_sales_keeps_them() {
    let fixture = with_draft("", "all,markup_pct,20\n").await;
    run(&fixture.admin(), "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    let edges = rows(&fixture.session("finance"), SIMULATED).await;
    assert_eq!(edges.len(), 3);
    assert!(edges.iter().all(|edge| edge.starts_with("dist|north|")));
    let hidden = "select * from simulate_rate_card('retail-north', 1, '2025-10', '2025-10')";
    assert_eq!(refused(&fixture.session("finance"), hidden).await.sqlstate, "42704");
    let own = "select count(*) from simulate_rate_card('retail-north', 1, '2025-10', '2025-10')";
    assert_eq!(rows(&fixture.session("finance@north"), own).await, ["2"]);
}

#[tokio::test]
async fn months_are_whole_and_wrong_arguments_are_named() {
    let fixture = with_draft("", "all,markup_pct,20\n").await;
    let finance = fixture.session("finance");
    let count = |arguments: &str| format!("select count(*) from simulate_rate_card({arguments})");
    for arguments in [
        "'wholesale-north', 2, '2025-10', '2025-10'",
        "'wholesale-north', 2, '2025-01', '2026-12'",
        "'wholesale-north', 2, date '2025-10-31', date '2025-10-01'",
        "'wholesale-' || 'north', 1 + 1, cast('2025-10-04' as date), '2025-10-17'",
    ] {
        assert_eq!(rows(&finance, &count(arguments)).await, ["5"], "{arguments}");
    }
    // No usage, no rows.
    assert_eq!(rows(&finance, &count("'wholesale-north', 2, '2025-11', '2026-12'")).await, ["0"]);
    for (arguments, sqlstate) in [
        ("'wholesale-north', 2, '2025-11', '2025-10'", "22023"),
        ("'wholesale-north', 2, '2025-13', '2025-14'", "22007"),
        ("'wholesale-north', 2, 'October', '2025-10'", "22007"),
        ("'wholesale-north', 2, '2025-10'", "42883"),
        ("'wholesale-north'", "42883"),
    ] {
        assert_eq!(refused(&finance, &count(arguments)).await.sqlstate, sqlstate, "{arguments}");
    }
    let of_rows = "select count(*) from charges c, lateral simulate_rate_card(c.node_id, 2, '2025-10', '2025-10')";
    assert!(ask(&finance, of_rows).await.is_err());
}

#[tokio::test]
async fn fees_and_minimums_are_those_of_the_version() {
    let fixture = Fixture::chain_with_usage().await;
    let rules = "all,markup_pct,50\nplatform,flat,20\nfloor,minimum,200\n";
    fixture.version("retail-north", "2,2025-10-01,", rules).await;
    run(&fixture.admin(), "call refresh()").await;
    draft(
        &fixture,
        "retail-north,3",
        ",service_name",
        "all,markup_pct,60,\nplatform,flat,30,\nfloor,minimum,200,Machines\n",
    )
    .await;
    draft(&fixture, "wholesale-north,2", "", "all,markup_pct,20\n").await;
    let simulated = |card: &str| {
        format!(
            "select buyer_node_id, charged, simulated, cost, simulated_cost, currency, cost_currency from simulate_rate_card({card}, '2025-10', '2025-10') \
             where seller_node_id = 'north' order by 1"
        )
    };
    // acme: 165 and a fee of 20, so 15 more for the minimum; bolt: 330 and 20. With the draft 176, 30 and, of machines, 24 more; 352 and 30.
    let edges = ["acme|200|230|110|110|USD|USD", "bolt|350|382|220|220|USD|USD"];
    for login in ["finance", "finance@north"] {
        assert_eq!(rows(&fixture.session(login), &simulated("'retail-north', 3")).await, edges, "{login}");
    }
    // Dearer above, 180 and 360 with the rules as they are: nothing is missing to the minimum.
    let edges = ["acme|200|200|110|120|USD|USD", "bolt|350|380|220|240|USD|USD"];
    assert_eq!(rows(&fixture.session("finance"), &simulated("'wholesale-north', 2")).await, edges);
    // Who is not shown the sales is not told of the fees.
    run(&fixture.admin(), "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    assert_eq!(rows(&fixture.session("finance"), &simulated("'wholesale-north', 2")).await, [""; 0]);
}

/// What edges below dist come to, as it was charged.
const CHARGED: &str = "select * from (select billing_period, seller_node_id, payer_node_id, currency, \
                       round(sum(case when outcome = 'billed' then amount else 0 end), 9) as amount \
                       from ops.edges_monthly where depth > 0 group by 1, 2, 3, 4) where amount <> 0 order by 1, 2, 3, 4";

/// Several months of everything: two SKUs, tags, tax, a customer that pays euros.
async fn months(rules: [&str; 2]) -> Fixture {
    let fixture =
        Fixture::with_nodes("north,dist,reseller\nsouth,dist,reseller\nacme,north,customer\nbolt,north,customer").await;
    let euro = "node_id,parent_id,kind,name,currency,fx_policy\neuro,north,customer,Euro,EUR,market\n";
    fixture.copy("nodes", euro).await;
    fixture.accounts("a-acme,acme\na-bolt,bolt\na-euro,euro\na-north,north").await;
    let late: String =
        ["acme", "bolt", "euro", "north"].iter().map(|node| format!("Globex,B1-late,a-{node},{node}\n")).collect();
    fixture.copy("accounts", &format!("provider_name,billing_account_id,sub_account_id,node_id\n{late}")).await;
    let rates = "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\n\
                 r1,market,USD,EUR,2025-09-01,0.9\nr2,market,USD,EUR,2025-10-01,0.8\n";
    fixture.copy("fx_rates", rates).await;
    let cards = "wholesale,dist,north,USD,x\nretail,north,,USD,x\nretail-euro,north,euro,EUR,x\n";
    fixture.copy("rate_cards", &format!("card_id,seller_node_id,buyer_node_id,currency,name\n{cards}")).await;
    fixture.copy("rate_card_versions", "card_id,version\nwholesale,1\nretail,1\nretail-euro,1\n").await;
    let header = "card_id,version,rule_id,method,value,sku_id,tag_key,tag_value,unit,charge_category,bands,scope\n";
    let below = "retail,1,all,markup_pct,50,,,,,,,node\nretail,1,m2,margin_pct,30,M2,,,,,,node\nretail-euro,1,all,markup_pct,10,,,,,,,node\n\
                 retail,1,least,minimum,400,M2,,,,,,node\nretail,1,desk,flat,12.5,,,,,,,node\n";
    fixture.copy("rate_rules", &format!("{header}{}{below}", rules[0])).await;
    for card in ["wholesale", "retail", "retail-euro"] {
        fixture.activate(card, "1").await;
    }
    for (period, day) in [("2025-09", "2025-09-07"), ("2025-10", "2025-10-05"), ("2025-10", "2025-10-25")] {
        let lines: Vec<Line<'_>> = ["a-acme", "a-acme", "a-bolt", "a-euro", "a-north"]
            .into_iter()
            .zip(["100", "71.07", "200.13", "33.33", "10"])
            .enumerate()
            .map(|(at, (account, cost))| Line {
                period,
                sku: ["M1", "M2"][at % 2],
                quantity: ["4", "7", "3.5", "1", "2"][at],
                tags: ["", r#"{"env": "prod", "x": "1"}"#, r#"{"env": "test"}"#][at % 3],
                category: if at == 4 { "Tax" } else { "Usage" },
                ..Line::usage(account, cost)
            })
            .collect();
        let (from, to) = (format!("{day}T00:00:00Z"), format!("{day}T01:00:00Z"));
        let lines: Vec<Line<'_>> = lines.into_iter().map(|line| Line { from: &from, to: &to, ..line }).collect();
        // Deliveries of one account and month replace each other.
        let billing = if day == "2025-10-25" { "B1-late" } else { "B1" };
        let lines: Vec<Line<'_>> = lines.into_iter().map(|line| Line { billing, ..line }).collect();
        fixture.land(&format!("{day}.csv"), &lines).await;
    }
    // Bands of October count both accounts.
    run(&fixture.admin(), "call refresh()").await;
    if !rules[1].is_empty() {
        fixture.copy("rate_card_versions", "card_id,version,valid_from\nwholesale,2,2030-01-01\n").await;
        fixture.copy("rate_rules", &format!("{header}{}", rules[1])).await;
    }
    fixture
}

#[tokio::test]
async fn a_simulation_is_what_the_same_months_come_to_when_they_are_rated_by_the_version() {
    let old = "wholesale,1,all,markup_pct,10,,,,,,,node\nwholesale,1,m2,unit_price,3,M2,,,,,,node\n";
    let graduated = r#""[{""up_to"": ""5"", ""price"": ""2""}, {""up_to"": null, ""price"": ""1.5""}]""#;
    for (rules, source) in [
        ("all,markup_pct,20,,,,,,,node\nm2,margin_pct,17,M2,,,,,,node\n".to_owned(), "roll-up"),
        (format!("all,markup_pct,12.5,,,,,,,node\nm2,graduated,,M2,,,,,{graduated},node\n"), "roll-up"),
        (format!("all,graduated,,,,,,,{graduated},subtree\ntax,markup_pct,5,,,,,Tax,,node\n"), "roll-up"),
        // Neither tags nor units were looked at when the months were rated.
        ("all,markup_pct,20,,,,,,,node\nprod,discount_pct,9,,env,prod,,,,node\n".to_owned(), "charges"),
        ("all,unit_price,9,,,,Days,,,node\nm2,unit_price,1,M2,,,Hours,,,node\n".to_owned(), "charges"),
        (format!("all,graduated,,,,,,,{graduated},account\n"), "charges"),
        // Charges of their own, which count for each other in their order.
        (
            "all,markup_pct,20,,,,,,,node\nfee,flat,25,,,,,,,node\nfloor,minimum,500,M2,,,,,,node\n".to_owned(),
            "roll-up",
        ),
        (
            "all,markup_pct,20,,,,,,,node\nfloor,minimum,500,,env,prod,,,,node\nmost,minimum,1200,,,,,,,node\n"
                .to_owned(),
            "charges",
        ),
    ] {
        let version =
            |version: i64| rules.lines().map(|rule| format!("wholesale,{version},{rule}\n")).collect::<String>();
        let drafted = months([old, &version(2)]).await;
        let simulated = "select * from (select billing_period, seller_node_id, buyer_node_id, currency, round(sum(simulated), 9) as amount \
                         from simulate_rate_card('wholesale', 2, '2025-09', '2025-10') group by 1, 2, 3, 4) where amount <> 0 order by 1, 2, 3, 4";
        let found = rows(&drafted.session("admin"), simulated).await;
        // The same months where the version was the active one from the start.
        let rated = months([&version(1), ""]).await;
        assert_eq!(found, rows(&rated.session("admin"), CHARGED).await, "{rules}");
        assert!(found.len() >= 6, "{found:?}");
        let sources = "select distinct source from simulate_rate_card('wholesale', 2, '2025-09', '2025-10')";
        assert_eq!(rows(&drafted.session("admin"), sources).await, [source], "{rules}");
        // Once the months are rated anew the roll-up has what the draft looks at, and the answer is the same to the last digit.
        let exact = "select * from simulate_rate_card('wholesale', 2, '2025-09', '2025-10')";
        let exact = exact.replace('*', "billing_period, seller_node_id, buyer_node_id, node_id, currency, charged, simulated, unrated_rows, unrated_reasons");
        let before = rows(&drafted.session("admin"), &exact).await;
        for slice in rows(&drafted.session("admin"), "select slice_id from ops.slices where role = 'priced'").await {
            run(&drafted.session("admin"), &format!("call refresh({slice})")).await;
        }
        assert_eq!(rows(&drafted.session("admin"), &exact).await, before, "{rules}");
        assert_eq!(rows(&drafted.session("admin"), sources).await, ["roll-up"], "{rules}");
    }
}
