//! Landing: provider files in, slices replaced, charges priced, in one commit a delivery.

use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::Warehouse;
use super::intake::{Intake, Taken};
use super::rate_slices::{RatedSlices, name_of};
use super::slice_files::{listed, money_text};
use crate::catalog::{
    CatalogError, Change, Commit, DeliveryRow, DeliverySlice, FindingRow, RejectRow, SliceKey, SliceRow,
};
use crate::error::Error;
use crate::lake::{DataFile, LakeTable, schema};
use crate::landing::{Delivery, LandedRows, SourceCatalog, SourceRole, discover};
use crate::period::BillingPeriod;
use crate::rating::{BandTotals, SliceName};

/// Batches that wait between intake and rating.
const WAITING_BATCHES: usize = 4;
/// How often a landing starts over when another one takes its delivery number.
const ATTEMPTS_MAX: usize = 5;

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Landed {
    /// It is what its slices hold now.
    Landed {
        /// Its number.
        delivery_id: i64,
        /// Its file, folder or manifest.
        name: String,
        /// The mapping that read it.
        source: String,
        /// Rows accepted.
        rows: u64,
        /// Rows in quarantine.
        rejected_rows: u64,
        /// Rows that lost digits beyond 18 after the point.
        lossy_rows: u64,
        /// Data-quality findings.
        findings: usize,
        /// Slices it replaced.
        slices: usize,
        /// The snapshot that it made.
        snapshot_id: i64,
    },
    /// The same content was landed before; nothing changed.
    Known {
        /// Its file, folder or manifest.
        name: String,
        /// The delivery that it was.
        delivery_id: i64,
        /// When that came.
        landed_at: String,
    },
    /// It is older than what its slices hold; recorded and ignored.
    Stale {
        /// Its number.
        delivery_id: i64,
        /// Its file, folder or manifest.
        name: String,
        /// The mapping that read it.
        source: String,
    },
}

impl fmt::Display for Landed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landed { name, source, rows, rejected_rows, lossy_rows, findings, slices, snapshot_id, .. } => {
                write!(f, "{name}: {rows} rows of {source} in {slices} slices, {rejected_rows} rejected")?;
                if *lossy_rows > 0 {
                    write!(f, ", {lossy_rows} rounded at 18 digits")?;
                }
                if *findings > 0 {
                    write!(f, ", {findings} quality findings")?;
                }
                write!(f, " (snapshot {snapshot_id})")
            }
            Self::Known { name, delivery_id, landed_at } => {
                write!(f, "{name}: landed before as delivery {delivery_id} on {landed_at}; nothing changed")
            }
            Self::Stale { name, delivery_id, .. } => {
                write!(f, "{name}: older than what its slices hold; recorded as delivery {delivery_id} and ignored")
            }
        }
    }
}

/// How far a landing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Stored bytes of the delivery.
    pub bytes_total: u64,
    /// Rows taken in.
    pub rows: u64,
}

impl Warehouse {
    /// Lands files, folders, globs, manifests or URLs; each delivery is a commit of its own.
    ///
    /// # Errors
    /// The first delivery that is refused whole, with what came before it landed.
    pub async fn land(
        &self,
        inputs: &[String],
        source: Option<&str>,
        actor: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Vec<Landed>, Error> {
        let sources = SourceCatalog::with_folder(&self.core.directory().join("sources"))?;
        let mut landed = Vec::new();
        for files in discover(inputs, &super::stores::Environment).await? {
            let delivery = files.open(&sources, source).await?;
            landed.push(self.land_delivery(delivery, actor, progress).await?);
        }
        Ok(landed)
    }

    async fn land_delivery(
        &self,
        delivery: Delivery,
        actor: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Landed, Error> {
        let mut delivery = delivery;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(known) = self.known(&delivery).await? {
                return Ok(Landed::Known {
                    name: delivery.name,
                    delivery_id: known.delivery_id,
                    landed_at: known.landed_at,
                });
            }
            let again = delivery.clone();
            match self.try_land(delivery, actor, progress).await {
                Err(Error::Catalog(CatalogError::Conflict)) => delivery = again,
                other => return other,
            }
        }
        Err(Error::Refused("other landings kept getting in between: try again".to_owned()))
    }

    /// The delivery that had the same content. Files are read for it only when one of that size came before.
    async fn known(&self, delivery: &Delivery) -> Result<Option<DeliveryRow>, Error> {
        let bytes = i64::try_from(delivery.bytes()).unwrap_or(i64::MAX);
        if !self.core.catalog.read(|tx| DeliveryRow::is_any_of_size(tx, bytes))? {
            return Ok(None);
        }
        let content_hash = delivery.content_hash().await?;
        Ok(self.core.catalog.read(|tx| DeliveryRow::with_content(tx, &content_hash))?)
    }

    async fn try_land(
        &self,
        delivery: Delivery,
        actor: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Landed, Error> {
        let delivery_id = self.next_delivery()?;
        let mut facts = Facts::of(&delivery);
        let intake = Intake::new(&self.core, &delivery.source, delivery_id);
        let mut rows = delivery.read(self.core.config.threads);
        let (taken, rated) = self.take_in(&mut rows, intake, facts.role, facts.bytes, progress).await?;
        facts.content_hash =
            rows.content_hash().ok_or_else(|| Error::Refused("the delivery was not read to its end".to_owned()))?;
        let paths: Vec<String> = taken
            .files
            .iter()
            .map(|file| file.path.clone())
            .chain(rated.iter().flat_map(|rated| rated.files.paths()))
            .collect();
        let work = Landing { delivery_id, facts: &facts, taken: &taken, rated: rated.as_ref() };
        let change = Change::new(actor, "land", format!("{} ({})", facts.name, facts.source));
        let committed = self.core.catalog.commit(&change, |commit| work.commit(commit));
        match committed {
            Ok((snapshot_id, replaced)) => {
                let landed = work.report(snapshot_id, replaced);
                if matches!(landed, Landed::Stale { .. }) {
                    self.discard(paths).await;
                }
                Ok(landed)
            }
            Err(error) => {
                self.discard(paths).await;
                Err(error)
            }
        }
    }

    /// Takes rows in and rates them in the same pass where no band has to be counted first.
    async fn take_in(
        &self,
        rows: &mut LandedRows,
        mut intake: Intake,
        role: SourceRole,
        bytes_total: u64,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(Taken, Option<RatedSlices>), Error> {
        let snapshot = self.core.catalog.head()?;
        let book = self.core.book(snapshot)?;
        let priced = role == SourceRole::Priced;
        let mut rating = None;
        let mut feed: Option<mpsc::Sender<Result<RecordBatch, DataFusionError>>> = None;
        let mut is_first = true;
        let mut taken_rows = 0;
        let mut failed = None;
        while let Some(batch) = rows.next().await {
            // Identity, checks and encoding are work for a thread of its own.
            let taken = match batch {
                Ok(batch) => {
                    let work = tokio::task::spawn_blocking(move || {
                        let usage = intake.take(batch);
                        (intake, usage)
                    });
                    let (back, usage) =
                        work.await.map_err(|_| Error::Refused("the landing was interrupted".to_owned()))?;
                    intake = back;
                    usage
                }
                Err(error) => Err(error.into()),
            };
            let usage = match taken {
                Ok(usage) => usage,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            taken_rows += u64::try_from(usage.num_rows()).unwrap_or_default();
            progress(Progress { bytes_total, rows: taken_rows });
            if is_first {
                is_first = false;
                let bands = intake.periods().any(|period| book.has_bands(period));
                if priced && !bands {
                    let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
                    feed = Some(sender);
                    rating = Some(self.rate_receiver(receiver, Arc::clone(&book)));
                }
            }
            if let Some(sender) = &feed
                && sender.send(Ok(usage)).await.is_err()
            {
                break;
            }
        }
        if let (Some(_), Some(sender)) = (&failed, &feed) {
            // Rating must not finish as if the file had ended here.
            let _ = sender.send(Err(DataFusionError::Execution("the landing failed".to_owned()))).await;
        }
        drop(feed);
        let rated = match rating {
            Some(rating) => Some(rating.await.map_err(|_| Error::Refused("rating was interrupted".to_owned()))?),
            None => None,
        };
        if let Some(error) = failed {
            return Err(error);
        }
        let rated = rated.transpose()?;
        let needs_count = intake.periods().any(|period| book.has_bands(period));
        let taken = intake.finish().await?;
        let rated = match rated {
            Some(rated) if !needs_count => Some(rated),
            Some(early) => {
                self.discard(early.files.paths()).await;
                Some(self.rate_taken(&taken, book).await?)
            }
            None if priced => Some(self.rate_taken(&taken, book).await?),
            None => None,
        };
        Ok((taken, rated))
    }

    /// Starts rating the batches that arrive.
    fn rate_receiver(
        &self,
        receiver: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
        book: Arc<crate::rating::RateBook>,
    ) -> tokio::task::JoinHandle<Result<RatedSlices, Error>> {
        let core = Arc::clone(&self.core);
        let batches = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|batch| (batch, receiver))
        });
        let usage = Box::pin(RecordBatchStreamAdapter::new(schema::usage(), batches));
        tokio::spawn(async move { core.rate_stream(usage, book, BandTotals::default()).await })
    }

    /// Rates usage that is durable and not yet listed.
    async fn rate_taken(&self, taken: &Taken, book: Arc<crate::rating::RateBook>) -> Result<RatedSlices, Error> {
        let mut own = Vec::new();
        let mut files = Vec::new();
        let known = self.core.catalog.read(SliceRow::all)?;
        for written in &taken.files {
            let at = usize::try_from(written.file).unwrap_or_default();
            let Some((name, _)) = taken.slices.get(at) else { continue };
            files.push(Arc::new(DataFile {
                id: -1 - i64::from(written.file),
                table: LakeTable::Usage,
                path: written.path.clone(),
                rows: written.rows,
                bytes: written.bytes,
                footer_bytes: written.footer_bytes,
                slice_id: -1,
                billing_period: name.billing_period,
                provider_name: name.provider_name.clone(),
                billing_account_id: name.billing_account_id.clone(),
                child: String::new(),
                stats: written.stats.clone(),
            }));
            for slice in &known {
                if name_of(&slice.key)? == *name {
                    own.push(slice.slice_id);
                }
            }
        }
        self.core.rate_files(files.into(), book, &own).await
    }
}

/// What is known of a delivery besides its rows.
struct Facts {
    name: String,
    source: String,
    role: SourceRole,
    /// Known once its rows are read.
    content_hash: String,
    sequence: String,
    parts: i64,
    bytes: u64,
}

impl Facts {
    fn of(delivery: &Delivery) -> Self {
        let sequence = delivery
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.created_at.clone())
            .unwrap_or_else(|| chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        Self {
            name: delivery.name.clone(),
            source: delivery.source.name.clone(),
            role: delivery.source.role,
            content_hash: String::new(),
            sequence,
            parts: i64::try_from(delivery.parts().count()).unwrap_or(i64::MAX),
            bytes: delivery.bytes(),
        }
    }
}

/// A delivery that is durable and waits for its commit.
struct Landing<'a> {
    delivery_id: i64,
    facts: &'a Facts,
    taken: &'a Taken,
    rated: Option<&'a RatedSlices>,
}

impl Landing<'_> {
    /// Lists everything; gives the number of slices replaced, none when the delivery is stale.
    fn commit(&self, commit: &Commit<'_>) -> Result<Option<usize>, Error> {
        if DeliveryRow::with_content(commit.tx, &self.facts.content_hash)?.is_some()
            || DeliveryRow::next_id(commit.tx)? != self.delivery_id
        {
            return Err(CatalogError::Conflict.into());
        }
        let mut replaced = 0;
        let mut stale = 0;
        for (number, (name, sums)) in self.taken.slices.iter().enumerate() {
            let key = self.key(name)?;
            if self.facts.role == SourceRole::Priced
                && let Some(rival) = SliceRow::rival(commit.tx, &key)?
            {
                return Err(Error::Refused(format!(
                    "{} {} {} is priced by source {} already: two views of one cost are never added. Nothing was landed",
                    key.provider_name, key.billing_account_id, key.billing_period, rival.key.source
                )));
            }
            let slice_id = commit.ensure_slice(&key, self.role())?;
            let current = DeliveryRow::current_sequence(commit.tx, slice_id)?;
            if current.is_some_and(|current| current > self.facts.sequence) {
                stale += 1;
                continue;
            }
            self.check_sums(name, sums.billed)?;
            commit.end_files(slice_id, LakeTable::Usage.id())?;
            for file in self.taken.files.iter().filter(|file| usize::try_from(file.file).is_ok_and(|f| f == number)) {
                commit.add_file(&listed(LakeTable::Usage, slice_id, "", file))?;
            }
            if let Some(rated) = self.rated {
                rated.commit_slice(commit, name, slice_id)?;
            }
            let part = DeliverySlice {
                slice_id,
                rows: i64::try_from(sums.rows).unwrap_or(i64::MAX),
                billed_cost: money_text(sums.billed),
                effective_cost: money_text(sums.effective),
                list_cost: money_text(sums.list),
            };
            commit.replace_delivery_slice(self.delivery_id, &part)?;
            replaced += 1;
        }
        if stale > 0 && replaced > 0 {
            // Part of an older delivery must not mix with newer ones.
            return Err(Error::Refused(format!(
                "{stale} of its slices hold a newer delivery and {replaced} do not: land the newer delivery of all of them. Nothing was landed"
            )));
        }
        let state = match (stale, self.taken.slices.is_empty()) {
            (0, true) => "empty",
            (0, false) => "landed",
            (_, _) => "stale",
        };
        self.record(commit, state)?;
        commit.settle_rejected(self.delivery_id)?;
        Ok((stale == 0).then_some(replaced))
    }

    fn role(&self) -> &'static str {
        match self.facts.role {
            SourceRole::Priced => "priced",
            SourceRole::Reference => "reference",
        }
    }

    fn key(&self, name: &SliceName) -> Result<SliceKey, Error> {
        let period =
            BillingPeriod::of_day(name.billing_period).ok_or(CatalogError::Malformed { what: "billing period" })?;
        Ok(SliceKey {
            source: self.facts.source.clone(),
            provider_name: name.provider_name.clone(),
            billing_account_id: name.billing_account_id.clone(),
            billing_period: period.to_string(),
        })
    }

    /// Law 2: what the slice's usage costs is what its charges cost the root.
    fn check_sums(&self, name: &SliceName, billed: arrow::datatypes::i256) -> Result<(), Error> {
        let Some(rated) = self.rated else { return Ok(()) };
        let number = rated.number_of(name).ok_or_else(|| {
            Error::Conservation(format!("{} {} was not rated", name.provider_name, name.billing_account_id))
        })?;
        if rated.billed(number) == billed {
            return Ok(());
        }
        Err(Error::Conservation(format!(
            "usage of {} {} costs {}, its charges {}",
            name.provider_name,
            name.billing_account_id,
            money_text(billed),
            money_text(rated.billed(number))
        )))
    }

    fn record(&self, commit: &Commit<'_>, state: &str) -> Result<(), Error> {
        let accepted =
            self.taken.slices.iter().fold(arrow::datatypes::i256::ZERO, |sum, (_, sums)| sum.wrapping_add(sums.billed));
        let refused = self
            .taken
            .rejected
            .iter()
            .filter_map(|row| row.billed_cost)
            .fold(arrow::datatypes::i256::ZERO, |sum, cost| sum.wrapping_add(arrow::datatypes::i256::from_i128(cost)));
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let delivery = DeliveryRow {
            delivery_id: self.delivery_id,
            source: self.facts.source.clone(),
            name: self.facts.name.clone(),
            content_hash: self.facts.content_hash.clone(),
            sequence: self.facts.sequence.clone(),
            parts: self.facts.parts,
            bytes: count(self.facts.bytes),
            rows: count(self.taken.raw.usage_rows),
            rejected_rows: count(self.taken.raw.rejected_rows),
            lossy_rows: count(self.taken.lossy_rows),
            billed_cost: money_text(accepted),
            rejected_billed_cost: money_text(refused),
            state: state.to_owned(),
            landed_at: commit.at.clone(),
            snapshot_id: commit.snapshot,
            role: self.role().to_owned(),
        };
        let rejected: Vec<RejectRow> = self
            .taken
            .rejected
            .iter()
            .map(|row| RejectRow {
                source_file: i64::from(row.source_file),
                source_row: row.source_row,
                column: row.column.clone(),
                value_class: row.value_class.clone(),
                reason: row.reason.clone(),
                raw: row.raw.clone(),
                billed_cost: row.billed_cost.map(|cost| money_text(arrow::datatypes::i256::from_i128(cost))),
                provider_name: row.place.provider_name.clone(),
                billing_account_id: row.place.billing_account_id.clone(),
                billing_period: row.place.billing_period.and_then(|day| possible_period(day, &commit.at)),
            })
            .collect();
        let findings: Vec<FindingRow> = self
            .taken
            .findings
            .list()
            .into_iter()
            .map(|finding| FindingRow {
                rule: finding.rule.id.to_owned(),
                severity: finding.rule.severity.name().to_owned(),
                rows: count(finding.rows),
                example: format!("{}:{}", finding.first.0, finding.first.1),
                description: finding.rule.says.to_owned(),
            })
            .collect();
        commit.add_delivery(&delivery, &rejected, &findings)?;
        Ok(())
    }

    fn report(&self, snapshot_id: i64, replaced: Option<usize>) -> Landed {
        match replaced {
            None => Landed::Stale {
                delivery_id: self.delivery_id,
                name: self.facts.name.clone(),
                source: self.facts.source.clone(),
            },
            Some(slices) => Landed::Landed {
                delivery_id: self.delivery_id,
                name: self.facts.name.clone(),
                source: self.facts.source.clone(),
                rows: self.taken.raw.usage_rows,
                rejected_rows: self.taken.raw.rejected_rows,
                lossy_rows: self.taken.lossy_rows,
                findings: self.taken.findings.list().len(),
                slices,
                snapshot_id,
            },
        }
    }
}

/// The billing period of a day. A period after the landing's own is none: what was read there was something else.
fn possible_period(day: i32, landed_at: &str) -> Option<String> {
    let period = BillingPeriod::of_day(day)?.to_string();
    let is_past = period.parse::<BillingPeriod>().is_ok() && landed_at.get(..period.len())? >= period.as_str();
    is_past.then_some(period)
}
