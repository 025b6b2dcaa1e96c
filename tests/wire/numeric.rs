//! PostgreSQL's binary `numeric` as text, so that tests compare digits and not floats.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type Problem = Box<dyn std::error::Error + Sync + Send>;

/// A number as its decimal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numeric(pub(super) String);

/// Decimal digits of one base-10,000 digit.
const GROUP: usize = 4;
const NEGATIVE: u16 = 0x4000;

impl<'a> FromSql<'a> for Numeric {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Problem> {
        let field = |at: usize| -> Result<u16, Problem> {
            let bytes = raw.get(2 * at..2 * at + 2).ok_or("too short")?;
            Ok(u16::from_be_bytes(bytes.try_into()?))
        };
        let (count, weight) = (usize::from(field(0)?), field(1)?.cast_signed());
        let (sign, scale) = (field(2)?, usize::from(field(3)?));
        let digit = |power: i32| -> Result<u16, Problem> {
            match usize::try_from(i32::from(weight) - power) {
                Ok(at) if at < count => field(4 + at),
                _ => Ok(0),
            }
        };
        let mut whole = String::new();
        for power in (0..=i32::from(weight)).rev() {
            whole += &format!("{:04}", digit(power)?);
        }
        let mut part = String::new();
        for power in 1..=scale.div_ceil(GROUP) {
            part += &format!("{:04}", digit(-i32::try_from(power)?)?);
        }
        let whole = whole.trim_start_matches('0');
        let minus = if sign == NEGATIVE { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let part = &part[..scale];
        Ok(Self(if scale == 0 { format!("{minus}{whole}") } else { format!("{minus}{whole}.{part}") }))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }
}

impl ToSql for Numeric {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Problem> {
        let (sign, text) = self.0.strip_prefix('-').map_or((0, self.0.as_str()), |rest| (NEGATIVE, rest));
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let front = whole.len().next_multiple_of(GROUP);
        let digits = format!("{whole:0>front$}{part:0<back$}", back = part.len().next_multiple_of(GROUP));
        out.put_u16(u16::try_from(digits.len() / GROUP)?);
        out.put_i16(i16::try_from(front / GROUP)? - 1);
        out.put_u16(sign);
        out.put_u16(u16::try_from(part.len())?);
        for group in digits.as_bytes().chunks(GROUP) {
            out.put_u16(std::str::from_utf8(group)?.parse()?);
        }
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }

    to_sql_checked!();
}
