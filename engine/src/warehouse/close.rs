//! Closing a period: what is old is rated anew, then billing drafts from one snapshot.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::TryStreamExt;

use super::Warehouse;
use crate::billing::{
    BillingError, BillingPeriod, CloseMode, CloseReport, CloseRequest, IssueReport, IssueRequest, NET_DAYS, Query,
    QueryError, close_period, issue_invoices,
};
use crate::catalog::SnapshotId;
use crate::error::Error;
use crate::session::{Answer, Session};

/// A session of the warehouse itself as billing reads it.
pub(super) struct Reader {
    session: Session,
    snapshot: SnapshotId,
}

impl Reader {
    pub(super) fn at(warehouse: &Warehouse, snapshot: SnapshotId) -> Self {
        Self { session: warehouse.own_session(snapshot), snapshot }
    }
}

#[async_trait]
impl Query for Reader {
    fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }

    async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        match self.session.sql(sql).await? {
            Answer::Rows { stream, .. } => Ok(stream.try_collect().await?),
            other => Err(format!("a query was expected, not {other:?}").into()),
        }
    }
}

impl Warehouse {
    /// Queries of the warehouse itself at a snapshot; nothing is withheld from them.
    pub(crate) fn own_query(&self, snapshot: SnapshotId) -> Box<dyn Query> {
        Box::new(Reader { session: self.own_session(snapshot), snapshot })
    }

    /// Closes a period (`2026-10`): rates what is stale, checks, and drafts its invoices.
    ///
    /// With `dry_run` nothing is drafted and the report has what blocks it.
    ///
    /// # Errors
    /// What blocks the period, or a text that is no period.
    pub async fn close(&self, period: &str, actor: &str, dry_run: bool) -> Result<CloseReport, Error> {
        let period: BillingPeriod = period.parse().map_err(BillingError::from)?;
        self.refresh_period(&period.to_string(), actor).await?;
        let snapshot = self.core.catalog.head()?;
        let reader = Reader::at(self, snapshot);
        let request = CloseRequest {
            period,
            actor: actor.to_owned(),
            mode: if dry_run { CloseMode::DryRun } else { CloseMode::Commit },
            secret: self.core.secret,
        };
        Ok(close_period(&reader, &self.core.catalog, &request).await?)
    }

    /// Issues the invoices of a closed period; they are immutable from then on.
    ///
    /// # Errors
    /// When the period is not closed, or its charges changed since.
    pub fn issue(&self, period: &str, actor: &str) -> Result<IssueReport, Error> {
        let period: BillingPeriod = period.parse().map_err(BillingError::from)?;
        if let Some(seller) = self.unbilled_seller(period)? {
            return Err(Error::Refused(format!(
                "{seller} has come to bill licences, hours, fees, credits or commitments since {period} was closed: close it again"
            )));
        }
        let request =
            IssueRequest { period, actor: actor.to_owned(), issued_at: chrono::Utc::now(), net_days: NET_DAYS };
        Ok(issue_invoices(&self.core.catalog, &request)?)
    }
}
