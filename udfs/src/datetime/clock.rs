//! What the clock of a time zone shows at an instant, and when it shows that.

use super::parse::DateTimeError;
use super::zone::Zone;
use crate::columnar::shaped;
use crate::conversion::{Conversion, cast_strictly};
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Microseconds of a local time.
pub(super) const LOCAL: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Microseconds of an instant.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn local_of(at: i64, zone: Zone) -> i64 {
    at + zone.offset_at(at) * 1_000_000
}

fn instant_of(local: i64, zone: Zone) -> i64 {
    DateTime::from_timestamp_micros(local).map_or(local, |local| zone.instant_of(local.naive_utc()))
}

/// Instants on a clock, or the instants of what a clock shows: the other kind of timestamp than the given one.
fn turned(values: &ArrayRef, zone: impl Fn(usize) -> Result<Option<Zone>>) -> Result<ArrayRef> {
    let is_instant = matches!(values.data_type(), DataType::Timestamp(_, Some(_)));
    let micros = cast_strictly(values, &LOCAL)?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let turn = if is_instant { local_of } else { instant_of };
    let mut turned = Vec::with_capacity(micros.len());
    for row in 0..micros.len() {
        let zone = if micros.is_null(row) { None } else { zone(row)? };
        turned.push(zone.map(|zone| turn(micros.value(row), zone)));
    }
    let turned = TimestampMicrosecondArray::from(turned);
    Ok(if is_instant { Arc::new(turned) } else { Arc::new(turned.with_timezone("UTC")) })
}

/// A cast between timestamps with and without time zone, which is one between instants and what the session's clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionClock;

impl Conversion for SessionClock {
    const NAME: &'static str = "session_clock";

    fn volatility(_to: &DataType) -> Volatility {
        Volatility::Stable
    }

    fn convert(self, values: &ArrayRef, to: &DataType, options: &ConfigOptions) -> Result<ArrayRef> {
        match Zone::of_session(options) {
            // Both kinds count from the same midnight.
            Zone::Utc => Ok(cast(&cast(values, &LOCAL)?, to)?),
            zone => turned(values, |_| Ok(Some(zone))),
        }
    }
}

/// `timezone(zone, timestamp)`, which is also `timestamp at time zone zone`: what the zone's clock shows at an instant, or the instant
/// at which it shows a local time.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Timezone {
    signature: Signature,
}

impl Default for Timezone {
    fn default() -> Self {
        Self::new()
    }
}

impl Timezone {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Timezone {
    fn name(&self) -> &str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null, value] = arg_types else {
            return plan_err!("timezone takes a time zone and a timestamp");
        };
        let value = match value {
            DataType::Timestamp(_, None) => LOCAL,
            DataType::Timestamp(_, Some(_)) | DataType::Date32 | DataType::Null => instant(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => instant(),
            _ => return plan_err!("timezone takes a timestamp, not {value}"),
        };
        Ok(vec![DataType::Utf8View, value])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match arg_types {
            [_, DataType::Timestamp(_, None)] => instant(),
            _ => LOCAL,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let unknown = || DataFusionError::External(Box::new(DateTimeError::UnknownZone));
        let named = |name: &str| Zone::of_text(name).ok_or_else(unknown);
        let turned = match args.args.as_slice() {
            [ColumnarValue::Scalar(zone), value] => {
                let values = value.to_array(if is_constant { 1 } else { args.number_rows })?;
                let zone = zone.try_as_str().flatten().map(named).transpose()?;
                turned(&values, |_| Ok(zone))?
            }
            _ => {
                let arrays = ColumnarValue::values_to_arrays(&args.args)?;
                let [zones, values] = arrays.as_slice() else { return internal_err!("timezone takes two arguments") };
                let zones = zones.as_string_view();
                turned(values, |row| zones.is_valid(row).then(|| named(zones.value(row))).transpose())?
            }
        };
        shaped(turned, is_constant)
    }
}
