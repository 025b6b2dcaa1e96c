//! The identity of provider lines: a hash of what a line says, and a count of equal lines.
//!
//! Made at landing and kept with the row, so that a charge keeps its id when the same line comes
//! again in a newer delivery, and no id depends on lines of others.

use std::hash::Hasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};
use siphasher::sip::SipHasher13;

/// Columns that say where a row was found, not what it says.
const PLACE: [&str; 5] = ["delivery_id", "source_file", "source_row", "line_key", "line_no"];

/// Parts of the set of lines seen: each grows by itself, so that growing never needs the whole set twice.
const PARTS: usize = 256;

/// Counts equal lines over one delivery, in about ten bytes a line.
#[derive(Debug)]
pub(super) struct LineIdentity {
    seen: Vec<HashTable<i64>>,
    /// Lines that came again, and how often.
    again: HashMap<i64, i32>,
}

impl Default for LineIdentity {
    fn default() -> Self {
        Self { seen: vec![HashTable::new(); PARTS], again: HashMap::new() }
    }
}

impl LineIdentity {
    /// Fills `delivery_id`, `line_key` and `line_no` of a batch of usage. Batches must come in
    /// the order of the delivery's rows.
    pub(super) fn fill(&mut self, usage: &RecordBatch, delivery_id: i64) -> Result<RecordBatch, ArrowError> {
        let rows = usage.num_rows();
        let mut hashers = vec![SipHasher13::new(); rows];
        let schema = usage.schema();
        for (field, column) in schema.fields().iter().zip(usage.columns()) {
            if PLACE.contains(&field.name().as_str()) || column.null_count() == rows {
                continue;
            }
            add(field.name(), column, &mut hashers)?;
        }
        let mut keys = Vec::with_capacity(rows);
        let mut numbers = Vec::with_capacity(rows);
        for hasher in hashers {
            let key = hasher.finish().cast_signed();
            keys.push(key);
            numbers.push(self.count(key));
        }
        let mut columns = usage.columns().to_vec();
        let mut replace = |name: &str, values: ArrayRef| -> Result<(), ArrowError> {
            columns[schema.index_of(name)?] = values;
            Ok(())
        };
        replace("delivery_id", Arc::new(Int64Array::from(vec![delivery_id; rows])))?;
        replace("line_key", Arc::new(Int64Array::from(keys)))?;
        replace("line_no", Arc::new(Int32Array::from(numbers)))?;
        RecordBatch::try_new(schema, columns)
    }

    /// How often the line came before. Keys are hashes already.
    fn count(&mut self, key: i64) -> i32 {
        let hash = key.cast_unsigned();
        let part = &mut self.seen[usize::from(hash.to_le_bytes()[4])];
        match part.entry(hash, |seen| *seen == key, |seen| seen.cast_unsigned()) {
            Entry::Vacant(new) => {
                new.insert(key);
                0
            }
            Entry::Occupied(_) => {
                let again = self.again.entry(key).or_default();
                *again += 1;
                *again
            }
        }
    }
}

/// Adds a column to the rows' hashes: what names it, then the value's bytes with their length; nothing for null, so that
/// the hash of a line does not depend on the lines beside it.
fn add(name: &str, column: &ArrayRef, hashers: &mut [SipHasher13]) -> Result<(), ArrowError> {
    let mut mark = SipHasher13::new();
    mark.write(name.as_bytes());
    let mark = mark.finish();
    macro_rules! each {
        ($array:expr, $write:expr) => {{
            let array = $array;
            for (row, hasher) in hashers.iter_mut().enumerate() {
                if array.is_valid(row) {
                    hasher.write_u64(mark);
                    $write(hasher, array.value(row));
                }
            }
        }};
    }
    match column.data_type() {
        DataType::Utf8View => each!(column.as_string_view(), |hasher: &mut SipHasher13, text: &str| {
            hasher.write_usize(text.len());
            hasher.write(text.as_bytes());
        }),
        DataType::Decimal128(..) => each!(column.as_primitive::<Decimal128Type>(), |hasher: &mut SipHasher13, n| {
            hasher.write_i128(n);
        }),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            each!(column.as_primitive::<TimestampMicrosecondType>(), |hasher: &mut SipHasher13, n| hasher.write_i64(n));
        }
        DataType::Date32 => {
            each!(column.as_primitive::<Date32Type>(), |hasher: &mut SipHasher13, n| hasher.write_i32(n));
        }
        DataType::Boolean => {
            each!(column.as_boolean(), |hasher: &mut SipHasher13, on: bool| hasher.write_u8(u8::from(on)));
        }
        other => {
            return Err(ArrowError::SchemaError(format!("usage has a column of type {other}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn keys(resources: Vec<Option<&str>>, skus: Vec<Option<&str>>) -> Vec<i64> {
        let rows = resources.len();
        let text = |name| Field::new(name, DataType::Utf8View, true);
        let schema = Schema::new(vec![
            text("resource_id"),
            text("sku_id"),
            Field::new("delivery_id", DataType::Int64, true),
            Field::new("line_key", DataType::Int64, true),
            Field::new("line_no", DataType::Int32, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from(resources)),
            Arc::new(StringViewArray::from(skus)),
            Arc::new(Int64Array::from(vec![0; rows])),
            Arc::new(Int64Array::from(vec![0; rows])),
            Arc::new(Int32Array::from(vec![0; rows])),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).expect("a batch");
        let filled = LineIdentity::default().fill(&batch, 1).expect("keys");
        filled["line_key"].as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
    }

    #[test]
    fn a_lines_key_does_not_depend_on_the_lines_beside_it() {
        let alone = keys(vec![None], vec![Some("a")]);
        let beside = keys(vec![None, Some("vm")], vec![Some("a"), Some("a")]);
        assert_eq!(alone[0], beside[0]);
        assert_ne!(beside[0], beside[1]);
        // The same text in another column is another line.
        assert_ne!(keys(vec![Some("a")], vec![None]), alone);
    }
}
