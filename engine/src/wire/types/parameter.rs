//! Parameters of a bound statement: bytes in text or binary to a scalar of the planned type.
//!
//! The object id that the client declared (or was told) decides how bytes are read, the planned Arrow type what becomes of them.
//! A conversion that would lose something keeps the value as it came, and the engine compares the two types itself.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::scalar::ScalarValue;

use ratehouse_udfs::datetime::{DateTimeError, Span};
use ratehouse_udfs::list::array_literal;

use super::datetime::{self, Zone};
use super::interval;
use super::list::{bytea, item_type, list, split_binary_array};
use super::numeric::Decimal;
use super::{Format, oid, presentation};
use crate::wire::backend::Failure;

/// A parameter's place in a statement: what the client announces and what the plan wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParameterType {
    /// The object id that ParameterDescription shows.
    pub(crate) oid: u32,
    /// The planned type.
    pub(crate) data_type: DataType,
}

impl ParameterType {
    /// Takes the client's object id, or the planned type's when the client declared none.
    pub(crate) fn new(declared: u32, data_type: &DataType) -> Result<Self, Failure> {
        let oid = match declared {
            0 | oid::UNKNOWN => presentation::of_arrow(data_type)?,
            declared => declared,
        };
        Ok(Self { oid, data_type: data_type.clone() })
    }

    /// Reads a value.
    ///
    /// Errors: 22P02 or 22007 for text of another type, 22P03 for such bytes, 22003 or 22008 out of range, 22021 for bytes that
    /// are not UTF-8.
    pub(crate) fn read(&self, value: Option<&[u8]>, format: Format, zone: Zone) -> Result<ScalarValue, Failure> {
        let Some(bytes) = value else {
            return null_of(&self.data_type);
        };
        let natural = match format {
            Format::Text => from_text(self.oid, text_of(bytes)?, &self.data_type, zone)?,
            Format::Binary => from_binary(self.oid, bytes, &self.data_type)?,
        };
        fit(natural, &self.data_type, zone)
    }
}

/// Reads the text of a literal as a value of a type, as an untyped parameter would be.
pub(crate) fn of_literal(text: &str, target: &DataType, zone: Zone) -> Result<ScalarValue, Failure> {
    fit(from_text(presentation::of_arrow(target)?, text, target, zone)?, target, zone)
}

/// The null of a type.
pub(crate) fn null_of(data_type: &DataType) -> Result<ScalarValue, Failure> {
    ScalarValue::try_from(data_type).map_err(|_| presentation::unsupported(data_type))
}

fn text_of(bytes: &[u8]) -> Result<&str, Failure> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Failure::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
    if text.contains('\0') {
        return Err(Failure::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
    }
    Ok(text)
}

fn wrong_text(type_oid: u32, text: &str) -> Failure {
    let name = oid::by_oid(type_oid).map_or("the parameter's type", |ty| ty.name);
    let shown: String = text.chars().take(64).collect();
    Failure::new("22P02", format!("invalid input syntax for type {name}: \"{shown}\""))
}

fn wrong_bytes(type_oid: u32) -> Failure {
    let name = oid::by_oid(type_oid).map_or("the parameter's type", |ty| ty.name);
    Failure::new("22P03", format!("incorrect binary data format for type {name}"))
}

fn timestamp(microseconds: i64, zoned: bool) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(microseconds), zoned.then(|| "UTC".into()))
}

fn of_span(span: Span) -> Result<ScalarValue, Failure> {
    let value = span.to_arrow().ok_or_else(|| Failure::new("22008", "interval out of range"))?;
    Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
}

fn from_text(type_oid: u32, text: &str, target: &DataType, zone: Zone) -> Result<ScalarValue, Failure> {
    let wrong = || wrong_text(type_oid, text);
    let trimmed = text.trim();
    Ok(match type_oid {
        oid::BOOL => ScalarValue::Boolean(Some(match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => true,
            "f" | "false" | "n" | "no" | "off" | "0" => false,
            _ => return Err(wrong()),
        })),
        oid::INT2 | oid::INT4 | oid::INT8 => {
            let value: i128 = trimmed.parse().map_err(|_| wrong())?;
            integer(value, type_oid)?
        }
        oid::FLOAT4 | oid::FLOAT8 => ScalarValue::Float64(Some(trimmed.parse().map_err(|_| wrong())?)),
        oid::NUMERIC => Decimal::from_text(text)
            .map_err(|failure| match failure.sqlstate {
                "22P02" => wrong(),
                _ => failure,
            })?
            .to_scalar(target)?,
        oid::DATE => ScalarValue::Date32(Some(datetime::parse_date(text).map_err(of_datetime)?)),
        oid::TIME => ScalarValue::Time64Microsecond(Some(datetime::parse_time(text).map_err(of_datetime)?)),
        oid::TIMESTAMP => timestamp(datetime::parse_timestamp(text).map_err(of_datetime)?, false),
        oid::TIMESTAMPTZ => timestamp(datetime::parse_timestamptz(text, zone).map_err(of_datetime)?, true),
        oid::INTERVAL => of_span(Span::from_text(text).map_err(of_datetime)?)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytea(text).ok_or_else(wrong)?)),
        oid::UUID => ScalarValue::Utf8(Some(uuid::Uuid::parse_str(trimmed).map_err(|_| wrong())?.to_string())),
        other => match oid::element_of(other) {
            Some(element) => {
                let item = item_type(target);
                let mut items = Vec::new();
                for part in array_literal(text).ok_or_else(wrong)? {
                    items.push(part.map(|part| from_text(element.oid, &part, item, zone)).transpose()?);
                }
                list(items, element.oid, item)?
            }
            // An object id in digits; a name of a relation or type stays text.
            None if oid::is_oid_like(other) && !target.is_string() => {
                ScalarValue::Int64(Some(trimmed.parse().map_err(|_| wrong())?))
            }
            None => ScalarValue::Utf8(Some(text.to_owned())),
        },
    })
}

fn from_binary(type_oid: u32, bytes: &[u8], target: &DataType) -> Result<ScalarValue, Failure> {
    let wrong = || wrong_bytes(type_oid);
    let four = || bytes.try_into().map_err(|_| wrong());
    let eight = || bytes.try_into().map_err(|_| wrong());
    Ok(match type_oid {
        oid::BOOL => ScalarValue::Boolean(Some(*bytes.first().filter(|_| bytes.len() == 1).ok_or_else(wrong)? != 0)),
        oid::INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        oid::INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(four()?))),
        oid::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(eight()?))),
        oid::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(four()?))),
        oid::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(eight()?))),
        oid::NUMERIC => Decimal::from_binary(bytes)?.to_scalar(target)?,
        oid::DATE => ScalarValue::Date32(Some(datetime::date_from_binary(i32::from_be_bytes(four()?))?)),
        oid::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(eight()?))),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let microseconds = datetime::timestamp_from_binary(i64::from_be_bytes(eight()?))?;
            timestamp(microseconds, type_oid == oid::TIMESTAMPTZ)
        }
        oid::INTERVAL => of_span(interval::from_binary(bytes)?)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        oid::UUID => ScalarValue::Utf8(Some(uuid::Uuid::from_slice(bytes).map_err(|_| wrong())?.to_string())),
        oid::JSONB => {
            let text = bytes.strip_prefix(&[1]).ok_or_else(wrong)?;
            ScalarValue::Utf8(Some(text_of(text)?.to_owned()))
        }
        other => match oid::element_of(other) {
            Some(element) => {
                let item = item_type(target);
                let mut items = Vec::new();
                for part in split_binary_array(bytes, element.oid).ok_or_else(wrong)? {
                    items.push(part.map(|part| from_binary(element.oid, part, item)).transpose()?);
                }
                list(items, element.oid, item)?
            }
            None if oid::is_oid_like(other) => ScalarValue::Int64(Some(u32::from_be_bytes(four()?).into())),
            None => ScalarValue::Utf8(Some(text_of(bytes)?.to_owned())),
        },
    })
}

fn integer(value: i128, type_oid: u32) -> Result<ScalarValue, Failure> {
    let name = oid::by_oid(type_oid).map_or("integer", |ty| ty.name);
    let wide = |_| Failure::new("22003", format!("value \"{value}\" is out of range for type {name}"));
    Ok(match type_oid {
        oid::INT2 => ScalarValue::Int16(Some(i16::try_from(value).map_err(wide)?)),
        oid::INT4 => ScalarValue::Int32(Some(i32::try_from(value).map_err(wide)?)),
        _ => ScalarValue::Int64(Some(i64::try_from(value).map_err(wide)?)),
    })
}

/// Brings a value to the planned type where that loses nothing.
fn fit(value: ScalarValue, target: &DataType, zone: Zone) -> Result<ScalarValue, Failure> {
    let from = value.data_type();
    if &from == target || matches!(target, DataType::Null) {
        return Ok(value);
    }
    let is_decimal = |ty: &DataType| matches!(ty, DataType::Decimal128(..) | DataType::Decimal256(..));
    match &value {
        ScalarValue::Utf8(Some(text)) if !target.is_string() && !matches!(target, DataType::Dictionary(..)) => {
            let type_oid = presentation::of_arrow(target)?;
            let natural = from_text(type_oid, text, target, zone)?;
            return if natural.data_type() == from { cast(natural, target) } else { fit(natural, target, zone) };
        }
        _ if is_decimal(target) && (from.is_integer() || from.is_floating()) => {
            return Decimal::from_text(&value.to_string())?.to_scalar(target);
        }
        // A fraction compared with whole numbers, or digits beyond the column's scale: the engine widens the column.
        _ if is_decimal(&from) && (target.is_integer() || is_decimal(target)) => {
            let whole = value.cast_to(target).ok().filter(|cast| cast.cast_to(&from).is_ok_and(|back| back == value));
            return Ok(whole.unwrap_or(value));
        }
        _ if from.is_floating() && target.is_integer() => return Ok(value),
        ScalarValue::TimestampMicrosecond(Some(_), _) if matches!(target, DataType::Date32) => {
            return Ok(value);
        }
        ScalarValue::TimestampMicrosecond(Some(us), _) => {
            if let DataType::Timestamp(unit, zone_name) = target {
                return timestamp_of(*us, *unit, zone_name.clone());
            }
        }
        _ => {}
    }
    cast(value, target)
}

fn timestamp_of(us: i64, unit: TimeUnit, zone: Option<std::sync::Arc<str>>) -> Result<ScalarValue, Failure> {
    let wide = || Failure::new("22008", "timestamp out of range");
    Ok(match unit {
        TimeUnit::Second if us % 1_000_000 == 0 => ScalarValue::TimestampSecond(Some(us / 1_000_000), zone),
        TimeUnit::Millisecond if us % 1_000 == 0 => ScalarValue::TimestampMillisecond(Some(us / 1_000), zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(us.checked_mul(1_000).ok_or_else(wide)?), zone),
        _ => ScalarValue::TimestampMicrosecond(Some(us), zone),
    })
}

fn cast(value: ScalarValue, target: &DataType) -> Result<ScalarValue, Failure> {
    let narrower = value.data_type().is_integer() && target.is_integer();
    if let (DataType::Interval(IntervalUnit::MonthDayNano), DataType::Interval(_) | DataType::Duration(_)) =
        (value.data_type(), target)
    {
        return Ok(value);
    }
    match value.cast_to(target) {
        Ok(cast) if cast.is_null() && !value.is_null() => {
            Err(Failure::new("22003", "parameter out of range for its type"))
        }
        Ok(cast) => Ok(cast),
        Err(_) if narrower => Err(Failure::new("22003", "integer out of range")),
        Err(_) => {
            Err(Failure::new("42804", format!("a parameter of type {} cannot stand for {target}", value.data_type())))
        }
    }
}

fn of_datetime(error: DateTimeError) -> Failure {
    Failure::new(error.sqlstate(), error.to_string())
}
