//! The operator: gathers the series of its partition, then works on one after the other.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, PlanProperties};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, Partitioning,
};
use futures::{StreamExt, TryStreamExt, stream};
use ratehouse_udfs::series::anomaly::{Detector, DetectorOptions};
use ratehouse_udfs::series::forecast::{ForecastOptions, Forecaster, Holiday};
use ratehouse_udfs::series::{Frequency, PlannedChange};
use tokio::sync::OnceCell;

use super::Function;
use super::arguments::Asked;
use super::gather::{Gathering, Laid, Points};
use super::known::Known;
use super::node::Shape;
use super::results::{self, Rows};
use super::states::{Flagged, Remembered, Seen, States, key_of};

/// Rows of a batch: so many that a batch of forecasts takes some milliseconds.
const BATCH_ROWS: usize = 2_048;

/// Gathers series and works on them; its inputs are the source, then planned changes, then holidays, as far as there are any.
#[derive(Debug)]
pub(super) struct SeriesExec {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    asked: Arc<Asked>,
    shape: Arc<Shape>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    /// What is known beforehand: read once for all partitions.
    known: Arc<OnceCell<Arc<Known>>>,
    states: Arc<States>,
    metrics: ExecutionPlanMetricsSet,
}

impl SeriesExec {
    pub(super) fn try_new(
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        asked: Arc<Asked>,
        shape: Arc<Shape>,
        states: Arc<States>,
    ) -> Result<Self> {
        let source = inputs.first().ok_or_else(|| DataFusionError::Internal("series without a source".to_owned()))?;
        let schema = Arc::new(Schema::new(results::fields(&asked, &shape)));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(source.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        Ok(Self { inputs, asked, shape, schema, properties, known: Arc::default(), states, metrics })
    }

    fn distributions(&self) -> Vec<Distribution> {
        let ids = self.shape.ids.iter().enumerate();
        let keys: Vec<Arc<dyn PhysicalExpr>> =
            ids.map(|(at, field)| Arc::new(Column::new(field.name(), at)) as Arc<dyn PhysicalExpr>).collect();
        let of_source =
            if keys.is_empty() { Distribution::SinglePartition } else { Distribution::KeyPartitioned(keys) };
        let of_known = std::iter::repeat_n(Distribution::SinglePartition, self.inputs.len() - 1);
        std::iter::once(of_source).chain(of_known).collect()
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
        InputDistributionRequirements::new(self.distributions())
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (asked, shape) = (Arc::clone(&self.asked), Arc::clone(&self.shape));
        Ok(Arc::new(Self::try_new(children, asked, shape, Arc::clone(&self.states))?))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let name = format!("{}[{partition}]", self.asked.function.name());
        let reservation = MemoryConsumer::new(name).register(context.memory_pool());
        let source = self.inputs[0].execute(partition, Arc::clone(&context))?;
        let known_inputs = self.inputs[1..].to_vec();
        let (known, schema) = (Arc::clone(&self.known), Arc::clone(&self.schema));
        let (asked, shape) = (Arc::clone(&self.asked), Arc::clone(&self.shape));
        let (states, judged) =
            (Arc::clone(&self.states), MetricBuilder::new(&self.metrics).counter("values_judged", partition));
        let part = (partition, self.properties.partitioning.partition_count());
        let work = async move {
            let mut gathering = Gathering::new(&shape, reservation)?;
            let mut source = source;
            while let Some(batch) = source.try_next().await? {
                gathering.add(&batch)?;
            }
            let known = known.get_or_try_init(|| read_known(&known_inputs, &shape, &context)).await?;
            let (keys, series, reservation) = gathering.finish()?;
            // Only what is flagged is remembered.
            let remembered = (asked.function == Function::DetectAnomalies && asked.only_anomalies)
                .then(|| states.of(&format!("{asked:?} {shape:?}"), part, &reservation));
            let memory = Memory { remembered, judged, _reservation: reservation };
            Work::new((asked, shape, schema), Arc::clone(known), keys, series, memory)
        };
        let batches = stream::once(work).map_ok(stream::iter).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches.boxed())))
    }
}

/// Reads planned changes and holidays.
async fn read_known(
    inputs: &[Arc<dyn ExecutionPlan>],
    shape: &Shape,
    context: &Arc<TaskContext>,
) -> Result<Arc<Known>> {
    let mut known = Known::default();
    let mut inputs = inputs.iter();
    let planned = if shape.has_planned { inputs.next() } else { None };
    let holidays = if shape.has_holidays { inputs.next() } else { None };
    if let Some(planned) = planned {
        let mut batches = planned.execute(0, Arc::clone(context))?;
        while let Some(batch) = batches.try_next().await? {
            known.add_planned(&batch, shape.ids.len())?;
        }
    }
    if let Some(holidays) = holidays {
        let mut batches = holidays.execute(0, Arc::clone(context))?;
        while let Some(batch) = batches.try_next().await? {
            known.add_holidays(&batch, shape.ids.len());
        }
    }
    Ok(Arc::new(known))
}

/// The series of a partition, from the first that is left; gives batches of results.
struct Work {
    asked: Arc<Asked>,
    shape: Arc<Shape>,
    schema: SchemaRef,
    known: Arc<Known>,
    keys: Vec<ArrayRef>,
    /// The ids as texts, where planned changes, holidays or states are found by them.
    names: Vec<ArrayRef>,
    series: std::vec::IntoIter<Points>,
    next: u32,
    rows: Rows,
    engine: Engine,
    laid: Laid,
    planned: Vec<PlannedChange>,
    holidays: Vec<Holiday>,
    memory: Memory,
}

/// What a partition holds beside its series.
struct Memory {
    remembered: Option<Remembered>,
    /// Values that a detector was shown.
    judged: Count,
    _reservation: MemoryReservation,
}

/// What works on a series: one of each frequency, made when the first series has it.
enum Engine {
    Forecast { forecasters: Vec<(Frequency, Forecaster)>, lower: Vec<f64>, upper: Vec<f64> },
    DetectAnomalies { detectors: Vec<(Frequency, Detector)> },
}

impl Work {
    fn new(
        (asked, shape, schema): (Arc<Asked>, Arc<Shape>, SchemaRef),
        known: Arc<Known>,
        keys: Vec<ArrayRef>,
        series: Vec<Points>,
        memory: Memory,
    ) -> Result<Self> {
        let engine = match asked.function {
            Function::Forecast => Engine::Forecast { forecasters: Vec::new(), lower: Vec::new(), upper: Vec::new() },
            Function::DetectAnomalies => Engine::DetectAnomalies { detectors: Vec::new() },
        };
        let names = match shape.has_planned || shape.has_holidays || memory.remembered.is_some() {
            true => keys.iter().map(|key| cast(key, &DataType::Utf8View)).collect::<Result<_, _>>()?,
            false => Vec::new(),
        };
        Ok(Self {
            asked,
            shape,
            schema,
            known,
            keys,
            names,
            series: series.into_iter(),
            next: 0,
            rows: Rows::default(),
            engine,
            laid: Laid::default(),
            planned: Vec::new(),
            holidays: Vec::new(),
            memory,
        })
    }

    fn add(&mut self, mut points: Points) {
        let number = self.next;
        self.next += 1;
        self.laid.lay(&mut points, &self.asked, &self.shape);
        let Laid { calendar, values } = &self.laid;
        if values.is_empty() {
            return;
        }
        let at = usize::try_from(number).unwrap_or_default();
        let text = |column: &ArrayRef| {
            let column = column.as_string_view();
            column.is_valid(at).then(|| column.value(at).to_owned())
        };
        let ids: Vec<Option<String>> = self.names.iter().map(text).collect();
        self.known.planned_of(&ids, calendar, &mut self.planned);
        let frequency = calendar.frequency;
        match &mut self.engine {
            Engine::Forecast { forecasters, lower, upper } => {
                let horizon = self.asked.horizon;
                self.known.holidays_of(&ids, calendar, values.len() + horizon, &mut self.holidays);
                let forecaster = of(forecasters, frequency, || {
                    let options = ForecastOptions {
                        non_negative: self.asked.non_negative,
                        ..ForecastOptions::new(horizon, frequency)
                    };
                    Forecaster::new(&options)
                });
                forecaster.forecast(calendar, values, &self.planned, &self.holidays);
                for level in &self.asked.confidence_levels {
                    forecaster.interval(level.0, lower, upper);
                    self.rows.forecast(number, (calendar, values.len()), forecaster.last(), (level.0, lower, upper));
                }
            }
            Engine::DetectAnomalies { detectors } => {
                self.known.holidays_of(&ids, calendar, values.len(), &mut self.holidays);
                let detector = of(detectors, frequency, || {
                    let options = DetectorOptions {
                        anomaly_prob_threshold: self.asked.anomaly_prob_threshold.0,
                        min_impact: self.asked.min_impact.0,
                        min_impact_pct: self.asked.min_impact_pct.0,
                        ..DetectorOptions::default()
                    };
                    Detector::new(&options, *calendar)
                });
                let seen = Seen { calendar, values, planned: &self.planned, holidays: &self.holidays };
                let key = key_of(&ids);
                detector.reset(*calendar);
                let remembered = self.memory.remembered.as_ref();
                let resumed = remembered.and_then(|remembered| remembered.resume(key, &seen, detector));
                let (first, mut flagged) = resumed.unwrap_or_default();
                self.memory.judged.add(values.len() - first);
                let shown_from = self.asked.last_points.map_or(0, |points| values.len().saturating_sub(points));
                let is_shown = |position: usize| {
                    let start = self.asked.target_start;
                    position >= shown_from && start.is_none_or(|start| calendar.date(position).to_epoch_days() >= start)
                };
                for one in flagged.iter().filter(|one| is_shown(one.position)) {
                    let place = (calendar, one.position);
                    self.rows.judgement(number, place, (values[one.position], &one.judgement));
                }
                let mut holidays = self.holidays.iter().skip_while(|holiday| holiday.position < first).peekable();
                for (position, value) in values.iter().enumerate().skip(first) {
                    let holiday = holidays.next_if(|holiday| holiday.position == position).map(|holiday| holiday.kind);
                    let judgement = detector.advance(*value, &self.planned, holiday);
                    let is_part = judgement.is_anomaly || judgement.is_lasting;
                    if is_part && self.memory.remembered.is_some() {
                        flagged.push(Flagged { position, judgement });
                    }
                    if is_shown(position) && (is_part || !self.asked.only_anomalies) {
                        self.rows.judgement(number, (calendar, position), (*value, &judgement));
                    }
                }
                if let Some(remembered) = &mut self.memory.remembered {
                    remembered.keep(key, &seen, detector, &flagged);
                }
            }
        }
    }
}

/// The engine of a frequency.
fn of<T>(engines: &mut Vec<(Frequency, T)>, frequency: Frequency, new: impl FnOnce() -> T) -> &mut T {
    let at = engines.iter().position(|(of, _)| *of == frequency).unwrap_or_else(|| {
        engines.push((frequency, new()));
        engines.len() - 1
    });
    &mut engines[at].1
}

impl Iterator for Work {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rows.len() < BATCH_ROWS {
            match self.series.next() {
                Some(points) => self.add(points),
                None => {
                    if let Some(remembered) = self.memory.remembered.take() {
                        remembered.finish();
                    }
                    break;
                }
            }
        }
        (self.rows.len() > 0).then(|| self.rows.take(&self.schema, &self.keys, (&self.asked, &self.shape)))
    }
}
