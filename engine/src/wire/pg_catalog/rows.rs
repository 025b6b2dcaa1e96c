//! The catalog rows of the warehouse's own objects.

use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value as Json;

use super::database::insert;
use super::directory::{ConstraintEntry, ConstraintKind, Directory, IndexEntry, RelationSource};
use super::facts::{Privilege, RelationFact, RelationKind};
use super::functions;
use super::names::quote_identifier;
use super::oids::{
    BTREE, CLASS_AUTHID, CLASS_CONSTRAINT, CLASS_DATABASE, CLASS_RELATION, HEAP,
    INFORMATION_SCHEMA, OWNER, PG_CATALOG, PG_TOAST,
};
use super::procedures::Procedure;
use super::session::CatalogSession;
use super::static_data::SYSTEM_RELATIONS;
use super::types::{PgType, TYPES};

type Done = Result<(), rusqlite::Error>;

/// `pg_class` and `pg_attribute` rows of the system relations: the same for everyone.
///
/// # Errors
/// Those of SQLite.
pub(super) fn insert_system_relations(connection: &Connection) -> Done {
    for relation in SYSTEM_RELATIONS.iter() {
        let namespace = if relation.schema == "pg_catalog" {
            PG_CATALOG
        } else {
            INFORMATION_SCHEMA
        };
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
            let ty = PgType {
                oid: column.type_oid,
                typmod: column.typmod,
            };
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

struct Attribute<'a> {
    relation: u32,
    number: i16,
    name: &'a str,
    ty: PgType,
    not_null: bool,
    has_default: bool,
}

fn insert_attribute(connection: &Connection, attribute: &Attribute<'_>, collation: u32) -> Done {
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

/// All rows that come from the session's facts.
///
/// # Errors
/// Those of SQLite.
pub(super) fn insert_session_rows(
    connection: &mut Connection,
    session: &Arc<CatalogSession>,
) -> Done {
    let directory = Arc::clone(&session.directory);
    let transaction = connection.transaction()?;
    keep_known_functions(&transaction, &directory)?;
    insert_names(&transaction, &directory)?;
    insert_roles(&transaction, &directory)?;
    for entry in &directory.relations {
        if let RelationSource::Fact(position) = entry.source {
            insert_relation(
                &transaction,
                &directory,
                &directory.facts.relations[position],
                entry.oid,
            )?;
        }
    }
    for index in &directory.indexes {
        insert_index(&transaction, &directory, index)?;
    }
    for constraint in &directory.constraints {
        insert_constraint(&transaction, &directory, constraint)?;
    }
    for procedure in &directory.procedures {
        insert_procedure(&transaction, procedure)?;
    }
    insert_descriptions(&transaction, &directory)?;
    insert_backends(&transaction, &directory)?;
    transaction.commit()
}

/// Built-in functions stay if something refers to them, if this catalog answers them, or if the engine offers them.
fn keep_known_functions(connection: &Connection, directory: &Directory) -> Done {
    let offered = Json::from(directory.facts.builtin_functions.clone()).to_string();
    let answered = Json::from(functions::names()).to_string();
    connection.execute(
        r#"DELETE FROM "pg_catalog.pg_proc" WHERE pronamespace = 11
            AND proname NOT IN (SELECT value FROM json_each(?1)) AND proname NOT IN (SELECT value FROM json_each(?2))
            AND oid NOT IN (SELECT typinput FROM "pg_catalog.pg_type" UNION SELECT typoutput FROM "pg_catalog.pg_type"
                UNION SELECT typreceive FROM "pg_catalog.pg_type" UNION SELECT typsend FROM "pg_catalog.pg_type"
                UNION SELECT typmodin FROM "pg_catalog.pg_type" UNION SELECT typmodout FROM "pg_catalog.pg_type"
                UNION SELECT typanalyze FROM "pg_catalog.pg_type" UNION SELECT typsubscript FROM "pg_catalog.pg_type"
                UNION SELECT rngcanonical FROM "pg_catalog.pg_range" UNION SELECT rngsubdiff FROM "pg_catalog.pg_range"
                UNION SELECT castfunc FROM "pg_catalog.pg_cast" UNION SELECT oprcode FROM "pg_catalog.pg_operator"
                UNION SELECT amhandler FROM "pg_catalog.pg_am" UNION SELECT lanvalidator FROM "pg_catalog.pg_language")"#,
        [&offered, &answered],
    )?;
    connection.execute(
        r#"DELETE FROM "pg_catalog.pg_aggregate" WHERE aggfnoid NOT IN (SELECT oid FROM "pg_catalog.pg_proc")"#,
        [],
    )?;
    Ok(())
}

fn insert_names(connection: &Connection, directory: &Directory) -> Done {
    let owner = quote_identifier(&directory.facts.owner);
    let user = quote_identifier(&directory.facts.current_user);
    let system_acl =
        Json::from(vec![format!("{owner}=UC/{owner}"), format!("=U/{owner}")]).to_string();
    let mut own = vec![format!("{owner}=UC/{owner}")];
    if user != owner {
        own.push(format!("{user}=U/{owner}"));
    }
    let own_acl = Json::from(own).to_string();
    for (oid, name) in &directory.schemas {
        let acl = match *oid {
            PG_CATALOG | INFORMATION_SCHEMA => Some(&system_acl),
            PG_TOAST => None,
            _ => Some(&own_acl),
        };
        insert(
            connection,
            "pg_namespace",
            &[
                ("oid", oid),
                ("nspname", name),
                ("nspowner", &OWNER),
                ("nspacl", &acl),
            ],
        )?;
    }
    insert(
        connection,
        "pg_database",
        &[
            ("oid", &directory.database_oid),
            ("datname", &directory.facts.database),
            ("datdba", &OWNER),
            ("encoding", &6),
            ("datlocprovider", &"c"),
            ("datallowconn", &true),
            ("datconnlimit", &-1),
            ("datfrozenxid", &1),
            ("datminmxid", &1),
            ("dattablespace", &1663),
            ("datcollate", &"C.UTF-8"),
            ("datctype", &"C.UTF-8"),
        ],
    )
}

fn insert_roles(connection: &Connection, directory: &Directory) -> Done {
    let facts = &directory.facts;
    for (oid, name) in &directory.roles {
        let is_owner = *oid == OWNER;
        if *oid < 16_384 && !is_owner {
            continue;
        }
        let can_login = facts
            .roles
            .iter()
            .find(|role| role.name == *name)
            .map_or(*name == facts.current_user, |role| role.can_login);
        insert(
            connection,
            "pg_authid",
            &[
                ("oid", oid),
                ("rolname", name),
                ("rolsuper", &is_owner),
                ("rolinherit", &true),
                ("rolcreaterole", &false),
                ("rolcanlogin", &(can_login && !is_owner)),
                ("rolconnlimit", &-1),
            ],
        )?;
    }
    for role in &facts.roles {
        for group in &role.member_of {
            if let (Some(member), Some(group)) =
                (directory.role_oid(&role.name), directory.role_oid(group))
            {
                insert(
                    connection,
                    "pg_auth_members",
                    &[("roleid", &group), ("member", &member), ("grantor", &OWNER)],
                )?;
            }
        }
    }
    Ok(())
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

fn insert_relation(
    connection: &Connection,
    directory: &Directory,
    fact: &RelationFact,
    oid: u32,
) -> Done {
    let is_table = fact.kind == RelationKind::Table;
    let owner = quote_identifier(&directory.facts.owner);
    let user = quote_identifier(&directory.facts.current_user);
    let mut acl = vec![format!("{owner}=arwdDxt/{owner}")];
    if !fact.privileges.is_empty() && user != owner {
        acl.push(format!(
            "{user}={}/{owner}",
            privilege_letters(&fact.privileges)
        ));
    }
    let has_index = directory
        .indexes
        .iter()
        .any(|index| directory.relation_oids[index.relation] == oid);
    let has_triggers = directory.constraints.iter().any(|constraint| {
        let target = constraint
            .referenced
            .as_ref()
            .map(|(target, _)| directory.relation_oids[*target]);
        constraint.kind == ConstraintKind::Foreign
            && (directory.relation_oids[constraint.relation] == oid || target == Some(oid))
    });
    insert(
        connection,
        "pg_class",
        &[
            ("oid", &oid),
            ("relname", &fact.name),
            (
                "relnamespace",
                &directory.schema_oid(&fact.schema).unwrap_or(0),
            ),
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
        let collation = TYPES
            .get(column.data_type.oid)
            .map_or(0, |row| row.collation);
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
                &[
                    ("oid", &key),
                    ("adrelid", &oid),
                    ("adnum", &number),
                    ("adbin", default),
                ],
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

fn column_of(directory: &Directory, relation: usize, number: i16) -> Option<(&str, PgType)> {
    let position = usize::try_from(number).ok()?.checked_sub(1)?;
    let column = directory
        .facts
        .relations
        .get(relation)?
        .columns
        .get(position)?;
    Some((&column.name, column.data_type))
}

/// The default B-tree operator class of a type.
fn operator_class(oid: u32) -> u32 {
    use super::types::{
        BOOL, BPCHAR, DATE, INT2, INT4, INT8, NUMERIC, OID, TEXT, TIMESTAMP, TIMESTAMPTZ, UUID,
        VARCHAR,
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

fn insert_index(connection: &Connection, directory: &Directory, index: &IndexEntry) -> Done {
    let fact = &directory.facts.relations[index.relation];
    let count = i64::try_from(index.columns.len()).unwrap_or(0);
    insert(
        connection,
        "pg_class",
        &[
            ("oid", &index.oid),
            ("relname", &index.name),
            (
                "relnamespace",
                &directory.schema_oid(&fact.schema).unwrap_or(0),
            ),
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
        let attribute = Attribute {
            relation: index.oid,
            number,
            name,
            ty,
            not_null: false,
            has_default: false,
        };
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

fn insert_constraint(
    connection: &Connection,
    directory: &Directory,
    constraint: &ConstraintEntry,
) -> Done {
    let fact = &directory.facts.relations[constraint.relation];
    let (kind, action, matching) = match constraint.kind {
        ConstraintKind::Primary => ("p", " ", " "),
        ConstraintKind::Unique => ("u", " ", " "),
        ConstraintKind::Foreign => ("f", "a", "s"),
    };
    let target = constraint
        .referenced
        .as_ref()
        .map_or(0, |(target, _)| directory.relation_oids[*target]);
    let keys = constraint
        .referenced
        .as_ref()
        .map(|(_, columns)| Json::from(columns.clone()).to_string());
    insert(
        connection,
        "pg_constraint",
        &[
            ("oid", &constraint.oid),
            ("conname", &constraint.name),
            (
                "connamespace",
                &directory.schema_oid(&fact.schema).unwrap_or(0),
            ),
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
            (
                "conkey",
                &Json::from(constraint.columns.clone()).to_string(),
            ),
            ("confkey", &keys),
        ],
    )?;
    insert_dependency(connection, constraint)
}

/// What `information_schema.referential_constraints` follows: an index belongs to its key, a foreign key needs an index.
fn insert_dependency(connection: &Connection, constraint: &ConstraintEntry) -> Done {
    let (of_constraint, of_index) = (
        (CLASS_CONSTRAINT, constraint.oid),
        (CLASS_RELATION, constraint.index),
    );
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

fn insert_procedure(connection: &Connection, procedure: &Procedure) -> Done {
    let names: Vec<&str> = procedure
        .arguments
        .iter()
        .map(|(_, name, _)| name.as_str())
        .collect();
    let names = names
        .iter()
        .any(|name| !name.is_empty())
        .then(|| Json::from(names).to_string());
    insert(
        connection,
        "pg_proc",
        &[
            ("oid", &procedure.oid),
            ("proname", &procedure.name),
            ("pronamespace", &procedure.namespace),
            ("proowner", &OWNER),
            ("prolang", &12),
            ("procost", &1.0),
            (
                "prorows",
                &(if procedure.returns_set { 1000.0 } else { 0.0 }),
            ),
            ("prokind", &procedure.kind.to_string()),
            ("proretset", &procedure.returns_set),
            ("provolatile", &"s"),
            ("proparallel", &"u"),
            (
                "pronargs",
                &i64::try_from(procedure.inputs.len()).unwrap_or(0),
            ),
            ("prorettype", &procedure.returns),
            (
                "proargtypes",
                &Json::from(procedure.inputs.clone()).to_string(),
            ),
            ("proargnames", &names),
            ("prosrc", &procedure.name),
        ],
    )?;
    if procedure.kind == 'a' {
        insert(
            connection,
            "pg_aggregate",
            &[("aggfnoid", &procedure.oid), ("aggkind", &"n")],
        )?;
    }
    Ok(())
}

fn insert_descriptions(connection: &Connection, directory: &Directory) -> Done {
    // the built-in comment on `public` gives way to the warehouse's own
    connection.execute(
        r#"DELETE FROM "pg_catalog.pg_description" WHERE objoid = ?1"#,
        [super::oids::PUBLIC],
    )?;
    for ((class, object, column), text) in &directory.descriptions {
        match *class {
            CLASS_DATABASE | CLASS_AUTHID => {
                insert(
                    connection,
                    "pg_shdescription",
                    &[
                        ("objoid", object),
                        ("classoid", class),
                        ("description", text),
                    ],
                )?;
            }
            // built-in descriptions are in the template already
            class
                if *object < 16_384
                    && class != CLASS_RELATION
                    && *object != super::oids::PUBLIC => {}
            class => {
                insert(
                    connection,
                    "pg_description",
                    &[
                        ("objoid", object),
                        ("classoid", &class),
                        ("objsubid", column),
                        ("description", text),
                    ],
                )?;
            }
        }
    }
    Ok(())
}

fn insert_backends(connection: &Connection, directory: &Directory) -> Done {
    let facts = &directory.facts;
    let user = directory.role_oid(&facts.current_user).unwrap_or(0);
    for backend in &facts.sessions {
        insert(
            connection,
            "pg_stat_activity",
            &[
                ("datid", &directory.database_oid),
                ("datname", &facts.database),
                ("pid", &backend.pid),
                ("usesysid", &user),
                ("usename", &facts.current_user),
                ("application_name", &backend.application_name),
                ("backend_start", &backend.backend_start),
                ("state", &backend.state),
                ("query", &backend.query),
                ("backend_type", &"client backend"),
            ],
        )?;
    }
    Ok(())
}
