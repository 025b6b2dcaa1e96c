//! The functions in plans: the node, and the operator that it becomes.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::arguments::Asked;
use super::exec::SeriesExec;
use super::results;
use super::states::States;

/// The ids that the series of a grouping set have, by place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Set {
    pub(super) ids: Vec<usize>,
    /// The id in whose place all stand to which a series counts.
    pub(super) parents_of: Option<usize>,
}

impl Set {
    /// Whether its series are sums of those of another set.
    pub(super) fn is_sum_of(&self, finer: &Self) -> bool {
        self.ids.iter().all(|id| finer.ids.contains(id))
    }
}

/// What the rows of the source look like: the ids, then time, value and, if there is one, the last known time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) ids: Vec<Field>,
    /// None: series of all ids.
    pub(super) sets: Vec<Set>,
    /// The id that is a currency, to whose minor unit amounts are rounded.
    pub(super) currency: Option<usize>,
    /// Times are instants, and not days.
    pub(super) is_instant: bool,
    /// Values are decimals outside.
    pub(super) is_exact: bool,
    /// Each row says until when its series is known.
    pub(super) has_as_of: bool,
    /// A relation says until when series are known.
    pub(super) has_completeness: bool,
    /// A relation says what counts to what.
    pub(super) has_parents: bool,
    pub(super) has_planned: bool,
    pub(super) has_holidays: bool,
}

impl Shape {
    /// The day since 1970 of a time as it is gathered.
    pub(super) fn day_of(&self, at: i32) -> i32 {
        if self.is_instant { at.div_euclid(24) } else { at }
    }
}

/// A call in a logical plan: the source, then planned changes, holidays, last known times and parents, as far as there are any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SeriesNode {
    inputs: Vec<LogicalPlan>,
    asked: Arc<Asked>,
    shape: Arc<Shape>,
    schema: DFSchemaRef,
}

impl SeriesNode {
    pub(super) fn try_new(inputs: Vec<LogicalPlan>, asked: Asked, shape: Shape) -> Result<Self> {
        let schema = DFSchema::try_from(Schema::new(results::fields(&asked, &shape)))?;
        Ok(Self { inputs, asked: Arc::new(asked), shape: Arc::new(shape), schema: Arc::new(schema) })
    }
}

impl PartialOrd for SeriesNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for SeriesNode {
    fn name(&self) -> &str {
        self.asked.function.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.asked.function.name())
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(Self { inputs, ..self.clone() })
    }
}

/// The default planner of queries, which knows the functions as well.
#[derive(Debug)]
pub(in crate::session) struct SeriesPlanner(pub(in crate::session) Arc<States>);

#[async_trait]
impl QueryPlanner for SeriesPlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn datafusion::catalog::Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Operators(Arc::clone(&self.0)))]);
        planner.create_physical_plan(logical_plan, session).await
    }
}

struct Operators(Arc<States>);

#[async_trait]
impl ExtensionPlanner for Operators {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn datafusion::catalog::Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<SeriesNode>() else { return Ok(None) };
        let (asked, shape) = (Arc::clone(&node.asked), Arc::clone(&node.shape));
        let partitions = session.config().target_partitions();
        let exec = SeriesExec::new(physical_inputs.to_vec(), (asked, shape), partitions, Arc::clone(&self.0));
        Ok(Some(Arc::new(exec)))
    }
}
