//! A session over a plain query engine, enough of one to test the wire with: settings, transaction states, queries, a COPY sink.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::{ParamValues, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as ParsedStatement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::wire::backend::{
    Answer, Backend, BackendSession, ConnectionFacts, CopySink, Failure, Notice, Prepared, Statement, TransactionState,
};
use crate::wire::copy::parse_copy_from;
use crate::wire::verifier::make_verifier;

/// The login that exists.
pub(crate) const LOGIN: &str = "ann";
/// Its password.
pub(crate) const PASSWORD: &str = "correct horse";
/// The database that exists.
pub(crate) const DATABASE: &str = "ratehouse";

/// A warehouse with one login.
pub(crate) struct FakeBackend {
    pub(crate) context: SessionContext,
    verifier: String,
    /// Statements prepared since the start, by any connection.
    pub(crate) prepared: Arc<AtomicU64>,
    /// Sessions made since the start.
    pub(crate) sessions: AtomicU64,
}

impl FakeBackend {
    pub(crate) fn new() -> Self {
        let mut config = SessionConfig::new().with_information_schema(true).with_target_partitions(2);
        config.options_mut().sql_parser.parse_float_as_decimal = true;
        Self {
            context: SessionContext::new_with_config(config),
            verifier: make_verifier(PASSWORD, b"0123456789abcdef", 4096),
            prepared: Arc::default(),
            sessions: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl Backend for FakeBackend {
    fn verifier(&self, login: &str) -> Option<String> {
        (login == LOGIN).then(|| self.verifier.clone())
    }

    fn mock_secret(&self) -> [u8; 32] {
        [7; 32]
    }

    fn serves_database(&self, name: &str) -> bool {
        name == DATABASE
    }

    async fn session(&self, _facts: ConnectionFacts) -> Result<Arc<dyn BackendSession>, Failure> {
        self.sessions.fetch_add(1, Ordering::SeqCst);
        let settings = [
            ("application_name", ""),
            ("datestyle", "ISO, MDY"),
            ("extra_float_digits", "1"),
            ("search_path", "public"),
            ("statement_timeout", "0"),
            ("timezone", "UTC"),
            ("transaction_isolation", "read committed"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let state = State { settings, transaction: TransactionState::Idle, notices: Vec::new(), copied: Vec::new() };
        Ok(Arc::new(FakeSession {
            context: self.context.clone(),
            state: Arc::new(Mutex::new(state)),
            prepared: Arc::clone(&self.prepared),
        }))
    }
}

struct State {
    settings: BTreeMap<String, String>,
    transaction: TransactionState,
    notices: Vec<Notice>,
    copied: Vec<u8>,
}

#[derive(Clone)]
struct FakeSession {
    context: SessionContext,
    state: Arc<Mutex<State>>,
    prepared: Arc<AtomicU64>,
}

impl FakeSession {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackendSession for FakeSession {
    fn node(&self) -> &str {
        "root"
    }

    fn parse(&self, sql: &str) -> Result<Arc<dyn Statement>, Failure> {
        let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let own = [
            "SET",
            "SHOW",
            "RESET",
            "BEGIN",
            "START",
            "COMMIT",
            "END",
            "ROLLBACK",
            "ABORT",
            "SAVEPOINT",
            "RELEASE",
            "COPY",
        ];
        let ast = if own.contains(&first.as_str()) {
            None
        } else {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql)
                .map_err(|error| Failure::new("42601", error.to_string()).at(1))?;
            parsed.pop()
        };
        Ok(Arc::new(FakeStatement { session: self.clone(), sql: sql.to_owned(), ast }))
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.lock().settings.get(name).cloned()
    }

    fn set_at_startup(&self, name: &str, value: &str) -> Result<(), Failure> {
        match self.lock().settings.get_mut(name) {
            Some(setting) => value.clone_into(setting),
            None => {
                return Err(Failure::new("42704", format!("unrecognized configuration parameter \"{name}\"")));
            }
        }
        Ok(())
    }

    fn transaction(&self) -> TransactionState {
        self.lock().transaction
    }

    fn fail_transaction(&self) {
        self.lock().transaction = TransactionState::Failed;
    }

    fn statement_timeout(&self) -> Option<Duration> {
        let text = self.setting("statement_timeout")?;
        let milliseconds = text.trim_end_matches("ms").parse().ok()?;
        Some(Duration::from_millis(milliseconds))
    }

    fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.lock().notices)
    }
}

struct FakeStatement {
    session: FakeSession,
    sql: String,
    ast: Option<datafusion::sql::sqlparser::ast::Statement>,
}

#[async_trait]
impl Statement for FakeStatement {
    async fn prepare(&self, declared: &[Option<DataType>]) -> Result<Arc<dyn Prepared>, Failure> {
        self.session.prepared.fetch_add(1, Ordering::SeqCst);
        let Some(ast) = self.ast.clone() else {
            let columns = self.sql.to_ascii_uppercase().starts_with("SHOW").then(|| {
                let name = self.sql.split_whitespace().last().unwrap_or_default();
                Arc::new(arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new(name, DataType::Utf8, true)]))
            });
            return Ok(Arc::new(FakeControl { session: self.session.clone(), sql: self.sql.clone(), columns }));
        };
        let state = self.session.context.state();
        let statement = ParsedStatement::Statement(Box::new(ast));
        let plan = state.statement_to_plan(statement).await.map_err(|error| failure(&error, &self.sql))?;
        let found = plan.get_parameter_types().map_err(|error| failure(&error, &self.sql))?;
        let count =
            found.keys().filter_map(|name| name.trim_start_matches('$').parse::<usize>().ok()).max().unwrap_or(0);
        let parameters = (0..count).map(|index| {
            let inferred = found.get(&format!("${}", index + 1)).cloned().flatten();
            inferred.or_else(|| declared.get(index).cloned().flatten()).unwrap_or(DataType::Utf8)
        });
        let parameters: Vec<DataType> = parameters.collect();
        let columns = Arc::new(plan.schema().as_arrow().clone());
        Ok(Arc::new(FakePlan { session: self.session.clone(), plan, parameters, columns, sql: self.sql.clone() }))
    }
}

struct FakePlan {
    session: FakeSession,
    plan: LogicalPlan,
    parameters: Vec<DataType>,
    columns: SchemaRef,
    sql: String,
}

#[async_trait]
impl Prepared for FakePlan {
    fn parameters(&self) -> &[DataType] {
        &self.parameters
    }

    fn columns(&self) -> Option<SchemaRef> {
        Some(Arc::clone(&self.columns))
    }

    async fn run(&self, parameters: Vec<ScalarValue>) -> Result<Answer, Failure> {
        let sql = self.sql.clone();
        let shown = move |error: DataFusionError| failure(&error, &sql);
        let plan = self.plan.clone();
        let plan = if parameters.is_empty() {
            plan
        } else {
            plan.with_param_values(ParamValues::from(parameters)).map_err(&shown)?
        };
        let frame = self.session.context.execute_logical_plan(plan).await.map_err(&shown)?;
        let stream = frame.execute_stream().await.map_err(&shown)?;
        Ok(Answer::Rows { schema: Arc::clone(&self.columns), stream, failures: Arc::new(shown) })
    }
}

struct FakeControl {
    session: FakeSession,
    sql: String,
    columns: Option<SchemaRef>,
}

#[async_trait]
impl Prepared for FakeControl {
    fn parameters(&self) -> &[DataType] {
        &[]
    }

    fn columns(&self) -> Option<SchemaRef> {
        self.columns.clone()
    }

    async fn run(&self, _parameters: Vec<ScalarValue>) -> Result<Answer, Failure> {
        let words: Vec<&str> = self.sql.split_whitespace().collect();
        let word = |index: usize| words.get(index).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        let done = |tag: &str| Ok(Answer::Done { tag: tag.to_owned() });
        if word(0) == "COPY" {
            let copy = parse_copy_from(&self.sql)?.ok_or_else(|| Failure::new("42601", "not a COPY FROM"))?;
            let sink = Box::new(FakeSink { session: self.session.clone(), lines: 0 });
            return Ok(Answer::CopyIn { columns: copy.columns.len(), format: copy.format, sink });
        }
        if word(0) == "SHOW" {
            let name = word(1).to_lowercase();
            let value = self
                .session
                .setting(&name)
                .ok_or_else(|| Failure::new("42704", format!("unrecognized configuration parameter \"{name}\"")))?;
            let value = value.replace('\'', "''");
            let frame = self.session.context.sql(&format!("SELECT '{value}' AS \"{name}\"")).await;
            let stream = frame.map_err(|error| failure(&error, ""))?.execute_stream().await;
            let stream = stream.map_err(|error| failure(&error, ""))?;
            let schema = stream.schema();
            return Ok(Answer::Rows { schema, stream, failures: Arc::new(|error| failure(&error, "")) });
        }
        let mut state = self.session.lock();
        match word(0).as_str() {
            "SET" => {
                let name = word(1).to_lowercase();
                let value = words[2..].join(" ");
                let value = value.trim_start_matches("TO").trim_start_matches('=').trim().trim_matches('\'').to_owned();
                match state.settings.get_mut(&name) {
                    Some(setting) => *setting = value,
                    None => {
                        return Err(Failure::new("42704", format!("unrecognized configuration parameter \"{name}\"")));
                    }
                }
                done("SET")
            }
            "RESET" => done("RESET"),
            "BEGIN" | "START" => {
                if state.transaction != TransactionState::Idle {
                    state.notices.push(Notice {
                        severity: "WARNING",
                        sqlstate: "25001",
                        message: "there is already a transaction in progress".to_owned(),
                    });
                }
                state.transaction = TransactionState::Open;
                done("BEGIN")
            }
            "COMMIT" | "END" => {
                let failed = state.transaction == TransactionState::Failed;
                state.transaction = TransactionState::Idle;
                done(if failed { "ROLLBACK" } else { "COMMIT" })
            }
            "ROLLBACK" | "ABORT" if word(1) == "TO" => {
                state.transaction = TransactionState::Open;
                done("ROLLBACK")
            }
            "ROLLBACK" | "ABORT" => {
                state.transaction = TransactionState::Idle;
                done("ROLLBACK")
            }
            other => done(other),
        }
    }
}

struct FakeSink {
    session: FakeSession,
    lines: usize,
}

#[async_trait]
impl CopySink for FakeSink {
    async fn push(&mut self, data: Bytes) -> Result<(), Failure> {
        self.lines += data.iter().filter(|byte| **byte == b'\n').count();
        self.session.lock().copied.extend_from_slice(&data);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<String, Failure> {
        Ok(format!("COPY {}", self.lines))
    }
}

fn failure(error: &DataFusionError, sql: &str) -> Failure {
    let message = error.strip_backtrace();
    match error.find_root() {
        DataFusionError::SchemaError(inner, _) => match &**inner {
            SchemaError::FieldNotFound { field, .. } => {
                let found = Failure::new("42703", format!("column \"{}\" does not exist", field.name()));
                match sql.find(field.name()) {
                    Some(at) => found.at(sql[..at].chars().count() + 1),
                    None => found,
                }
            }
            _ => Failure::new("42702", message),
        },
        DataFusionError::Plan(text) if text.contains("not found") => Failure::new("42P01", message),
        DataFusionError::NotImplemented(_) => Failure::new("0A000", message),
        DataFusionError::Plan(_) => Failure::new("42804", message),
        DataFusionError::ArrowError(inner, _) => match &**inner {
            arrow::error::ArrowError::DivideByZero => Failure::new("22012", "division by zero"),
            arrow::error::ArrowError::CastError(_) => Failure::new("22P02", message),
            _ => Failure::new("22003", message),
        },
        _ => Failure::new("XX000", message),
    }
}
