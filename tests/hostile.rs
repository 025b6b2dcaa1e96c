//! Statements that are made to take all memory, all time or the process: each ends with an error of its own, the server lives,
//! and others are served.

use std::time::Duration;

use tokio_postgres::Client;

use crate::fixture::{Fixture, PASSWORD, refused, run};
use crate::wire::{connect, served};

/// Errors of what takes too much: memory, disk, complexity, columns, time.
const TOO_MUCH: [&str; 6] = ["53200", "53100", "54001", "54011", "54000", "57014"];

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("select {}{inner}{}", open.repeat(depth), close.repeat(depth))
}

/// Statements for a session whose statements may take a second.
fn bombs() -> Vec<String> {
    let mut bombs: Vec<String> = [
        "select lpad('x', 2000000000, 'y')",
        "select length(repeat('x', 1000 * 1000 * 2000))",
        "select length(repeat('x', (select 2000000000)))",
        "select array_repeat(1, 500000000)",
        "select array_repeat(1, (select 500000000))",
        "select range(0, (select 1000000000))",
        "select max(rpad(charge_id, (select 100000000), 'ab')) from charges",
        "select length(replace(replace(repeat('a', 1000000), 'a', repeat('b', 1000)), 'b', repeat('c', 1000)))",
        "select length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 10000), 'g'))",
        "select length(regexp_replace(repeat('a', 1000000), '(.*)', '\\1\\1\\1', 'g')) + length(repeat('x', (select 2000000000)))",
        "select count(*) from charges a, charges b, unnest(range(0, 100000000)) r",
        "select count(*) from generate_series(1, 1000000000000) g(x)",
        "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t",
        "with recursive t(s) as (select 'x' union all select s || s from t) select max(length(s)) from t",
        "select count(*) from generate_series(1, 100000) a(x), generate_series(1, 100000) b(x), generate_series(1, 100000) c(x) \
         where a.x + b.x = c.x * 7",
        "select sum(a.x * b.x) from generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(x)",
        "select a.x, b.x from generate_series(1, 1000000) a(x), generate_series(1, 1000000) b(x) order by a.x * b.x desc",
        "select string_agg(repeat(a.charge_id, 100000), ',') from charges a, generate_series(1, 100000) g(x)",
        "select count(*) from pg_class a, pg_attribute b, pg_proc c, pg_type d, pg_class e",
        "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t, pg_class",
        "select 1 from charges group by cube (charge_id, node_id, node_path, sku_id, service_name, region_id, unit, fate, outcome, origin)",
    ]
    .map(str::to_owned)
    .into();
    for link in ["1+", "1||", "true and ", "true or ", "1::int::", "1 union all select ", "1 is null is ", "not ", "- "]
    {
        bombs.push(format!("select {}1", link.repeat(20_000)));
    }
    for (open, inner, close) in [
        ("upper(", "'a'", ")"),
        ("array[", "1", "]"),
        ("row(", "1", ")"),
        ("not (", "true", ")"),
        ("cast(", "1", " as int)"),
        ("(select ", "1", ")"),
        ("exists (select ", "1", ")"),
        ("(", "1", ")"),
    ] {
        bombs.push(nested(open, inner, close, 200));
        bombs.push(nested(open, inner, close, 10_000));
    }
    let ors: Vec<String> = (0..2_000).map(|at| format!("charge_id = 'c{at}'")).collect();
    bombs.push(format!("select count(*) from charges where {}", ors.join(" or ")));
    bombs.push(format!("select count(*) from charges where node_id in ({}'x')", "'y',".repeat(150_000)));
    let fan: String = (1..40).map(|at| format!(", c{at} as (select * from c{p}, c{p})", p = at - 1)).collect();
    bombs.push(format!("with c0 as (select 1 from charges){fan} select count(*) from c39"));
    bombs.push(format!("select count(*) from charges{}", " natural join charges".repeat(1_000)));
    bombs.push(format!("select {}1 from charges", "charge_id, ".repeat(40_000)));
    bombs
}

async fn logged_in(fixture: &Fixture, login: &str) -> (ratehouse::wire::Server, Client) {
    let server = served(fixture).await;
    let client = connect(server.local_addr().port(), login, PASSWORD).await.expect("a login");
    (server, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_much_ends_with_its_error_and_others_are_served() {
    let fixture = Fixture::chain_with_usage().await;
    let (server, mut bomber) = logged_in(&fixture, "portal@acme").await;
    let port = server.local_addr().port();
    let other = connect(port, "finance@south", PASSWORD).await.expect("a login");
    let mut others = Vec::new();
    for bomb in bombs() {
        let shown: String = bomb.chars().take(120).collect();
        bomber.simple_query("set statement_timeout = '1s'").await.expect("it may be set");
        let answer = tokio::time::timeout(Duration::from_secs(120), bomber.simple_query(&bomb)).await;
        let error = answer.unwrap_or_else(|_| panic!("no answer: {shown}")).err();
        let code = error.as_ref().and_then(|error| error.code()).map(|code| code.code().to_owned());
        if !code.as_deref().is_some_and(|code| TOO_MUCH.contains(&code)) {
            others.push(format!("{shown}: {error:?}"));
        }
        // Neither this connection's next statement nor another login waits for what was stopped.
        let next = async {
            let small = other.simple_query("select count(*) from charges").await;
            small.expect("another login is served");
            while bomber.simple_query("select count(*) from charges").await.is_err() {}
        };
        tokio::time::timeout(Duration::from_secs(120), next)
            .await
            .unwrap_or_else(|_| panic!("nobody is served: {shown}"));
        if bomber.is_closed() {
            bomber = connect(port, "portal@acme", PASSWORD).await.expect("a login");
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    // Lengths that are parameters.
    let lengths = [
        ("select length(repeat('x', $1::int))", 2_000_000_000_i32),
        ("select array_repeat(1, $1::int)", 1_000_000_000),
    ];
    for (sql, length) in lengths {
        let error = bomber.query(sql, &[&length]).await.expect_err("too long");
        assert!(error.code().is_some_and(|code| TOO_MUCH.contains(&code.code())), "{sql}: {error:?}");
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_and_copies_take_of_the_memory_of_their_login() {
    let fixture = Fixture::chain().await;
    std::fs::write(fixture.path().join("ratehouse.toml"), "memory_mib = 64\nsession_memory_mib = 32\n")
        .expect("a file");
    let fixture = fixture.reopened();
    let (server, client) = logged_in(&fixture, "admin@north").await;
    let long = format!("select count(*) from charges where charge_id in ({}'x')", "'0123456789abcdef',".repeat(5_000));
    let mut kept = Vec::new();
    let full = loop {
        match client.prepare(&long).await {
            Ok(statement) => kept.push(statement),
            Err(error) => break error,
        }
        assert!(kept.len() < 100, "nothing is counted");
    };
    assert_eq!(full.code().map(|code| code.code()), Some("53200"));
    kept.clear();
    client.simple_query("discard all").await.expect("they are forgotten");
    client.prepare(&long).await.expect("there is room again");

    let sink = client.copy_in("copy ref.rate_cards from stdin").await.expect("it takes rows");
    futures::pin_mut!(sink);
    let mut refused = None;
    for _ in 0..200 {
        if let Err(error) = futures::SinkExt::send(&mut sink, bytes::Bytes::from("\n".repeat(1 << 20))).await {
            refused = Some(error);
            break;
        }
    }
    let error = match refused {
        Some(error) => error,
        None => sink.finish().await.expect_err("far too many rows"),
    };
    assert!(error.code().is_none_or(|code| ["53200", "54000"].contains(&code.code())), "{error:?}");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_changed_loses_its_cursors_portals_and_open_block() {
    for change in ["nologin", "role portal", "node 'south'"] {
        let fixture = Fixture::chain_with_usage().await;
        fixture.user("temp@north", "north", "admin").await;
        let (server, mut client) = logged_in(&fixture, "temp@north").await;
        let port = server.local_addr().port();
        client.simple_query("begin").await.expect("a block");
        client.simple_query("declare c cursor with hold for select * from charges").await.expect("a cursor");
        client.simple_query("fetch 1 from c").await.expect("a row");
        client
            .simple_query(
                "insert into ref.charge_policies (node_id, charge_category, policy) values ('north', 'Tax', 'pass')",
            )
            .await
            .expect("a change");
        let writing = connect(port, "temp@north", PASSWORD).await.expect("a login");
        writing.simple_query("begin").await.expect("a block");
        writing
            .simple_query(
                "insert into ref.charge_policies (node_id, charge_category, policy) values ('north', 'Credit', 'pass')",
            )
            .await
            .expect("a change");
        let mut suspended = connect(port, "temp@north", PASSWORD).await.expect("a login");
        let block = suspended.transaction().await.expect("a block");
        let portal = block.bind("select * from charges", &[]).await.expect("a portal");
        assert_eq!(block.query_portal(&portal, 1).await.expect("a row").len(), 1);

        run(&fixture.admin(), &format!("alter user \"temp@north\" {change}")).await;

        let ended = |error: tokio_postgres::Error| error.code().map(|code| code.code().to_owned());
        assert_eq!(ended(client.simple_query("fetch 1 from c").await.expect_err(change)).as_deref(), Some("57P01"));
        assert_eq!(ended(writing.simple_query("commit").await.expect_err(change)).as_deref(), Some("57P01"));
        assert_eq!(ended(block.query_portal(&portal, 1).await.expect_err(change)).as_deref(), Some("57P01"));
        drop(block);
        // The connection is over, not only the statement.
        assert!(client.simple_query("select 1").await.is_err());
        client = connect(port, "finance@north", PASSWORD).await.expect("a login");
        let rows = client.query("select count(*) from ref.charge_policies", &[]).await.expect("rows");
        assert_eq!(rows[0].get::<_, i64>(0), 0, "nothing of the open blocks is kept");
        server.shutdown().await;
    }
}

#[tokio::test]
async fn names_of_rows_do_not_change_below_the_root() {
    let fixture = Fixture::chain_with_usage().await;
    let north = fixture.session("admin@north");
    // Under the name of a stranger's node, card or rule, or under a free name: the same error.
    for (table, column, own, names) in [
        ("nodes", "node_id", "acme", ["core", "nobody"]),
        ("rate_cards", "card_id", "retail-north", ["wholesale-south", "nothing"]),
    ] {
        let errors: Vec<String> = {
            let mut errors = Vec::new();
            for name in names {
                let error =
                    refused(&north, &format!("update ref.{table} set {column} = '{name}' where {column} = '{own}'"))
                        .await;
                errors.push(format!("{error:?}"));
            }
            errors
        };
        assert_eq!(errors[0], errors[1]);
        assert!(errors[0].contains("42501"), "{}", errors[0]);
    }
}
