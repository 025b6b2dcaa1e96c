//! The operator that prices: each row of usage once, on all edges in one evaluation.
//!
//! A scalar function would be evaluated once for each field that a query takes from its result
//! (DataFusion pushes `get_field` into the scan), so pricing is an operator of its own.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{EmissionType, PlanProperties};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning};
use futures::TryStreamExt;

use super::rater::Rater;
use super::run::RatingRun;
use crate::lake::schema;

/// Prices the batches of its input.
#[derive(Debug)]
pub struct RateExec {
    input: Arc<dyn ExecutionPlan>,
    run: Arc<RatingRun>,
    /// Columns of `charges` to give; none for all.
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl RateExec {
    /// Prices `input`, which gives all columns of `usage`.
    ///
    /// # Errors
    /// When a projected column does not exist.
    pub fn try_new(input: Arc<dyn ExecutionPlan>, run: Arc<RatingRun>, projection: Option<Vec<usize>>) -> Result<Self> {
        let schema = match &projection {
            None => schema::charges(),
            Some(columns) => Arc::new(schema::charges().project(columns)?),
        };
        let partitions = input.properties().output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            input.properties().boundedness,
        );
        Ok(Self { input, run, projection, properties: Arc::new(properties) })
    }
}

impl DisplayAs for RateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateExec: snapshot={}", self.run.book.snapshot())
    }
}

impl ExecutionPlan for RateExec {
    fn name(&self) -> &'static str {
        "RateExec"
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

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children
            .pop()
            .filter(|_| children.is_empty())
            .ok_or_else(|| DataFusionError::Internal("RateExec has one input".to_owned()))?;
        let own = Self::try_new(input, Arc::clone(&self.run), self.projection.clone())?;
        Ok(Arc::new(own))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let mut rater = Rater::new(&self.run);
        let projection = self.projection.clone();
        let rated = input.and_then(move |usage| {
            let batch = rate(&mut rater, &usage, projection.as_deref());
            futures::future::ready(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rated)))
    }
}

fn rate(rater: &mut Rater, usage: &RecordBatch, projection: Option<&[usize]>) -> Result<RecordBatch> {
    let rated = rater.rate(usage).map_err(|error| DataFusionError::External(Box::new(error)))?;
    match projection {
        None => Ok(rated.charges),
        Some(columns) => Ok(rated.charges.project(columns)?),
    }
}

/// The relation `priced_usage`: usage with the columns of `charges`, priced as it is scanned.
#[derive(Debug)]
pub struct PricedUsage {
    usage: Arc<dyn TableProvider>,
    run: Arc<RatingRun>,
}

impl PricedUsage {
    /// Prices a table that has the columns of `usage`.
    pub fn new(usage: Arc<dyn TableProvider>, run: Arc<RatingRun>) -> Self {
        Self { usage, run }
    }
}

#[async_trait]
impl TableProvider for PricedUsage {
    fn schema(&self) -> SchemaRef {
        schema::charges()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // No filter and no limit reaches usage: one row can be several charges.
        let input = self.usage.scan(state, None, &[], None).await?;
        Ok(Arc::new(RateExec::try_new(input, Arc::clone(&self.run), projection.cloned())?))
    }
}
