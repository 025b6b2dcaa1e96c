//! Planning SQL's arithmetic operators as [`NumericOperator`]s.

use super::integer::IntegerOperator;
use super::{NumericOperator, Operation};
use crate::columnar::text_literal;
use crate::decimal::{PRECISION, SCALE, parse_decimal};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF, lit};
use datafusion::sql::sqlparser::ast::{self, ExactNumberInfo, TimezoneInfo};
use std::sync::Arc;

/// Replaces an arithmetic operator that has a decimal on one side, and a decimal, an integer, NULL, an untyped
/// parameter or a quoted literal on the other, and operators between integers.
///
/// A parameter of unknown type next to a decimal becomes `Decimal128(38, 18)`, as does a quoted literal.
#[derive(Debug)]
pub struct NumericPlanner {
    /// Of decimals and of integers, in the order of [`Operation::ALL`].
    functions: [[Arc<ScalarUDF>; 2]; 5],
}

impl Default for NumericPlanner {
    fn default() -> Self {
        Self::new()
    }
}

impl NumericPlanner {
    /// Returns the planner.
    #[must_use]
    pub fn new() -> Self {
        let functions = |operation| {
            let of_decimals = ScalarUDF::from(NumericOperator::new(operation));
            [of_decimals, ScalarUDF::from(IntegerOperator::new(operation))].map(Arc::new)
        };
        Self { functions: Operation::ALL.map(functions) }
    }

    fn of_decimals(&self, operation: Operation) -> Arc<ScalarUDF> {
        Arc::clone(&self.functions[operation as usize][0])
    }

    fn of_integers(&self, operation: Operation) -> Arc<ScalarUDF> {
        Arc::clone(&self.functions[operation as usize][1])
    }
}

/// What an operand is to decimal arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Decimal,
    Integer,
    Untyped,
    Other,
}

fn kind(expr: &Expr, schema: &DFSchema) -> Kind {
    if untyped_placeholder(expr).is_some() || text_literal(expr).is_some() {
        return Kind::Untyped;
    }
    match expr.get_type(schema) {
        Ok(data_type) if data_type.is_decimal() => Kind::Decimal,
        Ok(data_type) if data_type.is_integer() => Kind::Integer,
        Ok(DataType::Null) => Kind::Untyped,
        _ => Kind::Other,
    }
}

fn untyped_placeholder(expr: &Expr) -> Option<&Placeholder> {
    match expr {
        Expr::Placeholder(placeholder) if placeholder.field.is_none() => Some(placeholder),
        Expr::Negative(inner) => untyped_placeholder(inner),
        _ => None,
    }
}

fn typed(expr: Expr) -> Result<Expr> {
    if let Some(text) = text_literal(&expr) {
        let Ok(parsed) = parse_decimal(text) else {
            return plan_err!("invalid input syntax for type numeric");
        };
        return Ok(lit(ScalarValue::Decimal128(Some(parsed.value), PRECISION, SCALE)));
    }
    Ok(typed_placeholder(expr))
}

fn typed_placeholder(expr: Expr) -> Expr {
    match expr {
        Expr::Placeholder(placeholder) if placeholder.field.is_none() => {
            let field: FieldRef = Arc::new(Field::new("", DataType::Decimal128(PRECISION, SCALE), true));
            Expr::Placeholder(Placeholder::new_with_field(placeholder.id, Some(field)))
        }
        Expr::Negative(inner) => Expr::Negative(Box::new(typed_placeholder(*inner))),
        other => other,
    }
}

impl ExprPlanner for NumericPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(operation) = Operation::of(&expr.op) else { return Ok(PlannerResult::Original(expr)) };
        let planned = |function: Arc<ScalarUDF>, operands: Vec<Expr>| {
            Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, operands))))
        };
        match (kind(&expr.left, schema), kind(&expr.right, schema)) {
            (Kind::Integer, Kind::Integer) => planned(self.of_integers(operation), vec![expr.left, expr.right]),
            (Kind::Decimal, Kind::Decimal | Kind::Integer | Kind::Untyped)
            | (Kind::Integer | Kind::Untyped, Kind::Decimal) => {
                planned(self.of_decimals(operation), vec![typed(expr.left)?, typed(expr.right)?])
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// Plans the types whose names mean less to DataFusion: `numeric` without precision is `Decimal128(38, 18)`, the type of
/// stored money, not scale 10; timestamps count microseconds, so that they reach as far as PostgreSQL's, not nanoseconds.
#[derive(Debug, Default)]
pub struct SqlTypes;

impl TypePlanner for SqlTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        Ok(match sql_type {
            ast::DataType::Numeric(ExactNumberInfo::None)
            | ast::DataType::Decimal(ExactNumberInfo::None)
            | ast::DataType::Dec(ExactNumberInfo::None) => {
                Some(Arc::new(Field::new("", DataType::Decimal128(PRECISION, SCALE), true)))
            }
            ast::DataType::Timestamp(_, zone) => {
                let zone = match zone {
                    TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => None,
                    TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => Some("UTC".into()),
                };
                Some(Arc::new(Field::new("", DataType::Timestamp(TimeUnit::Microsecond, zone), true)))
            }
            _ => None,
        })
    }
}
