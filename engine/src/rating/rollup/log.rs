//! Logs of records, by hash: in memory as long as the pool allows, then compressed in a temporary file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SpillFile, SpillWriter};
use zstd::bulk::{Compressor, Decompressor};

use super::groups::Record;
use crate::rating::error::RatingError;

/// How many logs there are: one is summed at a time.
pub(crate) const LOGS: usize = 512;
const CHUNK_BYTES: usize = 32 << 10;
const NAME: &str = "roll-ups";
/// The fastest of Zstandard's levels that packs: most bytes are the zeros of decimals.
const LEVEL: i32 = 1;

/// A chunk in the temporary file.
#[derive(Debug, Clone, Copy)]
struct Extent {
    offset: u64,
    packed_bytes: usize,
}

#[derive(Debug, Default)]
struct Log {
    open: Vec<u8>,
    full: Vec<Vec<u8>>,
    spilled: Vec<Extent>,
}

struct Spill {
    file: Arc<dyn SpillFile>,
    writer: Box<dyn SpillWriter>,
    bytes: u64,
    packer: Compressor<'static>,
    packed: Vec<u8>,
}

/// One worker's logs, while rows come.
pub(crate) struct LogWriter {
    logs: Vec<Log>,
    runtime: Arc<RuntimeEnv>,
    memory: MemoryReservation,
    spill: Option<Spill>,
}

impl std::fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogWriter").finish_non_exhaustive()
    }
}

/// The log of a hash: bits that the hash tables do not look at first.
fn log_of(hash: u64) -> usize {
    usize::try_from(hash >> 40).unwrap_or_default() % LOGS
}

impl LogWriter {
    pub(crate) fn new(runtime: &Arc<RuntimeEnv>) -> Self {
        Self {
            logs: std::iter::repeat_with(Log::default).take(LOGS).collect(),
            runtime: Arc::clone(runtime),
            memory: MemoryConsumer::new(NAME).with_can_spill(true).register(&runtime.memory_pool),
            spill: None,
        }
    }

    /// Appends a record to the log of its hash.
    #[inline]
    pub(crate) fn append<const K: usize>(&mut self, hash: u64, record: &Record<'_, K>) -> Result<(), RatingError> {
        let log = &mut self.logs[log_of(hash)];
        if log.open.capacity() - log.open.len() < Record::<K>::BYTES_MAX {
            self.grow(log_of(hash))?;
        }
        record.write(&mut self.logs[log_of(hash)].open);
        Ok(())
    }

    /// Opens a new chunk, after writing all full ones to the file when memory is short.
    #[cold]
    fn grow(&mut self, at: usize) -> Result<(), RatingError> {
        if self.memory.try_grow(CHUNK_BYTES).is_err() {
            self.spill()?;
            // One open chunk for each log is always needed.
            self.memory.grow(CHUNK_BYTES);
        }
        let log = &mut self.logs[at];
        let full = std::mem::replace(&mut log.open, Vec::with_capacity(CHUNK_BYTES));
        if !full.is_empty() {
            log.full.push(full);
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), RatingError> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => {
                let file = self.runtime.disk_manager.create_tmp_file(NAME)?;
                let writer = file.open_writer()?;
                let packer = Compressor::new(LEVEL)?;
                self.spill.insert(Spill { file, writer, bytes: 0, packer, packed: Vec::with_capacity(2 * CHUNK_BYTES) })
            }
        };
        for log in &mut self.logs {
            for chunk in log.full.drain(..) {
                spill.packed.clear();
                let packed_bytes = spill.packer.compress_to_buffer(&chunk, &mut spill.packed)?;
                spill.writer.write_all(&spill.packed)?;
                log.spilled.push(Extent { offset: spill.bytes, packed_bytes });
                spill.bytes += u64::try_from(packed_bytes).unwrap_or_default();
                self.memory.shrink(chunk.capacity().min(self.memory.size()));
            }
        }
        Ok(())
    }

    /// Ends writing.
    pub(crate) fn finish(self) -> Result<Logs, RatingError> {
        let file = match self.spill {
            None => None,
            Some(mut spill) => {
                spill.writer.flush()?;
                spill.writer.finish()?;
                Some(spill.file)
            }
        };
        Ok(Logs { logs: self.logs, file, _memory: self.memory })
    }
}

/// One worker's logs, complete.
pub(crate) struct Logs {
    logs: Vec<Log>,
    file: Option<Arc<dyn SpillFile>>,
    _memory: MemoryReservation,
}

impl Logs {
    /// Hands every chunk of one log to `each`.
    pub(crate) fn read(
        &self,
        at: usize,
        each: &mut dyn FnMut(&[u8]) -> Result<(), RatingError>,
    ) -> Result<(), RatingError> {
        let log = &self.logs[at];
        if let Some(spilled) = &self.file
            && !log.spilled.is_empty()
        {
            let path =
                spilled.path().ok_or_else(|| std::io::Error::other("the temporary files must be local to rate"))?;
            let mut file = File::open(path)?;
            let mut unpacker = Decompressor::new()?;
            let (mut packed, mut chunk) = (Vec::new(), Vec::with_capacity(CHUNK_BYTES));
            for extent in &log.spilled {
                packed.resize(extent.packed_bytes, 0);
                file.seek(SeekFrom::Start(extent.offset))?;
                file.read_exact(&mut packed)?;
                chunk.clear();
                unpacker.decompress_to_buffer(&packed, &mut chunk)?;
                each(&chunk)?;
            }
        }
        log.full.iter().chain(std::iter::once(&log.open)).try_for_each(|chunk| each(chunk))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    use super::super::groups::Records;
    use super::*;

    #[test]
    fn what_memory_does_not_hold_is_read_back_from_the_file() {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(1 << 20, 1.0).build_arc().expect("a runtime");
        let mut writer = LogWriter::new(&runtime);
        let records = 200_000_u32;
        for number in 0..records {
            let sums = [i128::from(number), -1, 0];
            let record = Record { key: [number, 7], mask: 0b011, rows: 1, sums: &sums };
            // Two logs take turns.
            writer.append(u64::from(number % 2) << 40, &record).expect("writes");
        }
        let logs = writer.finish().expect("seals");
        assert!(logs.logs[0].spilled.len() > 50, "5 MB must not fit 1 MB");
        let mut sum = 0_i128;
        let mut count = 0_u32;
        for part in 0..2 {
            logs.read(part, &mut |bytes| {
                let mut records = Records { bytes };
                let mut sums = [0; super::super::SUMS_MAX];
                while let Some(record) = records.next::<2>(&mut sums) {
                    assert_eq!((record.key[1], record.sums[1], record.sums[2]), (7, -1, 0));
                    sum += record.sums[0];
                    count += 1;
                }
                Ok(())
            })
            .expect("reads");
        }
        // 0 + 1 + ... + 199,999 = 200,000 x 199,999 / 2
        assert_eq!((count, sum), (records, 19_999_900_000));
    }
}
