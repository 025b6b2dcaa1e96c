//! Cuts a byte stream into chunks that end where a row ends.

use std::io::Read;

use super::{Closing, ROW_BYTES_MAX, closing_quote};

/// Why no further chunk can be cut.
#[derive(Debug)]
pub(crate) enum ChunkError {
    Read(std::io::Error),
    /// A line without an end, and the number of newlines before it.
    LineTooLong {
        newlines: u64,
    },
}

/// Chunks of about `target` bytes, each ending with a newline that is not inside quotes.
///
/// Memory: one chunk plus at most one row. Only quotes are looked at, so that a file without
/// quotes is cut at the speed of `memchr`.
pub(crate) struct Chunks<R> {
    reader: R,
    target: usize,
    /// Whether a newline may be inside quotes.
    has_quotes: bool,
    buffer: Vec<u8>,
    /// Everything before is scanned.
    scanned: usize,
    /// After the last newline known to end a row.
    boundary: usize,
    is_ended: bool,
    newlines: u64,
}

impl<R: Read> Chunks<R> {
    /// Chunks of `reader`, which stands at the first data row.
    pub(crate) fn new(reader: R, target: usize) -> Self {
        Self {
            reader,
            target,
            has_quotes: true,
            buffer: Vec::new(),
            scanned: 0,
            boundary: 0,
            is_ended: false,
            newlines: 0,
        }
    }

    /// Chunks of `reader` in which every newline ends a row, as in JSON lines.
    pub(crate) fn of_lines(reader: R, target: usize) -> Self {
        Self { has_quotes: false, ..Self::new(reader, target) }
    }

    /// The next chunk, or `None` at the end.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ChunkError> {
        let mut wanted = self.target;
        loop {
            self.fill(wanted).map_err(ChunkError::Read)?;
            if self.is_ended {
                let rest = std::mem::take(&mut self.buffer);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.scan();
            if self.boundary > 0 {
                return Ok(Some(self.cut()));
            }
            if self.buffer.len() > 2 * ROW_BYTES_MAX {
                return Err(ChunkError::LineTooLong { newlines: self.newlines });
            }
            wanted = self.buffer.len() + self.target;
        }
    }

    fn fill(&mut self, wanted: usize) -> std::io::Result<()> {
        while self.buffer.len() < wanted && !self.is_ended {
            let missing = wanted - self.buffer.len();
            self.buffer.reserve(missing);
            let read = self.reader.by_ref().take(missing as u64).read_to_end(&mut self.buffer)?;
            self.is_ended = read == 0;
        }
        Ok(())
    }

    /// Moves `scanned` and `boundary` as far as the buffer allows. `scanned` always stands
    /// outside quotes; a quoted field that is still open is looked at again with more bytes.
    fn scan(&mut self) {
        while let Some(rest) = self.buffer.get(self.scanned..).filter(|rest| !rest.is_empty()) {
            let quote = if self.has_quotes { memchr::memchr(b'"', rest) } else { None };
            let quote = quote.map(|offset| self.scanned + offset);
            let plain_end = quote.unwrap_or(self.buffer.len());
            if let Some(newline) = memchr::memrchr(b'\n', &self.buffer[self.scanned..plain_end]) {
                self.boundary = self.scanned + newline + 1;
            }
            let Some(open) = quote else {
                self.scanned = self.buffer.len();
                return;
            };
            let is_field_start =
                open == self.boundary || matches!(self.buffer.get(open.wrapping_sub(1)), Some(b',' | b'\n'));
            if !is_field_start {
                self.scanned = open + 1;
                continue;
            }
            match closing_quote(&self.buffer, self.boundary, open, false) {
                Closing::At { quote, .. } => self.scanned = quote + 1,
                Closing::Broken => match memchr::memchr(b'\n', &self.buffer[open..]) {
                    Some(newline) => {
                        self.boundary = open + newline + 1;
                        self.scanned = self.boundary;
                    }
                    None => return self.stop_at(open),
                },
                Closing::Open => return self.stop_at(open),
            }
        }
    }

    fn stop_at(&mut self, open: usize) {
        self.scanned = open;
    }

    fn cut(&mut self) -> Vec<u8> {
        let rest = self.buffer[self.boundary..].to_vec();
        self.buffer.truncate(self.boundary);
        self.newlines += memchr::memchr_iter(b'\n', &self.buffer).count() as u64;
        self.scanned = self.scanned.saturating_sub(self.boundary);
        self.boundary = 0;
        std::mem::replace(&mut self.buffer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks_of(text: &str, target: usize) -> Vec<String> {
        let mut chunks = Chunks::new(text.as_bytes(), target);
        let mut found = Vec::new();
        while let Some(chunk) = chunks.next_chunk().expect("chunk") {
            found.push(String::from_utf8(chunk).expect("text"));
        }
        found
    }

    #[test]
    fn chunks_end_at_row_ends_and_lose_nothing() {
        let text = "a,\"x\ny\",1\nb,2,3\n\"c \"\"q\"\"\r\n\",4,5\r\nd,6,\"7\"\n";
        let rows = ["a,\"x\ny\",1\n", "b,2,3\n", "\"c \"\"q\"\"\r\n\",4,5\r\n", "d,6,\"7\"\n"];
        for target in 1..=text.len() + 1 {
            let chunks = chunks_of(text, target);
            assert_eq!(chunks.concat(), text, "target {target}");
            let mut ends = Vec::new();
            let mut at = 0;
            for chunk in &chunks {
                at += chunk.len();
                ends.push(at);
            }
            let mut row_ends = Vec::new();
            let mut row_at = 0;
            for row in rows {
                row_at += row.len();
                row_ends.push(row_at);
            }
            assert!(ends.iter().all(|end| row_ends.contains(end)), "target {target}: {chunks:?}");
        }
    }

    #[test]
    fn a_quote_inside_a_plain_field_does_not_swallow_the_file() {
        let text = "5\" disk,1\nb,2\nc,3\n";
        assert_eq!(chunks_of(text, 4), ["5\" disk,1\n", "b,2\n", "c,3\n"]);
    }

    #[test]
    fn a_broken_quote_costs_its_line() {
        let text = "\"a,1\nb,\"x\"\nc,3\n";
        for target in 1..=text.len() {
            assert_eq!(chunks_of(text, target).concat(), text);
        }
        assert!(chunks_of(text, 1).contains(&"\"a,1\n".to_string()));
    }

    #[test]
    fn lines_end_whatever_their_quotes() {
        let text = "{\"a\":\"1\n{\"b\":2}\n{\"c\":\"3\"}";
        let mut chunks = Chunks::of_lines(text.as_bytes(), 4);
        let mut found = Vec::new();
        while let Some(chunk) = chunks.next_chunk().expect("chunk") {
            found.push(String::from_utf8(chunk).expect("text"));
        }
        assert_eq!(found, ["{\"a\":\"1\n", "{\"b\":2}\n", "{\"c\":\"3\"}"]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = vec![b'x'; 3 * ROW_BYTES_MAX];
        let mut chunks = Chunks::new(endless.as_slice(), 1 << 20);
        assert!(matches!(chunks.next_chunk(), Err(ChunkError::LineTooLong { newlines: 0 })));
    }
}
