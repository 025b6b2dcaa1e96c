//! What real clients sent to PostgreSQL 15: every statement is claimed, described and answered.
//!
//! Captured from psql 15 (`\d` and all its sisters, with and without `+`), pg_dump, SQLAlchemy, psycopg, asyncpg, pgjdbc,
//! psqlodbc, node-postgres; then Npgsql, Metabase, DBeaver, DataGrip, Grafana and Tableau as their sources have them.

use super::super::PgCatalog;
use super::fixture::{catalog, oid_of, parsed, run};

fn all_answer(text: &str) {
    let catalog = catalog();
    let oids = ["charges", "margins", "ref.nodes", "ref.nodes_pkey", "ref.rate_cards"]
        .map(|name| (format!("{{{name}}}"), oid_of(&catalog, name).to_string()));
    let mut failures = Vec::new();
    for sql in text.split("\n-- next\n") {
        let mut sql = sql.trim().to_owned();
        for (mark, oid) in &oids {
            sql = sql.replace(mark, oid);
        }
        if !PgCatalog::claims(&parsed(&sql)) {
            failures.push(format!("not claimed: {sql}"));
        }
        if let Err(error) = run(&catalog, &sql) {
            failures.push(format!("{} {}: {sql}", error.sqlstate, error.message));
        }
    }
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn psql_commands_are_answered() {
    all_answer(include_str!("data/psql.sql"));
}

#[test]
fn pg_dump_is_answered() {
    all_answer(include_str!("data/pg_dump.sql"));
}

#[test]
fn drivers_and_tools_are_answered() {
    all_answer(include_str!("data/drivers.sql"));
}
