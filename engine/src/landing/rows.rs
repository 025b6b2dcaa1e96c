//! Source rows between a reader and a mapping.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, TimestampMicrosecondArray};

use super::instant::InstantFormat;

/// What a mapping needs of one source column. A column may be needed in several forms, or in none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Need {
    /// As text, for expressions, text columns and `x_columns`.
    pub(crate) text: bool,
    /// As a number, because it is renamed to a money column or summed for conservation.
    pub(crate) number: bool,
    /// As an instant, because it is renamed to an instant column.
    pub(crate) instant: bool,
    /// Must parse as a number although it is only used in expressions.
    pub(crate) check: bool,
}

/// How the cells of one column are read.
#[derive(Debug, Clone)]
pub(crate) struct ColumnReading {
    /// The header's name.
    pub(crate) name: Arc<str>,
    pub(crate) need: Need,
    pub(crate) nulls: Arc<Nulls>,
}

/// How the columns of one part are read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) columns: Vec<ColumnReading>,
    pub(crate) formats: Arc<[InstantFormat]>,
}

/// The spellings of null of a column, besides the empty cell.
#[derive(Debug, Clone)]
pub(crate) struct Nulls {
    spellings: Vec<Box<[u8]>>,
    first_bytes: [bool; 256],
}

impl Nulls {
    /// The empty cell and `spellings`.
    pub(crate) fn new<'a>(spellings: impl IntoIterator<Item = &'a str>) -> Self {
        let spellings: Vec<Box<[u8]>> = spellings.into_iter().map(|s| s.as_bytes().into()).collect();
        let mut first_bytes = [false; 256];
        for first in spellings.iter().filter_map(|s| s.first()) {
            first_bytes[usize::from(*first)] = true;
        }
        Self { spellings, first_bytes }
    }

    /// Whether a cell means null.
    pub(crate) fn contains(&self, cell: &[u8]) -> bool {
        match cell.first() {
            None => true,
            Some(first) => self.first_bytes[usize::from(*first)] && self.spellings.iter().any(|s| **s == *cell),
        }
    }
}

/// A cell that does not have the form its column needs. The row is rejected.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Position among the batch's rows.
    pub(crate) row: u32,
    pub(crate) column: Arc<str>,
    /// What kind of value it was, never the value itself.
    pub(crate) value_class: String,
    pub(crate) reason: String,
}

/// What was noticed while values were read and converted.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    pub(crate) faults: Vec<Fault>,
    /// Rows in which a number lost non-zero digits beyond scale 18.
    pub(crate) rounded_rows: Vec<u32>,
}

/// Describes a value without showing it.
pub(crate) fn class_of(characters: usize) -> String {
    match characters {
        0 => "nothing".to_owned(),
        1 => "text of 1 character".to_owned(),
        n => format!("text of {n} characters"),
    }
}

/// A row that could not even be taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    pub(crate) ordinal: u32,
    pub(crate) raw: String,
    pub(crate) reason: String,
    /// Newlines of the chunk before it, where that is known.
    pub(crate) line: Option<u64>,
}

/// Consecutive rows of a part, column by column in the header's order.
pub(crate) struct SourceRows {
    /// Number of readable rows: the length of every array.
    pub(crate) rows: usize,
    /// Ordinal of each readable row among all rows of the chunk.
    pub(crate) ordinals: Vec<u32>,
    /// All rows of the chunk, unreadable ones included.
    pub(crate) all_rows: u32,
    pub(crate) text: Vec<Option<ArrayRef>>,
    pub(crate) numbers: Vec<Option<Decimal128Array>>,
    pub(crate) instants: Vec<Option<TimestampMicrosecondArray>>,
    pub(crate) marks: Marks,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) raw: RawRows,
    /// Members that no column takes, where a format has no header.
    pub(crate) others: Option<Others>,
    /// Newlines in the chunk.
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// JSON objects of each row's members that are no column of the mapping.
pub(crate) struct Others {
    pub(crate) tags: ArrayRef,
    pub(crate) extensions: ArrayRef,
}

/// The rows as they came, for quarantine.
pub(crate) enum RawRows {
    /// Lines and the range of each readable row.
    Chunk { text: String, ranges: Vec<(u32, u32)> },
    /// Columns of a Parquet batch as text, in the header's order.
    Columns { names: Vec<Arc<str>>, columns: Vec<ArrayRef> },
}
