//! Transaction blocks: what `begin` starts and `commit` writes.
//!
//! A block reads the snapshot of its first statement plus its own changes and becomes one commit
//! at its end; it holds no lock while its user thinks.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::settings::Values;
use crate::catalog::SnapshotId;
use crate::reference::Overlay;
use crate::security::SessionError;

/// Where a session stands with its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// No block is open.
    Idle,
    /// Inside a block.
    Open,
    /// Inside a block in which a statement failed.
    Failed,
}

/// The block of a session.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Since when it is open.
    begun_at: Option<DateTime<Utc>>,
    open: bool,
    failed: bool,
    snapshot: Option<SnapshotId>,
    overlay: Arc<Overlay>,
    /// What was set when the block began.
    settings: Values,
    savepoints: Vec<Savepoint>,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    overlay: Arc<Overlay>,
    settings: Values,
}

impl Block {
    pub(crate) fn state(&self) -> TransactionState {
        match (self.open, self.failed) {
            (false, _) => TransactionState::Idle,
            (true, false) => TransactionState::Open,
            (true, true) => TransactionState::Failed,
        }
    }

    pub(crate) fn fail(&mut self) {
        self.failed = self.open;
    }

    /// What a failed block refuses.
    pub(crate) fn check_usable(&self) -> Result<(), SessionError> {
        if self.failed {
            return Err(SessionError::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Opens the block; false when one was open already.
    pub(crate) fn begin(&mut self, settings: &Values) -> bool {
        let was_open = self.open;
        if !was_open {
            *self = Self { begun_at: Some(Utc::now()), open: true, settings: settings.clone(), ..Self::default() };
        }
        !was_open
    }

    /// When the open block began.
    pub(crate) fn begun_at(&self) -> Option<DateTime<Utc>> {
        self.begun_at
    }

    /// The snapshot of the block's statements: that of its first one.
    pub(crate) fn snapshot(&mut self, head: SnapshotId) -> SnapshotId {
        if self.open { *self.snapshot.get_or_insert(head) } else { head }
    }

    pub(crate) fn overlay(&self) -> Arc<Overlay> {
        Arc::clone(&self.overlay)
    }

    pub(crate) fn set_overlay(&mut self, overlay: Overlay) {
        self.overlay = Arc::new(overlay);
    }

    /// Ends the block and gives what it changed, nothing when it had failed; and what was set when it began.
    pub(crate) fn end(&mut self) -> (Option<Arc<Overlay>>, Values) {
        let block = std::mem::take(self);
        ((!block.failed).then_some(block.overlay), block.settings)
    }

    pub(crate) fn savepoint(&mut self, name: &str, settings: &Values) -> Result<(), SessionError> {
        self.must_be_open("SAVEPOINT")?;
        let overlay = Arc::clone(&self.overlay);
        self.savepoints.push(Savepoint { name: name.to_owned(), overlay, settings: settings.clone() });
        Ok(())
    }

    pub(crate) fn release(&mut self, name: &str) -> Result<(), SessionError> {
        self.must_be_open("RELEASE SAVEPOINT")?;
        let at = self.find(name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Returns to a savepoint, and gives what was set at it.
    pub(crate) fn rollback_to(&mut self, name: &str) -> Result<Values, SessionError> {
        self.must_be_open("ROLLBACK TO SAVEPOINT")?;
        let at = self.find(name)?;
        self.savepoints.truncate(at + 1);
        let savepoint = &self.savepoints[at];
        self.overlay = Arc::clone(&savepoint.overlay);
        self.failed = false;
        Ok(savepoint.settings.clone())
    }

    fn must_be_open(&self, what: &str) -> Result<(), SessionError> {
        if self.open {
            Ok(())
        } else {
            Err(SessionError::new("25P01", format!("{what} can only be used in transaction blocks")))
        }
    }

    fn find(&self, name: &str) -> Result<usize, SessionError> {
        self.savepoints
            .iter()
            .rposition(|savepoint| savepoint.name == name)
            .ok_or_else(|| SessionError::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }
}
