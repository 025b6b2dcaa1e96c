//! What the system catalogs tell, within a query of other relations: `select has_table_privilege('charges', 'select'), count(*) from
//! charges`.
//!
//! Such functions belong to the catalogs, which have a path of their own. Called with constants they are constants: they are asked
//! there first, and the query is planned with their values.

use std::ops::ControlFlow;

use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArguments, Statement as Ast, TimezoneInfo, Value, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::{Session, dialect, statement};
use crate::pg_catalog::PgCatalog;
use crate::security::SessionError;
use crate::security::guard::name_parts;

impl Session {
    /// The query with the values of such calls, and whether there were any.
    ///
    /// # Errors
    /// What the functions raise: `42P01` for a relation that does not exist, `42704` for an unknown parameter.
    pub(super) async fn with_catalog_values(&self, mut query: Ast) -> Result<(Ast, bool), SessionError> {
        let mut calls = Calls::default();
        let _: ControlFlow<()> = Visit::visit(&query, &mut calls);
        if calls.0.is_empty() {
            return Ok((query, false));
        }
        let asked = statement::parse(&format!("select {}", calls.0.join(", ")))?;
        let [asked] = asked.as_slice() else { return Err(SessionError::unsupported("this call")) };
        let answer = self.ask_catalog(asked.ast()?, &[]).await?;
        let columns = answer.batches.iter().flat_map(|batch| batch.columns());
        let mut known: Vec<(String, Expr)> = Vec::new();
        for (call, column) in calls.0.into_iter().zip(columns) {
            known.extend(literal(&ScalarValue::try_from_array(column, 0)?).map(|value| (call, value)));
        }
        let _: ControlFlow<()> = VisitMut::visit(&mut query, &mut Replaced(&known));
        Ok((query, true))
    }
}

/// The texts of the calls, each once.
#[derive(Default)]
struct Calls(Vec<String>);

impl Visitor for Calls {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if is_call(expression) {
            let text = expression.to_string();
            if !self.0.contains(&text) {
                self.0.push(text);
            }
        }
        ControlFlow::Continue(())
    }
}

struct Replaced<'a>(&'a [(String, Expr)]);

impl VisitorMut for Replaced<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if is_call(expression) {
            let text = expression.to_string();
            if let Some((_, value)) = self.0.iter().find(|(call, _)| *call == text) {
                *expression = value.clone();
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether it is a call of a function that only tells, with nothing but constants in it.
fn is_call(expression: &Expr) -> bool {
    let Expr::Function(function) = expression else { return false };
    tells(function) && expression.visit(&mut Constants).is_continue()
}

fn tells(function: &Function) -> bool {
    let parts = name_parts(&function.name);
    let name = match parts.as_slice() {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return false,
    };
    matches!(function.args, FunctionArguments::List(_)) && function.over.is_none() && PgCatalog::tells(name)
}

/// Breaks at what is no constant.
struct Constants;

impl Visitor for Constants {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let is_constant = match expression {
            Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
            Expr::Function(function) => tells(function) || matches!(function.args, FunctionArguments::None),
            Expr::Cast { .. } | Expr::Nested(_) | Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => true,
            _ => false,
        };
        if is_constant { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// A value as it would be written; none for kinds that such functions hardly ever have.
fn literal(value: &ScalarValue) -> Option<Expr> {
    let typed = |text: String, data_type| {
        let mut literal = Expr::value(Value::SingleQuotedString(text));
        dialect::cast(&mut literal, data_type);
        literal
    };
    Some(match value {
        null if null.is_null() => Expr::value(Value::Null),
        ScalarValue::Boolean(Some(truth)) => Expr::value(Value::Boolean(*truth)),
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => typed(text.clone(), DataType::Text),
        ScalarValue::Int16(Some(number)) => typed(number.to_string(), DataType::SmallInt(None)),
        ScalarValue::Int32(Some(number)) => typed(number.to_string(), DataType::Integer(None)),
        ScalarValue::Int64(Some(number)) => typed(number.to_string(), DataType::BigInt(None)),
        ScalarValue::UInt32(Some(number)) => typed(number.to_string(), DataType::BigInt(None)),
        ScalarValue::Float64(Some(number)) => typed(number.to_string(), DataType::DoublePrecision),
        ScalarValue::TimestampMicrosecond(Some(_), Some(_)) => {
            typed(value.to_array().ok().and_then(|array| shown(&array))?, DataType::Timestamp(None, TimezoneInfo::Tz))
        }
        _ => return None,
    })
}

fn shown(array: &arrow::array::ArrayRef) -> Option<String> {
    arrow::util::display::array_value_to_string(array, 0).ok()
}
