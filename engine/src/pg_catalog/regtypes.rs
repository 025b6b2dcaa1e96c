//! The `reg...` types: names in, oids kept, names out.

use super::directory::RelationEntry;
use super::error::CatalogQueryError;
use super::names::{quote_identifier, split_qualified};
use super::oids::PG_CATALOG;
use super::procedures::{Procedure, builtin_procedures};
use super::session::CatalogSession;
use super::static_data::{StaticTable, TABLES};
use super::types::{
    REGCLASS, REGCOLLATION, REGNAMESPACE, REGOPER, REGOPERATOR, REGPROC, REGPROCEDURE, REGROLE, REGTYPE, TYPES,
};

/// Reads a name as one of the `reg...` types; a number is taken as the oid itself.
///
/// # Errors
/// The SQLSTATE PostgreSQL gives when the object does not exist, for example 42P01 for `regclass`.
pub(super) fn parse(session: &CatalogSession, reg: u32, text: &str) -> Result<u32, CatalogQueryError> {
    let text = text.trim();
    if text == "-" {
        return Ok(0);
    }
    if let Ok(oid) = text.parse::<u32>() {
        return Ok(oid);
    }
    find(session, reg, text)?.ok_or_else(|| missing(reg, text))
}

/// Like [`parse`], but `None` when there is no such object (`to_regclass` and its sisters).
pub(super) fn find(session: &CatalogSession, reg: u32, text: &str) -> Result<Option<u32>, CatalogQueryError> {
    let directory = &session.directory;
    if reg == REGTYPE {
        return Ok(find_type(text));
    }
    let parts = if matches!(reg, REGPROCEDURE | REGOPER | REGOPERATOR) {
        vec![text.to_owned()]
    } else {
        split_qualified(text).ok_or_else(|| CatalogQueryError::new("42602", "invalid name syntax"))?
    };
    let last = parts.last().map_or("", String::as_str);
    Ok(match reg {
        REGCLASS => directory.find_relation(&parts, &session.search_path()).map(|entry| entry.oid),
        REGNAMESPACE => directory.schema_oid(last),
        REGROLE => directory.role_oid(last),
        REGCOLLATION => cell_of("pg_collation", "collname", last, "oid"),
        REGOPER | REGOPERATOR => cell_of("pg_operator", "oprname", text, "oid"),
        REGPROC => find_procedure(session, &parts, None),
        REGPROCEDURE => {
            let (name, arguments) = text.split_once('(').unwrap_or((text, ""));
            let inputs: Option<Vec<u32>> = arguments
                .trim_end_matches(')')
                .split(',')
                .filter(|argument| !argument.trim().is_empty())
                .map(|argument| TYPES.named(&argument.trim().to_lowercase()))
                .collect();
            let name = split_qualified(name).unwrap_or_default();
            inputs.and_then(|inputs| find_procedure(session, &name, Some(&inputs)))
        }
        _ => None,
    })
}

/// A type by SQL or internal name, with or without modifier.
pub(super) fn find_type(text: &str) -> Option<u32> {
    if text.contains('"') {
        let parts = split_qualified(text)?;
        let (name, schema) = parts.split_last()?;
        let is_system = schema.is_empty() || schema == ["pg_catalog"] || schema == ["information_schema"];
        return if is_system { TYPES.named(&format!("\"{name}\"")) } else { None };
    }
    let lower = text.to_lowercase();
    let (head, tail) = match (lower.find('('), lower.find(')')) {
        (Some(open), Some(close)) if open < close => (lower[..open].trim_end(), &lower[close + 1..]),
        _ => (lower.as_str(), ""),
    };
    TYPES.named(&format!("{head}{tail}"))
}

fn find_procedure(session: &CatalogSession, name: &[String], inputs: Option<&[u32]>) -> Option<u32> {
    let (schema, name) = match name {
        [name] => (None, name),
        [schema, name] => (Some(session.directory.schema_oid(schema)?), name),
        _ => return None,
    };
    let matches = |procedure: &&Procedure| {
        procedure.name == *name
            && schema.is_none_or(|oid| oid == procedure.namespace)
            && inputs.is_none_or(|inputs| inputs == procedure.inputs)
    };
    let own = session.directory.procedures.iter().find(matches);
    own.map(|procedure| procedure.oid)
        .or_else(|| builtin_procedures().values().filter(matches).map(|procedure| procedure.oid).min())
}

fn missing(reg: u32, text: &str) -> CatalogQueryError {
    let (sqlstate, kind) = match reg {
        REGCLASS => ("42P01", "relation"),
        REGTYPE => ("42704", "type"),
        REGNAMESPACE => ("3F000", "schema"),
        REGROLE => ("42704", "role"),
        REGPROC | REGPROCEDURE => ("42883", "function"),
        REGOPER | REGOPERATOR => ("42883", "operator"),
        REGCOLLATION => ("42704", "collation"),
        _ => ("42704", "object"),
    };
    CatalogQueryError::new(sqlstate, format!("{kind} \"{text}\" does not exist"))
}

/// The text of a `reg...` value: a name, qualified where the bare name would not find it.
pub(super) fn print(session: &CatalogSession, reg: u32, oid: u32) -> String {
    if oid == 0 {
        return "-".to_owned();
    }
    let directory = &session.directory;
    let found = match reg {
        REGCLASS => directory.relation(oid).map(|entry| relation_name(session, entry)),
        REGTYPE => TYPES.get(oid).map(|_| TYPES.format(oid, None)),
        REGNAMESPACE => directory.schema_name(oid).map(quote_identifier),
        REGROLE => directory.role_name(oid).map(quote_identifier),
        REGPROC => directory.procedure(oid).map(|procedure| procedure_name(session, procedure)),
        REGPROCEDURE => directory.procedure(oid).map(|procedure| {
            let schema = match session.is_on_path(procedure.namespace) {
                true => String::new(),
                false => qualifier(session, procedure.namespace),
            };
            format!("{schema}{}({})", quote_identifier(&procedure.name), procedure.input_types_text())
        }),
        REGOPER | REGOPERATOR => cell_by_oid("pg_operator", oid, "oprname"),
        REGCOLLATION => cell_by_oid("pg_collation", oid, "collname").map(|name| quote_identifier(&name)),
        _ => None,
    };
    found.unwrap_or_else(|| oid.to_string())
}

/// A relation's name as `regclass` prints it.
pub(super) fn relation_name(session: &CatalogSession, entry: &RelationEntry) -> String {
    let visible = session
        .directory
        .find_relation(std::slice::from_ref(&entry.name), &session.search_path())
        .is_some_and(|found| found.oid == entry.oid);
    let name = quote_identifier(&entry.name);
    if visible { name } else { format!("{}.{name}", quote_identifier(&entry.schema)) }
}

// PostgreSQL qualifies a function name that does not name one function alone.
fn procedure_name(session: &CatalogSession, procedure: &Procedure) -> String {
    let name = quote_identifier(&procedure.name);
    let is_unique = session.is_on_path(procedure.namespace)
        && builtin_procedures().values().filter(|other| other.name == procedure.name).take(2).count()
            + session.directory.procedures.iter().filter(|other| other.name == procedure.name).count()
            == 1;
    if is_unique { name } else { format!("{}{name}", qualifier(session, procedure.namespace)) }
}

fn qualifier(session: &CatalogSession, namespace: u32) -> String {
    let name =
        session.directory.schema_name(namespace).unwrap_or(if namespace == PG_CATALOG { "pg_catalog" } else { "" });
    format!("{}.", quote_identifier(name))
}

fn static_table(table: &str) -> Option<StaticTable> {
    TABLES.iter().find(|(name, _)| *name == table).map(|(_, text)| StaticTable::parse(text))
}

fn cell_of(table: &str, key: &str, value: &str, column: &str) -> Option<u32> {
    let table = static_table(table)?;
    table.rows().find(|row| row.get(key) == Some(value)).and_then(|row| row.get(column)?.parse().ok())
}

fn cell_by_oid(table: &str, oid: u32, column: &str) -> Option<String> {
    let table = static_table(table)?;
    let oid = oid.to_string();
    table.rows().find(|row| row.get("oid") == Some(&oid)).and_then(|row| row.get(column).map(str::to_owned))
}
