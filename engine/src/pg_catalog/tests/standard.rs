//! `information_schema`, which BI tools read.

use super::fixture::{columns, rows};

#[test]
fn columns_of_a_relation_with_their_precision() {
    assert_eq!(
        rows(
            "select ordinal_position, column_name, data_type, udt_name, is_nullable, numeric_precision, numeric_scale,
               character_maximum_length, datetime_precision
             from information_schema.columns where table_name = 'charges' and ordinal_position in (2, 3, 4, 6, 9, 10)
             order by ordinal_position"
        ),
        [
            "2|billing_period|date|date|NO|-|-|-|0",
            "3|charge_period_start|timestamp with time zone|timestamptz|YES|-|-|-|6",
            "4|cost|numeric|numeric|YES|38|18|-|-",
            "6|usage_rows|bigint|int8|YES|64|0|-|-",
            "9|labels|ARRAY|_text|YES|-|-|-|-",
            "10|provider_name|character varying|varchar|YES|-|-|64|-",
        ]
    );
}

#[test]
fn domains_of_the_standard_are_sent_as_their_base_types() {
    assert_eq!(
        columns("select table_name, is_nullable, ordinal_position, column_default from information_schema.columns"),
        ["table_name:name", "is_nullable:varchar", "ordinal_position:int4", "column_default:varchar"]
    );
}

#[test]
fn keys_and_what_they_refer_to() {
    assert_eq!(
        rows(
            "select kcu.table_name, kcu.column_name, kcu.ordinal_position, rc.unique_constraint_name, ccu.table_name, ccu.column_name
             from information_schema.referential_constraints rc
             join information_schema.key_column_usage kcu
               on kcu.constraint_name = rc.constraint_name and kcu.constraint_schema = rc.constraint_schema
             join information_schema.constraint_column_usage ccu on ccu.constraint_name = rc.constraint_name
             order by 1, 2"
        ),
        [
            "nodes|parent_id|1|nodes_pkey|nodes|node_id",
            "rate_cards|seller_node_id|1|nodes_pkey|nodes|node_id",
        ]
    );
}

#[test]
fn tables_views_and_grants() {
    assert_eq!(
        rows(
            "select table_schema, table_name, table_type, is_insertable_into from information_schema.tables
             where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2"
        ),
        [
            "public|charges|BASE TABLE|YES",
            "public|margins|VIEW|NO",
            "ref|nodes|BASE TABLE|YES",
            "ref|rate_cards|BASE TABLE|YES",
        ]
    );
    assert_eq!(
        rows(
            "select grantee, privilege_type from information_schema.table_privileges
             where table_name = 'nodes' and grantee = 'ana' order by 2"
        ),
        ["ana|DELETE", "ana|INSERT", "ana|SELECT", "ana|UPDATE"]
    );
    assert_eq!(
        rows("select role_name from information_schema.enabled_roles where role_name not like 'pg\\_%' order by 1"),
        ["ana", "finance"]
    );
}

#[test]
fn functions_with_their_parameters() {
    assert_eq!(
        rows(
            "select r.routine_name, r.data_type, p.parameter_name, p.data_type from information_schema.routines r
             join information_schema.parameters p on p.specific_name = r.specific_name
             where r.routine_schema = 'public'"
        ),
        ["fiscal_year|integer|d|date"]
    );
}
