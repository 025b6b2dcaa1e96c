//! The billing period of deliveries that are one invoice.
//!
//! The lines of an invoice are of the month that it bills, although some charge for other days: a
//! credit for what was cancelled, usage that came late. By their own months such lines would be a
//! delivery of an older period and take the place of all that the older period's invoice said. So
//! a source may say which column tells the month of the whole delivery: the latest that it names.

use std::sync::Arc;

use futures::StreamExt;

use arrow::array::AsArray;
use arrow::compute::max;
use arrow::datatypes::TimestampMicrosecondType;

use super::delivery::{FittedPart, OpenPart};
use super::directives::Directives;
use super::error::LandingError;
use super::instant::{DAY, month_start, next_month_start};
use super::mapping::Mapping;
use super::reading::start;
use super::source::Source;

/// Reads the parts for the latest instant in `column` and gives the month that it is in; none if no row has one.
///
/// A month after the present one is not believed: it is a misprint, which would take the whole delivery with it.
pub(crate) async fn period_of(
    source: &Source,
    column: &str,
    parts: &[FittedPart],
) -> Result<Option<(i64, i64)>, LandingError> {
    let probe = Arc::new(probe_of(source, column));
    let mut probed = Vec::with_capacity(parts.len());
    for FittedPart { file, kind, header, .. } in parts {
        let mapping = Arc::new(Mapping::fit(&probe, &file.location.name(), header).await?);
        probed.push(OpenPart { file: file.clone(), kind: *kind, mapping });
    }
    let after_this_month = next_month_start(chrono::Utc::now().timestamp_micros()) * DAY;
    let mut latest = None;
    let mut rows = start(probed, 1);
    while let Some(batch) = rows.next().await {
        let usage = batch?.usage;
        let Some(instants) = usage.column_by_name("charge_period_start") else { continue };
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let believed: arrow::array::TimestampMicrosecondArray =
            instants.iter().map(|instant| instant.filter(|instant| *instant < after_this_month)).collect();
        latest = latest.max(max(&believed));
    }
    Ok(latest.map(|instant| (month_start(instant) * DAY, next_month_start(instant) * DAY)))
}

/// A source that reads one column in the way of `source`, and nothing else that could reject a row.
fn probe_of(source: &Source, column: &str) -> Source {
    let directives = Directives {
        provider: Some(String::new()),
        numbers: Vec::new(),
        inclusive_ends: Vec::new(),
        conserved: None,
        conserved_elements: Vec::new(),
        elements: Vec::new(),
        delivery_period: None,
        ..source.directives.clone()
    };
    let sql = format!(
        "select '0' as billed_cost, '0' as effective_cost, '' as billing_account_id, '' as billing_currency, '' as charge_category, \
         \"{column}\" as charge_period_start, \"{column}\" as charge_period_end from source"
    );
    Source { directives, sql }
}
