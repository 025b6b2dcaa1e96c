//! Timestamps and intervals as text.

use super::clock::LOCAL;
use super::interval::interval;
use super::span::Span;
use super::write::{write_timestamp, write_timestamptz};
use super::zone::Zone;
use crate::conversion::{Conversion, cast_strictly};
use arrow::array::{ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::Volatility;

/// Shows a timestamp as PostgreSQL does under `DateStyle` ISO: `2026-03-01 10:00:00.5`, with time zone on the clock of the
/// session and with its offset: `2026-03-01 11:00:00.5+01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TimestampText;

impl Conversion for TimestampText {
    const NAME: &'static str = "timestamp_text";

    fn volatility(_to: &DataType) -> Volatility {
        Volatility::Stable
    }

    fn convert(self, values: &ArrayRef, to: &DataType, options: &ConfigOptions) -> Result<ArrayRef> {
        let zone = match values.data_type() {
            DataType::Timestamp(_, Some(_)) => Some(Zone::of_session(options)),
            _ => None,
        };
        let instants = cast_strictly(values, &LOCAL)?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let write = |at, texts: &mut StringBuilder| match zone {
            None => write_timestamp(at, texts),
            Some(zone) => write_timestamptz(at, zone, texts),
        };
        written(instants.iter(), 22, write, to)
    }
}

/// Shows an interval as PostgreSQL does under `IntervalStyle` postgres: `1 mon 2 days 03:00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct IntervalText;

impl Conversion for IntervalText {
    const NAME: &'static str = "interval_text";

    fn volatility(_to: &DataType) -> Volatility {
        Volatility::Immutable
    }

    fn convert(self, values: &ArrayRef, to: &DataType, _options: &ConfigOptions) -> Result<ArrayRef> {
        let spans = cast_strictly(values, &interval())?;
        let spans = spans.as_primitive::<IntervalMonthDayNanoType>();
        written(spans.iter(), 16, |span, texts| Span::of_arrow(span).write_text(texts), to)
    }
}

/// Values as texts of about a width, in a type of texts.
fn written<T>(
    values: impl ExactSizeIterator<Item = Option<T>>,
    width: usize,
    write: impl Fn(T, &mut StringBuilder),
    to: &DataType,
) -> Result<ArrayRef> {
    let mut texts = StringBuilder::with_capacity(values.len(), values.len() * width);
    for value in values {
        match value {
            Some(value) => {
                write(value, &mut texts);
                texts.append_value("");
            }
            None => texts.append_null(),
        }
    }
    Ok(cast(&texts.finish(), to)?)
}
