//! Expressions with a syntax of their own: `IS`, `IN`, `BETWEEN`, `LIKE`, `EXTRACT`, `SUBSTRING` ...

use datafusion::sql::sqlparser::ast::{CeilFloorKind, DateTimeField, Expr, TrimWhereField, ValueWithSpan};

use super::super::error::CatalogQueryError;
use super::super::names::quoted_literal;
use super::super::types::{BOOL, FLOAT8, NUMERIC, PgType, TEXT, TIMESTAMP, TIMESTAMPTZ, is_instant};
use super::operators::{Quantifier, symbol};
use super::scope::Scope;
use super::typed::Typed;
use super::{Compiler, Outcome};

impl Compiler<'_> {
    pub(super) fn construct(&mut self, expr: &Expr, scope: &Scope<'_>) -> Outcome<Typed> {
        match expr {
            Expr::IsNull(inner) => self.postfix(inner, "IS NULL", None, scope),
            Expr::IsNotNull(inner) => self.postfix(inner, "IS NOT NULL", None, scope),
            Expr::IsTrue(inner) => self.postfix(inner, "IS TRUE", Some(BOOL), scope),
            Expr::IsNotTrue(inner) => self.postfix(inner, "IS NOT TRUE", Some(BOOL), scope),
            Expr::IsFalse(inner) => self.postfix(inner, "IS FALSE", Some(BOOL), scope),
            Expr::IsNotFalse(inner) => self.postfix(inner, "IS NOT FALSE", Some(BOOL), scope),
            Expr::IsUnknown(inner) => self.postfix(inner, "IS NULL", Some(BOOL), scope),
            Expr::IsNotUnknown(inner) => self.postfix(inner, "IS NOT NULL", Some(BOOL), scope),
            Expr::IsDistinctFrom(left, right) => self.distinct(left, "IS NOT", right, scope),
            Expr::IsNotDistinctFrom(left, right) => self.distinct(left, "IS", right, scope),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, not(*negated), scope),
            Expr::InSubquery { expr, subquery, negated } => {
                let compiled = self.query(subquery, Some(scope))?;
                if let Expr::Tuple(items) = unnested(expr) {
                    let items: Outcome<Vec<String>> =
                        items.iter().map(|item| Ok(self.expression(item, scope)?.sql)).collect();
                    return Ok(Typed::bool(format!(
                        "(({}) {}IN ({}))",
                        items?.join(", "),
                        not(*negated),
                        compiled.sql
                    )));
                }
                let value = self.expression(expr, scope)?;
                let element = compiled.columns.first().map_or(TEXT, |(_, item)| item.ty.oid);
                let (value, _) = self.comparable(value, Typed::new("NULL", element))?;
                Ok(Typed::bool(format!("({} {}IN ({}))", value.sql, not(*negated), compiled.sql)))
            }
            Expr::InUnnest { expr, array_expr, negated } => {
                let found = self.quantified(expr, "=", array_expr, Quantifier::Any, scope)?;
                Ok(Typed::bool(format!("({}{})", not(*negated), found.sql)))
            }
            Expr::Between { expr, negated, low, high } => {
                let value = self.expression(expr, scope)?;
                let low = self.expression(low, scope)?;
                let high = self.expression(high, scope)?;
                let (value, low) = self.comparable(value, low)?;
                let (value, high) = self.comparable(value, high)?;
                Ok(Typed::bool(format!("({} {}BETWEEN {} AND {})", value.sql, not(*negated), low.sql, high.sql)))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let like = Like { function: "is_like", negated: *negated, escape: escape_char.as_ref() };
                self.like(expr, pattern, &like, scope)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let like = Like { function: "is_like_any_case", negated: *negated, escape: escape_char.as_ref() };
                self.like(expr, pattern, &like, scope)
            }
            Expr::AnyOp { left, compare_op, right, .. } => {
                self.quantified(left, &symbol(compare_op), right, Quantifier::Any, scope)
            }
            Expr::AllOp { left, compare_op, right } => {
                self.quantified(left, &symbol(compare_op), right, Quantifier::All, scope)
            }
            other => self.keyword_call(other, scope),
        }
    }

    /// Functions that the grammar spells with keywords.
    fn keyword_call(&mut self, expr: &Expr, scope: &Scope<'_>) -> Outcome<Typed> {
        match expr {
            Expr::Extract { field, expr, .. } => self.extract(field, expr, scope),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let one = Typed::int4("1");
                let value = self.expression(expr, scope)?;
                let start = substring_from.as_deref().map(|start| self.expression(start, scope)).transpose()?;
                let mut arguments = vec![value, start.unwrap_or(one)];
                if let Some(count) = substring_for {
                    arguments.push(self.expression(count, scope)?);
                }
                self.native_call("substring", arguments)
            }
            Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                let mut arguments = vec![self.expression(expr, scope)?];
                let what = trim_what.as_deref().or_else(|| trim_characters.as_ref().and_then(|list| list.first()));
                if let Some(what) = what {
                    arguments.push(self.expression(what, scope)?);
                }
                self.native_call(name, arguments)
            }
            Expr::Position { expr, r#in } => {
                let part = self.expression(expr, scope)?;
                let whole = self.expression(r#in, scope)?;
                self.native_call("strpos", vec![whole, part])
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let value = self.expression(expr, scope)?;
                self.native_call("ceil", vec![value])
            }
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let value = self.expression(expr, scope)?;
                self.native_call("floor", vec![value])
            }
            // instants are UTC inside, whatever the zone
            Expr::AtTimeZone { timestamp, .. } => {
                let value = self.expression(timestamp, scope)?;
                let oid = if value.ty.oid == TIMESTAMP { TIMESTAMPTZ } else { TIMESTAMP };
                Ok(Typed::new(value.sql, oid))
            }
            _ => Err(CatalogQueryError::unsupported("this expression")),
        }
    }

    fn postfix(&mut self, inner: &Expr, test: &str, oid: Option<u32>, scope: &Scope<'_>) -> Outcome<Typed> {
        let value = self.expression(inner, scope)?;
        let value = self.coerce(value, oid.unwrap_or(TEXT))?;
        Ok(Typed::bool(format!("({} {test})", value.sql)))
    }

    fn distinct(&mut self, left: &Expr, test: &str, right: &Expr, scope: &Scope<'_>) -> Outcome<Typed> {
        let left = self.expression(left, scope)?;
        let right = self.expression(right, scope)?;
        let (left, right) = self.comparable(left, right)?;
        Ok(Typed::bool(format!("({} {test} {})", left.sql, right.sql)))
    }

    fn in_list(&mut self, expr: &Expr, list: &[Expr], not: &str, scope: &Scope<'_>) -> Outcome<Typed> {
        if let Expr::Tuple(items) = unnested(expr) {
            let mut left = Vec::new();
            for item in items {
                left.push(self.expression(item, scope)?);
            }
            let mut rows = Vec::new();
            for row in list {
                let Expr::Tuple(cells) = unnested(row) else {
                    return Err(CatalogQueryError::new("42804", "a row is compared with something else"));
                };
                let mut printed = Vec::new();
                for (cell, beside) in cells.iter().zip(&left) {
                    let cell = self.expression(cell, scope)?;
                    printed.push(self.comparable(beside.clone(), cell)?.1.sql);
                }
                rows.push(format!("({})", printed.join(", ")));
            }
            let left: Vec<&str> = left.iter().map(|item| item.sql.as_str()).collect();
            return Ok(Typed::bool(format!("(({}) {not}IN (VALUES {}))", left.join(", "), rows.join(", "))));
        }
        let mut value = self.expression(expr, scope)?;
        let mut items = Vec::new();
        for item in list {
            let item = self.expression(item, scope)?;
            let (left, right) = self.comparable(value, item)?;
            value = left;
            items.push(right.sql);
        }
        Ok(Typed::bool(format!("({} {not}IN ({}))", value.sql, items.join(", "))))
    }

    fn like(&mut self, expr: &Expr, pattern: &Expr, like: &Like<'_>, scope: &Scope<'_>) -> Outcome<Typed> {
        let value = self.expression(expr, scope)?;
        let pattern = self.expression(pattern, scope)?;
        let value = self.cast(value, PgType::plain(TEXT))?;
        let pattern = self.cast(pattern, PgType::plain(TEXT))?;
        let escape = match like.escape {
            None => String::new(),
            Some(literal) => {
                let text = literal.value.clone().into_string().unwrap_or_default();
                format!(", {}", quoted_literal(&text))
            }
        };
        let call = format!("catalog_{}({}, {}{escape})", like.function, value.sql, pattern.sql);
        Ok(Typed::bool(if like.negated { format!("(NOT {call})") } else { call }))
    }

    fn extract(&mut self, field: &DateTimeField, expr: &Expr, scope: &Scope<'_>) -> Outcome<Typed> {
        let value = self.expression(expr, scope)?;
        let value = self.coerce(value, TIMESTAMPTZ)?;
        let is_micros = is_instant(value.ty.oid) || value.ty.oid == super::super::types::INTERVAL;
        let format = match field.to_string().to_ascii_lowercase().as_str() {
            "epoch" if is_micros => {
                return Ok(Typed::new(format!("({} / 1000000.0)", value.sql), FLOAT8));
            }
            "year" => "%Y",
            "month" => "%m",
            "day" => "%d",
            "hour" => "%H",
            "minute" => "%M",
            "dow" => "%w",
            "doy" => "%j",
            _ => return Err(CatalogQueryError::unsupported("this field of EXTRACT")),
        };
        if !is_instant(value.ty.oid) {
            return Err(CatalogQueryError::unsupported("EXTRACT from this type"));
        }
        let sql = format!("CAST(strftime('{format}', {} / 1000000, 'unixepoch') AS INTEGER)", value.sql);
        Ok(Typed::with_type(sql, PgType { oid: NUMERIC, typmod: PgType::numeric(38, 0).typmod }))
    }
}

struct Like<'a> {
    function: &'a str,
    negated: bool,
    escape: Option<&'a ValueWithSpan>,
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}
