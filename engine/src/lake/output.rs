//! One Parquet file in the making.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use super::layout::{Layout, stats_columns};
use super::local::{append, discard, flush_file};
use super::own_chunk::OwnChunk;
use super::{ColumnStats, LakeError, stats};

/// What [`Output::close`] knows about the finished file.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) rows: i64,
    pub(super) bytes: i64,
    pub(super) footer_bytes: i64,
    pub(super) stats: Vec<ColumnStats>,
}

/// An encoded column of a row group.
pub(super) enum Chunk {
    /// By Parquet's encoder.
    Encoded(ArrowColumnChunk),
    /// By ours.
    Own(OwnChunk),
}

/// A file that row groups are added to. Threads encode row groups at the same time; they are
/// appended in the order in which they were planned, so that the file does not depend on timing.
pub(super) struct Output {
    layout: Arc<Layout>,
    unfinished: PathBuf,
    state: Mutex<State>,
}

struct State {
    writer: SerializedFileWriter<Vec<u8>>,
    /// Row groups that have a number.
    planned: usize,
    /// The number of the row group to append next.
    next: usize,
    /// Encoded row groups whose turn has not come.
    waiting: BTreeMap<usize, Vec<Chunk>>,
    /// Bytes in the unfinished file.
    bytes: usize,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("unfinished", &self.unfinished).finish_non_exhaustive()
    }
}

impl Output {
    /// Begins a file. Nothing is on disk before the first row group is.
    pub(super) fn begin(layout: &Arc<Layout>, unfinished: PathBuf) -> Result<Self, LakeError> {
        let writer = SerializedFileWriter::new(Vec::new(), Arc::clone(&layout.root), Arc::clone(&layout.properties))
            .map_err(|source| LakeError::Encode { table: layout.table.name(), source })?;
        let state = State { writer, planned: 0, next: 0, waiting: BTreeMap::new(), bytes: 0 };
        Ok(Self { layout: Arc::clone(layout), unfinished, state: Mutex::new(state) })
    }

    /// Where the file is until it is published.
    pub(super) fn unfinished(&self) -> &Path {
        &self.unfinished
    }

    /// Gives the next row group its number.
    pub(super) fn plan(&self) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.planned += 1;
        state.planned - 1
    }

    /// Adds an encoded row group; it is written as soon as those before it are.
    pub(super) fn add(&self, row_group: usize, chunks: Vec<Chunk>) -> Result<(), LakeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(row_group, chunks);
        loop {
            let next = state.next;
            let Some(chunks) = state.waiting.remove(&next) else {
                break;
            };
            append_row_group(&mut state.writer, chunks).map_err(|e| self.failed(e))?;
            state.next += 1;
            self.drain(&mut state)?;
        }
        Ok(())
    }

    /// Writes the footer and returns when the content is on the device.
    pub(super) fn close(&self) -> Result<Closed, LakeError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = state.writer.finish().map_err(|e| self.failed(e))?;
        let footer_bytes = footer_length(state.writer.inner());
        self.drain(&mut state)?;
        flush_file(&self.unfinished).map_err(|e| LakeError::io("flush", &self.unfinished, e))?;
        Ok(Closed {
            rows: metadata.file_metadata().num_rows(),
            bytes: i64::try_from(state.bytes).unwrap_or(i64::MAX),
            footer_bytes,
            stats: stats::of_columns(&metadata, &self.layout.schema, stats_columns(self.layout.table)),
        })
    }

    /// Moves encoded bytes from memory to the unfinished file.
    fn drain(&self, state: &mut State) -> Result<(), LakeError> {
        let moved = state.writer.flush().and_then(|()| {
            let encoded = std::mem::take(state.writer.inner_mut());
            append(&self.unfinished, &encoded)?;
            io::Result::Ok(encoded.len())
        });
        state.bytes += moved.map_err(|e| LakeError::io("write", &self.unfinished, e))?;
        Ok(())
    }

    fn failed(&self, source: ParquetError) -> LakeError {
        LakeError::Encode { table: self.layout.table.name(), source }
    }
}

impl Drop for Output {
    /// A file that was published is gone from here.
    fn drop(&mut self) {
        discard(&self.unfinished);
    }
}

fn append_row_group(writer: &mut SerializedFileWriter<Vec<u8>>, chunks: Vec<Chunk>) -> Result<(), ParquetError> {
    let mut row_group = writer.next_row_group()?;
    for chunk in chunks {
        match chunk {
            Chunk::Encoded(chunk) => chunk.append_to_row_group(&mut row_group)?,
            Chunk::Own(chunk) => row_group.append_column(&chunk.bytes, chunk.close)?,
        }
    }
    row_group.close()?;
    Ok(())
}

/// A Parquet file ends with the length of its footer, in four bytes, and `PAR1`.
fn footer_length(end_of_file: &[u8]) -> i64 {
    let length = end_of_file.last_chunk::<8>().and_then(|tail| tail.first_chunk::<4>());
    length.map_or(0, |length| i64::from(u32::from_le_bytes(*length)))
}
