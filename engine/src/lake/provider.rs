//! A table of exactly the files it was given.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics, plan_err, project_schema};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter_pushdown::PushedDown;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::prune::matching_files;
use super::schema::LakeTable;
use super::{DataFile, FileList, LAKE_URL, Lake, LakeError};

/// What the first read of a file takes beyond its footer, to have the page index too.
const PAGE_INDEX_BYTES: usize = 64 << 10;

/// A scan over a fixed list of files.
///
/// All filters are declared inexact and handed on to DataFusion, whose optimizer pushes them into
/// the Parquet reader by itself; here they only choose files.
#[derive(Debug)]
pub struct FilesTable {
    lake: Lake,
    schema: SchemaRef,
    files: FileList,
}

impl FilesTable {
    pub(super) fn new(lake: &Lake, table: LakeTable, files: FileList) -> Self {
        Self { lake: lake.clone(), schema: table.schema(), files }
    }

    fn files_for(&self, state: &dyn Session, filters: &[Expr], limit: Option<usize>) -> Result<Vec<Arc<DataFile>>> {
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
            let predicate = state.create_physical_expr(filter, &schema)?;
            return Ok(matching_files(&self.files, &self.schema, &predicate));
        }
        let mut rows = 0;
        let enough = limit.unwrap_or(usize::MAX);
        let needed = |file: &&Arc<DataFile>| {
            let needed = rows < enough;
            rows += usize::try_from(file.rows).unwrap_or(0);
            needed
        };
        Ok(self.files.iter().take_while(needed).cloned().collect())
    }

    /// A plan that answers with the rows for which all filters are true, and no others.
    ///
    /// For scans inside an operator that optimizers do not look into, such as the leaf of a
    /// scoped session: nobody else will apply the filters there. They refer to the table's
    /// columns, whether projected or not.
    ///
    /// # Errors
    /// A filter that the Parquet reader cannot apply. It is never left out.
    pub fn matching(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files_for(state, filters, None)?;
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let predicates: Vec<_> =
            filters.iter().map(|filter| state.create_physical_expr(filter.clone(), &schema)).collect::<Result<_>>()?;
        let source: Arc<dyn FileSource> = Arc::new(self.source());
        if predicates.is_empty() {
            return self.plan(state, &files, source, projection, None);
        }
        let pushed = source.try_pushdown_filters(predicates, state.config_options())?;
        match pushed.updated_node {
            Some(filtered) if pushed.filters.iter().all(|filter| matches!(filter, PushedDown::Yes)) => {
                self.plan(state, &files, filtered, projection, None)
            }
            _ => plan_err!("a filter of the scan cannot be applied while reading"),
        }
    }

    fn plan(
        &self,
        state: &dyn Session,
        files: &[Arc<DataFile>],
        source: Arc<dyn FileSource>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?)));
        }
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::parse(LAKE_URL)?, source)
            .with_file_groups(balanced(files, state.config().target_partitions())?)
            .with_statistics(statistics(files, &self.schema))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }

    fn source(&self) -> ParquetSource {
        let mut options = TableParquetOptions::default();
        options.global.pushdown_filters = true;
        // Filters run in the order of the query: one that hides rows must not run after one that
        // fails on them.
        options.global.reorder_filters = false;
        options.global.enable_page_index = true;
        options.global.bloom_filter_on_read = true;
        options.global.pruning = true;
        let reader = CachedParquetFileReaderFactory::new(self.lake.object_store(), self.lake.footers());
        ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader))
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
        let files = self.files_for(state, filters, limit)?;
        self.plan(state, &files, Arc::new(self.source()), projection, limit)
    }
}

fn statistics(files: &[Arc<DataFile>], schema: &SchemaRef) -> Statistics {
    let rows: Option<usize> = files.iter().map(|file| usize::try_from(file.rows).ok()).sum();
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = rows.map_or(Precision::Absent, Precision::Exact);
    statistics
}

/// Deals files out so that every group has about as many bytes, the largest first; within a group
/// they keep their order. DataFusion cuts large files further by row groups.
fn balanced(files: &[Arc<DataFile>], groups: usize) -> Result<Vec<FileGroup>> {
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
        group.into_iter().map(|file| partitioned(&files[file])).collect::<Result<Vec<_>>>().map(FileGroup::new)
    };
    dealt.into_iter().map(group).collect()
}

fn partitioned(file: &DataFile) -> Result<PartitionedFile> {
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
