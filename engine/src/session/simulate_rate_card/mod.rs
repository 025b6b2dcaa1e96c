//! `simulate_rate_card(card, version, from, to)`: what everybody would have paid if a version of a card had held for some months.
//!
//! ```sql
//! select buyer_node_id, sum(charged), sum(simulated), sum(difference), currency
//!   from simulate_rate_card('retail', 2, '2026-01', '2026-12') group by 1, 5;
//! ```
//!
//! For the card's seller and those who see its cards; what is hidden and what is not there read the same. The version may be a draft;
//! what the open transaction has not committed does not count. Nothing changes. Only edges on which the card's seller or a node
//! below it sells are in the result, and of these only what the caller is shown elsewhere, too: the rows that it is made from have no
//! column of what is above the seller.

mod arguments;
mod columns;
mod months;
mod sources;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, PlanProperties};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning};
use futures::{StreamExt, TryStreamExt, stream};

use super::moment::{Moment, Shared};
use crate::security::SessionError;
use crate::security::policy::{TermsShown, terms_shown};
use crate::security::scan::{ScopedSource, ScopedTable};
use arguments::Asked;
use months::Months;

/// The function's name.
const NAME: &str = "simulate_rate_card";

/// Gives the session the function, if its role sees the rules of cards.
pub(super) fn register(state: &mut SessionState, shared: &Arc<Shared>) -> Result<()> {
    match terms_shown(shared.principal.role) {
        TermsShown::Rules => {
            let table = ScopedTable::new(NAME, columns::schema(), Arc::new(Simulations(Arc::clone(shared))));
            state.register_relation_planner(Arc::new(arguments::Planner::new(Arc::new(table))))
        }
        TermsShown::PublishedPrices | TermsShown::Nothing => Ok(()),
    }
}

fn shown(error: impl Into<SessionError>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}

/// All simulations of a session; read one at a time.
#[derive(Debug)]
struct Simulations(Arc<Shared>);

#[async_trait]
impl ScopedSource for Simulations {
    fn partitions(&self, _threads: usize) -> usize {
        1
    }

    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let asked = Asked::by(filters)?;
        let shared = Arc::clone(&self.0);
        let context = shared.core.private.task_ctx();
        let simulating = Simulating { moment: shared.moment(), shared, asked };
        let plan = SimulateExec::try_new(simulating, projection.map(<[usize]>::to_vec))?;
        Ok((Arc::new(plan), context))
    }
}

/// Who asks what, and when.
#[derive(Debug, Clone)]
struct Simulating {
    shared: Arc<Shared>,
    moment: Arc<Moment>,
    asked: Asked,
}

/// Simulates when it is run, a month at a time.
#[derive(Debug)]
struct SimulateExec {
    simulating: Simulating,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl SimulateExec {
    fn try_new(simulating: Simulating, projection: Option<Vec<usize>>) -> Result<Self> {
        let schema = match &projection {
            None => columns::schema(),
            Some(columns) => Arc::new(columns::schema().project(columns)?),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { simulating, projection, properties: Arc::new(properties) })
    }
}

impl DisplayAs for SimulateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulateExec")
    }
}

impl ExecutionPlan for SimulateExec {
    fn name(&self) -> &'static str {
        "SimulateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            Err(DataFusionError::Internal("SimulateExec has no input".to_owned()))
        }
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (simulating, projection) = (self.simulating.clone(), self.projection.clone());
        let months = stream::once(async move { Months::of(&simulating).map(Arc::new) });
        let rows = months
            .map_ok(|months| {
                let periods = months.periods();
                stream::iter(periods).then(move |period| {
                    let months = Arc::clone(&months);
                    async move { months.simulate(period).await }
                })
            })
            .try_flatten()
            .and_then(move |edges| {
                let batch = columns::batch(&edges).and_then(|batch| match &projection {
                    None => Ok(batch),
                    Some(columns) => Ok(batch.project(columns)?),
                });
                futures::future::ready(batch)
            });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
