//! The name PostgreSQL gives to a column without an alias.

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, SelectItem, Subscript, TrimWhereField, Value};

use super::super::names::{fold, parts};
use super::super::regtypes::find_type;
use super::super::types::TYPES;

/// `?column?` unless the expression suggests a better one.
pub(super) fn output_name(expr: &Expr) -> String {
    suggested(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is a strong one that a cast does not replace.
fn suggested(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        Expr::Identifier(ident) => Some((fold(ident), true)),
        Expr::CompoundIdentifier(idents) => idents.last().map(|ident| (fold(ident), true)),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(ident)) => Some(fold(ident)),
                AccessExpr::Dot(_) | AccessExpr::Subscript(Subscript::Index { .. } | Subscript::Slice { .. }) => None,
            });
            field.map(|name| (name, true)).or_else(|| suggested(root))
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => suggested(inner),
        Expr::Function(function) => parts(&function.name)?.pop().map(|name| (name, true)),
        Expr::Cast { expr: inner, data_type, .. } => match suggested(inner) {
            Some((name, true)) => Some((name, true)),
            weak => type_name(&data_type.to_string()).map(|name| (name, false)).or(weak),
        },
        Expr::TypedString(typed) => type_name(&typed.data_type.to_string()).map(|name| (name, false)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(suggested) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Subquery(query) => {
            let select = query.body.as_select()?;
            match select.projection.first()? {
                SelectItem::UnnamedExpr(inner) => suggested(inner),
                SelectItem::ExprWithAlias { alias, .. } => Some((fold(alias), true)),
                _ => None,
            }
        }
        Expr::Exists { negated: false, .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Extract { .. } => strong("extract"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Position { .. } => strong("position"),
        Expr::Trim { trim_where: Some(TrimWhereField::Leading), .. } => strong("ltrim"),
        Expr::Trim { trim_where: Some(TrimWhereField::Trailing), .. } => strong("rtrim"),
        Expr::Trim { .. } => strong("btrim"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Value(value) => match &value.value {
            Value::Boolean(_) => Some(("bool".to_owned(), false)),
            _ => None,
        },
        _ => None,
    }
}

fn type_name(text: &str) -> Option<String> {
    let oid = find_type(text)?;
    let row = TYPES.get(oid)?;
    // an array is named after its element
    let row = TYPES
        .element_of(oid)
        .filter(|_| row.name.starts_with('_'))
        .and_then(|element| TYPES.get(element))
        .unwrap_or(row);
    Some(row.name.clone())
}
