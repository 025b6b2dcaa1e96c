//! The functions `to_date` and `to_timestamp`.

use super::reading::ReadingPattern;
use crate::columnar::shaped;
use crate::datetime::Zone;
use arrow::array::{Array, ArrayRef, AsArray, Date32Array, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use datafusion::common::{DataFusionError, Result, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Reads a text by a pattern, as PostgreSQL does. `to_timestamp` of one number is the instant so many seconds after 1970.
///
/// ```sql
/// select to_date('05.10.2026', 'DD.MM.YYYY'), to_timestamp('2026-10-05 14:30', 'YYYY-MM-DD HH24:MI');
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ByPattern {
    reads_time: bool,
    signature: Signature,
}

impl ByPattern {
    /// The function `to_date`.
    #[must_use]
    pub fn to_date() -> Self {
        Self { reads_time: false, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// The function `to_timestamp`.
    #[must_use]
    pub fn to_timestamp() -> Self {
        Self { reads_time: true, signature: Signature::user_defined(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for ByPattern {
    fn name(&self) -> &str {
        if self.reads_time { "to_timestamp" } else { "to_date" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [seconds] if self.reads_time && (seconds.is_numeric() || seconds.is_null()) => Ok(vec![DataType::Float64]),
            [_] if self.reads_time => plan_err!("to_timestamp takes a number, or a text and a pattern"),
            [_, _] => Ok(vec![DataType::Utf8View, DataType::Utf8View]),
            _ => plan_err!("{} takes a text and a pattern", self.name()),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(if self.reads_time {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        } else {
            DataType::Date32
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        match arrays.as_slice() {
            [seconds] => shaped(instants(seconds)?, is_constant),
            [texts, patterns] => {
                let zone = Zone::of_session(&args.config_options);
                shaped(self.read(texts.as_string_view(), patterns.as_string_view(), zone)?, is_constant)
            }
            _ => internal_err!("{} takes one or two arguments", self.name()),
        }
    }
}

impl ByPattern {
    fn read(&self, texts: &StringViewArray, patterns: &StringViewArray, zone: Zone) -> Result<ArrayRef> {
        let mut held: Option<(&str, ReadingPattern)> = None;
        let mut micros = Vec::with_capacity(texts.len());
        for (text, pattern) in texts.iter().zip(patterns) {
            let (Some(text), Some(pattern)) = (text, pattern) else {
                micros.push(None);
                continue;
            };
            let cut = match held.take().filter(|(known, _)| *known == pattern) {
                Some(known) => held.insert(known),
                None => held.insert((pattern, ReadingPattern::new(pattern)?)),
            };
            let reading = cut.1.read(text).map_err(|error| DataFusionError::External(Box::new(error)))?;
            let local = reading.local.and_utc().timestamp_micros();
            micros.push(Some(match reading.offset {
                _ if !self.reads_time => local,
                Some(offset) => local - offset * 1_000_000,
                None => zone.instant_of(reading.local),
            }));
        }
        Ok(if self.reads_time {
            Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
        } else {
            let day = |at: i64| i32::try_from(at.div_euclid(crate::datetime::DAY_US)).unwrap_or_default();
            Arc::new(micros.into_iter().map(|at| at.map(day)).collect::<Date32Array>())
        })
    }
}

fn instants(seconds: &ArrayRef) -> Result<ArrayRef> {
    let seconds = seconds.as_primitive::<Float64Type>();
    let mut micros = Vec::with_capacity(seconds.len());
    for second in seconds {
        micros.push(match second {
            // Microseconds fit an i64 by far.
            #[expect(clippy::cast_possible_truncation)]
            Some(second) if second.abs() < 9e12 => Some((second * 1e6).round() as i64),
            Some(_) => return exec_err!("timestamp out of range"),
            None => None,
        });
    }
    Ok(Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC")))
}
