//! `FROM`: relations, joins, derived tables, table functions, `LATERAL`.

use datafusion::sql::sqlparser::ast::{
    FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, ObjectName, Query,
    TableAlias, TableFactor, TableWithJoins,
};

use super::super::error::CatalogQueryError;
use super::super::names::{always_quoted, fold, parts};
use super::super::static_data::{SystemRelation, system_relation};
use super::super::types::{INT8, PgType, TYPES};
use super::scope::{Scope, ScopeItem};
use super::sets::field;
use super::typed::Typed;
use super::{Compiler, Outcome};

impl Compiler<'_> {
    /// Prints a `FROM` list and fills the scope.
    pub(super) fn from(
        &mut self,
        tables: &[TableWithJoins],
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let mut printed = Vec::new();
        for table in tables {
            printed.push(self.joined(table, scope)?);
        }
        Ok(printed.join(", "))
    }

    fn joined(&mut self, table: &TableWithJoins, scope: &mut Scope<'_>) -> Outcome<String> {
        let first = scope.items.len();
        // joins associate to the left, so parentheses around the leftmost operand say nothing
        let mut sql = match &table.relation {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.joined(table_with_joins, scope)?,
            other => self.factor(other, scope)?,
        };
        for join in &table.joins {
            sql = self.join(sql, join, scope, first)?;
        }
        Ok(sql)
    }

    fn join(
        &mut self,
        left: String,
        join: &Join,
        scope: &mut Scope<'_>,
        first: usize,
    ) -> Outcome<String> {
        let (keyword, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
                ("JOIN", constraint)
            }
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                ("LEFT JOIN", constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                ("RIGHT JOIN", constraint)
            }
            JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
            // SQLite takes CROSS JOIN as an order to follow, which is what its writers mean
            JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
            _ => return Err(CatalogQueryError::unsupported("this kind of join")),
        };
        let before = scope.items.len();
        let (right, inner) = match &join.relation {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } if keyword == "JOIN" && all_inner(table_with_joins) => {
                self.flattened(table_with_joins, scope)?
            }
            other => (self.factor(other, scope)?, Vec::new()),
        };
        let mut conditions = inner;
        match constraint {
            JoinConstraint::On(condition) => conditions.push(self.condition(condition, scope)?),
            JoinConstraint::Using(names) => {
                let names: Vec<String> =
                    names.iter().filter_map(|name| parts(name)?.pop()).collect();
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
    fn flattened(
        &mut self,
        table: &TableWithJoins,
        scope: &mut Scope<'_>,
    ) -> Outcome<(String, Vec<String>)> {
        let (mut sql, mut conditions) = match &table.relation {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.flattened(table_with_joins, scope)?,
            other => (self.factor(other, scope)?, Vec::new()),
        };
        for join in &table.joins {
            let (right, inner) = match &join.relation {
                TableFactor::NestedJoin {
                    table_with_joins,
                    alias: None,
                } => self.flattened(table_with_joins, scope)?,
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

    fn factor(&mut self, factor: &TableFactor, scope: &mut Scope<'_>) -> Outcome<String> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => self.relation(name, alias.as_ref(), scope),
            TableFactor::Table {
                name,
                alias,
                args: Some(arguments),
                with_ordinality,
                ..
            } => {
                let call = FromCall {
                    name,
                    arguments: &arguments.args,
                    alias: alias.as_ref(),
                };
                self.table_function(&call, *with_ordinality, scope)
            }
            TableFactor::Function {
                name,
                args,
                alias,
                with_ordinality,
                ..
            } => {
                let call = FromCall {
                    name,
                    arguments: args,
                    alias: alias.as_ref(),
                };
                self.table_function(&call, *with_ordinality, scope)
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_ordinality,
                ..
            } => {
                let arrays: Outcome<Vec<Typed>> = array_exprs
                    .iter()
                    .map(|array| self.expression(array, scope))
                    .collect();
                self.unnest(&arrays?, alias.as_ref(), *with_ordinality, scope)
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                ..
            } => {
                if *lateral && !scope.items.is_empty() {
                    self.lateral(subquery, alias.as_ref(), scope)
                } else {
                    self.derived(subquery, alias.as_ref(), scope)
                }
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => Ok(format!("({})", self.joined(table_with_joins, scope)?)),
            _ => Err(CatalogQueryError::unsupported("this kind of table")),
        }
    }

    fn relation(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let unknown = || CatalogQueryError::undefined_relation(name.to_string().replace('"', ""));
        let parts = parts(name).ok_or_else(unknown)?;
        if let [bare] = parts.as_slice()
            && let Some(cte) = self
                .ctes
                .iter()
                .rev()
                .find(|cte| cte.name == *bare)
                .cloned()
        {
            let alias_name = alias.map_or_else(|| bare.clone(), |alias| fold(&alias.name));
            let quoted = always_quoted(&alias_name);
            let unique =
                super::query::unique_names(cte.columns.iter().map(|(name, ..)| name.as_str()));
            let columns = cte
                .columns
                .iter()
                .zip(unique)
                .map(|((name, ty, fields), column)| {
                    let value = Typed::with_type(format!("{quoted}.{column}"), *ty);
                    (
                        name.clone(),
                        Typed {
                            fields: fields.clone(),
                            ..value
                        },
                    )
                });
            scope
                .items
                .push(ScopeItem::new(&alias_name, columns).renamed(&column_names(alias)));
            return Ok(format!(
                "{} AS {quoted}",
                always_quoted(&format!("cte.{bare}"))
            ));
        }
        let relation = self.system_relation(&parts).ok_or_else(unknown)?;
        let alias_name = alias.map_or_else(|| relation.name.to_owned(), |alias| fold(&alias.name));
        let quoted = always_quoted(&alias_name);
        let columns = relation.columns.iter().map(|column| {
            let ty = PgType {
                oid: TYPES.base_of(column.type_oid),
                typmod: column.typmod,
            };
            (
                column.name.to_owned(),
                Typed::with_type(format!("{quoted}.{}", always_quoted(column.name)), ty),
            )
        });
        let mut item = ScopeItem::new(&alias_name, columns).renamed(&column_names(alias));
        if relation.kind == "r" {
            item = item.with_system_columns(relation.oid);
        }
        if alias.is_none() {
            item.schema = Some(relation.schema.to_owned());
        }
        scope.items.push(item);
        Ok(format!(
            "{} AS {quoted}",
            always_quoted(&relation.sqlite_name())
        ))
    }

    fn system_relation(&self, parts: &[String]) -> Option<&'static SystemRelation> {
        match parts {
            [name] => self
                .session
                .search_path()
                .iter()
                .find_map(|schema| system_relation(schema, name)),
            [schema, name] => system_relation(schema, name),
            [database, schema, name] if *database == self.session.directory.facts.database => {
                system_relation(schema, name)
            }
            _ => None,
        }
    }

    fn derived(
        &mut self,
        query: &Query,
        alias: Option<&TableAlias>,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let compiled = self.query(query, scope.parent)?;
        let alias_name = alias.map_or_else(
            || self.fresh_alias().replace('"', ""),
            |alias| fold(&alias.name),
        );
        let quoted = always_quoted(&alias_name);
        let unique =
            super::query::unique_names(compiled.columns.iter().map(|(name, _)| name.as_str()));
        let columns = compiled
            .columns
            .iter()
            .zip(unique)
            .map(|((name, item), column)| {
                (name.clone(), item.renamed(format!("{quoted}.{column}")))
            });
        let item = ScopeItem::new(&alias_name, columns).renamed(&column_names(alias));
        scope.items.push(item);
        Ok(format!("({}) AS {quoted}", compiled.sql))
    }

    /// A subquery that sees its neighbours: its rows are packed into JSON and unfolded again, because SQLite lets only
    /// the arguments of table functions refer to the left.
    fn lateral(
        &mut self,
        query: &Query,
        alias: Option<&TableAlias>,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let compiled = self.query(query, Some(scope))?;
        let alias_name = alias.map_or_else(
            || self.fresh_alias().replace('"', ""),
            |alias| fold(&alias.name),
        );
        let quoted = always_quoted(&alias_name);
        let unique =
            super::query::unique_names(compiled.columns.iter().map(|(name, _)| name.as_str()));
        let columns = compiled
            .columns
            .iter()
            .enumerate()
            .map(|(at, (name, item))| {
                let value = field(&format!("{quoted}.value"), at, item.ty.oid);
                (
                    name.clone(),
                    Typed {
                        fields: item.fields.clone(),
                        ..value
                    },
                )
            });
        scope
            .items
            .push(ScopeItem::new(&alias_name, columns).renamed(&column_names(alias)));
        Ok(format!(
            "json_each((SELECT json_group_array(json_array({})) FROM ({}))) AS {quoted}",
            unique.join(", "),
            compiled.sql
        ))
    }

    fn table_function(
        &mut self,
        call: &FromCall<'_>,
        ordinality: bool,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let name = super::calls::function_name(call.name)?;
        let mut arguments = Vec::new();
        for argument in call.arguments {
            let (FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named {
                arg: FunctionArgExpr::Expr(expr),
                ..
            }
            | FunctionArg::ExprNamed {
                arg: FunctionArgExpr::Expr(expr),
                ..
            }) = argument
            else {
                return Err(CatalogQueryError::unsupported("this argument"));
            };
            arguments.push(self.expression(expr, scope)?);
        }
        if name == "unnest" {
            return self.unnest(&arguments, call.alias, ordinality, scope);
        }
        let (rows, columns) = self.rows_of_call(&name, arguments)?;
        self.unfold(
            &rows,
            &columns,
            &FromAlias {
                name: &name,
                alias: call.alias,
                ordinality,
            },
            scope,
        )
    }

    fn unnest(
        &mut self,
        arrays: &[Typed],
        alias: Option<&TableAlias>,
        ordinality: bool,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let mut calls = Vec::new();
        let mut columns = Vec::new();
        for array in arrays {
            let array = self.coerce(array.clone(), super::super::types::TEXT_ARRAY)?;
            columns.push((
                "unnest".to_owned(),
                TYPES.element_of(array.ty.oid).unwrap_or(array.ty.oid),
            ));
            calls.push(array.sql);
        }
        let rows = match calls.as_slice() {
            [one] => RowsText {
                sql: format!("catalog_rows_of_unnest({one})"),
                is_record: false,
            },
            several => RowsText {
                sql: format!("catalog_rows_side_by_side({})", several.join(", ")),
                is_record: true,
            },
        };
        self.unfold(
            &rows,
            &columns,
            &FromAlias {
                name: "unnest",
                alias,
                ordinality,
            },
            scope,
        )
    }

    fn unfold(
        &mut self,
        rows: &RowsText,
        columns: &[(String, u32)],
        named: &FromAlias<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let alias_name = named
            .alias
            .map_or_else(|| named.name.to_owned(), |alias| fold(&alias.name));
        let quoted = always_quoted(&alias_name);
        let value = format!("{quoted}.value");
        let mut found: Vec<(String, Typed)> = if rows.is_record {
            columns
                .iter()
                .enumerate()
                .map(|(at, (name, oid))| (name.clone(), field(&value, at, *oid)))
                .collect()
        } else {
            // a function of one plain column takes the alias as the column's name
            let name = columns.first().map_or(0, |(_, oid)| *oid);
            vec![(alias_name.clone(), Typed::new(value, name))]
        };
        if named.ordinality {
            found.push((
                "ordinality".to_owned(),
                Typed::new(format!("({quoted}.key + 1)"), INT8),
            ));
        }
        scope
            .items
            .push(ScopeItem::new(&alias_name, found).renamed(&column_names(named.alias)));
        Ok(format!("json_each({}) AS {quoted}", rows.sql))
    }
}

/// SQL that makes a JSON array of rows.
pub(super) struct RowsText {
    pub(super) sql: String,
    pub(super) is_record: bool,
}

struct FromCall<'a> {
    name: &'a ObjectName,
    arguments: &'a [FunctionArg],
    alias: Option<&'a TableAlias>,
}

struct FromAlias<'a> {
    name: &'a str,
    alias: Option<&'a TableAlias>,
    ordinality: bool,
}

fn column_names(alias: Option<&TableAlias>) -> Vec<String> {
    alias
        .map(|alias| {
            alias
                .columns
                .iter()
                .map(|column| fold(&column.name))
                .collect()
        })
        .unwrap_or_default()
}

fn all_inner(table: &TableWithJoins) -> bool {
    let nested_inner = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => all_inner(table_with_joins),
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
    let left: Vec<&str> = scope.items[first..before]
        .iter()
        .flat_map(|item| item.visible())
        .map(|column| column.name.as_str())
        .collect();
    let right = scope.items[before..].iter().flat_map(|item| item.visible());
    right
        .map(|column| column.name.clone())
        .filter(|name| left.contains(&name.as_str()))
        .collect()
}

/// Conditions of `USING`; the right columns no longer count for `*` and bare names.
fn merged(
    scope: &mut Scope<'_>,
    first: usize,
    before: usize,
    names: &[String],
) -> Outcome<Vec<String>> {
    let mut conditions = Vec::new();
    for name in names {
        let undefined = || CatalogQueryError::undefined_column(format!("\"{name}\""));
        let left = scope.items[first..before]
            .iter()
            .flat_map(|item| item.visible())
            .find(|column| column.name == *name);
        let left = left
            .map(|column| column.value.sql.clone())
            .ok_or_else(undefined)?;
        let right = scope.items[before..]
            .iter_mut()
            .flat_map(|item| item.columns.iter_mut());
        let right = right
            .into_iter()
            .find(|column| column.name == *name && !column.is_hidden)
            .ok_or_else(undefined)?;
        conditions.push(format!("{left} = {}", right.value.sql));
        right.is_hidden = true;
    }
    Ok(conditions)
}
