//! Column chunks of one value.
//!
//! Rows of one owner in one delivery agree in about half of their columns: provider, account,
//! period, path, currencies, outcomes, the positions below the owner. Such a chunk needs no
//! encoder: it is a dictionary of one value and one run. Parquet's encoder would compare and hash
//! the value for every row, and set up a hash table and a compressor for every small row group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
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

/// An encoded column chunk and what its footer says of it.
pub(super) struct ConstantChunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// Encodes `rows` times the value in the only row of `value`, or null. `None` for types whose
/// single values are left to Parquet's encoder.
pub(super) fn encode(
    column: &ColumnDescPtr,
    with_statistics: bool,
    value: &ArrayRef,
    rows: usize,
) -> Result<Option<ConstantChunk>> {
    let Some(single) = Single::new(value) else {
        return Ok(None);
    };
    let rows = u32::try_from(rows).map_err(|_| ParquetError::General("too many rows for a page".to_owned()))?;
    let mut sink = TrackedWrite::new(Vec::new());
    let mut pages = SerializedPageWriter::new(&mut sink);
    let dictionary = single.plain.as_ref().map(|plain| write_dictionary(&mut pages, plain)).transpose()?;
    let data = write_run(&mut pages, column, single.plain.is_some(), rows)?;
    pages.close()?;

    let written = |size: fn(&PageWriteSpec) -> usize| {
        let bytes = dictionary.as_ref().map_or(0, size) + size(&data);
        i64::try_from(bytes).unwrap_or(i64::MAX)
    };
    let offset = |page: &PageWriteSpec| i64::try_from(page.offset).unwrap_or(i64::MAX);
    let mut metadata = ColumnChunkMetaData::builder(Arc::clone(column))
        .set_compression(Compression::UNCOMPRESSED)
        .set_encodings(match dictionary {
            Some(_) => vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY],
            None => vec![Encoding::PLAIN, Encoding::RLE],
        })
        .set_num_values(i64::from(rows))
        .set_total_compressed_size(written(|page| page.compressed_size))
        .set_total_uncompressed_size(written(|page| page.uncompressed_size))
        .set_dictionary_page_offset(dictionary.as_ref().map(offset))
        .set_data_page_offset(offset(&data));
    if with_statistics {
        metadata = metadata.set_statistics(single.statistics(rows));
    }
    let mut offset_index = OffsetIndexBuilder::new();
    offset_index.append_row_count(i64::from(rows));
    offset_index.append_offset_and_size(offset(&data), i32::try_from(data.compressed_size).unwrap_or(i32::MAX));
    let bytes = Bytes::from(sink.into_inner()?);
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: u64::from(rows),
        metadata: metadata.build()?,
        // Equal bounds say more than a filter.
        bloom_filter: None,
        // Bounds of the only page are those of the chunk.
        column_index: None,
        offset_index: Some(offset_index.build()),
    };
    Ok(Some(ConstantChunk { bytes, close }))
}

/// The value of all rows.
struct Single {
    /// The value in Parquet's plain encoding; absent when it is null.
    plain: Option<Vec<u8>>,
    bounds: Bounds,
}

/// The value as statistics have it.
enum Bounds {
    Int32(Option<i32>),
    Int64(Option<i64>),
    Text(Option<String>),
    /// Null counts only.
    Other,
}

impl Single {
    fn new(value: &ArrayRef) -> Option<Self> {
        let is_null = value.is_null(0);
        let valid = !is_null;
        let int32 = |number: i32| Self {
            plain: valid.then(|| number.to_le_bytes().to_vec()),
            bounds: Bounds::Int32(valid.then_some(number)),
        };
        let int64 = |number: i64| Self {
            plain: valid.then(|| number.to_le_bytes().to_vec()),
            bounds: Bounds::Int64(valid.then_some(number)),
        };
        Some(match value.data_type() {
            DataType::Utf8View => {
                let text = valid.then(|| value.as_string_view().value(0));
                Self { plain: text.map(plain_text).transpose().ok()?, bounds: Bounds::Text(text.map(str::to_owned)) }
            }
            DataType::Decimal128(..) => Self {
                plain: valid.then(|| value.as_primitive::<Decimal128Type>().value(0).to_be_bytes().to_vec()),
                bounds: Bounds::Other,
            },
            DataType::Timestamp(..) => int64(value.as_primitive::<TimestampMicrosecondType>().value(0)),
            DataType::Int64 => int64(value.as_primitive::<Int64Type>().value(0)),
            DataType::Date32 => int32(value.as_primitive::<Date32Type>().value(0)),
            DataType::Int32 => int32(value.as_primitive::<Int32Type>().value(0)),
            DataType::Boolean if is_null => Self { plain: None, bounds: Bounds::Other },
            _ => return None,
        })
    }

    fn statistics(&self, rows: u32) -> Statistics {
        let nulls = Some(if self.plain.is_none() { u64::from(rows) } else { 0 });
        match &self.bounds {
            Bounds::Int32(value) => Statistics::int32(*value, *value, None, nulls, false),
            Bounds::Int64(value) => Statistics::int64(*value, *value, None, nulls, false),
            Bounds::Text(text) => {
                let bounds = text.as_deref().and_then(|text| rounded(text, BOUND_BYTES_MAX));
                let is_exact = text.as_ref().is_some_and(|text| text.len() <= BOUND_BYTES_MAX);
                let (min, max) = bounds.unzip();
                let bytes = |text: String| ByteArray::from(text.into_bytes());
                let statistics = ValueStatistics::new(min.map(bytes), max.map(bytes), None, nulls, false);
                Statistics::ByteArray(statistics.with_min_is_exact(is_exact).with_max_is_exact(is_exact))
            }
            Bounds::Other => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
        }
    }
}

fn plain_text(text: &str) -> std::result::Result<Vec<u8>, std::num::TryFromIntError> {
    let length = u32::try_from(text.len())?;
    Ok([length.to_le_bytes().as_slice(), text.as_bytes()].concat())
}

fn write_dictionary(pages: &mut impl PageWriter, plain: &[u8]) -> Result<PageWriteSpec> {
    let page = Page::DictionaryPage {
        buf: Bytes::copy_from_slice(plain),
        num_values: 1,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    pages.write_page(CompressedPage::new(page, plain.len()))
}

/// The only data page: levels that say whether rows are null, then the place in the dictionary.
fn write_run(pages: &mut impl PageWriter, column: &ColumnDescPtr, has_value: bool, rows: u32) -> Result<PageWriteSpec> {
    let mut content = Vec::new();
    if column.max_def_level() > 0 {
        run(&mut content, rows, u8::from(has_value));
    }
    let levels = content.len();
    if has_value {
        // Places are one bit wide, and all are 0.
        content.push(1);
        run(&mut content, rows, 0);
    }
    let page = Page::DataPageV2 {
        num_values: rows,
        encoding: if has_value { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN },
        num_nulls: if has_value { 0 } else { rows },
        num_rows: rows,
        def_levels_byte_len: u32::try_from(levels).unwrap_or(u32::MAX),
        rep_levels_byte_len: 0,
        is_compressed: false,
        statistics: None,
        buf: content.into(),
    };
    let length = page.buffer().len();
    pages.write_page(CompressedPage::new(page, length))
}

/// A run of one value in Parquet's hybrid encoding: its length, doubled, in seven bits a byte,
/// then the value.
fn run(content: &mut Vec<u8>, length: u32, value: u8) {
    let mut header = u64::from(length) << 1;
    loop {
        let [low, ..] = header.to_le_bytes();
        header >>= 7;
        if header == 0 {
            content.push(low & 0x7f);
            break;
        }
        content.push(low | 0x80);
    }
    content.push(value);
}
