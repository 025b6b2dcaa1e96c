//! `sum(x)`.

use super::exact;
use super::input::{Finish, exact_argument};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, Volatility,
};
use std::sync::Arc;

/// Adds values up without ever wrapping.
///
/// ```sql
/// select service_name, sum(billed_cost) from charges group by service_name
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ExactSum {
    signature: Signature,
    /// The rewritten form for small integers, see [`Self::simplify`].
    is_small: bool,
}

impl Default for ExactSum {
    fn default() -> Self {
        Self::new()
    }
}

impl ExactSum {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), is_small: false }
    }

    fn small() -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::from(Self { is_small: true, ..Self::new() }))
    }
}

fn is_small_integer(data_type: &DataType) -> bool {
    data_type.is_integer() && !matches!(data_type, DataType::Int64 | DataType::UInt64)
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        if self.is_small { "sum_int" } else { "sum" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = arg_types else {
            return plan_err!("sum takes one argument");
        };
        match exact_argument(argument) {
            Some(data_type) => Ok(vec![data_type]),
            None => match argument {
                DataType::Float16 | DataType::Float32 | DataType::Float64 => Ok(vec![DataType::Float64]),
                DataType::Duration(_) | DataType::Interval(_) => Ok(vec![argument.clone()]),
                other => plan_err!("function sum({other}) does not exist"),
            },
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match exact_argument(&arg_types[0]) {
            Some(argument) => Ok(Finish::sum(&argument).data_type()),
            None => sum_udaf().return_type(arg_types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match exact_argument(args.expr_fields[0].data_type()) {
            Some(argument) => exact::accumulator(&argument, Finish::sum(&argument), args.is_distinct),
            None => sum_udaf().accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match exact_argument(args.expr_fields[0].data_type()) {
            Some(_) => self.accumulator(args),
            None => sum_udaf().create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match exact_argument(args.input_fields[0].data_type()) {
            Some(argument) => Ok(exact::state_fields(&argument, Finish::sum(&argument), &args)),
            None => sum_udaf().state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match exact_argument(args.expr_fields[0].data_type()) {
            Some(argument) => exact::groups_accumulator(&argument, Finish::sum(&argument)),
            None => sum_udaf().create_groups_accumulator(args),
        }
    }

    /// Renames a sum over small integers.
    ///
    /// The optimizer splits `sum(a), count(distinct b)` into a sum of sums and takes for granted that this keeps the type.
    /// It does for every sum but one: `sum(integer)` is a bigint, and the sum of bigints a numeric. It recognises sums by
    /// name, so this one takes another.
    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        if self.is_small {
            return None;
        }
        Some(Box::new(|function: AggregateFunction, info| {
            let is_small = match function.params.args.as_slice() {
                [argument] => is_small_integer(&info.get_data_type(argument)?),
                _ => false,
            };
            let func = if is_small { Self::small() } else { function.func };
            Ok(Expr::AggregateFunction(AggregateFunction { func, params: function.params }))
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        sum_udaf().inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        None
    }
}
