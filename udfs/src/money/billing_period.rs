//! `billing_period(instant, time_zone)`.

use super::arguments::{Parsed, Text, text_type};
use super::prorate::{check_instant, instant_type};
use crate::columnar::shaped;
use arrow::array::{Array, AsArray, Date32Builder};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate, TimeZone};
use chrono_tz::Tz;
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Returns the billing period an instant falls in: the first day of its month in a time zone, as days since 1970.
///
/// `None` for instants that no calendar date stands for. Every instant has exactly one local time, so months with a change
/// to or from summer time neither lose nor repeat an hour.
#[must_use]
pub fn billing_period(instant_microseconds: i64, time_zone: Tz) -> Option<i32> {
    let utc = DateTime::from_timestamp_micros(instant_microseconds)?.naive_utc();
    let local = time_zone.offset_from_utc_datetime(&utc);
    let date = utc.checked_add_offset(chrono::Offset::fix(&local))?.date();
    let first = date.with_day(1)?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from(first.signed_duration_since(epoch).num_days()).ok()
}

/// Returns the first day of the month in which an instant falls, in an IANA time zone.
///
/// An instant without time zone, or a date, is UTC.
///
/// ```sql
/// -- Already April in Berlin:
/// select billing_period(timestamptz '2026-03-31 22:30:00+00', 'Europe/Berlin'); -- 2026-04-01
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct BillingPeriod {
    signature: Signature,
}

impl Default for BillingPeriod {
    fn default() -> Self {
        Self::new()
    }
}

impl BillingPeriod {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn parse_time_zone(text: &str) -> Result<Tz> {
    text.parse().map_err(|_| exec_datafusion_err!("unknown time zone: use an IANA name such as 'Europe/Berlin'"))
}

impl ScalarUDFImpl for BillingPeriod {
    fn name(&self) -> &str {
        "billing_period"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [instant, time_zone] = arg_types else {
            return plan_err!("billing_period takes an instant and a time zone");
        };
        check_instant(self.name(), instant)?;
        Ok(vec![instant_type(), text_type(self.name(), "the time zone", time_zone)?])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let instants = args.args[0].to_array(rows)?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let time_zone = Text::new(&args.args[1])?;
        let mut time_zones = Parsed::new(&time_zone, parse_time_zone);
        let mut periods = Date32Builder::with_capacity(rows);
        for row in 0..rows {
            match time_zones.at(row)? {
                Some(time_zone) if instants.is_valid(row) => {
                    let period = billing_period(instants.value(row), time_zone);
                    periods.append_value(period.ok_or_else(|| exec_datafusion_err!("timestamp out of range"))?);
                }
                _ => periods.append_null(),
            }
        }
        let array = periods.finish();
        shaped(Arc::new(array), is_constant)
    }
}
