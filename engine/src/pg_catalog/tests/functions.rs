//! Catalog functions and the rarer parts of the dialect.

use super::super::{CatalogFacts, PgCatalog};
use super::fixture::{facts, printed, rows, run};

fn one(sql: &str) -> String {
    rows(sql).join("\n")
}

#[test]
fn names_and_types() {
    assert_eq!(
        one(
            "select 'charges'::regclass, 'ref.nodes'::regclass::text, 'int'::regtype, 'character varying(10)'::regtype, 10::regrole, 2200::regnamespace"
        ),
        "charges|ref.nodes|integer|character varying|ratehouse|public"
    );
    assert_eq!(
        one(
            "select to_regclass('nope') is null, to_regtype('int4'), to_regclass('charges') is not null, version() is not null"
        ),
        "t|integer|t|t"
    );
    assert_eq!(
        one(
            "select format_type(1700, 655366), format_type(1043, 14), format_type(1042, -1), format_type(1009, -1), format_type(18, -1), format_type(0, null)"
        ),
        "numeric(10,2)|character varying(10)|bpchar|text[]|\"char\"|-"
    );
}

#[test]
fn session_functions() {
    assert_eq!(
        one(
            "select current_user, session_user, current_database(), current_schema(), current_schemas(true), pg_backend_pid(), pg_is_in_recovery()"
        ),
        "ana|ana|ratehouse|public|{pg_catalog,public}|7|f"
    );
    assert_eq!(
        one(
            "select current_setting('timezone'), current_setting('nope', true), current_setting('server_version_num')::int / 10000"
        ),
        "UTC|-|15"
    );
    assert_eq!(one("select pid, usename, state from pg_stat_activity"), "7|ana|active");
    assert_eq!(one("select now()::text, pg_my_temp_schema()"), "2026-11-21 12:00:00+00|0");
}

#[test]
fn privileges_are_true_to_the_facts() {
    assert_eq!(
        one("select has_table_privilege('charges', 'select'), has_table_privilege('charges', 'INSERT'),
               has_table_privilege('ana', 'ref.nodes', 'insert, truncate'), has_table_privilege('ratehouse', 'charges', 'delete'),
               has_table_privilege('finance', 'ref.nodes', 'SELECT WITH GRANT OPTION')"),
        "t|f|t|t|f"
    );
    assert_eq!(
        one(
            "select has_schema_privilege('ref', 'usage'), has_schema_privilege('ref', 'create'), pg_has_role('finance', 'member'), pg_has_role('ratehouse', 'usage'), has_table_privilege(99999::oid, 'select')"
        ),
        "t|f|t|f|-"
    );
}

#[test]
fn a_login_named_as_owner_gains_nothing() {
    let catalog = PgCatalog::new(CatalogFacts { owner: "ana".to_owned(), ..facts() });
    let answer = run(
        &catalog,
        "select has_table_privilege('charges', 'insert'), has_table_privilege('charges', 'select'), rolsuper, rolcanlogin
         from pg_roles where rolname = 'ana'",
    )
    .expect("answered");
    assert_eq!(printed(&answer.batches[0]), ["f|t|f|t"]);
}

#[test]
fn arrays() {
    assert_eq!(
        one("select conkey[1], conkey[1:1], array_upper(conkey, 1), array_to_string(conkey, ','), 1 = any(conkey), conkey = '{1}', conkey || 9::int2
             from pg_constraint where conname = 'nodes_pkey'"),
        "1|{1}|1|1|t|t|{1,9}"
    );
    assert_eq!(
        one("select indkey[0], indkey[1] is null from pg_index where indexrelid = 'ref.nodes_pkey'::regclass"),
        "1|t"
    );
    assert_eq!(
        one(
            "select array_agg(relname order by relname desc), string_agg(relname, ',' order by relname) from pg_class where relnamespace = 'public'::regnamespace"
        ),
        "{margins,charges}|charges,margins"
    );
    assert_eq!(one("select array_agg(relname) is null from pg_class where false"), "t");
    assert_eq!(
        one(
            "select array(select relname from pg_class where false), '{a,\"b c\",NULL}'::text[], array['x', null]::text from pg_am where amname = 'heap'"
        ),
        "{}|{a,b c,-}|{x,NULL}"
    );
    assert_eq!(
        one(
            "select x, n from pg_am, unnest(array['a','b'], array[1,2,3]) with ordinality as u(x, y, n) where amname = 'heap' and n > 1 order by n"
        ),
        "b|2\n-|3"
    );
}

#[test]
fn lateral_subqueries_and_sets_in_select_lists() {
    assert_eq!(
        one("select n.nspname, l.relname from pg_namespace n
             left join lateral (select c.relname from pg_class c where c.relnamespace = n.oid and c.relkind in ('r','v')
               order by c.relname limit 1) l on true where n.nspname in ('ops', 'public', 'ref') order by 1"),
        "ops|-\npublic|charges\nref|nodes"
    );
    assert_eq!(
        one(
            "select unnest(conkey), generate_subscripts(conkey, 1) from pg_constraint where conname = 'rate_cards_pkey'"
        ),
        "1|1\n2|2"
    );
}

#[test]
fn patterns_follow_postgresql() {
    let heap = |condition: &str| one(&format!("select {condition} from pg_am where amname = 'heap'"));
    assert_eq!(
        heap("'abc' like 'A%', 'abc' ilike 'A%', 'a_c' like 'a\\_c', 'abc' like 'a\\_c', 'a%c' like 'a/%c' escape '/'"),
        "f|t|t|f|t"
    );
    assert_eq!(heap("'nodes' ~ '^(nodes)$', 'Nodes' ~* '^n', 'nodes' !~ 'x', 'pg_toast_1' ~ '^pg_toast'"), "t|t|t|t");
    assert_eq!(
        heap("regexp_replace('foobar', 'o+', '0'), substring('foobar' from 'o(.)b'), split_part('a,b', ',', 2)"),
        "f0bar|o|b"
    );
}

#[test]
fn nulls_sort_last_and_booleans_print_as_words() {
    assert_eq!(one("select x from pg_am, (values (2), (null), (1)) v(x) where amname = 'heap' order by x"), "1\n2\n-");
    assert_eq!(
        one("select relhasindex::text, (relkind = 'r')::int, 'x' || true from pg_class where relname = 'nodes'"),
        "true|1|xtrue"
    );
}

#[test]
fn sizes_print_as_postgresql_prints_them() {
    // 10240 bytes are 10 kB; 1234567890 / 1048576 = 1177.4; -5000000 / 1024 = -4882.8
    assert_eq!(
        one(
            "select pg_size_pretty(10239::bigint), pg_size_pretty(10240::bigint), pg_size_pretty(1234567890::bigint), pg_size_pretty(-5000000::bigint)"
        ),
        "10239 bytes|10 kB|1177 MB|-4883 kB"
    );
    assert_eq!(one("select pg_relation_size('charges'), pg_total_relation_size('ref.nodes'::regclass)"), "0|0");
}
