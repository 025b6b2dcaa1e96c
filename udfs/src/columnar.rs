//! What functions of this crate do alike with columns and constants.

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Expr};

/// A function's values as a result: of constant arguments the only value, as a constant.
pub(crate) fn shaped(values: ArrayRef, is_constant: bool) -> Result<ColumnarValue> {
    Ok(if is_constant {
        ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)
    } else {
        ColumnarValue::Array(values)
    })
}

/// The name of a function that stands for a cast: that of what it casts.
pub(crate) fn name_of_argument(args: &[Expr]) -> String {
    args.iter().map(|arg| arg.schema_name().to_string()).collect()
}

/// A quoted literal such as '1.15', whose type SQL takes from its surroundings.
pub(crate) fn text_literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text),
        _ => None,
    }
}
