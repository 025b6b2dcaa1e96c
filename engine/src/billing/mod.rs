//! Billing: periods, invoices and documents.
//!
//! A close reads `ops.edges_monthly` through a root session, asks the gate (`ops.close_blockers`), and drafts one invoice per edge and
//! currency in one catalog commit; issuing freezes them; documents render what is stored.
//!
//! Invariants: billing prices nothing (amounts come from the edges as they are); it knows nothing of the wire and reads no Parquet;
//! every amount is an integer until it is text; nothing here touches an issued document, what changes later is a document of its own;
//! no document says what its seller pays.

mod adjustment;
mod close;
mod currency;
mod document;
mod draft;
mod edges;
mod error;
#[cfg(test)]
mod fixture;
mod gate;
mod issue;
pub(crate) mod lines;
#[cfg(test)]
mod marts;
mod nodes;
mod number;
mod query;
mod store;

pub use crate::period::BillingPeriod;
pub use adjustment::{
    ADJUSTMENT, Adjusted, Approver, Credit, Progress, Submission, approve_adjustment, charges_of, must_be_open,
    reject_adjustment, submit_credit, submit_restatement,
};
pub(crate) use adjustment::{Billed, billed};
pub use close::{
    CloseMode, CloseReport, CloseRequest, DraftState, DraftSummary, ProposedSummary, SellerTotal, close_period,
};
pub use currency::minor_digits;
pub use document::{Document, DocumentFormat, DocumentLine, Party, Renderer, ServiceTotal, TrendPoint, write_document};
pub use draft::LineKind;
pub use error::{BillingError, QueryError};
pub use gate::Blocker;
pub use issue::{IssueReport, IssueRequest, NET_DAYS, approve_invoice, issue_invoices};
pub use query::Query;
pub(crate) use store::{altered_documents, issued_by};

/// Years that documents and what they were made of are kept.
const YEARS_KEPT: u32 = 7;

/// Until when something that a commit at `at` (RFC 3339) pins is kept.
fn keep_until(at: &str) -> Result<String, BillingError> {
    let malformed = || crate::catalog::CatalogError::Malformed { what: "instant of the commit" };
    let at = chrono::DateTime::parse_from_rfc3339(at).map_err(|_| malformed())?;
    let until = at.checked_add_months(chrono::Months::new(12 * YEARS_KEPT)).ok_or_else(malformed)?;
    Ok(until.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}
