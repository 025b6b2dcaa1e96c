//! Rows as the data of `COPY ... TO STDOUT`: one CopyData message a row.

use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};

use super::{CopyFormat, CopyHeader, CopyKind, ForceQuote};
use crate::wire::backend::Failure;
use crate::wire::types::row::BatchWriter;

/// What opens a binary COPY: signature, no flags, no extension.
const BINARY_OPENING: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Writes rows of one COPY.
pub(crate) struct CopyWriter {
    format: CopyFormat,
    quoted: Vec<bool>,
    names: Vec<String>,
    signed: bool,
    scratch: BytesMut,
}

impl CopyWriter {
    /// Checks the options against the columns. Errors: 42703 for a FORCE_QUOTE column that does not exist.
    pub(crate) fn new(format: CopyFormat, schema: &Schema) -> Result<Self, Failure> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let quoted = match &format.force_quote {
            ForceQuote::All => vec![true; names.len()],
            ForceQuote::Columns(columns) => {
                if let Some(missing) = columns.iter().find(|column| !names.contains(column)) {
                    return Err(Failure::new("42703", format!("column \"{missing}\" does not exist")));
                }
                names.iter().map(|name| columns.contains(name)).collect()
            }
        };
        Ok(Self { format, quoted, names, signed: false, scratch: BytesMut::new() })
    }

    /// Writes what comes before the first row: a header line, the binary signature or nothing.
    pub(crate) fn open(&mut self, out: &mut BytesMut) {
        let names = std::mem::take(&mut self.names);
        if self.format.kind != CopyKind::Binary && self.format.header != CopyHeader::Absent {
            let start = begin(out);
            for (index, name) in names.iter().enumerate() {
                self.separate(index, out);
                self.put_field(Some(name.as_bytes()), false, out);
            }
            out.put_u8(b'\n');
            finish(start, out);
        }
    }

    /// Writes a row. On an error nothing of it stays in the buffer.
    pub(crate) fn write_row(
        &mut self,
        batch: &mut BatchWriter<'_>,
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let start = begin(out);
        let written = if self.format.kind == CopyKind::Binary {
            self.put_signature(out);
            out.put_i16(i16::try_from(self.quoted.len()).unwrap_or(i16::MAX));
            batch.write_fields(row, out)
        } else {
            let mut scratch = std::mem::take(&mut self.scratch);
            let done = batch.each_field(row, &mut scratch, |index, field| {
                self.separate(index, out);
                self.put_field(field, self.quoted[index], out);
            });
            self.scratch = scratch;
            out.put_u8(b'\n');
            done
        };
        match written {
            Ok(()) => finish(start, out),
            Err(_) => out.truncate(start),
        }
        written
    }

    /// Writes what comes after the last row.
    pub(crate) fn close(&mut self, out: &mut BytesMut) {
        if self.format.kind == CopyKind::Binary {
            let start = begin(out);
            self.put_signature(out);
            out.put_i16(-1);
            finish(start, out);
        }
    }

    /// The signature is glued to the first message, as Postgres sends it.
    fn put_signature(&mut self, out: &mut BytesMut) {
        if !self.signed {
            out.put_slice(BINARY_OPENING);
            self.signed = true;
        }
    }

    fn separate(&self, index: usize, out: &mut BytesMut) {
        if index > 0 {
            out.put_u8(self.format.delimiter);
        }
    }

    fn put_field(&self, field: Option<&[u8]>, quote_always: bool, out: &mut BytesMut) {
        let Some(field) = field else {
            return out.put_slice(self.format.null.as_bytes());
        };
        if self.format.kind == CopyKind::Text {
            return self.put_text(field, out);
        }
        let format = &self.format;
        let is_only_end_mark = self.quoted.len() == 1 && field == b"\\.";
        let needs = quote_always
            || field == format.null.as_bytes()
            || is_only_end_mark
            || field.iter().any(|byte| *byte == format.delimiter || *byte == format.quote || b"\r\n".contains(byte));
        if !needs {
            return out.put_slice(field);
        }
        out.put_u8(format.quote);
        for byte in field {
            if *byte == format.quote || *byte == format.escape {
                out.put_u8(format.escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(format.quote);
    }

    fn put_text(&self, field: &[u8], out: &mut BytesMut) {
        // Most fields hold nothing that is escaped: whole stretches are copied, not bytes.
        let mut plain = 0;
        for (at, byte) in field.iter().enumerate() {
            let escaped = match byte {
                0x08 => b'b',
                0x0c => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x0b => b'v',
                b'\\' => b'\\',
                other if *other == self.format.delimiter => *other,
                _ => continue,
            };
            out.put_slice(&field[plain..at]);
            out.put_slice(&[b'\\', escaped]);
            plain = at + 1;
        }
        out.put_slice(&field[plain..]);
    }
}

/// Opens a CopyData message and gives its start.
fn begin(out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_u8(b'd');
    out.put_i32(0);
    start
}

fn finish(start: usize, out: &mut BytesMut) {
    let length = i32::try_from(out.len() - start - 1).unwrap_or(i32::MAX);
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
}
