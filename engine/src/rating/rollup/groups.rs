//! Groups of a roll-up: a hash table over keys of numbers, and records as bytes.

use hashbrown::HashTable;

use super::{SUMS_MAX, add};
use crate::rating::error::RatingError;

/// One row or one group: its key, which sums it has, how many rows it is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a, const K: usize> {
    pub(crate) key: [u32; K],
    pub(crate) mask: u16,
    pub(crate) rows: i64,
    pub(crate) sums: &'a [i128],
}

/// Bytes of a record before its sums and after its key: how many sums, which, rows.
const HEAD_BYTES: usize = 1 + 2 + 8;

impl<const K: usize> Record<'_, K> {
    /// No record is longer.
    pub(crate) const BYTES_MAX: usize = K * 4 + HEAD_BYTES + SUMS_MAX * 16;

    /// Appends the record; sums that are null take no space.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for number in self.key {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(u8::try_from(self.sums.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&self.mask.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        for (place, sum) in self.sums.iter().enumerate() {
            if self.mask & 1 << place != 0 {
                out.extend_from_slice(&sum.to_le_bytes());
            }
        }
    }
}

/// Reads records back, one after the other.
pub(crate) struct Records<'a> {
    pub(crate) bytes: &'a [u8],
}

impl Records<'_> {
    /// The next record, its sums put into `sums`; none at the end.
    pub(crate) fn next<'s, const K: usize>(&mut self, sums: &'s mut [i128; SUMS_MAX]) -> Option<Record<'s, K>> {
        let mut key = [0; K];
        for number in &mut key {
            *number = u32::from_le_bytes(self.take()?);
        }
        let [len] = self.take()?;
        let mask = u16::from_le_bytes(self.take()?);
        let rows = i64::from_le_bytes(self.take()?);
        let len = usize::from(len);
        for (place, sum) in sums.iter_mut().enumerate().take(len) {
            *sum = if mask & 1 << place == 0 { 0 } else { i128::from_le_bytes(self.take()?) };
        }
        Some(Record { key, mask, rows, sums: &sums[..len] })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*head)
    }
}

#[derive(Debug, Clone, Copy)]
struct Group {
    hash: u64,
    first_sum: usize,
    sums: usize,
    mask: u16,
    rows: i64,
}

/// Groups with their sums.
#[derive(Debug)]
pub(crate) struct Groups<const K: usize> {
    table: HashTable<usize>,
    keys: Vec<[u32; K]>,
    groups: Vec<Group>,
    sums: Vec<i128>,
}

impl<const K: usize> Groups<K> {
    pub(crate) fn new() -> Self {
        Self { table: HashTable::new(), keys: Vec::new(), groups: Vec::new(), sums: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Adds a record to its group.
    #[inline]
    pub(crate) fn merge(&mut self, hash: u64, record: &Record<'_, K>) -> Result<(), RatingError> {
        let (keys, groups) = (&self.keys, &self.groups);
        let found = self.table.find(hash, |at| keys[*at] == record.key);
        let Some(at) = found.copied() else {
            let at = groups.len();
            self.table.insert_unique(hash, at, |at| groups[*at].hash);
            self.keys.push(record.key);
            self.groups.push(Group {
                hash,
                first_sum: self.sums.len(),
                sums: record.sums.len(),
                mask: record.mask,
                rows: record.rows,
            });
            self.sums.extend_from_slice(record.sums);
            return Ok(());
        };
        let group = &mut self.groups[at];
        group.rows += record.rows;
        group.mask |= record.mask;
        let held = &mut self.sums[group.first_sum..group.first_sum + group.sums];
        for (sum, more) in held.iter_mut().zip(record.sums) {
            *sum = add(*sum, *more)?;
        }
        Ok(())
    }

    /// The group at a place.
    pub(crate) fn get(&self, at: usize) -> Record<'_, K> {
        let group = &self.groups[at];
        Record {
            key: self.keys[at],
            mask: group.mask,
            rows: group.rows,
            sums: &self.sums[group.first_sum..group.first_sum + group.sums],
        }
    }

    /// Hands over every group and forgets them.
    pub(crate) fn drain(
        &mut self,
        mut take: impl FnMut(&Record<'_, K>) -> Result<(), RatingError>,
    ) -> Result<(), RatingError> {
        for at in 0..self.len() {
            take(&self.get(at))?;
        }
        self.clear();
        Ok(())
    }

    /// Forgets all groups, keeping the room.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.keys.clear();
        self.groups.clear();
        self.sums.clear();
    }
}
