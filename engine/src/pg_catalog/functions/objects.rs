//! What an oid stands for: names, visibility, comments, sizes.

use rusqlite::types::Value;

use super::super::error::CatalogQueryError;
use super::super::names::{quote_identifier, split_qualified};
use super::super::oids::{CLASS_AUTHID, CLASS_DATABASE, CLASS_RELATION};
use super::super::regtypes;
use super::super::session::CatalogSession;
use super::super::static_data::system_relation;
use super::super::types::{BOOL, INT4, INT8, NAME, OID, REGCLASS, TEXT, TIMESTAMPTZ, TYPES};
use super::{Arguments, Native, bool_value, called, optional_text, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    called("format_type", TEXT, &[OID, INT4], format_type),
    strict("pg_get_userbyid", NAME, &[OID], pg_get_userbyid),
    strict("pg_table_is_visible", BOOL, &[OID], pg_table_is_visible),
    strict("pg_type_is_visible", BOOL, &[OID], pg_type_is_visible),
    strict("pg_function_is_visible", BOOL, &[OID], pg_function_is_visible),
    strict("pg_operator_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_opclass_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_opfamily_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_collation_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_conversion_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_statistics_obj_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_ts_config_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_ts_dict_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_ts_parser_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("pg_ts_template_is_visible", BOOL, &[OID], |_, _| bool_value(true)),
    strict("obj_description", TEXT, &[OID, NAME], obj_description),
    strict("col_description", TEXT, &[OID, INT4], col_description),
    strict("shobj_description", TEXT, &[OID, NAME], shobj_description),
    strict("pg_relation_size", INT8, &[REGCLASS, TEXT], size_of_relation),
    strict("pg_table_size", INT8, &[REGCLASS], size_of_relation),
    strict("pg_indexes_size", INT8, &[REGCLASS], size_of_relation),
    strict("pg_total_relation_size", INT8, &[REGCLASS], size_of_relation),
    strict("pg_database_size", INT8, &[], |_, _| Ok(Value::Integer(0))),
    strict("pg_tablespace_size", INT8, &[], |_, _| Ok(Value::Integer(0))),
    strict("pg_tablespace_location", TEXT, &[OID], |_, _| text_value("")),
    strict("pg_relation_filenode", OID, &[REGCLASS], |_, _| Ok(Value::Null)),
    strict("pg_relation_filepath", TEXT, &[REGCLASS], |_, _| Ok(Value::Null)),
    strict("pg_relation_is_publishable", BOOL, &[REGCLASS], |_, _| bool_value(false)),
    strict("pg_stat_get_numscans", INT8, &[OID], |_, _| Ok(Value::Integer(0))),
    strict("pg_stat_get_tuples_returned", INT8, &[OID], |_, _| Ok(Value::Integer(0))),
    strict("pg_stat_get_tuples_fetched", INT8, &[OID], |_, _| Ok(Value::Integer(0))),
    strict("pg_stat_get_live_tuples", INT8, &[OID], |_, _| Ok(Value::Integer(0))),
    strict("pg_stat_get_dead_tuples", INT8, &[OID], |_, _| Ok(Value::Integer(0))),
    strict("pg_stat_get_last_vacuum_time", TIMESTAMPTZ, &[OID], |_, _| Ok(Value::Null)),
    strict("pg_stat_get_last_analyze_time", TIMESTAMPTZ, &[OID], |_, _| Ok(Value::Null)),
    strict("pg_indexam_has_property", BOOL, &[OID, TEXT], pg_indexam_has_property),
    strict("pg_index_has_property", BOOL, &[REGCLASS, TEXT], pg_index_has_property),
    strict("pg_index_column_has_property", BOOL, &[REGCLASS, INT4, TEXT], pg_index_column_has_property),
    strict("pg_describe_object", TEXT, &[OID, OID, INT4], pg_describe_object),
    strict("pg_sequence_last_value", INT8, &[REGCLASS], |_, _| Ok(Value::Null)),
    strict("row_security_active", BOOL, &[REGCLASS], |_, _| bool_value(false)),
];

fn format_type(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    if arguments.is_null(0) {
        return Ok(Value::Null);
    }
    let typmod = arguments.integer(1).and_then(|modifier| i32::try_from(modifier).ok());
    text_value(TYPES.format(arguments.oid(0), typmod))
}

fn pg_get_userbyid(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = arguments.oid(0);
    text_value(session.directory.role_name(oid).map_or_else(|| format!("unknown (OID={oid})"), str::to_owned))
}

fn pg_table_is_visible(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(entry) = session.directory.relation(arguments.oid(0)) else {
        return Ok(Value::Null);
    };
    let found = session.directory.find_relation(std::slice::from_ref(&entry.name), &session.search_path());
    bool_value(found.is_some_and(|found| found.oid == entry.oid))
}

fn pg_type_is_visible(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let found = TYPES.get(arguments.oid(0));
    Ok(found.map_or(Value::Null, |row| Value::Integer(i64::from(session.is_on_path(row.namespace)))))
}

fn pg_function_is_visible(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let found = session.directory.procedure(arguments.oid(0));
    Ok(found.map_or(Value::Null, |row| Value::Integer(i64::from(session.is_on_path(row.namespace)))))
}

/// `obj_description(oid)` or `obj_description(oid, catalog name)`.
fn obj_description(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = arguments.oid(0);
    let descriptions = &session.directory.descriptions;
    let Some(catalog) = arguments.text(1) else {
        let found = descriptions.iter().filter(|((_, object, column), _)| *object == oid && *column == 0);
        return optional_text(found.min_by_key(|(key, _)| **key).map(|(_, text)| text.clone()));
    };
    let name = split_qualified(&catalog).and_then(|parts| parts.last().cloned()).unwrap_or_default();
    let class = system_relation("pg_catalog", &name).map_or(0, |relation| relation.oid);
    optional_text(descriptions.get(&(class, oid, 0)).cloned())
}

fn col_description(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let number = arguments.integer(1).and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
    optional_text(session.directory.descriptions.get(&(CLASS_RELATION, arguments.oid(0), number)).cloned())
}

fn shobj_description(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let class = match arguments.text(1).as_deref() {
        Some("pg_database") => CLASS_DATABASE,
        Some("pg_authid" | "pg_roles") => CLASS_AUTHID,
        _ => return Ok(Value::Null),
    };
    optional_text(session.directory.descriptions.get(&(class, arguments.oid(0), 0)).cloned())
}

/// Sizes are not told: they would depend on what the role may not see.
fn size_of_relation(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let known = session.directory.relation(arguments.oid(0)).is_some();
    Ok(if known || !arguments.is_number(0) { Value::Integer(0) } else { Value::Null })
}

fn pg_indexam_has_property(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    bool_value(matches!(
        arguments.text(1).as_deref(),
        Some("can_order" | "can_unique" | "can_multi_col" | "can_exclude" | "can_include")
    ))
}

fn pg_index_has_property(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    bool_value(arguments.text(1).as_deref() != Some("clusterable_never"))
}

fn pg_index_column_has_property(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    bool_value(matches!(
        arguments.text(2).as_deref(),
        Some("asc" | "nulls_last" | "orderable" | "returnable" | "search_array" | "search_nulls")
    ))
}

fn pg_describe_object(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let oid = arguments.oid(1);
    let Some(entry) = session.directory.relation(oid).filter(|_| arguments.oid(0) == CLASS_RELATION) else {
        return Ok(Value::Null);
    };
    let name = regtypes::print(session, REGCLASS, oid);
    match arguments.integer(2).and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0) {
        None => text_value(format!("relation {name}")),
        Some(number) => {
            let column = session.directory.fact(entry.oid).and_then(|fact| fact.columns.get(number - 1));
            let column = column.map(|column| quote_identifier(&column.name)).unwrap_or_default();
            text_value(format!("column {column} of relation {name}"))
        }
    }
}
