//! Rates a stream of usage with several workers: charges and all roll-ups in one pass.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::StreamExt;
use hashbrown::HashMap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::counters::BandTotals;
use super::error::RatingError;
use super::places::{Placement, SliceName};
use super::rater::Rater;
use super::rollup::{EdgeSums, Emitter, RollUpShared, RollUps};
use super::run::RatingRun;
use super::tally::{SliceOutcome, Tally};
use crate::lake::schema::LakeTable;

/// Takes what rating makes, called by several workers at once.
pub trait ChargeSink: Send + Sync {
    /// Takes a batch of `charges` or of one of its roll-ups. It may block: workers then wait, and
    /// the stream of usage with them.
    ///
    /// # Errors
    /// Any failure ends the run with [`RatingError::Sink`].
    fn put(
        &self,
        table: LakeTable,
        rows: RecordBatch,
        place: &Placement,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// How a run works.
#[derive(Debug, Clone)]
pub struct RatingOptions {
    /// Workers, at least one.
    pub threads: usize,
    /// Whose memory pool limits the roll-ups, and whose disk takes what the pool does not hold.
    pub runtime: Arc<RuntimeEnv>,
}

/// What a run found, slice by slice.
#[derive(Debug, Clone)]
pub struct RatingOutcome {
    /// Each slice with its sums; the place in the list is the slice's number in placements.
    pub slices: Vec<(SliceName, SliceOutcome)>,
}

impl RatingOutcome {
    /// Rows of usage.
    pub fn rows(&self) -> u64 {
        self.slices.iter().map(|(_, outcome)| outcome.rows).sum()
    }

    /// Rows of charges.
    pub fn portions(&self) -> u64 {
        self.slices.iter().map(|(_, outcome)| outcome.portions).sum()
    }
}

/// Rates all usage of a stream and hands charges and roll-ups to the sink.
///
/// Charges come while the stream is read, roll-ups at its end. Memory: a few batches for each
/// worker, and roll-ups as much as the runtime's pool gives them.
///
/// # Errors
/// The first failure of the stream, a row or the sink; what the sink already has must be thrown away.
pub async fn rate(
    usage: SendableRecordBatchStream,
    run: &Arc<RatingRun>,
    sink: Arc<dyn ChargeSink>,
    options: &RatingOptions,
) -> Result<RatingOutcome, RatingError> {
    let shared = RollUpShared::new(run, Arc::clone(&options.runtime));
    let workers: Vec<Rater> =
        (0..options.threads.max(1)).map(|_| Rater::with_rollups(run, RollUps::new(&shared))).collect();
    let charges_sink = Arc::clone(&sink);
    let done = feed(usage, workers, move |rater, batch| {
        let rated = rater.rate(&batch)?;
        charges_sink.put(LakeTable::Charges, rated.charges, &rated.place).map_err(RatingError::Sink)
    })
    .await?;
    roll_up(run, &shared, done, sink, options).await
}

/// Writes the roll-ups of what workers have rated.
pub(super) async fn roll_up(
    run: &Arc<RatingRun>,
    shared: &Arc<RollUpShared>,
    done: Vec<Rater>,
    sink: Arc<dyn ChargeSink>,
    options: &RatingOptions,
) -> Result<RatingOutcome, RatingError> {
    let mut tallies: Vec<Tally> = Vec::new();
    let mut logs = Vec::new();
    for rater in done {
        let (tally, rollups) = rater.into_parts();
        tallies.push(tally);
        if let Some(rollups) = rollups {
            logs.push(rollups.finish()?);
        }
    }
    let emitter = Arc::new(Emitter::new(run, shared));
    let logs = Arc::new(logs);
    let next = Arc::new(AtomicUsize::new(0));
    let emitting: Vec<JoinHandle<Result<EdgeSums, RatingError>>> = (0..options.threads.max(1))
        .map(|_| {
            let (emitter, next) = (Arc::clone(&emitter), Arc::clone(&next));
            let (logs, sink) = (Arc::clone(&logs), Arc::clone(&sink));
            tokio::task::spawn_blocking(move || {
                let mut edges = EdgeSums::default();
                loop {
                    let part = next.fetch_add(1, Ordering::Relaxed);
                    if part >= Emitter::PARTS {
                        return Ok(edges);
                    }
                    emitter.part(&logs, part, &mut edges, &mut give_to(sink.as_ref()))?;
                }
            })
        })
        .collect();
    drop(logs);
    let edges = join(emitting).await?;
    let emitting = tokio::task::spawn_blocking(move || emitter.edges(edges, &mut give_to(sink.as_ref())));
    join(vec![emitting]).await?;
    let outcomes = Tally::merge(&tallies)?;
    Ok(RatingOutcome { slices: run.places.slices().into_iter().zip(outcomes).collect() })
}

fn give_to(sink: &dyn ChargeSink) -> impl FnMut(LakeTable, RecordBatch, Placement) -> Result<(), RatingError> {
    |table, rows, place| sink.put(table, rows, &place).map_err(RatingError::Sink)
}

/// What one pass over usage has counted.
#[derive(Debug)]
pub struct Counted {
    /// Slice by slice, sorted.
    pub slices: Vec<(SliceName, BandTotals)>,
    /// Counters whose totals decided what came to others: where one of them is not what the run knew, all must be counted again.
    pub hinges: BTreeSet<String>,
}

/// Counts what prices depend on in sum: a pass over usage whose period
/// [`RateBook::needs_counting`](super::RateBook::needs_counting).
///
/// Keep what it gives with each slice: a later run of another slice merges it into its totals.
///
/// # Errors
/// As [`rate`].
pub async fn count(
    usage: SendableRecordBatchStream,
    run: &Arc<RatingRun>,
    options: &RatingOptions,
) -> Result<Counted, RatingError> {
    let workers = (0..options.threads.max(1)).map(|_| Rater::counting(run)).collect();
    let done = feed(usage, workers, |rater, batch| rater.count(&batch)).await?;
    let mut by_slice: HashMap<u32, BandTotals> = HashMap::new();
    for rater in &done {
        for (slice, totals) in rater.counted()? {
            by_slice.entry(slice).or_default().merge(&totals)?;
        }
    }
    let mut slices: Vec<(SliceName, BandTotals)> = run
        .places
        .slices()
        .into_iter()
        .enumerate()
        .filter_map(|(number, name)| {
            let totals = by_slice.remove(&u32::try_from(number).ok()?)?;
            Some((name, totals))
        })
        .collect();
    slices.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Counted { slices, hinges: done.iter().flat_map(Rater::hinges).collect() })
}

/// Spreads the batches of a stream over workers and gives the workers back when all are done.
async fn feed<W, F>(mut usage: SendableRecordBatchStream, workers: Vec<W>, work: F) -> Result<Vec<W>, RatingError>
where
    W: Send + 'static,
    F: Fn(&mut W, RecordBatch) -> Result<(), RatingError> + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::channel::<RecordBatch>(2 * workers.len());
    let receiver = Arc::new(Mutex::new(receiver));
    let work = Arc::new(work);
    let failed = Arc::new(AtomicBool::new(false));
    let running: Vec<JoinHandle<Result<W, RatingError>>> = workers
        .into_iter()
        .map(|mut worker| {
            let (receiver, work) = (Arc::clone(&receiver), Arc::clone(&work));
            let failed = Arc::clone(&failed);
            tokio::task::spawn_blocking(move || {
                loop {
                    // One waits for the next batch, the others wait for it.
                    let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                    let Some(batch) = next else { return Ok(worker) };
                    if let Err(error) = work(&mut worker, batch) {
                        failed.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                }
            })
        })
        .collect();
    drop(receiver);
    let mut broken = None;
    while !failed.load(Ordering::Relaxed) {
        match usage.next().await {
            None => break,
            Some(Err(error)) => {
                broken = Some(error);
                break;
            }
            Some(Ok(batch)) => {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
        }
    }
    drop(sender);
    let done = join(running).await?;
    match broken {
        Some(error) => Err(error.into()),
        None => Ok(done),
    }
}

/// Waits for all, then gives the first error.
async fn join<T>(running: Vec<JoinHandle<Result<T, RatingError>>>) -> Result<Vec<T>, RatingError> {
    let mut done = Vec::with_capacity(running.len());
    for handle in running {
        done.push(handle.await.map_err(|_| RatingError::Worker)?);
    }
    done.into_iter().collect()
}
