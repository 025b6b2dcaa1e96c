//! `submit`, `approve` and `reject` of adjustments, and `credit_note`: whose invoices a login may correct.
//!
//! A login corrects what its node sells, and what nodes below it sell whose sales it sees. All others read the same as what does not
//! exist.

use super::Session;
use crate::billing::{Adjusted, Approver, BillingError, Credit};
use crate::error::Error;
use crate::security::SessionError;

impl Session {
    /// Submits what charges of an issued invoice changed by; gives what became of it.
    pub(super) async fn submit_adjustment(&self, object: &str, why: &str) -> Result<String, SessionError> {
        justified(why)?;
        match self.adjusted(object)? {
            Adjusted::Edge { seller, buyer, period, currency } => {
                if self.shared.moment().scope.is_root {
                    let actor = self.shared.principal.login.as_str();
                    self.warehouse.settle_charges(period, actor).await.map_err(Error::shown)?;
                }
                let edge = (seller.as_str(), buyer.as_str(), period, currency.as_deref());
                let done = self.warehouse.submit_restatement(edge, object, (&self.approver(), why)).await;
                Ok(format!("{object} {}", done.map_err(Error::shown)?))
            }
            Adjusted::Line { .. } => Err(SessionError::new("22023", "a line is credited by an amount")
                .hint("call credit_note('NUMBER/LINE', amount, 'why')")),
        }
    }

    /// Submits a credit on a line of an issued invoice; gives what became of it.
    pub(super) fn credit_note(&self, object: &str, amount: &str, why: &str) -> Result<String, SessionError> {
        justified(why)?;
        match self.adjusted(object)? {
            Adjusted::Line { number, line, .. } => {
                let credit = Credit { number: &number, line, amount };
                let done = self.warehouse.submit_credit(&credit, object, (&self.approver(), why));
                Ok(format!("{object} {}", done.map_err(Error::shown)?))
            }
            Adjusted::Edge { .. } => Err(absent(object)),
        }
    }

    /// Approves what was submitted; gives what became of it.
    pub(super) async fn approve_adjustment(&self, object: &str, why: &str) -> Result<String, SessionError> {
        justified(why)?;
        self.adjusted(object)?;
        let done = self.warehouse.approve_adjustment(object, (&self.approver(), why)).await;
        Ok(format!("{object} {}", done.map_err(Error::shown)?))
    }

    /// Rejects what was submitted.
    pub(super) fn reject_adjustment(&self, object: &str, why: &str) -> Result<(), SessionError> {
        justified(why)?;
        self.adjusted(object)?;
        self.warehouse.reject_adjustment(object, (&self.approver(), why)).map_err(Error::shown)
    }

    fn approver(&self) -> Approver<'_> {
        Approver { login: &self.shared.principal.login, role: self.shared.principal.role.name() }
    }

    /// What the object names, if the caller sees its seller's sales.
    fn adjusted(&self, object: &str) -> Result<Adjusted, SessionError> {
        self.begin_statement()?;
        let named = Adjusted::parse(object).ok_or_else(|| absent(object))?;
        if self.shared.moment().shows_sales_of(named.seller(), &super::write::now()) {
            return Ok(named);
        }
        Err(absent(object))
    }
}

/// Refuses to do without a reason.
pub(super) fn justified(why: &str) -> Result<(), SessionError> {
    if why.trim().is_empty() {
        return Err(SessionError::new("22023", "a justification is needed"));
    }
    Ok(())
}

fn absent(object: &str) -> SessionError {
    Error::from(BillingError::NoAdjustment { object: object.to_owned() })
        .shown()
        .hint("write SELLER/BUYER/PERIOD, such as north/acme/2025-10, or NUMBER/LINE, such as north/acme/0001/2")
}
