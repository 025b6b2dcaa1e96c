//! The known paths by which a warehouse could leak, by their numbers: each with what would go along it.
//!
//! Those that two worlds show are statements whose answers must be the same bytes; the others have tests of their own here, or
//! elsewhere: L4 in `wire/tests/login.rs`, L8 in `hostile.rs`, L12 and L13 in the tests of `allocate`, L26 and L27 in the layout
//! of files (`landing.rs`), as a test does not look at the clock.

use super::tap::Tapped;
use super::worlds::{self, CANARY, Pair};
use crate::fixture::{Fixture, PASSWORD, refused, rows};
use crate::wire::{connect, served};

/// By leak path, what two worlds answer alike.
const ALIKE: &[(&str, &[&str])] = &[
    (
        "L1 rows through another scope",
        &[
            "select a.charge_id, b.price from charges a join charges b on a.node_id <> b.node_id order by 1, 2",
            "with q as (select * from charges union all select * from charges) select node_id, sum(cost) from q group by 1 order by 1",
            "select node_id from charges where node_id in (select node_id from ref.nodes) order by 1",
            "with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) select count(*) from t, charges",
            "select (select count(*) from charges c where c.node_id = n.node_id) from ref.nodes n order by 1",
            "select n.node_id, l.c from ref.nodes n, lateral (select count(*) as c from charges c where c.node_id = n.node_id) l order by 1",
        ],
    ),
    (
        "L2 values in errors",
        &[
            "select cast(description as int) from charges",
            "select 1 / (cost - cost) from charges",
            "select cast(sku_id as date) from charges",
            "select cast(tags as numeric) from charges",
            "select cost * 99999999999999999999 * 99999999999999999999 from charges",
            "select to_date(description, 'YYYY-MM-DD') from charges",
            "select resource_id ~ '(' from charges",
            "select cast(cost as smallint) from charges_monthly",
        ],
    ),
    (
        "L3 prices of other edges",
        &[
            "select seller_node_id, payer_node_id, depth, sum(amount) from charges_by_tier group by 1, 2, 3 order by 1, 2, 3",
            "select * from tiers_monthly order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14",
            "select * from margins order by 1, 2, 3, 4",
            "select rule_tags, usage_rows, cost from charges_daily order by 3, 2, 1",
            "select price_0 from charges",
            "select price_1 from charges",
            "select effective_cost from charges",
            "select * from ref.rate_rules order by 1, 2, 3",
        ],
    ),
    (
        "L5 files",
        &[
            "copy charges to '/tmp/out'",
            "copy charges to program 'cat'",
            "copy ref.nodes from '/etc/passwd'",
            "create external table t stored as csv location '/etc/passwd'",
            "select * from '/etc/passwd'",
            "select * from read_parquet('/etc/passwd')",
            "select pg_read_file('/etc/passwd')",
            "insert into charges select * from charges",
        ],
    ),
    (
        "L6 plans",
        &[
            "explain select sum(cost) from charges where cost > 5 group by node_id",
            "explain select * from charges a join charges_daily b on a.charge_date = b.charge_date",
            "explain select * from tiers_monthly",
            "explain analyze select * from charges",
            "explain verbose select * from charges",
        ],
    ),
    (
        "L7 statistics",
        &[
            "select min(cost), max(cost), count(*), min(node_path), max(node_path) from charges",
            "select min(charge_date), max(charge_date), count(*) from charges_daily",
            "select min(billing_period), max(billing_period), count(*) from charges_monthly",
            "select relname, reltuples, relpages from pg_class order by 1",
            "select * from pg_stats",
        ],
    ),
    (
        "L11 functions of other terms",
        &[
            "select * from rate_lookup('core', date '2025-10-05', cost => 5)",
            "select * from rate_lookup('secret-mid', date '2025-10-05', cost => 5)",
            "select * from rate_lookup('dist', date '2025-10-05', cost => 5)",
            "select * from simulate_rate_card('retail-south', 1, '2025-10', '2025-10')",
            "select * from simulate_rate_card('wholesale-north', 1, '2025-10', '2025-10')",
            "select * from simulate_rate_card('secret-core', 2, '2025-10', '2025-10')",
            "select fx(1, 'USD', 'EUR', date '2025-10-05')",
            "select mask_margin('core', 5)",
        ],
    ),
    (
        "L14 prices by the volume of others",
        &["select sum(cost), sum(quantity), sum(cost) / nullif(sum(quantity), 0) from charges"],
    ),
    (
        "L15 both currencies",
        &[
            "select distinct cost_currency, fx_rate_id from charges order by 1, 2",
            "select distinct cost_currency, fx_rate_id from charges_monthly order by 1, 2",
            "select column_name from information_schema.columns where column_name like '%currency%' order by table_name, 1",
        ],
    ),
    ("L16 digits of a price", &["select cost, cost::text, length(cost::text) from charges order by 1"]),
    (
        "L17 numbers of documents",
        &[
            "select number, total, line_count from invoices order by 1",
            "select * from invoice_lines order by 1, 2, 3, 4, 5, 6",
            "select charge_id from charges order by 1",
        ],
    ),
    (
        "L18 times of others' changes",
        &[
            "select * from invoices order by 1, 2, 3",
            "select node_id, valid_from, valid_to from ref.nodes order by 1, 2",
            "select count(*), min(charge_period_start), max(charge_period_end) from charges",
            "select charge_date, count(*) from charges group by 1 order by 1",
            "select charge_date, usage_rows from charges_daily order by 1, 2",
        ],
    ),
    ("L19 object ids", &["select oid, relname from pg_class order by 1", "select 'charges'::regclass::oid"]),
    (
        "L21 sessions of others",
        &["select * from pg_stat_activity", "select * from pg_locks", "select * from pg_stat_statements"],
    ),
    (
        "L22 catalogs",
        &[
            "select * from pg_roles order by 1",
            "select * from pg_user order by 1",
            "select * from pg_namespace order by oid",
            "select * from pg_description order by 1, 2, 3",
            "select * from pg_views order by 1, 2",
            "select * from information_schema.views order by 1, 2, 3",
            "select * from information_schema.table_privileges order by 1, 2, 3, 4, 5, 6",
            "select * from ref.users order by 1",
        ],
    ),
    ("L23 hints", &["select secret from charges", "select * from secret_table", "select secret_function(1)"]),
    (
        "L28 rows of masked joins",
        &[
            "select count(*) from charges a join charges_by_tier b on a.charge_id = b.charge_id",
            "select count(*) from charges a full join charges_monthly b on a.node_id = b.node_id",
            "select count(*) from invoices a left join invoice_lines b on a.number = b.number",
        ],
    ),
    (
        "L29 order of rows",
        &["select * from charges order by charge_id", "select charge_id from charges order by cost, 1"],
    ),
    (
        "L30 descriptions, tags and notices",
        &["select * from charges where false", "begin; begin; commit; commit", "show all", "fetch 1 from nothing"],
    ),
    (
        "L31 the audit trail of others",
        &["select * from ops.changes", "select * from ops.approvals order by 1, 2, 3", "select * from ops.snapshots"],
    ),
    (
        "L34 forbidden and absent",
        &[
            "select * from usage",
            "select * from ops.deliveries",
            "alter user \"secret\" nologin",
            "drop user \"finance@south\"",
            "call approve('rate_card_version', 'secret-card/1', 'why')",
            "update ref.rate_cards set name = 'x' where card_id = 'secret-card'",
            "delete from ref.nodes where node_id = 'core'",
            "insert into ref.accounts (provider_name, billing_account_id, sub_account_id, node_id) values ('Globex', 'B1', 'a-secret', 'acme')",
        ],
    ),
];

async fn paths(pair: &Pair) {
    let servers = [served(&pair.one).await, served(&pair.other).await];
    for login in pair.logins {
        let [one, other] = [Tapped::connect(&servers[0], login).await, Tapped::connect(&servers[1], login).await];
        for (path, statements) in ALIKE {
            for sql in *statements {
                let (a, b) = (one.simple(sql).await, other.simple(sql).await);
                // Without an order, rows come as they are stored.
                let is_ordered = sql.contains("order by");
                assert!(
                    super::messages(&a, is_ordered) == super::messages(&b, is_ordered),
                    "{path}: {login} in {}: {sql}\n{}\n{}",
                    pair.name,
                    super::readable(&a),
                    super::readable(&b)
                );
                let shows = a.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
                assert!(!shows, "{path}: {login} reads a hidden row: {sql}");
            }
        }
    }
    for server in servers {
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leak_paths_beside_and_above_a_reseller() {
    paths(&worlds::beside_a_reseller().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leak_paths_beside_and_above_a_customer() {
    paths(&worlds::above_a_customer().await).await;
}

/// One connection sets what can be set; another one's answers stay what they were.
#[tokio::test(flavor = "multi_thread")]
async fn l9_settings_are_those_of_one_connection() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let port = server.local_addr().port();
    let watched = Tapped::connect(&server, "portal@acme").await;
    let questions = ["show all", "select * from charges", "select now() > '2020-01-01', current_setting('TimeZone')"];
    let mut before = Vec::new();
    for sql in questions {
        before.push(watched.simple(sql).await);
    }
    let other = connect(port, "portal@acme", PASSWORD).await.expect("a login");
    for sql in [
        "set timezone = 'Asia/Tokyo'",
        "set search_path = ref",
        "set statement_timeout = 1234",
        "set datestyle = 'ISO, DMY'",
        "set application_name = 'other'",
        "set datafusion.execution.target_partitions = 7",
        "set role admin",
        "select set_config('extra_float_digits', '0', false)",
    ] {
        let _ = other.simple_query(sql).await;
    }
    for (sql, answer) in questions.iter().zip(before) {
        assert!(watched.simple(sql).await == answer, "{sql}");
    }
    server.shutdown().await;
}

/// The same text for two principals in turn gives each its own, however often it was planned for the other.
#[tokio::test]
async fn l10_no_plan_or_result_of_one_is_used_for_another() {
    let fixture = Fixture::chain_with_usage().await;
    let select = "select node_id, cost from charges order by 1";
    let expected = [("portal@acme", vec!["acme|165"]), ("finance@south", vec!["core|480"])];
    let sessions = expected.clone().map(|(login, _)| fixture.session(login));
    for _ in 0..50 {
        for ((_, wanted), session) in expected.iter().zip(&sessions) {
            assert_eq!(rows(session, select).await, *wanted);
        }
    }
}

/// Numbers of backends are random: neither do they grow, nor do two follow each other.
#[tokio::test(flavor = "multi_thread")]
async fn l20_backend_numbers_tell_nothing_of_other_logins() {
    let fixture = Fixture::chain().await;
    let server = served(&fixture).await;
    let mut pids = Vec::new();
    for _ in 0..24 {
        let client = connect(server.local_addr().port(), "portal@acme", PASSWORD).await.expect("a login");
        let row = client.query_one("select pg_backend_pid()", &[]).await.expect("a number");
        pids.push(row.get::<_, i32>(0));
    }
    let grows = pids.windows(2).filter(|pair| pair[0] < pair[1]).count();
    // Of 23 steps of random numbers fewer than 2 or more than 21 go one way once in ten thousand runs at most.
    assert!((2..=21).contains(&grows), "{pids:?}");
    assert!(pids.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 16), "{pids:?}");
    server.shutdown().await;
}

/// What memory is short of names nobody.
#[tokio::test]
async fn l24_errors_of_resources_have_one_text() {
    let fixture = Fixture::chain_with_usage().await;
    for login in ["portal@acme", "finance@south"] {
        let error = refused(&fixture.session(login), "select length(repeat('x', (select 2000000000)))").await;
        assert_eq!((error.sqlstate, error.message.as_str()), ("53200", "out of memory"));
        assert!(error.detail.is_none(), "{error:?}");
    }
}

/// One login that has all its places leaves those of others.
#[tokio::test(flavor = "multi_thread")]
async fn l25_places_of_one_are_not_those_of_others() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let port = server.local_addr().port();
    let mut held = Vec::new();
    while let Ok(client) = connect(port, "portal@acme", PASSWORD).await {
        held.push(client);
        assert!(held.len() < 1_000, "there is no limit");
    }
    let other = connect(port, "finance@south", PASSWORD).await.expect("another login has its own places");
    other.simple_query("select * from charges").await.expect("rows");
    server.shutdown().await;
}

/// Temporary files are the process's own.
#[cfg(unix)]
#[tokio::test]
async fn l32_temporary_files_are_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::chain_with_usage().await;
    let folder = fixture.path().join("tmp");
    let entries: Vec<_> = std::fs::read_dir(&folder).expect("there are temporary files").flatten().collect();
    assert!(!entries.is_empty());
    for entry in entries {
        let mode = entry.metadata().expect("a directory").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:o}", mode);
    }
}

/// What a client claims when it connects is not who it is.
#[tokio::test(flavor = "multi_thread")]
async fn l33_start_up_options_change_nobodys_rights() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    for options in [
        "-c role=admin",
        "-c node=dist",
        "-c ratehouse.snapshot=1",
        "-c session_authorization=admin",
        "-c is_superuser=on",
        "-c ratehouse.node=dist",
    ] {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(server.local_addr().port()).user("portal@acme").password(PASSWORD);
        config.dbname("ratehouse").options(options);
        let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await else { continue };
        tokio::spawn(connection);
        let row = client.query_one("select count(*), current_user::text from charges", &[]).await;
        let row = match row {
            Ok(row) => row,
            Err(_) => client.query_one("select count(*), 'portal@acme' from charges", &[]).await.expect("rows"),
        };
        assert_eq!(row.get::<_, i64>(0), 1, "{options}");
    }
    server.shutdown().await;
}
