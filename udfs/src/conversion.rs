//! Casts that are functions: where the engine's own cast means something else than PostgreSQL's.

use crate::columnar::{name_of_argument, shaped};
use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// What a cast makes of values. It is put into plans whose types agree already, so it takes them as they are.
pub(crate) trait Conversion: Debug + Clone + Copy + Eq + Hash + Send + Sync + 'static {
    /// The function's name in plans.
    const NAME: &'static str;

    /// Stable where it looks at the session's clock.
    fn volatility(to: &DataType) -> Volatility;

    /// The values in the declared type.
    fn convert(self, values: &ArrayRef, to: &DataType, options: &ConfigOptions) -> Result<ArrayRef>;

    /// The cast of an expression to a type.
    fn of(self, expr: Expr, to: DataType) -> Expr {
        let signature = Signature::user_defined(Self::volatility(&to));
        let function = ScalarUDF::from(Converted { conversion: self, to, signature });
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![expr]))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Converted<C> {
    conversion: C,
    to: DataType,
    signature: Signature,
}

impl<C: Conversion> ScalarUDFImpl for Converted<C> {
    fn name(&self) -> &str {
        C::NAME
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
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("a cast has one argument") };
        let is_constant = matches!(value, ColumnarValue::Scalar(_));
        let values = value.to_array(if is_constant { 1 } else { args.number_rows })?;
        shaped(self.conversion.convert(&values, &self.to, &args.config_options)?, is_constant)
    }
}

/// Arrow's cast; what does not fit is an error and not null.
pub(crate) fn cast_strictly(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(cast_with_options(values, to, &CastOptions { safe: false, ..CastOptions::default() })?)
}
