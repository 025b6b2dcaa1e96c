//! Relations and their columns.

use rusqlite::Connection;
use serde_json::Value as Json;

use super::super::database::insert;
use super::super::directory::{ConstraintKind, Directory};
use super::super::facts::{Privilege, RelationFact, RelationKind};
use super::super::names::quote_identifier;
use super::super::oids::{HEAP, INFORMATION_SCHEMA, OWNER, PG_CATALOG};
use super::super::static_data::SYSTEM_RELATIONS;
use super::super::types::{PgType, TYPES};
use super::Done;

/// `pg_class` and `pg_attribute` rows of the system relations: the same for everyone.
///
/// # Errors
/// Those of SQLite.
pub(in super::super) fn insert_system_relations(connection: &Connection) -> Done {
    for relation in SYSTEM_RELATIONS.iter() {
        let namespace = if relation.schema == "pg_catalog" { PG_CATALOG } else { INFORMATION_SCHEMA };
        let count = i64::try_from(relation.columns.len()).unwrap_or(0);
        insert(
            connection,
            "pg_class",
            &[
                ("oid", &relation.oid),
                ("relname", &relation.name),
                ("relnamespace", &namespace),
                ("reltype", &relation.row_type),
                ("relowner", &OWNER),
                ("relam", &relation.access_method),
                ("reltuples", &-1.0),
                ("relisshared", &relation.is_shared),
                ("relpersistence", &"p"),
                ("relkind", &relation.kind),
                ("relnatts", &count),
                ("relispopulated", &true),
                ("relhasrules", &(relation.kind == "v")),
                ("relreplident", &"n"),
                ("relfilenode", &0),
            ],
        )?;
        for (number, column) in (1_i16..).zip(&relation.columns) {
            let ty = PgType { oid: column.type_oid, typmod: column.typmod };
            let attribute = Attribute {
                relation: relation.oid,
                number,
                name: column.name,
                ty,
                not_null: column.not_null,
                has_default: false,
            };
            insert_attribute(connection, &attribute, column.collation)?;
        }
    }
    Ok(())
}

pub(super) struct Attribute<'a> {
    pub(super) relation: u32,
    pub(super) number: i16,
    pub(super) name: &'a str,
    pub(super) ty: PgType,
    pub(super) not_null: bool,
    pub(super) has_default: bool,
}

pub(super) fn insert_attribute(connection: &Connection, attribute: &Attribute<'_>, collation: u32) -> Done {
    let Some(row) = TYPES.get(attribute.ty.oid) else {
        return Ok(());
    };
    let dimensions = i16::from(row.name.starts_with('_'));
    insert(
        connection,
        "pg_attribute",
        &[
            ("attrelid", &attribute.relation),
            ("attname", &attribute.name),
            ("atttypid", &attribute.ty.oid),
            ("attstattarget", &-1),
            ("attlen", &row.length),
            ("attnum", &attribute.number),
            ("attndims", &dimensions),
            ("attcacheoff", &-1),
            ("atttypmod", &attribute.ty.typmod),
            ("attbyval", &row.by_value),
            ("attalign", &row.alignment),
            ("attstorage", &row.storage),
            ("attnotnull", &attribute.not_null),
            ("atthasdef", &attribute.has_default),
            ("attislocal", &true),
            ("attcollation", &collation),
        ],
    )
}

fn privilege_letters(privileges: &[Privilege]) -> String {
    let letter = |privilege: &Privilege| match privilege {
        Privilege::Insert => 'a',
        Privilege::Select => 'r',
        Privilege::Update => 'w',
        Privilege::Delete => 'd',
    };
    let mut letters: Vec<char> = privileges.iter().map(letter).collect();
    letters.sort_by_key(|letter| "arwd".find(*letter));
    letters.dedup();
    letters.into_iter().collect()
}

pub(super) fn insert_relation(connection: &Connection, directory: &Directory, fact: &RelationFact, oid: u32) -> Done {
    let is_table = fact.kind == RelationKind::Table;
    let owner = quote_identifier(&directory.facts.owner);
    let user = quote_identifier(&directory.facts.current_user);
    let mut acl = Vec::new();
    if user != owner {
        acl.push(format!("{owner}=arwdDxt/{owner}"));
    }
    if !fact.privileges.is_empty() {
        acl.push(format!("{user}={}/{owner}", privilege_letters(&fact.privileges)));
    }
    let has_index = directory.indexes.iter().any(|index| directory.relation_oids[index.relation] == oid);
    let has_triggers = directory.constraints.iter().any(|constraint| {
        let target = constraint.referenced.as_ref().map(|(target, _)| directory.relation_oids[*target]);
        constraint.kind == ConstraintKind::Foreign
            && (directory.relation_oids[constraint.relation] == oid || target == Some(oid))
    });
    insert(
        connection,
        "pg_class",
        &[
            ("oid", &oid),
            ("relname", &fact.name),
            ("relnamespace", &directory.schema_oid(&fact.schema).unwrap_or(0)),
            ("relowner", &OWNER),
            ("relam", &(if is_table { HEAP } else { 0 })),
            ("reltuples", &-1.0),
            ("relhasindex", &has_index),
            ("relpersistence", &"p"),
            ("relkind", &(if is_table { "r" } else { "v" })),
            ("relnatts", &i64::try_from(fact.columns.len()).unwrap_or(0)),
            ("relhasrules", &!is_table),
            ("relhastriggers", &has_triggers),
            ("relispopulated", &true),
            ("relreplident", &(if is_table { "d" } else { "n" })),
            ("relacl", &Json::from(acl).to_string()),
        ],
    )?;
    for (number, column) in (1_i16..).zip(&fact.columns) {
        let collation = TYPES.get(column.data_type.oid).map_or(0, |row| row.collation);
        let attribute = Attribute {
            relation: oid,
            number,
            name: &column.name,
            ty: column.data_type,
            not_null: !column.nullable,
            has_default: column.default.is_some(),
        };
        insert_attribute(connection, &attribute, collation)?;
        if let Some(default) = &column.default {
            let key = oid.wrapping_add(u32::try_from(number).unwrap_or(0));
            insert(
                connection,
                "pg_attrdef",
                &[("oid", &key), ("adrelid", &oid), ("adnum", &number), ("adbin", default)],
            )?;
        }
    }
    if !is_table {
        insert(
            connection,
            "pg_rewrite",
            &[
                ("oid", &oid),
                ("rulename", &"_RETURN"),
                ("ev_class", &oid),
                ("ev_type", &"1"),
                ("ev_enabled", &"O"),
                ("is_instead", &true),
            ],
        )?;
    }
    Ok(())
}
