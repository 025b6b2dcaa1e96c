//! Casts to and from decimals, as PostgreSQL does them.
//!
//! DataFusion truncates `1.7::int` to 1, multiplies a float by a power of ten to make it a decimal, and repeats the text it
//! could not read in the error. These rewrites round, read floats through their shortest text, and keep values to
//! themselves.

use crate::conversion::{Conversion, cast_strictly};
use crate::decimal::{DecimalParseError, Rounding, parse_f64_at, parse_text_at};
use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::functions::math::round;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, Volatility};
use std::sync::Arc;

/// Rewrites casts from decimals to integers and to decimals of fewer digits after the point, and from text and floats to decimals of up to
/// 38 digits.
#[derive(Debug, Default)]
pub struct NumericCasts;

impl FunctionRewrite for NumericCasts {
    fn name(&self) -> &str {
        "numeric_casts"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::Cast(Cast { expr: inner, field }) = expr else {
            return Ok(Transformed::no(expr));
        };
        let unchanged = |inner, field| Ok(Transformed::no(Expr::Cast(Cast { expr: inner, field })));
        let Ok(from) = inner.get_type(schema) else {
            return unchanged(inner, field);
        };
        let is_text = matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        match (from, field.data_type()) {
            (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale), to) if to.is_integer() && scale > 0 => {
                let rounded = Expr::ScalarFunction(ScalarFunction::new_udf(round(), vec![*inner]));
                Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(rounded), field })))
            }
            (
                DataType::Decimal128(_, before) | DataType::Decimal256(_, before),
                DataType::Decimal128(_, after) | DataType::Decimal256(_, after),
            ) if *after < before => Ok(Transformed::yes(Rounded.of(*inner, field.data_type().clone()))),
            (from, DataType::Decimal128(precision, scale)) if *scale >= 0 && (is_text || from.is_floating()) => {
                let conversion = ToNumeric { precision: *precision, scale: *scale };
                Ok(Transformed::yes(conversion.of(*inner, field.data_type().clone())))
            }
            _ => unchanged(inner, field),
        }
    }
}

/// Rounds a decimal half away from zero. The engine's own cast does the same, but it takes `cast(x as decimal(38, 2)) = 1.23` for
/// `x = 1.23`, which leaves out 1.234.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Rounded;

impl Conversion for Rounded {
    const NAME: &'static str = "to_fewer_digits";

    fn volatility(_to: &DataType) -> Volatility {
        Volatility::Immutable
    }

    fn convert(self, values: &ArrayRef, to: &DataType, _options: &ConfigOptions) -> Result<ArrayRef> {
        cast_strictly(values, to)
    }
}

/// Reads text or a float as a decimal of a declared type, rounding half away from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ToNumeric {
    precision: u8,
    scale: i8,
}

impl ToNumeric {
    /// Passes a value that has at most the declared digits.
    fn checked(&self, parsed: std::result::Result<i128, DecimalParseError>) -> Result<i128> {
        let limit = crate::decimal::power_of_ten(self.precision.into()).map_or(u128::MAX, i128::unsigned_abs);
        match parsed {
            Ok(value) if value.unsigned_abs() < limit => Ok(value),
            Ok(_) | Err(DecimalParseError::OutOfRange) => Err(crate::decimal::ArithmeticError::Overflow.into()),
            Err(DecimalParseError::Empty | DecimalParseError::NotANumber) => {
                exec_err!("invalid input syntax for type numeric")
            }
        }
    }
}

impl Conversion for ToNumeric {
    const NAME: &'static str = "to_numeric";

    fn volatility(_to: &DataType) -> Volatility {
        Volatility::Immutable
    }

    fn convert(self, values: &ArrayRef, to: &DataType, _options: &ConfigOptions) -> Result<ArrayRef> {
        let parsed: Vec<Option<i128>> = if values.data_type().is_floating() {
            let floats = cast(values, &DataType::Float64)?;
            let read = |float| self.checked(parse_f64_at(float, self.scale).map(|parsed| parsed.value));
            floats
                .as_primitive::<Float64Type>()
                .iter()
                .map(|float| float.map(read).transpose())
                .collect::<Result<_>>()?
        } else {
            let texts = cast(values, &DataType::Utf8View)?;
            let read =
                |text: &str| self.checked(parse_text_at(text, self.scale, Rounding::HalfUp).map(|parsed| parsed.value));
            texts.as_string_view().iter().map(|text| text.map(read).transpose()).collect::<Result<_>>()?
        };
        Ok(Arc::new(Decimal128Array::from(parsed).with_data_type(to.clone())))
    }
}
