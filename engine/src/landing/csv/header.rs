//! The first line of a CSV file.

use super::{COLUMNS_MAX, Closing, closing_quote};

/// The column names of a file and where its data begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) columns: Vec<String>,
    /// Bytes before the first data row, a byte-order mark included.
    pub(crate) bytes: usize,
    /// Newlines before the first data row.
    pub(crate) lines: u64,
}

/// Reads the header at the beginning of `bytes`, which is the whole file if `is_end`.
///
/// The byte-order mark is dropped; else the first column would be "missing".
pub(crate) fn read_header(bytes: &[u8], is_end: bool) -> Result<Header, &'static str> {
    let mark = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut at = mark;
    let mut columns = Vec::new();
    let end = loop {
        let (name, next) = read_name(bytes, mark, at, is_end)?;
        columns.push(name);
        if columns.len() > COLUMNS_MAX {
            return Err("it has more than 4096 columns");
        }
        match bytes.get(next) {
            Some(b',') => at = next + 1,
            Some(b'\r') => break (next + 2).min(bytes.len()),
            Some(_) => break next + 1,
            None => break next,
        }
    };
    if columns.iter().all(|name| name.trim().is_empty()) {
        return Err("the first line is empty");
    }
    let lines = memchr::memchr_iter(b'\n', &bytes[..end]).count() as u64;
    Ok(Header { columns, bytes: end, lines })
}

/// One name and the position of the delimiter after it.
fn read_name(bytes: &[u8], row_start: usize, at: usize, is_end: bool) -> Result<(String, usize), &'static str> {
    let text = |range: &[u8]| std::str::from_utf8(range).map(str::to_owned).map_err(|_| "it is not UTF-8");
    if bytes.get(at) == Some(&b'"') {
        return match closing_quote(bytes, row_start, at, is_end) {
            Closing::At { quote, .. } => Ok((text(&bytes[at + 1..quote])?.replace("\"\"", "\""), quote + 1)),
            Closing::Broken | Closing::Open => Err("a quote is not closed"),
        };
    }
    let rest = bytes.get(at..).unwrap_or(&[]);
    let end = match memchr::memchr2(b',', b'\n', rest) {
        Some(offset) => at + offset,
        None if is_end => bytes.len(),
        None => return Err("it is longer than a megabyte"),
    };
    let is_crlf = bytes.get(end) != Some(&b',') && end > at && bytes[end - 1] == b'\r';
    let end = if is_crlf { end - 1 } else { end };
    Ok((text(&bytes[at..end])?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_mark_quotes_and_line_ends() {
        for (text, bytes) in [
            ("\u{feff}a,\"b,\"\"x\"\"\",c\r\n1,2,3\n", 21),
            ("a,\"b,\"\"x\"\"\",c\n", 15),
            ("a,\"b,\"\"x\"\"\",c", 14),
            ("a,\"b,\"\"x\"\"\",\"c\"\r\n", 18),
        ] {
            let header = read_header(text.as_bytes(), true).expect("header");
            assert_eq!(header.columns, ["a", "b,\"x\"", "c"], "{text}");
            assert_eq!(header.bytes, text.find("1,2").unwrap_or(text.len()).min(header.bytes), "{text} {bytes}");
        }
    }

    #[test]
    fn quoted_newline_in_a_name_counts_as_a_line() {
        let header = read_header(b"\"a\nb\",c\nrow\n", true).expect("header");
        assert_eq!((header.columns.len(), header.lines), (2, 2));
    }

    #[test]
    fn what_is_no_header() {
        assert_eq!(read_header(b"\n1,2\n", true), Err("the first line is empty"));
        assert_eq!(read_header(b"\"a,b\n", true), Err("a quote is not closed"));
        assert_eq!(read_header(b"a\xff,b\n", true), Err("it is not UTF-8"));
    }
}
