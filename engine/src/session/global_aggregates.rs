//! Filters stay above aggregates of all rows.
//!
//! The engine moves a predicate below an aggregate when all columns that it names are grouped by. One that names none, as a filter of a
//! constant column is once the constant stands in its place, names no others either and goes below `select count(*) ...`, which then
//! gives its row of no rows instead of no row (Spark had the same: <https://github.com/apache/spark/pull/15289>). While predicates move,
//! a limit of one row, which is what such an aggregate gives, stands in their way.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, Limit, LogicalPlan, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule that moves predicates.
const MOVES: &str = "push_down_filter";

/// Puts the limits around the rule that moves predicates.
pub(crate) fn around_filters(rules: &mut Vec<Arc<dyn OptimizerRule + Send + Sync>>) {
    if let Some(at) = rules.iter().position(|rule| rule.name() == MOVES) {
        rules.insert(at + 1, Arc::new(Release));
        rules.insert(at, Arc::new(Hold));
    }
}

fn is_of_all_rows(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Aggregate(Aggregate { group_expr, .. }) if group_expr.is_empty())
}

#[derive(Debug)]
struct Hold;

impl OptimizerRule for Hold {
    fn name(&self) -> &str {
        "hold_filters_above_global_aggregates"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !is_of_all_rows(&plan) {
            return Ok(Transformed::no(plan));
        }
        let one = Some(Box::new(lit(1_i64)));
        Ok(Transformed::yes(LogicalPlan::Limit(Limit { skip: None, fetch: one, input: Arc::new(plan) })))
    }
}

#[derive(Debug)]
struct Release;

impl OptimizerRule for Release {
    fn name(&self) -> &str {
        "release_filters_above_global_aggregates"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Limit(Limit { skip: None, fetch: Some(fetch), input })
                if *fetch == lit(1_i64) && is_of_all_rows(&input) =>
            {
                Ok(Transformed::yes(Arc::unwrap_or_clone(input)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}
