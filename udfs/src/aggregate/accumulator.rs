//! The accumulator of one group, and of a sliding window frame.

use super::input::Finish;
use super::total::Total;
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, Decimal256Type, Int64Type, UInt64Type, i256};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Accumulator;
use std::fmt::Debug;
use std::marker::PhantomData;

/// Sums values of Arrow type `P` into a total `T`.
#[derive(Debug)]
pub(super) struct ExactAccumulator<P, T> {
    total: T,
    count: u64,
    finish: Finish,
    value_type: PhantomData<fn() -> P>,
}

impl<P, T: Default> ExactAccumulator<P, T> {
    /// Returns an accumulator without values.
    pub(super) fn new(finish: Finish) -> Self {
        Self { total: T::default(), count: 0, finish, value_type: PhantomData }
    }
}

/// Calls `each` with every value that is not NULL and returns how many there are.
pub(super) fn for_each_value<P: ArrowPrimitiveType>(array: &PrimitiveArray<P>, mut each: impl FnMut(P::Native)) -> u64 {
    let valid = array.len() - array.null_count();
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => array.values().iter().copied().for_each(each),
        Some(nulls) => {
            for (value, is_valid) in array.values().iter().zip(nulls.iter()) {
                if is_valid {
                    each(*value);
                }
            }
        }
    }
    u64::try_from(valid).unwrap_or(u64::MAX)
}

impl<P, T> Accumulator for ExactAccumulator<P, T>
where
    P: ArrowPrimitiveType + Debug,
    T: Total<P::Native> + Sync,
{
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut total = self.total;
        self.count += for_each_value(values[0].as_primitive::<P>(), |value| total.add(value));
        self.total = total;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let total = &mut self.total;
        self.count -= for_each_value(values[0].as_primitive::<P>(), |value| total.subtract(value));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.finish.scalar(self.total.value(), self.count)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (sum, wraps) = self.total.parts();
        let sum = (self.count > 0).then_some(sum);
        let scalar = ScalarValue::new_primitive::<Decimal256Type>(sum, &self.finish.state_type())?;
        let mut state = vec![scalar];
        if T::HAS_WRAPS {
            state.push(ScalarValue::Int64(Some(wraps)));
        }
        if self.finish.needs_count() {
            state.push(ScalarValue::UInt64(Some(self.count)));
        }
        Ok(state)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(sums) = states[0].as_primitive_opt::<Decimal256Type>() else {
            return internal_err!("the state of a sum is a Decimal256");
        };
        let wraps = T::HAS_WRAPS.then(|| states[1].as_primitive::<Int64Type>());
        let counts = self.finish.needs_count().then(|| states[states.len() - 1].as_primitive::<UInt64Type>());
        for row in (0..sums.len()).filter(|row| sums.is_valid(*row)) {
            let sum: i256 = sums.value(row);
            self.total.merge(sum, wraps.map_or(0, |wraps| wraps.value(row)));
            // A sum only needs to know that there was a value.
            self.count += counts.map_or(1, |counts| counts.value(row));
        }
        Ok(())
    }
}
