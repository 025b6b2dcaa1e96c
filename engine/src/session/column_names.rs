//! Names of result columns as Postgres gives them: a column's own name, a function's name, the
//! type of a cast, `case`, or `?column?`.
//!
//! The engine names an expression by its text and refuses two of one name. Unnamed expressions
//! of the outermost select therefore get names that are unlike any other while the query is
//! planned, and their Postgres names when its rows are shown.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select, SelectItem, SetExpr, Statement as Ast,
    Value,
};

use super::dialect::into_integer;

/// Begins the names that stand in while a query is planned.
const STAND_IN: &str = "__column_";

/// The query with stand-in names, and what each stand-in is shown as.
pub(super) fn stand_in(mut query: Ast) -> (Ast, Vec<String>) {
    let mut shown = Vec::new();
    // A column that is selected twice is an expression the second time.
    let mut named = HashSet::new();
    if let Ast::Query(query) = &mut query
        && let Some(select) = outermost(query)
    {
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { expr, .. } = item {
                into_integer(expr);
            }
            if let SelectItem::UnnamedExpr(expression) = item
                && (!matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                    || !named.insert(expression.to_string()))
            {
                let alias = Ident::with_quote('"', format!("{STAND_IN}{}", shown.len()));
                shown.push(name_of(expression).unwrap_or_else(|| "?column?".to_owned()));
                into_integer(expression);
                *item = SelectItem::ExprWithAlias { expr: expression.clone(), alias };
            }
        }
    }
    (query, shown)
}

/// The select whose columns name the result's.
fn outermost(query: &mut Query) -> Option<&mut Select> {
    let mut body = query.body.as_mut();
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::SetOperation { left, .. } => body = left.as_mut(),
            SetExpr::Query(inner) => body = inner.body.as_mut(),
            _ => return None,
        }
    }
}

/// The schema under the names that Postgres shows.
pub(super) fn shown(schema: &SchemaRef, names: &[String]) -> SchemaRef {
    if names.is_empty() {
        return Arc::clone(schema);
    }
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let name = field
                .name()
                .strip_prefix(STAND_IN)
                .and_then(|number| number.parse::<usize>().ok())
                .and_then(|number| names.get(number));
            match name {
                Some(name) => field.as_ref().clone().with_name(name),
                None => field.as_ref().clone(),
            }
        })
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Postgres' `FigureColname`.
fn name_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(ident) => Some(ident.value.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| ident.value.clone()),
        Expr::Function(function) => {
            // What a cast to json stands as.
            if let ("json", FunctionArguments::List(list)) = (function.name.to_string().as_str(), &function.args)
                && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(cast))] = list.args.as_slice()
                && let Some(name) = name_of(cast)
            {
                return Some(name);
            }
            function.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase())
        }
        Expr::Cast { expr, data_type, .. } => name_of(expr).or_else(|| Some(type_name(&data_type.to_string()))),
        Expr::Nested(inner) => name_of(inner),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(name_of).or_else(|| Some("case".to_owned())),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Trim { .. } => Some("btrim".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Exists { .. } => Some("exists".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type.to_string())),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => select.projection.first().and_then(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
                SelectItem::UnnamedExpr(inner) => name_of(inner),
                _ => None,
            }),
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Boolean(_) => Some("bool".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// A type's name in the system catalog.
fn type_name(written: &str) -> String {
    let lower = written.to_lowercase();
    let bare = lower.split('(').next().unwrap_or_default().trim();
    match bare {
        "int" | "integer" | "int4" => "int4",
        "bigint" | "int8" => "int8",
        "smallint" | "int2" => "int2",
        "decimal" | "numeric" => "numeric",
        "real" | "float4" => "float4",
        "double precision" | "float" | "float8" => "float8",
        "boolean" => "bool",
        "character varying" | "varchar" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<String> {
        let parsed = crate::session::statement::parse(sql).expect("SQL");
        stand_in(parsed[0].ast().expect("a query").clone()).1
    }

    #[test]
    fn unnamed_columns_have_the_names_that_postgres_gives() {
        assert_eq!(
            names(
                "select 1, sum(cost), a, '5'::int, cast('x' as text), case when true then 1 end, -cost, date '2026-10-01', b as c"
            ),
            ["?column?", "sum", "int4", "text", "case", "?column?", "date"]
        );
        assert_eq!(names("select count(*) from t union all select 2"), ["count"]);
    }
}
