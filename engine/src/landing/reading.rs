//! The pipeline from bytes to usage batches.
//!
//! One thread reads, hashes and cuts chunks (a second one decompresses); workers parse and map;
//! the stream hands batches on in order and turns chunk-relative numbers into row and line
//! numbers of the part. Every queue is bounded, so that a slow consumer stops the reader.

use std::io::Read;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::{FutureExt, Stream, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::apply::Mapped;
use super::batch::LandedBatch;
use super::csv::{CHUNK_BYTES, ChunkError, Chunks, ROW_BYTES_MAX, read_chunk};
use super::delivery::{OpenPart, PartKind, combine, hash_file};
use super::error::LandingError;
use super::json::read_lines;
use super::location::gunzip;
use super::mapping::Mapping;
use super::parquet;

/// Rows as they come from a reader.
enum Raw {
    Chunk(Vec<u8>),
    Batch(RecordBatch),
}

struct Job {
    raw: Raw,
    mapping: Arc<Mapping>,
    part: i32,
    reply: oneshot::Sender<Result<Mapped, LandingError>>,
}

/// A batch that is being mapped, in the order of the rows.
struct Pending {
    part: i32,
    header_lines: u64,
    result: oneshot::Receiver<Result<Mapped, LandingError>>,
}

type Hashes = Arc<Mutex<Vec<[u8; 32]>>>;

/// The usage batches of a delivery, in order.
pub struct LandedRows {
    pending: mpsc::Receiver<Result<Pending, LandingError>>,
    current: Option<Pending>,
    part: i32,
    rows_before: i64,
    lines_before: u64,
    is_ended: bool,
    has_failed: bool,
    hashes: Hashes,
    parts: usize,
}

impl LandedRows {
    /// The delivery's content hash, once the stream has ended without an error.
    pub fn content_hash(&self) -> Option<String> {
        let hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.is_ended && hashes.len() == self.parts).then(|| combine(hashes))
    }
}

/// Starts the threads.
pub(crate) fn start(parts: Vec<OpenPart>, threads: usize) -> LandedRows {
    let (jobs, taken) = sync_channel::<Job>(threads);
    let (ordered, pending) = mpsc::channel(2 * threads);
    let taken = Arc::new(Mutex::new(taken));
    for _ in 0..threads {
        let taken = Arc::clone(&taken);
        std::thread::spawn(move || work(&taken));
    }
    let hashes: Hashes = Arc::default();
    let rows = LandedRows {
        pending,
        current: None,
        part: -1,
        rows_before: 0,
        lines_before: 0,
        is_ended: false,
        has_failed: false,
        hashes: Arc::clone(&hashes),
        parts: parts.len(),
    };
    let runtime = Handle::current();
    std::thread::spawn(move || {
        let feed = Feed { jobs, ordered, runtime, hashes };
        for (index, part) in parts.iter().enumerate() {
            match feed.read_part(part, i32::try_from(index).unwrap_or(i32::MAX)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return drop(feed.ordered.blocking_send(Err(error))),
            }
        }
    });
    rows
}

fn work(taken: &Mutex<Receiver<Job>>) {
    loop {
        let job = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { raw, mapping, part, reply }) = job else {
            return;
        };
        if reply.is_closed() {
            continue;
        }
        let source = match raw {
            Raw::Chunk(chunk) => match &mapping.members {
                Some(members) => read_lines(chunk, &mapping.reading, members),
                None => read_chunk(chunk, &mapping.reading),
            },
            Raw::Batch(batch) => parquet::read_batch(&batch, &mapping.reading),
        };
        drop(reply.send(mapping.apply(source, part)));
    }
}

/// The reading side.
struct Feed {
    jobs: SyncSender<Job>,
    ordered: mpsc::Sender<Result<Pending, LandingError>>,
    runtime: Handle,
    hashes: Hashes,
}

impl Feed {
    /// Reads one part; false if nobody wants the rows any more.
    fn read_part(&self, part: &OpenPart, index: i32) -> Result<bool, LandingError> {
        let location = &part.file.location;
        let hash = match part.kind {
            PartKind::Csv { is_gzip, .. } | PartKind::JsonLines { is_gzip, .. } => {
                let shared = Arc::new(Mutex::new(Seen::default()));
                let hashed = Hashed { reader: location.open(&self.runtime)?, seen: Arc::clone(&shared) };
                let reader: Box<dyn Read + Send> = if is_gzip { gunzip(Box::new(hashed)) } else { Box::new(hashed) };
                if !self.read_text(part, index, reader)? {
                    return Ok(false);
                }
                let seen = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
                if seen.bytes != part.file.bytes {
                    let reason = format!("it had {} bytes, {} were read", part.file.bytes, seen.bytes);
                    return Err(LandingError::Truncated { file: location.name(), reason });
                }
                seen.hash.finalize().into()
            }
            PartKind::Parquet => {
                if !self.read_parquet(part, index)? {
                    return Ok(false);
                }
                hash_file(location, &self.runtime)?
            }
        };
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).push(hash);
        Ok(true)
    }

    fn read_text(&self, part: &OpenPart, index: i32, mut reader: Box<dyn Read + Send>) -> Result<bool, LandingError> {
        let (header_bytes, header_lines) = match part.kind {
            PartKind::Csv { header_bytes, header_lines, .. } => (header_bytes, header_lines),
            PartKind::JsonLines { mark_bytes, .. } => (mark_bytes, 0),
            PartKind::Parquet => (0, 0),
        };
        let file = || part.file.location.name();
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput => {
                LandingError::Truncated { file: file(), reason: e.to_string() }
            }
            _ => LandingError::Unreadable { file: file(), reason: e.to_string() },
        };
        std::io::copy(&mut reader.by_ref().take(header_bytes as u64), &mut std::io::sink()).map_err(failed)?;
        let mut chunks = match part.kind {
            PartKind::JsonLines { .. } => Chunks::of_lines(reader, CHUNK_BYTES),
            PartKind::Csv { .. } | PartKind::Parquet => Chunks::new(reader, CHUNK_BYTES),
        };
        loop {
            let chunk = chunks.next_chunk().map_err(|error| match error {
                ChunkError::Read(error) => failed(error),
                ChunkError::LineTooLong { newlines } => LandingError::LineTooLong {
                    file: file(),
                    line: newlines + header_lines + 1,
                    limit_bytes: ROW_BYTES_MAX,
                },
            })?;
            let Some(chunk) = chunk else { return Ok(true) };
            if !self.send(Raw::Chunk(chunk), part, index, header_lines) {
                return Ok(false);
            }
        }
    }

    fn read_parquet(&self, part: &OpenPart, index: i32) -> Result<bool, LandingError> {
        let location = &part.file.location;
        let truncated =
            |e: &dyn std::fmt::Display| LandingError::Truncated { file: location.name(), reason: e.to_string() };
        let opened = self.runtime.block_on(parquet::open(location, part.file.bytes))?;
        let mut batches = opened.with_batch_size(8_192).build().map_err(|e| truncated(&e))?;
        while let Some(batch) = self.runtime.block_on(batches.try_next()).map_err(|e| truncated(&e))? {
            if !self.send(Raw::Batch(batch), part, index, 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Queues rows for the workers and their place in the order; false if the stream is gone.
    fn send(&self, raw: Raw, part: &OpenPart, index: i32, header_lines: u64) -> bool {
        let (reply, result) = oneshot::channel();
        let pending = Pending { part: index, header_lines, result };
        if self.ordered.blocking_send(Ok(pending)).is_err() {
            return false;
        }
        self.jobs.send(Job { raw, mapping: Arc::clone(&part.mapping), part: index, reply }).is_ok()
    }
}

/// What has been read of a part.
#[derive(Default)]
struct Seen {
    hash: Sha256,
    bytes: u64,
}

/// Hashes and counts the bytes that pass: a file that changes while it is read must not land.
struct Hashed {
    reader: Box<dyn Read + Send>,
    seen: Arc<Mutex<Seen>>,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.hash.update(&buffer[..count]);
        seen.bytes += count as u64;
        Ok(count)
    }
}

fn stopped() -> LandingError {
    let (file, reason) = ("the delivery".to_owned(), "a reading thread stopped".to_owned());
    LandingError::Unreadable { file, reason }
}

impl Stream for LandedRows {
    type Item = Result<LandedBatch, LandingError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pending) = &mut self.current {
                let mapped = ready!(pending.result.poll_unpin(context));
                let (part, header_lines) = (pending.part, pending.header_lines);
                self.current = None;
                let mapped = mapped.unwrap_or_else(|_| Err(stopped()));
                return Poll::Ready(Some(mapped.and_then(|m| self.number(m, part, header_lines))));
            }
            match ready!(self.pending.poll_recv(context)) {
                Some(Ok(pending)) => self.current = Some(pending),
                Some(Err(error)) => {
                    self.has_failed = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None if self.is_ended => return Poll::Ready(None),
                None => {
                    self.is_ended = true;
                    // Every part leaves its hash; fewer mean that the reading thread died.
                    let read = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).len();
                    let is_whole = self.has_failed || read == self.parts;
                    return Poll::Ready((!is_whole).then(|| Err(stopped())));
                }
            }
        }
    }
}

impl LandedRows {
    /// Turns numbers within a chunk into numbers within the part.
    fn number(&mut self, mapped: Mapped, part: i32, header_lines: u64) -> Result<LandedBatch, LandingError> {
        if self.part != part {
            (self.part, self.rows_before, self.lines_before) = (part, 0, header_lines);
        }
        let (rows_before, lines_before) = (self.rows_before, self.lines_before);
        self.rows_before += i64::from(mapped.rows);
        self.lines_before += mapped.lines;
        let mut batch = mapped.batch;
        for (rejected, line) in batch.rejected.iter_mut().zip(mapped.rejected_lines) {
            rejected.source_row += rows_before;
            if let Some(newlines) = line {
                rejected.reason = format!("{} (line {})", rejected.reason, lines_before + newlines + 1);
            }
        }
        for note in &mut batch.noted {
            note.first.1 += rows_before;
        }
        if rows_before > 0 {
            let mut columns = batch.usage.columns().to_vec();
            if let Ok(at) = batch.usage.schema_ref().index_of("source_row") {
                let numbers: Int64Array = columns[at].as_primitive::<Int64Type>().unary(|row| row + rows_before);
                columns[at] = Arc::new(numbers);
            }
            batch.usage = RecordBatch::try_new(batch.usage.schema(), columns)
                .map_err(|e| LandingError::Unreadable { file: String::new(), reason: e.to_string() })?;
        }
        Ok(batch)
    }
}
