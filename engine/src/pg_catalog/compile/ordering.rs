//! Sort keys and the names of output columns.

use datafusion::sql::sqlparser::ast::{Expr, OrderBy, OrderByExpr, OrderByKind};

use super::super::error::CatalogQueryError;
use super::super::names::{always_quoted, fold};
use super::Outcome;
use super::typed::Typed;

/// Quoted names, later duplicates made different.
pub(super) fn unique_names<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    for name in names {
        let mut unique = name.to_owned();
        // SQLite compares column names without regard to case
        while taken.iter().any(|other| other.eq_ignore_ascii_case(&unique)) {
            unique = format!("{unique}${}", taken.len());
        }
        taken.push(unique);
    }
    taken.iter().map(|name| always_quoted(name)).collect()
}

/// The sort keys of an `ORDER BY`.
pub(super) fn order_expressions(order: Option<&OrderBy>) -> Outcome<&[OrderByExpr]> {
    match order.map(|order| &order.kind) {
        None => Ok(&[]),
        Some(OrderByKind::Expressions(expressions)) => Ok(expressions),
        Some(OrderByKind::All(_)) => Err(CatalogQueryError::unsupported("ORDER BY ALL")),
    }
}

/// Direction and place of nulls; PostgreSQL sorts nulls as larger than everything.
pub(super) fn direction(order: &OrderByExpr) -> &'static str {
    let descending = order.options.asc == Some(false);
    match (descending, order.options.nulls_first.unwrap_or(descending)) {
        (false, false) => " ASC NULLS LAST",
        (false, true) => " ASC NULLS FIRST",
        (true, false) => " DESC NULLS LAST",
        (true, true) => " DESC NULLS FIRST",
    }
}

/// Position of the output column that a sort key names, if it names one.
pub(super) fn output_position(key: &Expr, columns: &[(String, Typed)]) -> Option<usize> {
    match key {
        Expr::Identifier(ident) => {
            let name = fold(ident);
            columns.iter().position(|(column, _)| *column == name).map(|at| at + 1)
        }
        Expr::Value(value) => value.to_string().parse().ok(),
        _ => None,
    }
}

/// An `ORDER BY` that may only name output columns.
pub(super) fn ordered_by_output(order: &[OrderByExpr], columns: &[(String, Typed)]) -> Outcome<String> {
    let mut keys = Vec::new();
    for key in order {
        let position = output_position(&key.expr, columns)
            .ok_or_else(|| CatalogQueryError::unsupported("ORDER BY an expression over UNION"))?;
        keys.push(format!("{position}{}", direction(key)));
    }
    Ok(format!(" ORDER BY {}", keys.join(", ")))
}
