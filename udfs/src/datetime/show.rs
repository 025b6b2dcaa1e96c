//! Timestamps as text.

use super::zone::Zone;
use arrow::array::{Array, AsArray, StringBuilder};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::fmt::Write;

/// Shows a timestamp as PostgreSQL does under `DateStyle` ISO: `2026-03-01 10:00:00.5`, with time zone on the clock of the
/// session and with its offset: `2026-03-01 11:00:00.5+01`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TimestampText {
    to: DataType,
    signature: Signature,
}

impl TimestampText {
    pub(super) fn new(to: DataType) -> Self {
        Self { to, signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for TimestampText {
    fn name(&self) -> &str {
        "timestamp_text"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        // A cast has the name of what it casts.
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [DataType::Timestamp(_, zone)] => Ok(vec![DataType::Timestamp(TimeUnit::Microsecond, zone.clone())]),
            _ => internal_err!("a timestamp was expected"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("a cast has one argument") };
        let is_constant = matches!(value, ColumnarValue::Scalar(_));
        let array = value.to_array(if is_constant { 1 } else { args.number_rows })?;
        let zone = match array.data_type() {
            DataType::Timestamp(_, Some(_)) => {
                Some(args.config_options.execution.time_zone.as_deref().map_or(Zone::Utc, Zone::of_setting))
            }
            _ => None,
        };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let instants = cast_with_options(&array, &micros, &CastOptions { safe: false, ..CastOptions::default() })?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let mut texts = StringBuilder::with_capacity(instants.len(), instants.len() * 22);
        for row in 0..instants.len() {
            if instants.is_null(row) {
                texts.append_null();
                continue;
            }
            let at = instants.value(row);
            let offset = zone.map(|zone| zone.offset_at(at));
            let Some(local) = DateTime::from_timestamp_micros(at.saturating_add(offset.unwrap_or(0) * 1_000_000))
            else {
                return exec_err!("date/time field value out of range");
            };
            // Writing to a builder cannot fail.
            let _ = write!(texts, "{}", local.format("%Y-%m-%d %H:%M:%S"));
            let fraction = at.rem_euclid(1_000_000);
            if fraction != 0 {
                let _ = write!(texts, ".{}", format!("{fraction:06}").trim_end_matches('0'));
            }
            if let Some(offset) = offset {
                let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.abs());
                let _ = write!(texts, "{sign}{:02}", seconds / 3600);
                if seconds % 3600 != 0 {
                    let _ = write!(texts, ":{:02}", seconds / 60 % 60);
                }
            }
            texts.append_value("");
        }
        let shown = cast(&texts.finish(), &self.to)?;
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&shown, 0)?));
        }
        Ok(ColumnarValue::Array(shown))
    }
}
