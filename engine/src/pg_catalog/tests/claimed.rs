//! Which statements are the catalog's.

use super::super::{PgCatalog, with_plain_operators};
use super::fixture::parsed;

#[test]
fn catalog_relations_and_functions_are_claimed() {
    for sql in [
        "select * from pg_class",
        "select * from pg_catalog.pg_type t, information_schema.columns c",
        "select version()",
        "select current_schema",
        "select current_database(), now()",
        "select pg_catalog.set_config('search_path', '', false)",
        "select 'charges'::regclass",
        "with x as (select oid from pg_class) select * from x",
        "select * from ratehouse.pg_catalog.pg_class",
        "select has_table_privilege('charges', 'select')",
        "select * from pg_get_keywords()",
        "select count(*) from (select 1 from pg_class union all select 2 from pg_proc) u",
    ] {
        assert!(PgCatalog::claims(&parsed(sql)), "{sql}");
    }
}

#[test]
fn anything_else_is_not_claimed() {
    for sql in [
        "select 1",
        "select now(), lower('A')",
        "select * from charges",
        "select * from charges where node_id = current_user",
        "select * from charges c join pg_class k on k.relname = c.charge_id",
        "select * from generate_series(1, 3)",
        "select version(), fiscal_year(date '2026-01-01')",
        "select * from ops.pg_class",
        "insert into pg_class select 1",
        "with pg_class as (select 1 as a) select * from charges, pg_class",
    ] {
        assert!(!PgCatalog::claims(&parsed(sql)), "{sql}");
    }
}

#[test]
fn operator_syntax_becomes_plain_at_the_same_positions() {
    let sql = "select a OPERATOR(pg_catalog.~) '^(x)$', 'OPERATOR(pg_catalog.=)', b operator ( pg_catalog.= ) any (c) -- OPERATOR(+)";
    let plain = with_plain_operators(sql);
    assert_eq!(plain.len(), sql.len());
    assert_eq!(
        plain.split_whitespace().collect::<Vec<_>>().join(" "),
        "select a ~ '^(x)$', 'OPERATOR(pg_catalog.=)', b = any (c) -- OPERATOR(+)"
    );
    assert_eq!(plain.find("'^(x)$'"), sql.find("'^(x)$'"));
    assert_eq!(
        with_plain_operators("select $q$ operator(+) $q$, e'\\'operator(+)'"),
        "select $q$ operator(+) $q$, e'\\'operator(+)'"
    );
    assert_eq!(
        with_plain_operators("select my_operator(1), operator(other.+)"),
        "select my_operator(1), operator(other.+)"
    );
}
