//! Turns the rows of a chunk into typed columns, one column at a time over a block of rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, StringViewBuilder, TimestampMicrosecondArray, builder::NullBufferBuilder,
};

use super::rows::{BrokenRow, RowBlock, RowReader, Span};
use crate::lake::schema::{MONEY_PRECISION, MONEY_SCALE};
use crate::landing::instant::{InstantFormat, parse_instant};
use crate::landing::number::parse_number;
use crate::landing::rows::{ColumnReading, Fault, Marks, RawRows, Reading, SourceRows, Unreadable, class_of};

/// Rows that are split before their columns are filled: their positions stay in the cache.
const BLOCK_ROWS: usize = 512;

/// Parses a chunk of whole rows.
pub(crate) fn read_chunk(chunk: Vec<u8>, reading: &Reading) -> SourceRows {
    let bytes = chunk.len() as u64;
    let (text, invalid) = into_text(chunk);
    let width = reading.columns.len();
    let mut reader = RowReader::new(text.as_bytes(), width, &invalid);
    let mut columns: Vec<Column> = reading.columns.iter().map(Column::new).collect();
    let mut block = RowBlock::default();
    let mut ordinals = Vec::new();
    let mut ranges = Vec::new();
    while reader.next_block(&mut block, BLOCK_ROWS) {
        let first_row = ordinals.len();
        for (start, end, ordinal) in &block.rows {
            ordinals.push(*ordinal);
            ranges.push((*start, *end));
        }
        for (i, column) in columns.iter_mut().enumerate() {
            column.fill(&text, block.spans.iter().skip(i).step_by(width), first_row, &reading.formats);
        }
    }
    let all_rows = reader.rows();
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64;
    let unreadable = unreadable_rows(&text, &block.broken);
    let mut source = SourceRows {
        rows: ordinals.len(),
        ordinals,
        all_rows,
        text: Vec::with_capacity(width),
        numbers: Vec::with_capacity(width),
        instants: Vec::with_capacity(width),
        marks: Marks::default(),
        unreadable,
        raw: RawRows::Chunk { text, ranges },
        others: None,
        lines,
        bytes,
    };
    for column in columns {
        column.finish(&mut source);
    }
    source
}

/// The chunk as text of the same length, and the positions of bytes that are no text: what is
/// not UTF-8, and NUL, which no SQL text can hold.
pub(crate) fn into_text(chunk: Vec<u8>) -> (String, Vec<usize>) {
    let mut bytes = chunk;
    let mut invalid: Vec<usize> = memchr::memchr_iter(0, &bytes).collect();
    for position in &invalid {
        bytes[*position] = b'?';
    }
    loop {
        match String::from_utf8(bytes) {
            Ok(text) => {
                invalid.sort_unstable();
                return (text, invalid);
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let length = error.utf8_error().error_len().unwrap_or(1);
                bytes = error.into_bytes();
                // One pass over what follows: a file in another encoding has such bytes everywhere.
                let mut position = at;
                let mut width = length;
                while let Some(bad) = bytes.get_mut(position..position + width) {
                    bad.fill(b'?');
                    invalid.push(position);
                    match std::str::from_utf8(&bytes[position + width..]) {
                        Ok(_) => break,
                        Err(next) => {
                            position += width + next.valid_up_to();
                            width = next.error_len().unwrap_or(bytes.len() - position);
                        }
                    }
                }
            }
        }
    }
}

fn unreadable_rows(text: &str, broken: &[BrokenRow]) -> Vec<Unreadable> {
    let mut line = 0;
    let mut counted = 0;
    broken
        .iter()
        .map(|row| {
            line += memchr::memchr_iter(b'\n', &text.as_bytes()[counted..row.start]).count() as u64;
            counted = row.start;
            let raw = text.get(row.start..row.end).unwrap_or_default().trim_end_matches('\r').to_owned();
            Unreadable { ordinal: row.ordinal, raw, reason: row.reason.clone(), line: Some(line) }
        })
        .collect()
}

/// The forms of one column under construction.
struct Column<'a> {
    reading: &'a ColumnReading,
    text: StringViewBuilder,
    numbers: Vec<i128>,
    number_validity: NullBufferBuilder,
    instants: Vec<i64>,
    instant_validity: NullBufferBuilder,
    marks: Marks,
    scratch: String,
}

impl<'a> Column<'a> {
    fn new(reading: &'a ColumnReading) -> Self {
        Self {
            reading,
            text: StringViewBuilder::new(),
            numbers: Vec::new(),
            number_validity: NullBufferBuilder::new(0),
            instants: Vec::new(),
            instant_validity: NullBufferBuilder::new(0),
            marks: Marks::default(),
            scratch: String::new(),
        }
    }

    fn fill<'s>(
        &mut self,
        text: &str,
        spans: impl Iterator<Item = &'s Span> + Clone,
        first_row: usize,
        formats: &[InstantFormat],
    ) {
        if self.reading.need.text {
            self.fill_text(text, spans.clone());
        }
        if self.reading.need.number || self.reading.need.check {
            self.fill_numbers(text, spans.clone(), first_row);
        }
        if self.reading.need.instant {
            self.fill_instants(text, spans, first_row, formats);
        }
    }

    fn fill_text<'s>(&mut self, text: &str, spans: impl Iterator<Item = &'s Span>) {
        for span in spans {
            let cell = text.get(span.start as usize..span.end as usize).unwrap_or_default();
            if span.is_escaped {
                self.scratch.clear();
                let mut pieces = cell.split("\"\"");
                self.scratch.push_str(pieces.next().unwrap_or_default());
                for piece in pieces {
                    self.scratch.push('"');
                    self.scratch.push_str(piece);
                }
                self.text.append_value(&self.scratch);
            } else if self.reading.nulls.contains(cell.as_bytes()) {
                self.text.append_null();
            } else {
                self.text.append_value(cell);
            }
        }
    }

    fn fill_numbers<'s>(&mut self, text: &str, spans: impl Iterator<Item = &'s Span>, first_row: usize) {
        for (i, span) in spans.enumerate() {
            let cell = &text.as_bytes()[span.start as usize..span.end as usize];
            if self.reading.nulls.contains(cell) {
                self.numbers.push(0);
                self.number_validity.append_null();
                continue;
            }
            match parse_number(cell) {
                Ok(number) => {
                    self.numbers.push(number.units);
                    self.number_validity.append_non_null();
                    if number.is_rounded {
                        self.marks.rounded_rows.push(to_row(first_row + i));
                    }
                }
                Err(error) => {
                    self.numbers.push(0);
                    self.number_validity.append_null();
                    self.fault(first_row + i, text, span, error.reason());
                }
            }
        }
    }

    fn fill_instants<'s>(
        &mut self,
        text: &str,
        spans: impl Iterator<Item = &'s Span>,
        first_row: usize,
        formats: &[InstantFormat],
    ) {
        for (i, span) in spans.enumerate() {
            let cell = &text.as_bytes()[span.start as usize..span.end as usize];
            if self.reading.nulls.contains(cell) {
                self.instants.push(0);
                self.instant_validity.append_null();
                continue;
            }
            match parse_instant(cell, formats) {
                Some(instant) => {
                    self.instants.push(instant);
                    self.instant_validity.append_non_null();
                }
                None => {
                    self.instants.push(0);
                    self.instant_validity.append_null();
                    self.fault(first_row + i, text, span, "is not a time in a form that this source uses");
                }
            }
        }
    }

    fn fault(&mut self, row: usize, text: &str, span: &Span, reason: &str) {
        let cell = text.get(span.start as usize..span.end as usize).unwrap_or_default();
        self.marks.faults.push(Fault {
            row: to_row(row),
            column: Arc::clone(&self.reading.name),
            value_class: class_of(cell.chars().count()),
            reason: reason.to_owned(),
        });
    }

    fn finish(mut self, source: &mut SourceRows) {
        let need = &self.reading.need;
        source.text.push(need.text.then(|| Arc::new(self.text.finish()) as ArrayRef));
        source.numbers.push(need.number.then(|| {
            let numbers = Decimal128Array::new(self.numbers.into(), self.number_validity.finish());
            // Every value was checked against 38 digits when it was parsed.
            numbers.with_data_type(arrow::datatypes::DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE))
        }));
        source.instants.push(need.instant.then(|| {
            TimestampMicrosecondArray::new(self.instants.into(), self.instant_validity.finish()).with_timezone("UTC")
        }));
        source.marks.faults.extend(self.marks.faults);
        source.marks.rounded_rows.extend(self.marks.rounded_rows);
    }
}

/// Rows of a chunk fit 32 bits: a chunk has megabytes.
fn to_row(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}
