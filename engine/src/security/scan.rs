//! The scoped scan: the only way in which lake rows enter a session.
//!
//! A [`ScopedTable`] plans its rows in the warehouse's private context (granted files, then the
//! scope's filter, then the caller's columns) and gives the session a **childless leaf** that
//! runs that plan. The optimizer cannot see through it, so nothing the user wrote moves below
//! the scope's filter; it has no statistics, and its display shows the relation's name only.
//!
//! Of the user's predicates only leakproof ones are handed in: comparisons of one column with a
//! literal of the same type and `and` of these. They cannot fail and show nothing, and they stay
//! above the leaf as well (`Inexact`).

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::memory::LazyMemoryExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::work_table::WorkTableExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt, ready};

/// Plans the rows of one relation for one caller.
#[async_trait]
pub trait ScopedSource: fmt::Debug + Send + Sync {
    /// Plans a private scan of the columns in `projection` (positions in the relation's schema),
    /// with `filters` on the relation's columns, and gives it with the context to run it in.
    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)>;

    /// How many partitions the leaf shows to a statement that has so many threads. It must not depend on the rows: a plan
    /// tells of it.
    fn partitions(&self, threads: usize) -> usize {
        threads
    }
}

/// A relation of a session, scoped to its principal.
#[derive(Debug)]
pub struct ScopedTable {
    name: &'static str,
    schema: SchemaRef,
    source: Arc<dyn ScopedSource>,
}

impl ScopedTable {
    /// A relation of that name and schema whose rows `source` plans.
    pub fn new(name: &'static str, schema: SchemaRef, source: Arc<dyn ScopedSource>) -> Self {
        Self { name, schema, source }
    }
}

#[async_trait]
impl TableProvider for ScopedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if is_leakproof(filter, &self.schema) {
                    TableProviderFilterPushDown::Inexact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let leakproof: Vec<Expr> =
            filters.iter().filter(|filter| is_leakproof(filter, &self.schema)).cloned().collect();
        // With a filter that stays above, the leaf must give more rows than the limit.
        let limit = if filters.is_empty() { limit } else { None };
        let (inner, context) = self.source.plan(projection.map(Vec::as_slice), &leakproof, limit).await?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let partitions = self.source.partitions(state.config().target_partitions());
        Ok(Arc::new(ScopedScan::new(self.name, schema, inner, context, partitions)))
    }
}

/// Whether the predicate can neither fail nor tell anything beyond the rows it keeps.
///
/// No function is on the list, not even one that never fails. `tags ->> 'team'` is such a one, but how long it takes depends
/// on how long the text is, and a statement may nest it as often as it likes: below the scope's filter it would measure rows
/// that the caller does not have. A comparison with a literal cannot be made slow that way. PostgreSQL draws the same line:
/// none of its `json` functions is `LEAKPROOF`.
fn is_leakproof(filter: &Expr, schema: &SchemaRef) -> bool {
    let column_type = |expr: &Expr| match expr {
        Expr::Column(column) => schema.field_with_name(column.name()).ok().map(|f| f.data_type().clone()),
        _ => None,
    };
    let literal_of = |expr: &Expr, wanted: &arrow::datatypes::DataType| match expr {
        Expr::Literal(value, _) => &value.data_type() == wanted,
        _ => false,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            is_leakproof(left, schema) && is_leakproof(right, schema)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let comparison = matches!(
                op,
                Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            );
            comparison
                && match (column_type(left), column_type(right)) {
                    (Some(wanted), None) => literal_of(right, &wanted),
                    (None, Some(wanted)) => literal_of(left, &wanted),
                    (Some(_), Some(_)) | (None, None) => false,
                }
        }
        Expr::InList(list) => {
            column_type(&list.expr).is_some_and(|wanted| list.list.iter().all(|item| literal_of(item, &wanted)))
        }
        Expr::Between(between) => column_type(&between.expr)
            .is_some_and(|wanted| literal_of(&between.low, &wanted) && literal_of(&between.high, &wanted)),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column_type(inner).is_some(),
        _ => false,
    }
}

/// The leaf: runs a private plan and shows nothing of it.
pub struct ScopedScan {
    name: &'static str,
    inner: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    properties: Arc<PlanProperties>,
}

impl ScopedScan {
    fn new(
        name: &'static str,
        schema: SchemaRef,
        inner: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        partitions: usize,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { name, inner, context, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for ScopedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopedScan({})", self.name)
    }
}

impl DisplayAs for ScopedScan {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopedScan: {}", self.name)
    }
}

impl ExecutionPlan for ScopedScan {
    fn name(&self) -> &str {
        "ScopedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            Err(DataFusionError::Internal("a scoped scan has no children".to_owned()))
        }
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (inner, context) = (Arc::clone(&self.inner), Arc::clone(&self.context));
        let shown = self.properties.partitioning.partition_count();
        let parts = (partition..inner.properties().partitioning.partition_count()).step_by(shown);
        let gathered =
            BatchCoalescer::new(inner.schema(), BATCH_ROWS).with_biggest_coalesce_batch_size(Some(BATCH_ROWS / 2));
        // One after the other, each begun when the one before has ended.
        let rows = stream::iter(parts).map(move |part| inner.execute(part, Arc::clone(&context))).try_flatten();
        Ok(Box::pin(Relabelled { schema: self.schema(), rows: rows.boxed(), gathered, is_done: false }))
    }
}

/// Rows that a batch of a scan has at most, and about as many as it has where there are enough.
const BATCH_ROWS: usize = 8192;

/// The inner rows under the relation's schema: same types, with its comments.
///
/// A small row group is a small batch. They are gathered, so that what the statement does with a batch is not done for
/// every owner of every delivery.
struct Relabelled {
    schema: SchemaRef,
    rows: BoxStream<'static, Result<RecordBatch>>,
    gathered: BatchCoalescer,
    is_done: bool,
}

impl Relabelled {
    fn relabelled(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), batch.columns().to_vec(), &options)?)
    }
}

impl futures::Stream for Relabelled {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(batch) = self.gathered.next_completed_batch() {
                return Poll::Ready(Some(self.relabelled(&batch)));
            }
            if self.is_done {
                return Poll::Ready(None);
            }
            match ready!(self.rows.as_mut().poll_next(context)) {
                Some(batch) => self.gathered.push_batch(batch?)?,
                None => {
                    self.is_done = true;
                    self.gathered.finish_buffered_batch()?;
                }
            }
        }
    }
}

impl datafusion::execution::RecordBatchStream for Relabelled {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Whether every leaf of a plan is a scoped scan or holds constants of the statement only: the
/// last gate. `fixed` series and literal rows are the statement's own.
pub fn leaves_are_scoped(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().all(leaves_are_scoped);
    }
    let leaf: &dyn Any = plan.as_ref();
    if let Some(source) = leaf.downcast_ref::<DataSourceExec>() {
        let source: &dyn Any = source.data_source().as_ref();
        return source.is::<MemorySourceConfig>();
    }
    leaf.is::<ScopedScan>()
        || leaf.is::<EmptyExec>()
        || leaf.is::<PlaceholderRowExec>()
        || leaf.is::<WorkTableExec>()
        || leaf.is::<LazyMemoryExec>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::functions::expr_fn::lower;
    use datafusion::logical_expr::{Expr, cast, col, lit};

    use super::is_leakproof;

    #[test]
    fn only_comparisons_of_columns_with_literals_of_their_type_go_below_the_scope() {
        let schema =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
        let may = |filter: Expr| is_leakproof(&filter, &schema);
        assert!(may(col("a").eq(lit(1_i64))) && may(lit("x").lt_eq(col("b"))));
        assert!(may(col("b").in_list(vec![lit("x")], true)) && may(col("a").between(lit(1_i64), lit(2_i64))));
        assert!(may(col("a").is_null().and(col("b").is_not_null())));
        // What may fail on a row, takes time by what a row holds, or compares two columns.
        for filter in [
            (col("a") + lit(1_i64)).gt(lit(1_i64)),
            (lit(1_i64) / col("a")).eq(lit(1_i64)),
            cast(col("b"), DataType::Int64).eq(lit(1_i64)),
            lower(col("b")).eq(lit("x")),
            col("b").like(lit("x%")),
            col("a").eq(col("a")),
            col("a").eq(lit("1")),
            col("a").eq(lit(1_i64)).or(col("a").eq(lit(2_i64))),
            col("c").eq(lit(1_i64)),
            (col("a") + lit(1_i64)).is_null(),
            col("a").is_null().and(lower(col("b")).is_null()),
        ] {
            assert!(!may(filter.clone()), "{filter}");
        }
    }
}
