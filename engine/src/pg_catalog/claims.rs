//! Which statements are the catalog's.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{DataType, Expr, ObjectName, Query, Statement, TableFactor, Visit, Visitor};

use super::compile::is_value_function;
use super::functions::{belongs_to_catalogs, native, set_function};
use super::names::{fold, parts};
use super::static_data::system_relation;

/// Functions that other databases have too; they neither make a statement the catalog's nor take it away.
const NEUTRAL: &[&str] = &[
    "array",
    "array_agg",
    "array_append",
    "array_cat",
    "array_prepend",
    "avg",
    "bool_and",
    "bool_or",
    "coalesce",
    "count",
    "current_date",
    "current_timestamp",
    "every",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "localtimestamp",
    "max",
    "min",
    "nullif",
    "pg_typeof",
    "row_number",
    "row_to_json",
    "string_agg",
    "sum",
    "to_json",
    "to_jsonb",
    "name",
    "oid",
    "text",
];

#[derive(Default)]
struct Survey {
    ctes: Vec<String>,
    catalog_relations: usize,
    other_relations: Vec<String>,
    catalog_functions: usize,
    other_functions: usize,
}

/// Whether a statement touches catalog relations, or calls catalog functions without any relation, and nothing else.
pub(super) fn claims(statement: &Statement) -> bool {
    if !matches!(statement, Statement::Query(_)) {
        return false;
    }
    let mut survey = Survey::default();
    if statement.visit(&mut survey).is_break() {
        return false;
    }
    let foreign = survey.other_relations.iter().any(|name| !survey.ctes.contains(name));
    if foreign {
        return false;
    }
    survey.catalog_relations > 0 || (survey.catalog_functions > 0 && survey.other_functions == 0)
}

impl Survey {
    fn relation(&mut self, name: &ObjectName) {
        let Some(parts) = parts(name) else {
            self.other_relations.push(String::from("?"));
            return;
        };
        let known = match parts.as_slice() {
            [name] => system_relation("pg_catalog", name).is_some(),
            [schema, _] | [_, schema, _] => schema == "pg_catalog" || schema == "information_schema",
            _ => false,
        };
        if known {
            self.catalog_relations += 1;
        } else {
            self.other_relations.push(if parts.len() == 1 { parts[0].clone() } else { parts.join(".") });
        }
    }

    fn function(&mut self, name: &ObjectName) {
        let parts = parts(name).unwrap_or_default();
        let bare = parts.last().map_or("", String::as_str);
        let in_catalog_schema =
            matches!(parts.as_slice(), [schema, _] if schema == "pg_catalog" || schema == "information_schema");
        if parts.len() > 1 && !in_catalog_schema {
            self.other_functions += 1;
        } else if belongs_to_catalogs(bare) {
            self.catalog_functions += 1;
        } else if native(bare).is_none() && set_function(bare).is_none() && !NEUTRAL.contains(&bare) {
            self.other_functions += 1;
        }
    }
}

fn is_object_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Regclass => true,
        DataType::Custom(name, _) => {
            parts(name).and_then(|mut parts| parts.pop()).is_some_and(|name| name.starts_with("reg"))
        }
        _ => false,
    }
}

impl Visitor for Survey {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            self.ctes.extend(with.cte_tables.iter().map(|cte| fold(&cte.alias.name)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: None, .. } => self.relation(name),
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.function(name),
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } | TableFactor::UNNEST { .. } => {}
            _ => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.function(&function.name),
            Expr::Identifier(ident) if is_value_function(ident) => self.catalog_functions += 1,
            Expr::Cast { data_type, .. } if is_object_type(data_type) => self.catalog_functions += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
