//! The warehouse behind the Postgres face: its sessions as the wire sees them.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use tokio_util::sync::CancellationToken;

use crate::security::SessionError;
use crate::session::{Answer, CopyIn, Prepared, Session, Statement, TransactionState};
use crate::warehouse::Warehouse;
use crate::wire::backend::{self, Backend, BackendSession, ConnectionFacts, Failure, FailureMap, Notice};
use crate::wire::copy::{CopyFormat, CopyKind};

/// A warehouse as the listener sees it.
#[derive(Debug)]
pub struct Served(pub Warehouse);

fn failure(error: SessionError) -> Failure {
    Failure { sqlstate: error.sqlstate, message: error.message, detail: error.detail, hint: error.hint, position: None }
}

/// The same with its place in the statement's text.
fn failure_in(text: &str, error: SessionError) -> Failure {
    let position = error.place.and_then(|place| place.position(text));
    Failure { position, ..failure(error) }
}

fn failures() -> FailureMap {
    Arc::new(|error: DataFusionError| failure(error.into()))
}

#[async_trait]
impl Backend for Served {
    fn verifier(&self, login: &str) -> Option<String> {
        match self.0.verifier(login) {
            Ok(verifier) => verifier,
            Err(error) => {
                tracing::error!(%error, "the verifier of a login could not be read");
                None
            }
        }
    }

    fn mock_secret(&self) -> [u8; 32] {
        self.0.secret()
    }

    fn serves_database(&self, name: &str) -> bool {
        matches!(name, "ratehouse" | "postgres")
    }

    async fn session(&self, facts: ConnectionFacts) -> Result<Arc<dyn BackendSession>, Failure> {
        let denied = || Failure::new("28P01", format!("password authentication failed for user \"{}\"", facts.login));
        let principal = self.0.principal(&facts.login).map_err(|error| failure(error.shown()))?.ok_or_else(denied)?;
        let session = self.0.session(principal).with_pid(facts.pid);
        Ok(Arc::new(Connected(Arc::new(session))))
    }
}

struct Connected(Arc<Session>);

#[async_trait]
impl BackendSession for Connected {
    fn node(&self) -> &str {
        &self.0.principal().node_id
    }

    fn check_grant(&self) -> Result<(), Failure> {
        self.0.check_grant().map_err(failure)
    }

    fn parse(&self, sql: &str) -> Result<Arc<dyn backend::Statement>, Failure> {
        let mut statements = self.0.parse(sql).map_err(|error| failure_in(sql, error))?;
        match (statements.pop(), statements.is_empty()) {
            (Some(statement), true) => {
                Ok(Arc::new(Parsed { session: Arc::clone(&self.0), statement, text: sql.into() }))
            }
            _ => Err(Failure::new("42601", "exactly one statement is expected")),
        }
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.0.setting(name)
    }

    fn set_at_startup(&self, name: &str, value: &str) -> Result<(), Failure> {
        self.0.set_at_startup(name, value).map_err(failure)
    }

    fn transaction(&self) -> backend::TransactionState {
        match self.0.transaction() {
            TransactionState::Idle => backend::TransactionState::Idle,
            TransactionState::Open => backend::TransactionState::Open,
            TransactionState::Failed => backend::TransactionState::Failed,
        }
    }

    fn fail_transaction(&self) {
        self.0.fail_transaction();
    }

    fn statement_timeout(&self) -> Option<Duration> {
        self.0.statement_timeout()
    }

    fn begin_statement(&self, stop: CancellationToken) {
        self.0.stop_with(stop);
    }

    fn take_notices(&self) -> Vec<Notice> {
        self.0
            .take_notices()
            .into_iter()
            .map(|notice| Notice { severity: notice.severity, sqlstate: notice.sqlstate, message: notice.text })
            .collect()
    }
}

struct Parsed {
    session: Arc<Session>,
    statement: Statement,
    text: Arc<str>,
}

#[async_trait]
impl backend::Statement for Parsed {
    async fn prepare(&self, types: &[Option<DataType>]) -> Result<Arc<dyn backend::Prepared>, Failure> {
        let prepared = self.session.prepare(&self.statement, types).await;
        let prepared = prepared.map_err(|error| failure_in(&self.text, error))?;
        Ok(Arc::new(Planned { session: Arc::clone(&self.session), prepared, text: Arc::clone(&self.text) }))
    }
}

struct Planned {
    session: Arc<Session>,
    prepared: Prepared,
    text: Arc<str>,
}

#[async_trait]
impl backend::Prepared for Planned {
    fn parameters(&self) -> &[DataType] {
        &self.prepared.parameters
    }

    fn parameter_oids(&self) -> &[u32] {
        &self.prepared.parameter_oids
    }

    fn columns(&self) -> Option<SchemaRef> {
        self.prepared.columns.clone()
    }

    async fn run(&self, parameters: Vec<ScalarValue>) -> Result<backend::Answer, Failure> {
        let answer = self.session.run(&self.prepared, parameters).await;
        Ok(match answer.map_err(|error| failure_in(&self.text, error))? {
            Answer::Rows { schema, stream } => backend::Answer::Rows { schema, stream, failures: failures() },
            Answer::Done { tag } => backend::Answer::Done { tag },
            // The protocol layer takes the options of a copy apart itself and asks for its rows.
            Answer::CopyOut { schema, stream, .. } => backend::Answer::CopyOut {
                schema,
                stream,
                format: CopyFormat::new(CopyKind::Text),
                failures: failures(),
            },
            Answer::CopyIn(copy) => backend::Answer::CopyIn {
                columns: copy.columns.len(),
                format: CopyFormat::new(if copy.format.csv { CopyKind::Csv } else { CopyKind::Text }),
                sink: Box::new(Sink { session: Arc::clone(&self.session), copy }),
            },
        })
    }
}

struct Sink {
    session: Arc<Session>,
    copy: CopyIn,
}

#[async_trait]
impl backend::CopySink for Sink {
    async fn push(&mut self, data: Bytes) -> Result<(), Failure> {
        self.copy.push(&data).map_err(failure)
    }

    async fn finish(self: Box<Self>) -> Result<String, Failure> {
        let Self { session, copy } = *self;
        session.finish_copy(copy).map_err(failure)
    }
}
