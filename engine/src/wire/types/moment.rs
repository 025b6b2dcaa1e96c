//! Writers of dates, times of day, timestamps and intervals, whatever unit Arrow keeps them in.

use arrow::array::ArrayRef;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use bytes::BufMut;
use ratehouse_udfs::datetime::Span;

use super::cell::{CellWriter, Reader, primitive};
use super::interval;
use super::presentation::unsupported;
use super::{Format, OutputSettings, datetime};
use crate::wire::backend::Failure;

/// Dates, times of day and timestamps.
pub(crate) fn moments<'a>(
    values: &'a ArrayRef,
    format: Format,
    settings: OutputSettings,
) -> Result<CellWriter<'a>, Failure> {
    if let DataType::Date32 | DataType::Date64 = values.data_type() {
        let read: Reader<'a, i64> = match values.data_type() {
            DataType::Date32 => primitive::<Date32Type, _>(values, i64::from),
            _ => primitive::<Date64Type, _>(values, |milliseconds| milliseconds.div_euclid(86_400_000)),
        };
        return Ok(Box::new(move |row, out| {
            match format {
                Format::Text => datetime::write_date(read(row), out),
                Format::Binary => out.put_i32(datetime::date_to_binary(read(row))?),
            }
            Ok(())
        }));
    }
    let read = microseconds(values).ok_or_else(|| unsupported(values.data_type()))?;
    let zoned = matches!(values.data_type(), DataType::Timestamp(_, Some(_)));
    let is_time = matches!(values.data_type(), DataType::Time32(_) | DataType::Time64(_));
    Ok(Box::new(move |row, out| {
        let value = read(row);
        match format {
            Format::Text if is_time => datetime::write_time(value, out),
            Format::Text if zoned => datetime::write_timestamptz(value, settings.zone, out),
            Format::Text => datetime::write_timestamp(value, out),
            Format::Binary if is_time => out.put_i64(value),
            Format::Binary => out.put_i64(datetime::timestamp_to_binary(value)?),
        }
        Ok(())
    }))
}

fn microseconds(values: &ArrayRef) -> Option<Reader<'_, i64>> {
    Some(match values.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            primitive::<TimestampSecondType, _>(values, |s| s.saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            primitive::<TimestampMillisecondType, _>(values, |ms| ms.saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => primitive::<TimestampMicrosecondType, _>(values, |us| us),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            primitive::<TimestampNanosecondType, _>(values, |ns| ns.div_euclid(1_000))
        }
        DataType::Time32(TimeUnit::Second) => primitive::<Time32SecondType, _>(values, |s| i64::from(s) * 1_000_000),
        DataType::Time32(_) => primitive::<Time32MillisecondType, _>(values, |ms| i64::from(ms) * 1_000),
        DataType::Time64(TimeUnit::Nanosecond) => {
            primitive::<Time64NanosecondType, _>(values, |ns| ns.div_euclid(1_000))
        }
        DataType::Time64(_) => primitive::<Time64MicrosecondType, _>(values, |us| us),
        _ => return None,
    })
}

/// Intervals and durations.
pub(crate) fn intervals<'a>(values: &'a ArrayRef, format: Format) -> Result<CellWriter<'a>, Failure> {
    let of_micros = |microseconds: i64| Span { months: 0, days: 0, microseconds };
    let read: Reader<'a, Span> = match values.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            primitive::<IntervalYearMonthType, _>(values, |months| Span { months, days: 0, microseconds: 0 })
        }
        DataType::Interval(IntervalUnit::DayTime) => primitive::<IntervalDayTimeType, _>(values, |value| Span {
            months: 0,
            days: value.days,
            microseconds: i64::from(value.milliseconds) * 1_000,
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            primitive::<IntervalMonthDayNanoType, _>(values, Span::of_arrow)
        }
        DataType::Duration(TimeUnit::Second) => {
            primitive::<DurationSecondType, _>(values, move |s| of_micros(s.saturating_mul(1_000_000)))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            primitive::<DurationMillisecondType, _>(values, move |ms| of_micros(ms.saturating_mul(1_000)))
        }
        DataType::Duration(TimeUnit::Microsecond) => primitive::<DurationMicrosecondType, _>(values, of_micros),
        DataType::Duration(TimeUnit::Nanosecond) => {
            primitive::<DurationNanosecondType, _>(values, move |ns| of_micros(ns / 1_000))
        }
        other => return Err(unsupported(other)),
    };
    Ok(Box::new(move |row, out| {
        match format {
            Format::Text => read(row).write_text(out),
            Format::Binary => interval::write_binary(read(row), out),
        }
        Ok(())
    }))
}
