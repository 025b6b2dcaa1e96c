//! `div_round(a, b, scale [, mode])`.

use super::arguments::{Parsed, Text, amount_type, parse_rounding, text_type};
use crate::columnar::shaped;
use crate::decimal::wide::U512;
use crate::decimal::{ArithmeticError, PRECISION, Rounding, divide_rounded, within_precision};
use crate::numeric::Operand;
use arrow::array::Decimal128Builder;
use arrow::datatypes::{DataType, Field, FieldRef, i256};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Divides two amounts and rounds once, to a declared scale by a declared mode.
///
/// The scale is a constant from 0 to 38; the result is `numeric(38, scale)`. The mode is one of `half_even` (default),
/// `half_up`, `down`, `up`. A zero divisor is an error.
///
/// ```sql
/// select div_round(price, quantity, 6) from charges;
/// select div_round(2, 3, 2);         -- 0.67
/// select div_round(2, 3, 2, 'down'); -- 0.66
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DivRound {
    signature: Signature,
}

impl Default for DivRound {
    fn default() -> Self {
        Self::new()
    }
}

impl DivRound {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DivRound {
    fn name(&self) -> &str {
        "div_round"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let (a, b, mode) = match arg_types {
            [a, b, _] => (a, b, None),
            [a, b, _, mode] => (a, b, Some(mode)),
            _ => {
                return plan_err!("div_round takes a dividend, a divisor, a scale and optionally a rounding mode");
            }
        };
        let mut types = vec![amount_type(self.name(), a)?, amount_type(self.name(), b)?, DataType::Int64];
        if let Some(mode) = mode {
            types.push(text_type(self.name(), "the rounding mode", mode)?);
        }
        Ok(types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of div_round depends on its scale")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let scale = match args.scalar_arguments.get(2) {
            Some(Some(scalar)) => match scalar.cast_to(&DataType::Int64)? {
                ScalarValue::Int64(Some(scale)) => i8::try_from(scale).ok().filter(|scale| (0..=38).contains(scale)),
                _ => None,
            },
            _ => None,
        };
        match scale {
            Some(scale) => Ok(Arc::new(Field::new(self.name(), DataType::Decimal128(PRECISION, scale), true))),
            None => plan_err!("the scale of div_round is a constant from 0 to 38"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Decimal128(_, scale) = *args.return_type() else {
            return internal_err!("div_round returns Decimal128");
        };
        let (a, b) = (Operand::new(&args.args[0])?, Operand::new(&args.args[1])?);
        let mode = args.args.get(3).map(Text::new).transpose()?;
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };

        let (dividend, divisor) = (a.wide(), b.wide());
        let shift = i32::from(scale) + i32::from(b.scale) - i32::from(a.scale);
        let mut modes = mode.as_ref().map(|mode| Parsed::new(mode, parse_rounding));
        let mut quotients = Decimal128Builder::with_capacity(rows).with_data_type(args.return_type().clone());
        for row in 0..rows {
            let mode = match &mut modes {
                None => Some(Rounding::default()),
                Some(modes) => modes.at(row)?,
            };
            match mode.filter(|_| a.is_valid(row) && b.is_valid(row)) {
                Some(mode) => quotients.append_value(divide(dividend(row), divisor(row), shift, mode)?),
                None => quotients.append_null(),
            }
        }
        let array = quotients.finish();
        shaped(Arc::new(array), is_constant)
    }
}

/// Returns `dividend * 10^shift / divisor`, rounded once.
fn divide(dividend: i256, divisor: i256, shift: i32, mode: Rounding) -> Result<i128, ArithmeticError> {
    let is_negative = (dividend < i256::ZERO) != (divisor < i256::ZERO);
    let (mut top, mut bottom) = (U512::from_magnitude(dividend), U512::from_magnitude(divisor));
    if bottom.is_zero() {
        return Err(ArithmeticError::DivideByZero);
    }
    let raised = if shift >= 0 { &mut top } else { &mut bottom };
    *raised = raised.checked_mul_power_of_ten(shift.unsigned_abs()).ok_or(ArithmeticError::Overflow)?;
    let quotient = divide_rounded(&top, &bottom, mode).to_i256(is_negative).and_then(i256::to_i128);
    within_precision(quotient.ok_or(ArithmeticError::Overflow)?)
}
