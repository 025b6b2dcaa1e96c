//! `lateral (select a * 10 as b)`: rows made of the row beside them.
//!
//! The engine turns a lateral sub-query into a join when it reads a relation. One that reads none gives one row,
//! computed from the outer row alone: it is a projection of the outer rows.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::{
    EmptyRelation, Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule; it comes before the engine's own for lateral joins.
#[derive(Debug)]
pub(crate) struct LateralRows;

impl OptimizerRule for LateralRows {
    fn name(&self) -> &str {
        "lateral_rows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = &plan else { return Ok(Transformed::no(plan)) };
        match projected(join)? {
            Some(rewritten) => Ok(Transformed::yes(rewritten)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

fn projected(join: &Join) -> Result<Option<LogicalPlan>> {
    // There is exactly one row, so that an outer join without a condition keeps the same rows as an inner one.
    let has_condition = join.filter.is_some() || !join.on.is_empty();
    if has_condition && join.join_type != JoinType::Inner || !matches!(join.join_type, JoinType::Inner | JoinType::Left)
    {
        return Ok(None);
    }
    let (alias, subquery) = match join.right.as_ref() {
        LogicalPlan::Subquery(subquery) => (None, subquery),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => match input.as_ref() {
            LogicalPlan::Subquery(subquery) => (Some(alias), subquery),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let LogicalPlan::Projection(row) = subquery.subquery.as_ref() else { return Ok(None) };
    if !matches!(row.input.as_ref(), LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. })) {
        return Ok(None);
    }
    let rows = row_beside(&join.left, row, join.right.schema().as_ref(), alias)?;
    let all = match &join.filter {
        Some(filter) => rows.filter(filter.clone())?,
        None => rows,
    };
    let all = join.on.iter().try_fold(all, |plan, (left, right)| plan.filter(left.clone().eq(right.clone())))?;
    all.build().map(Some)
}

/// The outer rows with the values of the sub-query beside them, under the names of the join's right side.
fn row_beside(
    left: &Arc<LogicalPlan>,
    row: &Projection,
    right: &DFSchema,
    alias: Option<&TableReference>,
) -> Result<LogicalPlanBuilder> {
    let outer = left.schema().iter().map(|(qualifier, field)| Expr::Column(Column::from((qualifier, field))));
    let mut columns: Vec<Expr> = outer.collect();
    for (expression, (qualifier, field)) in row.expr.iter().zip(right.iter()) {
        let value = expression.clone().transform(|inner| {
            Ok(match inner {
                Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
                other => Transformed::no(other),
            })
        })?;
        let value = value.data.unalias_nested().data;
        columns.push(value.alias_qualified(alias.or(qualifier).cloned(), field.name()));
    }
    LogicalPlanBuilder::from(Arc::clone(left)).project(columns)
}
