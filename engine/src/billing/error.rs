//! What can go wrong in billing, and how clients are told.

use super::gate::Blocker;
use crate::catalog::CatalogError;
use crate::period::BillingPeriod;

/// A failure of a query behind billing, as the session reported it.
pub type QueryError = Box<dyn std::error::Error + Send + Sync>;

/// A failure of billing. Nothing was changed when one is returned.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// The text is not a billing period.
    #[error(transparent)]
    Period(#[from] crate::period::PeriodError),
    /// The gate of the period is shut.
    #[error("{period} cannot be closed: {} blocker(s) in ops.close_blockers, the first is {}", .blockers.len(), .blockers.first().map(ToString::to_string).unwrap_or_default())]
    Blocked {
        /// The period.
        period: BillingPeriod,
        /// Why.
        blockers: Vec<Blocker>,
    },
    /// Charges or reference data changed while or after the drafts were computed.
    #[error("charges of {period} changed since {since}: call refresh(), then close the period again")]
    Changed {
        /// The period.
        period: BillingPeriod,
        /// What they changed since.
        since: &'static str,
    },
    /// The period has no drafts yet.
    #[error("{period} has no invoices to issue: close it first")]
    NotClosed {
        /// The period.
        period: BillingPeriod,
    },
    /// Somebody must approve first.
    #[error(
        "{count} invoice(s) of {period} need approval before they are issued, the first is {first}: call approve('invoice', '{first}', 'why')"
    )]
    NeedsApproval {
        /// The period.
        period: BillingPeriod,
        /// How many.
        count: usize,
        /// The number of the first.
        first: String,
    },
    /// There is no such document, or not for this caller.
    #[error("there is no invoice {number}")]
    NoInvoice {
        /// The number asked for.
        number: String,
    },
    /// The document is not in a state for what was asked.
    #[error("invoice {number} is {status}: {remedy}")]
    State {
        /// The number.
        number: String,
        /// The state it is in.
        status: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// No invoice of an edge and period was issued: there is nothing to correct.
    #[error("{object} has no issued invoice to correct: write it as SELLER/BUYER/PERIOD, such as north/acme/2025-10")]
    NotIssued {
        /// What was submitted.
        object: String,
    },
    /// An edge has invoices in several currencies.
    #[error("{object} has invoices in several currencies: add /CURRENCY")]
    SeveralCurrencies {
        /// What was submitted.
        object: String,
    },
    /// The charges of an invoice are what was billed, to the minor unit.
    #[error("{object} is billed as it is charged: proposed_adjustments has nothing that comes to a minor unit")]
    NothingToAdjust {
        /// What was submitted.
        object: String,
    },
    /// The seller's policy is to wait.
    #[error("differences of {buyer}'s invoices wait: {seller} has method 'wait' in ref.adjustment_policies")]
    Waits {
        /// The seller.
        seller: String,
        /// The buyer.
        buyer: String,
    },
    /// It was submitted before and nobody has decided yet.
    #[error("{object} was submitted and waits: approve or reject it first")]
    Submitted {
        /// What was submitted.
        object: String,
    },
    /// No adjustment of that name waits for approval, or not for this caller.
    #[error("no adjustment {object} waits for approval")]
    NoAdjustment {
        /// What was asked for.
        object: String,
    },
    /// Whoever proposes does not approve, and nobody approves twice.
    #[error("permission denied for your own proposal, or one that you approved already: another person approves it")]
    OwnProposal,
    /// The caller's role need not approve.
    #[error("permission denied for this approval: it waits for {roles}")]
    NotAsked {
        /// The roles that must.
        roles: String,
    },
    /// The document has no such line.
    #[error("{number} has no line {line}: write it as NUMBER/LINE, such as north/acme/0001/2")]
    NoLine {
        /// The document.
        number: String,
        /// The line asked for.
        line: i64,
    },
    /// What is to be credited cannot be.
    #[error("cannot be credited: {what}")]
    Credit {
        /// Why.
        what: String,
    },
    /// A stored document is not what its hash says.
    #[error("invoice {number} does not match its content hash: the catalog was altered; run ratehouse verify")]
    Altered {
        /// The number.
        number: String,
    },
    /// Sums that must agree do not.
    #[error(
        "the drafts of {seller} in {currency} do not add up to its charges: nothing was written; run ratehouse verify"
    )]
    NotConserved {
        /// The seller.
        seller: String,
        /// The currency.
        currency: String,
    },
    /// An edge has charges and no currency, or a buyer that is not in the tree.
    #[error(
        "charges of {period} on the edge from {seller} to {buyer} have no {what}: call refresh(), then close again"
    )]
    Incomplete {
        /// The period.
        period: BillingPeriod,
        /// The seller.
        seller: String,
        /// The buyer.
        buyer: String,
        /// What is missing.
        what: &'static str,
    },
    /// A sum does not fit 38 digits.
    #[error("an amount does not fit 38 digits")]
    Overflow,
    /// A relation does not have the shape that billing reads.
    #[error("column {column} of the billing query is not {wanted}")]
    Shape {
        /// The column.
        column: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A query failed.
    #[error("billing query: {0}")]
    Query(#[source] QueryError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A document template is wrong.
    #[error("template {name}: {reason}")]
    Template {
        /// Its name.
        name: String,
        /// What is wrong, with the line.
        reason: String,
    },
    /// A document could not be written.
    #[error("{path}: {source}")]
    Write {
        /// Where.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl BillingError {
    /// The SQLSTATE that clients of the server see.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Period { .. } => "22007",
            Self::OwnProposal | Self::NotAsked { .. } => "42501",
            Self::NoAdjustment { .. } | Self::NotIssued { .. } | Self::NoLine { .. } => "42704",
            Self::Credit { .. } | Self::SeveralCurrencies { .. } => "22023",
            Self::Blocked { .. }
            | Self::NothingToAdjust { .. }
            | Self::Waits { .. }
            | Self::Submitted { .. }
            | Self::NotClosed { .. }
            | Self::NeedsApproval { .. }
            | Self::State { .. } => "55000",
            Self::Changed { .. } => "40001",
            Self::NoInvoice { .. } => "02000",
            Self::Overflow => "22003",
            Self::Altered { .. }
            | Self::NotConserved { .. }
            | Self::Incomplete { .. }
            | Self::Shape { .. }
            | Self::Query(_)
            | Self::Catalog(_) => "XX000",
            Self::Template { .. } => "22000",
            Self::Write { .. } => "58030",
        }
    }
}
