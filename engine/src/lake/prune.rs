//! Leaving out files and row groups that cannot hold a row that a query asks for.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, StringViewArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::ParquetMetaData;

use super::{ColumnStats, DataFile, stats};

/// Values of an `IN` list that bounds are judged by one by one; a longer list keeps every file.
const LISTED_VALUES_MAX: usize = 200;

/// The predicate as a question to bounds; `None` if it says nothing about them, or cannot be judged by them.
pub(super) fn pruning(schema: &SchemaRef, predicate: Arc<dyn PhysicalExpr>) -> Option<Arc<PruningPredicate>> {
    PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(schema))
        .with_max_in_list_size(LISTED_VALUES_MAX)
        .build(predicate)
}

/// The files that may hold rows for which the predicate is true; all where it cannot be judged.
pub(super) fn matching_files(
    files: &[Arc<DataFile>],
    schema: &SchemaRef,
    pruning: &PruningPredicate,
) -> Vec<Arc<DataFile>> {
    match pruning.prune(&FileBounds { files, schema }) {
        Ok(keep) => files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| Arc::clone(file)).collect(),
        Err(_) => files.to_vec(),
    }
}

/// The row groups of a file that may hold such rows; all where they cannot be judged.
pub(super) fn matching_row_groups(
    footer: &ParquetMetaData,
    schema: &SchemaRef,
    pruning: Option<&PruningPredicate>,
) -> Vec<usize> {
    let all = 0..footer.num_row_groups();
    match pruning.map(|pruning| pruning.prune(&RowGroupBounds { footer, schema })) {
        Some(Ok(keep)) => all.zip(keep).filter(|(_, keep)| *keep).map(|(group, _)| group).collect(),
        None | Some(Err(_)) => all.collect(),
    }
}

/// The bounds of many files, a column at a time.
struct FileBounds<'a> {
    files: &'a [Arc<DataFile>],
    schema: &'a SchemaRef,
}

/// The one partition column whose value the catalog knows for every file without bounds.
const PERIOD: &str = "billing_period";
/// The column whose values the catalog knows for files that have few.
const ACCOUNT: &str = "sub_account_id";

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

    /// Files without rows of a sub-account; of other columns no values are known.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        if column.name() != ACCOUNT {
            return None;
        }
        let line = |value: &ScalarValue| Some(format!("\n{}\n", value.try_as_str().flatten()?));
        let accounts: Vec<String> = values.iter().map(line).collect::<Option<_>>()?;
        let may_have = |names: &str| accounts.iter().any(|account| names.contains(account));
        let lacks = |file: &Arc<DataFile>| file.account_names().is_some_and(|names| !may_have(names));
        Some(self.files.iter().map(|file| lacks(file).then_some(false)).collect())
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = |file: &Arc<DataFile>| u64::try_from(file.rows).ok();
        Some(Arc::new(self.files.iter().map(rows).collect::<UInt64Array>()))
    }
}

/// The bounds of a file's row groups, as its footer has them.
struct RowGroupBounds<'a> {
    footer: &'a ParquetMetaData,
    schema: &'a SchemaRef,
}

impl RowGroupBounds<'_> {
    fn converter(&self, column: &Column) -> Option<StatisticsConverter<'_>> {
        let descriptor = self.footer.file_metadata().schema_descr();
        let converter = StatisticsConverter::try_new(column.name(), self.schema, descriptor).ok()?;
        Some(converter.with_missing_null_counts_as_zero(false))
    }
}

impl PruningStatistics for RowGroupBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.converter(column)?.row_group_mins(self.footer.row_groups()).ok()
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.converter(column)?.row_group_maxes(self.footer.row_groups()).ok()
    }

    fn num_containers(&self) -> usize {
        self.footer.num_row_groups()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = self.converter(column)?.row_group_null_counts(self.footer.row_groups()).ok()?;
        Some(Arc::new(nulls))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.footer.row_groups().iter().map(|group| u64::try_from(group.num_rows()).ok());
        Some(Arc::new(rows.collect::<UInt64Array>()))
    }
}
