//! One `SELECT`: select list, `FROM`, `WHERE`, grouping, and the order that belongs to it.

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByExpr, Select, SelectItem, SelectItemQualifiedWildcardKind,
};

use super::super::error::CatalogQueryError;
use super::super::names::{fold, parts};
use super::super::types::BOOL;
use super::ordering::{direction, output_position};
use super::output_name::output_name;
use super::scope::Scope;
use super::sets::RowSets;
use super::typed::Typed;
use super::{Compiler, Outcome};

/// A select whose list is not yet printed, because its neighbours in a `UNION` may still decide types.
pub(super) struct SelectText {
    pub(super) distinct: &'static str,
    pub(super) items: Vec<(String, Typed)>,
    /// Everything after the list.
    pub(super) tail: String,
}

impl Compiler<'_> {
    pub(super) fn select(
        &mut self,
        select: &Select,
        order: &[OrderByExpr],
        parent: Option<&Scope<'_>>,
    ) -> Outcome<SelectText> {
        refuse_foreign_clauses(select)?;
        let mut scope = Scope::below(parent);
        let mut from = self.from(&select.from, &mut scope)?;
        self.row_sets.push(RowSets::default());
        let items = self.select_list(&select.projection, &scope);
        let row_sets = self.row_sets.pop().unwrap_or_default();
        let items = items?;
        if let Some(unfolded) = row_sets.unfolded() {
            from = if from.is_empty() { unfolded } else { format!("{from} CROSS JOIN {unfolded}") };
        }
        let mut tail = if from.is_empty() { String::new() } else { format!(" FROM {from}") };
        if let Some(condition) = &select.selection {
            tail.push_str(&format!(" WHERE {}", self.condition(condition, &scope)?));
        }
        tail.push_str(&self.grouping(&select.group_by, &items, &scope)?);
        if let Some(condition) = &select.having {
            tail.push_str(&format!(" HAVING {}", self.condition(condition, &scope)?));
        }
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => "",
            Some(Distinct::Distinct) => "DISTINCT ",
            Some(Distinct::On(_)) => return Err(CatalogQueryError::unsupported("DISTINCT ON")),
        };
        tail.push_str(&self.ordering(order, &items, &scope)?);
        Ok(SelectText { distinct, items, tail })
    }

    /// An expression that decides whether a row counts.
    pub(super) fn condition(&mut self, condition: &Expr, scope: &Scope<'_>) -> Outcome<String> {
        let value = self.expression(condition, scope)?;
        Ok(self.coerce(value, BOOL)?.sql)
    }

    fn select_list(&mut self, list: &[SelectItem], scope: &Scope<'_>) -> Outcome<Vec<(String, Typed)>> {
        let mut items = Vec::new();
        for item in list {
            match item {
                SelectItem::UnnamedExpr(expr) => items.push((output_name(expr), self.expression(expr, scope)?)),
                SelectItem::ExprWithAlias { expr, alias } => items.push((fold(alias), self.expression(expr, scope)?)),
                SelectItem::Wildcard(_) => {
                    for relation in &scope.items {
                        items.extend(relation.visible().map(|column| (column.name.clone(), column.value.clone())));
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    items.extend(star_of(scope, &parts(name).unwrap_or_default())?);
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                    items.extend(self.fields_of(expr, scope)?);
                }
                SelectItem::ExprWithAliases { .. } => {
                    return Err(CatalogQueryError::unsupported("several aliases"));
                }
            }
        }
        Ok(items)
    }

    /// `(record).*`.
    fn fields_of(&mut self, expr: &Expr, scope: &Scope<'_>) -> Outcome<Vec<(String, Typed)>> {
        let value = self.expression(expr, scope)?;
        let fields = value.fields.clone().ok_or_else(|| {
            CatalogQueryError::new("42809", "column notation .* applied to a value that is not a composite type")
        })?;
        Ok((0..fields.len())
            .map(|at| (fields[at].0.clone(), super::sets::field(&value.sql, at, fields[at].1)))
            .collect())
    }

    fn grouping(&mut self, group_by: &GroupByExpr, items: &[(String, Typed)], scope: &Scope<'_>) -> Outcome<String> {
        let GroupByExpr::Expressions(keys, modifiers) = group_by else {
            return Err(CatalogQueryError::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(CatalogQueryError::unsupported("this GROUP BY"));
        }
        let mut printed = Vec::new();
        for key in keys {
            // input columns go before output names, unlike in ORDER BY
            printed.push(match (self.expression(key, scope), output_position(key, items)) {
                (_, Some(position)) if matches!(key, Expr::Value(_)) => position.to_string(),
                (Ok(value), _) => value.sql,
                (Err(_), Some(position)) => position.to_string(),
                (Err(error), None) => return Err(error),
            });
        }
        Ok(if printed.is_empty() { String::new() } else { format!(" GROUP BY {}", printed.join(", ")) })
    }

    /// Prints sort keys: output columns by position, anything else as an expression over the input.
    pub(super) fn ordering(
        &mut self,
        order: &[OrderByExpr],
        items: &[(String, Typed)],
        scope: &Scope<'_>,
    ) -> Outcome<String> {
        let mut keys = Vec::new();
        for key in order {
            let printed = match output_position(&key.expr, items) {
                Some(position) if position > items.len() => {
                    return Err(CatalogQueryError::new(
                        "42P10",
                        format!("ORDER BY position {position} is not in select list"),
                    ));
                }
                Some(position) => position.to_string(),
                None => self.expression(&key.expr, scope)?.sql,
            };
            keys.push(format!("{printed}{}", direction(key)));
        }
        Ok(if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) })
    }
}

/// `relation.*`.
fn star_of(scope: &Scope<'_>, name: &[String]) -> Outcome<Vec<(String, Typed)>> {
    let (schema, table) = match name {
        [table] => (None, table),
        [schema, table] => (Some(schema.as_str()), table),
        _ => return Err(CatalogQueryError::unsupported("this name")),
    };
    let mut level = Some(scope);
    while let Some(scope) = level {
        if let Some(item) = scope.item(schema, table) {
            return Ok(item.visible().map(|column| (column.name.clone(), column.value.clone())).collect());
        }
        level = scope.parent;
    }
    Err(CatalogQueryError::new("42P01", format!("missing FROM-clause entry for table \"{table}\"")))
}

fn refuse_foreign_clauses(select: &Select) -> Outcome<()> {
    let foreign = select.top.is_some()
        || select.into.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || select.qualify.is_some()
        || !select.named_window.is_empty()
        || !select.connect_by.is_empty();
    if foreign { Err(CatalogQueryError::unsupported("this clause of SELECT")) } else { Ok(()) }
}
