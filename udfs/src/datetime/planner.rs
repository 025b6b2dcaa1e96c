//! Operators on dates and intervals that the engine has in another sense, or not.

use super::clock::LOCAL;
use super::interval::{IntervalTimes, interval};
use crate::columnar::text_literal;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// `date + interval` is a timestamp; intervals can be multiplied and divided.
#[derive(Debug, Default)]
pub struct DateTimePlanner;

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Null
}

/// The texts that PostgreSQL reads as a truth: unique beginnings of words, too.
fn truth(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if begins("true", 1) || begins("yes", 1) || text == "on" || text == "1" {
        return Some(true);
    }
    (begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0").then_some(false)
}

impl ExprPlanner for DateTimePlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let RawBinaryExpr { op, left: left_expr, right: right_expr } = expr;
        let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
        let times = |divides, span: Expr, factor: Expr| {
            let function = Arc::new(ScalarUDF::from(IntervalTimes::new(divides)));
            let operands = vec![cast(span, interval()), cast(factor, DataType::Float64)];
            Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, operands))))
        };
        let (left_expr, right_expr) = match (&op, &left, &right) {
            (BinaryOperator::Multiply, l, r) if is_interval(l) && is_number(r) => {
                return times(false, left_expr, right_expr);
            }
            (BinaryOperator::Multiply, l, r) if is_number(l) && is_interval(r) => {
                return times(false, right_expr, left_expr);
            }
            (BinaryOperator::Divide, l, r) if is_interval(l) && is_number(r) => {
                return times(true, left_expr, right_expr);
            }
            (BinaryOperator::Plus | BinaryOperator::Minus, DataType::Date32, r) if is_interval(r) => {
                (cast(left_expr, LOCAL), right_expr)
            }
            (BinaryOperator::Plus, l, DataType::Date32) if is_interval(l) => (left_expr, cast(right_expr, LOCAL)),
            (_, DataType::Boolean, _) if text_literal(&right_expr).is_some() => {
                let known = text_literal(&right_expr).and_then(truth);
                (left_expr, known.map_or(right_expr, |truth| Expr::Literal(truth.into(), None)))
            }
            (_, _, DataType::Boolean) if text_literal(&left_expr).is_some() => {
                let known = text_literal(&left_expr).and_then(truth);
                (known.map_or(left_expr, |truth| Expr::Literal(truth.into(), None)), right_expr)
            }
            _ => (left_expr, right_expr),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left: left_expr, right: right_expr }))
    }
}
