//! `round(x [, n])`.

use super::places::{Direction, constant_places, drop_digits, shortened, widened};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions::math::round;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Rounds to the n-th place (0 if not given), ties away from zero as PostgreSQL does.
///
/// With a constant `n` a decimal has `n` digits after the point; negative places become zeros before it. DataFusion types the
/// same call differently before and after it folds constants, so that a comparison with the result fails; with places that are
/// not constant, where no scale can be chosen, its own function answers.
///
/// ```sql
/// select round(41.215, 2), round(-1.5), round(1250, -2); -- 41.22, -2, 1300
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Round {
    signature: Signature,
}

impl Default for Round {
    fn default() -> Self {
        Self::new()
    }
}

impl Round {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        "round"
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
            [integer, _] | [integer] if integer.is_integer() => integer.clone(),
            [number, ..] if number.is_numeric() || number.is_null() => DataType::Float64,
            _ => return plan_err!("round takes a number and optionally a number of places"),
        };
        match arg_types.len() {
            1 => Ok(vec![number]),
            // DataFusion's function takes 32-bit places. A literal next to a decimal stays one, so that it types the result.
            2 if number.is_decimal() => Ok(vec![number, DataType::Int64]),
            2 => Ok(vec![number, DataType::Int32]),
            _ => plan_err!("round takes a number and optionally a number of places"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of round depends on its places")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let number = args.arg_fields[0].data_type();
        if !number.is_decimal() {
            return round().return_field_from_args(args);
        }
        let places = match args.scalar_arguments.get(1) {
            None => 0,
            Some(None) => return round().return_field_from_args(args),
            Some(argument) => constant_places(self.name(), *argument)?,
        };
        match shortened(number, places.max(0)) {
            Some(data_type) => Ok(Arc::new(Field::new(self.name(), data_type, true))),
            None => internal_err!("trunc of a decimal is a decimal"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if !args.return_type().is_decimal() {
            return round().invoke_with_args(args);
        }
        let places = match args.args.get(1) {
            None => 0,
            Some(ColumnarValue::Scalar(scalar)) if scalar.is_null() => {
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_type())?));
            }
            Some(ColumnarValue::Scalar(scalar)) => constant_places(self.name(), Some(scalar))?,
            Some(ColumnarValue::Array(places)) => {
                let places = ColumnarValue::Array(cast(places, &DataType::Int32)?);
                let args = ScalarFunctionArgs { args: vec![args.args[0].clone(), places], ..args };
                return round().invoke_with_args(args);
            }
        };
        drop_digits(&args, Direction::Nearest, u32::from(places.min(0).unsigned_abs()))
    }
}
