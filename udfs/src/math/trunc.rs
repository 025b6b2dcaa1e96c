//! `trunc(x [, n])`.

use super::places::{Direction, constant_places, drop_digits, shortened, widened};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions::math::trunc;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Drops the digits after the n-th place (0 if not given), toward zero.
///
/// For a decimal, `n` is a constant; negative places become zeros before the point.
///
/// ```sql
/// select trunc(41.2199, 2), trunc(-1.7), trunc(1234.5, -2); -- 41.21, -1, 1200
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Trunc {
    signature: Signature,
}

impl Default for Trunc {
    fn default() -> Self {
        Self::new()
    }
}

impl Trunc {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Trunc {
    fn name(&self) -> &str {
        "trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let number = match arg_types {
            [DataType::Float32, ..] => DataType::Float32,
            [decimal, ..] if decimal.is_decimal() => widened(decimal),
            [number, ..] if number.is_numeric() || number.is_null() => DataType::Float64,
            _ => return plan_err!("trunc takes a number and optionally a number of places"),
        };
        match arg_types.len() {
            1 => Ok(vec![number]),
            2 => Ok(vec![number, DataType::Int64]),
            _ => plan_err!("trunc takes a number and optionally a number of places"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of trunc depends on its places")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let number = args.arg_fields[0].data_type();
        if !number.is_decimal() {
            return trunc().return_field_from_args(args);
        }
        let places = match args.scalar_arguments.get(1) {
            None => 0,
            Some(argument) => constant_places(self.name(), *argument)?,
        };
        match shortened(number, places.max(0)) {
            Some(data_type) => Ok(Arc::new(Field::new(self.name(), data_type, true))),
            None => internal_err!("trunc of a decimal is a decimal"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if !args.return_type().is_decimal() {
            return trunc().invoke_with_args(args);
        }
        let places = match args.args.get(1) {
            None => 0,
            Some(ColumnarValue::Scalar(scalar)) if scalar.is_null() => {
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_type())?));
            }
            Some(ColumnarValue::Scalar(scalar)) => constant_places(self.name(), Some(scalar))?,
            Some(ColumnarValue::Array(_)) => {
                return plan_err!("the number of places of trunc is a constant");
            }
        };
        drop_digits(&args, Direction::Zero, u32::from(places.min(0).unsigned_abs()))
    }
}
