//! Rows that memory does not hold: sorted runs in a temporary file, merged when a writer finishes.
//!
//! An owner's rows come scattered over a whole delivery. Writing what there is of each whenever
//! memory is full would leave row groups of a few rows, and more of them the larger the delivery.
//! So what memory cannot hold goes to a run: rows in the order of their places, in pieces that
//! merging reads once each.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::LakeError;
use super::batches::{Batches, HeldColumn, RowRef};
use super::cluster::{Place, Stretch};
use super::encode::in_parallel;
use super::local::discard;
use super::piece::{Form, PIECE_ROWS, pack, unpack};

/// Consecutive rows of a run.
#[derive(Debug)]
struct Piece {
    stretches: Vec<Stretch>,
    offset: u64,
    bytes: usize,
    form: Form,
}

/// The temporary file. Threads make and read pieces at the same time and use the file one after the other.
#[derive(Debug)]
struct Content {
    file: File,
    end: u64,
}

/// The runs of one writer.
#[derive(Debug)]
pub(super) struct Runs {
    table: &'static str,
    schema: SchemaRef,
    path: PathBuf,
    content: Mutex<Content>,
    pieces: Vec<Piece>,
}

impl Drop for Runs {
    fn drop(&mut self) {
        discard(&self.path);
    }
}

impl Runs {
    /// Begins a temporary file.
    pub(super) fn begin(table: &'static str, schema: &SchemaRef, path: PathBuf) -> Result<Self, LakeError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| LakeError::io("create", &path, e))?;
        let content = Mutex::new(Content { file, end: 0 });
        Ok(Self { table, schema: Arc::clone(schema), path, content, pieces: Vec::new() })
    }

    /// Adds a run: `rows` are in the order of the `stretches` that they make up.
    pub(super) fn add(
        &mut self,
        batches: &Batches,
        stretches: &[Stretch],
        rows: &[RowRef],
        threads: usize,
    ) -> Result<(), LakeError> {
        let chunks: Vec<&[RowRef]> = rows.chunks(PIECE_ROWS).collect();
        let cut = cut(stretches);
        let written: Vec<Mutex<Option<Piece>>> = chunks.iter().map(|_| Mutex::default()).collect();
        in_parallel(threads, chunks.len(), self.table, |number| {
            let packed = pack(&batches.select(chunks[number]), &self.schema).map_err(|e| self.failed(e))?;
            let offset = self.append(&packed.bytes).map_err(|e| self.io("write", e))?;
            let stretches = cut[number].clone();
            let piece = Piece { stretches, offset, bytes: packed.bytes.len(), form: packed.form };
            *written[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(piece);
            Ok(())
        })?;
        self.pieces
            .extend(written.into_iter().filter_map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner)));
        Ok(())
    }

    /// Ends writing: pieces come back in the order of their first places.
    pub(super) fn merge(mut self) -> Merge {
        self.pieces.sort_by_key(|piece| piece.stretches.first().map(|stretch| stretch.place));
        Merge { runs: self, next: 0 }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = content.end;
        content.file.seek(SeekFrom::Start(offset))?;
        content.file.write_all(bytes)?;
        content.end += bytes.len() as u64;
        Ok(offset)
    }

    fn content_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.file.seek(SeekFrom::Start(offset))?;
        content.file.read_exact(bytes)
    }

    fn read(&self, piece: &Piece) -> Result<Vec<HeldColumn>, LakeError> {
        let mut bytes = vec![0; piece.bytes];
        self.content_at(piece.offset, &mut bytes).map_err(|e| self.io("read", e))?;
        unpack(&bytes, &piece.form).map_err(|e| self.failed(e))
    }

    fn failed(&self, source: ArrowError) -> LakeError {
        LakeError::Cluster { table: self.table, source }
    }

    fn io(&self, action: &'static str, source: io::Error) -> LakeError {
        LakeError::io(action, &self.path, source)
    }
}

/// Runs that are read back.
#[derive(Debug)]
pub(super) struct Merge {
    runs: Runs,
    next: usize,
}

/// The columns of a piece and the places of its rows.
pub(super) type Read<'a> = (Vec<HeldColumn>, &'a [Stretch]);

impl Merge {
    /// Reads the next pieces, as many as there are threads; none at the end.
    pub(super) fn read(&mut self, threads: usize) -> Result<Vec<Read<'_>>, LakeError> {
        let first = self.next;
        self.next = self.runs.pieces.len().min(first + threads);
        let runs = &self.runs;
        let pieces = &runs.pieces[first..self.next];
        let read: Vec<Mutex<Vec<HeldColumn>>> = pieces.iter().map(|_| Mutex::default()).collect();
        in_parallel(threads, pieces.len(), runs.table, |number| {
            let columns = runs.read(&pieces[number])?;
            *read[number].lock().unwrap_or_else(PoisonError::into_inner) = columns;
            Ok(())
        })?;
        let columns = read.into_iter().map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(columns.zip(pieces.iter().map(|piece| piece.stretches.as_slice())).collect())
    }

    /// No row of a place before this one is still to come; none when no row is.
    pub(super) fn frontier(&self) -> Option<Place> {
        self.runs.pieces.get(self.next)?.stretches.first().map(|stretch| stretch.place)
    }
}

/// Cuts stretches at the ends of pieces.
fn cut(stretches: &[Stretch]) -> Vec<Vec<Stretch>> {
    let mut pieces: Vec<Vec<Stretch>> = Vec::new();
    let mut room = 0;
    for stretch in stretches {
        let mut left = stretch.rows;
        while left > 0 {
            if room == 0 {
                pieces.push(Vec::new());
                room = PIECE_ROWS;
            }
            let rows = left.min(room);
            if let Some(piece) = pieces.last_mut() {
                piece.push(Stretch { place: stretch.place, rows });
            }
            left -= rows;
            room -= rows;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_end_where_pieces_do() {
        let stretch = |group, rows| Stretch { place: (0, group), rows };
        let pieces = cut(&[stretch(1, 1000), stretch(2, 2000), stretch(3, 96)]);
        let rows: Vec<Vec<(u32, usize)>> =
            pieces.iter().map(|piece| piece.iter().map(|s| (s.place.1, s.rows)).collect()).collect();
        // 1000 + 2000 + 96 = 1024 + 1024 + 1024 + 24
        assert_eq!(rows, [vec![(1, 1000), (2, 24)], vec![(2, 1024)], vec![(2, 952), (3, 72)], vec![(3, 24)]]);
    }
}
