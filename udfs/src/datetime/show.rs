//! Timestamps as text.

use super::write::{write_timestamp, write_timestamptz};
use super::zone::Zone;
use crate::columnar::{name_of_argument, shaped};
use arrow::array::{AsArray, StringBuilder};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

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
        Ok(name_of_argument(args))
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
            DataType::Timestamp(_, Some(_)) => Some(Zone::of_session(&args.config_options)),
            _ => None,
        };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let instants = cast_with_options(&array, &micros, &CastOptions { safe: false, ..CastOptions::default() })?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let mut texts = StringBuilder::with_capacity(instants.len(), instants.len() * 22);
        for instant in instants {
            match (instant, zone) {
                (None, _) => {
                    texts.append_null();
                    continue;
                }
                (Some(at), None) => write_timestamp(at, &mut texts),
                (Some(at), Some(zone)) => write_timestamptz(at, zone, &mut texts),
            }
            texts.append_value("");
        }
        shaped(cast(&texts.finish(), &self.to)?, is_constant)
    }
}
