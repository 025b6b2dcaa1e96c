//! Simulates one month after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{Expr, col, ident, lit};
use futures::TryStreamExt;
use ratehouse_udfs::datetime::DAY_US;

use super::columns::Row;
use super::sources::KnownRules;
use super::{NAME, Simulating, shown};
use crate::error::Error;
use crate::lake::{DataFile, FileList, LakeTable};
use crate::period::BillingPeriod;
use crate::rating::{Fold, RatingError, RefFacts, Simulation, SimulationColumns, Source, Span, month_around};
use crate::security::relations::under;
use crate::security::{Scope, SessionError};

/// A simulation and the months that it reads.
pub(super) struct Months {
    simulating: Simulating,
    simulation: Arc<Simulation>,
    rules: KnownRules,
    /// Rows on whose path the card prices an edge, and the caller stands.
    filter: Expr,
    /// The root's children under which they are; none for all.
    children: Option<BTreeSet<String>>,
    /// The seller's first position, and the last that any path has.
    positions: (usize, usize),
    periods: BTreeMap<i32, FileList>,
}

fn rating(error: RatingError) -> DataFusionError {
    shown(Error::from(error).shown())
}

impl Months {
    /// Prepares a simulation.
    ///
    /// # Errors
    /// `42704` for a version that is not there, or not the caller's to see.
    pub(super) fn of(simulating: &Simulating) -> Result<Self> {
        let Simulating { shared, moment, asked } = simulating;
        let core = &shared.core;
        let facts = core.catalog.read(|tx| RefFacts::read(tx, moment.snapshot)).map_err(rating)?;
        let is_told = shared.fixed.is_some();
        let now = crate::session::write::now();
        let own = moment.scope.node_id.as_str();
        let shows_sales = |seller: &str| is_told || moment.shows_sales_of(seller, &now);
        let sellers: HashMap<&str, &str> =
            facts.rate_cards.iter().map(|card| (card.card_id.as_str(), card.seller_node_id.as_str())).collect();
        let missing = || {
            let message = format!("version {} of rate card \"{}\" does not exist", asked.version, asked.card_id);
            shown(SessionError::new("42704", message).hint("ref.rate_card_versions lists those that you see"))
        };
        let seller = *sellers.get(asked.card_id.as_str()).filter(|seller| shows_sales(seller)).ok_or_else(missing)?;
        let day_us = |period: BillingPeriod| i64::from(period.first_day_number()) * DAY_US;
        let span = Span { from: day_us(asked.from), until: month_around(day_us(asked.to)).1.until };
        let is_hidden = |seller: &str| !is_told && seller != own && !moment.tree.discloses(seller);
        let version = (asked.card_id.as_str(), asked.version);
        let simulation = Simulation::of(&facts, moment.snapshot, version, span, is_hidden).map_err(rating)?;
        let simulation = simulation.ok_or_else(missing)?;
        let is_shown = |card: &str| sellers.get(card).is_some_and(|seller| shows_sales(seller));
        let rules = KnownRules::read(core, is_shown).map_err(|error| shown(error.shown()))?;

        let mut places = Scope::of(&moment.tree, seller).prefixes;
        // Above its own place in them the caller sees no rows.
        places.retain(|(path, _)| is_told || path.split('/').any(|node| node == own));
        let paths: Vec<String> = places
            .iter()
            .map(|(path, _)| match simulation.buyer() {
                Some(buyer) => format!("{path}/{buyer}"),
                None => path.clone(),
            })
            .collect();
        let filter = paths.iter().fold(lit(false), |any, path| any.or(under(path)));
        let children: Option<BTreeSet<String>> =
            paths.iter().map(|path| path.split('/').nth(1).map(str::to_owned)).collect();
        let first = places.iter().map(|(_, position)| *position).min().unwrap_or_default();
        let mut months = Self {
            simulating: simulating.clone(),
            simulation,
            rules,
            filter,
            children,
            positions: (first, moment.tree.deepest()),
            periods: BTreeMap::new(),
        };
        if !places.is_empty() {
            let (from, to) = (asked.from.first_day_number(), asked.to.first_day_number());
            let mut by_period: BTreeMap<i32, Vec<Arc<DataFile>>> = BTreeMap::new();
            for file in months.files(LakeTable::ChargesByTerms, (from, to))?.iter() {
                by_period.entry(file.billing_period).or_default().push(Arc::clone(file));
            }
            months.periods = by_period.into_iter().map(|(period, files)| (period, files.into())).collect();
        }
        Ok(months)
    }

    /// The billing periods that there are, by their first days.
    pub(super) fn periods(&self) -> Vec<i32> {
        self.periods.keys().copied().collect()
    }

    fn files(&self, table: LakeTable, (from, to): (i32, i32)) -> Result<FileList> {
        let Simulating { shared, moment, .. } = &self.simulating;
        let wanted = |file: &DataFile| {
            let is_there = |children: &BTreeSet<String>| children.contains(&file.child);
            (from..=to).contains(&file.billing_period) && self.children.as_ref().is_none_or(is_there)
        };
        shared.core.files(table, moment.snapshot, wanted).map_err(|error| shown(error.shown()))
    }

    /// Prices a billing period anew.
    pub(super) async fn simulate(&self, period: i32) -> Result<Vec<Row>> {
        let files = self.periods.get(&period).cloned().unwrap_or_default();
        let kept = self.rules.kept(&self.simulation, files.iter().map(AsRef::as_ref));
        let is_from_terms = kept.is_enough && kept.seems_enough;
        let mut folds = Vec::new();
        let mut uneven: HashMap<Arc<str>, bool> = HashMap::new();
        if is_from_terms {
            folds = self.folded(Source::Terms, files, self.filter.clone(), 0).await?;
            for (path, is_shown) in folds.iter().flat_map(Fold::uneven) {
                *uneven.entry(path).or_insert(false) |= is_shown;
            }
        }
        if !is_from_terms || !uneven.is_empty() {
            let mut filter = self.filter.clone();
            if is_from_terms {
                let paths: Vec<Expr> = uneven.keys().map(|path| lit(path.as_ref())).collect();
                filter = filter.and(col("node_path").in_list(paths, false));
                folds = folds.into_iter().map(|fold| fold.without(&|path| uneven.contains_key(path))).collect();
            }
            let files = self.files(LakeTable::Charges, (period, period))?;
            let first = folds.len();
            folds.extend(self.folded(Source::Charges, files, filter, first).await?);
        }
        let simulation = Arc::clone(&self.simulation);
        let seems_enough = kept.seems_enough;
        let priced = SpawnedTask::spawn_blocking(move || {
            let is_from_charges = |path: &str| !seems_enough || uneven.get(path).is_some_and(|is_shown| *is_shown);
            simulation.priced(period, folds, &is_from_charges)
        });
        let edges = priced.join().await.map_err(|_| rating(RatingError::Worker))?.map_err(rating)?;
        let asked = &self.simulating.asked;
        let month = BillingPeriod::of_day(period).unwrap_or(asked.from);
        let row = |edge| Row {
            card_id: asked.card_id.clone(),
            version: asked.version,
            from: asked.from,
            to: asked.to,
            period: month,
            edge,
        };
        Ok(edges.into_iter().map(row).collect())
    }

    /// Folds what a table has for the filter, on all threads; workers are numbered from `first`.
    async fn folded(&self, source: Source, files: FileList, filter: Expr, first: usize) -> Result<Vec<Fold>> {
        let core = &self.simulating.shared.core;
        let table = match source {
            Source::Terms => LakeTable::ChargesByTerms,
            Source::Charges => LakeTable::Charges,
        };
        let columns = SimulationColumns::of(&self.simulation, source, self.positions);
        let names = columns.names().into_iter().map(ident).collect::<Vec<_>>();
        let rows = core.private.read_table(core.scan(table, files))?.filter(filter)?.select(names)?;
        let pool = Arc::clone(&core.private.runtime_env().memory_pool);
        let working: Vec<SpawnedTask<Result<Fold>>> = rows
            .execute_stream_partitioned()
            .await?
            .into_iter()
            .enumerate()
            .map(|(number, mut batches)| {
                let mut fold = Fold::new(&self.simulation, &columns, first + number);
                let memory = MemoryConsumer::new(NAME).register(&pool);
                SpawnedTask::spawn(async move {
                    while let Some(batch) = batches.try_next().await? {
                        fold.add(&batch).map_err(rating)?;
                        memory.try_resize(fold.bytes())?;
                    }
                    Ok(fold)
                })
            })
            .collect();
        let mut folds = Vec::with_capacity(working.len());
        for worker in working {
            folds.push(worker.join().await.map_err(|_| rating(RatingError::Worker))??);
        }
        Ok(folds)
    }
}
