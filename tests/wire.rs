//! The Postgres face over a warehouse, as a driver sees it.

mod numeric;
mod rates;
mod tags;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::SinkExt;
use ratehouse::serve::Served;
use ratehouse::wire::config::ServeConfig;
use ratehouse::wire::{Server, serve};
use tokio::runtime::{Handle, Runtime};
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use crate::fixture::{Fixture, PASSWORD, refused, run};
use numeric::Numeric;

/// Where statements run: threads that serve no sockets.
fn work() -> Handle {
    static WORK: OnceLock<Runtime> = OnceLock::new();
    let runtime = WORK.get_or_init(|| {
        // Unoptimised code needs more of its stack than the program's threads have.
        let threads = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(64 << 20).build();
        threads.expect("threads can be started")
    });
    runtime.handle().clone()
}

pub(crate) async fn served(fixture: &Fixture) -> Server {
    let config = ServeConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), work());
    let backend = Arc::new(Served(fixture.warehouse.clone()));
    serve(backend, config).await.expect("a free port")
}

/// Logs in at a port of this machine.
pub(crate) async fn connect(port: u16, login: &str, password: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(login)
        .password(password)
        .dbname("ratehouse")
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn client(server: &Server, login: &str) -> Client {
    connect(server.local_addr().port(), login, PASSWORD).await.expect("the login is right")
}

fn state(error: &Error) -> &str {
    error.code().map_or("no code", |code| code.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_proves_its_password_and_unknown_ones_fail_alike() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let portal = client(&server, "portal@acme").await;
    let row = portal.query_one("select current_user, current_node(), version()", &[]).await.expect("a row");
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("portal@acme", "acme"));
    let mut told = Vec::new();
    for login in ["portal@acme", "portal@nobody"] {
        let error = connect(server.local_addr().port(), login, "wrong password").await.expect_err("it is refused");
        assert_eq!(state(&error), "28P01");
        let error = error.as_db_error().expect("the server's error");
        told.push(format!("{} {:?} {:?}", error.message(), error.detail(), error.hint()).replace(login, "LOGIN"));
    }
    assert_eq!(told[0], told[1]);
    server.shutdown().await;
}

/// What psql's `\password` sends: the server never sees the password, here `pencil`.
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_is_kept_as_the_password_that_it_was_made_of() {
    let fixture = Fixture::chain().await;
    let keys = "MDEyMzQ1Njc4OWFiY2RlZg==$nQpbZ77WudtqufPwikHXGRt6g2QJ4zns8bZLw273DRM=:jn2amWP1q1h+jgjy0YTO14S6/F02SV7taipOeB7ef20=";
    let alter = |iterations: &str| format!("alter user \"portal@acme\" password 'SCRAM-SHA-256${iterations}:{keys}'");
    assert_eq!(refused(&fixture.admin(), &alter("1")).await.sqlstate, "22023");
    run(&fixture.admin(), &alter("4096")).await;
    let server = served(&fixture).await;
    connect(server.local_addr().port(), "portal@acme", "pencil").await.expect("the password of the verifier");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_numerics_go_both_ways_exactly() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let finance = client(&server, "finance@north").await;
    let row = finance
        .query_one(
            "select node_id, cost, price from charges where node_id = $1 and cost > $2",
            &[&"acme", &Numeric("109.999999999999999999".to_owned())],
        )
        .await
        .expect("a row");
    assert_eq!(row.get::<_, &str>(0), "acme");
    // Money shows at least its minor unit.
    assert_eq!(row.get::<_, Numeric>(1), Numeric("110.00".to_owned()));
    assert_eq!(row.get::<_, Numeric>(2), Numeric("165.00".to_owned()));
    for text in [
        "0",
        "1.15",
        "-0.000000000000000001",
        "99999999999999999999.999999999999999999",
        "10000",
        "0.0001",
        "-12345678.9",
    ] {
        let row = finance
            .query_one(
                "select $1::numeric(38,18) = cast(cast($2 as text) as numeric(38,18))",
                &[&Numeric(text.to_owned()), &text],
            )
            .await
            .expect("a row");
        assert!(row.get::<_, bool>(0), "{text}");
    }
    let row = finance.query_one("select 0.1 + 0.2", &[]).await.expect("a row");
    assert_eq!(row.get::<_, Numeric>(0), Numeric("0.3".to_owned()));
    let error = finance.query("select $1::bigint from nothing", &[&1_i64]).await.expect_err("no such relation");
    assert_eq!(state(&error), "42P01");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_streamed_and_a_portal_gives_as_many_as_asked_for() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let mut admin = client(&server, "admin").await;
    let transaction = admin.transaction().await.expect("a block");
    let portal = transaction.bind("select node_id from ref.nodes order by node_id", &[]).await.expect("a portal");
    let names = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
    assert_eq!(names(transaction.query_portal(&portal, 2).await.expect("rows")), ["acme", "bolt"]);
    assert_eq!(names(transaction.query_portal(&portal, 3).await.expect("rows")), ["core", "dist", "north"]);
    assert_eq!(names(transaction.query_portal(&portal, 0).await.expect("rows")), ["south"]);
    drop(transaction);
    server.shutdown().await;
}

/// More than any test waits for: a join that always has its next batch ready, one that sifts inside its loop, and two that
/// look at millions of pairs of each batch and keep none.
const SLOW: [&str; 4] = [
    "with n as (select unnest(range(0, 3000)) as value) select count(*) from n a cross join n b cross join n c",
    "with n as (select unnest(range(0, 3000)) as value) select count(*) from n a cross join n b cross join n c \
     where a.value + b.value > c.value",
    "with n as (select unnest(range(0, 1000000)) as value) select count(*) from n a join n b \
     on a.value * 7 + b.value * 11 < 0",
    "with n as (select unnest(range(0, 200000)) as value) select count(*) from n a join n b on a.value % 2 = b.value % 2 \
     and a.value * 7 + b.value * 11 = -1",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_and_a_slow_one_times_out() {
    let fixture = Fixture::chain().await;
    let server = served(&fixture).await;
    let portal = client(&server, "portal@acme").await;
    let cancel = portal.cancel_token();
    for slow in SLOW {
        let cancelling = async {
            // The statement must have begun: a cancel before it would cancel nothing.
            tokio::time::sleep(Duration::from_millis(500)).await;
            cancel.cancel_query(NoTls).await
        };
        let (answer, cancelled) = tokio::join!(portal.simple_query(slow), cancelling);
        cancelled.expect("the request is sent");
        assert_eq!(state(&answer.expect_err("it was cancelled")), "57014");
        // No thread is held by what was cancelled.
        let next = tokio::time::timeout(Duration::from_secs(60), portal.simple_query("select count(*) from charges"));
        next.await.expect("the threads are free again").expect("rows");
    }
    portal.simple_query("set statement_timeout = '1s'").await.expect("it may be set");
    for slow in SLOW {
        for answer in [portal.simple_query(slow).await.map(drop), portal.query(slow, &[]).await.map(drop)] {
            let error = answer.expect_err("it takes too long");
            assert_eq!(state(&error), "57014", "{slow}: {error:?}");
        }
    }
    // A statement waits for what was stopped before it; on a busy machine longer than it may itself.
    let reset = async { while portal.simple_query("set statement_timeout = default").await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), reset).await.expect("the threads are free again");
    portal.simple_query("select 1").await.expect("the connection goes on");
    server.shutdown().await;
}

/// PostgreSQL's rules: `set` in a block that is rolled back did not happen, `set local` ends with its block.
#[tokio::test(flavor = "multi_thread")]
async fn settings_follow_their_transaction() {
    let fixture = Fixture::chain().await;
    let server = served(&fixture).await;
    let portal = client(&server, "portal@acme").await;
    let shown = async |statements: &str| -> Vec<String> {
        let messages = portal.simple_query(statements).await.expect("they run");
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    };
    shown("set statement_timeout = '1min'").await;
    let show = "show statement_timeout";
    assert_eq!(
        shown(&format!("begin; set local statement_timeout = '9s'; {show}; commit; {show}")).await,
        ["9s", "1min"]
    );
    assert_eq!(shown(&format!("begin; set statement_timeout = '8s'; {show}; rollback; {show}")).await, ["8s", "1min"]);
    let savepoint = format!(
        "begin; set statement_timeout = '7s'; savepoint a; set local statement_timeout = '6s'; {show}; \
         rollback to savepoint a; {show}; commit; {show}"
    );
    assert_eq!(shown(&savepoint).await, ["6s", "7s", "7s"]);
    // `set` replaces what `set local` said.
    let both =
        format!("begin; set local statement_timeout = '5s'; set statement_timeout = '4s'; {show}; commit; {show}");
    assert_eq!(shown(&both).await, ["4s", "4s"]);
    // A block that failed is rolled back by its commit.
    portal.simple_query("begin; set statement_timeout = '3s'; select no_such_column").await.expect_err("it fails");
    portal.simple_query("commit").await.expect("it ends");
    assert_eq!(shown(show).await, ["4s"]);
    let config = "begin; select set_config('statement_timeout', '2s', true)";
    assert_eq!(shown(&format!("{config}; {show}; commit; {show}")).await, ["2s", "2s", "4s"]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_rows_are_copied_in_and_charges_copied_out() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let admin = client(&server, "admin").await;
    let sink = admin.copy_in("copy ref.fx_rates from stdin with (format csv, header)").await.expect("it takes rows");
    futures::pin_mut!(sink);
    // Cut in the middle of a row.
    for piece in [
        "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\na,market,USD,EUR,2025",
        "-10-01,0.9137\nb,market,USD,JPY,2025-10-01,151.5\n",
    ] {
        sink.send(bytes::Bytes::from(piece)).await.expect("it is taken");
    }
    assert_eq!(sink.finish().await.expect("the rows are right"), 2);
    let sink = admin
        .copy_in::<_, bytes::Bytes>("copy ref.fx_rates from stdin with (format csv)")
        .await
        .expect("it takes rows");
    futures::pin_mut!(sink);
    sink.send(bytes::Bytes::from("a,market\n")).await.expect("it is taken");
    assert_eq!(state(&sink.finish().await.expect_err("columns are missing")), "22P04");
    let row = admin.query_one("select count(*) from ref.fx_rates", &[]).await.expect("a row");
    assert_eq!(row.get::<_, i64>(0), 2);
    let out = admin
        .copy_out("copy (select node_id, cost from charges order by 1) to stdout with (format csv, header)")
        .await
        .expect("it gives rows");
    let pieces: Vec<bytes::Bytes> = futures::TryStreamExt::try_collect(out).await.expect("rows");
    assert_eq!(pieces.concat(), b"node_id,cost\nacme,100.00\nbolt,200.00\ncore,400.00\nnorth,10.00\n");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_kept_whole_or_not_at_all() {
    let fixture = Fixture::chain().await;
    let server = served(&fixture).await;
    let mut admin = client(&server, "admin").await;
    let other = client(&server, "admin").await;
    let name = "select name from ref.nodes where node_id = 'acme'";
    let transaction = admin.transaction().await.expect("a block");
    transaction
        .execute("update ref.nodes set name = $1 where node_id = $2", &[&"New", &"acme"])
        .await
        .expect("it is right");
    assert_eq!(transaction.query_one(name, &[]).await.expect("a row").get::<_, &str>(0), "New");
    assert_eq!(other.query_one(name, &[]).await.expect("a row").get::<_, &str>(0), "acme");
    transaction.rollback().await.expect("it is taken back");
    let transaction = admin.transaction().await.expect("a block");
    let changed = transaction
        .execute("update ref.nodes set name = $1 where node_id = $2", &[&"Kept", &"acme"])
        .await
        .expect("it is right");
    assert_eq!(changed, 1);
    transaction.commit().await.expect("it is kept");
    assert_eq!(other.query_one(name, &[]).await.expect("a row").get::<_, &str>(0), "Kept");
    let transaction = admin.transaction().await.expect("a block");
    let error = transaction.query("select 1 / 0", &[]).await.expect_err("division by zero");
    assert_eq!(state(&error), "22012");
    let error = transaction.query("select 1", &[]).await.expect_err("the block failed");
    assert_eq!(state(&error), "25P02");
    transaction.rollback().await.expect("it ends");
    // Several statements in one message.
    let answers = other
        .simple_query("begin; update ref.nodes set name = 'Both' where node_id = 'acme'; commit; select 1")
        .await
        .expect("they are right");
    assert!(answers.iter().any(|answer| matches!(answer, SimpleQueryMessage::CommandComplete(1))));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_postgresql_that_the_engine_does_not_know_are_understood() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let client = client(&server, "portal@acme").await;
    let shown = |sql: &'static str| {
        let client = &client;
        async move {
            let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            let rows = messages.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).unwrap_or("null")).collect::<Vec<_>>().join("|"))
                }
                _ => None,
            });
            rows.collect::<Vec<_>>().join("; ")
        }
    };
    assert_eq!(
        shown("select x, z from (values (1), (2)) as v(x), lateral (select x * 10 as z) as l order by x").await,
        "1|10; 2|20"
    );
    assert_eq!(
        shown(
            "select x, z from (values (1), (2)) as v(x) left join lateral (select x + 1 as z) as l on true order by 1"
        )
        .await,
        "1|2; 2|3"
    );
    assert_eq!(
        shown("select x from (values (1), (2), (3)) as v(x) order by x offset 1 rows fetch first 1 rows only").await,
        "2"
    );
    // Sums of each group, and of all: 1 + 2 + 3.
    assert_eq!(
        shown(
            "select y, sum(x) from (values (1, 'a'), (2, 'b'), (3, 'b')) as v(x, y) group by rollup (1) order by 1 nulls last"
        )
        .await,
        "a|1; b|5; null|6"
    );
    assert_eq!(
        shown("select to_char(charge_date, 'YYYY-MM'), to_char(1234.5, 'FM9,990.00') from charges limit 1").await,
        "2025-10|1,234.50"
    );
    // Texts that are dates, written as casts or only compared.
    assert_eq!(
        shown(
            "select count(*) from charges where charge_period_start >= '2025-10-05 00:00' \
             and charge_period_end < timestamptz '2025-10-05 02:00' and charge_date <> '10/06/2025'"
        )
        .await,
        "1"
    );
    // Timestamps as text are on the clock of the session.
    assert_eq!(
        shown("set timezone = 'Asia/Kolkata'; select cast(charge_period_start as text), to_char(charge_period_end, 'HH24:MI OF') from charges; reset timezone").await,
        "2025-10-05 05:30:00+05:30|06:30 +05:30"
    );
    let statement = client
        .prepare("select 1, -7 as a, 3000000000 from charges where service_name = any($1)")
        .await
        .expect("it is right");
    let types: Vec<&str> = statement.columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(types, ["int4", "int4", "int8"]);
    let found = client.query(&statement, &[&vec!["Machines", "none"]]).await.expect("an array is taken");
    assert_eq!(found.len(), 1);
    // Time is that of the statement, in a block that of its beginning.
    assert_eq!(shown("select charge_date < current_date and charge_period_end < now() from charges").await, "t");
    assert_eq!(shown("begin; select count(distinct now()) from charges").await, "1");
    let first = shown("select now() from charges").await;
    assert_eq!(shown("select now() from charges").await, first);
    assert_ne!(shown("commit; select now() from charges").await, first);
    let failed = |sql: &'static str| {
        let client = &client;
        async move { client.simple_query(sql).await.expect_err(sql) }
    };
    let error = failed("select cost, nope from charges").await;
    let error = error.as_db_error().expect("an answer of the server");
    assert_eq!(error.position(), Some(&tokio_postgres::error::ErrorPosition::Original(14)));
    for (sql, expected) in [
        ("select (select x from (values (1), (2)) as v(x)) from charges", "21000"),
        ("select cast(9223372036854775807 as integer) from charges", "22003"),
        ("select cast('2025-13-45' as date) from charges", "22008"),
        ("begin read only; delete from ref.nodes", "25006"),
    ] {
        assert_eq!(state(&failed(sql).await), expected, "{sql}");
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_are_told_which_column_of_which_relation_they_read() {
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let client = client(&server, "finance@north").await;
    let described = |sql: &'static str| {
        let client = &client;
        async move {
            let statement = client.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            let mut origins = Vec::new();
            for column in statement.columns() {
                let Some((table, number)) = column.table_oid().zip(column.column_id()) else {
                    origins.push("computed".to_owned());
                    continue;
                };
                let sql = "select relname || '.' || attname from pg_attribute join pg_class on pg_class.oid = attrelid \
                           where attrelid = $1 and attnum = $2";
                let row = client.query_one(sql, &[&table, &number]).await.expect("one column");
                origins.push(row.get::<_, String>(0));
            }
            origins.join(", ")
        }
    };
    assert_eq!(
        described(
            "select c.cost, i.buyer_node_id as who, c.cost + 1 as more from charges c \
             join (select * from invoices) i on true where c.cost > 1 order by 1 limit 3"
        )
        .await,
        "charges.cost, invoices.buyer_node_id, computed"
    );
    assert_eq!(
        described("select service_name, sum(cost), count(*) from charges_daily group by 1").await,
        "charges_daily.service_name, computed, computed"
    );
    // A view's columns are its own; those of a common table expression are those of what it reads.
    assert_eq!(described("select buyer_node_id, margin from margins").await, "margins.buyer_node_id, margins.margin");
    assert_eq!(
        described("with margins as (select cost as margin from charges) select margin from margins").await,
        "charges.cost"
    );
    assert_eq!(described("select cost from charges union all select cost from charges").await, "computed");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_describes_a_relation() {
    if Command::new("psql").arg("--version").output().is_err() {
        println!("skipped: psql is not installed");
        return;
    }
    let fixture = Fixture::chain_with_usage().await;
    let server = served(&fixture).await;
    let port = server.local_addr().port();
    let psql = move |command: &'static str| {
        let output = Command::new("psql")
            .args([
                "-X",
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-U",
                "portal@acme",
                "-d",
                "ratehouse",
                "-c",
                command,
            ])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown =
        tokio::task::spawn_blocking(move || ["\\d charges", "\\d+ charges", "\\dt", "\\dv", "\\dn", "\\du"].map(psql))
            .await
            .expect("psql ends");
    let [charges, comments, tables, views, schemas, roles] = shown;
    assert!(
        charges.contains(" cost ")
            && charges.contains("numeric(38,18)")
            && charges.contains("timestamp with time zone"),
        "{charges}"
    );
    assert!(
        !charges.contains(" price ") && !charges.contains("margin") && !charges.contains("delivery_id"),
        "{charges}"
    );
    assert!(comments.contains("What the caller's node pays for it"), "{comments}");
    // What is stored is a table, what is computed from it a view.
    assert!(tables.contains("charges_daily") && !tables.contains("allocations"), "{tables}");
    assert!(views.contains("allocations") && !views.contains("margins"), "{views}");
    assert!(schemas.contains("focus"), "{schemas}");
    assert!(roles.contains("portal@acme") && !roles.contains("finance"), "{roles}");
    server.shutdown().await;
}
