//! Rows sorted into the row groups they belong to, while they wait in memory.

use std::collections::BTreeSet;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::batches::{Batches, RowRef};

/// Rows of a batch made by [`Clusters::compact`].
const COMPACT_ROWS: usize = 32_768;

/// Where a row goes: its file, then its row-group owner.
pub(super) type Place = (u32, u32);

/// Rows that go into one or more row groups of one owner in one file.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) place: Place,
    pub(super) rows: Vec<RowRef>,
}

/// All rows of a writer that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    pub(super) batches: Batches,
    waiting: HashMap<Place, Vec<RowRef>>,
    rows: usize,
}

impl Clusters {
    /// Bytes held, with what it costs to remember each row's place.
    pub(super) fn bytes(&self) -> usize {
        self.batches.bytes() + self.rows * size_of::<RowRef>()
    }

    /// Rows held.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The files that rows wait for.
    pub(super) fn files(&self) -> BTreeSet<u32> {
        self.waiting.keys().map(|(file, _)| *file).collect()
    }

    /// Adds a batch. The three lengths are equal.
    pub(super) fn push(&mut self, columns: &[ArrayRef], files: &[u32], groups: &[u32]) -> Result<(), ArrowError> {
        let batch = self.batches.hold(columns)?;
        let mut places = files.iter().copied().zip(groups.iter().copied()).zip(0_u32..).peekable();
        // Neighbours mostly go to the same place: look it up once for all of them.
        while let Some((place, row)) = places.next() {
            let rows = self.waiting.entry(place).or_default();
            rows.push(RowRef { batch, row });
            while let Some((_, row)) = places.next_if(|(next, _)| *next == place) {
                rows.push(RowRef { batch, row });
            }
        }
        self.rows += files.len();
        Ok(())
    }

    /// Takes whole row groups from every place that has some, the rows that waited longest first.
    pub(super) fn take_full(&mut self, row_group_rows: usize) -> Vec<Cluster> {
        let mut taken = Vec::new();
        for (place, rows) in &mut self.waiting {
            let whole = rows.len() - rows.len() % row_group_rows;
            if whole > 0 {
                let rest = rows.split_off(whole);
                taken.push(Cluster { place: *place, rows: std::mem::replace(rows, rest) });
            }
        }
        self.taken(taken)
    }

    /// Takes the places with most rows until at most `rows_left` remain.
    pub(super) fn take_largest(&mut self, rows_left: usize) -> Vec<Cluster> {
        let mut places: Vec<(usize, Place)> = self.waiting.iter().map(|(place, rows)| (rows.len(), *place)).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = self.rows;
        let enough = places.iter().position(|(rows, _)| {
            let is_enough = left <= rows_left;
            left -= rows;
            is_enough
        });
        places.truncate(enough.unwrap_or(places.len()));
        let taken = places.into_iter().filter_map(|(_, place)| {
            let rows = self.waiting.remove(&place)?;
            Some(Cluster { place, rows })
        });
        let taken = taken.collect();
        self.taken(taken)
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Cluster> {
        self.take_largest(0)
    }

    /// Puts clusters into the order of their places, which does not depend on hashing.
    fn taken(&mut self, mut clusters: Vec<Cluster>) -> Vec<Cluster> {
        clusters.retain(|cluster| !cluster.rows.is_empty());
        clusters.sort_unstable_by_key(|cluster| cluster.place);
        self.rows -= clusters.iter().map(|cluster| cluster.rows.len()).sum::<usize>();
        self.waiting.retain(|_, rows| !rows.is_empty());
        clusters
    }

    /// Lets go of what written rows occupied.
    pub(super) fn release(&mut self, written: &[Cluster]) {
        written.iter().for_each(|cluster| self.batches.release(&cluster.rows));
    }

    /// Copies the remaining rows into batches of their own, in the order of their places, and lets
    /// go of all batches that came in.
    pub(super) fn compact(&mut self, columns: usize) -> Result<(), ArrowError> {
        let mut waiting: Vec<(Place, Vec<RowRef>)> = self.waiting.drain().collect();
        waiting.sort_unstable_by_key(|(place, _)| *place);
        let rows: Vec<RowRef> = waiting.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
        let mut compacted = Batches::default();
        let mut moved = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(COMPACT_ROWS) {
            let selection = self.batches.select(chunk);
            let copies: Vec<ArrayRef> =
                (0..columns).map(|column| selection.copy(column, 0..chunk.len())).collect::<Result<_, _>>()?;
            let batch = compacted.hold(&copies)?;
            moved.extend((0_u32..).take(chunk.len()).map(|row| RowRef { batch, row }));
        }
        let mut moved = moved.into_iter();
        for (place, rows) in waiting {
            self.waiting.insert(place, moved.by_ref().take(rows.len()).collect());
        }
        self.batches = compacted;
        Ok(())
    }
}
