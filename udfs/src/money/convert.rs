//! `fx_convert(amount, rate [, inverse])`: the arithmetic of a currency conversion.
//!
//! Which rate holds is the engine's business; this multiplies or divides by it.

use super::arguments::{MONEY, amount_type};
use crate::columnar::shaped;
use crate::decimal::{ArithmeticError, ONE, Rounding, mul_div_round, within_precision};
use crate::numeric::Operand;
use arrow::array::{Array, AsArray, Decimal128Builder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Which way an FX rate is quoted for a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quotation {
    /// The rate is the price of one unit of the amount's currency: multiply.
    Direct,
    /// Only the opposite pair is quoted: divide.
    Inverse,
}

/// Converts an amount by a rate, both at scale 18, rounded half-even to scale 18.
///
/// # Errors
/// `DivideByZero` for a zero rate quoted inversely; `Overflow` where the result has more than 38 digits.
pub fn convert(amount: i128, rate: i128, quotation: Quotation) -> Result<i128, ArithmeticError> {
    let converted = match quotation {
        Quotation::Direct => mul_div_round(amount, rate, ONE, Rounding::HalfEven)?,
        Quotation::Inverse => mul_div_round(amount, ONE, rate, Rounding::HalfEven)?,
    };
    within_precision(converted)
}

/// Converts an amount by a rate: multiplied, or divided where the third argument says that the rate is the inverse.
///
/// The result is rounded half-even to scale 18. A rate that is not positive is an error: a missing rate is NULL and gives
/// NULL, it is never 1.
///
/// ```sql
/// select fx_convert(100.00, 0.9137);       -- 91.37
/// select fx_convert(100.00, 1.25, true);   -- 80
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct FxConvert {
    signature: Signature,
}

impl Default for FxConvert {
    fn default() -> Self {
        Self::new()
    }
}

impl FxConvert {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FxConvert {
    fn name(&self) -> &str {
        "fx_convert"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let (amount, rate) = match arg_types {
            [amount, rate] | [amount, rate, _] => (amount, rate),
            _ => {
                return plan_err!("fx_convert takes an amount, a rate and optionally whether the rate is the inverse");
            }
        };
        amount_type(self.name(), amount)?;
        amount_type(self.name(), rate)?;
        Ok([MONEY, MONEY, DataType::Boolean].into_iter().take(arg_types.len()).collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(MONEY)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (amount, rate) = (Operand::new(&args.args[0])?, Operand::new(&args.args[1])?);
        let (Some(amounts), Some(rates)) = (amount.narrow(), rate.narrow()) else {
            return plan_err!("fx_convert takes amounts and rates of numeric(38,18)");
        };
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let inverse = args.args.get(2).map(|inverse| inverse.to_array(rows)).transpose()?;
        let mut converted = Decimal128Builder::with_capacity(rows).with_data_type(MONEY);
        for row in 0..rows {
            let quotation = match inverse.as_ref().map(AsArray::as_boolean) {
                None => Some(Quotation::Direct),
                Some(flags) if flags.is_null(row) => None,
                Some(flags) if flags.value(row) => Some(Quotation::Inverse),
                Some(_) => Some(Quotation::Direct),
            };
            let Some(quotation) = quotation.filter(|_| amount.is_valid(row) && rate.is_valid(row)) else {
                converted.append_null();
                continue;
            };
            if rates.at(row) <= 0 {
                return exec_err!("an FX rate is positive: a missing rate is NULL");
            }
            converted.append_value(convert(amounts.at(row), rates.at(row), quotation)?);
        }
        let array = converted.finish();
        shaped(Arc::new(array), is_constant)
    }
}
