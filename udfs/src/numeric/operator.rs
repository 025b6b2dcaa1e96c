//! The scalar functions behind the decimal operators.

use super::operand::{Operand, compute};
use super::types::{Numeric, result_type};
use super::{Operation, product, sum};
use crate::columnar::shaped;
use crate::decimal::{ArithmeticError, divide, within_precision};
use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// One decimal operator as a function of two arguments, planned from `a * b` and the like.
///
/// ```sql
/// select billed_cost * 1.15, price / cost from charges
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NumericOperator {
    operation: Operation,
    signature: Signature,
    aliases: Vec<String>,
}

impl NumericOperator {
    /// Returns the function that computes `operation`.
    #[must_use]
    pub fn new(operation: Operation) -> Self {
        // PostgreSQL's other name of the operator %.
        let aliases = if operation == Operation::Remainder { vec!["mod".to_owned()] } else { Vec::new() };
        Self { operation, signature: Signature::user_defined(Volatility::Immutable), aliases }
    }

    /// Writes the operator between its operands, in parentheses where they are operators themselves: a column's name
    /// identifies its expression, so `(a + b) * c` and `a + b * c` must not share one.
    fn infix(&self, operands: &[Expr], name: impl Fn(&Expr) -> String) -> Result<String> {
        let [left, right] = operands else {
            return plan_err!("{} takes two operands", self.operation.function_name());
        };
        let operand = |expr: &Expr| {
            if is_operator(expr) { format!("({})", name(expr)) } else { name(expr) }
        };
        Ok(format!("{} {} {}", operand(left), self.operation.symbol(), operand(right)))
    }
}

fn is_operator(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(_) => true,
        Expr::ScalarFunction(function) => Operation::ALL.iter().any(|one| one.function_name() == function.name()),
        _ => false,
    }
}

impl ScalarUDFImpl for NumericOperator {
    fn name(&self) -> &str {
        self.operation.function_name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.infix(args, ToString::to_string)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.infix(args, |expr| expr.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        // Refuses what is not numeric.
        result_type(self.operation, arg_types)?;
        Ok(arg_types.iter().filter_map(Numeric::of).map(Numeric::data_type).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        result_type(self.operation, arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return internal_err!("{} takes two operands", self.name());
        };
        let is_constant = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let (left, right) = (Operand::new(left)?, Operand::new(right)?);
        let result_type = args.return_field.data_type();
        if left.is_null_constant() || right.is_null_constant() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(result_type)?));
        }
        let rows = if is_constant { 1 } else { args.number_rows };
        let nulls = NullBuffer::union(left.nulls(), right.nulls());
        let pair = Pair { left: &left, right: &right, rows, nulls, result_type: result_type.clone() };
        let array = pair.evaluate(self.operation)?;
        shaped(array, is_constant)
    }
}

/// Two operands and the shape of their result.
struct Pair<'a> {
    left: &'a Operand,
    right: &'a Operand,
    rows: usize,
    nulls: Option<NullBuffer>,
    result_type: DataType,
}

impl Pair<'_> {
    fn evaluate(self, operation: Operation) -> Result<ArrayRef> {
        match operation {
            Operation::Add => self.add(|value| value, |value| value),
            Operation::Subtract => self.add(|value| -value, i256::wrapping_neg),
            Operation::Multiply => self.multiply(),
            Operation::Divide => self.divide(),
            Operation::Remainder => self.remainder(),
        }
    }

    /// Digits by which each operand is raised to the common scale.
    fn raises(&self) -> (u32, u32) {
        let scale = self.left.scale.max(self.right.scale);
        (u32::from(scale.abs_diff(self.left.scale)), u32::from(scale.abs_diff(self.right.scale)))
    }

    fn is_narrow_result(&self) -> bool {
        matches!(self.result_type, DataType::Decimal128(_, _))
    }

    /// Adds; `sign` and `sign_wide` negate the right operand for a difference.
    fn add(self, sign: impl Fn(i128) -> i128, sign_wide: impl Fn(i256) -> i256) -> Result<ArrayRef> {
        let (raise_left, raise_right) = self.raises();
        if self.is_narrow_result()
            && let (Some(left), Some(right)) = (self.left.narrow(), self.right.narrow())
        {
            let (raise_left, raise_right) = (sum::raise(raise_left)?, sum::raise(raise_right)?);
            return compute::<Decimal128Type>(self.rows, self.nulls, self.result_type, |row| {
                sum::add_narrow(left.at(row), sign(right.at(row)), raise_left, raise_right)
            });
        }
        let (left, right) = (self.left.wide(), self.right.wide());
        compute::<Decimal256Type>(self.rows, self.nulls, self.result_type, |row| {
            sum::add(left(row), sign_wide(right(row)), raise_left, raise_right)
        })
    }

    fn multiply(self) -> Result<ArrayRef> {
        let result_scale = match self.result_type {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => i16::from(scale),
            _ => 0,
        };
        let scale = i16::from(self.left.scale) + i16::from(self.right.scale);
        let dropped = u32::from(scale.abs_diff(result_scale));
        if dropped == 0
            && let (Some(left), Some(right)) = (self.left.narrow(), self.right.narrow())
        {
            if self.is_narrow_result() {
                return compute::<Decimal128Type>(self.rows, self.nulls, self.result_type, |row| {
                    within_precision(left.at(row).checked_mul(right.at(row)).ok_or(ArithmeticError::Overflow)?)
                });
            }
            return compute::<Decimal256Type>(self.rows, self.nulls, self.result_type, |row| {
                Ok(product::multiply_narrow(left.at(row), right.at(row)))
            });
        }
        let (left, right) = (self.left.wide(), self.right.wide());
        compute::<Decimal256Type>(self.rows, self.nulls, self.result_type, |row| {
            product::multiply(left(row), right(row), dropped)
        })
    }

    fn divide(self) -> Result<ArrayRef> {
        let (left_scale, right_scale) = (self.left.scale, self.right.scale);
        let (left, right) = (self.left.wide(), self.right.wide());
        compute::<Decimal256Type>(self.rows, self.nulls, self.result_type, |row| {
            divide(left(row), left_scale, right(row), right_scale)
        })
    }

    fn remainder(self) -> Result<ArrayRef> {
        let (raise_left, raise_right) = self.raises();
        if let (Some(left), Some(right)) = (self.left.narrow(), self.right.narrow()) {
            return compute::<Decimal128Type>(self.rows, self.nulls, self.result_type, |row| {
                product::remainder_narrow(left.at(row), right.at(row), raise_left, raise_right)
            });
        }
        let (left, right) = (self.left.wide(), self.right.wide());
        compute::<Decimal256Type>(self.rows, self.nulls, self.result_type, |row| {
            product::remainder(left(row), right(row), raise_left, raise_right)
        })
    }
}
