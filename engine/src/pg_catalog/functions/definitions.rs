//! Texts of definitions: constraints, indexes, views, defaults, function signatures.

use rusqlite::types::Value;

use super::super::directory::{ConstraintKind, IndexEntry};
use super::super::error::CatalogQueryError;
use super::super::names::quote_identifier;
use super::super::oids::OWNER;
use super::super::procedures::Defaults;
use super::super::regtypes::{self, relation_name};
use super::super::session::CatalogSession;
use super::super::types::{ACLITEM_ARRAY, BOOL, CHAR, INT2, INT4, NODE_TREE, OID, REGCLASS, TEXT};
use super::{Arguments, Native, bool_value, called, optional_text, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    called("pg_get_expr", TEXT, &[NODE_TREE, OID, BOOL], |_, arguments| optional_text(arguments.text(0))),
    strict("pg_get_constraintdef", TEXT, &[OID, BOOL], pg_get_constraintdef),
    strict("pg_get_indexdef", TEXT, &[OID, INT4, BOOL], pg_get_indexdef),
    strict("pg_get_viewdef", TEXT, &[OID, BOOL], pg_get_viewdef),
    strict("pg_get_function_arguments", TEXT, &[OID], |session, arguments| {
        optional_text(session.directory.procedure(arguments.oid(0)).map(|found| found.arguments_text(Defaults::Shown)))
    }),
    strict("pg_get_function_identity_arguments", TEXT, &[OID], |session, arguments| {
        optional_text(session.directory.procedure(arguments.oid(0)).map(|found| found.arguments_text(Defaults::Hidden)))
    }),
    strict("pg_get_function_result", TEXT, &[OID], |session, arguments| {
        optional_text(session.directory.procedure(arguments.oid(0)).and_then(|found| found.result_text()))
    }),
    strict("pg_get_functiondef", TEXT, &[OID], pg_get_functiondef),
    strict("pg_get_function_arg_default", TEXT, &[OID, INT4], absent),
    strict("pg_get_function_sqlbody", TEXT, &[OID], absent),
    strict("pg_get_triggerdef", TEXT, &[OID, BOOL], absent),
    strict("pg_get_ruledef", TEXT, &[OID, BOOL], absent),
    strict("pg_get_partkeydef", TEXT, &[OID], absent),
    strict("pg_get_partition_constraintdef", TEXT, &[OID], absent),
    strict("pg_get_statisticsobjdef", TEXT, &[OID], absent),
    strict("pg_get_statisticsobjdef_columns", TEXT, &[OID], absent),
    strict("pg_get_statisticsobjdef_expressions", 1009, &[OID], absent),
    strict("pg_get_serial_sequence", TEXT, &[TEXT, TEXT], pg_get_serial_sequence),
    strict("_pg_index_position", INT4, &[OID, INT2], index_position),
    strict("pg_relation_is_updatable", INT4, &[REGCLASS, BOOL], pg_relation_is_updatable),
    strict("pg_column_is_updatable", BOOL, &[REGCLASS, INT2, BOOL], |session, arguments| {
        bool_value(updatable_events(session, arguments.oid(0)) & 4 == 4)
    }),
    strict("acldefault", ACLITEM_ARRAY, &[CHAR, OID], acldefault),
];

fn absent(_: &CatalogSession, _: &Arguments<'_>) -> Outcome {
    Ok(Value::Null)
}

/// A declaration without a body: the warehouse's functions are not written in SQL.
fn pg_get_functiondef(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = arguments.oid(0);
    let found = session
        .directory
        .procedure(oid)
        .ok_or_else(|| CatalogQueryError::new("42883", format!("function with OID {oid} does not exist")))?;
    let kind = if found.kind == 'p' { "PROCEDURE" } else { "FUNCTION" };
    let schema = session.directory.schema_name(found.namespace).map(quote_identifier).unwrap_or_default();
    let name = quote_identifier(&found.name);
    let returns = found.result_text().map(|text| format!("\n RETURNS {text}")).unwrap_or_default();
    text_value(format!(
        "CREATE OR REPLACE {kind} {schema}.{name}({}){returns}\n LANGUAGE internal\nAS $function${}$function$\n",
        found.arguments_text(Defaults::Shown),
        found.name
    ))
}

fn column_list(session: &CatalogSession, relation: usize, columns: &[i16]) -> String {
    let fact = session.directory.facts.relations.get(relation);
    let names = columns.iter().filter_map(|number| {
        let position = usize::try_from(*number).ok()?.checked_sub(1)?;
        fact?.columns.get(position).map(|column| quote_identifier(&column.name))
    });
    names.collect::<Vec<_>>().join(", ")
}

fn name_of(session: &CatalogSession, relation: usize) -> String {
    let oid = session.directory.relation_oids.get(relation).copied().unwrap_or(0);
    session.directory.relation(oid).map(|entry| relation_name(session, entry)).unwrap_or_default()
}

fn pg_get_constraintdef(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = arguments.oid(0);
    let Some(found) = session.directory.constraints.iter().find(|constraint| constraint.oid == oid) else {
        return Ok(Value::Null);
    };
    let columns = column_list(session, found.relation, &found.columns);
    text_value(match (found.kind, &found.referenced) {
        (ConstraintKind::Primary, _) => format!("PRIMARY KEY ({columns})"),
        (ConstraintKind::Foreign, Some((target, referenced))) => format!(
            "FOREIGN KEY ({columns}) REFERENCES {}({})",
            name_of(session, *target),
            column_list(session, *target, referenced)
        ),
        (ConstraintKind::Unique | ConstraintKind::Foreign, _) => format!("UNIQUE ({columns})"),
    })
}

/// The whole statement, or one column's text when a column number other than 0 is given.
fn pg_get_indexdef(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = arguments.oid(0);
    let Some(index) = session.directory.indexes.iter().find(|index| index.oid == oid) else {
        return Ok(Value::Null);
    };
    match arguments.integer(1).and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0) {
        None => text_value(index_statement(session, index, arguments.flag(2))),
        Some(number) => {
            let column = index.columns.get(number - 1).map(|column| column_list(session, index.relation, &[*column]));
            text_value(column.unwrap_or_default())
        }
    }
}

/// Where a column of the relation stands in an index, from 1.
fn index_position(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = arguments.oid(0);
    let index = session.directory.indexes.iter().find(|index| index.oid == oid);
    let found = (1..)
        .zip(index.map_or(&[][..], |index| &index.columns))
        .find(|(_, column)| Some(i64::from(**column)) == arguments.integer(1));
    Ok(found.map_or(Value::Null, |(position, _): (i64, _)| Value::Integer(position)))
}

/// `pretty` leaves the schema out where the bare name finds the relation.
fn index_statement(session: &CatalogSession, index: &IndexEntry, pretty: bool) -> String {
    let fact = session.directory.facts.relations.get(index.relation);
    let qualified = fact.map(|fact| format!("{}.{}", quote_identifier(&fact.schema), quote_identifier(&fact.name)));
    let relation = if pretty { name_of(session, index.relation) } else { qualified.unwrap_or_default() };
    let columns = column_list(session, index.relation, &index.columns);
    format!("CREATE UNIQUE INDEX {} ON {relation} USING btree ({columns})", quote_identifier(&index.name))
}

/// A view's text if the facts have it; by oid or by name.
fn pg_get_viewdef(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = if arguments.is_number(0) {
        arguments.oid(0)
    } else {
        regtypes::parse(session, REGCLASS, &arguments.text(0).unwrap_or_default())?
    };
    optional_text(session.directory.fact(oid).and_then(|fact| fact.definition.clone()))
}

/// There are no sequences; what it checks first, the relation, it still checks.
fn pg_get_serial_sequence(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    regtypes::parse(session, REGCLASS, &arguments.text(0).unwrap_or_default())?;
    Ok(Value::Null)
}

/// PostgreSQL's event bits: 4 update, 8 insert, 16 delete.
fn updatable_events(session: &CatalogSession, oid: u32) -> i64 {
    use super::super::facts::Privilege;
    session.directory.fact(oid).map_or(0, |fact| {
        fact.privileges.iter().fold(0, |events, privilege| {
            events
                | match privilege {
                    Privilege::Select => 0,
                    Privilege::Update => 4,
                    Privilege::Insert => 8,
                    Privilege::Delete => 16,
                }
        })
    })
}

fn pg_relation_is_updatable(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    Ok(Value::Integer(updatable_events(session, arguments.oid(0))))
}

/// `acldefault(kind of object, owner)`.
fn acldefault(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let owner =
        session.directory.role_name(arguments.oid(1)).or_else(|| session.directory.role_name(OWNER)).unwrap_or("");
    let owner = quote_identifier(owner);
    let (public, own) = match arguments.text(0).as_deref() {
        Some("r") => ("", "arwdDxt"),
        Some("S") => ("", "rwU"),
        Some("d") => ("Tc", "CTc"),
        Some("f") => ("X", "X"),
        Some("l" | "T") => ("U", "U"),
        Some("L") => ("", "rw"),
        Some("n") => ("", "UC"),
        Some("p") => ("", "sA"),
        Some("t") => ("", "C"),
        Some("F" | "s") => ("", "U"),
        _ => ("", ""),
    };
    let mut items = Vec::new();
    if !public.is_empty() {
        items.push(format!("={public}/{owner}"));
    }
    if !own.is_empty() {
        items.push(format!("{owner}={own}/{owner}"));
    }
    text_value(serde_json::Value::from(items).to_string())
}
