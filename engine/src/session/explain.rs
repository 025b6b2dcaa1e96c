//! `explain`: the plan as the session sees it, with nothing of what lies inside a scoped scan.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::sql::sqlparser::ast::UtilityOption;
use serde_json::{Value, json};

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
        let options = Options::of(options.unwrap_or_default())?;
        let analyze = analyze || options.analyze;
        if analyze {
            self.may(Action::ExplainAnalyze, "explain analyze")?;
        }
        // What `verbose` adds is inside the operators: whoever may not see it gets the plain plan.
        let verbose = (verbose || options.verbose) && self.may(Action::ExplainAnalyze, "explain verbose").is_ok();
        if options.json {
            let physical = self.physical(&plan).await?;
            let text = serde_json::to_string_pretty(&json!([{ "Plan": node(physical.as_ref()) }]))
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            return query::text_row("QUERY PLAN", &text);
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

/// The options that change something here; `costs`, `timing` and the like have nothing to show or hide.
#[derive(Default)]
struct Options {
    analyze: bool,
    verbose: bool,
    json: bool,
}

impl Options {
    fn of(options: &[UtilityOption]) -> Result<Self, SessionError> {
        let mut found = Self::default();
        for UtilityOption { name, arg } in options {
            let value = arg.as_ref().map(|value| value.to_string().trim_matches('\'').to_ascii_lowercase());
            let is_on = !matches!(value.as_deref(), Some("off" | "false" | "0"));
            match name.value.to_ascii_lowercase().as_str() {
                "analyze" => found.analyze = is_on,
                "verbose" => found.verbose = is_on,
                "format" => match value.as_deref() {
                    Some("text") => {}
                    Some("json") => found.json = true,
                    _ => return Err(SessionError::unsupported("this format").hint("explain has formats text and json")),
                },
                "costs" | "settings" | "buffers" | "wal" | "timing" | "summary" => {}
                other => {
                    return Err(SessionError::new("42601", format!("unrecognized EXPLAIN option \"{other}\"")));
                }
            }
        }
        if found.analyze && found.json {
            return Err(SessionError::unsupported("explain analyze as json").hint("leave out the format"));
        }
        Ok(found)
    }
}

/// A plan's operator and those below it, under the keys that PostgreSQL's readers know.
fn node(plan: &dyn ExecutionPlan) -> Value {
    let line = DisplayableExecutionPlan::new(plan).one_line().to_string();
    let children: Vec<Value> = plan.children().into_iter().map(|child| node(child.as_ref())).collect();
    let mut shown = json!({ "Node Type": plan.name(), "Parallel Aware": false, "Detail": line.trim_end() });
    if let (Some(map), false) = (shown.as_object_mut(), children.is_empty()) {
        map.insert("Plans".to_owned(), Value::Array(children));
    }
    shown
}
