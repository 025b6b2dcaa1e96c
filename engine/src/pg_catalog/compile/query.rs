//! Whole queries: `WITH`, set operations, `VALUES`, `ORDER BY` and `LIMIT` of what is not a plain select.

use datafusion::sql::sqlparser::ast::{
    Cte as AstCte, Expr, LimitClause, Query, SetExpr, SetOperator, SetQuantifier, Values, With,
};

use super::super::error::CatalogQueryError;
use super::super::names::{always_quoted, fold};
use super::super::types::INT8;
use super::ordering::{order_expressions, ordered_by_output, unique_names};
use super::scope::{Cte, Scope};
use super::select::SelectText;
use super::typed::Typed;
use super::{Compiler, Outcome, QueryText};

/// A query body before the types of its columns are settled: branches of a `UNION` decide them together.
enum Body {
    Select(SelectText),
    Values(Vec<Vec<Typed>>),
    Query(QueryText),
    Operation { left: Box<Self>, operator: &'static str, right: Box<Self> },
}

impl Compiler<'_> {
    /// Compiles a query whose outer rows are those of `parent`.
    pub(super) fn query(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> Outcome<QueryText> {
        if query.for_clause.is_some() || !query.pipe_operators.is_empty() || query.settings.is_some() {
            return Err(CatalogQueryError::unsupported("this clause"));
        }
        let ctes_before = self.ctes.len();
        let prefix = match &query.with {
            Some(with) => self.with(with, parent)?,
            None => String::new(),
        };
        let order = order_expressions(query.order_by.as_ref())?;
        let body = match query.body.as_ref() {
            SetExpr::Select(select) => Body::Select(self.select(select, order, parent)?),
            other => self.body(other, parent)?,
        };
        let is_select = matches!(body, Body::Select(_));
        let (mut sql, columns) = self.settle(body, None)?;
        if !is_select && !order.is_empty() {
            sql.push_str(&ordered_by_output(order, &columns)?);
        }
        sql.push_str(&self.limit(query, parent)?);
        self.ctes.truncate(ctes_before);
        Ok(QueryText { sql: format!("{prefix}{sql}"), columns })
    }

    fn with(&mut self, with: &With, parent: Option<&Scope<'_>>) -> Outcome<String> {
        let mut texts = Vec::new();
        for cte in &with.cte_tables {
            let name = fold(&cte.alias.name);
            let names: Vec<String> = cte.alias.columns.iter().map(|column| fold(&column.name)).collect();
            if with.recursive {
                // the first branch decides the columns of the recursive one
                self.declare_recursive(cte, &name, &names, parent)?;
            }
            let compiled = self.query(&cte.query, parent)?;
            self.ctes.retain(|known| !(with.recursive && known.name == name));
            let columns: Vec<_> = compiled
                .columns
                .iter()
                .enumerate()
                .map(|(at, (column, item))| (names.get(at).unwrap_or(column).clone(), item.ty, item.fields.clone()))
                .collect();
            let list: Vec<String> = unique_names(columns.iter().map(|(name, ..)| name.as_str()));
            texts.push(format!("{}({}) AS ({})", always_quoted(&format!("cte.{name}")), list.join(", "), compiled.sql));
            self.ctes.push(Cte { name, columns });
        }
        let keyword = if with.recursive { "WITH RECURSIVE" } else { "WITH" };
        Ok(format!("{keyword} {} ", texts.join(", ")))
    }

    fn declare_recursive(
        &mut self,
        cte: &AstCte,
        name: &str,
        names: &[String],
        parent: Option<&Scope<'_>>,
    ) -> Outcome<()> {
        let SetExpr::SetOperation { left, .. } = cte.query.body.as_ref() else {
            return Ok(());
        };
        let before = self.ctes.len();
        if let Some(with) = &cte.query.with {
            self.with(with, parent)?;
        }
        let body = self.body(left, parent)?;
        let (_, columns) = self.settle(body, None)?;
        self.ctes.truncate(before);
        let columns = columns
            .into_iter()
            .enumerate()
            .map(|(at, (column, item))| (names.get(at).cloned().unwrap_or(column), item.ty, item.fields))
            .collect();
        self.ctes.push(Cte { name: name.to_owned(), columns });
        Ok(())
    }

    fn body(&mut self, body: &SetExpr, parent: Option<&Scope<'_>>) -> Outcome<Body> {
        Ok(match body {
            SetExpr::Select(select) => Body::Select(self.select(select, &[], parent)?),
            SetExpr::Query(query) => Body::Query(self.query(query, parent)?),
            SetExpr::Values(values) => Body::Values(self.values(values, parent)?),
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let all = matches!(set_quantifier, SetQuantifier::All);
                let operator = match (op, all) {
                    (SetOperator::Union, true) => "UNION ALL",
                    (SetOperator::Union, false) => "UNION",
                    (SetOperator::Except | SetOperator::Minus, false) => "EXCEPT",
                    (SetOperator::Intersect, false) => "INTERSECT",
                    _ => {
                        return Err(CatalogQueryError::unsupported("EXCEPT ALL or INTERSECT ALL"));
                    }
                };
                let left = Box::new(self.body(left, parent)?);
                Body::Operation { left, operator, right: Box::new(self.body(right, parent)?) }
            }
            _ => return Err(CatalogQueryError::unsupported("this statement")),
        })
    }

    fn values(&mut self, values: &Values, parent: Option<&Scope<'_>>) -> Outcome<Vec<Vec<Typed>>> {
        let scope = Scope::below(parent);
        let mut rows = Vec::new();
        for row in &values.rows {
            let row: Outcome<Vec<Typed>> = row.content.iter().map(|item| self.expression(item, &scope)).collect();
            rows.push(row?);
        }
        Ok(rows)
    }

    /// Settles column types and prints.
    fn settle(&mut self, body: Body, wanted: Option<&[Typed]>) -> Outcome<(String, Vec<(String, Typed)>)> {
        let mut rows = Vec::new();
        collect(&body, &mut rows);
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            return Err(CatalogQueryError::new("42601", "each branch must have the same number of columns"));
        }
        let targets: Vec<Typed> = match wanted {
            Some(targets) => targets.to_vec(),
            None => (0..width)
                .map(|at| {
                    let column: Vec<Typed> = rows.iter().map(|row| row[at].clone()).collect();
                    let fields = column.iter().find_map(|item| item.fields.clone());
                    Typed { fields, ..Typed::with_type("", Self::common_type(&column)) }
                })
                .collect(),
        };
        let names = names(&body, width);
        let sql = self.print(body, &targets)?;
        Ok((sql, names.into_iter().zip(targets).collect()))
    }

    fn print(&mut self, body: Body, targets: &[Typed]) -> Outcome<String> {
        Ok(match body {
            Body::Select(select) => {
                let mut items = Vec::new();
                let unique = unique_names(select.items.iter().map(|(name, _)| name.as_str()));
                for (((_, item), target), name) in select.items.into_iter().zip(targets).zip(unique) {
                    items.push(format!("{} AS {name}", self.convert(item, target.ty)?.sql));
                }
                if items.is_empty() {
                    items.push("NULL AS \"none\"".to_owned());
                }
                format!("SELECT {}{}{}", select.distinct, items.join(", "), select.tail)
            }
            Body::Values(rows) => {
                let mut printed = Vec::new();
                for row in rows {
                    let cells: Outcome<Vec<String>> = row
                        .into_iter()
                        .zip(targets)
                        .map(|(cell, target)| Ok(self.convert(cell, target.ty)?.sql))
                        .collect();
                    printed.push(format!("({})", cells?.join(", ")));
                }
                format!("SELECT * FROM (VALUES {})", printed.join(", "))
            }
            Body::Query(query) => {
                let mut items = Vec::new();
                let names = unique_names(query.columns.iter().map(|(name, _)| name.as_str()));
                for ((name, (_, item)), target) in names.iter().zip(&query.columns).zip(targets) {
                    let converted = self.convert(item.renamed(name.clone()), target.ty)?;
                    items.push(format!("{} AS {name}", converted.sql));
                }
                format!("SELECT {} FROM ({})", items.join(", "), query.sql)
            }
            Body::Operation { left, operator, right } => {
                let nested = matches!(*right, Body::Operation { .. });
                let left = self.print(*left, targets)?;
                let right = self.print(*right, targets)?;
                // SQLite knows no precedence between set operators and no parentheses around branches
                let right = if nested { format!("SELECT * FROM ({right})") } else { right };
                format!("{left} {operator} {right}")
            }
        })
    }

    fn limit(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> Outcome<String> {
        let scope = Scope::below(parent);
        let (mut limit, mut offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => {
                return Err(CatalogQueryError::unsupported("LIMIT a, b"));
            }
            None => (None, None),
        };
        if let Some(fetch) = &query.fetch {
            limit = fetch.quantity.as_ref();
        }
        let number = |compiler: &mut Self, expr: Option<&Expr>| -> Outcome<Option<String>> {
            let Some(expr) = expr else { return Ok(None) };
            let value = compiler.expression(expr, &scope)?;
            Ok(Some(compiler.coerce(value, INT8)?.sql))
        };
        let limit = number(self, limit.take())?;
        let offset = number(self, offset.take())?;
        Ok(match (limit, offset) {
            (None, None) => String::new(),
            // LIMIT NULL and LIMIT ALL mean no limit, which SQLite writes -1
            (limit, offset) => format!(
                " LIMIT coalesce({}, -1) OFFSET coalesce({}, 0)",
                limit.unwrap_or_else(|| "NULL".to_owned()),
                offset.unwrap_or_else(|| "NULL".to_owned())
            )
            .replace("coalesce(NULL, -1)", "-1")
            .replace("coalesce(NULL, 0)", "0"),
        })
    }
}

fn collect(body: &Body, rows: &mut Vec<Vec<Typed>>) {
    match body {
        Body::Select(select) => rows.push(select.items.iter().map(|(_, item)| item.clone()).collect()),
        Body::Values(values) => rows.extend(values.iter().cloned()),
        Body::Query(query) => rows.push(query.columns.iter().map(|(_, item)| item.clone()).collect()),
        Body::Operation { left, right, .. } => {
            collect(left, rows);
            collect(right, rows);
        }
    }
}

fn names(body: &Body, width: usize) -> Vec<String> {
    match body {
        Body::Select(select) => select.items.iter().map(|(name, _)| name.clone()).collect(),
        Body::Values(_) => (1..=width).map(|number| format!("column{number}")).collect(),
        Body::Query(query) => query.columns.iter().map(|(name, _)| name.clone()).collect(),
        Body::Operation { left, .. } => names(left, width),
    }
}
