//! What drivers ask, with the types they need back, and their parameters.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::super::{PgCatalog, SettingScope, SideEffect};
use super::fixture::{catalog, columns, facts, oid_of, parsed, printed, rows, run};

#[test]
fn catalog_columns_have_postgresql_types() {
    assert_eq!(
        columns(
            "select oid, relname, relkind, relnatts, reltuples, relhasindex, relacl, oid::regclass, relfrozenxid, tableoid
             from pg_class"
        ),
        [
            "oid:oid", "relname:name", "relkind:\"char\"", "relnatts:int2", "reltuples:float4", "relhasindex:bool",
            "relacl:_aclitem", "oid:regclass", "relfrozenxid:xid", "tableoid:oid",
        ]
    );
    assert_eq!(
        columns(
            "select indkey, indclass, conkey, proargtypes, typinput from pg_index, pg_constraint, pg_proc, pg_type"
        ),
        ["indkey:int2vector", "indclass:oidvector", "conkey:_int2", "proargtypes:oidvector", "typinput:regproc"]
    );
}

#[test]
fn unnamed_columns_are_named_as_postgresql_names_them() {
    assert_eq!(
        columns(
            "select 1, 'a'::text, count(*), case when true then 1 end, array[1], relname::text, version(), true, -1 from pg_class"
        ),
        [
            "?column?:int4",
            "text:text",
            "count:int8",
            "case:int4",
            "array:_int4",
            "relname:text",
            "version:text",
            "bool:bool",
            "?column?:int4",
        ]
    );
}

#[test]
fn jdbc_primary_keys_expand_the_index_vector() {
    // pgjdbc's getPrimaryKeys
    assert_eq!(
        rows(
            "SELECT result.TABLE_SCHEM, result.TABLE_NAME, result.COLUMN_NAME, result.KEY_SEQ, result.PK_NAME FROM
               (SELECT n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME,
                  (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME,
                  information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM
                FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
                  JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
                  JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid)
                  JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
                WHERE true AND ct.relname = 'rate_cards' AND i.indisprimary) result
             where result.A_ATTNUM = (result.KEYS).x ORDER BY result.table_name, result.pk_name, result.key_seq"
        ),
        ["ref|rate_cards|card_id|1|rate_cards_pkey", "ref|rate_cards|version|2|rate_cards_pkey"]
    );
}

#[test]
fn foreign_keys_by_position_as_odbc_and_jdbc_ask() {
    assert_eq!(
        rows(
            "select con.conname, pka.attname, fka.attname, pos.n from pg_catalog.pg_constraint con
             cross join pg_catalog.generate_series(1, 32) pos(n)
             join pg_attribute pka on pka.attrelid = con.confrelid and pka.attnum = con.confkey[pos.n]
             join pg_attribute fka on fka.attrelid = con.conrelid and fka.attnum = con.conkey[pos.n]
             where con.contype = 'f' order by 1"
        ),
        ["nodes_parent_id_fkey|node_id|parent_id|1", "rate_cards_seller_node_id_fkey|node_id|seller_node_id|1"]
    );
}

#[test]
fn parameters_take_their_types_from_what_they_meet() {
    let types = catalog()
        .describe(
            &parsed(
                "select $1::int4, relname from pg_class where oid = $2 and relname = $3 and relhasindex = $4
                 and relkind = any($5) and oid = any($6::oid[]) limit $7",
            ),
            &[],
        )
        .expect("described")
        .parameters;
    assert_eq!(
        types,
        [
            DataType::Int32,
            DataType::UInt32,
            DataType::Utf8,
            DataType::Boolean,
            DataType::new_list(DataType::Utf8, true),
            DataType::new_list(DataType::UInt32, true),
            DataType::Int64,
        ]
    );
}

#[test]
fn parameters_are_bound_from_arrow_and_from_text() {
    let catalog = catalog();
    let statement = parsed("select relname from pg_class where oid = any($1::oid[]) and relname = $2 order by 1");
    let charges = oid_of(&catalog, "charges");
    let name = ScalarValue::Utf8(Some("charges".to_owned()));
    let as_list = ScalarValue::List(ScalarValue::new_list_nullable(
        &[ScalarValue::UInt32(Some(charges)), ScalarValue::UInt32(None)],
        &DataType::UInt32,
    ));
    let as_text = ScalarValue::Utf8(Some(format!("{{{charges},1259}}")));
    for oids in [as_list, as_text] {
        let answer = catalog.query(&statement, &[oids, name.clone()], || false).expect("answered");
        assert_eq!(printed(&answer.batches[0]), ["charges"]);
    }
}

#[test]
fn recursive_type_trees_as_asyncpg_asks() {
    assert_eq!(
        rows(
            "with recursive tree(oid, elemtype, depth) as (
               select t.oid, t.typelem, 0 from pg_type t where t.oid = any('{1009,1231}'::oid[])
               union all select t.oid, t.typelem, tree.depth + 1 from pg_type t, tree
               where tree.elemtype <> 0 and t.oid = tree.elemtype)
             select distinct oid::regtype::text, depth from tree order by 2, 1"
        ),
        ["numeric[]|0", "text[]|0", "numeric|1", "text|1"]
    );
}

#[test]
fn object_ids_are_the_same_in_every_session() {
    let first = catalog();
    let mut fewer = facts();
    fewer.relations.retain(|relation| relation.name == "charges");
    let second = PgCatalog::new(fewer);
    assert_eq!(oid_of(&first, "charges"), oid_of(&second, "charges"));
    assert!(oid_of(&first, "charges") >= 16_384);
    assert_eq!(oid_of(&first, "pg_class"), 1259);
    assert!(second.oid_of("regclass", "ref.nodes").is_none(), "what is not in the facts does not exist");
}

#[test]
fn set_config_is_reported_and_holds_at_once() {
    let catalog = catalog();
    let answer = run(&catalog, "select pg_catalog.set_config('search_path', '', false)").expect("answered");
    assert_eq!(
        answer.effects,
        [SideEffect::Set { name: "search_path".to_owned(), value: String::new(), scope: SettingScope::Session }]
    );
    let after = run(&catalog, "select 'public.charges'::regclass, current_schema() is null").expect("answered");
    assert_eq!(printed(&after.batches[0]), ["public.charges|t"]);
    catalog.apply_setting("search_path", "public");
    let restored = run(&catalog, "select 'public.charges'::regclass").expect("answered");
    assert_eq!(printed(&restored.batches[0]), ["charges"]);
}

#[test]
fn a_running_query_can_be_interrupted() {
    let catalog = catalog();
    let endless = "select count(*) from pg_proc a, pg_proc b, pg_proc c, pg_proc d where a.proname || b.proname = 'x'";
    let statement = parsed(endless);
    let mut asked = 0;
    let answer = catalog.query(&statement, &[], move || {
        asked += 1;
        asked > 3
    });
    assert_eq!(answer.expect_err("interrupted").sqlstate, "57014");
    // The next one is not.
    assert!(run(&catalog, "select count(*) from pg_proc").is_ok());
}
