//! Leaving out files that cannot hold a row that a query asks for.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, StringViewArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::{ColumnStats, DataFile, stats};

/// Values of an `IN` list that files are judged by one by one; a longer list keeps every file.
const LISTED_VALUES_MAX: usize = 200;

/// The files that may hold rows for which the predicate is true. A predicate that says nothing
/// about bounds, or cannot be judged by them, keeps every file.
pub(super) fn matching_files(
    files: &[Arc<DataFile>],
    schema: &SchemaRef,
    predicate: &Arc<dyn PhysicalExpr>,
) -> Vec<Arc<DataFile>> {
    let pruning = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(schema))
        .with_max_in_list_size(LISTED_VALUES_MAX)
        .build(Arc::clone(predicate));
    match pruning.map(|pruning| pruning.prune(&FileBounds { files, schema })) {
        Some(Ok(keep)) => files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| Arc::clone(file)).collect(),
        None | Some(Err(_)) => files.to_vec(),
    }
}

/// The bounds of many files, a column at a time.
struct FileBounds<'a> {
    files: &'a [Arc<DataFile>],
    schema: &'a SchemaRef,
}

/// The one partition column whose value the catalog knows for every file without bounds.
const PERIOD: &str = "billing_period";

impl FileBounds<'_> {
    /// One bound of a column for every file; `None` where it is not known.
    fn bounds(&self, column: &Column, bound: impl Fn(&ColumnStats) -> Option<&str>) -> Option<ArrayRef> {
        let name = column.name();
        let data_type = self.schema.field_with_name(name).ok()?.data_type();
        let texts = self.files.iter().map(|file| file.stats_of(name).and_then(&bound));
        Some(match data_type {
            DataType::Date32 if name == PERIOD => {
                Arc::new(Date32Array::from_iter_values(self.files.iter().map(|file| file.billing_period)))
            }
            DataType::Utf8View => Arc::new(texts.collect::<StringViewArray>()),
            DataType::Date32 => Arc::new(texts.map(|text| stats::days(text?)).collect::<Date32Array>()),
            DataType::Timestamp(_, zone) => {
                let micros = texts.map(|text| stats::micros(text?)).collect::<TimestampMicrosecondArray>();
                Arc::new(micros.with_timezone_opt(zone.clone()))
            }
            _ => return None,
        })
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |stats| stats.min.as_deref())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |stats| stats.max.as_deref())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = |file: &Arc<DataFile>| file.stats_of(column.name()).and_then(|s| u64::try_from(s.nulls).ok());
        Some(Arc::new(self.files.iter().map(nulls).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = |file: &Arc<DataFile>| u64::try_from(file.rows).ok();
        Some(Arc::new(self.files.iter().map(rows).collect::<UInt64Array>()))
    }
}
