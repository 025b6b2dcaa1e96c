//! Planning and running away from the I/O threads, with timers that always fire.
//!
//! A planner may think for minutes and an operator may compute for seconds between two waits. Both happen on the work runtime of
//! the configuration; the connection's task only waits: for the result, for the cancel token, for the clock, or for the
//! client to hang up, whichever is first. Rows come through a channel of one batch, so a slow reader holds the query back.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::backend::{BackendSession, Failure, FailureMap, Statement};
use super::error::{ConnectionEnd, Stop};
use super::link::Link;

/// How long a cancelled job may take to notice before the client gets its answer without it.
const GRACE: Duration = Duration::from_millis(250);

/// What can stop a statement from outside.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    token: CancellationToken,
    deadline: Option<Instant>,
    closing: CancellationToken,
    /// Fired when the statement is stopped, for loops of the engine that do not yield.
    stop: CancellationToken,
}

impl Watch {
    /// Starts the clock of a statement.
    pub(crate) fn start(token: CancellationToken, limit: Option<Duration>, closing: CancellationToken) -> Self {
        let deadline = limit.filter(|limit| !limit.is_zero()).and_then(|limit| Instant::now().checked_add(limit));
        Self { token, deadline, closing, stop: CancellationToken::new() }
    }

    /// The token that the engine may ask.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Resolves when the statement has to stop.
    pub(crate) async fn fired(&self) -> Stop {
        let expired = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.token.cancelled() => {
                Stop::Statement(Failure::new("57014", "canceling statement due to user request"))
            }
            () = expired => Stop::Statement(Failure::new("57014", "canceling statement due to statement timeout")),
            () = self.closing.cancelled() => Stop::Connection(ConnectionEnd::Fatal(shutting_down())),
        }
    }

    /// Stops here if the statement has to stop; for loops that do not wait.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        let expired = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if self.closing.is_cancelled() {
            Err(Stop::Connection(ConnectionEnd::Fatal(shutting_down())))
        } else if self.token.is_cancelled() {
            Err(Failure::new("57014", "canceling statement due to user request").into())
        } else if expired {
            Err(Failure::new("57014", "canceling statement due to statement timeout").into())
        } else {
            Ok(())
        }
    }
}

/// The error of a connection that an administrator ends.
pub(crate) fn shutting_down() -> Failure {
    Failure::new("57P01", "terminating connection due to administrator command")
}

fn lost_job() -> Failure {
    Failure::new("XX000", "internal error")
        .with_detail("The statement ended without an answer; the server's log has the cause.")
}

/// The work of one connection: at most one job at a time.
pub(crate) struct Work {
    handle: Handle,
    session: Arc<dyn BackendSession>,
    /// A cancelled job that has not noticed yet; the next one waits for it.
    unfinished: Option<JoinHandle<()>>,
}

impl Work {
    /// Uses the threads of a runtime other than the one that serves sockets.
    pub(crate) fn new(handle: Handle, session: Arc<dyn BackendSession>) -> Self {
        Self { handle, session, unfinished: None }
    }

    /// Runs a job to its end, or until something stops it.
    ///
    /// A job that finishes while it is being stopped keeps its result: what was done is reported as done.
    pub(crate) async fn run<T: Send + 'static>(
        &mut self,
        link: &mut Link,
        watch: &Watch,
        job: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Stop> {
        if let Some(mut previous) = self.unfinished.take() {
            tokio::select! {
                _ = &mut previous => {}
                stop = watch.fired() => {
                    self.unfinished = Some(previous);
                    return Err(stop);
                }
            }
        }
        watch.check()?;
        let mut running = self.handle.spawn(job);
        let stop = tokio::select! {
            biased;
            finished = &mut running => return finished.map_err(|_| lost_job())?.map_err(Stop::from),
            stop = watch.fired() => stop,
            () = link.gone() => Stop::Connection(ConnectionEnd::Gone),
        };
        watch.stop.cancel();
        running.abort();
        match timeout(GRACE, &mut running).await {
            Ok(Ok(finished)) => finished.map_err(|_| stop),
            Ok(Err(_)) => Err(stop),
            Err(_) => {
                self.unfinished = Some(self.handle.spawn(async move {
                    // Dropping what it returns is all that is left to do.
                    drop(running.await);
                }));
                Err(stop)
            }
        }
    }

    /// Parses a statement: of a long text even that takes a while.
    pub(crate) async fn parse(
        &mut self,
        link: &mut Link,
        watch: &Watch,
        sql: &str,
    ) -> Result<Arc<dyn Statement>, Stop> {
        let (session, sql) = (Arc::clone(&self.session), sql.to_owned());
        self.run(link, watch, async move { session.parse(&sql) }).await
    }

    /// Starts a stream of rows.
    pub(crate) fn rows(&self, mut stream: SendableRecordBatchStream, failures: FailureMap, watch: &Watch) -> RowSource {
        let (sender, receiver) = mpsc::channel(1);
        let task = self.handle.spawn(async move {
            while let Some(item) = stream.next().await {
                let failed = item.is_err();
                let item = item.map(Some).map_err(|error| failures(error));
                if sender.send(item).await.is_err() || failed {
                    return;
                }
            }
            // Nobody may be listening any more.
            let _ended = sender.send(Ok(None)).await;
        });
        let session = Arc::clone(&self.session);
        RowSource { receiver, task: task.abort_handle(), stop: watch.stop.clone(), session, checked: Instant::now() }
    }
}

/// Rows on their way from the work runtime; dropping it stops their query.
pub(crate) struct RowSource {
    receiver: mpsc::Receiver<Result<Option<RecordBatch>, Failure>>,
    task: AbortHandle,
    stop: CancellationToken,
    session: Arc<dyn BackendSession>,
    /// When the login was last looked at.
    checked: Instant,
}

/// How long rows go out between two looks at the login.
const GRANT_LASTS: Duration = Duration::from_millis(500);

impl RowSource {
    /// Waits for the next batch with rows in it; `None` at the end.
    pub(crate) async fn next(&mut self, link: &mut Link, watch: &Watch) -> Result<Option<RecordBatch>, Stop> {
        loop {
            if self.checked.elapsed() > GRANT_LASTS {
                self.session.check_grant()?;
                self.checked = Instant::now();
            }
            let received = tokio::select! {
                biased;
                stop = watch.fired() => return Err(stop),
                received = self.receiver.recv() => received,
                () = link.gone() => return Err(Stop::Connection(ConnectionEnd::Gone)),
            };
            // A sender that vanished without an end mark panicked.
            match received.unwrap_or_else(|| Err(lost_job()))? {
                Some(batch) if batch.num_rows() == 0 => {}
                other => return Ok(other),
            }
        }
    }
}

impl Drop for RowSource {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}
