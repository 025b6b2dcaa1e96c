//! `ceil(x)`.

use super::places::{Direction, drop_digits, shortened, widened};
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::functions::math::ceil;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// Returns the smallest integer that is not below a number.
///
/// ```sql
/// select ceil(1.2), ceil(-1.2); -- 2, -1
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Ceil {
    signature: Signature,
    aliases: Vec<String>,
}

impl Default for Ceil {
    fn default() -> Self {
        Self::new()
    }
}

impl Ceil {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), aliases: vec!["ceiling".to_owned()] }
    }
}

impl ScalarUDFImpl for Ceil {
    fn name(&self) -> &str {
        "ceil"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
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
            [other] => plan_err!("function ceil({other}) does not exist"),
            _ => plan_err!("ceil takes one number"),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match shortened(&arg_types[0], 0) {
            Some(data_type) => Ok(data_type),
            None => ceil().return_type(arg_types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.return_type().is_decimal() {
            return drop_digits(&args, Direction::Up, 0);
        }
        ceil().invoke_with_args(args)
    }
}
