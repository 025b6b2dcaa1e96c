//! Planning `->`, `->>`, `#>` and `#>>` as [`JsonFunction`]s.

use super::function::is_text;
use super::{JsonFunction, Shown, Step};
use crate::columnar::text_literal;
use crate::list::array_literal;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// Replaces the operators by functions. An integer on the right of `->` is a place in an array, everything else the name of
/// a member; a parameter of unknown type is text. The right of `#>` is a literal such as `'{a,0,b}'`.
#[derive(Debug)]
pub struct JsonPlanner {
    functions: Vec<((Step, Shown), Arc<ScalarUDF>)>,
}

impl Default for JsonPlanner {
    fn default() -> Self {
        Self::new()
    }
}

impl JsonPlanner {
    /// Returns the planner.
    #[must_use]
    pub fn new() -> Self {
        let function = |kind: (Step, Shown)| (kind, Arc::new(ScalarUDF::from(JsonFunction::new(kind.0, kind.1))));
        Self { functions: JsonFunction::ALL.map(function).into() }
    }

    fn call(&self, step: Step, shows: Shown, arguments: Vec<Expr>) -> Option<Expr> {
        let (_, function) = self.functions.iter().find(|(kind, _)| *kind == (step, shows))?;
        Some(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), arguments)))
    }
}

impl ExprPlanner for JsonPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (by_path, shows) = match &expr.op {
            BinaryOperator::Arrow => (false, Shown::Json),
            BinaryOperator::LongArrow => (false, Shown::Text),
            BinaryOperator::HashArrow => (true, Shown::Json),
            BinaryOperator::HashLongArrow => (true, Shown::Text),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (left, right) = (text_if_unknown(expr.left.clone()), text_if_unknown(expr.right.clone()));
        if left.get_type(schema).is_ok_and(|data_type| !is_text(&data_type)) {
            return plan_err!("operator {} takes JSON text on its left, such as tags", expr.op);
        }
        let mut arguments = vec![left];
        let step = if by_path {
            arguments.extend(path_of(right, &expr.op)?);
            Step::Path
        } else {
            let step = match right.get_type(schema) {
                Ok(data_type) if data_type.is_integer() => Step::Element,
                Ok(data_type) if !is_text(&data_type) => {
                    return plan_err!(
                        "operator {} takes the name of a member or the place of an element on its right",
                        expr.op
                    );
                }
                _ => Step::Field,
            };
            arguments.push(right);
            step
        };
        Ok(match self.call(step, shows, arguments) {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }
}

/// The steps of a path: of `'{name,0,name}'` or `array['name', '0']`.
fn path_of(right: Expr, operator: &BinaryOperator) -> Result<Vec<Expr>> {
    match right {
        Expr::Cast(cast) => path_of(*cast.expr, operator),
        Expr::ScalarFunction(array) if array.name() == "make_array" => Ok(array.args),
        right => {
            let Some(literal) = text_literal(&right) else {
                return plan_err!("operator {operator} takes a path on its right, written '{{name,0,name}}'");
            };
            let Some(steps) = array_literal(literal) else {
                return plan_err!("malformed array literal: a path is written '{{name,0,name}}'");
            };
            Ok(steps.into_iter().map(|step| lit(ScalarValue::Utf8(step))).collect())
        }
    }
}

fn text_if_unknown(expr: Expr) -> Expr {
    match expr {
        Expr::Placeholder(parameter) if parameter.field.is_none() => {
            let field = Arc::new(Field::new("", DataType::Utf8, true));
            Expr::Placeholder(Placeholder::new_with_field(parameter.id, Some(field)))
        }
        other => other,
    }
}
