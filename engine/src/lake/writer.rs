//! The writer of new data files: rows come in any order and leave in files and row groups that
//! belong to one owner each.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use object_store::path::Path;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::batches::RowRef;
use super::cluster::{Cluster, Clusters, Stretch};
use super::encode::{Encoder, in_parallel};
use super::layout::Layout;
use super::local::Taken;
use super::output::{Closed, Output};
use super::runs::{Merge, Runs};
use super::schema::LakeTable;
use super::upload::send_file;
use super::{Lake, LakeError, WrittenFile};

/// How a writer works. The defaults suit landing.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// Rows of a row group at most.
    pub row_group_rows: usize,
    /// Bytes of rows in memory at most, while they wait and while they are sorted together.
    pub memory_bytes_max: usize,
    /// Threads that encode.
    pub threads: usize,
    /// Zstandard level, 1 to 22.
    pub compression_level: i32,
    /// Keys and values for the footer of every file, for a catalog to be rebuilt from.
    pub notes: Vec<(String, String)>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            row_group_rows: 131_072,
            memory_bytes_max: 256 << 20,
            threads: 2,
            compression_level: 1,
            notes: Vec::new(),
        }
    }
}

/// Sorts rows into files and row groups while they stream in, in bounded memory.
///
/// Each row names an output file and a row-group owner by number. No file mixes two file numbers
/// and no row group two owners; inside a row group rows are sorted by the table's sort columns.
/// An owner with many rows has several row groups. When memory is short, owners with many rows are
/// written; rows of the others go to a temporary file and come back, by owner, at the end.
///
/// Encoding happens inside [`push`](Self::push) and [`finish`](Self::finish) on
/// [`WriterOptions::threads`] threads; `push` blocks meanwhile, so call it off the async threads.
/// Dropping a writer removes its unfinished files.
#[derive(Debug)]
pub struct ClusteredWriter {
    lake: Lake,
    table: LakeTable,
    tier: String,
    options: WriterOptions,
    encoder: Option<Encoder>,
    clusters: Clusters,
    /// Rows that memory could not hold.
    runs: Option<Runs>,
    outputs: BTreeMap<u32, Output>,
    /// Rows pushed so far, to be compared with the rows in the files.
    pushed: i64,
}

impl ClusteredWriter {
    pub(super) fn new(lake: &Lake, table: LakeTable, tier: &str, options: WriterOptions) -> Self {
        Self {
            lake: lake.clone(),
            table,
            tier: tier.to_owned(),
            options,
            encoder: None,
            clusters: Clusters::default(),
            runs: None,
            outputs: BTreeMap::new(),
            pushed: 0,
        }
    }

    /// Adds rows. `batch` has the table's columns in their order; row `i` goes to file
    /// `file_of_row[i]` and into row groups of `group_of_row[i]`.
    ///
    /// # Errors
    /// Columns that are not the table's, nulls where there must be none, an unknown tier, a full
    /// disk. The writer is of no use afterwards; drop it.
    pub fn push(&mut self, batch: RecordBatch, file_of_row: &[u32], group_of_row: &[u32]) -> Result<(), LakeError> {
        let encoder = self.encoder()?;
        let (rows, files, groups) = (batch.num_rows(), file_of_row.len(), group_of_row.len());
        if files != rows || groups != rows {
            return Err(LakeError::Assignment { rows, files, groups });
        }
        encoder.layout.check(&batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let places = (file_of_row, group_of_row);
        self.clusters.push(batch.columns(), places, encoder.layout.sort).map_err(|e| self.not_clustered(e))?;
        drop(batch);
        self.pushed += i64::try_from(rows).unwrap_or(i64::MAX);
        // What is left is for the row groups and pieces of runs that are being encoded.
        if self.clusters.bytes() > self.options.memory_bytes_max / 4 * 3 {
            self.relieve(&encoder)?;
        }
        Ok(())
    }

    /// Writes what is left, closes all files, and returns when they are durable under their names,
    /// in the order of their numbers. `prefix_of_file` gives the directories below
    /// `<tier>/<table>/` for each file number that rows were pushed with.
    ///
    /// # Errors
    /// As for [`push`](Self::push), and a cloud store's. Files that were published before the
    /// failure are orphans: nothing lists them.
    pub fn finish(
        mut self,
        prefix_of_file: &dyn Fn(u32) -> String,
    ) -> impl Future<Output = Result<Vec<WrittenFile>, LakeError>> + Send + use<> {
        let prepared = self.encoder().and_then(|encoder| {
            self.begin_outputs_of_waiting(&encoder)?;
            Ok(encoder)
        });
        let prefixes: BTreeMap<u32, String> = self.outputs.keys().map(|file| (*file, prefix_of_file(*file))).collect();
        async move {
            let encoder = prepared?;
            let table = self.table;
            let closing = spawn_blocking(move || {
                let closed = self.write_rest(&encoder)?;
                Ok((self, closed))
            });
            let (writer, closed) = closing.await.unwrap_or(Err(LakeError::Stopped { table: table.name() }))?;
            writer.publish(closed, &prefixes).await
        }
    }

    /// Gives up: removes everything that was written.
    pub async fn abort(self) {
        // Removal is what dropping does; a runtime that is shutting down drops the closure.
        let _ = spawn_blocking(move || drop(self)).await;
    }

    /// Rows that wait in memory.
    pub fn waiting_rows(&self) -> usize {
        self.clusters.rows()
    }

    /// Bytes that waiting rows occupy.
    pub fn waiting_bytes(&self) -> usize {
        self.clusters.bytes()
    }

    fn encoder(&mut self) -> Result<Encoder, LakeError> {
        if let Some(encoder) = &self.encoder {
            return Ok(encoder.clone());
        }
        self.lake.tier(&self.tier)?;
        let layout = Layout::new(self.table, &self.options)
            .map_err(|source| LakeError::Encode { table: self.table.name(), source })?;
        let encoder = Encoder {
            layout: Arc::new(layout),
            row_group_rows: self.options.row_group_rows.max(1),
            threads: self.options.threads.max(1),
        };
        Ok(self.encoder.insert(encoder).clone())
    }

    /// Writes owners with many rows, and puts the others by if they still hold half of the limit.
    fn relieve(&mut self, encoder: &Encoder) -> Result<(), LakeError> {
        let large = self.clusters.take_large(early_rows(encoder));
        self.write(encoder, &large)?;
        if self.clusters.bytes() > self.options.memory_bytes_max / 2 { self.put_by(encoder) } else { Ok(()) }
    }

    /// Moves all rows that wait to a run.
    fn put_by(&mut self, encoder: &Encoder) -> Result<(), LakeError> {
        let clusters = self.clusters.take_all();
        for cluster in &clusters {
            self.begin_output(encoder, cluster.place.0)?;
        }
        let stretches: Vec<Stretch> =
            clusters.iter().map(|cluster| Stretch { place: cluster.place, rows: cluster.rows.len() }).collect();
        let rows: Vec<RowRef> = clusters.into_iter().flat_map(|cluster| cluster.rows).collect();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => {
                let unfinished = self.unfinished()?;
                self.runs.insert(Runs::begin(self.table.name(), &encoder.layout.schema, unfinished)?)
            }
        };
        runs.add(&self.clusters.batches, &stretches, &rows, encoder.threads)?;
        self.clusters = Clusters::default();
        Ok(())
    }

    /// Reads the runs back, writing owners as soon as all their rows are there.
    fn write_runs(&mut self, encoder: &Encoder, mut merge: Merge) -> Result<(), LakeError> {
        let half = self.options.memory_bytes_max / 2;
        while let Some(frontier) = merge.frontier() {
            if self.clusters.bytes() >= half {
                let whole = self.clusters.take_before(frontier);
                self.write(encoder, &whole)?;
            }
            if self.clusters.bytes() >= half {
                // An owner with more rows than there is memory for.
                let large = self.clusters.take_large(early_rows(encoder));
                self.write(encoder, &large)?;
            }
            for (columns, stretches) in merge.read(encoder.threads)? {
                self.clusters.push_held(columns, stretches).map_err(|e| self.not_clustered(e))?;
            }
        }
        let rest = self.clusters.take_all();
        self.write(encoder, &rest)
    }

    fn write(&mut self, encoder: &Encoder, clusters: &[Cluster]) -> Result<(), LakeError> {
        for cluster in clusters {
            self.begin_output(encoder, cluster.place.0)?;
        }
        encoder.encode(&self.clusters.batches, clusters, &self.outputs)?;
        self.clusters.release(clusters);
        Ok(())
    }

    fn begin_output(&mut self, encoder: &Encoder, file: u32) -> Result<(), LakeError> {
        if !self.outputs.contains_key(&file) {
            let unfinished = self.unfinished()?;
            self.outputs.insert(file, Output::begin(&encoder.layout, unfinished)?);
        }
        Ok(())
    }

    fn begin_outputs_of_waiting(&mut self, encoder: &Encoder) -> Result<(), LakeError> {
        for file in self.clusters.files() {
            self.begin_output(encoder, file)?;
        }
        Ok(())
    }

    /// A name for an unfinished file: in the tier's directory, or in the system's temporary
    /// directory when the tier is a cloud store.
    fn unfinished(&self) -> Result<PathBuf, LakeError> {
        Ok(match &self.lake.tier(&self.tier)?.local {
            Some(local) => local.unfinished(),
            None => std::env::temp_dir().join(format!("ratehouse-{}.tmp", Uuid::new_v4())),
        })
    }

    fn write_rest(&mut self, encoder: &Encoder) -> Result<Vec<Closed>, LakeError> {
        if self.runs.is_some() {
            self.put_by(encoder)?;
        }
        match self.runs.take() {
            Some(runs) => self.write_runs(encoder, runs.merge())?,
            None => {
                let all = self.clusters.take_all();
                self.write(encoder, &all)?;
            }
        }
        self.clusters = Clusters::default();
        let outputs: Vec<&Output> = self.outputs.values().collect();
        let closed: Vec<Mutex<Option<Closed>>> = outputs.iter().map(|_| Mutex::default()).collect();
        in_parallel(encoder.threads, outputs.len(), self.table.name(), |number| {
            let answer = outputs[number].close()?;
            *closed[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            Ok(())
        })?;
        let closed: Vec<Closed> =
            closed.into_iter().filter_map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        let written = closed.iter().map(|file| file.rows).sum();
        if written != self.pushed {
            let (table, pushed) = (self.table.name(), self.pushed);
            return Err(LakeError::Rows { table, pushed, written });
        }
        Ok(closed)
    }

    async fn publish(
        self,
        closed: Vec<Closed>,
        prefixes: &BTreeMap<u32, String>,
    ) -> Result<Vec<WrittenFile>, LakeError> {
        let tier = self.lake.tier(&self.tier)?.clone();
        let mut written = Vec::with_capacity(closed.len());
        let mut places = Vec::with_capacity(closed.len());
        for ((file, output), closed) in self.outputs.iter().zip(closed) {
            let prefix = prefixes.get(file).map_or("", String::as_str);
            let place = Path::from(format!("{}/{prefix}/{}.parquet", self.table.name(), Uuid::new_v4()));
            written.push(WrittenFile {
                file: *file,
                path: format!("{}/{place}", self.tier),
                rows: closed.rows,
                bytes: closed.bytes,
                footer_bytes: closed.footer_bytes,
                stats: closed.stats,
            });
            places.push((output.unfinished().to_owned(), place));
        }
        match tier.local {
            Some(local) => {
                let table = self.table.name();
                let publishing = spawn_blocking(move || {
                    local.publish(places.iter().map(|(from, to)| (from.as_path(), to)), Taken::Replace)
                });
                publishing.await.unwrap_or(Err(LakeError::Stopped { table }))?;
            }
            None => {
                for (from, to) in &places {
                    send_file(tier.store.as_ref(), from, to).await?;
                }
            }
        }
        Ok(written)
    }

    fn not_clustered(&self, source: arrow::error::ArrowError) -> LakeError {
        LakeError::Cluster { table: self.table.name(), source }
    }
}

/// Rows from which on an owner's row group is written although more rows of it may come.
fn early_rows(encoder: &Encoder) -> usize {
    (encoder.row_group_rows / 16).max(1)
}
