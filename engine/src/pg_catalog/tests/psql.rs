//! psql's commands, with the rows PostgreSQL 15 gives for the same schema.

use super::fixture::{catalog, oid_of, rows};

#[test]
fn d_lists_visible_relations() {
    // \d
    let listed = rows(
        "SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'i' THEN 'index' END,
           pg_catalog.pg_get_userbyid(c.relowner)
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast'
           AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid)
         ORDER BY 1,2",
    );
    assert_eq!(listed, ["public|charges|table|ratehouse", "public|margins|view|ratehouse"]);
}

#[test]
fn d_relation_describes_columns_and_indexes() {
    let nodes = oid_of(&catalog(), "ref.nodes");
    // \d ref.nodes
    let columns = rows(&format!(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
           (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
            WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull,
           pg_catalog.col_description(a.attrelid, a.attnum)
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = '{nodes}' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    ));
    assert_eq!(
        columns,
        [
            "node_id|text|-|t|The node",
            "parent_id|text|-|f|-",
            "name|text|-|t|-",
            "currency|character varying(3)|'EUR'::character varying|t|-",
            "valid_from|timestamp with time zone|-|t|-",
            "valid_to|timestamp with time zone|-|f|-",
        ]
    );
    let indexes = rows(&format!(
        "SELECT c2.relname, i.indisprimary, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true),
           pg_catalog.pg_get_constraintdef(con.oid, true), contype
         FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i
           LEFT JOIN pg_catalog.pg_constraint con
             ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x'))
         WHERE c.oid = '{nodes}' AND c.oid = i.indrelid AND i.indexrelid = c2.oid ORDER BY i.indisprimary DESC, c2.relname"
    ));
    assert_eq!(
        indexes,
        [
            "nodes_pkey|t|CREATE UNIQUE INDEX nodes_pkey ON ref.nodes USING btree (node_id)|PRIMARY KEY (node_id)|p",
            "nodes_name_key|f|CREATE UNIQUE INDEX nodes_name_key ON ref.nodes USING btree (name)|UNIQUE (name)|u",
        ]
    );
    let referenced_by = rows(&format!(
        "SELECT conname, conrelid::pg_catalog.regclass AS ontable, pg_catalog.pg_get_constraintdef(oid, true) AS condef
         FROM pg_catalog.pg_constraint c
         WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('{nodes}') UNION ALL VALUES ('{nodes}'::pg_catalog.regclass))
           AND contype = 'f' AND conparentid = 0 ORDER BY conname"
    ));
    assert_eq!(
        referenced_by,
        [
            "nodes_parent_id_fkey|ref.nodes|FOREIGN KEY (parent_id) REFERENCES ref.nodes(node_id)",
            "rate_cards_seller_node_id_fkey|ref.rate_cards|FOREIGN KEY (seller_node_id) REFERENCES ref.nodes(node_id)",
        ]
    );
}

#[test]
fn d_plus_shows_numeric_modifiers_comments_and_the_view_text() {
    assert_eq!(
        rows(
            "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'charges'::regclass and attname = 'cost'"
        ),
        ["numeric(38,18)"]
    );
    assert_eq!(
        rows("select obj_description('margins'::regclass, 'pg_class'), pg_get_viewdef('margins'::regclass, true)"),
        ["Margins by period| SELECT billing_period, sum(cost) AS cost FROM charges GROUP BY 1;"]
    );
}

#[test]
fn dn_l_and_du_show_what_the_session_may_see() {
    // \dn+
    assert_eq!(
        rows(
            "SELECT n.nspname, pg_catalog.pg_get_userbyid(n.nspowner), pg_catalog.array_to_string(n.nspacl, E'\\n'),
               pg_catalog.obj_description(n.oid, 'pg_namespace')
             FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1"
        ),
        [
            "ops|ratehouse|ratehouse=UC/ratehouse\nana=U/ratehouse|-",
            "public|ratehouse|ratehouse=UC/ratehouse\nana=U/ratehouse|Marts",
            "ref|ratehouse|ratehouse=UC/ratehouse\nana=U/ratehouse|Reference data",
        ]
    );
    // \l+
    assert_eq!(
        rows(
            "SELECT d.datname, pg_catalog.pg_encoding_to_char(d.encoding),
               CASE WHEN pg_catalog.has_database_privilege(d.datname, 'CONNECT')
                 THEN pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(d.datname)) ELSE 'No Access' END,
               pg_catalog.shobj_description(d.oid, 'pg_database')
             FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t on d.dattablespace = t.oid ORDER BY 1"
        ),
        ["ratehouse|UTF8|0 bytes|Billing"]
    );
    // \du
    assert_eq!(
        rows(
            "SELECT r.rolname, r.rolcanlogin, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m
               JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) as memberof
             FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1"
        ),
        ["ana|t|{finance}", "finance|f|{}", "ratehouse|f|{}"]
    );
}

#[test]
fn df_lists_own_functions_and_offered_built_in_ones() {
    let df = |condition: &str| {
        rows(&format!(
            "SELECT n.nspname, p.proname, pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_function_arguments(p.oid),
               CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'w' THEN 'window' WHEN 'p' THEN 'proc' ELSE 'func' END
             FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
             WHERE {condition} ORDER BY 1, 2, 4"
        ))
    };
    let own =
        "pg_catalog.pg_function_is_visible(p.oid) AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'";
    assert_eq!(df(own), ["public|fiscal_year|integer|d date|func"]);
    let abs = "p.proname OPERATOR(pg_catalog.~) '^(abs)$' AND n.nspname OPERATOR(pg_catalog.~) '^(pg_catalog)$'";
    assert_eq!(df(abs).len(), 6, "one row for each of PostgreSQL's six number types");
    assert!(df("p.proname = 'pg_read_file'").is_empty(), "not offered, so not listed");
}

#[test]
fn dp_prints_the_grants_of_the_session() {
    assert_eq!(
        rows(
            "SELECT n.nspname, c.relname, pg_catalog.array_to_string(c.relacl, E'\\n')
             FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r','v') AND n.nspname IN ('public', 'ref') ORDER BY 1, 2"
        ),
        [
            "public|charges|ratehouse=arwdDxt/ratehouse\nana=r/ratehouse",
            "public|margins|ratehouse=arwdDxt/ratehouse\nana=r/ratehouse",
            "ref|nodes|ratehouse=arwdDxt/ratehouse\nana=arwd/ratehouse",
            "ref|rate_cards|ratehouse=arwdDxt/ratehouse\nana=r/ratehouse",
        ]
    );
}
