//! What each login sees, and that nothing else shows: not by name, error, plan or number.

mod roles;
mod statements;

use ratehouse::session::Session;

use crate::fixture::{Fixture, Line, ask, refused, rows, run};

#[tokio::test]
async fn one_select_gives_each_login_its_own_cost() {
    let fixture = Fixture::chain_with_usage().await;
    let select = "select node_id, cost from charges order by node_id";
    // The root pays the provider.
    let root = rows(&fixture.session("finance"), select).await;
    assert_eq!(root, ["acme|100", "bolt|200", "core|400", "north|10"]);
    // + 10 %.
    let north = rows(&fixture.session("finance@north"), select).await;
    assert_eq!(north, ["acme|110", "bolt|220", "north|11"]);
    // + 20 %.
    let south = rows(&fixture.session("finance@south"), select).await;
    assert_eq!(south, ["core|480"]);
    // 110 + 50 %.
    let acme = rows(&fixture.session("portal@acme"), select).await;
    assert_eq!(acme, ["acme|165"]);
}

#[tokio::test]
async fn price_is_what_the_next_one_down_pays() {
    let fixture = Fixture::chain_with_usage().await;
    let select = "select node_id, cost, price, margin from charges order by node_id";
    let root = rows(&fixture.session("finance"), select).await;
    assert_eq!(root, ["acme|100|110|10", "bolt|200|220|20", "core|400|480|80", "north|10|11|1"]);
    // What north consumes itself it sells to nobody.
    let north = rows(&fixture.session("finance@north"), select).await;
    assert_eq!(north, ["acme|110|165|55", "bolt|220|330|110", "north|11|null|null"]);
}

#[tokio::test]
async fn no_session_has_a_column_of_another_position_and_a_portal_has_no_margin() {
    let fixture = Fixture::chain_with_usage().await;
    for login in ["admin", "finance", "finance@north", "portal@acme"] {
        let session = fixture.session(login);
        for relation in ["charges", "charges_daily", "charges_monthly"] {
            let shown = ask(&session, &format!("select * from {relation}")).await.expect("every login has it");
            let foreign = |name: &String| {
                ["price_", "currency_", "outcome_", "rule_", "fx_rate_"]
                    .iter()
                    .any(|start| name.strip_prefix(start).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit())))
            };
            assert!(!shown.columns.iter().any(foreign), "{:?}", shown.columns);
            let sells = ["price", "price_currency", "margin"];
            let has = sells.map(|name| shown.columns.iter().any(|column| column == name));
            assert_eq!(has, [login != "portal@acme"; 3], "{login} {relation}");
            let provider =
                ["effective_cost", "delivery_id", "rated_snapshot", "commitment_discount_id", "commitment_policy"];
            let shows = shown.columns.iter().any(|c| provider.contains(&c.as_str()));
            assert_eq!(shows, matches!(login, "admin" | "finance"), "{login}");
        }
        let error = refused(&session, "select price_0 from charges").await;
        assert_eq!(error.sqlstate, "42703");
    }
    let portal = fixture.session("portal@acme");
    assert_eq!(refused(&portal, "select * from margins").await.sqlstate, "42P01");
}

/// `roam` is north's customer until 12 October 2025 and south's from then on.
async fn moved() -> Fixture {
    let fixture = Fixture::chain().await;
    fixture
        .copy(
            "nodes",
            "node_id,parent_id,kind,name,currency,valid_from,valid_to\n\
             roam,north,reseller,Roam,USD,2000-01-01,2025-10-12\nroam,south,reseller,Roam,USD,2025-10-12,\n\
             leaf,roam,customer,Leaf,USD,2000-01-01,\n",
        )
        .await;
    fixture.accounts("a-leaf,leaf").await;
    fixture.card("retail-roam", "roam", "", "markup_pct", "10").await;
    fixture.user("finance@roam", "roam", "finance").await;
    fixture.user("admin@south", "south", "admin").await;
    let later = Line { from: "2025-10-20T00:00:00Z", to: "2025-10-20T01:00:00Z", ..Line::usage("a-leaf", "1000") };
    fixture.land("october.csv", &[Line::usage("a-leaf", "10"), later]).await;
    fixture
}

#[tokio::test]
async fn a_node_that_moved_keeps_its_old_rows_and_its_new_parent_does_not_get_them() {
    let fixture = moved().await;
    let select = "select node_path, cost from charges order by cost";
    // 10 × 1.1 = 11: used before the move.
    assert_eq!(rows(&fixture.session("finance@north"), select).await, ["north/roam/leaf|11"]);
    // 1,000 × 1.2 = 1,200: used after it.
    assert_eq!(rows(&fixture.session("finance@south"), select).await, ["south/roam/leaf|1200"]);
    // 11 × 1.5 = 16.5; 1,200 × 2 = 2,400.
    assert_eq!(rows(&fixture.session("finance@roam"), select).await, ["roam/leaf|16.5", "roam/leaf|2400"]);
}

#[tokio::test]
async fn a_former_parent_can_neither_see_nor_write_what_came_after_the_move() {
    let fixture = moved().await;
    let north = fixture.session("admin@north");
    run(&fixture.admin(), "create user \"admin@roam\" password 'correct horse' node 'roam' role admin").await;
    // A login at the node that left.
    let login = "create user \"spy@north\" password 'correct horse' node 'roam' role finance";
    assert_eq!(refused(&north, login).await.sqlstate, "42704");
    let login = "alter user \"finance@roam\" password 'correct donkey'";
    assert_eq!(refused(&north, login).await.sqlstate, "42704");
    // Its account, cards and policies.
    for write in [
        "update ref.accounts set node_id = 'acme' where sub_account_id = 'a-leaf'",
        "update ref.rate_cards set name = 'mine' where card_id = 'retail-roam'",
        "insert into ref.charge_policies (node_id, charge_category, policy) values ('roam', 'Usage', 'retain')",
        "insert into ref.rate_cards (card_id, seller_node_id, currency, name) values ('x.north', 'roam', 'EUR', 'x')",
    ] {
        match ask(&north, write).await {
            Ok(shown) => assert_eq!(shown.tag, "UPDATE 0", "{write}"),
            Err(error) => assert_eq!(error.sqlstate, "42501", "{write}"),
        }
    }
    let cards = "select count(*) from ref.rate_cards where card_id = 'retail-roam'";
    assert_eq!(rows(&north, cards).await, ["0"]);
    assert_eq!(rows(&fixture.session("finance@south"), cards).await, ["1"]);
    // The invoice of the month of the move has charges of both: it is shown to neither reseller above.
    run(&fixture.admin(), "call close_period('2025-10')").await;
    let invoices = "select count(*) from invoices where seller_node_id = 'roam'";
    assert_eq!(rows(&north, invoices).await, ["0"]);
    assert_eq!(rows(&fixture.session("finance@south"), invoices).await, ["0"]);
    assert_eq!(rows(&fixture.session("finance@roam"), invoices).await, ["1"]);
}

#[tokio::test]
async fn an_account_that_changes_owner_within_a_month_is_split_at_the_instant() {
    let fixture = Fixture::chain().await;
    fixture
        .copy(
            "accounts",
            "provider_name,billing_account_id,sub_account_id,node_id,valid_from,valid_to\n\
             Globex,B1,a-shift,acme,2000-01-01,2025-10-12\nGlobex,B1,a-shift,core,2025-10-12,\n",
        )
        .await;
    // 31 over 31 days: 1 a day.
    fixture.land("october.csv", &[Line::october("a-shift", "31")]).await;
    let select = "select cost, charge_period_start, charge_period_end from charges";
    // 11 × 1.1 × 1.5 = 18.15.
    let portal = rows(&fixture.session("portal@acme"), select).await;
    assert_eq!(portal, ["18.15|2025-10-01T00:00:00Z|2025-10-12T00:00:00Z"]);
    // 20 × 1.2 = 24.
    let south = rows(&fixture.session("finance@south"), select).await;
    assert_eq!(south, ["24|2025-10-12T00:00:00Z|2025-11-01T00:00:00Z"]);
}

#[tokio::test]
async fn what_a_seller_retains_or_cannot_price_does_not_exist_below_it() {
    let fixture = Fixture::chain().await;
    // The root passes taxes on to north; north says nothing of taxes, so it keeps them.
    fixture
        .copy(
            "charge_policies",
            "node_id,buyer_node_id,charge_category,policy\ndist,north,Tax,pass\nnorth,bolt,Usage,retain\n",
        )
        .await;
    // Gadgets are rated in pieces only; these are metres.
    fixture
        .copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\ncore-terms,south,core,USD,Core\n")
        .await;
    fixture.copy("rate_card_versions", "card_id,version\ncore-terms,1\n").await;
    fixture
        .copy(
            "rate_rules",
            "card_id,version,rule_id,service_name,unit,method,value\ncore-terms,1,gadgets,Gadgets,Pieces,unit_price,5\n",
        )
        .await;
    fixture.activate("core-terms", "1").await;
    let tax = Line { category: "Tax", ..Line::usage("a-acme", "7") };
    let gadgets = Line { service: "Gadgets", unit: "Metres", ..Line::usage("a-core", "30") };
    fixture.land("october.csv", &[tax, gadgets, Line::usage("a-bolt", "50")]).await;
    let select = "select node_id, charge_category, outcome, cost from charges order by node_id, cost";
    assert_eq!(
        rows(&fixture.session("finance@north"), select).await,
        ["acme|Tax|retained|7", "bolt|Usage|retained|55"]
    );
    assert!(rows(&fixture.session("portal@acme"), select).await.is_empty());
    // 30 × 1.2 = 36.
    assert_eq!(rows(&fixture.session("finance@south"), select).await, ["core|Usage|unrated|36"]);
    fixture.user("portal@core", "core", "portal").await;
    fixture.user("portal@bolt", "bolt", "portal").await;
    for login in ["portal@core", "portal@bolt"] {
        let session = fixture.session(login);
        for relation in ["charges", "charges_daily", "charges_monthly", "focus.cost_and_usage_1_4", "allocations"] {
            let count = format!("select count(*) from {relation}");
            assert_eq!(rows(&session, &count).await, ["0"], "{login} {relation}");
        }
    }
}

#[tokio::test]
async fn a_seller_that_does_not_disclose_hides_its_sales_from_those_above() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    run(&admin, "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    run(&admin, "call close_period('2025-10')").await;
    let finance = fixture.session("finance");
    let tiers = "select payer_node_id, amount from charges_by_tier where depth = 2 order by 1";
    // Only south's sale: 480 × 2 = 960.
    assert_eq!(rows(&finance, tiers).await, ["core|960"]);
    let margins = "select seller_node_id, buyer_node_id, margin from margins where basis = 'billed' order by 1, 2";
    assert_eq!(rows(&finance, margins).await, ["dist|north|31", "dist|south|80", "south|core|480"]);
    for relation in ["invoices", "invoice_lines"] {
        let sellers = format!("select distinct seller_node_id from {relation} order by 1");
        assert_eq!(rows(&finance, &sellers).await, ["dist", "south"], "{relation}");
    }
    // The stored edges are the sums of those that it sees: the provider's, the root's own sales, and south's.
    let edges = |relation: &str| {
        format!(
            "select depth, seller_node_id, payer_node_id, currency, outcome, seller_currency, is_invoiced, sum(amount), sum(seller_cost), sum(usage_rows) \
             from {relation} group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3"
        )
    };
    let shown = rows(&finance, &edges("ops.edges_monthly")).await;
    assert_eq!(shown, rows(&finance, &edges("tiers_monthly")).await);
    assert_eq!(shown.len(), 1 + 2 + 1, "{shown:?}");
    assert!(shown[3].starts_with("2|south|core|") && shown[3].contains("|960|480|"), "{shown:?}");
    refused(&fixture.session("finance@north"), "select count(*) from ops.edges_monthly").await;
    // Nor its terms.
    let north = fixture.session("finance@north");
    let cards = rows(&north, "select card_id from ref.rate_cards where seller_node_id = 'north'").await;
    assert!(!cards.is_empty());
    for table in ["ref.rate_cards", "ref.rate_card_versions", "ref.rate_rules"] {
        let count = format!("select count(*) > 0 from {table} where card_id = '{}'", cards[0]);
        assert_eq!(rows(&north, &count).await, ["true"], "{table}");
        assert_eq!(rows(&admin, &count).await, ["false"], "{table}");
    }
    // North itself still sees them: 165 - 110 and 330 - 220.
    let own = rows(&fixture.session("finance@north"), margins).await;
    assert_eq!(own, ["north|acme|55", "north|bolt|110"]);
}

#[tokio::test]
async fn what_a_seller_pays_one_that_does_not_disclose_is_hidden_above_both() {
    let fixture = Fixture::chain().await;
    fixture.nodes("desk,acme,department").await;
    fixture.accounts("a-desk,desk").await;
    fixture.land("october.csv", &[Line::usage("a-desk", "100")]).await;
    let admin = fixture.admin();
    let edges = |relation: &str| {
        format!(
            "select seller_node_id, payer_node_id, amount, seller_cost from {relation} where seller_node_id is not null order by depth"
        )
    };
    let simulated = "select seller_node_id, buyer_node_id, charged, cost, margin \
                     from simulate_rate_card('wholesale-north', 1, '2025-10', '2025-10') order by seller_node_id = 'acme', 1";
    let finance = fixture.session("finance");
    // 100, 110 and 165, which acme passes on.
    let all = ["dist|north|110|100", "north|acme|165|110", "acme|desk|165|165"];
    for relation in ["tiers_monthly", "ops.edges_monthly"] {
        assert_eq!(rows(&finance, &edges(relation)).await[1..], all[1..], "{relation}");
    }
    run(&admin, "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    for relation in ["tiers_monthly", "ops.edges_monthly"] {
        let shown = rows(&finance, &edges(relation)).await;
        assert_eq!((shown.len(), shown[1].as_str()), (2, "acme|desk|165|null"), "{relation}");
    }
    assert_eq!(rows(&finance, simulated).await, ["dist|north|110|100|10", "acme|desk|165|null|null"]);
    // North sees what it sells.
    assert_eq!(rows(&fixture.session("finance@north"), &edges("tiers_monthly")).await, all[1..]);
    // What is not shown is not missed.
    assert_eq!(rows(&finance, "select scope from ops.reconciliation where status = 'broken'").await, [""; 0]);
    assert_eq!(rows(&finance, "select scope from ops.close_blockers where blocker = 'rollup_mismatch'").await, [""; 0]);
}

/// Everything that a session can read, with its relation's name before each row.
async fn everything(session: &Session) -> Vec<String> {
    let relations = "select table_schema || '.' || table_name from information_schema.tables where table_schema in ('public', 'focus', 'ref', 'ops')";
    let mut relations = rows(session, relations).await;
    assert!(relations.len() > 5, "{relations:?}");
    let system = ["pg_roles", "pg_user", "pg_class", "pg_description", "pg_settings", "pg_namespace"];
    relations.extend(system.map(|name| format!("pg_catalog.{name}")));
    let mut found = Vec::new();
    for relation in relations {
        for row in rows(session, &format!("select * from {relation}")).await {
            found.push(format!("{relation}: {row}"));
        }
    }
    found
}

/// A warehouse in which every node has marks of its own wherever text or money is kept.
async fn marked() -> Fixture {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    for node in ["north", "south", "acme", "bolt", "core"] {
        run(&admin, &format!("update ref.nodes set name = 'Name-of-{node}' where node_id = '{node}'")).await;
    }
    for card in ["wholesale-north", "wholesale-south", "retail-north", "retail-south"] {
        run(&admin, &format!("update ref.rate_cards set name = 'Terms-of-{card}' where card_id = '{card}'")).await;
    }
    for (login, node) in [("portal@bolt", "bolt"), ("portal@core", "core"), ("admin@south", "south")] {
        fixture.user(login, node, "portal").await;
    }
    let owners = ["acme", "bolt", "core", "north"];
    let costs = ["101.10731", "203.20917", "407.30519", "11.70131"];
    let texts: Vec<[String; 5]> = owners
        .iter()
        .map(|node| {
            [
                format!("a-{node}"),
                format!("Resource-of-{node}"),
                format!("Service-of-{node}"),
                format!("Sku-of-{node}"),
                format!("{{\"owner\": \"Tag-of-{node}\"}}"),
            ]
        })
        .collect();
    let lines: Vec<Line<'_>> = texts
        .iter()
        .zip(costs)
        .map(|([account, resource, service, sku, tags], cost)| Line {
            resource,
            service,
            sku,
            tags,
            description: resource,
            list: "999.5",
            ..Line::usage(account, cost)
        })
        .collect();
    fixture.land("october.csv", &lines).await;
    run(&admin, "call close_period('2025-10')").await;
    fixture
}

#[tokio::test]
async fn no_relation_of_a_login_holds_a_mark_of_somebody_else() {
    let fixture = marked().await;
    let texts =
        |node: &str| ["Name", "Resource", "Service", "Sku", "Tag"].map(|what| format!("{what}-of-{node}")).to_vec();
    let mut acme: Vec<String> = ["bolt", "core", "south"].iter().flat_map(|node| texts(node)).collect();
    // Its seller's own usage, cards, and what the seller pays: 101.10731 × 1.1 = 111.218041.
    acme.extend(
        [
            "Resource-of-north",
            "Service-of-north",
            "Tag-of-north",
            "Terms-of-",
            "wholesale-",
            "retail-",
            "101.10731",
            "111.218041",
            "@north",
            "@bolt",
            "finance",
            "markup",
        ]
        .map(str::to_owned),
    );
    let mut north: Vec<String> = ["core", "south"].iter().flat_map(|node| texts(node)).collect();
    // What the root pays, and what its own card says.
    north.extend(
        ["101.10731", "203.20917", "11.70131", "407.30519", "wholesale-", "-south", "@core", "@south"]
            .map(str::to_owned),
    );
    let mut south: Vec<String> = ["acme", "bolt", "north"].iter().flat_map(|node| texts(node)).collect();
    south.extend(["407.30519", "wholesale-", "-north", "@north", "@acme"].map(str::to_owned));
    for (login, foreign, own) in [
        // 111.218041 × 1.5 = 166.8270615.
        ("portal@acme", acme, ["Resource-of-acme", "166.8270615"]),
        ("finance@north", north.clone(), ["Resource-of-bolt", "111.218041"]),
        ("admin@north", north, ["Resource-of-acme", "111.218041"]),
        // 407.30519 × 1.2 = 488.766228.
        ("finance@south", south, ["Resource-of-core", "488.766228"]),
    ] {
        let found = everything(&fixture.session(login)).await;
        for mark in own {
            assert!(found.iter().any(|row| row.contains(mark)), "{login} does not see its own {mark}");
        }
        for mark in foreign {
            let leak = found.iter().find(|row| row.contains(&mark));
            assert!(leak.is_none(), "{login} sees {mark} in {leak:?}");
        }
    }
}
