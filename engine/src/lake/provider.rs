//! A table of exactly the files it was given.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics, project_schema};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::layout::is_looked_up;
use super::prune::{matching_files, pruning};
use super::read_ahead::ReadAheadFactory;
use super::schema::LakeTable;
use super::small_files::SmallFilesExec;
use super::{DataFile, FileList, LAKE_URL, Lake, LakeError};

/// What the first read of a file takes beyond its footer, to have the page index too.
const PAGE_INDEX_BYTES: usize = 64 << 10;

/// A scan over a fixed list of files.
///
/// All filters are declared inexact: here they choose files and row groups. DataFusion's optimizer pushes them into its
/// Parquet reader, which reads the larger files, by itself.
#[derive(Debug)]
pub(super) struct FilesTable {
    lake: Lake,
    schema: SchemaRef,
    files: FileList,
}

impl FilesTable {
    pub(super) fn new(lake: &Lake, table: LakeTable, files: FileList) -> Self {
        Self { lake: lake.clone(), schema: table.schema(), files }
    }

    /// The filters as a question to bounds; `None` if they say nothing about them.
    fn pruning(&self, state: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<PruningPredicate>>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(None);
        };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        Ok(pruning(&self.schema, state.create_physical_expr(filter, &schema)?))
    }

    /// As many files as it takes for that many rows.
    fn enough(&self, limit: usize) -> Vec<Arc<DataFile>> {
        let mut rows = 0;
        let needed = |file: &&Arc<DataFile>| {
            let needed = rows < limit;
            rows += usize::try_from(file.rows).unwrap_or(0);
            needed
        };
        self.files.iter().take_while(needed).cloned().collect()
    }

    fn large_files(
        &self,
        files: &[Arc<DataFile>],
        filters: &[Expr],
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
        partitions: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let group = |files: Vec<Arc<DataFile>>| {
            files.iter().map(|file| partitioned(file)).collect::<Result<Vec<_>>>().map(FileGroup::new)
        };
        let groups = balanced(files, partitions).into_iter().map(group).collect::<Result<_>>()?;
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::parse(LAKE_URL)?, Arc::new(self.source(filters)))
            .with_file_groups(groups)
            .with_statistics(statistics(files, &self.schema))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }

    fn source(&self, filters: &[Expr]) -> ParquetSource {
        let mut options = TableParquetOptions::default();
        options.global.pushdown_filters = true;
        // Filters run in the order of the query: one that hides rows must not run after one that
        // fails on them.
        options.global.reorder_filters = false;
        options.global.enable_page_index = true;
        // Asking for filters takes time in every row group, also where no column of the query has one.
        options.global.bloom_filter_on_read =
            filters.iter().any(|filter| filter.column_refs().iter().any(|column| is_looked_up(&column.name)));
        options.global.pruning = true;
        ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(ReadAheadFactory::new(&self.lake)))
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // With filters above, the rows of a limit are not known before they have run.
        let limit = limit.filter(|_| filters.is_empty());
        let pruning = self.pruning(state, filters)?;
        let files = match (limit, &pruning) {
            (Some(limit), _) => self.enough(limit),
            (None, Some(pruning)) => matching_files(&self.files, &self.schema, pruning),
            (None, None) => self.files.to_vec(),
        };
        let partitions = state.config().target_partitions();
        let (small, large): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.bytes <= self.lake.small_file_bytes());
        let mut scans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !large.is_empty() {
            scans.push(self.large_files(&large, filters, projection, limit, partitions)?);
        }
        if !small.is_empty() {
            let groups = balanced(&small, partitions);
            scans.push(Arc::new(SmallFilesExec::try_new(&self.lake, &self.schema, projection, pruning, groups)?));
        }
        match (scans.pop(), scans.pop()) {
            (None, _) => Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?))),
            (Some(only), None) => Ok(only),
            (Some(small), Some(large)) => UnionExec::try_new(vec![large, small]),
        }
    }
}

pub(super) fn statistics(files: &[Arc<DataFile>], schema: &SchemaRef) -> Statistics {
    let rows: Option<usize> = files.iter().map(|file| usize::try_from(file.rows).ok()).sum();
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = rows.map_or(Precision::Absent, Precision::Exact);
    statistics
}

/// Deals files out so that every group has about as many bytes, the largest first; within a group
/// they keep their order. DataFusion cuts large files further by row groups.
fn balanced(files: &[Arc<DataFile>], groups: usize) -> Vec<Vec<Arc<DataFile>>> {
    let groups = groups.clamp(1, files.len());
    let mut by_size: Vec<usize> = (0..files.len()).collect();
    by_size.sort_by_key(|file| std::cmp::Reverse(files[*file].bytes));
    let mut dealt: Vec<(i64, Vec<usize>)> = vec![(0, Vec::new()); groups];
    for file in by_size {
        if let Some((bytes, group)) = dealt.iter_mut().min_by_key(|(bytes, group)| (*bytes, group.len())) {
            *bytes += files[file].bytes;
            group.push(file);
        }
    }
    let group = |(_, mut group): (i64, Vec<usize>)| {
        group.sort_unstable();
        group.into_iter().map(|file| Arc::clone(&files[file])).collect()
    };
    dealt.into_iter().map(group).collect()
}

pub(super) fn partitioned(file: &DataFile) -> Result<PartitionedFile> {
    let location = Path::parse(&file.path).map_err(|_| LakeError::Path { path: file.path.clone() })?;
    let meta = ObjectMeta {
        location,
        // Names are never used twice: the time is not needed to tell versions apart.
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size: u64::try_from(file.bytes).unwrap_or(0),
        e_tag: None,
        version: None,
    };
    let footer = usize::try_from(file.footer_bytes).unwrap_or(0);
    Ok(PartitionedFile::new_from_meta(meta).with_metadata_size_hint(footer + PAGE_INDEX_BYTES))
}
