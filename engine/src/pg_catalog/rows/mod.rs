//! The catalog rows of the warehouse's own objects.

mod keys;
mod owners;
mod relations;

use std::sync::Arc;

use rusqlite::Connection;
use serde_json::Value as Json;

use super::database::insert;
use super::directory::{Directory, RelationSource};
use super::functions;
use super::oids::{CLASS_AUTHID, CLASS_DATABASE, CLASS_RELATION, PUBLIC};
use super::session::CatalogSession;
use keys::{insert_constraint, insert_index};
use owners::{insert_names, insert_procedure, insert_roles};
use relations::insert_relation;

pub(super) use relations::insert_system_relations;

type Done = Result<(), rusqlite::Error>;

/// All rows that come from the session's facts.
///
/// # Errors
/// Those of SQLite.
pub(super) fn insert_session_rows(connection: &mut Connection, session: &Arc<CatalogSession>) -> Done {
    let directory = Arc::clone(&session.directory);
    let transaction = connection.transaction()?;
    keep_known_functions(&transaction, &directory)?;
    insert_names(&transaction, &directory)?;
    insert_roles(&transaction, &directory)?;
    for entry in &directory.relations {
        if let RelationSource::Fact(position) = entry.source {
            insert_relation(&transaction, &directory, &directory.facts.relations[position], entry.oid)?;
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

fn insert_descriptions(connection: &Connection, directory: &Directory) -> Done {
    // the built-in comment on `public` gives way to the warehouse's own
    connection.execute(r#"DELETE FROM "pg_catalog.pg_description" WHERE objoid = ?1"#, [PUBLIC])?;
    for ((class, object, column), text) in &directory.descriptions {
        match *class {
            CLASS_DATABASE | CLASS_AUTHID => {
                insert(
                    connection,
                    "pg_shdescription",
                    &[("objoid", object), ("classoid", class), ("description", text)],
                )?;
            }
            // built-in descriptions are in the template already
            class if *object < 16_384 && class != CLASS_RELATION && *object != PUBLIC => {}
            class => {
                insert(
                    connection,
                    "pg_description",
                    &[("objoid", object), ("classoid", &class), ("objsubid", column), ("description", text)],
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
