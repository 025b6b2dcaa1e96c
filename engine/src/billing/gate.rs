//! The gate of a period: what must be settled before its invoices are drafted.

use std::fmt;

use serde::Serialize;

use ratehouse_udfs::decimal::{SCALE, format_trimmed};

use super::error::BillingError;
use super::query::{Query, amount_at, amounts, integers, run, text_at, texts};
use crate::period::BillingPeriod;

/// One reason why a period cannot be closed: a row of `ops.close_blockers`, of the period or of every period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// What kind: `missing_slice`, `stale_slice`, `unrated`, ...
    pub blocker: String,
    /// What is affected.
    pub scope: String,
    /// Currency of the amounts.
    pub currency: Option<String>,
    /// The amount that should be.
    pub expected: Option<String>,
    /// The amount that is.
    pub actual: Option<String>,
    /// Rows affected.
    pub usage_rows: Option<i64>,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}; {}", self.blocker, self.scope, self.detail, self.remedy)
    }
}

/// Blockers listed at most; the view has them all.
const BLOCKERS_MAX: usize = 1_000;

/// Asks `ops.close_blockers`, the one definition of the gate.
pub(super) async fn blockers(query: &dyn Query, period: BillingPeriod) -> Result<Vec<Blocker>, BillingError> {
    let sql = format!(
        "select blocker, scope, currency, expected, actual, usage_rows, detail, remedy from ops.close_blockers \
         where billing_period = {} or billing_period is null order by blocker, scope, detail limit {BLOCKERS_MAX}",
        period.literal()
    );
    let mut found = Vec::new();
    for batch in run(query, &sql).await? {
        let names = ["blocker", "scope", "currency", "detail", "remedy"];
        let columns = names.map(|name| texts(&batch, name));
        let [blocker, scope, currency, detail, remedy] = columns;
        let (blocker, scope, currency, detail, remedy) = (blocker?, scope?, currency?, detail?, remedy?);
        let (expected, actual) = (amounts(&batch, "expected")?, amounts(&batch, "actual")?);
        let usage_rows = integers(&batch, "usage_rows")?;
        let owned = |array, row| text_at(array, row).unwrap_or_default().to_owned();
        let money = |array, row| amount_at(array, row).map(|v| format_trimmed(v, SCALE.unsigned_abs(), 2));
        for row in 0..batch.num_rows() {
            found.push(Blocker {
                blocker: owned(&blocker, row),
                scope: owned(&scope, row),
                currency: text_at(&currency, row).map(str::to_owned),
                expected: money(&expected, row),
                actual: money(&actual, row),
                usage_rows: arrow::array::Array::is_valid(&usage_rows, row).then(|| usage_rows.value(row)),
                detail: owned(&detail, row),
                remedy: owned(&remedy, row),
            });
        }
    }
    Ok(found)
}
