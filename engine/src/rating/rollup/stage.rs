//! Groups on their way to logs: a small table merges what comes close together.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use hashbrown::DefaultHashBuilder;

use super::groups::{Groups, Record};
use super::log::{LogWriter, Logs};
use crate::rating::error::RatingError;

/// Groups of one worker that are merged before they are logged.
const GROUPS_MAX: usize = 1 << 12;
/// Rows that go past a table that merges nothing, before it is tried again.
const BYPASS_ROWS: usize = 1 << 18;

/// One worker's groups with keys of `K` numbers.
#[derive(Debug)]
pub(super) struct Stage<const K: usize> {
    groups: Groups<K>,
    logs: LogWriter,
    /// Rows that came since the table was last emptied.
    added: usize,
    /// Rows that go past the table, because it merged too few of those before.
    bypass: usize,
}

impl<const K: usize> Stage<K> {
    pub(super) fn new(runtime: &Arc<RuntimeEnv>) -> Self {
        Self { groups: Groups::new(), logs: LogWriter::new(runtime), added: 0, bypass: 0 }
    }

    /// Adds a record; the hash of what `part` makes of its key chooses the log.
    #[inline]
    pub(super) fn add<P: Hash>(
        &mut self,
        record: &Record<'_, K>,
        hasher: &DefaultHashBuilder,
        part: impl Fn(&[u32; K]) -> P,
    ) -> Result<(), RatingError> {
        if self.bypass > 0 {
            self.bypass -= 1;
            return self.logs.append(hasher.hash_one(part(&record.key)), record);
        }
        self.added += 1;
        self.groups.merge(hasher.hash_one(record.key), record)?;
        if self.groups.len() >= GROUPS_MAX {
            // A table that merges less than one row in five only costs.
            if self.added < self.groups.len() + self.groups.len() / 4 {
                self.bypass = BYPASS_ROWS;
            }
            self.flush(hasher, part)?;
        }
        Ok(())
    }

    fn flush<P: Hash>(
        &mut self,
        hasher: &DefaultHashBuilder,
        part: impl Fn(&[u32; K]) -> P,
    ) -> Result<(), RatingError> {
        self.added = 0;
        let logs = &mut self.logs;
        self.groups.drain(|record| logs.append(hasher.hash_one(part(&record.key)), record))
    }

    /// The logs of everything that was added.
    pub(super) fn finish<P: Hash>(
        mut self,
        hasher: &DefaultHashBuilder,
        part: impl Fn(&[u32; K]) -> P,
    ) -> Result<Logs, RatingError> {
        self.flush(hasher, part)?;
        self.logs.finish()
    }
}
