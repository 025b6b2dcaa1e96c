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

pub(super) mod charge;
pub(super) mod edges;
pub(super) mod exec;
mod rows;
mod steps;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator, cast, ident};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, TableFactor};

use super::lake_source::{LakeSource, Shape};
use super::moment::{Moment, Shared};
use super::relation_catalog::caller_of;
use super::table_function::call_of;
use crate::security::SessionError;
use crate::security::policy;
use crate::security::relations::{Caller, schema_of};
use crate::security::scan::{ScopedSource, ScopedTable};
use edges::{Edges, Sight};
use exec::{ExplainExec, Explains};
pub(super) use rows::{LINE, Story};

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
pub(super) fn reads(shared: &Shared, name: &str) -> bool {
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
        let source = LakeSource::new(Arc::clone(&self.0), caller_of(&self.0), Shape::Explained);
        let explaining = Explaining::of(&self.0, schema_of(&source.columns()));
        let (rows, context) = source.plan(None, std::slice::from_ref(wanted), None).await?;
        let rows = Arc::new(CoalescePartitionsExec::new(rows));
        let projection = projection.map(<[usize]>::to_vec);
        Ok((Arc::new(ExplainExec::try_new(rows, Arc::new(explaining), projection)?), context))
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
    pub(super) sight: Sight,
    /// The columns of the rows that are explained.
    names: SchemaRef,
}

impl Explaining {
    /// A session at its moment, and the columns of the rows that it explains.
    pub(super) fn of(shared: &Arc<Shared>, names: SchemaRef) -> Self {
        let moment = shared.moment();
        let sight = Sight::of(shared, &moment);
        Self { shared: Arc::clone(shared), moment, caller: caller_of(shared), sight, names }
    }

    /// The rows under their names: the scan names its columns in its own way, in this order.
    pub(super) fn named(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(Arc::clone(&self.names), rows.columns().to_vec())?)
    }
}

impl Explains for Explaining {
    fn schema(&self) -> SchemaRef {
        steps::schema()
    }

    fn explain(&self, charges: &RecordBatch) -> Result<RecordBatch> {
        let charges = self.named(charges)?;
        let edges = Edges::of(&charges, &self.sight)?;
        let mut found = Vec::new();
        for row in 0..charges.num_rows() {
            found.extend(rows::steps_of(self, (&charges, &edges), row)?);
        }
        steps::batch(&found)
    }
}
