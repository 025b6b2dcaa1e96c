//! Rows sorted into the row groups they belong to, while they wait in memory.

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use super::batches::{Batches, HeldColumn, RowRef};
use super::order::order_of_batch;

/// Where a row goes: its file, then its row-group owner.
pub(super) type Place = (u32, u32);

/// Consecutive rows of one place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) place: Place,
    pub(super) rows: usize,
}

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
    ///
    /// Its rows are put in the order in which they will be written: while the batch is in the processor's cache that costs little,
    /// and later rows are collected in stretches and not one by one from everywhere.
    pub(super) fn push(
        &mut self,
        columns: &[ArrayRef],
        (files, groups): (&[u32], &[u32]),
        sort: [usize; 2],
    ) -> Result<(), ArrowError> {
        let mut columns = columns.iter().map(HeldColumn::new).collect::<Result<Vec<_>, _>>()?;
        let place_of = |row: u32| (files[row as usize], groups[row as usize]);
        let order = order_of_batch(&columns, sort, files.len(), place_of)?;
        if !order.is_sorted() {
            let rows = UInt32Array::from_iter_values(order.iter().copied());
            columns = columns.into_iter().map(|column| column.reordered(&rows)).collect::<Result<_, _>>()?;
        }
        let batch = self.batches.keep(columns, files.len())?;
        let mut places = order.iter().map(|row| place_of(*row)).zip(0_u32..).peekable();
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

    /// Adds rows that were read back: `columns` of consecutive rows, which `stretches` place.
    pub(super) fn push_held(&mut self, columns: Vec<HeldColumn>, stretches: &[Stretch]) -> Result<(), ArrowError> {
        let rows = stretches.iter().map(|stretch| stretch.rows).sum();
        let batch = self.batches.keep(columns, rows)?;
        let mut numbers = (0_u32..).map(|row| RowRef { batch, row });
        for stretch in stretches {
            self.waiting.entry(stretch.place).or_default().extend(numbers.by_ref().take(stretch.rows));
        }
        self.rows += rows;
        Ok(())
    }

    /// Takes every place that has at least so many rows.
    pub(super) fn take_large(&mut self, rows_min: usize) -> Vec<Cluster> {
        self.take(|_, rows| rows.len() >= rows_min)
    }

    /// Takes the places before `frontier`.
    pub(super) fn take_before(&mut self, frontier: Place) -> Vec<Cluster> {
        self.take(|place, _| *place < frontier)
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Cluster> {
        self.take(|_, _| true)
    }

    /// Takes places, in their order, which does not depend on hashing.
    fn take(&mut self, which: impl Fn(&Place, &[RowRef]) -> bool) -> Vec<Cluster> {
        let taken = self.waiting.extract_if(|place, rows| which(place, rows));
        let mut clusters: Vec<Cluster> = taken.map(|(place, rows)| Cluster { place, rows }).collect();
        clusters.sort_unstable_by_key(|cluster| cluster.place);
        self.rows -= clusters.iter().map(|cluster| cluster.rows.len()).sum::<usize>();
        clusters
    }

    /// Lets go of what written rows occupied.
    pub(super) fn release(&mut self, written: &[Cluster]) {
        written.iter().for_each(|cluster| self.batches.release(&cluster.rows));
    }
}
