//! The reference rows that charges were rated by.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::{CatalogError, KUBERNETES_ALLOCATIONS, METRICS, SnapshotId};
use crate::error::Error;
use crate::rating::RateBook;
use crate::warehouse::Core;

/// Compiled books that are kept at a time.
const HELD_MAX: usize = 4;

/// The books of the snapshots at which charges were rated; those between which nothing changed that a book is made of are one.
pub(super) struct Books {
    core: Arc<Core>,
    held: Mutex<Held>,
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Books")
    }
}

#[derive(Default)]
struct Held {
    /// The snapshots that changed something, in order; none before they are asked for.
    changes: Option<Vec<SnapshotId>>,
    /// Each with how many of these came before it; the last one asked for is the last.
    books: Vec<(usize, Arc<RateBook>)>,
}

impl Books {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core), held: Mutex::default() }
    }

    /// The book of a snapshot.
    pub(super) fn of(&self, snapshot: SnapshotId) -> Result<Arc<RateBook>, Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Held { changes, books } = &mut *held;
        if changes.is_none() {
            *changes = Some(self.changes()?);
        }
        let before = changes.as_deref().unwrap_or_default().partition_point(|change| *change <= snapshot);
        let book = match books.iter().position(|(at, _)| *at == before) {
            Some(place) => books.remove(place).1,
            None => self.core.book(snapshot)?,
        };
        if books.len() >= HELD_MAX {
            books.remove(0);
        }
        books.push((before, Arc::clone(&book)));
        Ok(book)
    }

    /// The snapshots that changed reference rows, or what drivers are measured by.
    fn changes(&self) -> Result<Vec<SnapshotId>, Error> {
        let sql = format!(
            "select distinct snapshot_id from snapshot_change where relation like 'ref%' or relation in ('{}', '{}') order by snapshot_id",
            METRICS.name, KUBERNETES_ALLOCATIONS.name
        );
        let rows = self.core.read_rows(&sql, &[])?;
        Ok(rows.iter().map(|row| row.int(0)).collect::<Result<_, CatalogError>>()?)
    }
}
