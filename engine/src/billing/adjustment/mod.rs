//! What changes after an invoice was issued: proposed by the engine, approved by people, billed by a note or on a later invoice.
//!
//! An issued document never changes. What its charges are now less what they were when it was made is proposed
//! (`proposed_adjustments`). Submitting a proposal fixes the charges that it is made of by a pin; settling it writes a credit or debit
//! note, or bills the difference on the seller's next invoice. From then on those charges count as billed: a second restatement
//! proposes only what is new.

mod approval;
mod billed;
mod credit;
mod proposal;
mod settle;
mod stored;

pub use approval::{Approver, approve_adjustment, charges_of, reject_adjustment};
pub(super) use billed::billed_charges;
pub(crate) use billed::{Billed, billed};
pub use credit::{Credit, submit_credit};
pub use proposal::{Submission, must_be_open, submit_restatement};

use super::error::BillingError;
use crate::period::BillingPeriod;

/// The kind of what `submit`, `approve` and `reject` name, and of rules in `ref.approval_rules`.
pub const ADJUSTMENT: &str = "adjustment";

/// What is adjusted, as `submit`, `approve` and `reject` name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adjusted {
    /// The charges of an edge in a period: `SELLER/BUYER/PERIOD`, and the currency where the edge has invoices in several.
    Edge {
        /// Who sells.
        seller: String,
        /// Who buys.
        buyer: String,
        /// The period.
        period: BillingPeriod,
        /// The invoice's, if it is said.
        currency: Option<String>,
    },
    /// A line of an invoice: `NUMBER/LINE`.
    Line {
        /// Who sells.
        seller: String,
        /// The invoice.
        number: String,
        /// Its line, from 1.
        line: i64,
    },
}

impl Adjusted {
    /// Reads `SELLER/BUYER/PERIOD`, `SELLER/BUYER/PERIOD/CURRENCY` or `NUMBER/LINE`.
    pub fn parse(object: &str) -> Option<Self> {
        let parts: Vec<&str> = object.split('/').collect();
        let (seller, buyer, third) = match parts.as_slice() {
            [seller, buyer, third, ..] if parts.len() <= 4 => ((*seller).to_owned(), (*buyer).to_owned(), *third),
            _ => return None,
        };
        let fourth = parts.get(3).copied();
        match third.parse() {
            Ok(period) => Some(Self::Edge { seller, buyer, period, currency: fourth.map(str::to_owned) }),
            Err(_) => {
                let line = fourth?.parse().ok().filter(|line| *line > 0)?;
                let number = format!("{seller}/{buyer}/{third}");
                Some(Self::Line { seller, number, line })
            }
        }
    }

    /// Whose sales it is about.
    pub fn seller(&self) -> &str {
        match self {
            Self::Edge { seller, .. } | Self::Line { seller, .. } => seller,
        }
    }
}

/// What became of a submission or an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// These roles must still approve.
    WaitsFor(Vec<String>),
    /// It is billed by this note, which is issued.
    Note(String),
    /// It is billed on the seller's invoice of this billing period.
    TrueUp(String),
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WaitsFor(roles) => write!(f, "waits for approval by {}", roles.join(" and ")),
            Self::Note(number) => write!(f, "is issued as {number}"),
            Self::TrueUp(period) => write!(f, "is billed with {period}"),
        }
    }
}

/// What a seller does with an approved difference: a row of `ref.adjustment_policies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Note,
    TrueUp,
    Wait,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::TrueUp => "true_up",
            Self::Wait => "wait",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Note, Self::TrueUp, Self::Wait].into_iter().find(|method| method.name() == name)
    }
}

/// The month after a billing period.
fn after(period: BillingPeriod) -> Result<BillingPeriod, BillingError> {
    let next = period.first_day_number().checked_add(31).and_then(BillingPeriod::of_day);
    next.ok_or(BillingError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_or_a_line_is_named() {
        let edge = |text: &str| match Adjusted::parse(text) {
            Some(Adjusted::Edge { seller, buyer, period, currency }) => (seller, buyer, period.to_string(), currency),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(edge("north/acme/2025-10"), ("north".into(), "acme".into(), "2025-10".into(), None));
        assert_eq!(edge("n/a/2025-10/EUR").3, Some("EUR".to_owned()));
        let line = Adjusted::Line { seller: "north".into(), number: "north/acme/0001".into(), line: 2 };
        assert_eq!(Adjusted::parse("north/acme/0001/2"), Some(line));
        for text in ["", "north", "north/acme", "north/acme/0001", "n/a/0001/0", "n/a/0001/x", "n/a/2025-10/EUR/1"] {
            assert_eq!(Adjusted::parse(text), None, "{text}");
        }
    }

    #[test]
    fn months_follow_each_other() {
        for (month, next) in [("2025-01", "2025-02"), ("2025-02", "2025-03"), ("2025-12", "2026-01")] {
            let month: BillingPeriod = month.parse().expect("a month");
            assert_eq!(after(month).expect("a month").to_string(), next);
        }
    }
}
