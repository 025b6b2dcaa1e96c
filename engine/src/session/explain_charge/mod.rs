//! `explain_charge(charge_id)`: the steps that led to a charge's amounts, as far as the caller may know them.
//!
//! ```sql
//! select step, kind, buyer_node_id, rule_id, method, value, base_amount, amount, currency
//!   from explain_charge('0123456789abcdef0123456789abcdef');
//! ```
//!
//! First what the provider billed, then what made it the owner's (account, rules, pools), then what everybody from the caller down
//! pays, each with the rule and the rate that made it. The amounts are the stored ones; rules, pools and rates are those of the
//! snapshot at which the charge was rated. Nobody's steps but the caller's and those below it are in it: the rows that it is made
//! from have no column of what is above.

mod rows;
mod steps;

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator, cast, ident};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, PlanProperties};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning};
use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, TableFactor};
use futures::TryStreamExt;

use super::lake_source::{LakeSource, Shape};
use super::moment::{Moment, Shared};
use super::relation_catalog::caller_of;
use super::table_function::call_of;
use crate::security::SessionError;
use crate::security::policy;
use crate::security::relations::{Caller, schema_of};
use crate::security::scan::{ScopedSource, ScopedTable};

/// The function's name.
const NAME: &str = "explain_charge";
/// The column that the argument is compared with.
const ID: &str = "charge_id";

/// Gives the session the function, if its role reads charges.
pub(super) fn register(state: &mut SessionState, shared: &Arc<Shared>) -> Result<()> {
    if !reads(shared, "charges") {
        return Ok(());
    }
    let table = ScopedTable::new(NAME, steps::schema(), Arc::new(Explanations(Arc::clone(shared))));
    state.register_relation_planner(Arc::new(Planner(Arc::new(table))))
}

/// Whether the role reads that relation of `public`.
fn reads(shared: &Shared, name: &str) -> bool {
    policy::relation("public", name).is_some_and(|relation| relation.read.has(shared.principal.role))
}

fn refused(message: &str) -> DataFusionError {
    let hint = "give it one charge_id as a text or a parameter: select * from explain_charge('...')";
    DataFusionError::External(Box::new(SessionError::new("42883", message).hint(hint)))
}

/// Plans `from explain_charge(id)` as the explanations of that id.
#[derive(Debug)]
struct Planner(Arc<dyn TableProvider>);

impl RelationPlanner for Planner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (given, alias) = match call_of(NAME, relation) {
            Ok(call) => call,
            Err(other) => return Ok(RelationPlanning::Original(other)),
        };
        let mut given = given.into_iter();
        let (Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(id))), None) = (given.next(), given.next()) else {
            return Err(refused("explain_charge takes one argument"));
        };
        let id = cast(context.sql_to_expr(id, &DFSchema::empty())?, DataType::Utf8View);
        let plan = LogicalPlanBuilder::scan(NAME, provider_as_source(Arc::clone(&self.0)), None)?
            .filter(ident(ID).eq(id))?
            .build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// The explanations of all charges of a session; read one at a time.
#[derive(Debug)]
struct Explanations(Arc<Shared>);

#[async_trait]
impl ScopedSource for Explanations {
    fn partitions(&self, _threads: usize) -> usize {
        1
    }

    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let Some(wanted) = filters.iter().find(|filter| names_one(filter)) else {
            return Err(refused("explain_charge needs to know its charge before it begins"));
        };
        let caller = caller_of(&self.0);
        let source = LakeSource::new(Arc::clone(&self.0), caller.clone(), Shape::Explained);
        let names = schema_of(&source.columns());
        let (rows, context) = source.plan(None, std::slice::from_ref(wanted), None).await?;
        let explaining = Explaining { shared: Arc::clone(&self.0), moment: self.0.moment(), caller, names };
        let projection = projection.map(<[usize]>::to_vec);
        let plan = ExplainExec::try_new(Arc::new(CoalescePartitionsExec::new(rows)), explaining, projection)?;
        Ok((Arc::new(plan), context))
    }
}

/// Whether the filter compares the id with a constant.
fn names_one(filter: &Expr) -> bool {
    let Expr::BinaryExpr(binary) = filter else { return false };
    let is_id = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name() == ID);
    binary.op == Operator::Eq && (is_id(&binary.left) || is_id(&binary.right))
}

/// Who asks, and when.
#[derive(Debug, Clone)]
pub(super) struct Explaining {
    pub(super) shared: Arc<Shared>,
    pub(super) moment: Arc<Moment>,
    pub(super) caller: Caller,
    /// The columns of the rows that are explained.
    pub(super) names: SchemaRef,
}

/// Turns charges into their steps.
#[derive(Debug)]
struct ExplainExec {
    input: Arc<dyn ExecutionPlan>,
    explaining: Explaining,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl ExplainExec {
    fn try_new(input: Arc<dyn ExecutionPlan>, explaining: Explaining, projection: Option<Vec<usize>>) -> Result<Self> {
        let schema = match &projection {
            None => steps::schema(),
            Some(columns) => Arc::new(steps::schema().project(columns)?),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { input, explaining, projection, properties: Arc::new(properties) })
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
        Ok(Arc::new(Self::try_new(input, self.explaining.clone(), self.projection.clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (explaining, projection) = (self.explaining.clone(), self.projection.clone());
        let explained = input.and_then(move |charges| {
            let steps = explained(&explaining, &charges, projection.as_deref());
            futures::future::ready(steps)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), explained)))
    }
}

fn explained(explaining: &Explaining, charges: &RecordBatch, projection: Option<&[usize]>) -> Result<RecordBatch> {
    // The scan names its columns in its own way, in this order.
    let charges = RecordBatch::try_new(Arc::clone(&explaining.names), charges.columns().to_vec())?;
    let mut found = Vec::new();
    for row in 0..charges.num_rows() {
        found.extend(rows::steps_of(explaining, &charges, row)?);
    }
    let steps = steps::batch(&found)?;
    match projection {
        None => Ok(steps),
        Some(columns) => Ok(steps.project(columns)?),
    }
}
