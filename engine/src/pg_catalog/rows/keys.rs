//! Indexes and constraints.

use rusqlite::Connection;
use serde_json::Value as Json;

use super::super::database::insert;
use super::super::directory::{ConstraintEntry, ConstraintKind, Directory, IndexEntry};
use super::super::oids::{BTREE, CLASS_CONSTRAINT, CLASS_RELATION, OWNER};
use super::super::types::{PgType, TYPES};
use super::Done;
use super::relations::{Attribute, insert_attribute};

fn column_of(directory: &Directory, relation: usize, number: i16) -> Option<(&str, PgType)> {
    let position = usize::try_from(number).ok()?.checked_sub(1)?;
    let column = directory.facts.relations.get(relation)?.columns.get(position)?;
    Some((&column.name, column.data_type))
}

/// The default B-tree operator class of a type.
fn operator_class(oid: u32) -> u32 {
    use super::super::types::{
        BOOL, BPCHAR, DATE, INT2, INT4, INT8, NUMERIC, OID, TEXT, TIMESTAMP, TIMESTAMPTZ, UUID, VARCHAR,
    };
    match oid {
        TEXT | VARCHAR => 3126,
        BPCHAR => 426,
        INT2 => 1979,
        INT4 => 1978,
        INT8 => 3124,
        OID => 1981,
        NUMERIC => 3125,
        DATE => 3122,
        TIMESTAMP => 3128,
        TIMESTAMPTZ => 3127,
        BOOL => 424,
        UUID => 2968,
        _ => 0,
    }
}

pub(super) fn insert_index(connection: &Connection, directory: &Directory, index: &IndexEntry) -> Done {
    let fact = &directory.facts.relations[index.relation];
    let count = i64::try_from(index.columns.len()).unwrap_or(0);
    insert(
        connection,
        "pg_class",
        &[
            ("oid", &index.oid),
            ("relname", &index.name),
            ("relnamespace", &directory.schema_oid(&fact.schema).unwrap_or(0)),
            ("relowner", &OWNER),
            ("relam", &BTREE),
            ("relpersistence", &"p"),
            ("relkind", &"i"),
            ("relnatts", &count),
            ("relispopulated", &true),
            ("relreplident", &"n"),
        ],
    )?;
    let (mut classes, mut collations) = (Vec::new(), Vec::new());
    for (number, column) in (1_i16..).zip(&index.columns) {
        let Some((name, ty)) = column_of(directory, index.relation, *column) else {
            continue;
        };
        let collation = TYPES.get(ty.oid).map_or(0, |row| row.collation);
        collations.push(collation);
        classes.push(operator_class(ty.oid));
        let attribute = Attribute { relation: index.oid, number, name, ty, not_null: false, has_default: false };
        insert_attribute(connection, &attribute, collation)?;
    }
    let options: Vec<i16> = index.columns.iter().map(|_| 0).collect();
    insert(
        connection,
        "pg_index",
        &[
            ("indexrelid", &index.oid),
            ("indrelid", &directory.relation_oids[index.relation]),
            ("indnatts", &count),
            ("indnkeyatts", &count),
            ("indisunique", &true),
            ("indisprimary", &index.is_primary),
            ("indimmediate", &true),
            ("indisvalid", &true),
            ("indisready", &true),
            ("indislive", &true),
            ("indkey", &Json::from(index.columns.clone()).to_string()),
            ("indcollation", &Json::from(collations).to_string()),
            ("indclass", &Json::from(classes).to_string()),
            ("indoption", &Json::from(options).to_string()),
        ],
    )
}

pub(super) fn insert_constraint(connection: &Connection, directory: &Directory, constraint: &ConstraintEntry) -> Done {
    let fact = &directory.facts.relations[constraint.relation];
    let (kind, action, matching) = match constraint.kind {
        ConstraintKind::Primary => ("p", " ", " "),
        ConstraintKind::Unique => ("u", " ", " "),
        ConstraintKind::Foreign => ("f", "a", "s"),
    };
    let target = constraint.referenced.as_ref().map_or(0, |(target, _)| directory.relation_oids[*target]);
    let keys = constraint.referenced.as_ref().map(|(_, columns)| Json::from(columns.clone()).to_string());
    insert(
        connection,
        "pg_constraint",
        &[
            ("oid", &constraint.oid),
            ("conname", &constraint.name),
            ("connamespace", &directory.schema_oid(&fact.schema).unwrap_or(0)),
            ("contype", &kind),
            ("convalidated", &true),
            ("conrelid", &directory.relation_oids[constraint.relation]),
            ("conindid", &constraint.index),
            ("confrelid", &target),
            ("confupdtype", &action),
            ("confdeltype", &action),
            ("confmatchtype", &matching),
            ("conislocal", &true),
            ("connoinherit", &true),
            ("conkey", &Json::from(constraint.columns.clone()).to_string()),
            ("confkey", &keys),
        ],
    )?;
    insert_dependency(connection, constraint)
}

/// What `information_schema.referential_constraints` follows: an index belongs to its key, a foreign key needs an index.
fn insert_dependency(connection: &Connection, constraint: &ConstraintEntry) -> Done {
    let (of_constraint, of_index) = ((CLASS_CONSTRAINT, constraint.oid), (CLASS_RELATION, constraint.index));
    let (object, referenced, kind) = match constraint.kind {
        ConstraintKind::Foreign => (of_constraint, of_index, "n"),
        ConstraintKind::Primary | ConstraintKind::Unique => (of_index, of_constraint, "i"),
    };
    insert(
        connection,
        "pg_depend",
        &[
            ("classid", &object.0),
            ("objid", &object.1),
            ("refclassid", &referenced.0),
            ("refobjid", &referenced.1),
            ("deptype", &kind),
        ],
    )
}
