//! The database, schemas, roles and functions.

use rusqlite::Connection;
use serde_json::Value as Json;

use super::super::database::insert;
use super::super::directory::Directory;
use super::super::names::quote_identifier;
use super::super::oids::{INFORMATION_SCHEMA, OWNER, PG_CATALOG, PG_TOAST};
use super::super::procedures::Procedure;
use super::Done;

pub(super) fn insert_names(connection: &Connection, directory: &Directory) -> Done {
    let owner = quote_identifier(&directory.facts.owner);
    let user = quote_identifier(&directory.facts.current_user);
    let system_acl = Json::from(vec![format!("{owner}=UC/{owner}"), format!("=U/{owner}")]).to_string();
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
        insert(connection, "pg_namespace", &[("oid", oid), ("nspname", name), ("nspowner", &OWNER), ("nspacl", &acl)])?;
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

pub(super) fn insert_roles(connection: &Connection, directory: &Directory) -> Done {
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
                ("rolsuper", &directory.is_all_powerful(*oid)),
                ("rolinherit", &true),
                ("rolcreaterole", &false),
                ("rolcanlogin", &(can_login && !directory.is_all_powerful(*oid))),
                ("rolconnlimit", &-1),
            ],
        )?;
    }
    for role in &facts.roles {
        for group in &role.member_of {
            if let (Some(member), Some(group)) = (directory.role_oid(&role.name), directory.role_oid(group)) {
                insert(connection, "pg_auth_members", &[("roleid", &group), ("member", &member), ("grantor", &OWNER)])?;
            }
        }
    }
    Ok(())
}

pub(super) fn insert_procedure(connection: &Connection, procedure: &Procedure) -> Done {
    let names: Vec<&str> = procedure.arguments.iter().map(|(_, name, _)| name.as_str()).collect();
    let names = names.iter().any(|name| !name.is_empty()).then(|| Json::from(names).to_string());
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
            ("prorows", &(if procedure.returns_set { 1000.0 } else { 0.0 })),
            ("prokind", &procedure.kind.to_string()),
            ("proretset", &procedure.returns_set),
            ("provolatile", &"s"),
            ("proparallel", &"u"),
            ("pronargs", &i64::try_from(procedure.inputs.len()).unwrap_or(0)),
            ("prorettype", &procedure.returns),
            ("proargtypes", &Json::from(procedure.inputs.clone()).to_string()),
            ("proargnames", &names),
            ("prosrc", &procedure.name),
        ],
    )?;
    if procedure.kind == 'a' {
        insert(connection, "pg_aggregate", &[("aggfnoid", &procedure.oid), ("aggkind", &"n")])?;
    }
    Ok(())
}
