//! Intervals in binary: microseconds, days, months.

use bytes::{BufMut, BytesMut};
use ratehouse_udfs::datetime::Span;

use crate::wire::backend::Failure;

/// Writes the binary form.
pub(crate) fn write_binary(span: Span, out: &mut BytesMut) {
    out.put_i64(span.microseconds);
    out.put_i32(span.days);
    out.put_i32(span.months);
}

/// Reads the binary form. Errors: 22P03.
pub(crate) fn from_binary(bytes: &[u8]) -> Result<Span, Failure> {
    let wrong = || Failure::new("22P03", "incorrect binary data format for type interval");
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| wrong())?;
    let (microseconds, rest) = bytes.split_at(8);
    let (days, months) = rest.split_at(4);
    Ok(Span {
        microseconds: i64::from_be_bytes(microseconds.try_into().map_err(|_| wrong())?),
        days: i32::from_be_bytes(days.try_into().map_err(|_| wrong())?),
        months: i32::from_be_bytes(months.try_into().map_err(|_| wrong())?),
    })
}
