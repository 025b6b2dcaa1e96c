//! CSV by the letter: every cell is text, every row is whole or rejected, memory is bounded.
//!
//! A file is cut into chunks at row boundaries by one thread (`chunks`); chunks are parsed and
//! typed on worker threads (`rows`, `columns`). Nothing is inferred: `000123456789` stays what it
//! is. A quoting error costs the physical line on which it starts, never that line's neighbours,
//! and the chunker and the parser decide it by the same rule.

#[cfg(test)]
mod agreement;
mod chunks;
mod columns;
mod header;
mod rows;

pub(crate) use chunks::{ChunkError, Chunks};
pub(crate) use columns::{into_text, read_chunk};
pub(crate) use header::{Header, read_header};

/// Most bytes of one row; a longer quoted row is cut at its first line, a longer line refuses the file.
pub(crate) const ROW_BYTES_MAX: usize = 4 << 20;
/// Most bytes of one field; a row with a longer one is rejected.
pub(crate) const FIELD_BYTES_MAX: usize = 1 << 20;
/// Most columns of a header.
pub(crate) const COLUMNS_MAX: usize = 4_096;
/// Bytes that are parsed at a time.
pub(crate) const CHUNK_BYTES: usize = 4 << 20;

/// Where a quoted field that opens at a given position ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The position of the closing quote, and whether quotes are doubled inside.
    At {
        /// Of the quote.
        quote: usize,
        /// Whether `""` occurs inside.
        is_escaped: bool,
    },
    /// Text follows the closing quote, or the row grows beyond its limit.
    Broken,
    /// The bytes end first.
    Open,
}

/// Finds the quote that closes the one at `open`, in a row that began at `row_start`.
///
/// `is_end` says that nothing follows `bytes`, so that a quote on the last byte closes.
pub(crate) fn closing_quote(bytes: &[u8], row_start: usize, open: usize, is_end: bool) -> Closing {
    let mut at = open + 1;
    let mut is_escaped = false;
    loop {
        let Some(offset) = bytes.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) else {
            let is_too_long = bytes.len() - row_start > ROW_BYTES_MAX;
            return if is_too_long { Closing::Broken } else { Closing::Open };
        };
        let quote = at + offset;
        if quote - row_start > ROW_BYTES_MAX {
            return Closing::Broken;
        }
        match (bytes.get(quote + 1), bytes.get(quote + 2)) {
            (Some(b'"'), _) => {
                is_escaped = true;
                at = quote + 2;
            }
            (Some(b',' | b'\n'), _) | (Some(b'\r'), Some(b'\n')) => {
                return Closing::At { quote, is_escaped };
            }
            (None, _) | (Some(b'\r'), None) if is_end => return Closing::At { quote, is_escaped },
            (None, _) | (Some(b'\r'), None) => return Closing::Open,
            _ => return Closing::Broken,
        }
    }
}
