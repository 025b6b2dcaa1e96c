//! Names, errors, plans and statements: what is refused, and that refusals tell nothing.

use crate::fixture::{Fixture, ask, refused, rows, run};

#[tokio::test]
async fn what_is_forbidden_and_what_is_absent_give_the_same_error() {
    let fixture = Fixture::chain_with_usage().await;
    let pairs = [
        ("portal@acme", "select * from {}", "margins", "marlins"),
        ("portal@acme", "select * from {}", "usage", "usance"),
        ("portal@acme", "select * from ops.{}", "deliveries", "delivering"),
        ("portal@acme", "select * from ref.{}", "users", "uzers"),
        ("portal@acme", "select {} from charges", "price", "prize"),
        ("portal@acme", "select {} from charges", "delivery_id", "delivery_ix"),
        ("portal@acme", "insert into ref.{} values (1)", "rate_cards", "rate_carps"),
        ("portal@acme", "delete from ref.{}", "rate_rules", "rate_mules"),
        ("portal@acme", "copy ref.{} from stdin", "users", "uzers"),
        ("finance@north", "select * from ops.{}", "snapshots", "snapdrags"),
        ("finance@north", "select * from focus.{}", "provider_cost_and_usage", "provider_dost_and_usage"),
        ("finance@north", "call submit('rate_card_version', '{}', 'why')", "retail-south/1", "retail-zouth/1"),
        ("finance@north", "call approve('rate_card_version', '{}', 'why')", "wholesale-north/1", "wholesale-horth/1"),
        ("admin@north", "alter user \"{}\" nologin", "finance@south", "finance@zouth"),
        ("admin@north", "drop user \"{}\"", "finance", "finanze"),
        ("admin@north", "create user \"x@north\" password 'correct horse' node '{}' role portal", "core", "zore"),
        (
            "admin@north",
            "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('x.north', '{}', 'customer', 'x', 'USD')",
            "south",
            "zouth",
        ),
        (
            "admin@north",
            "insert into ref.nodes (node_id, parent_id, kind, name, currency) values ('{}', 'north', 'customer', 'x', 'USD')",
            "core",
            "zore",
        ),
        (
            "admin@north",
            "insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id) values ('Globex', 'B1', '{}', 'acme')",
            "a-core",
            "a-zore",
        ),
        (
            "admin@north",
            "insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id) values ('Globex', 'B1', 'a-acme', '{}')",
            "core",
            "zore",
        ),
        (
            "admin@north",
            "insert into ref.attribution_rules (rule_id, owner_node_id, tag_key, node_id) values ('r', 'north', 'k', '{}')",
            "core",
            "zore",
        ),
        (
            "admin@north",
            "insert into ref.attribution_rules (rule_id, owner_node_id, tag_key, node_id) values ('r', '{}', 'k', 'acme')",
            "south",
            "zouth",
        ),
        (
            "admin@north",
            "insert into ref.rate_cards (card_id, seller_node_id, buyer_node_id, currency, name) values ('c.north', 'north', '{}', 'USD', 'c')",
            "core",
            "zore",
        ),
        (
            "admin@north",
            "insert into ref.rate_cards (card_id, seller_node_id, currency, name) values ('{}', 'north', 'EUR', 'c')",
            "retail-south",
            "retail-zouth",
        ),
        (
            "admin@north",
            "insert into ref.charge_policies (node_id, buyer_node_id, charge_category, policy) values ('north', '{}', 'Tax', 'pass')",
            "core",
            "zore",
        ),
        (
            "admin@north",
            "insert into ref.rate_card_versions (card_id, version) values ('{}', 7)",
            "retail-south",
            "retail-zouth",
        ),
        (
            "admin@north",
            "insert into ref.rate_card_versions (card_id, version, valid_from, valid_to, base_card_id, base_version) values ('retail-north', 7, '1990-01-01', '1991-01-01', '{}', 1)",
            "retail-south",
            "retail-zouth",
        ),
    ];
    for (login, template, forbidden, absent) in pairs {
        let session = fixture.session(login);
        let mut told = Vec::new();
        for name in [forbidden, absent] {
            let error = refused(&session, &template.replace("{}", name)).await;
            let text = format!("{} {error}", error.sqlstate);
            told.push(text.replace(name, "NAME"));
        }
        assert_eq!(told[0], told[1], "{login}: {template}");
    }
}

#[tokio::test]
async fn a_plan_shows_nothing_of_what_lies_below_a_relation() {
    let fixture = Fixture::chain_with_usage().await;
    let query = "select service_name, sum(cost) from charges where cost > 5 and service_name = 'Machines' group by 1";
    for login in ["portal@acme", "finance@north", "finance"] {
        let plan = rows(&fixture.session(login), &format!("explain {query}")).await.join("\n");
        assert!(plan.contains("ScopedScan: charges"), "{plan}");
        for hidden in [
            "parquet",
            "hot/",
            "wh:",
            "price",
            "outcome",
            "starts_with",
            "node_path",
            "dist",
            "statistics",
            "rows=",
            "Rows=",
            "files",
            "DataSource",
            "predicate=",
            "pruning",
        ] {
            assert!(!plan.contains(hidden), "{login} sees {hidden} in\n{plan}");
        }
    }
    for statement in ["explain analyze", "explain (analyze)"] {
        for login in ["portal@acme", "finance@north", "admin@north", "finance"] {
            let error = refused(&fixture.session(login), &format!("{statement} {query}")).await;
            assert_eq!(error.sqlstate, "42501", "{login}: {statement}");
        }
    }
    run(&fixture.admin(), &format!("explain analyze {query}")).await;
    // There is no more to tell them.
    let portal = fixture.session("portal@acme");
    let plain = rows(&portal, &format!("explain {query}")).await;
    assert_eq!(rows(&portal, &format!("explain verbose {query}")).await, plain);
}

#[tokio::test]
async fn plans_do_not_depend_on_how_much_others_have() {
    let small = Fixture::chain_with_usage().await;
    let large = Fixture::chain_with_usage().await;
    let names: Vec<String> = (0..400).map(|n| format!("r{n}")).collect();
    let lines: Vec<_> = names
        .iter()
        .map(|resource| crate::fixture::Line { resource, billing: "B2", ..crate::fixture::Line::usage("a-south", "1") })
        .collect();
    run(
        &large.admin(),
        "insert into ref.accounts (provider_name, billing_account_id, node_id) values ('Globex', 'B2', 'core')",
    )
    .await;
    large.land("more.csv", &lines).await;
    let statements = [
        "explain select * from charges order by cost limit 3",
        "explain select a.cost from charges a join charges_daily b on a.service_name = b.service_name",
        "select node_id, cost, outcome, tags from charges",
        "select * from charges_monthly",
        "select 1 / (cost - 165) from charges where node_id <> 'acme'",
        "select cast(service_name as bigint) from charges",
    ];
    for statement in statements {
        let mut answers = Vec::new();
        for fixture in [&small, &large] {
            let session = fixture.session("portal@acme");
            answers.push(match ask(&session, statement).await {
                Ok(shown) => format!("{:?}", shown.rows),
                Err(error) => format!("{} {error}", error.sqlstate),
            });
        }
        assert_eq!(answers[0], answers[1], "{statement}");
    }
}

#[tokio::test]
async fn statements_that_reach_outside_are_refused_and_leave_nothing_behind() {
    let fixture = Fixture::chain_with_usage().await;
    let target = fixture.path().join("stolen");
    let target = target.display();
    let corpus: [(String, &[&str]); 40] = [
        (format!("copy charges to '{target}'"), &["42501"]),
        (format!("copy (select * from charges) to '{target}' stored as parquet"), &["42501", "42601"]),
        (format!("copy (select 1) to program 'touch {target}'"), &["42501"]),
        ("copy ref.nodes from '/etc/passwd'".to_owned(), &["42501"]),
        ("copy ref.nodes from program 'id'".to_owned(), &["42501"]),
        (format!("create external table t stored as csv location '{target}'"), &["42501", "42601"]),
        ("create table t (a int)".to_owned(), &["42501"]),
        ("create table t as select * from charges".to_owned(), &["42501"]),
        ("create view v as select 1".to_owned(), &["42501"]),
        ("create schema s".to_owned(), &["42501"]),
        ("create function f() returns int language sql as 'select 1'".to_owned(), &["42501"]),
        ("create extension dblink".to_owned(), &["0A000", "42501"]),
        ("drop table charges".to_owned(), &["42501"]),
        ("truncate charges".to_owned(), &["42501"]),
        ("alter table charges add column x int".to_owned(), &["42501"]),
        ("grant select on charges to public".to_owned(), &["42501"]),
        ("set datafusion.execution.batch_size = 1".to_owned(), &["42704"]),
        ("set datafusion.catalog.location = '/etc'".to_owned(), &["42704"]),
        ("show datafusion.execution.batch_size".to_owned(), &["42704"]),
        ("set role dist".to_owned(), &["42501"]),
        ("set session authorization admin".to_owned(), &["42501"]),
        ("insert into charges (cost) values (1)".to_owned(), &["42501"]),
        ("insert into invoices (number) values ('1')".to_owned(), &["42501"]),
        ("update charges set cost = 0".to_owned(), &["42501"]),
        ("delete from invoices".to_owned(), &["42501"]),
        ("delete from charges_daily".to_owned(), &["42501"]),
        ("select pg_read_file('/etc/passwd')".to_owned(), &["42883", "42501"]),
        ("select * from pg_read_binary_file('/etc/passwd')".to_owned(), &["42883", "42501"]),
        ("select * from read_csv('/etc/passwd')".to_owned(), &["42883", "42P01"]),
        ("select * from '/etc/passwd'".to_owned(), &["42P01", "42601"]),
        ("select * from \"/etc/passwd\"".to_owned(), &["42P01"]),
        ("select * from \"file:///etc/passwd.csv\"".to_owned(), &["42P01"]),
        ("select * from parquet_metadata('x')".to_owned(), &["42883", "42P01"]),
        ("select lo_import('/etc/passwd')".to_owned(), &["42883"]),
        ("do $$ begin end $$".to_owned(), &["0A000", "42601"]),
        ("lock table charges".to_owned(), &["25P01"]),
        ("vacuum".to_owned(), &["0A000", "42601"]),
        ("attach database 'x' as y".to_owned(), &["0A000", "42601"]),
        ("load 'x.so'".to_owned(), &["0A000", "42601"]),
        ("select length(repeat('x', 2000000000))".to_owned(), &["53200"]),
    ];
    for login in ["portal@acme", "admin@north", "admin"] {
        let session = fixture.session(login);
        for (statement, states) in &corpus {
            // Who has no invoices is told so before being told that they are not written.
            let error = refused(&session, statement).await;
            assert!(states.contains(&error.sqlstate), "{login}: {statement}: {} {error}", error.sqlstate);
        }
    }
    assert!(!fixture.path().join("stolen").exists());
    // Nothing was changed either: acme still pays 165.
    let costs = rows(&fixture.session("portal@acme"), "select cost from charges").await;
    assert_eq!(costs, ["165"]);
}

#[tokio::test]
async fn procedures_are_for_those_who_may() {
    let fixture = Fixture::chain_with_usage().await;
    for call in [
        "call close_period('2025-10')",
        "call issue_invoices('2025-10')",
        "call refresh()",
        "call land('/etc/passwd')",
        "set ratehouse.snapshot = 1",
    ] {
        for login in ["portal@acme", "finance@north", "admin@north"] {
            let error = refused(&fixture.session(login), call).await;
            assert_eq!(error.sqlstate, "42501", "{login}: {call}");
        }
    }
    // The root's finance closes, but does not land.
    let finance = fixture.session("finance");
    assert_eq!(refused(&finance, "call land('/etc/passwd')").await.sqlstate, "42501");
    run(&finance, "call close_period('2025-10')").await;
}

#[tokio::test]
async fn a_login_that_was_changed_must_connect_again() {
    let fixture = Fixture::chain_with_usage().await;
    let portal = fixture.session("portal@acme");
    assert_eq!(rows(&portal, "select cost from charges").await, ["165"]);
    run(&fixture.admin(), "alter user \"portal@acme\" nologin").await;
    assert_eq!(refused(&portal, "select cost from charges").await.sqlstate, "57P01");
    run(&fixture.admin(), "alter user \"portal@acme\" login node 'bolt'").await;
    assert_eq!(refused(&portal, "select cost from charges").await.sqlstate, "57P01");
    // 200 × 1.1 × 1.5 = 330.
    assert_eq!(rows(&fixture.session("portal@acme"), "select cost from charges").await, ["330"]);
}
