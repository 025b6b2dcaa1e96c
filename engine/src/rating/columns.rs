//! Columns of a usage batch, and their texts as numbers.

use arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use hashbrown::HashMap;

use super::error::RatingError;
use super::texts::{NULL, Texts};

/// A text column by name.
pub(crate) fn text<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a StringViewArray, RatingError> {
    let column = batch.column_by_name(name).ok_or(RatingError::Column(name))?;
    column.as_string_view_opt().ok_or(RatingError::Column(name))
}

/// A money or quantity column by name.
pub(crate) fn money<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a Decimal128Array, RatingError> {
    let column = batch.column_by_name(name).ok_or(RatingError::Column(name))?;
    let array = column.as_primitive_opt::<Decimal128Type>().ok_or(RatingError::Column(name))?;
    if array.scale() == crate::lake::schema::MONEY_SCALE { Ok(array) } else { Err(RatingError::Column(name)) }
}

/// The columns of `usage` that are neither text nor money.
pub(crate) struct Facts<'a> {
    pub(crate) start: &'a TimestampMicrosecondArray,
    pub(crate) end: &'a TimestampMicrosecondArray,
    pub(crate) period: &'a Date32Array,
    pub(crate) marketplace: &'a BooleanArray,
    pub(crate) delivery: &'a Int64Array,
    pub(crate) source_file: &'a Int32Array,
    pub(crate) source_row: &'a Int64Array,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Result<Self, RatingError> {
        let column = |name: &'static str| batch.column_by_name(name).ok_or(RatingError::Column(name));
        let instant = |name: &'static str| {
            column(name)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or(RatingError::Column(name))
        };
        Ok(Self {
            start: instant("charge_period_start")?,
            end: instant("charge_period_end")?,
            period: column("billing_period")?
                .as_primitive_opt::<Date32Type>()
                .ok_or(RatingError::Column("billing_period"))?,
            marketplace: column("marketplace")?.as_boolean_opt().ok_or(RatingError::Column("marketplace"))?,
            delivery: column("delivery_id")?
                .as_primitive_opt::<Int64Type>()
                .ok_or(RatingError::Column("delivery_id"))?,
            source_file: column("source_file")?
                .as_primitive_opt::<Int32Type>()
                .ok_or(RatingError::Column("source_file"))?,
            source_row: column("source_row")?
                .as_primitive_opt::<Int64Type>()
                .ok_or(RatingError::Column("source_row"))?,
        })
    }

    /// The error for a row that lacks what every charge has.
    pub(crate) fn incomplete(&self, row: usize, column: &'static str) -> RatingError {
        RatingError::Incomplete {
            column,
            delivery: self.delivery.value(row),
            source_file: self.source_file.value(row),
            source_row: self.source_row.value(row),
        }
    }
}

/// The amount at a row.
#[inline]
pub(crate) fn amount(array: &Decimal128Array, row: usize) -> Option<i128> {
    (!array.is_null(row)).then(|| array.value(row))
}

/// A text's number in the run, and in the vocabulary of the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: u32,
    pub(crate) number: u32,
}

/// Remembers the numbers of one column's texts: one hash for each value, no allocation for known ones.
#[derive(Debug, Default)]
pub(crate) struct ColumnWords {
    /// Texts of up to 12 bytes are their own key.
    short: HashMap<u128, Word>,
    long: HashMap<Box<str>, Word>,
    /// The words of the current batch's rows.
    pub(crate) words: Vec<Word>,
}

/// Texts that a view holds itself.
const INLINE_BYTES_MAX: u128 = 12;

impl ColumnWords {
    /// Looks up every row of a column into `words`.
    pub(crate) fn read(&mut self, column: &StringViewArray, texts: &Texts, number_of: impl Fn(&str) -> u32) {
        self.words.clear();
        self.words.reserve(column.len());
        let views = column.views();
        let mut last_view = None;
        let mut last_word = Word::default();
        for (row, view) in views.iter().enumerate() {
            if column.is_null(row) {
                self.words.push(Word { text: NULL, number: 0 });
                continue;
            }
            // Equal views of one batch are equal texts.
            if last_view != Some(*view) {
                last_view = Some(*view);
                last_word = if view & u128::from(u32::MAX) <= INLINE_BYTES_MAX {
                    *self.short.entry(*view).or_insert_with(|| {
                        let text = column.value(row);
                        Word { text: texts.number(text), number: number_of(text) }
                    })
                } else {
                    let text = column.value(row);
                    match self.long.get(text) {
                        Some(word) => *word,
                        None => {
                            let word = Word { text: texts.number(text), number: number_of(text) };
                            self.long.insert(Box::from(text), word);
                            word
                        }
                    }
                };
            }
            self.words.push(last_word);
        }
    }
}
