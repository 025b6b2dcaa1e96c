//! Functions in `FROM`: sets unfolded by `json_each`, so that their arguments may refer to the left.

use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, ObjectName, TableAlias};

use super::super::error::CatalogQueryError;
use super::super::names::{always_quoted, fold};
use super::super::types::{INT8, TEXT_ARRAY, TYPES};
use super::from::column_names;
use super::scope::{Scope, ScopeItem};
use super::sets::field;
use super::typed::Typed;
use super::{Compiler, Outcome};

impl Compiler<'_> {
    pub(super) fn table_function(
        &mut self,
        call: &FromCall<'_>,
        ordinality: bool,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let name = super::calls::function_name(call.name)?;
        let mut arguments = Vec::new();
        for argument in call.arguments {
            let (FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
            | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. }) = argument
            else {
                return Err(CatalogQueryError::unsupported("this argument"));
            };
            arguments.push(self.expression(expr, scope)?);
        }
        if name == "unnest" {
            return self.unnest(&arguments, call.alias, ordinality, scope);
        }
        let (rows, columns) = self.rows_of_call(&name, arguments)?;
        self.unfold(&rows, &columns, &FromAlias { name: &name, alias: call.alias, ordinality }, scope)
    }

    pub(super) fn unnest(
        &mut self,
        arrays: &[Typed],
        alias: Option<&TableAlias>,
        ordinality: bool,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let mut calls = Vec::new();
        let mut columns = Vec::new();
        for array in arrays {
            let array = self.coerce(array.clone(), TEXT_ARRAY)?;
            columns.push(("unnest".to_owned(), TYPES.element_of(array.ty.oid).unwrap_or(array.ty.oid)));
            calls.push(array.sql);
        }
        let rows = match calls.as_slice() {
            [one] => RowsText { sql: format!("catalog_rows_of_unnest({one})"), is_record: false },
            several => RowsText { sql: format!("catalog_rows_side_by_side({})", several.join(", ")), is_record: true },
        };
        self.unfold(&rows, &columns, &FromAlias { name: "unnest", alias, ordinality }, scope)
    }

    fn unfold(
        &mut self,
        rows: &RowsText,
        columns: &[(String, u32)],
        named: &FromAlias<'_>,
        scope: &mut Scope<'_>,
    ) -> Outcome<String> {
        let alias_name = named.alias.map_or_else(|| named.name.to_owned(), |alias| fold(&alias.name));
        let quoted = always_quoted(&alias_name);
        let value = format!("{quoted}.value");
        let mut found: Vec<(String, Typed)> = if rows.is_record {
            columns.iter().enumerate().map(|(at, (name, oid))| (name.clone(), field(&value, at, *oid))).collect()
        } else {
            // a function of one plain column takes the alias as the column's name
            let name = columns.first().map_or(0, |(_, oid)| *oid);
            vec![(alias_name.clone(), Typed::new(value, name))]
        };
        if named.ordinality {
            found.push(("ordinality".to_owned(), Typed::new(format!("({quoted}.key + 1)"), INT8)));
        }
        scope.items.push(ScopeItem::new(&alias_name, found).renamed(&column_names(named.alias)));
        Ok(format!("json_each({}) AS {quoted}", rows.sql))
    }
}

/// SQL that makes a JSON array of rows.
pub(super) struct RowsText {
    pub(super) sql: String,
    pub(super) is_record: bool,
}

pub(super) struct FromCall<'a> {
    pub(super) name: &'a ObjectName,
    pub(super) arguments: &'a [FunctionArg],
    pub(super) alias: Option<&'a TableAlias>,
}

struct FromAlias<'a> {
    name: &'a str,
    alias: Option<&'a TableAlias>,
    ordinality: bool,
}
