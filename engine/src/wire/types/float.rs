//! Floating point numbers as Postgres prints them.
//!
//! With `extra_float_digits` above zero (the default) the shortest text that reads back as the same number; otherwise `%.*g` with
//! 15 (or 6) digits plus the setting. Exponents from the digits the type keeps upwards, and below -4, are scientific.

use bytes::{BufMut, BytesMut};

/// Digits that a float8 always keeps.
const FLOAT8_DIGITS: i32 = 15;
/// Digits that a float4 always keeps.
const FLOAT4_DIGITS: i32 = 6;

/// Writes a float8.
pub(crate) fn write_float8(value: f64, extra_digits: i32, out: &mut BytesMut) {
    let scientific = if extra_digits > 0 {
        format!("{value:e}")
    } else {
        format!("{value:.*e}", digits_after_first(FLOAT8_DIGITS + extra_digits))
    };
    write(value.is_nan(), value.is_infinite(), &scientific, FLOAT8_DIGITS + extra_digits.min(0), out);
}

/// Writes a float4.
pub(crate) fn write_float4(value: f32, extra_digits: i32, out: &mut BytesMut) {
    let scientific = if extra_digits > 0 {
        format!("{value:e}")
    } else {
        format!("{value:.*e}", digits_after_first(FLOAT4_DIGITS + extra_digits))
    };
    write(value.is_nan(), value.is_infinite(), &scientific, FLOAT4_DIGITS + extra_digits.min(0), out);
}

fn digits_after_first(significant: i32) -> usize {
    usize::try_from(significant.max(1) - 1).unwrap_or(0)
}

/// Turns Rust's `-1.25e-7` into Postgres' spelling.
fn write(is_nan: bool, is_infinite: bool, scientific: &str, digits_kept: i32, out: &mut BytesMut) {
    let (sign, body) = match scientific.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", scientific),
    };
    if is_nan {
        return out.put_slice(b"NaN");
    }
    out.put_slice(sign.as_bytes());
    if is_infinite {
        return out.put_slice(b"Infinity");
    }
    let (mantissa, exponent) = body.split_once('e').unwrap_or((body, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let rest = rest.trim_end_matches('0');
    if exponent < -4 || exponent >= digits_kept.max(1) {
        out.put_slice(first.as_bytes());
        if !rest.is_empty() {
            out.put_u8(b'.');
            out.put_slice(rest.as_bytes());
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        return out.put_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
    }
    let digits = format!("{first}{rest}");
    match usize::try_from(exponent) {
        Err(_) => {
            out.put_slice(b"0.");
            let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
            out.put_bytes(b'0', zeros);
            out.put_slice(digits.as_bytes());
        }
        Ok(exponent) => {
            let whole = exponent + 1;
            if digits.len() <= whole {
                out.put_slice(digits.as_bytes());
                out.put_bytes(b'0', whole - digits.len());
            } else {
                out.put_slice(&digits.as_bytes()[..whole]);
                out.put_u8(b'.');
                out.put_slice(&digits.as_bytes()[whole..]);
            }
        }
    }
}
