//! What sellers bill by themselves: made of reference rows and of what else was charged, a commit for each seller and period.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, i256};
use futures::TryStreamExt;

use super::Warehouse;
use super::credits::{self, OwnMonth};
use super::rate_slices::{RatedSlices, name_of};
use super::slice_files::SliceFiles;
use crate::billing::issued_by;
use crate::catalog::{CatalogError, Change, Commit, SliceKey, SliceRow, SnapshotId};
use crate::error::Error;
use crate::lake::{FileList, LakeTable};
use crate::period::BillingPeriod;
use crate::rating::{DaysCounted, EdgeCredits, Floor, OWN_SOURCE, OwnRow, RateBook, RatingError, RatingRun, rate_own};

/// How often it starts over when other commits get in between.
const ATTEMPTS_MAX: usize = 5;

impl Warehouse {
    /// Brings all that sellers bill by themselves in a period up to date, sellers nearer the root first. Gives how many slices changed.
    pub(super) async fn bill_own_of_period(&self, period: &str, actor: &str) -> Result<usize, Error> {
        let month: BillingPeriod = period.parse().map_err(|_| CatalogError::Malformed { what: "billing period" })?;
        let book = self.core.book(self.core.catalog.head()?)?;
        let mut sellers: Vec<String> = book
            .own_sellers(month.first_day_number())
            .into_iter()
            .map(|seller| book.tree().name(seller).to_owned())
            .collect();
        // Whoever had something and has it no more comes last: nothing depends on it.
        for slice in self.core.catalog.read(|tx| SliceRow::all_of(tx, OWN_SOURCE))? {
            if slice.key.billing_period == period && !sellers.contains(&slice.key.billing_account_id) {
                sellers.push(slice.key.billing_account_id);
            }
        }
        let mut billed = 0;
        for seller in sellers {
            let key = SliceKey {
                source: OWN_SOURCE.to_owned(),
                provider_name: OWN_SOURCE.to_owned(),
                billing_account_id: seller,
                billing_period: period.to_owned(),
            };
            let held = self.core.catalog.read(|tx| SliceRow::find(tx, &key))?;
            let is_fresh = held.is_some_and(|held| held.rated_snapshot.is_some() && held.stale_since.is_none());
            if !is_fresh {
                billed += usize::from(self.bill_own(&key, actor).await?);
            }
        }
        Ok(billed)
    }

    /// The first of the billing periods whose charges decide what is billed at the end of this one.
    pub(super) fn first_period_of(&self, period: BillingPeriod) -> Result<BillingPeriod, Error> {
        let book = self.core.book(self.core.catalog.head()?)?;
        let number = period.first_day_number();
        let mut firsts = Vec::new();
        for seller in book.own_sellers(number) {
            firsts.extend(book.own_floors(seller, number).iter().map(|floor| floor.periods().0));
            firsts.extend(book.own_credits(seller, number).iter().map(|edge| edge.periods().0));
        }
        let first = firsts.into_iter().min().and_then(BillingPeriod::of_day);
        Ok(first.map_or(period, |first| first.min(period)))
    }

    /// A seller with something to bill by itself in a period for which it was never billed.
    pub(super) fn unbilled_seller(&self, period: BillingPeriod) -> Result<Option<String>, Error> {
        let book = self.core.book(self.core.catalog.head()?)?;
        let (text, number) = (period.to_string(), period.first_day_number());
        let mut slices = self.core.catalog.read(|tx| SliceRow::all_of(tx, OWN_SOURCE))?;
        slices.retain(|slice| slice.key.billing_period == text);
        let is_billed = |name: &str| slices.iter().any(|slice| slice.key.billing_account_id == name);
        let has_some =
            |seller| !book.own_rows(seller, number).is_empty() || !book.own_credits(seller, number).is_empty();
        let mut sellers = book.own_sellers(number).into_iter();
        let root = book.tree().root();
        let moves = |seller| seller == root && book.moves_commitments(number);
        let unbilled =
            sellers.find(|seller| !is_billed(book.tree().name(*seller)) && (has_some(*seller) || moves(*seller)));
        Ok(unbilled.map(|seller| book.tree().name(seller).to_owned()))
    }

    /// Bills what a seller bills by itself in a period; false where there is nothing, and never was.
    pub(super) async fn bill_own(&self, key: &SliceKey, actor: &str) -> Result<bool, Error> {
        let name = name_of(key)?;
        let change = Change::new(actor, "refresh", format!("own charges of {}", key.billing_account_id));
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = self.core.catalog.head()?;
            let book = self.core.book(snapshot)?;
            let Some(seller) = book.tree().node(&key.billing_account_id) else { return Ok(false) };
            let floors = book.own_floors(seller, name.billing_period);
            let credits = book.own_credits(seller, name.billing_period);
            let moves_commitments = seller == book.tree().root() && book.moves_commitments(name.billing_period);
            // All earlier charges say who owns a commitment.
            let of_commitments = moves_commitments.then_some((i32::MIN, name.billing_period));
            let depends = floors.iter().map(Floor::periods).chain(credits.iter().map(EdgeCredits::periods));
            let periods = depends.chain(of_commitments).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            let held = self.core.catalog.read(|tx| SliceRow::find(tx, key))?;
            let mut rows = book.own_rows(seller, name.billing_period);
            if moves_commitments {
                rows.extend(self.commitment_rows(&book, name.billing_period, snapshot).await?);
            }
            let has_nothing = rows.is_empty() && floors.is_empty() && credits.is_empty() && !moves_commitments;
            if has_nothing && held.is_none() {
                return Ok(false);
            }
            let own_slice = held.map(|held| held.slice_id);
            let rows = self.up_to_floors(&book, rows, (floors, own_slice), snapshot).await?;
            let issued = credits::issued(&self.core, &key.billing_account_id)?;
            let period = name.billing_period;
            let month = OwnMonth { book: &book, seller, period, slice: own_slice, issued: &issued };
            let rows = self.with_credits(&month, rows, snapshot).await?;
            let run = RatingRun::own(book, name.clone());
            let files = SliceFiles::new(&self.core);
            let options = self.core.rating_options()?;
            let outcome = rate_own(rows, name.billing_period, &run, Arc::clone(&files) as _, &options).await?;
            let rated = RatedSlices::finish(&run, outcome, files).await?;
            let committed = self.core.catalog.commit::<_, Error>(&change, |commit| {
                if let Some(periods) = periods
                    && charges_changed_since(commit, snapshot, periods)?
                {
                    return Err(CatalogError::Conflict.into());
                }
                if issued_by(commit.tx, &key.billing_account_id)? != issued {
                    return Err(CatalogError::Conflict.into());
                }
                let slice_id = commit.ensure_slice(key, "priced")?;
                rated.commit_slice(commit, &name, slice_id)
            });
            match committed {
                Ok(_) => return Ok(true),
                Err(Error::Catalog(CatalogError::Conflict)) => self.discard(rated.files.paths()).await,
                Err(error) => {
                    self.discard(rated.files.paths()).await;
                    return Err(error);
                }
            }
        }
        Err(Error::Refused("charges kept changing while what depends on them was billed: try again".to_owned()))
    }

    /// The rows with what brings charges up to their floors, one after the other: what a minimum adds counts for a commitment.
    async fn up_to_floors(
        &self,
        book: &RateBook,
        mut rows: Vec<OwnRow>,
        (floors, own_slice): (Vec<Floor>, Option<i64>),
        snapshot: SnapshotId,
    ) -> Result<Vec<OwnRow>, Error> {
        for floor in floors {
            let (first, last) = floor.periods();
            let files = self.core.files(LakeTable::ChargesDaily, snapshot, |file| {
                (first..=last).contains(&file.billing_period) && Some(file.slice_id) != own_slice
            })?;
            let sum = self.sum_of(floor.counted(), &files).await?;
            let too_large = || Error::from(RatingError::Sum { what: "charges that count for a minimum or commitment" });
            let own = floor.own(book, &rows).ok_or_else(too_large)?;
            let charged = sum.wrapping_add(i256::from_i128(own)).to_i128().ok_or_else(too_large)?;
            rows.extend(floor.missing(charged));
        }
        Ok(rows)
    }

    /// The sum of what counts, over files of `charges_daily`.
    pub(super) async fn sum_of(&self, counted: Vec<DaysCounted>, files: &FileList) -> Result<i256, Error> {
        let mut sum = i256::ZERO;
        for counted in counted {
            let days = self.core.private.read_table(self.core.scan(LakeTable::ChargesDaily, Arc::clone(files)))?;
            let mut amounts = days.filter(counted.filter)?.select(vec![counted.amount])?.execute_stream().await?;
            while let Some(batch) = amounts.try_next().await? {
                let amounts = batch.column(0).as_primitive::<Decimal128Type>();
                sum = amounts.iter().flatten().fold(sum, |sum, amount| sum.wrapping_add(i256::from_i128(amount)));
            }
        }
        Ok(sum)
    }
}

/// Whether charges of some periods (first days, days since 1970, first and last) came or went after a snapshot.
fn charges_changed_since(
    commit: &Commit<'_>,
    snapshot: SnapshotId,
    (first, last): (i32, i32),
) -> Result<bool, CatalogError> {
    let text = |day| BillingPeriod::of_day(day).map(|period| period.to_string()).unwrap_or_default();
    let changed = commit.tx.row(
        "select 1 from data_file f join slice s on s.slice_id = f.slice_id \
         where f.table_id = ?1 and (f.begin_snapshot > ?2 or f.end_snapshot > ?2) and s.billing_period between ?3 and ?4 limit 1",
        &[LakeTable::ChargesDaily.id().into(), snapshot.into(), text(first).into(), text(last).into()],
    )?;
    Ok(changed.is_some())
}
