//! The arguments, and planning the function where a relation stands.

use std::sync::Arc;

use arrow::datatypes::DataType;
use chrono::NaiveDate;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime::expr_fn::date_trunc;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlanBuilder, Operator, cast, ident, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, TableFactor};

use super::NAME;
use crate::period::BillingPeriod;
use crate::security::SessionError;
use crate::session::table_function::call_of;

/// The columns that the arguments are compared with.
const CARD: &str = "card_id";
const VERSION: &str = "version";
const FROM: &str = "from_period";
const TO: &str = "to_period";

fn refused(sqlstate: &'static str, message: impl Into<String>) -> DataFusionError {
    let hint = "simulate_rate_card('retail', 2, '2026-01', '2026-12') is an example";
    DataFusionError::External(Box::new(SessionError::new(sqlstate, message).hint(hint)))
}

/// Plans `from simulate_rate_card(card, version, from, to)` as the simulations of that version and these months.
#[derive(Debug)]
pub(super) struct Planner(Arc<dyn TableProvider>);

impl Planner {
    pub(super) fn new(simulations: Arc<dyn TableProvider>) -> Self {
        Self(simulations)
    }
}

impl RelationPlanner for Planner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (given, alias) = match call_of(NAME, relation) {
            Ok(call) => call,
            Err(other) => return Ok(RelationPlanning::Original(other)),
        };
        let values: Option<Vec<ast::Expr>> = given
            .into_iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
                _ => None,
            })
            .collect();
        let Some(Ok([card, version, from, to])) = values.map(<[ast::Expr; 4]>::try_from) else {
            return Err(refused("42883", "simulate_rate_card takes a card, a version, the first month and the last"));
        };
        let mut planned = |value: ast::Expr| context.sql_to_expr(value, &DFSchema::empty());
        let card = cast(planned(card)?, DataType::Utf8View);
        let version = cast(planned(version)?, DataType::Int64);
        let (from, to) = (month(from, &mut planned)?, month(to, &mut planned)?);
        let plan = LogicalPlanBuilder::scan(NAME, provider_as_source(Arc::clone(&self.0)), None)?
            .filter(
                ident(CARD).eq(card).and(ident(VERSION).eq(version)).and(ident(FROM).eq(from)).and(ident(TO).eq(to)),
            )?
            .build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// The first day of the month that an argument names: a text such as `2026-01`, or any date of the month.
fn month(value: ast::Expr, planned: &mut impl FnMut(ast::Expr) -> Result<Expr>) -> Result<Expr> {
    if let ast::Expr::Value(literal) = &value
        && let ast::Value::SingleQuotedString(text) = &literal.value
    {
        let day = || text.parse::<NaiveDate>().ok().map(|date| date.to_epoch_days());
        let period = text.parse::<BillingPeriod>().ok().or_else(|| BillingPeriod::of_day(day()?));
        let period =
            period.ok_or_else(|| refused("22007", format!("\"{text}\" is not a month: write it as 2026-10")))?;
        return Ok(lit(ScalarValue::Date32(Some(period.first_day_number()))));
    }
    let date = cast(planned(value)?, DataType::Date32);
    Ok(cast(date_trunc(lit("month"), date), DataType::Date32))
}

/// What is simulated.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) card_id: String,
    pub(super) version: i64,
    pub(super) from: BillingPeriod,
    pub(super) to: BillingPeriod,
}

impl Asked {
    /// Reads the comparisons of the arguments back.
    pub(super) fn by(filters: &[Expr]) -> Result<Self> {
        let mut found = Found::default();
        filters.iter().for_each(|filter| found.read(filter));
        let Found { card_id: Some(card_id), version: Some(version), from: Some(from), to: Some(to) } = found else {
            return Err(refused("42883", "simulate_rate_card needs to know its arguments before it begins"));
        };
        let (Some(from), Some(to)) = (BillingPeriod::of_day(from), BillingPeriod::of_day(to)) else {
            return Err(refused("22008", "the months of a simulation are out of range"));
        };
        if from > to {
            return Err(refused("22023", format!("the first month, {from}, comes after the last, {to}")));
        }
        Ok(Self { card_id, version, from, to })
    }
}

#[derive(Default)]
struct Found {
    card_id: Option<String>,
    version: Option<i64>,
    from: Option<i32>,
    to: Option<i32>,
}

impl Found {
    fn read(&mut self, filter: &Expr) {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return };
        if *op == Operator::And {
            self.read(left);
            self.read(right);
        }
        let (name, value) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
                (column.name(), value)
            }
            _ => return,
        };
        if *op != Operator::Eq {
            return;
        }
        match (name, value) {
            (CARD, ScalarValue::Utf8View(Some(card))) => self.card_id = Some(card.clone()),
            (VERSION, ScalarValue::Int64(Some(version))) => self.version = Some(*version),
            (FROM, ScalarValue::Date32(Some(day))) => self.from = Some(*day),
            (TO, ScalarValue::Date32(Some(day))) => self.to = Some(*day),
            _ => {}
        }
    }
}
