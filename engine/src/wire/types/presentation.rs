//! How a column is announced and shown: object id, width, modifier, digits after the point.
//!
//! The Arrow type gives the default; metadata on the Arrow field overrides it:
//!
//! | key | value | effect |
//! |---|---|---|
//! | `pg_type` | `json`, `name`, `oid`, `int4`, `"char"`, `regclass`, `text[]`, ... | the announced type |
//! | `pg_scale` | `trim:N` | trailing zeros are dropped down to N digits after the point |
//! | `pg_scale` | `fixed:N` | exactly N digits, announced as `numeric(38,N)` |
//! | `pg_typmod` | a number | the announced type modifier |
//! | `pg_table`, `pg_column` | numbers | the table's object id and the column's number in it |

use arrow::datatypes::{DataType, Field, IntervalUnit};

use super::oid;
use crate::wire::backend::Failure;

/// How many digits a decimal shows after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// As many as it needs, at least this many.
    Trim(u8),
    /// Exactly this many.
    Fixed(u8),
}

/// A result column as RowDescription announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnType {
    /// Object id of the type.
    pub(crate) oid: u32,
    /// Bytes, or negative for variable width.
    pub(crate) size: i16,
    /// Type modifier, -1 for none.
    pub(crate) modifier: i32,
    /// Digits after the point, for decimals.
    pub(crate) scale: Scale,
    /// Object id of the table it is read from, 0 when it is computed.
    pub(crate) table: u32,
    /// Its number in that table, 0 when it is computed.
    pub(crate) number: i16,
}

impl ColumnType {
    /// Reads the announcement of a field.
    ///
    /// Errors: 0A000 for an Arrow type no client can be sent.
    pub(crate) fn of(field: &Field) -> Result<Self, Failure> {
        let named = field.metadata().get("pg_type").and_then(|name| oid::by_name(name));
        let (oid, size) = match named {
            Some(found) => found,
            None => {
                let oid = of_arrow(field.data_type())?;
                (oid, oid::by_oid(oid).map_or(-1, |ty| ty.size))
            }
        };
        let number = |key: &str| field.metadata().get(key).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let modifier = field.metadata().get("pg_typmod").and_then(|text| text.parse().ok());
        let mut column = Self {
            oid,
            size,
            modifier: modifier.unwrap_or(-1),
            scale: default_scale(field.data_type()),
            table: number("pg_table"),
            number: i16::try_from(number("pg_column")).unwrap_or(0),
        };
        if let Some((kind, digits)) = field.metadata().get("pg_scale").and_then(|text| text.split_once(':')) {
            match (kind, digits.parse::<u8>()) {
                ("trim", Ok(least)) => column.scale = Scale::Trim(least),
                ("fixed", Ok(exact)) if exact <= 38 => {
                    column.scale = Scale::Fixed(exact);
                    if oid == oid::NUMERIC {
                        column.modifier = ((38 << 16) | i32::from(exact)) + 4;
                    }
                }
                _ => {}
            }
        }
        Ok(column)
    }
}

impl ColumnType {
    /// The scale that the type modifier of a `numeric` declares.
    pub(crate) fn declared_scale(&self) -> Option<u8> {
        let declared = (self.oid == oid::NUMERIC && self.modifier >= 4).then(|| (self.modifier - 4) & 0xffff)?;
        u8::try_from(declared).ok().filter(|scale| *scale <= 38)
    }
}

/// Digits after the point that a decimal column shows even where they are zeros.
pub fn least_digits(field: &Field) -> usize {
    match ColumnType::of(field).map(|column| column.scale) {
        Ok(Scale::Trim(digits) | Scale::Fixed(digits)) => usize::from(digits),
        Err(_) => 0,
    }
}

/// Digits that a decimal shows where nothing says otherwise: all of a literal, cast or rounded
/// number, which declares few, and only those that are needed of an amount of full width.
fn default_scale(data_type: &DataType) -> Scale {
    const DECLARED_MAX: i8 = 9;
    match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale)
            if (0..=DECLARED_MAX).contains(scale) =>
        {
            Scale::Fixed(scale.unsigned_abs())
        }
        _ => Scale::Trim(0),
    }
}

/// The type that stands for an Arrow type.
///
/// Errors: 0A000 for a type with no Postgres counterpart.
pub(crate) fn of_arrow(data_type: &DataType) -> Result<u32, Failure> {
    Ok(match data_type {
        DataType::Boolean => oid::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => oid::INT2,
        DataType::Int32 | DataType::UInt16 => oid::INT4,
        DataType::Int64 | DataType::UInt32 => oid::INT8,
        DataType::Float16 | DataType::Float32 => oid::FLOAT4,
        DataType::Float64 => oid::FLOAT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => oid::NUMERIC,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => oid::TEXT,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => oid::BYTEA,
        DataType::Date32 | DataType::Date64 => oid::DATE,
        DataType::Time32(_) | DataType::Time64(_) => oid::TIME,
        DataType::Timestamp(_, None) => oid::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => oid::TIMESTAMPTZ,
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano)
        | DataType::Duration(_) => oid::INTERVAL,
        DataType::Struct(_) | DataType::Map(..) => oid::JSON,
        DataType::Dictionary(_, value) => of_arrow(value)?,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => array_of(item)?,
        other => return Err(unsupported(other)),
    })
}

fn array_of(item: &Field) -> Result<u32, Failure> {
    // An array of arrays is the same type as its innermost array.
    if let DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) = item.data_type() {
        return array_of(inner);
    }
    let element = ColumnType::of(item)?.oid;
    oid::by_oid(element).map(|ty| ty.array).filter(|array| *array != 0).ok_or_else(|| unsupported(item.data_type()))
}

pub(crate) fn unsupported(data_type: &DataType) -> Failure {
    Failure::new("0A000", format!("a column of type {data_type} cannot be sent to a client"))
        .with_hint("Cast it to text.")
}

/// The Arrow type a declared parameter type is planned with; `None` leaves it to the statement.
pub(crate) fn to_arrow(type_oid: u32) -> Option<DataType> {
    use arrow::datatypes::TimeUnit::Microsecond;
    Some(match type_oid {
        oid::BOOL => DataType::Boolean,
        oid::BYTEA => DataType::Binary,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        // Precision and scale are those of the value; the plan takes the widest the lake uses.
        oid::NUMERIC => DataType::Decimal128(38, 18),
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(Microsecond, Some("UTC".into())),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        0 | oid::UNKNOWN => return None,
        other if oid::is_oid_like(other) => DataType::Int64,
        other => match oid::element_of(other) {
            Some(element) => DataType::List(Field::new_list_field(to_arrow(element.oid)?, true).into()),
            None => DataType::Utf8,
        },
    })
}
