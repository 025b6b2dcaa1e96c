//! Reading decimal arguments row by row, whether they are columns or constants.

use crate::decimal::ArithmeticError;
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, DecimalType, i256};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use std::sync::Arc;

/// A decimal argument: its values, and whether one value stands for every row.
#[derive(Debug)]
pub(crate) struct Operand {
    array: ArrayRef,
    is_constant: bool,
    pub(crate) scale: i8,
}

impl Operand {
    /// Reads an argument that was coerced to a decimal.
    ///
    /// # Errors
    /// An internal error where it was not.
    pub(crate) fn new(value: &ColumnarValue) -> Result<Self> {
        let (array, is_constant) = match value {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(scalar) => (scalar.to_array_of_size(1)?, true),
        };
        let scale = match array.data_type() {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
            other => return internal_err!("a numeric operand of type {other} was not coerced"),
        };
        Ok(Self { array, is_constant, scale })
    }

    /// Tells whether this is the constant NULL.
    pub(crate) fn is_null_constant(&self) -> bool {
        self.is_constant && self.array.is_null(0)
    }

    /// The rows that are NULL; a constant has none, see [`Self::is_null_constant`].
    pub(crate) fn nulls(&self) -> Option<&NullBuffer> {
        if self.is_constant { None } else { self.array.nulls() }
    }

    /// Tells whether a row has a value.
    pub(crate) fn is_valid(&self, row: usize) -> bool {
        self.array.is_valid(row & self.mask())
    }

    /// The values as 128-bit integers, or `None` for a `Decimal256`.
    pub(crate) fn narrow(&self) -> Option<Values<'_, i128>> {
        let array = self.array.as_primitive_opt::<Decimal128Type>()?;
        Some(Values { values: array.values(), mask: self.mask() })
    }

    /// The value of a row as a 256-bit integer.
    pub(crate) fn wide(&self) -> impl Fn(usize) -> i256 {
        let mask = self.mask();
        let narrow = self.array.as_primitive_opt::<Decimal128Type>();
        let wide = self.array.as_primitive_opt::<Decimal256Type>();
        move |row| match (narrow, wide) {
            (Some(array), _) => i256::from_i128(array.values()[row & mask]),
            (None, Some(array)) => array.values()[row & mask],
            (None, None) => i256::ZERO,
        }
    }

    /// A constant reads its only value for every row.
    const fn mask(&self) -> usize {
        if self.is_constant { 0 } else { usize::MAX }
    }
}

/// Values of one argument, addressed by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a, N> {
    values: &'a [N],
    mask: usize,
}

impl<N: Copy> Values<'_, N> {
    #[inline]
    pub(crate) fn at(&self, row: usize) -> N {
        self.values[row & self.mask]
    }
}

/// Computes the rows that are not NULL into an array of `data_type`.
///
/// # Errors
/// The first error of `value`.
pub(crate) fn compute<T: DecimalType>(
    rows: usize,
    nulls: Option<NullBuffer>,
    data_type: DataType,
    value: impl Fn(usize) -> Result<T::Native, ArithmeticError>,
) -> Result<ArrayRef> {
    let values: Result<Vec<T::Native>, ArithmeticError> = match nulls.as_ref().filter(|nulls| nulls.null_count() > 0) {
        None => (0..rows).map(value).collect(),
        Some(nulls) => {
            (0..rows).map(|row| if nulls.is_valid(row) { value(row) } else { Ok(T::Native::default()) }).collect()
        }
    };
    let array = PrimitiveArray::<T>::new(values?.into(), nulls).with_data_type(data_type);
    Ok(Arc::new(array))
}
