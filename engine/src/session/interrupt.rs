//! Plans that can be stopped, and that let others run.
//!
//! A statement is stopped by dropping its stream, which takes effect where the plan waits. A join may find millions of pairs
//! between two waits, and go on for hours when a condition keeps none of them: nobody could cancel it, and it would hold a
//! thread that other logins' statements wait for. Three things are done about that:
//!
//! - joins give way to other tasks between batches of their output;
//! - a join with a condition gets its outer rows in slices, so that it looks at about [`PAIRS_AT_ONCE`] pairs and waits;
//! - conditions of joins fail once the statement is to stop.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{internal_err, resources_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::Stream;
use tokio_util::sync::CancellationToken;

use crate::security::SessionError;

/// Pairs of rows that a join looks at before it gives way: some hundredths of a second.
const PAIRS_AT_ONCE: usize = 500_000;

/// Rows that a row of a hash join with a further condition may match without keeping others waiting for longer.
const MATCHES_EXPECTED: usize = 2_000;

/// The same plan, which stops soon after `stop` fires and does not keep others waiting.
pub(super) fn interruptible(plan: Arc<dyn ExecutionPlan>, stop: &CancellationToken) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        let joins =
            ["CrossJoinExec", "HashJoinExec", "NestedLoopJoinExec", "PiecewiseMergeJoinExec", "SortMergeJoinExec"];
        if !joins.contains(&node.name()) {
            return Ok(Transformed::no(node));
        }
        let join = match (node.downcast_ref::<HashJoinExec>(), node.downcast_ref::<NestedLoopJoinExec>()) {
            (Some(join), _) if join.filter().is_some() => {
                let filter = join.filter().map(|filter| stoppable(filter, stop));
                let matches = Arc::new(AtomicUsize::new(MATCHES_EXPECTED));
                let sides = vec![Arc::clone(join.left()), JoinInput::plan(join.right(), Role::Outer, &matches)];
                join.builder().with_filter(filter).with_new_children(sides)?.build_exec()?
            }
            (_, Some(join)) => {
                let inner_rows = Arc::new(AtomicUsize::new(0));
                let filter = join.filter().map(|filter| stoppable(filter, stop));
                let left = JoinInput::plan(join.left(), Role::Inner, &inner_rows);
                let right = JoinInput::plan(join.right(), Role::Outer, &inner_rows);
                let sliced = NestedLoopJoinExecBuilder::new(left, right, *join.join_type());
                Arc::new(sliced.with_projection_ref(join.projection().clone()).with_filter(filter).build()?)
            }
            _ => node,
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(wrapped.data)
}

fn stoppable(filter: &JoinFilter, stop: &CancellationToken) -> JoinFilter {
    let condition = Stoppable { condition: Arc::clone(filter.expression()), stop: stop.clone() };
    JoinFilter::new(Arc::new(condition), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// A condition that fails once the statement is to stop.
#[derive(Debug)]
struct Stoppable {
    condition: Arc<dyn PhysicalExpr>,
    stop: CancellationToken,
}

impl fmt::Display for Stoppable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PartialEq for Stoppable {
    fn eq(&self, other: &Self) -> bool {
        self.condition.as_ref() == other.condition.as_ref()
    }
}

impl Eq for Stoppable {}

impl Hash for Stoppable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl PhysicalExpr for Stoppable {
    fn data_type(&self, input_schema: &Schema) -> Result<DataType> {
        self.condition.data_type(input_schema)
    }

    fn nullable(&self, input_schema: &Schema) -> Result<bool> {
        self.condition.nullable(input_schema)
    }

    fn return_field(&self, input_schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(input_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.is_cancelled() {
            let stopped = SessionError::new("57014", "canceling statement due to user request");
            return Err(DataFusionError::External(Box::new(stopped)));
        }
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(condition), true) => Ok(Arc::new(Self { condition, stop: self.stop.clone() })),
            _ => internal_err!("a condition of a join is one expression"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Read whole before the join begins: its rows are counted.
    Inner,
    /// Every row of it is paired with inner rows: it comes in slices.
    Outer,
}

/// One side of a join.
#[derive(Debug, Clone)]
struct JoinInput {
    input: Arc<dyn ExecutionPlan>,
    role: Role,
    inner_rows: Arc<AtomicUsize>,
    is_read: Arc<AtomicBool>,
}

impl JoinInput {
    fn plan(input: &Arc<dyn ExecutionPlan>, role: Role, inner_rows: &Arc<AtomicUsize>) -> Arc<dyn ExecutionPlan> {
        let (input, inner_rows) = (Arc::clone(input), Arc::clone(inner_rows));
        Arc::new(Self { input, role, inner_rows, is_read: Arc::default() })
    }
}

impl DisplayAs for JoinInput {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinInput")
    }
}

impl ExecutionPlan for JoinInput {
    fn name(&self) -> &str {
        "JoinInput"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Self::plan(&input, self.role, &self.inner_rows)),
            _ => internal_err!("a side of a join is one plan"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.role == Role::Inner && self.is_read.swap(true, Ordering::Relaxed) {
            // The join reads its inner side again, in parts, when memory does not hold it. Plans below cannot be run twice.
            return resources_err!("the inner side of a join does not fit the memory of a statement");
        }
        let stream = self.input.execute(partition, context)?;
        let inner_rows = Arc::clone(&self.inner_rows);
        Ok(match self.role {
            Role::Inner => Box::pin(Counted { stream, rows: inner_rows }),
            Role::Outer => Box::pin(Sliced { stream, inner_rows, rest: None, gave_way: true }),
        })
    }
}

/// Counts rows that pass.
struct Counted {
    stream: SendableRecordBatchStream,
    rows: Arc<AtomicUsize>,
}

impl Stream for Counted {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.stream.as_mut().poll_next(context));
        if let Some(Ok(batch)) = &next {
            self.rows.fetch_add(batch.num_rows(), Ordering::Relaxed);
        }
        Poll::Ready(next)
    }
}

impl RecordBatchStream for Counted {
    fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}

/// Hands batches on in slices, waiting between them. How many rows a slice has depends on the number of inner rows only, so
/// that a statement answers in the same order every time.
struct Sliced {
    stream: SendableRecordBatchStream,
    inner_rows: Arc<AtomicUsize>,
    rest: Option<RecordBatch>,
    gave_way: bool,
}

impl Stream for Sliced {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rest) = self.rest.take() else {
            return match ready!(self.stream.as_mut().poll_next(context)) {
                Some(Ok(batch)) if batch.num_rows() > 0 => {
                    self.rest = Some(batch);
                    self.gave_way = true;
                    self.poll_next(context)
                }
                other => Poll::Ready(other),
            };
        };
        if !self.gave_way {
            self.gave_way = true;
            self.rest = Some(rest);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let rows = (PAIRS_AT_ONCE / self.inner_rows.load(Ordering::Relaxed).max(1)).max(1);
        if rows >= rest.num_rows() {
            return Poll::Ready(Some(Ok(rest)));
        }
        self.gave_way = false;
        self.rest = Some(rest.slice(rows, rest.num_rows() - rows));
        Poll::Ready(Some(Ok(rest.slice(0, rows))))
    }
}

impl RecordBatchStream for Sliced {
    fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{Field, Int64Type};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::StreamExt;

    use super::*;

    fn numbers(batches: &[std::ops::Range<i64>]) -> SendableRecordBatchStream {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let batch = |range: &std::ops::Range<i64>| {
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from_iter_values(range.clone()))])
        };
        let batches: Vec<Result<RecordBatch>> = batches.iter().map(|range| batch(range).map_err(Into::into)).collect();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::iter(batches)))
    }

    /// Rows of each slice of 0..100, an empty batch and 100..130, joined with that many inner rows.
    async fn slices(inner_rows: usize) -> Vec<usize> {
        let inner_rows = Arc::new(AtomicUsize::new(inner_rows));
        let outer = Sliced { stream: numbers(&[0..100, 5..5, 100..130]), inner_rows, rest: None, gave_way: true };
        let slices: Vec<RecordBatch> = outer.map(|batch| batch.expect("a slice")).collect().await;
        let all = slices.iter().flat_map(|slice| slice.column(0).as_primitive::<Int64Type>().values().to_vec());
        assert!(all.eq(0..130), "every row once and in order");
        slices.iter().map(RecordBatch::num_rows).collect()
    }

    #[tokio::test]
    async fn outer_rows_come_in_slices_of_a_bounded_number_of_pairs() {
        assert_eq!(slices(0).await, [100, 0, 30]);
        assert_eq!(slices(PAIRS_AT_ONCE / 100).await, [100, 0, 30]);
        assert_eq!(slices(PAIRS_AT_ONCE / 40).await, [40, 40, 20, 0, 30]);
        assert_eq!(slices(PAIRS_AT_ONCE * 2).await.len(), 131);
    }

    #[tokio::test]
    async fn inner_rows_are_counted() {
        let rows = Arc::new(AtomicUsize::new(0));
        let inner = Counted { stream: numbers(&[0..7, 0..0, 7..10]), rows: Arc::clone(&rows) };
        assert_eq!(inner.count().await, 3);
        assert_eq!(rows.load(Ordering::Relaxed), 10);
    }
}
