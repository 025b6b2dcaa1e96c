//! Refreshing: rating stale slices anew and putting their charges in place in one commit.

use std::sync::Arc;

use super::Warehouse;
use super::rate_slices::name_of;
use crate::catalog::{CatalogError, Change, SliceRow};
use crate::error::Error;
use crate::lake::LakeTable;
use crate::period::BillingPeriod;

/// How often a refresh starts over when landings get in between.
const ATTEMPTS_MAX: usize = 5;

impl Warehouse {
    /// Rates stale slices anew: all of them, or one by its number even if it is fresh. Gives how many.
    ///
    /// # Errors
    /// `Refused` for a slice that does not exist or is another view of cost priced elsewhere.
    pub async fn refresh(&self, slice: Option<i64>, actor: &str) -> Result<usize, Error> {
        let slices = self.core.catalog.read(SliceRow::all)?;
        let wanted: Vec<SliceRow> = match slice {
            Some(id) => {
                let found = slices.iter().find(|s| s.slice_id == id && s.role == "priced");
                let missing = || Error::Refused(format!("there is no priced slice {id}: ops.slices lists them"));
                vec![found.cloned().ok_or_else(missing)?]
            }
            None => slices.iter().filter(|s| s.role == "priced" && s.stale_since.is_some()).cloned().collect(),
        };
        let (own, of_providers): (Vec<SliceRow>, Vec<SliceRow>) = wanted.into_iter().partition(SliceRow::is_own);
        let mut refreshed = self.refresh_slices(of_providers, actor).await?;
        if slice.is_some() {
            for slice in own {
                refreshed += usize::from(self.bill_own(&slice.key, actor).await?);
            }
            return Ok(refreshed);
        }
        let mut periods: Vec<String> = slices.into_iter().map(|s| s.key.billing_period).collect();
        periods.sort();
        periods.dedup();
        for period in periods {
            refreshed += self.bill_own_of_period(&period, actor).await?;
        }
        Ok(refreshed)
    }

    /// Rates the stale slices of a billing period, and those of earlier ones that what is billed at its end depends on.
    pub(crate) async fn refresh_period(&self, period: &str, actor: &str) -> Result<usize, Error> {
        let last: BillingPeriod = period.parse().map_err(|_| CatalogError::Malformed { what: "billing period" })?;
        let first = self.first_period_of(last)?.to_string();
        let mut slices = self.core.catalog.read(SliceRow::all)?;
        slices.retain(|s| (first.as_str()..=period).contains(&s.key.billing_period.as_str()));
        let mut periods: Vec<String> = slices.iter().map(|s| s.key.billing_period.clone()).collect();
        periods.push(period.to_owned());
        periods.sort();
        periods.dedup();
        slices.retain(|s| s.role == "priced" && !s.is_own() && s.stale_since.is_some());
        let mut refreshed = self.refresh_slices(slices, actor).await?;
        for period in periods {
            refreshed += self.bill_own_of_period(&period, actor).await?;
        }
        Ok(refreshed)
    }

    async fn refresh_slices(&self, slices: Vec<SliceRow>, actor: &str) -> Result<usize, Error> {
        let mut periods: Vec<String> = slices.iter().map(|s| s.key.billing_period.clone()).collect();
        periods.sort();
        periods.dedup();
        for period in &periods {
            let of_period: Vec<&SliceRow> = slices.iter().filter(|s| s.key.billing_period == *period).collect();
            self.refresh_together(&of_period, actor).await?;
        }
        Ok(slices.len())
    }

    /// Rates the slices of one period in one run and one commit.
    async fn refresh_together(&self, slices: &[&SliceRow], actor: &str) -> Result<(), Error> {
        let ids: Vec<i64> = slices.iter().map(|s| s.slice_id).collect();
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = self.core.catalog.head()?;
            let book = self.core.book(snapshot)?;
            let files = self.core.files(LakeTable::Usage, snapshot, |file| ids.contains(&file.slice_id))?;
            let rated = self.core.rate_files(Arc::clone(&files), book, &ids).await?;
            let change = Change::new(actor, "refresh", format!("{} slices", ids.len()));
            let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            let committed = self.core.catalog.commit::<_, Error>(&change, |commit| {
                for path in &paths {
                    let live = commit
                        .tx
                        .row("select 1 from data_file where path = ?1 and end_snapshot is null", &[(*path).into()])?;
                    if live.is_none() {
                        return Err(CatalogError::Conflict.into());
                    }
                }
                for slice in slices {
                    rated.commit_slice(commit, &name_of(&slice.key)?, slice.slice_id)?;
                }
                Ok(())
            });
            match committed {
                Ok(_) => return Ok(()),
                Err(Error::Catalog(CatalogError::Conflict)) => self.discard(rated.files.paths()).await,
                Err(error) => {
                    self.discard(rated.files.paths()).await;
                    return Err(error);
                }
            }
        }
        Err(Error::Refused("usage kept changing while it was rated: try again".to_owned()))
    }
}
