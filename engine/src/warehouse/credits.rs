//! Drawing credits: what a seller's buyers are charged in a month, less what was granted to them and is left.
//!
//! What an issued document shows stays drawn, whatever changes later: such a month is neither drawn on again nor given back.

use std::collections::BTreeSet;

use datafusion::logical_expr::{col, ident, lit};
use futures::TryStreamExt;
use hashbrown::HashMap;

use super::{Core, Warehouse};
use crate::billing::issued_by;
use crate::catalog::{CatalogError, SnapshotId};
use crate::error::Error;
use crate::lake::schema::MAX_POSITIONS;
use crate::lake::{DataFile, LakeTable};
use crate::period::BillingPeriod;
use crate::rating::{DRAWN_COLUMNS, Drawn, NodeIndex, OWN_SOURCE, Origin, OwnRow, RateBook, RatingError, draws_in};

/// Buyer, billing period and currency of the documents that a seller has issued.
pub(super) type Issued = BTreeSet<(String, String, String)>;

impl Core {
    /// What was drawn of credits, as files of `charges_daily` that `wanted` says yes to have it.
    pub(crate) async fn credits_drawn(
        &self,
        snapshot: SnapshotId,
        wanted: impl Fn(&DataFile) -> bool,
    ) -> Result<Vec<Drawn>, Error> {
        let is_wanted = |file: &DataFile| file.provider_name == OWN_SOURCE && wanted(file);
        let files = self.files(LakeTable::ChargesDaily, snapshot, is_wanted)?;
        let positions = (0..MAX_POSITIONS).flat_map(|at| [format!("price_{at}"), format!("currency_{at}")]);
        let columns = DRAWN_COLUMNS.iter().map(|name| (*name).to_owned()).chain(positions).map(ident);
        let days = self.private.read_table(self.scan(LakeTable::ChargesDaily, files))?;
        let credits = days.filter(col("origin").eq(lit(Origin::Credit.name())))?.select(columns.collect::<Vec<_>>())?;
        let mut batches = credits.execute_stream().await?;
        let mut drawn = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            drawn.extend(draws_in(&batch).ok_or(CatalogError::Malformed { what: "credit in charges_daily" })?);
        }
        Ok(drawn)
    }
}

/// The seller's slice of a month that is being made.
pub(super) struct OwnMonth<'a> {
    pub(super) book: &'a RateBook,
    pub(super) seller: NodeIndex,
    /// First day, days since 1970.
    pub(super) period: i32,
    /// The slice that it takes the place of.
    pub(super) slice: Option<i64>,
    pub(super) issued: &'a Issued,
}

impl OwnMonth<'_> {
    fn is_issued(&self, buyer: &str, period: i32, currency: &str) -> bool {
        let period = BillingPeriod::of_day(period).map(|period| period.to_string()).unwrap_or_default();
        self.issued.contains(&(buyer.to_owned(), period, currency.to_owned()))
    }

    fn was_issued(&self, drawn: &Drawn) -> bool {
        drawn.edge().is_some_and(|(_, buyer)| self.is_issued(buyer, drawn.period, &drawn.currency))
    }

    /// What other months have drawn of each credit on an edge: earlier ones, and later ones as far as they were issued.
    fn drawn_elsewhere(&self, drawn: &[Drawn], edge: (&str, &str), currency: &str) -> Option<HashMap<String, i128>> {
        let mut sums: HashMap<String, i128> = HashMap::new();
        for one in drawn.iter().filter(|one| one.edge() == Some(edge) && one.currency == currency) {
            if one.period < self.period || one.period > self.period && self.was_issued(one) {
                let sum = sums.entry_ref(&one.credit_id).or_default();
                *sum = sum.checked_add(one.amount)?;
            }
        }
        Some(sums)
    }
}

/// The documents that a seller has issued.
pub(super) fn issued(core: &Core, seller: &str) -> Result<Issued, Error> {
    Ok(core.catalog.read(|tx| issued_by(tx, seller))?)
}

impl Warehouse {
    /// The rows of a seller's month with what credits take off its edges.
    pub(super) async fn with_credits(
        &self,
        month: &OwnMonth<'_>,
        mut rows: Vec<OwnRow>,
        snapshot: SnapshotId,
    ) -> Result<Vec<OwnRow>, Error> {
        let tree = month.book.tree();
        let name = tree.name(month.seller);
        let drawn = self.core.credits_drawn(snapshot, |file| file.billing_account_id == name).await?;
        let edges = month.book.own_credits(month.seller, month.period);
        let stays = drawn.iter().filter(|one| one.period == month.period && month.was_issued(one));
        let mut credits: Vec<OwnRow> = stays.filter_map(|one| month.book.drawn_row(one)).collect();
        for edge in edges {
            let buyer = tree.name(edge.edge().1);
            if month.is_issued(buyer, month.period, edge.currency()) {
                continue;
            }
            let too_large = || Error::from(RatingError::Sum { what: "charges that a credit is drawn on" });
            let files = self.core.files(LakeTable::ChargesDaily, snapshot, |file| {
                file.billing_period == month.period && Some(file.slice_id) != month.slice
            })?;
            let others = self.sum_of(edge.counted(), &files).await?.to_i128().ok_or_else(too_large)?;
            let own = edge.own(month.book, &rows).ok_or_else(too_large)?;
            let billed = others.checked_add(own).ok_or_else(too_large)?;
            let elsewhere = month.drawn_elsewhere(&drawn, (name, buyer), edge.currency()).ok_or_else(too_large)?;
            credits.extend(edge.draw(month.book, billed, &elsewhere).ok_or_else(too_large)?);
        }
        rows.extend(credits);
        Ok(rows)
    }

    /// Applies credits to a billing period now, as its close would. Gives how many slices changed.
    ///
    /// # Errors
    /// A text that is no period.
    pub async fn apply_credits(&self, period: &str, actor: &str) -> Result<usize, Error> {
        let period: BillingPeriod = period.parse().map_err(crate::billing::BillingError::from)?;
        self.refresh_period(&period.to_string(), actor).await
    }
}
