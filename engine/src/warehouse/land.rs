//! Landing: provider files in, slices replaced, charges priced, in one commit a delivery.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::Warehouse;
use super::intake::{Intake, Taken};
use super::landed::{Landed, Progress};
use super::listing::{Facts, Landing};
use super::rate_slices::{RatedSlices, name_of};
use crate::catalog::{CatalogError, Change, DeliveryRow, SliceRow};
use crate::error::Error;
use crate::lake::{DataFile, LakeTable, schema};
use crate::landing::{Delivery, DeliveryFiles, LandedRows, SourceCatalog, SourceRole, discover};
use crate::rating::{BandTotals, SliceName};

/// Batches that wait between intake and rating.
const WAITING_BATCHES: usize = 4;
/// How often a landing starts over when another one takes its delivery number.
const ATTEMPTS_MAX: usize = 5;

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
        let sources = self.landing_sources()?;
        let mut landed = Vec::new();
        for files in discover(inputs, &super::stores::Environment).await? {
            landed.push(self.land_files(files, (&sources, source), actor, progress).await?);
        }
        Ok(landed)
    }

    /// Lands the files of one delivery, whatever they are: usage by one of the mappings, or a data set.
    pub(crate) async fn land_files(
        &self,
        files: DeliveryFiles,
        (sources, named): (&SourceCatalog, Option<&str>),
        actor: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Landed, Error> {
        if let Some((set, delivery)) = files.open_data_set(named).await? {
            return self.land_data_set(set, delivery, actor).await;
        }
        let delivery = files.open(sources, named).await?;
        self.land_delivery(delivery, actor, progress).await
    }

    /// The mappings that there are, built in and of this warehouse.
    pub(crate) fn landing_sources(&self) -> Result<SourceCatalog, Error> {
        Ok(SourceCatalog::with_folder(&self.core.directory().join("sources"))?)
    }

    /// Lands one delivery of usage.
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
    pub(super) async fn known(&self, delivery: &Delivery) -> Result<Option<DeliveryRow>, Error> {
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
        let facts = Facts::of(&delivery);
        let intake = Intake::new(&self.core, &delivery.source, delivery_id);
        let mut rows = delivery.read(self.core.config.threads);
        let (taken, rated) = self.take_in(&mut rows, intake, facts.role, facts.bytes, progress).await?;
        let content_hash =
            rows.content_hash().ok_or_else(|| Error::Refused("the delivery was not read to its end".to_owned()))?;
        let paths: Vec<String> = taken
            .files
            .iter()
            .map(|file| file.path.clone())
            .chain(rated.iter().flat_map(|rated| rated.files.paths()))
            .collect();
        let work =
            Landing { delivery_id, facts: &facts, content_hash: &content_hash, taken: &taken, rated: rated.as_ref() };
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

    /// Takes rows in and rates them in the same pass where no band has to be counted first and no amortised view has to be read.
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
        let views: BTreeSet<SliceName> = self.core.amortised_slices()?.into_values().collect();
        let must_wait = |intake: &Intake| {
            let mut names = intake.names().iter();
            names.any(|name| book.needs_counting(name.billing_period) || views.contains(name))
        };
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
                if priced && !must_wait(&intake) {
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
        let had_to_wait = must_wait(&intake);
        let taken = intake.finish().await?;
        let rated = match rated {
            Some(rated) if !had_to_wait => Some(rated),
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
