//! `explain`: the plan as the session sees it, with nothing of what lies inside a scoped scan.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::sql::sqlparser::ast::UtilityOption;

use super::{Answer, Session, query};
use crate::security::SessionError;
use crate::security::policy::Action;

/// One column of text, as Postgres has it.
pub(super) fn schema() -> SchemaRef {
    query::one_text_column("QUERY PLAN")
}

impl Session {
    pub(super) async fn explain(
        &self,
        plan: LogicalPlan,
        analyze: bool,
        verbose: bool,
        options: Option<&[UtilityOption]>,
    ) -> Result<Answer, SessionError> {
        let named = |wanted: &str| {
            options.unwrap_or_default().iter().any(|option| option.name.value.eq_ignore_ascii_case(wanted))
        };
        let (analyze, verbose) = (analyze || named("analyze"), verbose || named("verbose"));
        if analyze || verbose {
            self.may(Action::ExplainAnalyze, "explain analyze")?;
        }
        let text = if analyze {
            let physical = self.runnable(&plan).await?;
            collect(Arc::clone(&physical), self.state.0.task_ctx()).await?;
            DisplayableExecutionPlan::with_metrics(physical.as_ref()).indent(verbose).to_string()
        } else {
            let physical = self.physical(&plan).await?;
            DisplayableExecutionPlan::new(physical.as_ref()).indent(verbose).to_string()
        };
        let lines: ArrayRef = Arc::new(text.lines().map(Some).collect::<StringArray>());
        let batch = RecordBatch::try_new(schema(), vec![lines]).map_err(DataFusionError::from)?;
        query::rows(schema(), vec![batch])
    }
}
