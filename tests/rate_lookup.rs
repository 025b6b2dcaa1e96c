//! `rate_lookup`: what an edge would do with a charge, told to those who may know it.

use crate::fixture::{Fixture, ask, refused, rows, run};

/// The terms of an edge on 5 October 2025, as the rule that gives them.
fn rule_of(node: &str) -> String {
    format!(
        "select seller_node_id, card_id, version, rule_id, method, value from rate_lookup('{node}', date '2025-10-05')"
    )
}

/// Moves a node (`node,parent,kind`) on a day.
async fn move_node(fixture: &Fixture, node: &str, day: &str) {
    let (id, _) = node.split_once(',').expect("a node with its new parent");
    let admin = fixture.admin();
    run(&admin, &format!("update ref.nodes set valid_to = '{day}' where node_id = '{id}'")).await;
    fixture.copy("nodes", &format!("node_id,parent_id,kind,name,currency,valid_from\n{node},{id},USD,{day}\n")).await;
}

/// A card of north for acme: Machines by the hour, M2 in bands, what is tagged vip at a discount; the rest by north's card
/// for all. From 15 October on M1 costs less.
async fn with_price_list(fixture: &Fixture) {
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nlist,north,acme,USD,List\n").await;
    fixture
        .copy(
            "rate_card_versions",
            "card_id,version,valid_from,valid_to\nlist,1,2025-01-01,2025-10-15\nlist,2,2025-10-15,\n",
        )
        .await;
    let header = "card_id,version,rule_id,priority,service_name,sku_id,tag_key,tag_value,unit,method,value,bands";
    let bands = r#""[{""up_to"": ""10"", ""price"": ""2""}, {""up_to"": null, ""price"": ""1.5""}]""#;
    let rules = |version, price| {
        format!(
            "list,{version},hours,0,Machines,,,,Hours,unit_price,{price},\n\
             list,{version},m2,0,,M2,,,,graduated,,{bands}\n\
             list,{version},vip,5,,,class,vip,,discount_pct,30,\n"
        )
    };
    fixture.copy("rate_rules", &format!("{header}\n{}{}", rules(1, "0.25"), rules(2, "0.20"))).await;
    for version in ["1", "2"] {
        fixture.activate("list", version).await;
    }
}

#[tokio::test]
async fn a_seller_and_those_above_it_see_the_rule_and_nobody_else_sees_the_edge() {
    let fixture = Fixture::chain().await;
    let retail = ["north|retail-north|1|all|markup_pct|50"];
    for login in ["finance", "auditor", "admin", "admin@north", "finance@north"] {
        assert_eq!(rows(&fixture.session(login), &rule_of("acme")).await, retail, "{login}");
    }
    let wholesale = ["dist|wholesale-north|1|all|markup_pct|10"];
    assert_eq!(rows(&fixture.session("finance"), &rule_of("north")).await, wholesale);
    // Whoever buys learns nothing of a markup, not even that there is one: the answer is that for a node that is not there.
    for (login, node) in [
        ("finance@north", "north"),
        ("portal@acme", "acme"),
        ("finance@south", "acme"),
        ("finance@south", "north"),
        ("portal@acme", "bolt"),
        ("portal@acme", "north"),
        ("finance", "dist"),
        ("finance", "nobody"),
    ] {
        let session = fixture.session(login);
        assert!(
            rows(&session, &format!("select * from rate_lookup('{node}', date '2025-10-05', cost => 100)"))
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_buyer_sees_published_unit_prices_and_nothing_that_a_price_is_made_from() {
    let fixture = Fixture::chain().await;
    with_price_list(&fixture).await;
    let machines = "select seller_node_id, outcome, card_id, version, valid_from, is_default_card, rule_id, priority, specificity, \
                    method, value, base, unit, price, currency, fx_rate_id \
                    from rate_lookup('acme', date '2025-10-05', service_name => 'Machines', unit => 'Hours', quantity => 8)";
    // 8 hours at 0.25.
    assert_eq!(
        rows(&fixture.session("portal@acme"), machines).await,
        ["null|billed|null|null|null|null|null|null|null|unit_price|0.25|null|Hours|2|USD|null"]
    );
    assert_eq!(
        rows(&fixture.session("finance@north"), machines).await,
        ["north|billed|list|1|2025-01-01T00:00:00Z|false|hours|0|service_name|unit_price|0.25|null|Hours|2|USD|null"]
    );
    let of_sku = "select method, value, bands, scope, price from rate_lookup('acme', date '2025-10-05', sku_id => 'M2', quantity => 14)";
    let bands = r#"[{"up_to": "10", "price": "2"}, {"up_to": null, "price": "1.5"}]"#;
    // 10 × 2 + 4 × 1.5.
    assert_eq!(rows(&fixture.session("portal@acme"), of_sku).await, [format!("graduated|null|{bands}|null|26")]);
    assert_eq!(rows(&fixture.session("finance@north"), of_sku).await, [format!("graduated|null|{bands}|node|26")]);
    // A discount and a markup are shares of something: not the buyer's to know, whatever amounts it gives.
    for arguments in ["tags => '{\"class\":\"vip\"}', list_cost => 100", "cost => 100, list_cost => 100, quantity => 1"]
    {
        let sql = format!("select price from rate_lookup('acme', date '2025-10-05', {arguments})");
        assert!(rows(&fixture.session("portal@acme"), &sql).await.is_empty(), "{sql}");
        assert_eq!(rows(&fixture.session("finance@north"), &sql).await.len(), 1, "{sql}");
    }
}

#[tokio::test]
async fn the_buyers_card_the_priority_and_the_instant_decide() {
    let fixture = Fixture::chain().await;
    with_price_list(&fixture).await;
    let north = fixture.session("finance@north");
    let lookup = |arguments: &str| {
        format!(
            "select card_id, version, rule_id, is_default_card, specificity, price from rate_lookup('acme', {arguments})"
        )
    };
    let machines = "service_name => 'Machines', unit => 'Hours', quantity => 10, cost => 6, list_cost => 9";
    let vip = r#"tags => '{"class":"vip"}'"#;
    for (arguments, expected) in [
        // 10 × 0.25 until the 15th begins, 10 × 0.20 from then on.
        (format!("timestamptz '2025-10-14 23:59:59.999999Z', {machines}"), "list|1|hours|false|service_name|2.5"),
        (format!("timestamptz '2025-10-15 00:00:00Z', {machines}"), "list|2|hours|false|service_name|2"),
        // 9 − 30 %: the higher priority wins, though a tag would anyway.
        (format!("date '2025-10-05', {machines}, {vip}"), "list|1|vip|false|tag_value, tag_key|6.3"),
        // No rule of acme's card matches another service: north's card for all, 6 + 50 %.
        ("date '2025-10-05', service_name => 'Disks', cost => 6".to_owned(), "retail-north|1|all|true||9"),
        // Before the card began.
        (format!("date '2024-12-31', {machines}"), "retail-north|1|all|true||9"),
        // Another unit is not priced by the hour, and not by another rule either.
        (
            "date '2025-10-05', service_name => 'Machines', unit => 'GB', quantity => 1".to_owned(),
            "list|1|hours|false|service_name|null",
        ),
    ] {
        assert_eq!(rows(&north, &lookup(&arguments)).await, [expected], "{arguments}");
    }
    assert_eq!(
        rows(&north, "select outcome, reason from rate_lookup('acme', date '2025-10-05', service_name => 'Machines', unit => 'GB')").await,
        ["unrated|the rule prices another unit: add a rule for this one"]
    );
}

#[tokio::test]
async fn it_is_what_charges_cost() {
    let fixture = Fixture::chain_with_usage().await;
    let root = fixture.session("finance");
    // Acme's line costs dist 100, north 110, acme 165.
    let prices = "select price, (select price from charges where node_id = 'acme') from rate_lookup('north', date '2025-10-05', cost => 100)";
    assert_eq!(rows(&root, prices).await, ["110|110"]);
    let north = fixture.session("finance@north");
    let prices = "select l.price, c.price from charges c, rate_lookup('acme', timestamptz '2025-10-05 00:00:00Z', 'Globex', sku_id => 'M1', cost => 110) l where c.node_id = 'acme'";
    assert_eq!(rows(&north, prices).await, ["165|165"]);
}

#[tokio::test]
async fn a_seller_that_does_not_disclose_its_sales_is_seen_by_itself_only() {
    let fixture = Fixture::chain().await;
    run(&fixture.admin(), "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    assert!(rows(&fixture.session("finance"), &rule_of("acme")).await.is_empty());
    assert_eq!(rows(&fixture.session("finance@north"), &rule_of("acme")).await.len(), 1);
    assert_eq!(rows(&fixture.session("finance"), &rule_of("north")).await.len(), 1);
}

#[tokio::test]
async fn an_edge_is_the_one_of_its_time() {
    let fixture = Fixture::chain().await;
    move_node(&fixture, "acme,south,customer", "2025-11-01").await;
    let on = |day: &str| format!("select card_id from rate_lookup('acme', date '{day}')");
    for (login, october, november) in [
        ("finance", Some("retail-north"), Some("retail-south")),
        ("finance@north", Some("retail-north"), None),
        ("finance@south", None, Some("retail-south")),
    ] {
        let session = fixture.session(login);
        assert_eq!(rows(&session, &on("2025-10-31")).await.first().map(String::as_str), october, "{login}");
        assert_eq!(rows(&session, &on("2025-11-01")).await.first().map(String::as_str), november, "{login}");
    }
}

#[tokio::test]
async fn cards_of_a_seller_that_left_are_no_longer_told() {
    let fixture =
        Fixture::with_nodes("north,dist,reseller\nsouth,dist,reseller\nshop,north,reseller\nacme,shop,customer").await;
    fixture.card("retail-shop", "shop", "acme", "markup_pct", "5").await;
    fixture.user("finance@north", "north", "finance").await;
    let north = fixture.session("finance@north");
    let (rule, cards) = (rule_of("acme"), "select card_id from ref.rate_rules");
    assert_eq!((rows(&north, &rule).await.len(), rows(&north, cards).await.len()), (1, 1));
    move_node(&fixture, "shop,south,reseller", "2025-12-01").await;
    assert_eq!((rows(&north, &rule).await.len(), rows(&north, cards).await.len()), (0, 0));
}

#[tokio::test]
async fn roles_without_cards_and_charges_do_not_have_the_function() {
    let fixture = Fixture::chain().await;
    with_price_list(&fixture).await;
    let hours = "select value from rate_lookup('acme', date '2025-10-05', service_name => 'Machines', unit => 'Hours')";
    let all = "select value from rate_lookup('acme', date '2025-10-05')";
    for (role, node, expected) in [("sales_ops", "north", 1), ("engineering", "north", 0), ("engineering", "acme", 1)] {
        let login = format!("{role}@{node}");
        fixture.user(&login, node, role).await;
        assert_eq!(rows(&fixture.session(&login), hours).await.len(), expected, "{login}");
    }
    for (role, node) in [("executive", "north"), ("accounting", "acme")] {
        let login = format!("{role}@{node}");
        fixture.user(&login, node, role).await;
        let session = fixture.session(&login);
        let absent = refused(&session, &all.replace("rate_lookup", "rate_nothing")).await;
        let told = refused(&session, all).await;
        assert_eq!((told.sqlstate, told.message.as_str()), ("42883", "function rate_lookup does not exist"), "{login}");
        assert_eq!(told.to_string(), absent.to_string().replace("rate_nothing", "rate_lookup"), "{login}");
    }
}

#[tokio::test]
async fn the_past_is_looked_up_as_it_was_known() {
    let fixture = Fixture::chain().await;
    let head = rows(&fixture.admin(), "select max(snapshot_id) from ops.snapshots").await.remove(0);
    with_price_list(&fixture).await;
    let finance = fixture.session("finance");
    let hours =
        "select card_id from rate_lookup('acme', date '2025-10-05', service_name => 'Machines', unit => 'Hours')";
    assert_eq!(rows(&finance, hours).await, ["list"]);
    run(&finance, &format!("set ratehouse.snapshot = {head}")).await;
    assert_eq!(rows(&finance, hours).await, ["retail-north"]);
}

#[tokio::test]
async fn wrong_calls_say_what_is_wrong() {
    let fixture = Fixture::chain().await;
    let north = fixture.session("finance@north");
    for (arguments, state, part) in [
        ("'acme'", "42883", "needs a node and an instant"),
        (
            "'acme', date '2025-10-05', colour => 'red'",
            "42883",
            "no parameter \"colour\"; it has node, at, provider_name",
        ),
        ("'acme', date '2025-10-05', sku_id => 'a', sku_id => 'b'", "42601", "\"sku_id\" is given twice"),
        ("'acme', at => date '2025-10-05', 'Globex'", "42601", "positional argument cannot follow"),
        ("'acme', date '2025-10-05', cost => 1.5::float8", "42804", "\"cost\" is an exact amount"),
        ("'acme', 'some day'", "22007", "invalid input"),
        ("'acme', date '2025-10-05', sku_id => nothing", "42703", "nothing"),
        ("'acme', date '2025-10-05', cost => 99999999999999999999", "22003", "out of range"),
    ] {
        let error = refused(&north, &format!("select * from rate_lookup({arguments})")).await;
        assert_eq!(error.sqlstate, state, "{arguments}: {error}");
        assert!(error.to_string().contains(part), "{arguments}: {error}");
    }
    assert!(rows(&north, "select * from rate_lookup(null, date '2025-10-05')").await.is_empty());
    assert!(rows(&north, "select * from rate_lookup('acme', null)").await.is_empty());
}

#[tokio::test]
async fn its_columns_are_a_contract() {
    let fixture = Fixture::chain().await;
    let shown = ask(&fixture.session("finance@north"), "select * from rate_lookup('acme', date '2025-10-05')")
        .await
        .expect("a row");
    let columns = "seller_node_id buyer_node_id outcome reason card_id version valid_from valid_to is_default_card rule_id priority \
                   specificity method value base bands scope unit price currency fx_rate_id";
    assert_eq!(shown.columns.join(" "), columns.split_whitespace().collect::<Vec<_>>().join(" "));
}
