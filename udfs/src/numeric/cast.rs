//! Casts to and from decimals, as PostgreSQL does them.
//!
//! DataFusion truncates `1.7::int` to 1, multiplies a float by a power of ten to make it a decimal, and repeats the text it
//! could not read in the error. These rewrites round, read floats through their shortest text, and keep values to
//! themselves.

use super::operand::compute;
use crate::columnar::{name_of_argument, shaped};
use crate::decimal::{DecimalParseError, Rounding, parse_f64_at, parse_text_at};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err, internal_err};
use datafusion::functions::math::round;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// Rewrites casts from decimals to integers, and from text and floats to decimals of up to 38 digits.
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
            (from, DataType::Decimal128(precision, scale)) if *scale >= 0 && (is_text || from.is_floating()) => {
                let function = ScalarUDF::from(ToNumeric::new(*precision, *scale));
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![*inner]))))
            }
            _ => unchanged(inner, field),
        }
    }
}

/// Reads text or a float as a decimal of a declared type, rounding half away from zero.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToNumeric {
    precision: u8,
    scale: i8,
    signature: Signature,
}

impl ToNumeric {
    fn new(precision: u8, scale: i8) -> Self {
        Self { precision, scale, signature: Signature::user_defined(Volatility::Immutable) }
    }

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

impl ScalarUDFImpl for ToNumeric {
    fn name(&self) -> &str {
        "to_numeric"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(name_of_argument(args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types
            .iter()
            .map(|data_type| if data_type.is_floating() { DataType::Float64 } else { DataType::Utf8 })
            .collect())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(self.precision, self.scale))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Decimal128(self.precision, self.scale), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(if is_constant { 1 } else { args.number_rows })?;
        let rows = array.len();
        let nulls = array.nulls().cloned();
        let result_type = args.return_type().clone();
        let values: Result<Vec<i128>> = match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                (0..rows)
                    .map(|row| {
                        if texts.is_null(row) {
                            Ok(0)
                        } else {
                            let parsed = parse_text_at(texts.value(row), self.scale, Rounding::HalfUp);
                            self.checked(parsed.map(|parsed| parsed.value))
                        }
                    })
                    .collect()
            }
            DataType::Float64 => {
                let floats = array.as_primitive::<Float64Type>();
                (0..rows)
                    .map(|row| {
                        if floats.is_null(row) {
                            Ok(0)
                        } else {
                            self.checked(parse_f64_at(floats.value(row), self.scale).map(|parsed| parsed.value))
                        }
                    })
                    .collect()
            }
            other => return internal_err!("to_numeric over {other} was not coerced"),
        };
        let values = values?;
        let result = compute::<Decimal128Type>(rows, nulls, result_type, |row| Ok(values[row]))?;
        shaped(result, is_constant)
    }
}
