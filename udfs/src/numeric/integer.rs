//! Operators on integers that say when a result does not fit; the engine's own wrap around.
//!
//! What looks like an integer when an operator is planned may be something else once the types of all branches are known:
//! of `case when ... then 0 else 0.25 end` and of a union the first branch is looked at first. So the operands' types are asked again
//! when they are final, and decimals are computed as decimals.

use super::{NumericOperator, Operation};
use crate::columnar::shaped;
use arrow::compute::kernels::numeric::{add, div, mul, rem, sub};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// An operator on two integers; its result has the wider type, as in PostgreSQL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct IntegerOperator {
    operation: Operation,
    signature: Signature,
}

/// What the operands are in the end.
enum Operands {
    Integers(DataType),
    Floats,
    Decimals,
}

impl Operands {
    fn of(types: &[DataType]) -> Result<Self> {
        let [a, b] = types else { return internal_err!("an operator has two operands") };
        let is_integer = |data_type: &DataType| data_type.is_integer() || data_type.is_null();
        Ok(if is_integer(a) && is_integer(b) {
            Self::Integers(wider(a, b))
        } else if a.is_floating() || b.is_floating() {
            Self::Floats
        } else {
            Self::Decimals
        })
    }
}

impl IntegerOperator {
    /// Returns the function.
    #[must_use]
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The wider of two types of integers; `bigint` for those that PostgreSQL does not have.
fn wider(a: &DataType, b: &DataType) -> DataType {
    let rank = |data_type: &DataType| match data_type {
        DataType::Int8 | DataType::Int16 => 0,
        DataType::Int32 => 1,
        _ => 2,
    };
    [DataType::Int16, DataType::Int32, DataType::Int64][rank(a).max(rank(b))].clone()
}

impl ScalarUDFImpl for IntegerOperator {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "integer_add",
            Operation::Subtract => "integer_sub",
            Operation::Multiply => "integer_mul",
            Operation::Divide => "integer_div",
            Operation::Remainder => "integer_mod",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(match Operands::of(arg_types)? {
            Operands::Integers(wider) => vec![wider; 2],
            Operands::Floats => vec![DataType::Float64; 2],
            Operands::Decimals => return NumericOperator::new(self.operation).coerce_types(arg_types),
        })
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match Operands::of(arg_types)? {
            Operands::Integers(wider) => wider,
            Operands::Floats => DataType::Float64,
            Operands::Decimals => return NumericOperator::new(self.operation).return_type(arg_types),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        if matches!(Operands::of(&types)?, Operands::Decimals) {
            return NumericOperator::new(self.operation).invoke_with_args(args);
        }
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [a, b] = arrays.as_slice() else { return internal_err!("an operator has two operands") };
        let values = match self.operation {
            Operation::Add => add(a, b),
            Operation::Subtract => sub(a, b),
            Operation::Multiply => mul(a, b),
            Operation::Divide => div(a, b),
            Operation::Remainder => rem(a, b),
        };
        shaped(values?, is_constant)
    }
}
