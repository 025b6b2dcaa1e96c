//! Choosing the accumulator for an argument's type.

use super::accumulator::ExactAccumulator;
use super::distinct::{self, DistinctAccumulator};
use super::groups::{ExactGroups, NarrowTotals, WideTotals};
use super::input::{Finish, not_coerced};
use super::total::{NarrowTotal, WideTotal};
use arrow::array::ArrayRef;
use arrow::array::BooleanArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::StateFieldsArgs;
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::sync::Arc;

/// Returns the accumulator of one group or frame.
pub(super) fn accumulator(argument: &DataType, finish: Finish, is_distinct: bool) -> Result<Box<dyn Accumulator>> {
    Ok(match (argument, is_distinct) {
        (DataType::Decimal128(_, _), false) => Box::new(ExactAccumulator::<Decimal128Type, NarrowTotal>::new(finish)),
        (DataType::Decimal128(_, _), true) => Box::new(DistinctAccumulator::<Decimal128Type>::new(finish)),
        (DataType::Decimal256(_, _), false) => Box::new(ExactAccumulator::<Decimal256Type, WideTotal>::new(finish)),
        (DataType::Decimal256(_, _), true) => Box::new(DistinctAccumulator::<Decimal256Type>::new(finish)),
        (DataType::UInt64, false) => Box::new(ExactAccumulator::<UInt64Type, NarrowTotal>::new(finish)),
        (DataType::UInt64, true) => Box::new(DistinctAccumulator::<UInt64Type>::new(finish)),
        (DataType::Int64, false) => Box::new(ExactAccumulator::<Int64Type, NarrowTotal>::new(finish)),
        (DataType::Int64, true) => Box::new(DistinctAccumulator::<Int64Type>::new(finish)),
        (other, _) if other.is_integer() => {
            Box::new(Widened { inner: accumulator(&DataType::Int64, finish, is_distinct)? })
        }
        (other, _) => return not_coerced("an exact aggregate", other),
    })
}

/// Returns the accumulator of many groups.
pub(super) fn groups_accumulator(argument: &DataType, finish: Finish) -> Result<Box<dyn GroupsAccumulator>> {
    Ok(match argument {
        DataType::Decimal128(_, _) => Box::new(ExactGroups::<Decimal128Type, NarrowTotals>::new(finish)),
        DataType::Decimal256(_, _) => Box::new(ExactGroups::<Decimal256Type, WideTotals>::new(finish)),
        DataType::UInt64 => Box::new(ExactGroups::<UInt64Type, NarrowTotals>::new(finish)),
        DataType::Int64 => Box::new(ExactGroups::<Int64Type, NarrowTotals>::new(finish)),
        other if other.is_integer() => {
            Box::new(WidenedGroups { inner: ExactGroups::<Int64Type, NarrowTotals>::new(finish) })
        }
        other => return not_coerced("an exact aggregate", other),
    })
}

/// Returns the fields of the state.
pub(super) fn state_fields(argument: &DataType, finish: Finish, args: &StateFieldsArgs) -> Vec<FieldRef> {
    let field = |suffix: &str, data_type| Arc::new(Field::new(format_state_name(args.name, suffix), data_type, true));
    if args.is_distinct {
        return vec![field("distinct", distinct::state_type(finish))];
    }
    let mut fields = vec![field("sum", finish.state_type())];
    if matches!(argument, DataType::Decimal256(_, _)) {
        fields.push(field("wraps", DataType::Int64));
    }
    if finish.needs_count() {
        fields.push(field("count", DataType::UInt64));
    }
    fields
}

/// Integers below 64 bits, read as `Int64`.
#[derive(Debug)]
struct Widened {
    inner: Box<dyn Accumulator>,
}

fn as_int64(values: &[ArrayRef]) -> Result<[ArrayRef; 1]> {
    Ok([cast(&values[0], &DataType::Int64)?])
}

impl Accumulator for Widened {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&as_int64(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&as_int64(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

/// Groups of integers below 64 bits, read as `Int64`.
struct WidenedGroups {
    inner: ExactGroups<Int64Type, NarrowTotals>,
}

impl GroupsAccumulator for WidenedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(&as_int64(values)?, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.inner.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&as_int64(values)?, opt_filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
