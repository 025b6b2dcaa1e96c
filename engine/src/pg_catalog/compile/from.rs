//! `FROM`: relations, joins, derived tables, table functions, `LATERAL`.

use datafusion::sql::sqlparser::ast::{ObjectName, Query, TableAlias, TableFactor, TableWithJoins};

use super::super::error::CatalogQueryError;
use super::super::names::{always_quoted, fold, parts};
use super::super::static_data::{SystemRelation, system_relation};
use super::super::types::{PgType, TYPES};
use super::scope::{Scope, ScopeItem};
use super::sets::field;
use super::table_functions::FromCall;
use super::typed::Typed;
use super::{Compiler, Outcome};

impl Compiler<'_> {
    /// Prints a `FROM` list and fills the scope.
    pub(super) fn from(&mut self, tables: &[TableWithJoins], scope: &mut Scope<'_>) -> Outcome<String> {
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
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joined(table_with_joins, scope)?,
            other => self.factor(other, scope)?,
        };
        for join in &table.joins {
            sql = self.join(&sql, join, scope, first)?;
        }
        Ok(sql)
    }

    pub(super) fn factor(&mut self, factor: &TableFactor, scope: &mut Scope<'_>) -> Outcome<String> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.relation(name, alias.as_ref(), scope),
            TableFactor::Table { name, alias, args: Some(arguments), with_ordinality, .. } => {
                let call = FromCall { name, arguments: &arguments.args, alias: alias.as_ref() };
                self.table_function(&call, *with_ordinality, scope)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                let call = FromCall { name, arguments: args, alias: alias.as_ref() };
                self.table_function(&call, *with_ordinality, scope)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let arrays: Outcome<Vec<Typed>> =
                    array_exprs.iter().map(|array| self.expression(array, scope)).collect();
                self.unnest(&arrays?, alias.as_ref(), *with_ordinality, scope)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                if *lateral && !scope.items.is_empty() {
                    self.lateral(subquery, alias.as_ref(), scope)
                } else {
                    self.derived(subquery, alias.as_ref(), scope)
                }
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(format!("({})", self.joined(table_with_joins, scope)?))
            }
            _ => Err(CatalogQueryError::unsupported("this kind of table")),
        }
    }

    fn relation(&mut self, name: &ObjectName, alias: Option<&TableAlias>, scope: &mut Scope<'_>) -> Outcome<String> {
        let unknown = || CatalogQueryError::undefined_relation(name.to_string().replace('"', ""));
        let parts = parts(name).ok_or_else(unknown)?;
        if let [bare] = parts.as_slice()
            && let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name == *bare).cloned()
        {
            let alias_name = alias.map_or_else(|| bare.clone(), |alias| fold(&alias.name));
            let quoted = always_quoted(&alias_name);
            let unique = super::ordering::unique_names(cte.columns.iter().map(|(name, ..)| name.as_str()));
            let columns = cte.columns.iter().zip(unique).map(|((name, ty, fields), column)| {
                let value = Typed::with_type(format!("{quoted}.{column}"), *ty);
                (name.clone(), Typed { fields: fields.clone(), ..value })
            });
            scope.items.push(ScopeItem::new(&alias_name, columns).renamed(&column_names(alias)));
            return Ok(format!("{} AS {quoted}", always_quoted(&format!("cte.{bare}"))));
        }
        let relation = self.system_relation(&parts).ok_or_else(unknown)?;
        let alias_name = alias.map_or_else(|| relation.name.to_owned(), |alias| fold(&alias.name));
        let quoted = always_quoted(&alias_name);
        let columns = relation.columns.iter().map(|column| {
            let ty = PgType { oid: TYPES.base_of(column.type_oid), typmod: column.typmod };
            (column.name.to_owned(), Typed::with_type(format!("{quoted}.{}", always_quoted(column.name)), ty))
        });
        let mut item = ScopeItem::new(&alias_name, columns).renamed(&column_names(alias));
        if relation.kind == "r" {
            item = item.with_system_columns(relation.oid);
        }
        if alias.is_none() {
            item.schema = Some(relation.schema.to_owned());
        }
        scope.items.push(item);
        Ok(format!("{} AS {quoted}", always_quoted(&relation.sqlite_name())))
    }

    fn system_relation(&self, parts: &[String]) -> Option<&'static SystemRelation> {
        match parts {
            [name] => self.session.search_path().iter().find_map(|schema| system_relation(schema, name)),
            [schema, name] => system_relation(schema, name),
            [database, schema, name] if *database == self.session.directory.facts.database => {
                system_relation(schema, name)
            }
            _ => None,
        }
    }

    fn derived(&mut self, query: &Query, alias: Option<&TableAlias>, scope: &mut Scope<'_>) -> Outcome<String> {
        let compiled = self.query(query, scope.parent)?;
        let alias_name = alias.map_or_else(|| self.fresh_alias().replace('"', ""), |alias| fold(&alias.name));
        let quoted = always_quoted(&alias_name);
        let unique = super::ordering::unique_names(compiled.columns.iter().map(|(name, _)| name.as_str()));
        let columns = compiled
            .columns
            .iter()
            .zip(unique)
            .map(|((name, item), column)| (name.clone(), item.renamed(format!("{quoted}.{column}"))));
        let item = ScopeItem::new(&alias_name, columns).renamed(&column_names(alias));
        scope.items.push(item);
        Ok(format!("({}) AS {quoted}", compiled.sql))
    }

    /// A subquery that sees its neighbours: its rows are packed into JSON and unfolded again, because SQLite lets only
    /// the arguments of table functions refer to the left.
    fn lateral(&mut self, query: &Query, alias: Option<&TableAlias>, scope: &mut Scope<'_>) -> Outcome<String> {
        let compiled = self.query(query, Some(scope))?;
        let alias_name = alias.map_or_else(|| self.fresh_alias().replace('"', ""), |alias| fold(&alias.name));
        let quoted = always_quoted(&alias_name);
        let unique = super::ordering::unique_names(compiled.columns.iter().map(|(name, _)| name.as_str()));
        let columns = compiled.columns.iter().enumerate().map(|(at, (name, item))| {
            let value = field(&format!("{quoted}.value"), at, item.ty.oid);
            (name.clone(), Typed { fields: item.fields.clone(), ..value })
        });
        scope.items.push(ScopeItem::new(&alias_name, columns).renamed(&column_names(alias)));
        Ok(format!(
            "json_each((SELECT json_group_array(json_array({})) FROM ({}))) AS {quoted}",
            unique.join(", "),
            compiled.sql
        ))
    }
}

/// The column names of an alias, none when it lists none.
pub(super) fn column_names(alias: Option<&TableAlias>) -> Vec<String> {
    alias.map(|alias| alias.columns.iter().map(|column| fold(&column.name)).collect()).unwrap_or_default()
}
