//! Splits a chunk into rows and fields without copying.

use super::{Closing, FIELD_BYTES_MAX, closing_quote};

/// Where a field lies in its chunk, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Doubled quotes inside.
    pub(crate) is_escaped: bool,
}

/// A row that cannot be taken apart.
#[derive(Debug, Clone)]
pub(crate) struct BrokenRow {
    /// Position among the chunk's rows, broken ones included.
    pub(crate) ordinal: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) reason: String,
}

/// Some consecutive rows of a chunk: `columns` spans a row, one row after the other.
#[derive(Debug, Default)]
pub(crate) struct RowBlock {
    pub(crate) spans: Vec<Span>,
    /// Start and end of each row and its ordinal.
    pub(crate) rows: Vec<(u32, u32, u32)>,
    pub(crate) broken: Vec<BrokenRow>,
}

/// Takes rows from a chunk, block by block.
pub(crate) struct RowReader<'a> {
    bytes: &'a [u8],
    columns: usize,
    at: usize,
    delimiters: Delimiters<'a>,
    ordinal: u32,
    /// Positions of bytes that no text may have, in order.
    invalid: &'a [usize],
}

impl<'a> RowReader<'a> {
    /// Rows of `bytes`; rows that contain a position of `invalid` are broken.
    pub(crate) fn new(bytes: &'a [u8], columns: usize, invalid: &'a [usize]) -> Self {
        Self { bytes, columns, at: 0, delimiters: Delimiters::new(bytes), ordinal: 0, invalid }
    }

    /// Fills `block` with up to `rows_max` rows; false when the chunk is used up.
    pub(crate) fn next_block(&mut self, block: &mut RowBlock, rows_max: usize) -> bool {
        block.spans.clear();
        block.rows.clear();
        while block.rows.len() < rows_max && self.at < self.bytes.len() {
            self.read_row(block);
        }
        !block.rows.is_empty() || self.at < self.bytes.len()
    }

    /// Number of rows seen, broken ones included.
    pub(crate) fn rows(&self) -> u32 {
        self.ordinal
    }

    fn read_row(&mut self, block: &mut RowBlock) {
        let row_start = self.at;
        let first_span = block.spans.len();
        let mut fields = 0_usize;
        let mut longest = 0_usize;
        loop {
            let field_start = self.at;
            let (span, delimiter) = if self.bytes.get(field_start) == Some(&b'"') {
                match closing_quote(self.bytes, row_start, field_start, true) {
                    Closing::At { quote, is_escaped } => {
                        self.delimiters.seek(quote + 1);
                        (to_span(field_start + 1, quote, is_escaped), self.delimiters.next())
                    }
                    Closing::Broken | Closing::Open => {
                        block.spans.truncate(first_span);
                        return self.cut_line(block, row_start, field_start);
                    }
                }
            } else {
                let delimiter = self.delimiters.next();
                let is_row_end = self.bytes.get(delimiter) != Some(&b',');
                let is_crlf = is_row_end && delimiter > field_start && self.bytes[delimiter - 1] == b'\r';
                (to_span(field_start, delimiter - usize::from(is_crlf), false), delimiter)
            };
            fields += 1;
            longest = longest.max((span.end - span.start) as usize);
            if fields <= self.columns {
                block.spans.push(span);
            }
            self.at = (delimiter + 1).min(self.bytes.len());
            if self.bytes.get(delimiter) != Some(&b',') {
                return self.end_row(block, row_start, delimiter, fields, longest, first_span);
            }
        }
    }

    fn end_row(
        &mut self,
        block: &mut RowBlock,
        start: usize,
        end: usize,
        fields: usize,
        longest: usize,
        first_span: usize,
    ) {
        let is_blank = fields == 1 && longest == 0 && self.bytes.get(start) != Some(&b'"');
        if is_blank && self.columns > 1 {
            block.spans.truncate(first_span);
            return;
        }
        let has_invalid = self.take_invalid(end);
        let reason = if fields != self.columns {
            format!("has {fields} fields where the header has {}", self.columns)
        } else if longest > FIELD_BYTES_MAX {
            format!("has a field of {longest} bytes; at most {FIELD_BYTES_MAX} are allowed")
        } else if has_invalid {
            "has bytes that are not UTF-8 text".to_owned()
        } else {
            block.rows.push((narrow(start), narrow(end), self.ordinal));
            self.ordinal += 1;
            return;
        };
        block.spans.truncate(first_span);
        block.broken.push(BrokenRow { ordinal: self.ordinal, start, end, reason });
        self.ordinal += 1;
    }

    /// Whether an invalid position lies before `end` (and after the previous row's end).
    fn take_invalid(&mut self, end: usize) -> bool {
        let count = self.invalid.iter().take_while(|at| **at < end).count();
        self.invalid = &self.invalid[count..];
        count > 0
    }

    /// A quoting error costs the line on which the quote opens; reading goes on after it.
    fn cut_line(&mut self, block: &mut RowBlock, start: usize, open: usize) {
        let end = memchr::memchr(b'\n', &self.bytes[open..]).map_or(self.bytes.len(), |offset| open + offset);
        self.take_invalid(end);
        self.at = (end + 1).min(self.bytes.len());
        self.delimiters.seek(self.at);
        let reason = "has a quote that is not closed, or text after a closing quote".to_owned();
        block.broken.push(BrokenRow { ordinal: self.ordinal, start, end, reason });
        self.ordinal += 1;
    }
}

fn to_span(start: usize, end: usize, is_escaped: bool) -> Span {
    Span { start: narrow(start), end: narrow(end), is_escaped }
}

/// Positions in a chunk fit 32 bits: chunks are megabytes.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// Commas and newlines, 64 bytes at a time: a bit mask from eight words, without a branch per byte.
struct Delimiters<'a> {
    bytes: &'a [u8],
    block: usize,
    mask: u64,
}

impl<'a> Delimiters<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, block: 0, mask: mask_at(bytes, 0) }
    }

    /// The next delimiter's position, or the end of the bytes.
    fn next(&mut self) -> usize {
        while self.mask == 0 {
            self.block += 64;
            if self.block >= self.bytes.len() {
                return self.bytes.len();
            }
            self.mask = mask_at(self.bytes, self.block);
        }
        let position = self.block + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        position
    }

    /// Skips every delimiter before `position`.
    fn seek(&mut self, position: usize) {
        let block = position & !63;
        if block != self.block {
            self.block = block;
            self.mask = mask_at(self.bytes, block);
        }
        self.mask &= u64::MAX << (position & 63);
    }
}

/// Bit i is set if byte `start + i` is a comma or a newline.
fn mask_at(bytes: &[u8], start: usize) -> u64 {
    let rest = bytes.get(start..).unwrap_or(&[]);
    match rest.first_chunk::<64>() {
        Some(block) => mask_of(block),
        None => {
            let mut padded = [0_u8; 64];
            padded[..rest.len()].copy_from_slice(rest);
            mask_of(&padded)
        }
    }
}

fn mask_of(block: &[u8; 64]) -> u64 {
    const COMMAS: u64 = u64::from_le_bytes([b','; 8]);
    const NEWLINES: u64 = u64::from_le_bytes([b'\n'; 8]);
    let (words, _) = block.as_chunks::<8>();
    let mut mask = 0_u64;
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = zero_bytes(word ^ COMMAS) | zero_bytes(word ^ NEWLINES);
        // Gathers the top bit of each byte into the low eight bits, in order.
        let gathered = (hits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= gathered << (8 * i);
    }
    mask
}

/// The top bit of every byte that is zero, exactly (no carry from neighbours).
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    !(((word & LOW) + LOW) | word | LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, columns: usize) -> (Vec<Vec<String>>, Vec<(u32, String)>) {
        let mut reader = RowReader::new(text.as_bytes(), columns, &[]);
        let mut block = RowBlock::default();
        let mut rows = Vec::new();
        while reader.next_block(&mut block, 2) {
            for row in block.spans.chunks(columns) {
                rows.push(row.iter().map(|s| text[s.start as usize..s.end as usize].to_owned()).collect());
            }
        }
        (rows, block.broken.into_iter().map(|b| (b.ordinal, b.reason)).collect())
    }

    #[test]
    fn fields_of_every_form() {
        let (rows, broken) = read("a,b,c\r\n\"x,1\",,\"\"\n\n\"l\nm\",2,\"q\"\"q\"\r\nlast,,", 3);
        assert_eq!(rows, [["a", "b", "c"], ["x,1", "", ""], ["l\nm", "2", "q\"\"q"], ["last", "", ""]]);
        assert!(broken.is_empty());
    }

    #[test]
    fn short_and_long_rows_are_broken_and_never_shift() {
        let (rows, broken) = read("1,2,3\n4,5\n6,7,8,9\n10,11,12\n", 3);
        assert_eq!(rows, [["1", "2", "3"], ["10", "11", "12"]]);
        assert_eq!(broken[0], (1, "has 2 fields where the header has 3".to_owned()));
        assert_eq!(broken[1], (2, "has 4 fields where the header has 3".to_owned()));
    }

    #[test]
    fn a_quoting_error_costs_one_line() {
        let (rows, broken) = read("1,\"2\"x,3\n4,5,6\n7,\"8,9\n10,\"a\",12\n13,14,\"15", 3);
        assert_eq!(rows, [["4", "5", "6"], ["10", "a", "12"]]);
        assert_eq!(broken.iter().map(|b| b.0).collect::<Vec<_>>(), [0, 2, 4]);
    }

    #[test]
    fn a_quote_inside_a_plain_field_is_text() {
        let (rows, broken) = read("5\" disk,1\n6\",2\n", 2);
        assert_eq!(rows, [["5\" disk", "1"], ["6\"", "2"]]);
        assert!(broken.is_empty());
    }

    #[test]
    fn masks_find_exactly_the_delimiters() {
        // All byte values at all positions of a block.
        for value in 0..=255_u8 {
            for position in 0..64 {
                let mut block = [b'.'; 64];
                block[position] = value;
                let expected = if matches!(value, b',' | b'\n') { 1_u64 << position } else { 0 };
                assert_eq!(mask_of(&block), expected, "{value} at {position}");
            }
        }
        let dense = [b','; 64];
        assert_eq!(mask_of(&dense), u64::MAX);
    }

    #[test]
    fn invalid_positions_break_their_row_only() {
        let text = b"1,2\n3,?\n5,6\n";
        let mut reader = RowReader::new(text, 2, &[6]);
        let mut block = RowBlock::default();
        while reader.next_block(&mut block, 10) {
            assert_eq!(block.rows.len(), 2);
        }
        assert_eq!(block.broken.len(), 1);
        assert_eq!(reader.rows(), 3);
    }
}
