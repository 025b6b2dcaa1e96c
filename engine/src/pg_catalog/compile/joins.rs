//! Joins.

use datafusion::sql::sqlparser::ast::{Join, JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

use super::super::error::CatalogQueryError;
use super::super::names::parts;
use super::scope::Scope;
use super::{Compiler, Outcome};

impl Compiler<'_> {
    pub(super) fn join(&mut self, left: &str, join: &Join, scope: &mut Scope<'_>, first: usize) -> Outcome<String> {
        let (keyword, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => ("JOIN", constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => ("LEFT JOIN", constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => ("RIGHT JOIN", constraint),
            JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
            // SQLite takes CROSS JOIN as an order to follow, which is what its writers mean
            JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
            _ => return Err(CatalogQueryError::unsupported("this kind of join")),
        };
        let before = scope.items.len();
        let (right, inner) = match &join.relation {
            TableFactor::NestedJoin { table_with_joins, alias: None }
                if keyword == "JOIN" && all_inner(table_with_joins) =>
            {
                self.flattened(table_with_joins, scope)?
            }
            other => (self.factor(other, scope)?, Vec::new()),
        };
        let mut conditions = inner;
        match constraint {
            JoinConstraint::On(condition) => conditions.push(self.condition(condition, scope)?),
            JoinConstraint::Using(names) => {
                let names: Vec<String> = names.iter().filter_map(|name| parts(name)?.pop()).collect();
                conditions.extend(merged(scope, first, before, &names)?);
            }
            JoinConstraint::Natural => {
                let names = shared_names(scope, first, before);
                conditions.extend(merged(scope, first, before, &names)?);
            }
            JoinConstraint::None => {}
        }
        let condition = match conditions.as_slice() {
            [] => String::new(),
            several => format!(" ON ({})", several.join(") AND (")),
        };
        Ok(format!("{left} {keyword} {right}{condition}"))
    }

    /// An inner join of inner joins as one list of relations and conditions.
    fn flattened(&mut self, table: &TableWithJoins, scope: &mut Scope<'_>) -> Outcome<(String, Vec<String>)> {
        let (mut sql, mut conditions) = match &table.relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.flattened(table_with_joins, scope)?,
            other => (self.factor(other, scope)?, Vec::new()),
        };
        for join in &table.joins {
            let (right, inner) = match &join.relation {
                TableFactor::NestedJoin { table_with_joins, alias: None } => self.flattened(table_with_joins, scope)?,
                other => (self.factor(other, scope)?, Vec::new()),
            };
            sql = format!("{sql} JOIN {right}");
            conditions.extend(inner);
            if let JoinOperator::Join(JoinConstraint::On(condition))
            | JoinOperator::Inner(JoinConstraint::On(condition)) = &join.join_operator
            {
                conditions.push(self.condition(condition, scope)?);
            }
        }
        Ok((sql, conditions))
    }
}

fn all_inner(table: &TableWithJoins) -> bool {
    let nested_inner = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => all_inner(table_with_joins),
        _ => true,
    };
    nested_inner(&table.relation)
        && table.joins.iter().all(|join| {
            nested_inner(&join.relation)
                && matches!(
                    &join.join_operator,
                    JoinOperator::Join(JoinConstraint::On(_) | JoinConstraint::None)
                        | JoinOperator::Inner(JoinConstraint::On(_) | JoinConstraint::None)
                )
        })
}

fn shared_names(scope: &Scope<'_>, first: usize, before: usize) -> Vec<String> {
    let left: Vec<&str> =
        scope.items[first..before].iter().flat_map(|item| item.visible()).map(|column| column.name.as_str()).collect();
    let right = scope.items[before..].iter().flat_map(|item| item.visible());
    right.map(|column| column.name.clone()).filter(|name| left.contains(&name.as_str())).collect()
}

/// Conditions of `USING`; the right columns no longer count for `*` and bare names.
fn merged(scope: &mut Scope<'_>, first: usize, before: usize, names: &[String]) -> Outcome<Vec<String>> {
    let mut conditions = Vec::new();
    for name in names {
        let undefined = || CatalogQueryError::undefined_column(format!("\"{name}\""));
        let left =
            scope.items[first..before].iter().flat_map(|item| item.visible()).find(|column| column.name == *name);
        let left = left.map(|column| column.value.sql.clone()).ok_or_else(undefined)?;
        let right = scope.items[before..].iter_mut().flat_map(|item| item.columns.iter_mut());
        let right = right.into_iter().find(|column| column.name == *name && !column.is_hidden).ok_or_else(undefined)?;
        conditions.push(format!("{left} = {}", right.value.sql));
        right.is_hidden = true;
    }
    Ok(conditions)
}
