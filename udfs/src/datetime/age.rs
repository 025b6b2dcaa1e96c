//! The time between two instants in years, months and days.

use crate::columnar::shaped;
use arrow::array::{Array, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

use super::interval::interval;

/// `age(timestamp, timestamp)`: what must be added to the second, field by field, to come to the first; after PostgreSQL's
/// `timestamp_age`. Where a day is borrowed, it is from the month of the earlier one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Age {
    signature: Signature,
}

impl Default for Age {
    fn default() -> Self {
        Self::new()
    }
}

impl Age {
    /// The function.
    #[must_use]
    pub fn new() -> Self {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
        Self { signature: Signature::exact(vec![instant.clone(), instant], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Age {
    fn name(&self) -> &str {
        "age"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(interval())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [to, from] = arrays.as_slice() else { return internal_err!("age has two arguments") };
        let (to, from) =
            (to.as_primitive::<TimestampMicrosecondType>(), from.as_primitive::<TimestampMicrosecondType>());
        let between = |row: usize| {
            let is_null = to.is_null(row) || from.is_null(row);
            if is_null { None } else { Some(between(clock(to.value(row))?, clock(from.value(row))?)) }
        };
        shaped(Arc::new((0..to.len()).map(between).collect::<IntervalMonthDayNanoArray>()), is_constant)
    }
}

/// None beyond what a calendar has.
fn clock(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|instant| instant.naive_utc())
}

fn between(to: NaiveDateTime, from: NaiveDateTime) -> IntervalMonthDayNano {
    let (earlier, later, sign) = if to < from { (to, from, -1) } else { (from, to, 1) };
    let nanos =
        |at: NaiveDateTime| i64::from(at.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(at.nanosecond());
    let months_of = |at: NaiveDateTime| at.year() * 12 + at.month0().cast_signed();
    let mut months = months_of(later) - months_of(earlier);
    let mut days = later.day().cast_signed() - earlier.day().cast_signed();
    let mut time = nanos(later) - nanos(earlier);
    if time < 0 {
        time += 86_400_000_000_000;
        days -= 1;
    }
    if days < 0 {
        days += i32::from(earlier.date().num_days_in_month());
        months -= 1;
    }
    IntervalMonthDayNano::new(months * sign, days * sign, time * i64::from(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(to: &str, from: &str) -> (i32, i32, i64) {
        let at = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("an instant");
        let span = between(at(to), at(from));
        (span.months, span.days, span.nanoseconds / 60_000_000_000)
    }

    /// Values of PostgreSQL 15.
    #[test]
    fn ages_are_those_of_postgresql() {
        assert_eq!(age("2026-03-01 00:00", "2026-01-31 00:00"), (1, 1, 0));
        assert_eq!(age("2026-01-31 00:00", "2026-03-01 00:00"), (-1, -1, 0));
        assert_eq!(age("2024-02-29 12:00", "2023-02-28 13:00"), (12, 0, 1380));
        assert_eq!(age("2026-03-30 10:00", "2026-02-28 11:30"), (1, 1, 1350));
        assert_eq!(age("2026-02-28 11:30", "2026-03-30 10:00"), (-1, -1, -1350));
        assert_eq!(age("2025-12-31 23:59", "2025-12-31 23:59"), (0, 0, 0));
        assert_eq!(age("2026-01-01 00:00", "2024-05-31 01:00"), (19, 0, 1380));
        assert_eq!(age("2024-05-31 01:00", "2026-01-01 00:00"), (-19, 0, -1380));
        // Backwards, a day is borrowed from February too.
        assert_eq!(age("2026-02-28 00:00", "2026-03-01 00:00"), (0, -1, 0));
        assert_eq!(age("2026-03-01 00:00", "2026-02-28 00:00"), (0, 1, 0));
        assert_eq!(age("2026-02-10 12:00", "2026-04-05 06:00"), (-1, -22, -1080));
    }
}
