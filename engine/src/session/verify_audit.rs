//! `select verify_audit()`: the number of snapshots whose audit chain holds, after reading every row that it covers.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::functions::AtMoment;
use super::moment::Shared;
use crate::catalog::audit;
use crate::security::SessionError;
use crate::security::policy::Action;

/// The function; `42501` for who may not verify, `XX001` with every problem when something is not as it was written.
pub(super) fn verify_audit(shared: &Arc<Shared>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(VerifyAudit(AtMoment::new(shared, Signature::nullary(Volatility::Volatile)))))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VerifyAudit(AtMoment);

impl ScalarUDFImpl for VerifyAudit {
    fn name(&self) -> &str {
        "verify_audit"
    }

    fn signature(&self) -> &Signature {
        &self.0.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let shared = self.0.shared();
        verified(shared)
            .map(|snapshots| ColumnarValue::Scalar(ScalarValue::Int64(Some(snapshots))))
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

fn verified(shared: &Shared) -> Result<i64, SessionError> {
    shared.may(Action::VerifyAudit, "function verify_audit")?;
    let found = shared.core.catalog.read(audit)?;
    if found.problems.is_empty() {
        return Ok(found.snapshots);
    }
    let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    Err(SessionError::new("XX001", "the catalog is not as it was written")
        .detail(problems.join("\n"))
        .hint("restore the catalog from a backup, and compare with `ratehouse verify`"))
}
