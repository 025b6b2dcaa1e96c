//! Encoding of row groups by several threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, compute_leaves};
use parquet::errors::ParquetError;

use super::LakeError;
use super::batches::{Batches, RowRef, Selection};
use super::cluster::Cluster;
use super::constant;
use super::few_texts;
use super::layout::{ColumnLayout, Layout, PAGE_ROWS};
use super::order::sort;
use super::output::{Chunk, Output};
use super::own_chunk::OwnChunk;

/// Row groups from this many rows on are encoded column by column, so that all threads can work on
/// one; smaller ones are encoded as a whole.
const ROWS_WORTH_SPLITTING: usize = 16_384;

/// How to encode.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    pub(super) layout: Arc<Layout>,
    pub(super) row_group_rows: usize,
    pub(super) threads: usize,
}

/// A cluster, sorted by the first thread that needs it.
struct Sorted<'a> {
    cluster: &'a Cluster,
    rows: OnceLock<Result<Vec<RowRef>, ArrowError>>,
}

/// One row group.
struct Task<'a> {
    output: &'a Output,
    /// Its number in the file.
    number: usize,
    sorted: &'a Sorted<'a>,
    /// Which of the sorted rows.
    range: Range<usize>,
    selection: OnceLock<Selection<'a>>,
    encoded: Mutex<Encoded>,
}

/// The columns of a row group that are encoded so far, by position.
type Encoded = BTreeMap<usize, Chunk>;

impl Encoder {
    /// Encodes all rows of the clusters and appends the row groups to their files, which
    /// `outputs` has by the first number of a place.
    pub(super) fn encode(
        &self,
        batches: &Batches,
        clusters: &[Cluster],
        outputs: &BTreeMap<u32, Output>,
    ) -> Result<(), LakeError> {
        let sorted: Vec<Sorted<'_>> =
            clusters.iter().map(|cluster| Sorted { cluster, rows: OnceLock::new() }).collect();
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for sorted in &sorted {
            let table = self.layout.table.name();
            let output = outputs.get(&sorted.cluster.place.0);
            tasks.extend(self.tasks(sorted, output.ok_or(LakeError::Stopped { table })?));
        }
        let columns = self.layout.schema.fields().len();
        let work: Vec<(usize, Range<usize>)> = tasks
            .iter()
            .enumerate()
            .flat_map(|(task, of)| {
                let step = if of.range.len() < ROWS_WORTH_SPLITTING { columns } else { 1 };
                (0..columns).step_by(step).map(move |first| (task, first..first + step))
            })
            .collect();
        in_parallel(self.threads, work.len(), self.layout.table.name(), |item| {
            let (task, columns) = &work[item];
            columns.clone().try_for_each(|column| self.encode_column(batches, &tasks[*task], column))
        })
    }

    /// Cuts a cluster into row groups of about equal size.
    fn tasks<'a>(&self, sorted: &'a Sorted<'a>, output: &'a Output) -> Vec<Task<'a>> {
        let rows = sorted.cluster.rows.len();
        let row_groups = rows.div_ceil(self.row_group_rows).max(1);
        let size = rows.div_ceil(row_groups).max(1);
        let task = |first: usize| Task {
            output,
            number: output.plan(),
            sorted,
            range: first..rows.min(first + size),
            selection: OnceLock::new(),
            encoded: Mutex::default(),
        };
        (0..rows).step_by(size).map(task).collect()
    }

    fn encode_column<'a>(&self, batches: &'a Batches, task: &Task<'a>, column: usize) -> Result<(), LakeError> {
        let sorted = task.sorted.rows.get_or_init(|| sort(batches, self.layout.sort, &task.sorted.cluster.rows));
        let rows = match sorted {
            Ok(rows) => rows,
            Err(error) => {
                return Err(self.not_clustered(ArrowError::ComputeError(error.to_string())));
            }
        };
        let selection = task.selection.get_or_init(|| batches.select(&rows[task.range.clone()]));
        let chunk = match self.encode_known(selection, column)? {
            Some(chunk) => Chunk::Own(chunk),
            None => Chunk::Encoded(self.encode_values(selection, column)?),
        };
        let mut encoded = task.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        encoded.insert(column, chunk);
        if encoded.len() < self.layout.columns.len() {
            return Ok(());
        }
        // The last column completes the row group.
        let chunks = std::mem::take(&mut *encoded).into_values().collect();
        drop(encoded);
        task.output.add(task.number, chunks)
    }

    /// The chunk of a column of which is known what its rows have: one value, or few texts in rows of one page.
    fn encode_known(&self, selection: &Selection<'_>, column: usize) -> Result<Option<OwnChunk>, LakeError> {
        let ColumnLayout { description, has_statistics, has_filter, .. } = &self.layout.columns[column];
        let (rows, level) = (selection.len(), self.layout.level);
        if let Some(value) = selection.single(column).map_err(|e| self.not_clustered(e))? {
            return constant::encode(description, *has_statistics, &value, rows, level)
                .map_err(|e| self.not_encoded(e));
        }
        let is_text = *self.layout.schema.field(column).data_type() == DataType::Utf8View;
        if !is_text || *has_filter || rows > PAGE_ROWS {
            return Ok(None);
        }
        few_texts::encode(description, *has_statistics, (selection, column), level).map_err(|e| self.not_encoded(e))
    }

    fn encode_values(&self, selection: &Selection<'_>, column: usize) -> Result<ArrowColumnChunk, LakeError> {
        let field = self.layout.schema.field(column);
        let mut encoder = self.layout.columns[column].encoder(selection.len()).map_err(|e| self.not_encoded(e))?;
        for first in (0..selection.len()).step_by(PAGE_ROWS) {
            let range = first..selection.len().min(first + PAGE_ROWS);
            let array = selection.collect(column, range).map_err(|e| self.not_clustered(e))?;
            for leaf in compute_leaves(field, &array).map_err(|e| self.not_encoded(e))? {
                encoder.write(&leaf).map_err(|e| self.not_encoded(e))?;
            }
        }
        let mut chunk = encoder.close().map_err(|e| self.not_encoded(e))?;
        let close = chunk.close_mut();
        if close.offset_index.as_ref().is_some_and(|index| index.page_locations.len() == 1) {
            // Bounds of the only page are those of the chunk.
            close.column_index = None;
        }
        Ok(chunk)
    }

    fn not_clustered(&self, source: ArrowError) -> LakeError {
        LakeError::Cluster { table: self.layout.table.name(), source }
    }

    fn not_encoded(&self, source: ParquetError) -> LakeError {
        LakeError::Encode { table: self.layout.table.name(), source }
    }
}

/// Runs `work` for every number below `items`, in this order as threads become free. The first
/// failure ends it.
pub(super) fn in_parallel(
    threads: usize,
    items: usize,
    table: &'static str,
    work: impl Fn(usize) -> Result<(), LakeError> + Sync,
) -> Result<(), LakeError> {
    let next = AtomicUsize::new(0);
    let run = || {
        loop {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= items {
                return Ok(());
            }
            if let Err(error) = work(item) {
                next.store(items, Ordering::Relaxed);
                return Err(error);
            }
        }
    };
    let helpers = threads.min(items).saturating_sub(1);
    thread::scope(|scope| {
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(run)).collect();
        let own = run();
        let joined = helpers.into_iter().map(|helper| helper.join().unwrap_or(Err(LakeError::Stopped { table })));
        joined.fold(own, Result::and)
    })
}
