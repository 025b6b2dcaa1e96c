//! Array constructors, subscripts and fields.

use datafusion::sql::sqlparser::ast::{AccessExpr, Array, Expr, Subscript};

use super::super::error::CatalogQueryError;
use super::super::names::fold;
use super::super::types::{CHAR, INT8, NAME, PgType, TEXT_ARRAY, TYPES};
use super::operators::counts_from_zero;
use super::scope::Scope;
use super::sets::field;
use super::typed::Typed;
use super::{Compiler, Outcome};

impl Compiler<'_> {
    /// An array constructor takes the element type of the cast around it.
    pub(super) fn array_for(&mut self, expr: &Expr, target: u32, scope: &Scope<'_>) -> Outcome<Typed> {
        match (expr, TYPES.element_of(target)) {
            (Expr::Array(array), Some(element)) => self.array(array, Some(element), scope),
            (Expr::Nested(inner), Some(_)) => self.array_for(inner, target, scope),
            _ => self.expression(expr, scope),
        }
    }

    pub(super) fn array(&mut self, array: &Array, element: Option<u32>, scope: &Scope<'_>) -> Outcome<Typed> {
        let mut values = Vec::new();
        for item in &array.elem {
            let value = self.expression(item, scope)?;
            values.push(match element {
                Some(oid) => self.cast(value, PgType::plain(oid))?,
                None => value,
            });
        }
        let (values, common) = self.unify(values)?;
        let list: Vec<String> = values.into_iter().map(|value| value.sql).collect();
        let oid = TYPES.array_of(element.unwrap_or(common.oid));
        Ok(Typed::new(format!("json_array({})", list.join(", ")), if oid == 0 { TEXT_ARRAY } else { oid }))
    }

    /// `.field`, `[index]` or `[first:last]`.
    pub(super) fn access(&mut self, value: &Typed, access: &AccessExpr, scope: &Scope<'_>) -> Outcome<Typed> {
        let lower = if counts_from_zero(value.ty.oid) { "0" } else { "1" };
        let position = |compiler: &mut Self, expr: &Expr| -> Outcome<String> {
            let index = compiler.expression(expr, scope)?;
            Ok(format!("({} - {lower})", compiler.coerce(index, INT8)?.sql))
        };
        match access {
            AccessExpr::Dot(Expr::Identifier(ident)) => {
                let name = fold(ident);
                let fields = value.fields.as_ref().ok_or_else(|| CatalogQueryError::undefined_column(&name))?;
                let at = fields
                    .iter()
                    .position(|(known, _)| *known == name)
                    .ok_or_else(|| CatalogQueryError::undefined_column(&name))?;
                Ok(field(&value.sql, at, fields[at].1))
            }
            // a name is an array of characters that counts from 0
            AccessExpr::Subscript(Subscript::Index { index }) if value.ty.oid == NAME => {
                let index = self.expression(index, scope)?;
                let index = self.coerce(index, INT8)?;
                Ok(Typed::new(format!("substr({}, {} + 1, 1)", value.sql, index.sql), CHAR))
            }
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let element = TYPES.element_of(value.ty.oid).ok_or_else(|| {
                    CatalogQueryError::new(
                        "42804",
                        format!(
                            "cannot subscript type {} because it does not support subscripting",
                            TYPES.format(value.ty.oid, None)
                        ),
                    )
                })?;
                let index = position(self, index)?;
                Ok(Typed::new(format!("catalog_array_element({}, {index})", value.sql), element))
            }
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                let first = lower_bound.as_ref().map(|bound| position(self, bound)).transpose()?;
                let last = upper_bound.as_ref().map(|bound| position(self, bound)).transpose()?;
                let absent = || "NULL".to_owned();
                let (first, last) = (first.unwrap_or_else(absent), last.unwrap_or_else(absent));
                Ok(Typed::new(format!("catalog_array_slice({}, {first}, {last})", value.sql), value.ty.oid))
            }
            _ => Err(CatalogQueryError::unsupported("this subscript")),
        }
    }
}
