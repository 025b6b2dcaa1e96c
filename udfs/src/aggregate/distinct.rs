//! `sum(distinct x)` and `avg(distinct x)`.

use super::accumulator::for_each_value;
use super::input::Finish;
use super::total::{Total, WideTotal};
use arrow::array::{ArrayRef, AsArray, Decimal256Array};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal256Type, Field, i256};
use arrow::{array::ListArray, buffer::OffsetBuffer};
use datafusion::common::{HashMap, Result, ScalarValue};
use datafusion::logical_expr::Accumulator;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

/// Reads a value of an argument as 256 bits.
pub(super) trait Widen: ArrowPrimitiveType {
    /// Returns the value as 256 bits.
    fn widen(value: Self::Native) -> i256;
}

impl Widen for arrow::datatypes::Int64Type {
    fn widen(value: i64) -> i256 {
        i256::from_i128(value.into())
    }
}

impl Widen for arrow::datatypes::UInt64Type {
    fn widen(value: u64) -> i256 {
        i256::from_i128(value.into())
    }
}

impl Widen for arrow::datatypes::Decimal128Type {
    fn widen(value: i128) -> i256 {
        i256::from_i128(value)
    }
}

impl Widen for Decimal256Type {
    fn widen(value: i256) -> i256 {
        value
    }
}

/// Keeps every distinct value and how often it is in the frame.
#[derive(Debug)]
pub(super) struct DistinctAccumulator<P> {
    occurrences: HashMap<i256, u64>,
    finish: Finish,
    value_type: PhantomData<fn() -> P>,
}

impl<P> DistinctAccumulator<P> {
    /// Returns an accumulator without values.
    pub(super) fn new(finish: Finish) -> Self {
        Self { occurrences: HashMap::default(), finish, value_type: PhantomData }
    }
}

/// The type of the state: the list of the distinct values.
pub(super) fn state_type(finish: Finish) -> DataType {
    DataType::new_list(finish.state_type(), true)
}

impl<P: Widen + Debug> Accumulator for DistinctAccumulator<P> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each_value(values[0].as_primitive::<P>(), |value| {
            *self.occurrences.entry(P::widen(value)).or_insert(0) += 1
        });
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each_value(values[0].as_primitive::<P>(), |value| {
            let key = P::widen(value);
            if let Some(count) = self.occurrences.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.occurrences.remove(&key);
                }
            }
        });
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut total = WideTotal::default();
        self.occurrences.keys().for_each(|value| total.add(*value));
        self.finish.scalar(total.value(), u64::try_from(self.occurrences.len()).unwrap_or(u64::MAX))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.occurrences.capacity() * size_of::<(i256, u64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Decimal256Array = self.occurrences.keys().copied().map(Some).collect();
        let values = values.with_data_type(self.finish.state_type());
        let field = Field::new_list_field(self.finish.state_type(), true);
        let offsets = OffsetBuffer::from_lengths([self.occurrences.len()]);
        let list = ListArray::try_new(Arc::new(field), offsets, Arc::new(values), None)?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            for_each_value(values.as_primitive::<Decimal256Type>(), |value| {
                *self.occurrences.entry(value).or_insert(0) += 1
            });
        }
        Ok(())
    }
}
