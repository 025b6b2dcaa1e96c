//! What the Postgres face asks of the warehouse behind it.
//!
//! The wire knows nothing of the catalog, of rating or of DataFusion's planner: it turns bytes into calls of these traits and
//! their answers into bytes. The warehouse implements them over its session; tests implement them over a plain query engine.
//!
//! Invariants: a [`BackendSession`] is made only after a login succeeded and serves one connection; at most one of its
//! futures runs at any time; everything a [`Failure`] carries may be shown to the client.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use tokio_util::sync::CancellationToken;

use super::cancel::CancelRegistry;
use super::copy::CopyFormat;

/// An error as the client will see it.
///
/// The texts hold no values the principal may not see; the wire adds nothing to them but severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sqlstate}: {message}")]
pub struct Failure {
    /// Five characters of the SQLSTATE table.
    pub sqlstate: &'static str,
    /// The primary text, one line.
    pub message: String,
    /// More about what happened, if anything.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
}

impl Failure {
    /// Makes an error of a SQLSTATE and its primary text.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None }
    }

    /// Adds a detail line.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place in the statement text, in characters from 1.
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.position = Some(position);
        self
    }

    /// Moves the position from a statement to the text that the statement was cut from.
    #[must_use]
    pub(crate) fn shifted(mut self, characters_before: usize) -> Self {
        self.position = self.position.map(|position| position + characters_before);
        self
    }
}

/// A message for the client that is not an error, such as the warning that a transaction is already open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `WARNING`, `NOTICE` or `INFO`.
    pub severity: &'static str,
    /// The SQLSTATE, class 00 or 01 mostly.
    pub sqlstate: &'static str,
    /// The text.
    pub message: String,
}

/// Where a session stands with its transaction; sent with every ReadyForQuery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// No block is open.
    Idle,
    /// Inside BEGIN ... COMMIT.
    Open,
    /// Inside a block in which a statement failed; only its end is accepted.
    Failed,
}

/// What is known of a connection when its session is made.
#[derive(Debug, Clone)]
pub struct ConnectionFacts {
    /// The authenticated login.
    pub login: String,
    /// The database the client asked for (`serves_database` accepted it).
    pub database: String,
    /// The process id announced to the client; random, for `pg_backend_pid()`.
    pub pid: i32,
    /// Where the client is.
    pub peer: IpAddr,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// For `pg_cancel_backend` and the like.
    pub registry: Arc<CancelRegistry>,
}

/// The warehouse, as the listener sees it.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The stored SCRAM verifier of a login; `None` when it is unknown or disabled.
    fn verifier(&self, login: &str) -> Option<String>;

    /// A secret of this warehouse from which the salts of unknown logins are derived, so that they look stored.
    fn mock_secret(&self) -> [u8; 32];

    /// Whether a client may ask for this database name.
    fn serves_database(&self, name: &str) -> bool;

    /// Makes the session of an authenticated login.
    async fn session(&self, facts: ConnectionFacts) -> Result<Arc<dyn BackendSession>, Failure>;
}

/// One connection's session.
#[async_trait]
pub trait BackendSession: Send + Sync + 'static {
    /// The node that the login belongs to.
    fn node(&self) -> &str;

    /// Whether the login is still what it was: asked while rows of earlier statements go out.
    ///
    /// Errors: 57P01, after which the connection ends.
    fn check_grant(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Parses one statement. Errors are 42601 with a position.
    fn parse(&self, sql: &str) -> Result<Arc<dyn Statement>, Failure>;

    /// The present value of a run-time parameter, by its lower-case name.
    fn setting(&self, name: &str) -> Option<String>;

    /// Sets a run-time parameter from a start-up packet: the value is taken as it is, and RESET returns to it.
    ///
    /// Errors: 42704 for an unknown parameter, 22023 for a value it does not take.
    fn set_at_startup(&self, name: &str, value: &str) -> Result<(), Failure>;

    /// Where the session stands with its transaction.
    fn transaction(&self) -> TransactionState;

    /// Marks an open block as failed. The wire calls it after any error inside a block.
    fn fail_transaction(&self);

    /// How long a statement may take, from its arrival to its last row.
    fn statement_timeout(&self) -> Option<Duration>;

    /// Tells that a statement begins. `stop` fires when the client, the clock or an administrator ends it, or nobody reads its rows
    /// any more; plans made from now on may ask it inside loops that do not yield, where dropping their stream has no effect.
    fn begin_statement(&self, stop: CancellationToken) {
        drop(stop);
    }

    /// How long a session may sit idle; `None` leaves the listener's limit.
    fn idle_timeout(&self) -> Option<Duration> {
        None
    }

    /// Messages gathered since the last call, in order.
    fn take_notices(&self) -> Vec<Notice> {
        Vec::new()
    }
}

/// A parsed statement.
#[async_trait]
pub trait Statement: Send + Sync {
    /// Plans without running. `parameter_types` are what the client declared; the plan decides the others.
    async fn prepare(&self, parameter_types: &[Option<DataType>]) -> Result<Arc<dyn Prepared>, Failure>;
}

/// A planned statement, ready to run any number of times.
#[async_trait]
pub trait Prepared: Send + Sync {
    /// The type of every parameter, in order.
    fn parameters(&self) -> &[DataType];

    /// The object ids under which parameters are announced where their types alone do not say it, such as `oid` or `name`.
    fn parameter_oids(&self) -> &[u32] {
        &[]
    }

    /// The result's columns; `None` when the statement returns no rows.
    fn columns(&self) -> Option<SchemaRef>;

    /// Runs. Snapshot and grants are taken here.
    async fn run(&self, parameters: Vec<ScalarValue>) -> Result<Answer, Failure>;
}

/// What a run produces.
pub enum Answer {
    /// Rows, to be streamed.
    Rows {
        /// The columns, of the same types as those [`Prepared::columns`] announced.
        schema: SchemaRef,
        /// The rows. Errors that travel in it are mapped by `failures`.
        stream: SendableRecordBatchStream,
        /// How an error inside the stream is shown.
        failures: FailureMap,
    },
    /// No rows.
    Done {
        /// The command tag, such as `INSERT 0 3` or `BEGIN`.
        tag: String,
    },
    /// `COPY ... TO STDOUT` as planned by the session.
    CopyOut {
        /// The columns.
        schema: SchemaRef,
        /// The rows.
        stream: SendableRecordBatchStream,
        /// How to write them.
        format: CopyFormat,
        /// How an error inside the stream is shown.
        failures: FailureMap,
    },
    /// `COPY ... FROM STDIN`: the client's bytes go to the sink.
    CopyIn {
        /// How many columns a row has.
        columns: usize,
        /// Whether the client is to send text or binary.
        format: CopyFormat,
        /// Takes the bytes.
        sink: Box<dyn CopySink>,
    },
}

/// Maps an error of the query engine to what the client may see.
pub type FailureMap = Arc<dyn Fn(datafusion::error::DataFusionError) -> Failure + Send + Sync>;

/// Takes the bytes of `COPY ... FROM STDIN`; dropping it without `finish` discards them.
#[async_trait]
pub trait CopySink: Send {
    /// Takes a piece of the data, cut anywhere.
    async fn push(&mut self, data: Bytes) -> Result<(), Failure>;

    /// Ends the data and returns the command tag, such as `COPY 12`.
    async fn finish(self: Box<Self>) -> Result<String, Failure>;
}
