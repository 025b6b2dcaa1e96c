//! Running a function that makes its rows of charges.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, PlanProperties};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning};
use futures::TryStreamExt;

/// Makes rows of charges.
pub(in crate::session) trait Explains: fmt::Debug + Send + Sync {
    /// The columns of the result.
    fn schema(&self) -> SchemaRef;

    /// What is said of a batch of charges, in these columns.
    fn explain(&self, charges: &RecordBatch) -> Result<RecordBatch>;
}

/// Turns charges into what is said of them.
#[derive(Debug)]
pub(in crate::session) struct ExplainExec {
    input: Arc<dyn ExecutionPlan>,
    explains: Arc<dyn Explains>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl ExplainExec {
    pub(in crate::session) fn try_new(
        input: Arc<dyn ExecutionPlan>,
        explains: Arc<dyn Explains>,
        projection: Option<Vec<usize>>,
    ) -> Result<Self> {
        let schema = match &projection {
            None => explains.schema(),
            Some(columns) => Arc::new(explains.schema().project(columns)?),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(input.properties().partitioning.partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { input, explains, projection, properties: Arc::new(properties) })
    }
}

impl DisplayAs for ExplainExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExplainExec")
    }
}

impl ExecutionPlan for ExplainExec {
    fn name(&self) -> &'static str {
        "ExplainExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next();
        let input = input.ok_or_else(|| DataFusionError::Internal("ExplainExec has one input".to_owned()))?;
        Ok(Arc::new(Self::try_new(input, Arc::clone(&self.explains), self.projection.clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (explains, projection) = (Arc::clone(&self.explains), self.projection.clone());
        let explained = input.and_then(move |charges| {
            let said = explains.explain(&charges).and_then(|said| match &projection {
                None => Ok(said),
                Some(columns) => Ok(said.project(columns)?),
            });
            futures::future::ready(said)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), explained)))
    }
}
