//! Correcting issued invoices: billing reads the charges as they are, or as they were when a correction was submitted.

use chrono::Utc;

use super::Warehouse;
use super::close::Reader;
use crate::billing::{
    Approver, BillingPeriod, Credit, Progress, Query, Submission, approve_adjustment, charges_of, must_be_open,
    reject_adjustment, submit_credit, submit_restatement,
};
use crate::error::Error;

impl Warehouse {
    /// Brings a period's charges up to date and asks its gate, before the root corrects its invoices. What others correct is made of
    /// the charges as they are: how fresh they are, and what stands against the period, tells of everybody's.
    ///
    /// # Errors
    /// What blocks the period.
    pub(crate) async fn settle_charges(&self, period: BillingPeriod, actor: &str) -> Result<(), Error> {
        self.refresh_period(&period.to_string(), actor).await?;
        Ok(must_be_open(&Reader::at(self, self.core.catalog.head()?), period).await?)
    }

    /// Submits what the charges of an edge (seller, buyer, period, currency) changed by since its invoice.
    ///
    /// # Errors
    /// As [`submit_restatement`].
    pub(crate) async fn submit_restatement(
        &self,
        edge: (&str, &str, BillingPeriod, Option<&str>),
        object: &str,
        (who, reason): (&Approver<'_>, &str),
    ) -> Result<Progress, Error> {
        let reader = Reader::at(self, self.core.catalog.head()?);
        let submission = self.submission(object, (who, reason));
        Ok(submit_restatement(&reader, &self.core.catalog, edge, &submission).await?)
    }

    /// Submits a credit.
    ///
    /// # Errors
    /// As [`submit_credit`].
    pub(crate) fn submit_credit(
        &self,
        credit: &Credit<'_>,
        object: &str,
        (who, reason): (&Approver<'_>, &str),
    ) -> Result<Progress, Error> {
        Ok(submit_credit(&self.core.catalog, credit, &self.submission(object, (who, reason)))?)
    }

    /// Approves an adjustment.
    ///
    /// # Errors
    /// As [`approve_adjustment`].
    pub(crate) async fn approve_adjustment(
        &self,
        object: &str,
        (who, reason): (&Approver<'_>, &str),
    ) -> Result<Progress, Error> {
        let catalog = &self.core.catalog;
        let reader = charges_of(catalog, object)?.map(|snapshot| Reader::at(self, snapshot));
        let query = reader.as_ref().map(|reader| reader as &dyn Query);
        Ok(approve_adjustment(query, catalog, &self.submission(object, (who, reason))).await?)
    }

    /// Rejects an adjustment.
    ///
    /// # Errors
    /// As [`reject_adjustment`].
    pub(crate) fn reject_adjustment(&self, object: &str, (who, reason): (&Approver<'_>, &str)) -> Result<(), Error> {
        Ok(reject_adjustment(&self.core.catalog, object, who, reason)?)
    }

    fn submission<'a>(&'a self, object: &'a str, (who, reason): (&Approver<'a>, &'a str)) -> Submission<'a> {
        Submission { who: *who, object, reason, at: Utc::now(), secret: &self.core.secret }
    }
}
