//! `explain_row(delivery_id, source_row [, source_file])`: what became of a provider's row.
//!
//! ```sql
//! select step, kind, node_id, buyer_node_id, outcome, amount, currency, description from explain_row(3, 17);
//! ```
//!
//! The line, or lines where credits inside it are lines of their own; every charge that was made of it (portions of a row that was
//! cut, shares of pools), edge by edge; or why it was rejected, or which delivery took its place. Without `source_file` the rows of
//! that number of all part files. It is the root's, for those who read its deliveries.

mod arguments;
mod columns;
mod follow;
mod recorded;

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
use futures::stream;

use super::moment::Shared;
use crate::security::policy;
use crate::security::scan::{ScopedSource, ScopedTable};
use arguments::Asked;
use follow::Following;

/// The function's name.
const NAME: &str = "explain_row";
/// Whoever reads all of these has it.
const READ: [(&str, &str); 4] =
    [("ops", "deliveries"), ("ops", "rejected_rows"), ("public", "usage"), ("public", "charges_by_tier")];

/// Gives the session the function, if its role reads what it tells. Whether the node is the root shows when a statement is planned.
pub(super) fn register(state: &mut SessionState, shared: &Arc<Shared>) -> Result<()> {
    let reads = |(schema, name): &(&str, &str)| {
        policy::relation(schema, name).is_some_and(|relation| relation.read.has(shared.principal.role))
    };
    if !READ.iter().all(reads) {
        return Ok(());
    }
    let table = ScopedTable::new(NAME, columns::schema(), Arc::new(Rows(Arc::clone(shared))));
    state.register_relation_planner(Arc::new(arguments::Planner::new(Arc::new(table), Arc::clone(shared))))
}

/// What became of all rows; read one at a time.
#[derive(Debug)]
struct Rows(Arc<Shared>);

#[async_trait]
impl ScopedSource for Rows {
    fn partitions(&self, _threads: usize) -> usize {
        1
    }

    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let following = Following::plan(&self.0, Asked::by(filters)?).await?;
        let plan = FollowExec::try_new(Arc::new(following), projection.map(<[usize]>::to_vec))?;
        Ok((Arc::new(plan), self.0.core.private.task_ctx()))
    }
}

/// Follows a row when it is run.
struct FollowExec {
    following: Arc<Following>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl FollowExec {
    fn try_new(following: Arc<Following>, projection: Option<Vec<usize>>) -> Result<Self> {
        let schema = match &projection {
            None => columns::schema(),
            Some(columns) => Arc::new(columns::schema().project(columns)?),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self { following, projection, properties: Arc::new(properties) })
    }
}

impl fmt::Debug for FollowExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FollowExec")
    }
}

impl DisplayAs for FollowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FollowExec")
    }
}

impl ExecutionPlan for FollowExec {
    fn name(&self) -> &'static str {
        "FollowExec"
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
            Err(DataFusionError::Internal("FollowExec has no input".to_owned()))
        }
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (following, projection) = (Arc::clone(&self.following), self.projection.clone());
        let rows = stream::once(async move {
            let batch = columns::batch(&following.rows().await?)?;
            match &projection {
                None => Ok(batch),
                Some(columns) => Ok(batch.project(columns)?),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
