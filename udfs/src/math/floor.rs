//! `floor(x)`.

use super::places::{Direction, drop_digits, shortened, widened};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::math::floor;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// Returns the greatest integer that is not above a number.
///
/// ```sql
/// select floor(1.2), floor(-1.2); -- 1, -2
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Floor {
    signature: Signature,
}

impl Default for Floor {
    fn default() -> Self {
        Self::new()
    }
}

impl Floor {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Floor {
    fn name(&self) -> &str {
        "floor"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [DataType::Float32] => Ok(vec![DataType::Float32]),
            [decimal] if decimal.is_decimal() => Ok(vec![widened(decimal)]),
            [number] if number.is_numeric() || number.is_null() => Ok(vec![DataType::Float64]),
            [other] => plan_err!("function floor({other}) does not exist"),
            _ => plan_err!("floor takes one number"),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match shortened(&arg_types[0], 0) {
            Some(data_type) => Ok(data_type),
            None => floor().return_type(arg_types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.return_type().is_decimal() {
            return drop_digits(&args, Direction::Down, 0);
        }
        floor().invoke_with_args(args)
    }
}
