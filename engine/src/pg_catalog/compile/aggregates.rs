//! Aggregates and window functions.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    OrderByExpr, WindowType,
};

use super::super::error::CatalogQueryError;
use super::super::types::{BOOL, FLOAT4, FLOAT8, INT2, INT4, INT8, JSON, JSONB, NUMERIC, PgType, TEXT, TYPES};
use super::casts::is_text;
use super::ordering::direction;
use super::scope::Scope;
use super::typed::Typed;
use super::{Compiler, Outcome};

const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Whether a call is an aggregate or a window function.
pub(super) fn is_aggregate(name: &str, function: &Function) -> bool {
    function.over.is_some() || AGGREGATES.contains(&name)
}

impl Compiler<'_> {
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        function: &Function,
        list: &FunctionArgumentList,
        scope: &Scope<'_>,
    ) -> Outcome<Typed> {
        if !function.within_group.is_empty() {
            return Err(CatalogQueryError::unsupported("WITHIN GROUP"));
        }
        let mut arguments = Vec::new();
        for argument in &list.args {
            if matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Wildcard)) {
                arguments.push(Typed::int4("*"));
            } else {
                let value = self.argument(argument, scope)?;
                arguments.push(self.coerce(value, TEXT)?);
            }
        }
        let mut order = String::new();
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) => order = self.keys(keys, scope)?,
                _ => {
                    return Err(CatalogQueryError::unsupported("this clause of an aggregate"));
                }
            }
        }
        let distinct =
            if matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)) { "DISTINCT " } else { "" };
        let mut suffix = String::new();
        if let Some(filter) = &function.filter {
            suffix.push_str(&format!(" FILTER (WHERE {})", self.condition(filter, scope)?));
        }
        if let Some(over) = &function.over {
            suffix.push_str(&self.over(over, scope)?);
        }
        let first = arguments.first().map_or(PgType::plain(TEXT), |argument| argument.ty);
        let (sqlite, ty) = signature(name, first)?;
        let mut list: Vec<String> = arguments.iter().map(|argument| argument.sql.clone()).collect();
        match name {
            "string_agg" => list[0] = self.cast(arguments[0].clone(), PgType::plain(TEXT))?.sql,
            "json_agg" | "jsonb_agg" => list[0] = super::calls::json_value(&arguments[0]),
            "json_object_agg" | "jsonb_object_agg" if arguments.len() == 2 => {
                list[1] = super::calls::json_value(&arguments[1])
            }
            _ => {}
        }
        if distinct.is_empty() || list.len() < 2 {
            let call = format!("{sqlite}({distinct}{}{order}){suffix}", list.join(", "));
            // PostgreSQL's array_agg and json_agg of no rows are null
            let sql = if sqlite == "json_group_array" { format!("nullif({call}, '[]')") } else { call };
            return Ok(Typed::with_type(sql, ty));
        }
        // SQLite takes DISTINCT with one argument only: the separator goes in afterwards
        let array = format!("json_group_array({distinct}{}{order}){suffix}", list[0]);
        Ok(Typed::with_type(format!("catalog_array_to_string(nullif({array}, '[]'), {})", list[1]), ty))
    }

    fn keys(&mut self, keys: &[OrderByExpr], scope: &Scope<'_>) -> Outcome<String> {
        let mut printed = Vec::new();
        for key in keys {
            printed.push(format!("{}{}", self.expression(&key.expr, scope)?.sql, direction(key)));
        }
        Ok(format!(" ORDER BY {}", printed.join(", ")))
    }

    fn over(&mut self, over: &WindowType, scope: &Scope<'_>) -> Outcome<String> {
        let WindowType::WindowSpec(window) = over else {
            return Err(CatalogQueryError::unsupported("a named window"));
        };
        if window.window_frame.is_some() || window.window_name.is_some() {
            return Err(CatalogQueryError::unsupported("a window frame"));
        }
        let mut parts = Vec::new();
        if !window.partition_by.is_empty() {
            let mut keys = Vec::new();
            for key in &window.partition_by {
                keys.push(self.expression(key, scope)?.sql);
            }
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if !window.order_by.is_empty() {
            parts.push(self.keys(&window.order_by, scope)?.trim_start().to_owned());
        }
        Ok(format!(" OVER ({})", parts.join(" ")))
    }
}

/// SQLite's name and the result type.
fn signature(name: &str, first: PgType) -> Outcome<(&'static str, PgType)> {
    let plain = PgType::plain;
    Ok(match name {
        "count" => ("count", plain(INT8)),
        "sum" => (
            "sum",
            match first.oid {
                INT2 | INT4 => plain(INT8),
                INT8 => PgType::numeric(38, 0),
                FLOAT4 | FLOAT8 => plain(FLOAT8),
                _ => PgType { oid: NUMERIC, typmod: first.typmod },
            },
        ),
        "avg" => ("avg", plain(FLOAT8)),
        "min" if is_text(first.oid) => ("min", plain(TEXT)),
        "max" if is_text(first.oid) => ("max", plain(TEXT)),
        "min" => ("min", first),
        "max" => ("max", first),
        "bool_and" | "every" => ("min", plain(BOOL)),
        "bool_or" => ("max", plain(BOOL)),
        "array_agg" => {
            let array = TYPES.array_of(first.oid);
            ("json_group_array", plain(if array == 0 { super::super::types::TEXT_ARRAY } else { array }))
        }
        "string_agg" => ("group_concat", plain(TEXT)),
        "json_agg" => ("json_group_array", plain(JSON)),
        "jsonb_agg" => ("json_group_array", plain(JSONB)),
        "json_object_agg" => ("json_group_object", plain(JSON)),
        "jsonb_object_agg" => ("json_group_object", plain(JSONB)),
        "row_number" => ("row_number", plain(INT8)),
        "rank" => ("rank", plain(INT8)),
        "dense_rank" => ("dense_rank", plain(INT8)),
        "ntile" => ("ntile", plain(INT4)),
        "lag" => ("lag", first),
        "lead" => ("lead", first),
        "first_value" => ("first_value", first),
        "last_value" => ("last_value", first),
        _ => {
            return Err(CatalogQueryError::unsupported(format!("{name} as a window function")));
        }
    })
}
