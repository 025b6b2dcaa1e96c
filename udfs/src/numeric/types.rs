//! The decimal types operands take and results have.

use super::Operation;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};

/// Digits a `Decimal128` holds.
pub(super) const NARROW_DIGITS: i16 = 38;

/// Precision and scale of a decimal operand; the scale is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numeric {
    pub(super) precision: i16,
    pub(super) scale: i16,
    pub(super) is_wide: bool,
}

impl Numeric {
    /// Reads a decimal or integer type as the decimal it is computed as.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        let narrow = |precision: u8, scale: i8| Self::new(precision, scale, false);
        Some(match data_type {
            DataType::Null => narrow(1, 0),
            DataType::Int8 | DataType::UInt8 => narrow(3, 0),
            DataType::Int16 | DataType::UInt16 => narrow(5, 0),
            DataType::Int32 | DataType::UInt32 => narrow(10, 0),
            DataType::Int64 => narrow(19, 0),
            DataType::UInt64 => narrow(20, 0),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => narrow(*precision, *scale),
            DataType::Decimal256(precision, scale) => Self::new(*precision, *scale, true),
            _ => return None,
        })
    }

    /// A literal such as `1e3` has a negative scale; it is computed as an integer.
    fn new(precision: u8, scale: i8, is_wide: bool) -> Self {
        let precision = i16::from(precision) - i16::from(scale).min(0);
        Self { precision, scale: i16::from(scale).max(0), is_wide: is_wide || precision > NARROW_DIGITS }
    }

    fn digits_before_point(self) -> i16 {
        self.precision - self.scale
    }

    /// The Arrow type an operand is cast to.
    pub(super) fn data_type(self) -> DataType {
        decimal(self.is_wide, self.precision, self.scale)
    }
}

fn decimal(is_wide: bool, precision: i16, scale: i16) -> DataType {
    let precision_max = if is_wide { 76 } else { NARROW_DIGITS };
    let precision = u8::try_from(precision.clamp(1, precision_max)).unwrap_or(76);
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    if is_wide { DataType::Decimal256(precision, scale) } else { DataType::Decimal128(precision, scale) }
}

/// Returns the type of the result of `operation`.
///
/// # Errors
/// A plan error where an operand is neither a decimal nor an integer.
pub(super) fn result_type(operation: Operation, operands: &[DataType]) -> Result<DataType> {
    let [left, right] = operands else {
        return plan_err!("{} takes two operands", operation.function_name());
    };
    let (Some(left), Some(right)) = (Numeric::of(left), Numeric::of(right)) else {
        return plan_err!("{} takes decimals and integers", operation.function_name());
    };
    let is_wide = left.is_wide || right.is_wide;
    let scale = left.scale.max(right.scale);
    Ok(match operation {
        Operation::Add | Operation::Subtract => {
            let digits = left.digits_before_point().max(right.digits_before_point()) + scale;
            let is_wide = is_wide || digits > NARROW_DIGITS;
            decimal(is_wide, if is_wide { 76 } else { digits + 1 }, scale)
        }
        Operation::Multiply => {
            let precision = left.precision + right.precision;
            let scale = left.scale + right.scale;
            if is_wide || precision > NARROW_DIGITS {
                decimal(true, 76, scale.min(NARROW_DIGITS))
            } else {
                decimal(false, precision, scale)
            }
        }
        Operation::Divide => decimal(true, 76, NARROW_DIGITS),
        Operation::Remainder => {
            let digits = left.digits_before_point().min(right.digits_before_point()) + scale;
            decimal(is_wide, digits, scale)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::{Decimal128, Decimal256};

    fn result(operation: Operation, left: DataType, right: DataType) -> DataType {
        result_type(operation, &[left, right]).expect("numeric operands")
    }

    #[test]
    fn results_keep_every_digit_their_type_can_hold() {
        let money = Decimal128(38, 18);
        use Operation::{Add, Divide, Multiply, Remainder};
        assert_eq!(result(Multiply, money.clone(), money.clone()), Decimal256(76, 36));
        assert_eq!(result(Multiply, Decimal128(10, 2), Decimal128(5, 3)), Decimal128(15, 5));
        assert_eq!(result(Multiply, Decimal256(76, 36), money.clone()), Decimal256(76, 38));
        assert_eq!(result(Multiply, Decimal128(3, 2), DataType::Int64), Decimal128(22, 2));
        assert_eq!(result(Divide, DataType::Int64, Decimal128(3, 2)), Decimal256(76, 38));
        assert_eq!(result(Add, money.clone(), money.clone()), money);
        assert_eq!(result(Add, money.clone(), DataType::Int64), money);
        assert_eq!(result(Add, money.clone(), Decimal128(38, 0)), Decimal256(76, 18));
        assert_eq!(result(Add, Decimal128(10, 2), Decimal128(5, 3)), Decimal128(12, 3));
        assert_eq!(result(Remainder, money.clone(), Decimal128(38, 0)), money);
    }

    #[test]
    fn a_negative_scale_is_an_integer() {
        // 1e3 is Decimal128(1, -3).
        assert_eq!(result(Operation::Multiply, Decimal128(1, -3), Decimal128(2, 1)), Decimal128(6, 1));
    }
}
