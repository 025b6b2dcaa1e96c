//! Exact money functions over Arrow: arithmetic, rating, allocation, proration, rounding; reading the JSON of tags, judging tags by
//! a policy, and showing values by pattern; forecasts of series and what is unusual in them.
//!
//! Pure functions: this crate knows no files, users, catalogs or sockets. [`install`] puts everything into a DataFusion
//! session; the single lists are there for callers that build sessions another way. Functions of the same name as
//! DataFusion's replace them.

pub mod aggregate;
mod columnar;
mod conversion;
pub mod datetime;
pub mod decimal;
pub mod json;
pub mod list;
pub mod math;
pub mod money;
pub mod numeric;
pub mod pattern;
pub mod series;
pub mod tags;
pub mod window;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::{ExprPlanner, TypePlanner};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use std::sync::Arc;

/// Returns every scalar function.
#[must_use]
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let operators = numeric::Operation::ALL.map(|operation| ScalarUDF::from(numeric::NumericOperator::new(operation)));
    let functions = [
        ScalarUDF::from(datetime::Age::new()),
        ScalarUDF::from(datetime::IntervalTimes::new(false)),
        ScalarUDF::from(datetime::IntervalTimes::new(true)),
        ScalarUDF::from(datetime::Timezone::new()),
        ScalarUDF::from(json::ToJson::new()),
        ScalarUDF::from(math::Ceil::new()),
        ScalarUDF::from(math::Floor::new()),
        ScalarUDF::from(math::Round::new()),
        ScalarUDF::from(math::Trunc::new()),
        ScalarUDF::from(money::BillingPeriod::new()),
        ScalarUDF::from(money::DivRound::new()),
        ScalarUDF::from(money::FxConvert::new()),
        ScalarUDF::from(money::Prorate::new()),
        ScalarUDF::from(money::RoundMoney::new()),
        ScalarUDF::from(pattern::ToChar::new()),
        ScalarUDF::from(pattern::ByPattern::to_date()),
        ScalarUDF::from(pattern::ByPattern::to_timestamp()),
        ScalarUDF::from(tags::TagViolations::new()),
        // Without a viewer nothing shows: the engine replaces it by the session's own.
        money::mask_margin(None),
    ];
    let of_json = json::JsonFunction::ALL.map(|(step, shows)| ScalarUDF::from(json::JsonFunction::new(step, shows)));
    operators.into_iter().chain(functions).chain(of_json).map(Arc::new).collect()
}

/// Returns every aggregate function.
#[must_use]
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    vec![
        Arc::new(AggregateUDF::from(aggregate::ExactSum::new())),
        Arc::new(AggregateUDF::from(aggregate::ExactAvg::new())),
    ]
}

/// Returns every window function.
#[must_use]
pub fn window_functions() -> Vec<Arc<WindowUDF>> {
    vec![Arc::new(WindowUDF::from(window::Allocate::new()))]
}

/// Returns the planners of operators; they come before DataFusion's.
#[must_use]
pub fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(numeric::NumericPlanner::new()),
        Arc::new(json::JsonPlanner::new()),
        Arc::new(datetime::DateTimePlanner),
    ]
}

/// Returns the planner of type names.
#[must_use]
pub fn type_planner() -> Arc<dyn TypePlanner> {
    Arc::new(numeric::SqlTypes)
}

/// Returns the rewrites of expressions; register them with the session state, see [`install`].
#[must_use]
pub fn function_rewrites() -> Vec<Arc<dyn FunctionRewrite + Send + Sync>> {
    vec![Arc::new(numeric::NumericCasts)]
}

/// Puts every function and planner into a session, in front of what is there.
///
/// [`function_rewrites`] need a built session state and are the caller's to register.
#[must_use]
pub fn install(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    builder.scalar_functions().get_or_insert_default().extend(scalar_functions());
    builder.aggregate_functions().get_or_insert_default().extend(aggregate_functions());
    builder.window_functions().get_or_insert_default().extend(window_functions());
    builder.expr_planners().get_or_insert_default().splice(0..0, expr_planners());
    builder.with_type_planner(type_planner()).with_analyzer_rule(Arc::new(datetime::DateTimeCasts))
}

#[cfg(test)]
mod testing;
