//! Rating as landing and refreshing use it: a stream of usage in, durable files and checked sums out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::i256;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;

use super::amortised::{Views, check_view};
use super::slice_files::{RATED, ROLL_UPS_SHARE, RatedFiles, SliceFiles, money_text};
use super::{Core, Warehouse};
use crate::catalog::{
    CatalogError, Commit, KUBERNETES_ALLOCATIONS, METRICS, RefTable, SliceKey, SliceRow, SnapshotId, Value,
};
use crate::error::Error;
use crate::lake::schema::MAX_POSITIONS;
use crate::lake::{FileList, LakeTable, RATED_SNAPSHOT};
use crate::period::BillingPeriod;
use crate::rating::{
    BandTotals, OWN_SOURCE, RateBook, RatingOptions, RatingOutcome, RatingRun, SliceName, count, rate,
};

/// How often usage is counted at most: on each position a pool's total and those of bands may hinge on what is counted above them, and
/// one pass more shows that nothing changes.
const PASSES_MAX: usize = 2 * MAX_POSITIONS + 1;

/// The columns of usage that rating reads.
pub(super) const USAGE_COLUMNS: [&str; 32] = [
    "billed_cost",
    "billing_account_id",
    "billing_currency",
    "billing_period",
    "charge_category",
    "charge_class",
    "charge_description",
    "charge_period_end",
    "charge_period_start",
    "commitment_discount_id",
    "commitment_discount_status",
    "contracted_cost",
    "delivery_id",
    "effective_cost",
    "line_key",
    "line_no",
    "list_cost",
    "marketplace",
    "pricing_category",
    "pricing_quantity",
    "pricing_unit",
    "provider_name",
    "region_id",
    "resource_id",
    "resource_type",
    "service_category",
    "service_name",
    "sku_id",
    "source_file",
    "source_row",
    "sub_account_id",
    "tags",
];

/// Rated slices, durable and checked, not yet committed.
pub(super) struct RatedSlices {
    pub(super) book: Arc<RateBook>,
    pub(super) outcome: RatingOutcome,
    pub(super) files: RatedFiles,
    pub(super) owners: Vec<String>,
    /// What each slice adds to band counters.
    pub(super) counters: Vec<(SliceName, BandTotals)>,
    /// The amortised views whose lines are among them.
    views: Views,
}

impl Core {
    /// Rating has a memory pool of its own: what it may use does not depend on the queries that run meanwhile.
    pub(super) fn rating_options(&self) -> Result<RatingOptions, Error> {
        let memory = self.config.landing_memory_bytes / 100 * ROLL_UPS_SHARE;
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.private.runtime_env())
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
            .with_disk_manager_builder(self.temporary.disk(self.config.temporary_bytes))
            .build_arc()?;
        Ok(RatingOptions { threads: self.config.threads, runtime })
    }

    /// Rates a stream of usage whose band totals are known.
    pub(super) async fn rate_stream(
        &self,
        usage: SendableRecordBatchStream,
        book: Arc<RateBook>,
        totals: BandTotals,
    ) -> Result<RatedSlices, Error> {
        let run = RatingRun::new(book, totals);
        let files = SliceFiles::new(self);
        let outcome = rate(usage, &run, Arc::clone(&files) as _, &self.rating_options()?).await?;
        RatedSlices::finish(&run, outcome, files).await
    }

    /// Rates the usage in files and in their amortised views, counting first what prices depend on in sum.
    pub(super) async fn rate_files(
        &self,
        usage: FileList,
        book: Arc<RateBook>,
        own_slices: &[i64],
    ) -> Result<RatedSlices, Error> {
        let usage = self.with_views(&usage, book.snapshot())?;
        let mut counters = Vec::new();
        let mut totals = BandTotals::default();
        if usage.periods().any(|period| book.needs_counting(period)) {
            let others = self.totals_of_others(own_slices)?;
            for pass in 1..=PASSES_MAX {
                let run = RatingRun::new(Arc::clone(&book), totals);
                let counted = count(self.usage_stream(&usage).await?, &run, &self.rating_options()?).await?;
                totals = others.clone();
                for (_, own) in &counted.slices {
                    totals.merge(own)?;
                }
                counters = counted.slices;
                let changed = run.totals.changed(&totals, &counted.hinges);
                if changed.is_empty() {
                    break;
                }
                if pass == PASSES_MAX {
                    // They hinge on each other, as when two nodes stood one above the other by turns: what is by them has no price.
                    changed.into_iter().for_each(|counter| totals.remove(counter));
                }
            }
        }
        let mut rated = self.rate_stream(self.usage_stream(&usage).await?, book, totals).await?;
        rated.counters = counters;
        rated.views = usage.views();
        Ok(rated)
    }

    /// What slices other than these add to band counters.
    fn totals_of_others(&self, own: &[i64]) -> Result<BandTotals, Error> {
        let mut totals = BandTotals::default();
        for row in self.read_rows("select slice_id, counter, quantity from band_total", &[])? {
            if own.contains(&row.int(0)?) {
                continue;
            }
            let quantity = ratehouse_udfs::decimal::parse_decimal(row.text(2)?)
                .map_err(|_| CatalogError::Malformed { what: "band total" })?;
            totals.add(row.text(1)?, quantity.value)?;
        }
        Ok(totals)
    }
}

impl RatedSlices {
    /// What a run has made, durable.
    pub(super) async fn finish(run: &RatingRun, outcome: RatingOutcome, files: Arc<SliceFiles>) -> Result<Self, Error> {
        let files = files.finish(run.places()).await?;
        let book = Arc::clone(run.book());
        let owners = run.places().owners();
        let rated = Self { book, outcome, files, owners, counters: Vec::new(), views: Views::new() };
        rated.check()?;
        Ok(rated)
    }

    /// Law 2 of conservation, and the roll-ups against what they roll up: fails closed.
    fn check(&self) -> Result<(), Error> {
        for (number, (name, outcome)) in self.outcome.slices.iter().enumerate() {
            let expected = outcome.billed();
            for table in RATED {
                let (sum, _) = self.files.sum(table, number);
                if sum != expected {
                    return Err(Error::Conservation(format!(
                        "{} of {} {} add up to {}, rating to {}",
                        table.name(),
                        name.provider_name,
                        name.billing_account_id,
                        money_text(sum),
                        money_text(expected)
                    )));
                }
            }
        }
        Ok(())
    }

    /// The number of a slice in this rating.
    fn number_of(&self, name: &SliceName) -> Option<usize> {
        self.outcome.slices.iter().position(|(known, _)| known == name)
    }

    /// What the root pays for a slice; none if it was not rated.
    pub(super) fn billed(&self, name: &SliceName) -> Option<i256> {
        match self.number_of(name) {
            Some(number) => self.outcome.slices.get(number).map(|(_, outcome)| outcome.billed()),
            // The amortised view may have taken the place of all that it has.
            None => self.views.contains_key(name).then_some(i256::ZERO),
        }
    }

    /// Puts one slice's charges in place of those it had.
    pub(super) fn commit_slice(&self, commit: &Commit<'_>, name: &SliceName, slice_id: i64) -> Result<(), Error> {
        check_view(commit, name, &self.views)?;
        for table in RATED {
            commit.end_files(slice_id, table.id())?;
        }
        commit.tx.execute("delete from slice_owner where slice_id = ?1", &[slice_id.into()])?;
        if let Some(number) = self.number_of(name) {
            for mut file in self.files.of_slice(number, slice_id) {
                if file.table_id == LakeTable::ChargesByTerms.id() {
                    let snapshot = Some(self.book.snapshot().to_string());
                    file.stats.push((RATED_SNAPSHOT.to_owned(), snapshot.clone(), snapshot, 0));
                }
                commit.add_file(&file)?;
            }
            for owner in self.outcome.slices.get(number).into_iter().flat_map(|(_, outcome)| &outcome.owners) {
                let Some(path) = usize::try_from(*owner).ok().and_then(|at| self.owners.get(at)) else { continue };
                commit
                    .tx
                    .execute("insert into slice_owner values (?1, ?2)", &[slice_id.into(), path.as_str().into()])?;
            }
        }
        self.commit_counters(commit, name, slice_id)?;
        commit.set_rated(slice_id, self.book.snapshot())?;
        let is_own = name.provider_name == OWN_SOURCE;
        if reference_changed_since(commit, self.book.snapshot())?
            || is_own && true_ups_since(commit, self.book.snapshot())?
        {
            commit.set_stale(slice_id, "reference data changed while it was rated")?;
        }
        self.mark_dependent(commit, name)
    }

    /// Marks what sellers bill by themselves as stale where it depends on the charges of a slice.
    fn mark_dependent(&self, commit: &Commit<'_>, changed: &SliceName) -> Result<(), Error> {
        let seller = (changed.provider_name == OWN_SOURCE).then_some(changed.billing_account_id.as_str());
        for slice in SliceRow::all_of(commit.tx, OWN_SOURCE)? {
            let own = name_of(&slice.key)?;
            let key = (own.billing_account_id.as_str(), own.billing_period);
            if own != *changed && self.book.own_depends_on(key, (seller, changed.billing_period)) {
                commit.set_stale(slice.slice_id, "charges that it depends on changed")?;
            }
        }
        Ok(())
    }

    /// Keeps what the slice adds to band counters; slices that share a changed one become stale.
    fn commit_counters(&self, commit: &Commit<'_>, name: &SliceName, slice_id: i64) -> Result<(), Error> {
        let text = |quantity: i128| money_text(i256::from_i128(quantity));
        let mut before: BTreeMap<String, String> = BTreeMap::new();
        for row in commit.tx.rows("select counter, quantity from band_total where slice_id = ?1", &[slice_id.into()])? {
            before.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
        }
        let after: BTreeMap<String, String> = self
            .counters
            .iter()
            .filter(|(known, _)| known == name)
            .flat_map(|(_, totals)| totals.sorted().into_iter().map(|(c, q)| (c.to_owned(), text(q))))
            .collect();
        if before == after {
            return Ok(());
        }
        commit.tx.execute("delete from band_total where slice_id = ?1", &[slice_id.into()])?;
        for (counter, quantity) in &after {
            commit.tx.execute(
                "insert into band_total values (?1, ?2, ?3)",
                &[slice_id.into(), counter.as_str().into(), quantity.as_str().into()],
            )?;
        }
        let changed = before.iter().chain(&after).filter(|(counter, _)| before.get(*counter) != after.get(*counter));
        for (counter, _) in changed {
            let sharing = commit.tx.rows(
                "select slice_id from band_total where counter = ?1 and slice_id <> ?2",
                &[counter.as_str().into(), slice_id.into()],
            )?;
            let rated_here = |id: i64| self.shares_this_run(commit, id);
            for row in sharing {
                let other = row.int(0)?;
                if !rated_here(other)? {
                    commit.set_stale(other, "a total that it shares changed")?;
                }
            }
        }
        Ok(())
    }

    /// Whether another slice is rated in this very run, with the same totals.
    fn shares_this_run(&self, commit: &Commit<'_>, slice_id: i64) -> Result<bool, Error> {
        let row = commit.tx.row(
            "select provider_name, billing_account_id, billing_period from slice where slice_id = ?1",
            &[slice_id.into()],
        )?;
        let Some(row) = row else { return Ok(false) };
        let Ok(period) = row.text(2)?.parse::<BillingPeriod>() else { return Ok(false) };
        let name = SliceName {
            provider_name: row.text(0)?.to_owned(),
            billing_account_id: row.text(1)?.to_owned(),
            billing_period: period.first_day_number(),
        };
        Ok(self.number_of(&name).is_some())
    }
}

/// Whether reference rows that rating reads, measurements or metrics began or ended after a snapshot.
fn reference_changed_since(commit: &Commit<'_>, snapshot: SnapshotId) -> Result<bool, CatalogError> {
    let is_read =
        |name: &str| !matches!(name, "users" | "approval_rules" | "adjustment_policies" | "sources" | "quotes");
    let names =
        RefTable::all().into_iter().filter(|table| is_read(table.name)).map(|table| format!("ref_{}", table.name));
    for name in names.chain([KUBERNETES_ALLOCATIONS.name.to_owned(), METRICS.name.to_owned()]) {
        let sql = format!(
            "select 1 from {name} where (begin_snapshot > ?1 and begin_snapshot <= ?2) or (end_snapshot > ?1 and end_snapshot <= ?2) limit 1"
        );
        let parameters: [Value; 2] = [snapshot.into(), commit.snapshot.into()];
        if commit.tx.row(&sql, &parameters)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a difference came to be billed with a later period after a snapshot.
fn true_ups_since(commit: &Commit<'_>, snapshot: SnapshotId) -> Result<bool, CatalogError> {
    let sql =
        "select 1 from adjustment where method = 'true_up' and status = 'settled' and begin_snapshot > ?1 limit 1";
    Ok(commit.tx.row(sql, &[snapshot.into()])?.is_some())
}

/// A slice's key as rating names it.
pub(super) fn name_of(key: &SliceKey) -> Result<SliceName, CatalogError> {
    let period: BillingPeriod =
        key.billing_period.parse().map_err(|_| CatalogError::Malformed { what: "billing period" })?;
    Ok(SliceName {
        provider_name: key.provider_name.clone(),
        billing_account_id: key.billing_account_id.clone(),
        billing_period: period.first_day_number(),
    })
}

impl Warehouse {
    /// Removes files that a failed commit left.
    pub(super) async fn discard(&self, paths: Vec<String>) {
        for path in paths {
            if let Err(error) = self.core.lake.remove(&path).await {
                tracing::warn!(%error, path, "an uncommitted file stays until garbage is collected");
            }
        }
    }
}
