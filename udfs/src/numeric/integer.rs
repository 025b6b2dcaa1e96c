//! Sums, differences and products of integers that say when they do not fit; the engine's own wrap around.

use crate::columnar::shaped;
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// An operator on two integers; its result has the wider type, as in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum IntegerOperation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
}

/// The function of an [`IntegerOperation`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct IntegerOperator {
    operation: IntegerOperation,
    signature: Signature,
}

impl IntegerOperator {
    /// Returns the function.
    #[must_use]
    pub(crate) fn new(operation: IntegerOperation) -> Self {
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
            IntegerOperation::Add => "integer_add",
            IntegerOperation::Subtract => "integer_sub",
            IntegerOperation::Multiply => "integer_mul",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [a, b] = arg_types else { return internal_err!("an operator has two operands") };
        Ok(vec![wider(a, b); 2])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [a, b] = arg_types else { return internal_err!("an operator has two operands") };
        Ok(wider(a, b))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [a, b] = arrays.as_slice() else { return internal_err!("an operator has two operands") };
        let values = match self.operation {
            IntegerOperation::Add => add(a, b),
            IntegerOperation::Subtract => sub(a, b),
            IntegerOperation::Multiply => mul(a, b),
        };
        shaped(values?, is_constant)
    }
}
