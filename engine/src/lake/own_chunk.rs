//! Column chunks that Parquet's encoder does not make: a dictionary and one data page.
//!
//! Parquet's encoder hashes and compares the value of every row. Where it is known which values a chunk has, and which row has
//! which, there is nothing to hash.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::stats::rounded;

/// Bytes of a text in statistics at most; Parquet's encoder cuts at the same length.
const BOUND_BYTES_MAX: usize = 64;

/// Bytes from which on a chunk is compressed, and from which on with Zstandard: setting up its context, to write and again to read,
/// takes longer than a small chunk.
const SNAPPY_BYTES_MIN: usize = 256;
const ZSTD_BYTES_MIN: usize = 16 << 10;

/// How a chunk is compressed.
#[derive(Debug, Clone, Copy)]
enum Packing {
    Plain,
    Snappy,
    Zstd(i32),
}

impl Packing {
    fn of(bytes: usize, level: i32) -> Self {
        match bytes {
            ZSTD_BYTES_MIN.. => Self::Zstd(level),
            SNAPPY_BYTES_MIN.. => Self::Snappy,
            _ => Self::Plain,
        }
    }

    fn pack(self, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Plain => bytes.to_vec(),
            Self::Snappy => snap::raw::Encoder::new()
                .compress_vec(bytes)
                .map_err(|error| ParquetError::External(Box::new(error)))?,
            Self::Zstd(level) => zstd::bulk::compress(bytes, level)?,
        })
    }

    fn compression(self) -> Result<Compression> {
        Ok(match self {
            Self::Plain => Compression::UNCOMPRESSED,
            Self::Snappy => Compression::SNAPPY,
            Self::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level)?),
        })
    }
}

/// An encoded column chunk and what its footer says of it.
pub(super) struct OwnChunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// What a chunk holds.
pub(super) struct Content {
    /// The values in Parquet's plain encoding, and how many; absent when all rows are null.
    pub(super) dictionary: Option<(Vec<u8>, u32)>,
    /// For each row whether it has a value, in the hybrid encoding; empty for a column without nulls.
    pub(super) levels: Vec<u8>,
    /// The width of places, then for each row with a value its place in the dictionary, in the hybrid encoding.
    pub(super) places: Vec<u8>,
    pub(super) rows: u32,
    pub(super) nulls: u32,
}

/// Encodes a chunk, compressed at a Zstandard level where that is worth it.
pub(super) fn encode(
    column: &ColumnDescPtr,
    content: Content,
    statistics: Option<Statistics>,
    level: i32,
) -> Result<OwnChunk> {
    let Content { dictionary, levels, places, rows, nulls } = content;
    let bytes = dictionary.as_ref().map_or(0, |(plain, _)| plain.len()) + places.len();
    let packing = Packing::of(bytes, level);
    let mut sink = TrackedWrite::new(Vec::new());
    let mut pages = SerializedPageWriter::new(&mut sink);
    let has_values = dictionary.is_some();
    let dictionary = match dictionary {
        Some((plain, num_values)) => {
            let buf = Bytes::from(packing.pack(&plain)?);
            let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
            Some(pages.write_page(CompressedPage::new(page, plain.len()))?)
        }
        None => None,
    };
    let size = levels.len() + places.len();
    let def_levels_byte_len = u32::try_from(levels.len()).map_err(|_| too_long())?;
    let page = Page::DataPageV2 {
        num_values: rows,
        encoding: if has_values { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN },
        num_nulls: nulls,
        num_rows: rows,
        def_levels_byte_len,
        rep_levels_byte_len: 0,
        is_compressed: !matches!(packing, Packing::Plain),
        statistics: None,
        // Levels are never compressed.
        buf: [levels, packing.pack(&places)?].concat().into(),
    };
    let data = pages.write_page(CompressedPage::new(page, size))?;
    pages.close()?;

    let written = |size: fn(&PageWriteSpec) -> usize| {
        let bytes = dictionary.as_ref().map_or(0, size) + size(&data);
        i64::try_from(bytes).unwrap_or(i64::MAX)
    };
    let offset = |page: &PageWriteSpec| i64::try_from(page.offset).unwrap_or(i64::MAX);
    let mut metadata = ColumnChunkMetaData::builder(Arc::clone(column))
        .set_compression(packing.compression()?)
        .set_encodings(match dictionary {
            Some(_) => vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY],
            None => vec![Encoding::PLAIN, Encoding::RLE],
        })
        .set_num_values(i64::from(rows))
        .set_total_compressed_size(written(|page| page.compressed_size))
        .set_total_uncompressed_size(written(|page| page.uncompressed_size))
        .set_dictionary_page_offset(dictionary.as_ref().map(offset))
        .set_data_page_offset(offset(&data));
    if let Some(statistics) = statistics {
        metadata = metadata.set_statistics(statistics);
    }
    let mut offset_index = OffsetIndexBuilder::new();
    offset_index.append_row_count(i64::from(rows));
    offset_index.append_offset_and_size(offset(&data), i32::try_from(data.compressed_size).unwrap_or(i32::MAX));
    let bytes = Bytes::from(sink.into_inner()?);
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: u64::from(rows),
        metadata: metadata.build()?,
        bloom_filter: None,
        // Bounds of the only page are those of the chunk.
        column_index: None,
        offset_index: Some(offset_index.build()),
    };
    Ok(OwnChunk { bytes, close })
}

/// The bounds of texts as statistics have them.
pub(super) fn text_statistics(bounds: Option<(&str, &str)>, nulls: u64) -> Statistics {
    let bytes = |text: String| ByteArray::from(text.into_bytes());
    let lower = bounds.and_then(|(min, _)| rounded(min, BOUND_BYTES_MAX)).map(|(lower, _)| bytes(lower));
    let upper = bounds.and_then(|(_, max)| rounded(max, BOUND_BYTES_MAX)).map(|(_, upper)| bytes(upper));
    let is_exact = |text: Option<&str>| text.is_some_and(|text| text.len() <= BOUND_BYTES_MAX);
    let statistics = ValueStatistics::new(lower, upper, None, Some(nulls), false)
        .with_min_is_exact(is_exact(bounds.map(|(min, _)| min)))
        .with_max_is_exact(is_exact(bounds.map(|(_, max)| max)));
    Statistics::ByteArray(statistics)
}

/// Appends a text in plain encoding.
pub(super) fn plain_text(text: &str, plain: &mut Vec<u8>) -> Result<()> {
    let length = u32::try_from(text.len()).map_err(|_| too_long())?;
    plain.extend_from_slice(&length.to_le_bytes());
    plain.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(super) fn too_long() -> ParquetError {
    ParquetError::General("too much for one page".to_owned())
}

/// Appends a run of one value in Parquet's hybrid encoding: its length, doubled, then the value in as many bytes as its width needs.
pub(super) fn run(content: &mut Vec<u8>, length: usize, value: u16, width: u8) {
    header(content, (length as u64) << 1);
    content.extend_from_slice(&value.to_le_bytes()[..usize::from(width.div_ceil(8)).max(1)]);
}

/// Appends numbers of at most `width` bits in Parquet's hybrid encoding: long runs of one number as such, what is between them
/// bit by bit, in groups of eight.
pub(super) fn hybrid(content: &mut Vec<u8>, numbers: &[u16], width: u8) {
    const RUN_MIN: usize = 24;
    let (mut begin, mut at) = (0, 0);
    while at < numbers.len() {
        let same = numbers[at..].iter().take_while(|number| **number == numbers[at]).count();
        if same >= RUN_MIN {
            packed(content, &numbers[begin..at], width);
            run(content, same, numbers[at], width);
            at += same;
            begin = at;
        } else {
            at = numbers.len().min(at + 8);
        }
    }
    packed(content, &numbers[begin..], width);
}

/// Only the last group of a page may be filled up with zeros.
fn packed(content: &mut Vec<u8>, numbers: &[u16], width: u8) {
    if numbers.is_empty() {
        return;
    }
    let groups = numbers.len().div_ceil(8);
    header(content, ((groups as u64) << 1) | 1);
    let end = content.len() + groups * usize::from(width);
    let (mut bits, mut count) = (0_u64, 0);
    for number in numbers {
        bits |= u64::from(*number) << count;
        count += u32::from(width);
        while count >= 8 {
            content.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        content.push(bits.to_le_bytes()[0]);
    }
    content.resize(end, 0);
}

/// A number in seven bits a byte, the lowest first.
fn header(content: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            content.push(low & 0x7f);
            break;
        }
        content.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_as_the_format_says() {
        // The example of the specification: 0 to 7 in three bits, https://parquet.apache.org/docs/file-format/data-pages/encodings/.
        let mut content = Vec::new();
        hybrid(&mut content, &[0, 1, 2, 3, 4, 5, 6, 7], 3);
        assert_eq!(content, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        // Eight numbers, thirty times 300, then three that are filled up.
        let mut content = Vec::new();
        let numbers = [vec![1; 8], vec![300; 30], vec![1, 2, 3]].concat();
        hybrid(&mut content, &numbers, 9);
        // 300 is 0x012c; 1, 2 and 3 in nine bits each, 0x00c0_0401.
        let expected =
            [&[0b11, 1, 2, 4, 8, 16, 32, 64, 128, 0][..], &[60, 0x2c, 1], &[0b11, 1, 4, 0xc, 0, 0, 0, 0, 0, 0]];
        assert_eq!(content, expected.concat());
    }
}
