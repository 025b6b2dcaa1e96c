//! Column chunks of one value.
//!
//! Rows of one owner in one delivery agree in about half of their columns: provider, account,
//! period, path, currencies, outcomes, the positions below the owner. Such a chunk needs no
//! encoder: it is a dictionary of one value and one run. Parquet's encoder would compare and hash
//! the value for every row, and set up a hash table and a compressor for every small row group.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::own_chunk::{self, Content, OwnChunk, plain_text, run, text_statistics};

/// Encodes `rows` times the value in the only row of `value`, or null. `None` for types whose
/// single values are left to Parquet's encoder.
pub(super) fn encode(
    column: &ColumnDescPtr,
    with_statistics: bool,
    value: &ArrayRef,
    rows: usize,
    level: i32,
) -> Result<Option<OwnChunk>> {
    let Some(single) = Single::new(value) else {
        return Ok(None);
    };
    let count = u32::try_from(rows).map_err(|_| own_chunk::too_long())?;
    let statistics = with_statistics.then(|| single.statistics(count));
    let (mut levels, mut places) = (Vec::new(), Vec::new());
    if column.max_def_level() > 0 {
        run(&mut levels, rows, u16::from(single.plain.is_some()), 1);
    }
    if single.plain.is_some() {
        // Places are one bit wide, and all are 0.
        places.push(1);
        run(&mut places, rows, 0, 1);
    }
    let nulls = if single.plain.is_some() { 0 } else { count };
    let content = Content { dictionary: single.plain.map(|plain| (plain, 1)), levels, places, rows: count, nulls };
    own_chunk::encode(column, content, statistics, level).map(Some)
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
                let plain = text.map(|text| {
                    let mut plain = Vec::new();
                    plain_text(text, &mut plain).map(|()| plain)
                });
                Self { plain: plain.transpose().ok()?, bounds: Bounds::Text(text.map(str::to_owned)) }
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
        let count = if self.plain.is_none() { u64::from(rows) } else { 0 };
        let nulls = Some(count);
        match &self.bounds {
            Bounds::Int32(value) => Statistics::int32(*value, *value, None, nulls, false),
            Bounds::Int64(value) => Statistics::int64(*value, *value, None, nulls, false),
            Bounds::Text(text) => text_statistics(text.as_deref().map(|text| (text, text)), count),
            Bounds::Other => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
        }
    }
}
