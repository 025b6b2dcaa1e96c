//! The operator: gathers series and works on one after the other.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, PlanProperties, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, Partitioning,
};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::Function;
use super::arguments::Asked;
use super::gather::Gathering;
use super::known::Known;
use super::node::Shape;
use super::results;
use super::sets::AllSeries;
use super::states::States;
use super::work::{Gathered, Left, Memory, Work};

/// What all partitions wait for.
type Waiting = Shared<BoxFuture<'static, Result<Arc<Gathered>, Arc<DataFusionError>>>>;

/// Gathers series and works on them; its inputs are the source, then planned changes, holidays, last known times and parents, as far
/// as there are any.
///
/// Each partition of the source is gathered where it is, and the series are merged: to bring the rows of a series together before
/// takes longer than all the rest.
#[derive(Debug)]
pub(super) struct SeriesExec {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    asked: Arc<Asked>,
    shape: Arc<Shape>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    /// The series of the source: gathered once for all partitions, by the first that is asked.
    gathered: OnceLock<Waiting>,
    states: Arc<States>,
    metrics: ExecutionPlanMetricsSet,
}

impl SeriesExec {
    pub(super) fn new(
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        (asked, shape): (Arc<Asked>, Arc<Shape>),
        partitions: usize,
        states: Arc<States>,
    ) -> Self {
        let schema = Arc::new(Schema::new(results::fields(&asked, &shape)));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        Self { inputs, asked, shape, schema, properties, gathered: OnceLock::new(), states, metrics }
    }

    fn partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }

    /// What gathers the series.
    fn gathering(&self, context: &Arc<TaskContext>) -> Waiting {
        let inputs = self.inputs.clone();
        let (asked, shape, context) = (Arc::clone(&self.asked), Arc::clone(&self.shape), Arc::clone(context));
        let partitions = self.partitions();
        let gathered = async move { gather(&inputs, (&asked, &shape), partitions, &context).await.map_err(Arc::new) };
        gathered.boxed().shared()
    }
}

impl DisplayAs for SeriesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesExec: {}", self.asked.function.name())
    }
}

impl ExecutionPlan for SeriesExec {
    fn name(&self) -> &'static str {
        "SeriesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let of_known = std::iter::repeat_n(Distribution::SinglePartition, self.inputs.len() - 1);
        let all = std::iter::once(Distribution::UnspecifiedDistribution).chain(of_known);
        InputDistributionRequirements::new(all.collect())
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // Only the source, whose parts are gathered at a time.
        (0..self.inputs.len()).map(|input| input == 0).collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn datafusion::physical_plan::PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let asked = (Arc::clone(&self.asked), Arc::clone(&self.shape));
        Ok(Arc::new(Self::new(children, asked, self.partitions(), Arc::clone(&self.states))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let gathered = self.gathered.get_or_init(|| self.gathering(&context)).clone();
        let name = format!("{}[{partition}]", self.asked.function.name());
        let reservation = MemoryConsumer::new(name).register(context.memory_pool());
        let (asked, shape, schema) = (Arc::clone(&self.asked), Arc::clone(&self.shape), Arc::clone(&self.schema));
        let judged = MetricBuilder::new(&self.metrics).counter("values_judged", partition);
        let (states, partitions) = (Arc::clone(&self.states), self.partitions());
        let work = async move {
            let gathered = gathered.await.map_err(DataFusionError::Shared)?;
            // Partitions wake on the thread on which the last row was gathered: whoever works on without a pause keeps the others there.
            tokio::task::yield_now().await;
            // Only what is flagged is remembered.
            let remembered = (asked.function == Function::DetectAnomalies && asked.only_anomalies)
                .then(|| states.of(&format!("{asked:?} {shape:?}"), (partition, partitions), &reservation));
            let sums = reservation.new_empty();
            Work::new((asked, shape, schema), gathered, partition, Memory { remembered, judged, reservation, sums })
        };
        let batches = stream::once(work).map_ok(stream::iter).try_flatten();
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches.boxed()))))
    }
}

/// Gathers all partitions of the source at a time, and reads what else is known.
async fn gather(
    inputs: &[Arc<dyn ExecutionPlan>],
    (asked, shape): (&Arc<Asked>, &Arc<Shape>),
    partitions: usize,
    context: &Arc<TaskContext>,
) -> Result<Arc<Gathered>> {
    let source = inputs.first().ok_or_else(|| DataFusionError::Internal("series without a source".to_owned()))?;
    let mut tasks = JoinSet::new();
    for partition in 0..source.output_partitioning().partition_count() {
        let mut rows = source.execute(partition, Arc::clone(context))?;
        let name = format!("{}[{partition}]", asked.function.name());
        let reservation = MemoryConsumer::new(name).register(context.memory_pool());
        let shape = Arc::clone(shape);
        tasks.spawn(async move {
            let mut gathering = Gathering::new(&shape, reservation)?;
            while let Some(batch) = rows.try_next().await? {
                gathering.add(&batch)?;
            }
            Ok::<_, DataFusionError>(gathering)
        });
    }
    let known = read_known(&inputs[1..], shape, context).await?;
    // Series and values of a time are put in order below: which partition ends first does not show.
    let mut merged: Option<Gathering> = None;
    while let Some(gathering) = tasks.join_next().await {
        let gathering = gathering.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
        match &mut merged {
            Some(merged) => merged.merge(gathering)?,
            None => merged = Some(gathering),
        }
    }
    let Some(merged) = merged else { return Err(DataFusionError::Internal("series without rows".to_owned())) };
    let (keys, points, reservation) = merged.finish()?;
    let (all, tasks) = AllSeries::of((keys, points), (shape, &known), (asked.function, partitions), &reservation)?;
    let left = Mutex::new(Left::of(tasks));
    Ok(Arc::new(Gathered { known, all, left, _reservation: reservation }))
}

/// Reads planned changes, holidays, last known times and parents.
async fn read_known(inputs: &[Arc<dyn ExecutionPlan>], shape: &Shape, context: &Arc<TaskContext>) -> Result<Known> {
    let mut known = Known::default();
    let mut inputs = inputs.iter();
    let ids = shape.ids.len();
    let mut next = |is_there: bool| match is_there {
        true => inputs.next().map(|input| input.execute(0, Arc::clone(context))).transpose(),
        false => Ok(None),
    };
    let (planned, holidays) = (next(shape.has_planned)?, next(shape.has_holidays)?);
    let (complete, parents) = (next(shape.has_completeness)?, next(shape.has_parents)?);
    if let Some(mut planned) = planned {
        while let Some(batch) = planned.try_next().await? {
            known.add_planned(&batch, ids)?;
        }
    }
    if let Some(mut holidays) = holidays {
        while let Some(batch) = holidays.try_next().await? {
            known.add_holidays(&batch, ids);
        }
    }
    if let Some(mut complete) = complete {
        while let Some(batch) = complete.try_next().await? {
            known.add_complete(&batch, ids);
        }
    }
    if let Some(mut parents) = parents {
        while let Some(batch) = parents.try_next().await? {
            known.add_parents(&batch, ids);
        }
    }
    Ok(known)
}
