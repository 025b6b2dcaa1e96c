//! `avg(x)`.

use super::exact;
use super::input::{Finish, exact_argument};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility};

/// Averages values: the exact sum, divided once, with the digits PostgreSQL gives.
///
/// ```sql
/// select avg(unit_price) from charges
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ExactAvg {
    signature: Signature,
    aliases: Vec<String>,
}

impl Default for ExactAvg {
    fn default() -> Self {
        Self::new()
    }
}

impl ExactAvg {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), aliases: vec!["mean".to_owned()] }
    }
}

impl AggregateUDFImpl for ExactAvg {
    fn name(&self) -> &str {
        "avg"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = arg_types else {
            return plan_err!("avg takes one argument");
        };
        match exact_argument(argument) {
            Some(data_type) => Ok(vec![data_type]),
            None => match argument {
                DataType::Float16 | DataType::Float32 | DataType::Float64 => Ok(vec![DataType::Float64]),
                DataType::Duration(_) => Ok(vec![argument.clone()]),
                other => plan_err!("function avg({other}) does not exist"),
            },
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match exact_argument(&arg_types[0]) {
            Some(argument) => Ok(Finish::average(&argument).data_type()),
            None => avg_udaf().return_type(arg_types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match exact_argument(args.expr_fields[0].data_type()) {
            Some(argument) => exact::accumulator(&argument, Finish::average(&argument), args.is_distinct),
            None => avg_udaf().accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match exact_argument(args.expr_fields[0].data_type()) {
            Some(_) => self.accumulator(args),
            None => avg_udaf().create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match exact_argument(args.input_fields[0].data_type()) {
            Some(argument) => Ok(exact::state_fields(&argument, Finish::average(&argument), &args)),
            None => avg_udaf().state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match exact_argument(args.expr_fields[0].data_type()) {
            Some(_) => !args.is_distinct,
            None => avg_udaf().groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match exact_argument(args.expr_fields[0].data_type()) {
            Some(argument) => exact::groups_accumulator(&argument, Finish::average(&argument)),
            None => avg_udaf().create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
