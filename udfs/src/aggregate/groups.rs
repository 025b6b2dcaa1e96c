//! The accumulator of many groups at once.

use super::input::Finish;
use super::total::{Total, WideTotal, add_carrying, narrow, widen};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal256Array, Int64Array, PrimitiveArray, UInt64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{ArrowPrimitiveType, Decimal256Type, Int64Type, UInt64Type, i256};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::NullState;
use std::marker::PhantomData;
use std::sync::Arc;

/// The totals of many groups of values of type `N`.
pub(super) trait GroupTotals<N>: Default + Send + 'static {
    /// Whether totals can wrap 256 bits, see [`Total::HAS_WRAPS`].
    const HAS_WRAPS: bool;
    /// Makes room for groups.
    fn resize(&mut self, groups: usize);
    /// Adds a value to a group.
    fn add(&mut self, group: usize, value: N);
    /// Adds a total to a group.
    fn merge(&mut self, group: usize, sum: i256, wraps: i64);
    /// Takes groups out: totals modulo 2^256, and the wraps.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<i256>, Vec<i64>);
    /// Widens one value.
    fn widen(value: N) -> i256;
    /// Bytes in use.
    fn size(&self) -> usize;
}

/// Totals of values of up to 128 bits. The carries stay empty until the first total passes 128 bits, which money rarely
/// does, so that a group costs 16 bytes.
#[derive(Debug, Default)]
pub(super) struct NarrowTotals {
    sums: Vec<i128>,
    carries: Vec<i64>,
}

impl NarrowTotals {
    #[cold]
    fn carry(&mut self, group: usize, carry: i64) {
        if self.carries.len() < self.sums.len() {
            self.carries.resize(self.sums.len(), 0);
        }
        self.carries[group] += carry;
    }
}

impl<N: Into<i128>> GroupTotals<N> for NarrowTotals {
    const HAS_WRAPS: bool = false;

    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
    }

    #[inline]
    fn add(&mut self, group: usize, value: N) {
        let sum = &mut self.sums[group];
        let (wrapped, carry) = add_carrying(*sum, value.into());
        *sum = wrapped;
        if carry != 0 {
            self.carry(group, carry);
        }
    }

    fn merge(&mut self, group: usize, sum: i256, _wraps: i64) {
        let (low, carry) = narrow(sum);
        self.add(group, low);
        if carry != 0 {
            self.carry(group, carry);
        }
    }

    fn take(&mut self, emit_to: EmitTo) -> (Vec<i256>, Vec<i64>) {
        if !self.carries.is_empty() {
            self.carries.resize(self.sums.len(), 0);
            let carries = emit_to.take_needed(&mut self.carries);
            let sums = emit_to.take_needed(&mut self.sums);
            return (sums.into_iter().zip(carries).map(|(sum, carry)| widen(sum, carry)).collect(), Vec::new());
        }
        let sums = emit_to.take_needed(&mut self.sums);
        (sums.into_iter().map(i256::from_i128).collect(), Vec::new())
    }

    fn widen(value: N) -> i256 {
        i256::from_i128(value.into())
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.carries.capacity() * size_of::<i64>()
    }
}

/// Totals of 256-bit values.
#[derive(Debug, Default)]
pub(super) struct WideTotals {
    totals: Vec<WideTotal>,
}

impl GroupTotals<i256> for WideTotals {
    const HAS_WRAPS: bool = true;

    fn resize(&mut self, groups: usize) {
        self.totals.resize(groups, WideTotal::default());
    }

    fn add(&mut self, group: usize, value: i256) {
        self.totals[group].add(value);
    }

    fn merge(&mut self, group: usize, sum: i256, wraps: i64) {
        self.totals[group].merge(sum, wraps);
    }

    fn take(&mut self, emit_to: EmitTo) -> (Vec<i256>, Vec<i64>) {
        emit_to.take_needed(&mut self.totals).iter().map(Total::parts).unzip()
    }

    fn widen(value: i256) -> i256 {
        value
    }

    fn size(&self) -> usize {
        self.totals.capacity() * size_of::<WideTotal>()
    }
}

/// Sums values of Arrow type `P` by group.
#[derive(Debug)]
pub(super) struct ExactGroups<P, G> {
    totals: G,
    counts: Vec<u64>,
    null_state: NullState,
    finish: Finish,
    value_type: PhantomData<fn() -> P>,
}

impl<P, G: Default> ExactGroups<P, G> {
    /// Returns an accumulator without groups.
    pub(super) fn new(finish: Finish) -> Self {
        Self { totals: G::default(), counts: Vec::new(), null_state: NullState::new(), finish, value_type: PhantomData }
    }
}

impl<P, G> ExactGroups<P, G>
where
    P: ArrowPrimitiveType,
    G: GroupTotals<P::Native>,
{
    fn take_counts(&mut self, emit_to: EmitTo) -> Vec<u64> {
        if self.finish.needs_count() { emit_to.take_needed(&mut self.counts) } else { Vec::new() }
    }

    fn state_arrays(
        &self,
        sums: Vec<i256>,
        wraps: Vec<i64>,
        counts: Vec<u64>,
        nulls: Option<&NullBuffer>,
    ) -> Vec<ArrayRef> {
        let sums = Decimal256Array::new(sums.into(), nulls.cloned()).with_data_type(self.finish.state_type());
        let mut state: Vec<ArrayRef> = vec![Arc::new(sums)];
        if G::HAS_WRAPS {
            state.push(Arc::new(Int64Array::new(wraps.into(), nulls.cloned())));
        }
        if self.finish.needs_count() {
            state.push(Arc::new(UInt64Array::new(counts.into(), nulls.cloned())));
        }
        state
    }
}

impl<P, G> GroupsAccumulator for ExactGroups<P, G>
where
    P: ArrowPrimitiveType + Send,
    G: GroupTotals<P::Native>,
{
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let values = values[0].as_primitive::<P>();
        let totals = &mut self.totals;
        totals.resize(total_num_groups);
        if self.finish.needs_count() {
            let counts = &mut self.counts;
            counts.resize(total_num_groups, 0);
            self.null_state.accumulate(group_indices, values, opt_filter, total_num_groups, |group, value| {
                totals.add(group, value);
                counts[group] += 1;
            });
        } else {
            self.null_state.accumulate(group_indices, values, opt_filter, total_num_groups, |group, value| {
                totals.add(group, value);
            });
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, wraps) = self.totals.take(emit_to);
        let counts = self.take_counts(emit_to);
        let nulls = self.null_state.build(emit_to);
        self.finish.array(sums.len(), nulls, |group| {
            let is_whole = wraps.get(group).is_none_or(|wraps| *wraps == 0);
            (is_whole.then_some(sums[group]), counts.get(group).copied().unwrap_or(1))
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, wraps) = self.totals.take(emit_to);
        let counts = self.take_counts(emit_to);
        let nulls = self.null_state.build(emit_to);
        Ok(self.state_arrays(sums, wraps, counts, nulls.as_ref()))
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        let sums = values[0].as_primitive::<Decimal256Type>();
        let totals = &mut self.totals;
        totals.resize(total_num_groups);
        if G::HAS_WRAPS {
            let wraps = values[1].as_primitive::<Int64Type>();
            for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| sums.is_valid(*row)) {
                totals.merge(*group, i256::ZERO, wraps.value(row));
            }
        }
        self.null_state
            .accumulate(group_indices, sums, None, total_num_groups, |group, sum| totals.merge(group, sum, 0));
        if self.finish.needs_count() {
            let partial = values[values.len() - 1].as_primitive::<UInt64Type>();
            self.counts.resize(total_num_groups, 0);
            for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| partial.is_valid(*row)) {
                self.counts[*group] += partial.value(row);
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values: &PrimitiveArray<P> = values[0].as_primitive::<P>();
        let sums: Vec<i256> = values.values().iter().map(|value| G::widen(*value)).collect();
        // A row that the filter leaves out, or does not decide, is no value.
        let passes = opt_filter.map(|filter| {
            let passes: BooleanBuffer = filter.iter().map(|pass| pass == Some(true)).collect();
            NullBuffer::new(passes)
        });
        let nulls = NullBuffer::union(values.nulls(), passes.as_ref());
        let rows = sums.len();
        Ok(self.state_arrays(sums, vec![0; rows], vec![1; rows], nulls.as_ref()))
    }

    fn size(&self) -> usize {
        self.totals.size() + self.counts.capacity() * size_of::<u64>() + self.null_state.size()
    }
}
