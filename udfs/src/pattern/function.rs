//! The function `to_char`.

use super::digits::Digits;
use super::moment::{Moment, MomentPattern};
use super::number::NumberPattern;
use crate::columnar::shaped;
use arrow::array::{Array, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};
use datafusion::common::{Result, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Shows a date, time stamp or number by a pattern, as PostgreSQL does.
///
/// Time stamps with time zone are shown on the clock of the session's time zone.
///
/// ```sql
/// select to_char(date '2026-10-05', 'YYYY-MM'), to_char(1234.5, 'FM999,990.00'); -- 2026-10, 1,234.50
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToChar {
    signature: Signature,
}

impl Default for ToChar {
    fn default() -> Self {
        Self::new()
    }
}

impl ToChar {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        "to_char"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, pattern] = arg_types else {
            return plan_err!("to_char takes a value and a pattern");
        };
        if !matches!(pattern, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null) {
            return plan_err!("to_char takes a pattern as text, not {pattern}");
        }
        let value = match value {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Date32 | DataType::Date64 | DataType::Null => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            DataType::Decimal128(..) | DataType::Decimal256(..) => value.clone(),
            number if number.is_integer() => DataType::Decimal128(20, 0),
            number if number.is_floating() => DataType::Float64,
            _ => return plan_err!("to_char takes a date, a time stamp or a number, not {value}"),
        };
        Ok(vec![value, DataType::Utf8View])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let zone = args.config_options.execution.time_zone.as_deref().and_then(|name| name.parse().ok());
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [values, patterns] = arrays.as_slice() else { return internal_err!("to_char takes two arguments") };
        let patterns = cast(patterns, &DataType::Utf8View)?;
        let shown = show_all(values.as_ref(), patterns.as_string_view(), zone.unwrap_or(Tz::UTC))?;
        shaped(Arc::new(shown), is_scalar)
    }
}

/// A value and how it is shown, for each kind of value.
trait Show {
    /// Takes a pattern, to be used until another comes.
    fn prepare(&mut self, pattern: &str) -> Result<()>;

    /// Shows the value of a row, which is not null.
    fn show(&self, row: usize, out: &mut String) -> Result<()>;
}

struct Moments<'a> {
    values: &'a arrow::array::TimestampMicrosecondArray,
    zone: Option<Tz>,
    pattern: Option<MomentPattern>,
}

impl Show for Moments<'_> {
    fn prepare(&mut self, pattern: &str) -> Result<()> {
        self.pattern = Some(MomentPattern::new(pattern)?);
        Ok(())
    }

    fn show(&self, row: usize, out: &mut String) -> Result<()> {
        let Some(at) = DateTime::from_timestamp_micros(self.values.value(row)) else {
            return exec_err!("timestamp out of range");
        };
        let moment = match self.zone {
            None => Moment { local: at.naive_utc(), zone: None },
            Some(zone) => {
                let local = zone.from_utc_datetime(&at.naive_utc());
                let offset = local.offset();
                let name = offset.abbreviation().map_or_else(|| offset.fix().to_string(), str::to_owned);
                Moment { local: local.naive_local(), zone: Some((offset.fix(), name)) }
            }
        };
        if let Some(pattern) = &self.pattern {
            pattern.show(&moment, out);
        }
        Ok(())
    }
}

/// Numbers, as the digits of a row with at most that many places after the point.
struct Numbers<F> {
    digits: F,
    pattern: Option<NumberPattern>,
}

impl<F: Fn(usize, usize) -> Result<Digits>> Show for Numbers<F> {
    fn prepare(&mut self, pattern: &str) -> Result<()> {
        self.pattern = Some(NumberPattern::new(pattern)?);
        Ok(())
    }

    fn show(&self, row: usize, out: &mut String) -> Result<()> {
        if let Some(pattern) = &self.pattern {
            pattern.show(&(self.digits)(row, pattern.places())?, out)?;
        }
        Ok(())
    }
}

fn show_all(values: &dyn Array, patterns: &StringViewArray, session: Tz) -> Result<StringViewArray> {
    let run = |shows: &mut dyn Show| -> Result<StringViewArray> {
        let mut shown = StringViewBuilder::with_capacity(values.len());
        let (mut prepared, mut text) = (None, String::new());
        for row in 0..values.len() {
            if values.is_null(row) || patterns.is_null(row) {
                shown.append_null();
                continue;
            }
            let pattern = patterns.value(row);
            if prepared != Some(pattern) {
                shows.prepare(pattern)?;
                prepared = Some(pattern);
            }
            text.clear();
            shows.show(row, &mut text)?;
            shown.append_value(&text);
        }
        Ok(shown.finish())
    };
    match values.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => run(&mut Moments {
            values: values.as_primitive::<TimestampMicrosecondType>(),
            zone: zone.is_some().then_some(session),
            pattern: None,
        }),
        DataType::Decimal128(_, scale) => {
            let values = values.as_primitive::<Decimal128Type>();
            let digits = |row: usize, _| Ok(Digits::of_decimal(&values.value(row).to_string(), *scale));
            run(&mut Numbers { digits, pattern: None })
        }
        DataType::Decimal256(_, scale) => {
            let values = values.as_primitive::<Decimal256Type>();
            let digits = |row: usize, _| Ok(Digits::of_decimal(&values.value(row).to_string(), *scale));
            run(&mut Numbers { digits, pattern: None })
        }
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            let digits = |row: usize, places: usize| {
                let value = values.value(row);
                if !value.is_finite() {
                    return exec_err!("to_char of a value that is not a number: out of range");
                }
                let text = format!("{value:.places$}");
                let scale = i8::try_from(places).unwrap_or(i8::MAX);
                Ok(Digits::of_decimal(&text.replace('.', ""), scale))
            };
            run(&mut Numbers { digits, pattern: None })
        }
        other => internal_err!("to_char was planned for {other}"),
    }
}
