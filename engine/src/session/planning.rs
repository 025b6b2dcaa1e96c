//! Planning that can be stopped, and that keeps no thread from others.

use std::future::Future;
use std::sync::{Arc, Mutex};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

use super::lock;
use crate::security::SessionError;
use crate::warehouse::Rules;

/// The token of the statement that runs, of one session.
pub(super) type Stop = Arc<Mutex<CancellationToken>>;

/// A rule of the planner that changes nothing and ends planning once the statement is to stop.
#[derive(Debug)]
struct Asks(Stop);

impl Asks {
    fn ask(&self) -> Result<()> {
        if lock(&self.0).is_cancelled() {
            let stopped = SessionError::new("57014", "canceling statement due to user request");
            return Err(DataFusionError::External(Box::new(stopped)));
        }
        Ok(())
    }
}

impl AnalyzerRule for Asks {
    fn name(&self) -> &str {
        "asks_whether_to_stop"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        self.ask()?;
        Ok(plan)
    }
}

impl OptimizerRule for Asks {
    fn name(&self) -> &str {
        "asks_whether_to_stop"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        self.ask()?;
        Ok(Transformed::no(plan))
    }
}

impl PhysicalOptimizerRule for Asks {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        self.ask()?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "asks_whether_to_stop"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rules, with a question after each.
pub(super) fn asking(rules: Rules, stop: &Stop) -> Rules {
    let logical: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(Asks(Arc::clone(stop)));
    let physical: Arc<dyn PhysicalOptimizerRule + Send + Sync> = Arc::new(Asks(Arc::clone(stop)));
    Rules {
        logical: rules.logical.into_iter().flat_map(|rule| [rule, Arc::clone(&logical)]).collect(),
        physical: rules.physical.into_iter().flat_map(|rule| [rule, Arc::clone(&physical)]).collect(),
    }
}

/// The question as a rule of the analyzer.
pub(super) fn question(stop: &Stop) -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(Asks(Arc::clone(stop)))
}

/// Runs what computes for long between two waits, while other tasks of this thread go on elsewhere.
pub(super) async fn apart<T>(work: impl Future<Output = T>) -> T {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(|| handle.block_on(work))
        }
        _ => work.await,
    }
}
