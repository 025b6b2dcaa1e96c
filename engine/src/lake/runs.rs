//! Rows that memory does not hold: sorted runs in a temporary file, merged when a writer finishes.
//!
//! An owner's rows come scattered over a whole delivery. Writing what there is of each whenever
//! memory is full would leave row groups of a few rows, and more of them the larger the delivery.
//! So what memory cannot hold goes to a run: batches in the order of their places, in Arrow's
//! stream format, columns of one value as one row, compressed: unpacked, a row has about a
//! kilobyte. Merging reads each once.

use std::fs::File;
use std::io::{self, Cursor, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::LakeError;
use super::batches::{Batches, HeldColumn, RowRef};
use super::cluster::{Place, Stretch};
use super::encode::in_parallel;
use super::local::discard;

/// Rows of a piece: of each run one piece at a time is in memory while runs are merged.
const PIECE_ROWS: usize = 1024;

/// The fastest of Zstandard's levels that packs: most bytes are the zeros of decimals.
const LEVEL: i32 = 1;

/// Consecutive rows of a run.
#[derive(Debug)]
struct Piece {
    stretches: Vec<Stretch>,
    offset: u64,
    packed_bytes: usize,
    /// Bytes of the columns with one value, then of the others, unpacked.
    bytes: [usize; 2],
    is_single: Vec<bool>,
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
            let selection = batches.select(chunks[number]);
            let columns = (0..self.schema.fields().len())
                .map(|column| HeldColumn::new(&selection.copy(column, 0..selection.len())?))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| self.failed(e))?;
            let is_single: Vec<bool> = columns.iter().map(HeldColumn::is_constant).collect();
            let mut content = Vec::new();
            self.encode(&mut content, &columns, 1, true).map_err(|e| self.failed(e))?;
            let singles = content.len();
            self.encode(&mut content, &columns, selection.len(), false).map_err(|e| self.failed(e))?;
            let packed = zstd::bulk::compress(&content, LEVEL).map_err(|e| self.io("write", e))?;
            let offset = self.append(&packed).map_err(|e| self.io("write", e))?;
            let bytes = [singles, content.len() - singles];
            let stretches = cut[number].clone();
            let piece = Piece { stretches, offset, packed_bytes: packed.len(), bytes, is_single };
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

    fn encode(
        &self,
        content: &mut Vec<u8>,
        columns: &[HeldColumn],
        rows: usize,
        single: bool,
    ) -> Result<(), ArrowError> {
        let chosen = self.schema.fields().iter().zip(columns).filter(|(_, column)| column.is_constant() == single);
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) =
            chosen.map(|(field, column)| (Arc::clone(field), Arc::clone(column.array()))).unzip();
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
        let mut writer = StreamWriter::try_new(content, &schema)?;
        writer.write(&batch)?;
        writer.finish()
    }

    fn read(&self, piece: &Piece) -> Result<Vec<HeldColumn>, LakeError> {
        let mut packed = vec![0; piece.packed_bytes];
        self.content_at(piece.offset, &mut packed).map_err(|e| self.io("read", e))?;
        let content =
            zstd::bulk::decompress(&packed, piece.bytes[0] + piece.bytes[1]).map_err(|e| self.io("read", e))?;
        let (singles, values) = content.split_at(piece.bytes[0]);
        let decode = |bytes: &[u8]| {
            let batch = StreamReader::try_new(Cursor::new(bytes), None)?.next();
            let missing = || ArrowError::IpcError("a piece without a batch".to_owned());
            Ok(batch.ok_or_else(missing)??.columns().to_vec().into_iter())
        };
        let decoded = decode(singles).and_then(|singles| Ok((singles, decode(values)?)));
        let (mut singles, mut values) = decoded.map_err(|e| self.failed(e))?;
        let held = piece.is_single.iter().filter_map(|single| {
            let array = if *single { singles.next() } else { values.next() };
            array.map(|array| HeldColumn::known(array, *single))
        });
        Ok(held.collect())
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
