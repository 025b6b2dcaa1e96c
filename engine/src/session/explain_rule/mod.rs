//! `explain_rule(kind, object_id)`: what a rule touched, the other way round than `explain_charge`.
//!
//! ```sql
//! select billing_period, buyer_node_id, count(*), sum(amount), currency
//!   from explain_rule('sale', 'retail-north/1/all') group by 1, 2, 5;
//! ```
//!
//! One row for each edge of each charge that the rule, pool, account, rate or grant had to do with; of what prices or converts on one
//! edge, that edge only. Kind and object are written as `explain_charge` writes them. Conditions on the charge's columns, such as
//! `billing_period`, are handed to the scan: a month costs what a month holds.
//!
//! It is made of the session's own charges and of the edges that `charges_by_tier` shows it, so an object of somebody above the
//! caller reads the same as one that does not exist. Which attribution rule or pool had to do with a charge is not stored: it is worked
//! out again by the reference rows that the charge was rated by.

mod arguments;
mod books;
mod columns;
mod object;
mod touched;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::Result;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::explain_charge::Explaining;
use super::explain_charge::exec::ExplainExec;
use super::lake_source::{LakeSource, Shape};
use super::moment::Shared;
use super::relation_catalog::caller_of;
use crate::security::relations::schema_of;
use crate::security::scan::{ScopedSource, ScopedTable};
use object::Object;
use touched::Touched;

/// The function's name.
const NAME: &str = "explain_rule";

/// Gives the session the function, if its role reads charges.
pub(super) fn register(state: &mut SessionState, shared: &Arc<Shared>) -> Result<()> {
    if !super::explain_charge::reads(shared, "charges") {
        return Ok(());
    }
    let table = ScopedTable::new(NAME, columns::schema(), Arc::new(Objects(Arc::clone(shared))));
    state.register_relation_planner(Arc::new(arguments::Planner::new(Arc::new(table))))
}

/// What all objects of a session touched; read one at a time.
#[derive(Debug)]
struct Objects(Arc<Shared>);

#[async_trait]
impl ScopedSource for Objects {
    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let object = Object::by(filters)?;
        let source = LakeSource::new(Arc::clone(&self.0), caller_of(&self.0), Shape::Explained);
        let all = schema_of(&source.columns());
        let moment = self.0.moment();
        let deepest = touched::deepest(&moment);
        let columns = touched::columns(&object, deepest);
        let read = columns.iter().map(|name| Ok(all.index_of(name)?)).collect::<Result<Vec<_>>>()?;
        let explaining = Explaining::of(&self.0, Arc::new(all.project(&read)?));
        let mut wanted = vec![object.filter(&explaining, deepest)];
        wanted.extend(filters.iter().filter(|filter| touched::is_of_charge(filter)).cloned());
        let (rows, context) = source.plan(Some(&read), &wanted, None).await?;
        let touched = Arc::new(Touched::new(explaining, object));
        let projection = projection.map(<[usize]>::to_vec);
        Ok((Arc::new(ExplainExec::try_new(rows, touched, projection)?), context))
    }
}
