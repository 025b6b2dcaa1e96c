//! Small files, several of them decoded as one.
//!
//! A roll-up of a month has a file for each delivery and child of the root, and in it a few hundred rows for each owner: a
//! year of a dashboard is hundreds of row groups of some kilobytes. The engine's Parquet source prepares every file anew and
//! decodes one row group after the other, which for such files takes longer than the rows do. Here predicates are prepared
//! once, a file is read with one request, and the row groups of many files run through one set of column decoders.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use bytes::{Buf, Bytes};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, RowGroups};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::SchemaDescriptor;

use super::provider::{partitioned, statistics};
use super::prune::matching_row_groups;
use super::{DataFile, Lake};

/// Files up to this size are read here, unless the lake says otherwise.
pub(super) const SMALL_FILE_BYTES: i64 = 1 << 20;

/// Sizes of files that are decoded together add up to this at most, or it is one file.
const BUNDLE_BYTES: i64 = 4 << 20;

/// Files of a bundle that are requested at the same time.
const READS_AT_ONCE: usize = 4;

/// A scan of small files: the rows of all row groups that the predicate may hold for.
#[derive(Debug)]
pub(super) struct SmallFilesExec {
    scan: Arc<Scan>,
    groups: Vec<Vec<Arc<DataFile>>>,
    properties: Arc<PlanProperties>,
}

/// What is the same for all files.
#[derive(Debug)]
struct Scan {
    readers: CachedParquetFileReaderFactory,
    metrics: ExecutionPlanMetricsSet,
    table: SchemaRef,
    /// Positions in the table of the columns to read, in the order of the answer.
    projection: Vec<usize>,
    schema: SchemaRef,
    pruning: Option<Arc<PruningPredicate>>,
}

impl SmallFilesExec {
    /// Reads `groups` of files, one in each partition.
    pub(super) fn try_new(
        lake: &Lake,
        table: &SchemaRef,
        projection: Option<&Vec<usize>>,
        pruning: Option<Arc<PruningPredicate>>,
        groups: Vec<Vec<Arc<DataFile>>>,
    ) -> Result<Self> {
        let projection = projection.cloned().unwrap_or_else(|| (0..table.fields().len()).collect());
        let schema = Arc::new(table.project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let scan = Scan {
            readers: CachedParquetFileReaderFactory::new(lake.object_store(), lake.footers()),
            metrics: ExecutionPlanMetricsSet::new(),
            table: Arc::clone(table),
            projection,
            schema,
            pruning,
        };
        Ok(Self { scan: Arc::new(scan), groups, properties: Arc::new(properties) })
    }
}

impl DisplayAs for SmallFilesExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.groups.iter().map(Vec::len).sum();
        write!(f, "SmallFilesExec: files={files}, partitions={}", self.groups.len())
    }
}

impl ExecutionPlan for SmallFilesExec {
    fn name(&self) -> &str {
        "SmallFilesExec"
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
        if children.is_empty() { Ok(self) } else { internal_err!("a scan has no children") }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(files) = self.groups.get(partition) else {
            return internal_err!("there is no partition {partition}");
        };
        let scan = Arc::clone(&self.scan);
        let batch_rows = context.session_config().batch_size();
        let batches = stream::iter(bundles(files))
            .then(move |bundle| Arc::clone(&scan).decode(bundle, partition, batch_rows))
            .map_ok(stream::iter)
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.scan.schema), batches)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let files: Vec<Arc<DataFile>> = match partition {
            Some(partition) => self.groups.get(partition).cloned().unwrap_or_default(),
            None => self.groups.concat(),
        };
        let all = statistics(&files, &self.scan.schema);
        // A predicate leaves row groups out.
        Ok(Arc::new(if self.scan.pruning.is_some() { all.to_inexact() } else { all }))
    }
}

fn bundles(files: &[Arc<DataFile>]) -> Vec<Vec<Arc<DataFile>>> {
    let mut bundles: Vec<Vec<Arc<DataFile>>> = Vec::new();
    let mut bytes = 0;
    for file in files {
        bytes += file.bytes;
        match bundles.last_mut() {
            Some(bundle) if bytes <= BUNDLE_BYTES => bundle.push(Arc::clone(file)),
            _ => {
                bytes = file.bytes;
                bundles.push(vec![Arc::clone(file)]);
            }
        }
    }
    bundles
}

impl Scan {
    /// Opens the files and gives their batches, decoded as they are asked for.
    async fn decode(
        self: Arc<Self>,
        files: Vec<Arc<DataFile>>,
        partition: usize,
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send> {
        let parts: Vec<Option<Part>> =
            stream::iter(files).map(|file| self.open(file, partition)).buffered(READS_AT_ONCE).try_collect().await?;
        let parts: Vec<Part> = parts.into_iter().flatten().collect();
        // Files of one version of the table have their columns at the same places.
        let mut decoders = VecDeque::new();
        for alike in parts.chunk_by(|a, b| a.leaves == b.leaves) {
            decoders.push_back(Decoder::new(&self, alike.to_vec(), batch_rows)?);
        }
        Ok(std::iter::from_fn(move || {
            while let Some(decoder) = decoders.front_mut() {
                match decoder.next() {
                    Some(batch) => return Some(batch),
                    None => decoders.pop_front(),
                };
            }
            None
        }))
    }

    /// Reads what is needed of a file; `None` if no row group can match.
    async fn open(&self, file: Arc<DataFile>, partition: usize) -> Result<Option<Part>> {
        let object = partitioned(&file)?;
        let hint = object.metadata_size_hint;
        let mut reader = self.readers.create_reader(partition, object, hint, &self.metrics)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
        let footer = reader.get_metadata(Some(&options)).await?;
        let groups = matching_row_groups(&footer, &self.table, self.pruning.as_deref());
        if groups.is_empty() {
            return Ok(None);
        }
        let leaves = self.leaves(footer.file_metadata().schema_descr());
        let range = span(&footer, &groups, &leaves);
        let bytes = if range.is_empty() { Bytes::new() } else { reader.get_bytes(range.clone()).await? };
        Ok(Some(Part { footer, groups, leaves, span: Arc::new(Span { start: range.start, bytes }) }))
    }

    /// Where the projected columns are in a file; `None` for those that it does not have.
    fn leaves(&self, file: &SchemaDescriptor) -> Vec<Option<usize>> {
        let named = |at: usize, name: &str| at < file.num_columns() && file.column(at).name() == name;
        let leaf = |column: &usize| {
            let name = self.table.field(*column).name();
            if named(*column, name) { Some(*column) } else { (0..file.num_columns()).find(|at| named(*at, name)) }
        };
        self.projection.iter().map(leaf).collect()
    }
}

/// From the first to the last byte of these columns in these row groups.
fn span(footer: &ParquetMetaData, groups: &[usize], leaves: &[Option<usize>]) -> Range<u64> {
    let chunks = || {
        let columns = |group: usize| leaves.iter().flatten().map(move |leaf| footer.row_group(group).column(*leaf));
        groups.iter().copied().flat_map(columns).map(|chunk| chunk.byte_range())
    };
    let start = chunks().map(|(start, _)| start).min().unwrap_or(0);
    let end = chunks().map(|(start, length)| start.saturating_add(length)).max().unwrap_or(start);
    start..end
}

/// What was read of a file.
#[derive(Clone)]
struct Part {
    footer: Arc<ParquetMetaData>,
    groups: Vec<usize>,
    leaves: Vec<Option<usize>>,
    span: Arc<Span>,
}

/// Decodes the row groups of several files with the same columns.
struct Decoder {
    scan: Arc<Scan>,
    reader: ParquetRecordBatchReader,
    /// For each column of the answer its place among the decoded ones.
    places: Vec<Option<usize>>,
}

impl Decoder {
    fn new(scan: &Arc<Scan>, parts: Vec<Part>, batch_rows: usize) -> Result<Self> {
        let Some(first) = parts.first() else {
            return internal_err!("nothing to decode");
        };
        let descriptor = first.footer.file_metadata().schema_descr();
        let mut read: Vec<usize> = first.leaves.iter().flatten().copied().collect();
        read.sort_unstable();
        let places = first.leaves.iter().map(|leaf| leaf.and_then(|leaf| read.binary_search(&leaf).ok())).collect();
        // Decoded as the table has it where the file is of the table's own version; cast otherwise.
        let fields = scan.table.fields();
        let is_same = descriptor.num_columns() == fields.len()
            && (0..fields.len()).all(|at| descriptor.column(at).name() == fields[at].name());
        let levels = parquet_to_arrow_field_levels(
            descriptor,
            ProjectionMask::leaves(descriptor, read),
            is_same.then_some(fields),
        )?;
        let reader = ParquetRecordBatchReader::try_new_with_row_groups(&levels, &Bundle::new(parts), batch_rows, None)?;
        Ok(Self { scan: Arc::clone(scan), reader, places })
    }

    fn shaped(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |(place, field): (&Option<usize>, &arrow::datatypes::FieldRef)| match place {
            Some(place) => cast(batch.column(*place), field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows)),
        };
        let columns = self.places.iter().zip(self.scan.schema.fields()).map(column).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.scan.schema), columns, &options)?)
    }
}

impl Iterator for Decoder {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(DataFusionError::from).and_then(|batch| self.shaped(&batch)))
    }
}

/// Row groups of several files as one sequence.
struct Bundle {
    parts: Arc<Vec<Part>>,
    rows: usize,
}

impl Bundle {
    fn new(parts: Vec<Part>) -> Self {
        let rows = |part: &Part| -> i64 { part.groups.iter().map(|at| part.footer.row_group(*at).num_rows()).sum() };
        let rows = usize::try_from(parts.iter().map(rows).sum::<i64>()).unwrap_or(0);
        Self { parts: Arc::new(parts), rows }
    }
}

impl RowGroups for Bundle {
    fn num_rows(&self) -> usize {
        self.rows
    }

    fn column_chunks(&self, leaf: usize) -> ParquetResult<Box<dyn PageIterator>> {
        Ok(Box::new(Chunks { parts: Arc::clone(&self.parts), leaf, part: 0, group: 0 }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.parts.iter().flat_map(|part| part.groups.iter().map(|at| part.footer.row_group(*at))))
    }

    fn metadata(&self) -> &ParquetMetaData {
        // A bundle is made of one part at least.
        &self.parts[0].footer
    }
}

/// The chunks of one column, one after the other.
struct Chunks {
    parts: Arc<Vec<Part>>,
    leaf: usize,
    part: usize,
    group: usize,
}

impl Iterator for Chunks {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (part, group) = loop {
            let part = self.parts.get(self.part)?;
            match part.groups.get(self.group) {
                Some(group) => break (part, part.footer.row_group(*group)),
                None => (self.part, self.group) = (self.part + 1, 0),
            }
        };
        self.group += 1;
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = SerializedPageReader::new(Arc::clone(&part.span), group.column(self.leaf), rows, None);
        Some(pages.map(|pages| Box::new(pages) as Box<dyn PageReader>))
    }
}

impl PageIterator for Chunks {}

/// Bytes of a file, under their positions in it.
struct Span {
    start: u64,
    bytes: Bytes,
}

impl Span {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let skipped = start.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        match skipped.filter(|skipped| *skipped <= self.bytes.len()) {
            Some(skipped) => Ok(self.bytes.slice(skipped..)),
            None => Err(ParquetError::EOF("a page lies outside its row group".to_owned())),
        }
    }
}

impl Length for Span {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Span {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF("a page ends outside its row group".to_owned()));
        }
        Ok(bytes.slice(..length))
    }
}
