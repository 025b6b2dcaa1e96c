//! Scalar expressions.

use datafusion::sql::sqlparser::ast::{CaseWhen, DataType, Expr, Ident, Query, UnaryOperator, Value, ValueWithSpan};

use super::super::error::CatalogQueryError;
use super::super::names::{fold, quoted_literal};
use super::super::regtypes::find_type;
use super::super::types::{BOOL, INT4, INT8, INTERVAL, NUMERIC, PgType, TEXT, UNKNOWN};
use super::scope::Scope;
use super::sets::field;
use super::typed::{Typed, Untyped};
use super::{Compiler, Outcome};

impl Compiler<'_> {
    pub(super) fn expression(&mut self, expr: &Expr, scope: &Scope<'_>) -> Outcome<Typed> {
        match expr {
            Expr::Identifier(ident) => match scope.bare(&fold(ident)) {
                // the parser takes some of SQL's value functions for columns
                Err(_) if is_value_function(ident) => self.native_call(&fold(ident), Vec::new()),
                found => found,
            },
            Expr::CompoundIdentifier(idents) => qualified(idents, scope),
            Expr::Value(value) => self.value(value),
            Expr::Nested(inner) => {
                let value = self.expression(inner, scope)?;
                Ok(Typed { sql: format!("({})", value.sql), ..value })
            }
            Expr::Collate { expr: inner, .. } => self.expression(inner, scope),
            Expr::Cast { expr: inner, data_type, .. } => {
                let target = self.data_type(data_type)?;
                let value = self.array_for(inner, target.oid, scope)?;
                self.cast(value, target)
            }
            Expr::TypedString(typed) => {
                let target = self.data_type(&typed.data_type)?;
                let value = self.value(&typed.value)?;
                self.cast(value, target)
            }
            Expr::UnaryOp { op, expr: inner } => self.unary(*op, inner, scope),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, scope),
            Expr::Function(function) => self.call(function, scope),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), scope)
            }
            Expr::Subquery(query) => self.scalar_subquery(query, scope),
            Expr::Exists { subquery, negated } => {
                let compiled = self.query(subquery, Some(scope))?;
                Ok(Typed::bool(format!("{}EXISTS ({})", if *negated { "NOT " } else { "" }, compiled.sql)))
            }
            Expr::Array(array) => self.array(array, None, scope),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut value = self.expression(root, scope)?;
                for access in access_chain {
                    value = self.access(&value, access, scope)?;
                }
                Ok(value)
            }
            Expr::Interval(interval) => {
                let text = interval.value.to_string();
                let unit = interval.leading_field.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
                Ok(Typed::new(quoted_literal(&format!("{}{unit}", text.trim_matches('\''))), INTERVAL))
            }
            Expr::Tuple(items) => {
                let items: Outcome<Vec<Typed>> = items.iter().map(|item| self.expression(item, scope)).collect();
                let items = items?;
                let fields = (1..).zip(&items).map(|(at, item): (i32, _)| (format!("f{at}"), item.ty.oid)).collect();
                let list: Vec<&str> = items.iter().map(|item| item.sql.as_str()).collect();
                Ok(Typed::record(format!("json_array({})", list.join(", ")), std::sync::Arc::new(fields)))
            }
            other => self.construct(other, scope),
        }
    }

    fn value(&mut self, value: &ValueWithSpan) -> Outcome<Typed> {
        let text = |text: &String| Typed::untyped(quoted_literal(text), Untyped::Text(text.clone()));
        Ok(match &value.value {
            Value::Number(digits, _) => number(digits)?,
            Value::SingleQuotedString(literal)
            | Value::EscapedStringLiteral(literal)
            | Value::UnicodeStringLiteral(literal)
            | Value::NationalStringLiteral(literal) => text(literal),
            Value::DollarQuotedString(literal) => text(&literal.value),
            Value::Boolean(flag) => Typed::bool(if *flag { "1" } else { "0" }),
            Value::Null => Typed::untyped("NULL", Untyped::Null),
            Value::Placeholder(name) => self.parameter(name)?,
            _ => return Err(CatalogQueryError::unsupported("this literal")),
        })
    }

    fn parameter(&mut self, name: &str) -> Outcome<Typed> {
        let number: usize = name
            .strip_prefix('$')
            .and_then(|digits| digits.parse().ok())
            .filter(|number| (1..=65_535).contains(number))
            .ok_or_else(|| CatalogQueryError::new("42P02", format!("there is no parameter {name}")))?;
        if self.parameters.len() < number {
            self.parameters.resize(number, None);
        }
        let sql = format!("?{number}");
        Ok(match self.parameters[number - 1] {
            Some(oid) => Typed::new(sql, oid),
            None => Typed::untyped(sql, Untyped::Parameter(number - 1)),
        })
    }

    /// A type as written in a cast.
    pub(super) fn data_type(&self, data_type: &DataType) -> Outcome<PgType> {
        let text = data_type.to_string();
        let oid = find_type(&text)
            .or_else(|| text.eq_ignore_ascii_case("CHAR").then_some(super::super::types::BPCHAR))
            .ok_or_else(|| {
                CatalogQueryError::new("42704", format!("type \"{}\" does not exist", text.to_lowercase()))
            })?;
        Ok(PgType { oid, typmod: modifier(&text, oid) })
    }

    fn scalar_subquery(&mut self, query: &Query, scope: &Scope<'_>) -> Outcome<Typed> {
        let compiled = self.query(query, Some(scope))?;
        match compiled.columns.as_slice() {
            [(_, item)] => Ok(item.renamed(format!("({})", compiled.sql))),
            _ => Err(CatalogQueryError::new("42601", "subquery must return only one column")),
        }
    }

    fn unary(&mut self, operator: UnaryOperator, inner: &Expr, scope: &Scope<'_>) -> Outcome<Typed> {
        let value = self.expression(inner, scope)?;
        match operator {
            UnaryOperator::Not => Ok(Typed::bool(format!("NOT ({})", self.coerce(value, BOOL)?.sql))),
            UnaryOperator::Minus | UnaryOperator::Plus | UnaryOperator::BitwiseNot => {
                let value = self.coerce(value, INT4)?;
                let sign = if operator == UnaryOperator::BitwiseNot {
                    "~"
                } else if operator == UnaryOperator::Minus {
                    "-"
                } else {
                    "+"
                };
                Ok(Typed::with_type(format!("({sign} {})", value.sql), value.ty))
            }
            _ => Err(CatalogQueryError::unsupported("this operator")),
        }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> Outcome<Typed> {
        let operand = operand.map(|operand| self.expression(operand, scope)).transpose()?;
        let operand = operand.map(|operand| self.coerce(operand, TEXT)).transpose()?;
        let mut results = Vec::new();
        let mut tests = Vec::new();
        for branch in conditions {
            let test = self.expression(&branch.condition, scope)?;
            tests.push(self.coerce(test, operand.as_ref().map_or(BOOL, |operand| operand.ty.oid))?.sql);
            results.push(self.expression(&branch.result, scope)?);
        }
        let has_else = otherwise.is_some();
        if let Some(otherwise) = otherwise {
            results.push(self.expression(otherwise, scope)?);
        }
        // ELSE counts first in the choice of the type
        if has_else {
            results.rotate_right(1);
        }
        let (mut results, common) = self.unify(results)?;
        let last = if has_else { Some(results.remove(0)) } else { None };
        let mut sql = String::from("CASE");
        if let Some(operand) = &operand {
            sql.push_str(&format!(" {}", operand.sql));
        }
        for (test, result) in tests.iter().zip(&results) {
            sql.push_str(&format!(" WHEN {test} THEN {}", result.sql));
        }
        if let Some(last) = last {
            sql.push_str(&format!(" ELSE {}", last.sql));
        }
        Ok(Typed::with_type(format!("{sql} END"), common))
    }
}

/// `current_schema` and its like, written without parentheses.
pub(in super::super) fn is_value_function(ident: &Ident) -> bool {
    ident.quote_style.is_none()
        && matches!(
            ident.value.to_ascii_lowercase().as_str(),
            "current_catalog" | "current_role" | "current_schema" | "current_user" | "session_user" | "user"
        )
}

fn qualified(idents: &[Ident], scope: &Scope<'_>) -> Outcome<Typed> {
    let names: Vec<String> = idents.iter().map(fold).collect();
    match names.as_slice() {
        [table, column] => {
            let found = scope.qualified(None, table, column);
            if found.is_err() && !scope.knows(table) {
                // a field of a record column, written without parentheses
                if let Ok(record) = scope.bare(table)
                    && let Some(fields) = record.fields.clone()
                    && let Some(at) = fields.iter().position(|(name, _)| name == column)
                {
                    return Ok(field(&record.sql, at, fields[at].1));
                }
            }
            found
        }
        [schema, table, column] | [_, schema, table, column] => scope.qualified(Some(schema), table, column),
        _ => Err(CatalogQueryError::unsupported("this name")),
    }
}

fn number(digits: &str) -> Outcome<Typed> {
    if let Ok(number) = digits.parse::<i64>() {
        return Ok(Typed::new(digits, if i32::try_from(number).is_ok() { INT4 } else { INT8 }));
    }
    if digits.parse::<f64>().is_ok_and(f64::is_finite) {
        let scale = digits.split_once('.').map_or(0, |(_, fraction)| u8::try_from(fraction.len()).unwrap_or(0));
        return Ok(Typed::with_type(digits, PgType { typmod: PgType::numeric(38, scale).typmod, oid: NUMERIC }));
    }
    Err(CatalogQueryError::invalid_text("numeric", digits))
}

/// The modifier in `varchar(10)` or `numeric(10,2)`.
fn modifier(text: &str, oid: u32) -> i32 {
    use super::super::types::{BPCHAR, VARCHAR};
    let Some((_, rest)) = text.split_once('(') else {
        return -1;
    };
    let numbers: Vec<i32> =
        rest.split(')').next().unwrap_or_default().split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match (oid, numbers.as_slice()) {
        (VARCHAR | BPCHAR, [length]) => length + 4,
        (NUMERIC, [precision]) => (precision << 16) + 4,
        (NUMERIC, [precision, scale]) => (precision << 16 | scale) + 4,
        (_, [precision]) if oid != UNKNOWN => *precision,
        _ => -1,
    }
}
