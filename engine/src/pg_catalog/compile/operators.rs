//! Binary operators, quantified comparisons, `IN`, `LIKE`.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};

use super::super::error::CatalogQueryError;
use super::super::types::{
    BOOL, CHAR, DATE, FLOAT4, FLOAT8, INT4, INT8, INTERVAL, JSON, JSONB, NUMERIC, PgType, TEXT, TYPES, is_instant,
    is_integer, is_number,
};
use super::casts::is_text;
use super::scope::Scope;
use super::typed::Typed;
use super::{Compiler, Outcome};

/// Vectors count their elements from 0, arrays from 1.
pub(super) fn counts_from_zero(oid: u32) -> bool {
    matches!(oid, super::super::types::INT2VECTOR | super::super::types::OIDVECTOR)
}

/// PostgreSQL's spelling of an operator, also of `OPERATOR(pg_catalog.~)`.
pub(super) fn symbol(operator: &BinaryOperator) -> String {
    match operator {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

impl Compiler<'_> {
    pub(super) fn binary(
        &mut self,
        left: &Expr,
        operator: &BinaryOperator,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> Outcome<Typed> {
        let symbol = symbol(operator);
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right)
            && matches!(symbol.as_str(), "=" | "<>" | "!=")
            && left.len() == right.len()
        {
            let mut parts = Vec::new();
            for (left, right) in left.iter().zip(right) {
                parts.push(self.binary(left, &BinaryOperator::Eq, right, scope)?.sql);
            }
            let not = if symbol == "=" { "" } else { "NOT " };
            return Ok(Typed::bool(format!("{not}({})", parts.join(" AND "))));
        }
        let left = self.expression(left, scope)?;
        let right = self.expression(right, scope)?;
        self.operate(left, &symbol, right)
    }

    /// Applies an operator to compiled operands.
    pub(super) fn operate(&mut self, left: Typed, symbol: &str, right: Typed) -> Outcome<Typed> {
        match symbol.to_ascii_uppercase().as_str() {
            "AND" | "OR" => {
                let (left, right) = (self.coerce(left, BOOL)?, self.coerce(right, BOOL)?);
                Ok(Typed::bool(format!("({} {} {})", left.sql, symbol.to_ascii_uppercase(), right.sql)))
            }
            "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=" => {
                let (left, right) = self.comparable(left, right)?;
                let symbol = if symbol == "!=" { "<>" } else { symbol };
                Ok(Typed::bool(format!("({} {symbol} {})", left.sql, right.sql)))
            }
            "||" => self.concatenate(left, right),
            "+" | "-" | "*" | "/" | "%" | "&" | "|" | "<<" | ">>" => self.arithmetic(left, symbol, right),
            "#" => {
                let (left, right) = (self.coerce(left, INT4)?, self.coerce(right, INT4)?);
                Ok(Typed::with_type(format!("(({0} | {1}) - ({0} & {1}))", left.sql, right.sql), left.ty))
            }
            "~" => self.pattern("matches", left, right),
            "!~" => self.negated("matches", left, right),
            "~*" => self.pattern("matches_any_case", left, right),
            "!~*" => self.negated("matches_any_case", left, right),
            "~~" => self.pattern("is_like", left, right),
            "!~~" => self.negated("is_like", left, right),
            "~~*" => self.pattern("is_like_any_case", left, right),
            "!~~*" => self.negated("is_like_any_case", left, right),
            "^@" => self.pattern("starts_with", left, right),
            "@>" | "<@" | "&&" => {
                let (left, right) = self.comparable(left, right)?;
                let (left, right) = if symbol == "<@" { (right, left) } else { (left, right) };
                let function = if symbol == "&&" { "array_overlaps" } else { "array_contains" };
                Ok(Typed::bool(format!("catalog_{function}({}, {})", left.sql, right.sql)))
            }
            "->" | "->>" => {
                let key = if right.untyped.is_some() { self.coerce(right, TEXT)? } else { right };
                let oid = if symbol == "->" && left.ty.oid == JSONB {
                    JSONB
                } else if symbol == "->" {
                    JSON
                } else {
                    TEXT
                };
                Ok(Typed::new(format!("({} {symbol} {})", left.sql, key.sql), oid))
            }
            _ => Err(CatalogQueryError::unsupported(format!("operator {symbol}"))),
        }
    }

    /// Brings two operands to a type in which SQLite compares them as PostgreSQL does.
    pub(super) fn comparable(&mut self, left: Typed, right: Typed) -> Outcome<(Typed, Typed)> {
        let common = match (left.untyped.is_some(), right.untyped.is_some()) {
            (true, false) => right.ty.oid,
            (false, true) => left.ty.oid,
            (true, true) => TEXT,
            (false, false) => {
                let (from, to) = (left.ty.oid, right.ty.oid);
                // an integer beside a text: PostgreSQL has no such operator, drivers that send it mean the number
                if is_integer(from) && is_text(to) {
                    return Ok((left, self.cast(right, PgType::plain(from))?));
                }
                if is_text(from) && is_integer(to) {
                    return Ok((self.cast(left, PgType::plain(to))?, right));
                }
                if is_instant(from) && to == DATE {
                    return Ok((left, self.cast(right, PgType::plain(from))?));
                }
                if from == DATE && is_instant(to) {
                    return Ok((self.cast(left, PgType::plain(to))?, right));
                }
                return Ok((left, right));
            }
        };
        Ok((self.coerce(left, common)?, self.coerce(right, common)?))
    }

    fn concatenate(&mut self, left: Typed, right: Typed) -> Outcome<Typed> {
        let (left_element, right_element) = (TYPES.element_of(left.ty.oid), TYPES.element_of(right.ty.oid));
        match (left_element, right_element) {
            (Some(_), None) if right.untyped.is_some() => {
                let ty = left.ty.oid;
                let right = self.coerce(right, ty)?;
                Ok(Typed::new(format!("catalog_array_cat({}, {})", left.sql, right.sql), ty))
            }
            (None, Some(_)) if left.untyped.is_some() => {
                let ty = right.ty.oid;
                let left = self.coerce(left, ty)?;
                Ok(Typed::new(format!("catalog_array_cat({}, {})", left.sql, right.sql), ty))
            }
            (Some(_), Some(_)) => {
                Ok(Typed::new(format!("catalog_array_cat({}, {})", left.sql, right.sql), left.ty.oid))
            }
            (Some(_), None) => {
                Ok(Typed::new(format!("catalog_array_append({}, {})", left.sql, right.sql), left.ty.oid))
            }
            (None, Some(_)) => {
                Ok(Typed::new(format!("catalog_array_prepend_element({}, {})", left.sql, right.sql), right.ty.oid))
            }
            (None, None) => {
                let left = self.cast(left, PgType::plain(TEXT))?;
                let right = self.cast(right, PgType::plain(TEXT))?;
                Ok(Typed::text(format!("({} || {})", left.sql, right.sql)))
            }
        }
    }

    fn arithmetic(&mut self, left: Typed, symbol: &str, right: Typed) -> Outcome<Typed> {
        if is_instant(left.ty.oid) && is_instant(right.ty.oid) && symbol == "-" {
            return Ok(Typed::new(format!("({} - {})", left.sql, right.sql), INTERVAL));
        }
        if left.ty.oid == DATE || right.ty.oid == DATE {
            let both = left.ty.oid == right.ty.oid;
            let (left, right) = (self.coerce(left, INT4)?, self.coerce(right, INT4)?);
            return Ok(Typed::new(format!("({} {symbol} {})", left.sql, right.sql), if both { INT4 } else { DATE }));
        }
        let (left, right) = match (left.untyped.is_some(), right.untyped.is_some()) {
            (true, true) => (self.coerce(left, INT4)?, self.coerce(right, INT4)?),
            _ => self.comparable(left, right)?,
        };
        if !(is_number(left.ty.oid) && is_number(right.ty.oid)) {
            return Err(CatalogQueryError::new(
                "42883",
                format!(
                    "operator does not exist: {} {symbol} {}",
                    TYPES.format(left.ty.oid, None),
                    TYPES.format(right.ty.oid, None)
                ),
            ));
        }
        let ty = match (left.ty.oid, right.ty.oid) {
            (FLOAT8 | FLOAT4, _) | (_, FLOAT8 | FLOAT4) => PgType::plain(FLOAT8),
            (NUMERIC, _) | (_, NUMERIC) => PgType::numeric(38, 6),
            (INT8, _) | (_, INT8) => PgType::plain(INT8),
            (CHAR, _) => PgType::plain(INT4),
            (oid, _) => PgType::plain(oid),
        };
        Ok(Typed::with_type(format!("({} {symbol} {})", left.sql, right.sql), ty))
    }

    pub(super) fn pattern(&mut self, function: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let left = self.cast(left, PgType::plain(TEXT))?;
        let right = self.cast(right, PgType::plain(TEXT))?;
        Ok(Typed::bool(format!("catalog_{function}({}, {})", left.sql, right.sql)))
    }

    fn negated(&mut self, function: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        Ok(Typed::bool(format!("(NOT {})", self.pattern(function, left, right)?.sql)))
    }

    /// `left op ANY (right)` or `ALL`.
    pub(super) fn quantified(
        &mut self,
        left: &Expr,
        symbol: &str,
        right: &Expr,
        quantifier: Quantifier,
        scope: &Scope<'_>,
    ) -> Outcome<Typed> {
        let left = self.expression(left, scope)?;
        let mut inner = right;
        while let Expr::Nested(deeper) = inner {
            inner = deeper;
        }
        if let Expr::Subquery(query) = inner {
            let compiled = self.query(query, Some(scope))?;
            let element = compiled.columns.first().map_or(TEXT, |(_, item)| item.ty.oid);
            // a subquery of one array column is an array after all: = ANY ((SELECT conkey ...))
            if TYPES.element_of(element).is_none() || TYPES.element_of(left.ty.oid).is_some() {
                let column = super::ordering::unique_names(compiled.columns.iter().map(|(name, _)| name.as_str()));
                let rows = format!(
                    "SELECT {} AS value FROM ({})",
                    column.first().map_or("NULL", String::as_str),
                    compiled.sql
                );
                return self.over_rows(left, symbol, &rows, element, quantifier);
            }
        }
        let array = self.expression(inner, scope)?;
        let array = match (&array.untyped, TYPES.array_of(left.ty.oid)) {
            (Some(_), wanted) if wanted != 0 => self.coerce(array, wanted)?,
            (Some(_), _) => self.coerce(array, super::super::types::TEXT_ARRAY)?,
            (None, _) => array,
        };
        let element = TYPES
            .element_of(array.ty.oid)
            .ok_or_else(|| CatalogQueryError::new("42809", "op ANY/ALL (array) requires array on right side"))?;
        let rows = format!("SELECT value FROM json_each({})", array.sql);
        self.over_rows(left, symbol, &rows, element, quantifier)
    }

    fn over_rows(
        &mut self,
        left: Typed,
        symbol: &str,
        rows: &str,
        element: u32,
        quantifier: Quantifier,
    ) -> Outcome<Typed> {
        let alias = self.fresh_alias();
        let (left, value) = self.comparable(left, Typed::new(format!("{alias}.value"), element))?;
        let plain = value.sql == format!("{alias}.value");
        Ok(Typed::bool(match (symbol, quantifier) {
            ("=", Quantifier::Any) if plain => format!("({} IN ({rows}))", left.sql),
            ("<>" | "!=", Quantifier::All) if plain => format!("({} NOT IN ({rows}))", left.sql),
            (_, Quantifier::Any) => {
                let test = self.operate(left, symbol, value)?;
                format!("EXISTS (SELECT 1 FROM ({rows}) AS {alias} WHERE {})", test.sql)
            }
            (_, Quantifier::All) => {
                let test = self.operate(left, symbol, value)?;
                format!("NOT EXISTS (SELECT 1 FROM ({rows}) AS {alias} WHERE NOT {})", test.sql)
            }
        }))
    }
}

/// `ANY` or `ALL`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quantifier {
    Any,
    All,
}
