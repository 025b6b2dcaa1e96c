//! Which arguments are aggregated exactly, and how a total becomes a result.

use crate::decimal::wide::I256_LIMIT;
use crate::decimal::{ArithmeticError, QUOTIENT_SCALE, divide, within_precision};
use arrow::array::{ArrayRef, Decimal128Array, Decimal256Array, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, i256};
use datafusion::common::{Result, ScalarValue, internal_err};
use std::sync::Arc;

/// Returns the type an argument is coerced to, or `None` where DataFusion's own aggregate is used.
pub(super) fn exact_argument(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        integer if integer.is_integer() => integer.clone(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) if *scale < 0 => {
            // A column made of literals such as 1e3: an integer of that many digits.
            let digits = precision.saturating_add(scale.unsigned_abs());
            if digits <= 38 { DataType::Decimal128(digits, 0) } else { DataType::Decimal256(digits.min(76), 0) }
        }
        DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => data_type.clone(),
        DataType::Null => DataType::Decimal128(38, 18),
        DataType::Dictionary(_, value) => exact_argument(value)?,
        _ => return None,
    })
}

/// Returns the scale of an exact argument.
pub(super) fn scale_of(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

/// How a total (and, for an average, a count) becomes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// A sum of small integers.
    SumInt64,
    /// A sum of `Decimal128` or 64-bit integers.
    SumDecimal128(i8),
    /// A sum of `Decimal256`.
    SumDecimal256(i8),
    /// An average of values of this scale.
    Average(i8),
}

impl Finish {
    /// The finish of `sum` over a coerced argument type.
    pub(super) fn sum(argument: &DataType) -> Self {
        match argument {
            DataType::Decimal128(_, scale) => Self::SumDecimal128(*scale),
            DataType::Decimal256(_, scale) => Self::SumDecimal256(*scale),
            DataType::Int64 | DataType::UInt64 => Self::SumDecimal128(0),
            _ => Self::SumInt64,
        }
    }

    /// The finish of `avg` over a coerced argument type.
    pub(super) fn average(argument: &DataType) -> Self {
        Self::Average(scale_of(argument))
    }

    /// Tells whether the number of values is part of the state.
    pub(super) const fn needs_count(self) -> bool {
        matches!(self, Self::Average(_))
    }

    /// The type of the result.
    pub(super) const fn data_type(self) -> DataType {
        match self {
            Self::SumInt64 => DataType::Int64,
            Self::SumDecimal128(scale) => DataType::Decimal128(38, scale),
            Self::SumDecimal256(scale) => DataType::Decimal256(76, scale),
            Self::Average(_) => DataType::Decimal256(76, QUOTIENT_SCALE),
        }
    }

    /// The type that totals travel in between the phases of an aggregation.
    pub(super) const fn state_type(self) -> DataType {
        match self {
            Self::SumInt64 => DataType::Decimal256(76, 0),
            Self::SumDecimal128(scale) | Self::SumDecimal256(scale) | Self::Average(scale) => {
                DataType::Decimal256(76, scale)
            }
        }
    }

    /// Finishes one total; `None` is a total beyond 256 bits.
    ///
    /// # Errors
    /// `Overflow` where the result does not fit its type.
    pub(super) fn scalar(self, total: Option<i256>, count: u64) -> Result<ScalarValue> {
        if count == 0 {
            return ScalarValue::try_from(self.data_type());
        }
        let array = self.array(1, None, |_| (total, count))?;
        ScalarValue::try_from_array(&array, 0)
    }

    /// Finishes the total of every group that has one; `total` gives total and count of a group.
    ///
    /// # Errors
    /// `Overflow` where a result does not fit its type.
    pub(super) fn array(
        self,
        groups: usize,
        nulls: Option<NullBuffer>,
        total: impl Fn(usize) -> (Option<i256>, u64),
    ) -> Result<ArrayRef> {
        let is_valid = |group: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(group));
        let known = |group: usize| match total(group) {
            (Some(sum), count) => Ok((sum, count)),
            (None, _) => Err(ArithmeticError::Overflow),
        };
        Ok(match self {
            Self::SumInt64 => {
                let values = collect(groups, is_valid, |group| {
                    let narrow = known(group)?.0.to_i128().ok_or(ArithmeticError::Overflow)?;
                    i64::try_from(narrow).map_err(|_| ArithmeticError::Overflow)
                })?;
                Arc::new(Int64Array::new(values.into(), nulls))
            }
            Self::SumDecimal128(_) => {
                let values = collect(groups, is_valid, |group| {
                    within_precision(known(group)?.0.to_i128().ok_or(ArithmeticError::Overflow)?)
                })?;
                Arc::new(Decimal128Array::new(values.into(), nulls).with_data_type(self.data_type()))
            }
            Self::SumDecimal256(_) => {
                let values = collect(groups, is_valid, |group| {
                    let sum = known(group)?.0;
                    let is_in_range = sum < I256_LIMIT && sum > I256_LIMIT.wrapping_neg();
                    is_in_range.then_some(sum).ok_or(ArithmeticError::Overflow)
                })?;
                Arc::new(Decimal256Array::new(values.into(), nulls).with_data_type(self.data_type()))
            }
            Self::Average(scale) => {
                let values = collect(groups, is_valid, |group| {
                    let (sum, count) = known(group)?;
                    divide(sum, scale, i256::from_i128(count.into()), 0)
                })?;
                Arc::new(Decimal256Array::new(values.into(), nulls).with_data_type(self.data_type()))
            }
        })
    }
}

fn collect<N: Default>(
    groups: usize,
    is_valid: impl Fn(usize) -> bool,
    value: impl Fn(usize) -> Result<N, ArithmeticError>,
) -> Result<Vec<N>> {
    let values: Result<Vec<N>, ArithmeticError> =
        (0..groups).map(|group| if is_valid(group) { value(group) } else { Ok(N::default()) }).collect();
    Ok(values?)
}

/// The error of a plan that brings a type the coercion did not let through.
pub(super) fn not_coerced<T>(name: &str, data_type: &DataType) -> Result<T> {
    internal_err!("{name} over {data_type} was not coerced")
}
