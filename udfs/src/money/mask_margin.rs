//! `mask_margin(amount, owner)`.

use super::arguments::{Text, text_type};
use arrow::array::BooleanArray;
use arrow::compute::nullif;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::fmt;

/// Shows a derived amount (a margin, a markup) to the node that made it and to the nodes above, NULL to everyone else.
///
/// `owner` is the path of the selling node (`dist/reseller-1`). It fails closed: without a known viewer, owner or path, the
/// result is NULL. This is presentation; that a caller cannot read foreign rows at all is the catalog's business.
///
/// ```sql
/// select customer, mask_margin(price - cost, seller_path) as margin from charges
/// ```
#[derive(PartialEq, Eq, Hash)]
pub struct MaskMargin {
    signature: Signature,
    viewer_prefix: Option<String>,
}

/// The viewer is who is logged in, which plans and logs need not repeat.
impl fmt::Debug for MaskMargin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskMargin").finish_non_exhaustive()
    }
}

/// Returns `mask_margin` for one session: `viewer_prefix` is the path of the session's node, `None` if it has none.
#[must_use]
pub fn mask_margin(viewer_prefix: Option<String>) -> ScalarUDF {
    ScalarUDF::from(MaskMargin {
        // Stable, not immutable: the value depends on who asks.
        signature: Signature::user_defined(Volatility::Stable),
        viewer_prefix: viewer_prefix.filter(|prefix| !prefix.is_empty()),
    })
}

impl MaskMargin {
    /// Tells whether the viewer is the owner or above it.
    fn may_see(&self, owner: Option<&str>) -> bool {
        let (Some(viewer), Some(owner)) = (self.viewer_prefix.as_deref(), owner) else {
            return false;
        };
        match owner.strip_prefix(viewer) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl ScalarUDFImpl for MaskMargin {
    fn name(&self) -> &str {
        "mask_margin"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [amount, owner] if amount.is_numeric() || amount.is_null() => {
                Ok(vec![amount.clone(), text_type(self.name(), "the owner", owner)?])
            }
            _ => plan_err!("mask_margin takes an amount and the path of its owner"),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let owner = Text::new(&args.args[1])?;
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return Ok(if self.may_see(owner.at(0)) {
                args.args[0].clone()
            } else {
                ColumnarValue::Scalar(ScalarValue::try_from(args.return_type())?)
            });
        }
        let amounts = args.args[0].to_array(args.number_rows)?;
        let is_hidden: BooleanArray = (0..args.number_rows).map(|row| Some(!self.may_see(owner.at(row)))).collect();
        Ok(ColumnarValue::Array(nullif(&amounts, &is_hidden)?))
    }
}
