//! The marts: SQL files that are views over a session's own relations.
//!
//! A file's head says what it is: `-- object: schema.name`, `-- variant: root` for a text that
//! only the root has, `-- comment: ...` and `-- column name: ...`. The same text is what tests run.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use arrow::datatypes::{Field, SchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident};

use crate::security::policy::MoneyColumns;
use crate::security::relations::COMMENT;

/// One view.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) root_only: bool,
    pub(crate) comment: &'static str,
    columns: HashMap<&'static str, &'static str>,
    pub(crate) sql: &'static str,
}

const FILES: [&str; 45] = [
    include_str!("../../../sql/marts/allocations.sql"),
    include_str!("../../../sql/marts/anomalies.sql"),
    include_str!("../../../sql/marts/completeness.sql"),
    include_str!("../../../sql/marts/days_off.sql"),
    include_str!("../../../sql/marts/subtrees.sql"),
    include_str!("../../../sql/marts/effective_thresholds.sql"),
    include_str!("../../../sql/marts/anomaly_drivers.sql"),
    include_str!("../../../sql/marts/forecasts.sql"),
    include_str!("../../../sql/marts/forecast_accuracy.sql"),
    include_str!("../../../sql/marts/spend_over_forecast.sql"),
    include_str!("../../../sql/marts/budget_status.sql"),
    include_str!("../../../sql/marts/client_profit.sql"),
    include_str!("../../../sql/marts/metrics.sql"),
    include_str!("../../../sql/marts/metrics.root.sql"),
    include_str!("../../../sql/marts/unit_economics.sql"),
    include_str!("../../../sql/marts/deployment_velocity.sql"),
    include_str!("../../../sql/marts/underutilised.sql"),
    include_str!("../../../sql/marts/licence_waste.sql"),
    include_str!("../../../sql/marts/unused_commitments.sql"),
    include_str!("../../../sql/marts/unused_commitments.root.sql"),
    include_str!("../../../sql/marts/waste_candidates.sql"),
    include_str!("../../../sql/marts/executive.sql"),
    include_str!("../../../sql/marts/finance.sql"),
    include_str!("../../../sql/marts/engineering.sql"),
    include_str!("../../../sql/ops/scorecard.sql"),
    include_str!("../../../sql/marts/margins.sql"),
    include_str!("../../../sql/marts/margins.root.sql"),
    include_str!("../../../sql/marts/unallocated.sql"),
    include_str!("../../../sql/marts/by_engagement.sql"),
    include_str!("../../../sql/marts/seat_counts.sql"),
    include_str!("../../../sql/marts/tag_compliance.sql"),
    include_str!("../../../sql/marts/credits_expiring.sql"),
    include_str!("../../../sql/marts/credits_received_vs_passed.sql"),
    include_str!("../../../sql/marts/commitment_benefits.sql"),
    include_str!("../../../sql/marts/commitment_benefits.root.sql"),
    include_str!("../../../sql/marts/commitment_status.root.sql"),
    include_str!("../../../sql/focus/cost_and_usage_1_2.sql"),
    include_str!("../../../sql/focus/cost_and_usage_1_3.sql"),
    include_str!("../../../sql/focus/cost_and_usage_1_4.sql"),
    include_str!("../../../sql/focus/provider_cost_and_usage.sql"),
    include_str!("../../../sql/ops/close_blockers.sql"),
    include_str!("../../../sql/ops/invoice_reconciliation.sql"),
    include_str!("../../../sql/ops/provider_credits.sql"),
    include_str!("../../../sql/ops/reconciliation.sql"),
    include_str!("../../../sql/ops/restatements.sql"),
];

/// The columns of views, by what they depend on: system catalogs list all of them in every session, and a plan takes milliseconds.
pub(crate) type ColumnsOfViews = Mutex<HashMap<(&'static str, &'static str, ColumnsFor), SchemaRef>>;

/// What the columns of relations depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ColumnsFor {
    pub(crate) is_root: bool,
    pub(crate) money: MoneyColumns,
}

static VIEWS: LazyLock<Vec<View>> = LazyLock::new(|| FILES.iter().map(|text| parse(text)).collect());

fn parse(sql: &'static str) -> View {
    let (mut object, mut comment, mut root_only) = ("", "", false);
    let mut columns = HashMap::new();
    for line in sql.lines().map_while(|line| line.strip_prefix("-- ")) {
        if let Some(text) = line.strip_prefix("object: ") {
            object = text.trim();
        } else if let Some(text) = line.strip_prefix("comment: ") {
            comment = text.trim();
        } else if line.trim() == "variant: root" {
            root_only = true;
        } else if let Some((name, text)) = line.strip_prefix("column ").and_then(|rest| rest.split_once(": ")) {
            columns.insert(name.trim(), text.trim());
        }
    }
    let (schema, name) = object.split_once('.').unwrap_or(("public", object));
    View { schema, name, root_only, comment, columns, sql }
}

/// The view of that name, in the root's variant where there is one and the caller is the root.
pub(crate) fn named(schema: &str, name: &str, is_root: bool) -> Option<&'static View> {
    let matching = || VIEWS.iter().filter(|view| view.schema == schema && view.name == name);
    matching().find(|view| is_root && view.root_only).or_else(|| matching().find(|view| !view.root_only))
}

/// The view of that name in any variant.
pub(crate) fn any(schema: &str, name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.schema == schema && view.name == name)
}

/// Key of what says, in a column's metadata, which view it is a column of.
const VIEW: &str = "ratehouse.view";

/// Whether a field is a column of that view.
pub(super) fn is_column_of(field: &Field, schema: &str, name: &str) -> bool {
    field.metadata().get(VIEW).and_then(|view| view.split_once('.')) == Some((schema, name))
}

/// Gives a view's columns their comments and its name.
pub(crate) fn with_comments(plan: LogicalPlan, view: &View) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let comment = view.columns.get(field.name().as_str()).copied().unwrap_or_default();
            let mut metadata = field.metadata().clone();
            metadata.insert(COMMENT.to_owned(), comment.to_owned());
            metadata.insert(VIEW.to_owned(), format!("{}.{}", view.schema, view.name));
            ident(field.name())
                .alias_with_metadata(field.name(), Some(datafusion::common::metadata::FieldMetadata::from(metadata)))
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::policy::RELATIONS;

    #[test]
    fn every_view_is_in_the_matrix_and_has_a_comment() {
        for view in VIEWS.iter() {
            assert!(
                RELATIONS.iter().any(|r| r.schema == view.schema && r.name == view.name),
                "{}.{}",
                view.schema,
                view.name
            );
            assert!(!view.comment.is_empty() && !view.columns.is_empty(), "{}.{}", view.schema, view.name);
        }
    }
}
