//! Sessions: the only way to run SQL.
//!
//! A session belongs to one principal and one connection. Each statement is authorised anew,
//! takes one snapshot, passes the gates of [`crate::security::guard`], and runs over a catalog
//! that holds nothing but what its principal may see.

mod approvals;
mod catalog_relations;
mod changes;
mod column_names;
mod copy_in;
mod explain;
mod facts;
mod functions;
mod lake_source;
mod moment;
mod procedures;
mod query;
mod rate_lookup;
mod relation_catalog;
mod row_source;
mod scope_rows;
mod settings;
mod statement;
mod transaction;
mod users;
mod views;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement as Ast;

use crate::catalog::SnapshotId;
use crate::pg_catalog::PgCatalog;
use crate::reference::Overlay;
use crate::security::guard::Kind;
use crate::security::policy::{Action, Reach, allowed};
use crate::security::{Principal, SessionError};
use crate::warehouse::{Warehouse, engine_state};

pub use copy_in::{CopyIn, CopyText};
pub(crate) use procedures::state_after;
pub use settings::{PARAMETERS, SERVER_VERSION};
pub use statement::Statement;
pub use transaction::TransactionState;
pub use users::verifier_of;

pub(crate) use moment::Shared;
use relation_catalog::{Databases, Relations, parking};
use settings::Settings;
use transaction::Block;

/// What `version()` says.
pub(crate) const VERSION: &str = concat!("PostgreSQL 15.8 (compatible; Ratehouse ", env!("CARGO_PKG_VERSION"), ")");

/// A statement planned for one session.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The statement.
    pub statement: Statement,
    /// The type of each parameter, in order.
    pub parameters: Vec<DataType>,
    /// The result's columns; none when it returns no rows.
    pub columns: Option<SchemaRef>,
}

/// What running a statement gives.
pub enum Answer {
    /// Rows, to be streamed.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// The rows.
        stream: SendableRecordBatchStream,
    },
    /// No rows; a command tag such as `INSERT 0 3`.
    Done {
        /// The tag.
        tag: String,
    },
    /// `copy ... to stdout`: rows, and how to write them.
    CopyOut {
        /// Their columns.
        schema: SchemaRef,
        /// The rows.
        stream: SendableRecordBatchStream,
        /// The statement's options.
        options: Vec<datafusion::sql::sqlparser::ast::CopyOption>,
    },
    /// `copy ... from stdin`: takes text until it is finished.
    CopyIn(CopyIn),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { schema, .. } => write!(f, "Rows({} columns)", schema.fields().len()),
            Self::Done { tag } => write!(f, "Done({tag})"),
            Self::CopyOut { schema, .. } => write!(f, "CopyOut({} columns)", schema.fields().len()),
            Self::CopyIn(_) => f.write_str("CopyIn"),
        }
    }
}

/// One principal's session.
pub struct Session {
    warehouse: Warehouse,
    shared: Arc<Shared>,
    relations: Arc<Relations>,
    state: Arc<parking::State>,
    settings: Mutex<Settings>,
    block: Mutex<Block>,
    notices: Mutex<Vec<String>>,
    pg_catalog: OnceLock<PgCatalog>,
    pid: i32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("login", &self.shared.principal.login).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(crate) fn new(warehouse: Warehouse, principal: Principal) -> Self {
        let shared = Shared::new(Arc::clone(&warehouse.core), principal, None);
        Self::over(warehouse, Arc::new(shared))
    }

    /// A session over facts that are already put together.
    pub(crate) fn over(warehouse: Warehouse, shared: Arc<Shared>) -> Self {
        let settings = Settings::new(&shared.principal.login, shared.core.config.statement_timeout);
        let relations = Relations::new(Arc::clone(&shared), false);
        let state = state_for(&shared, &relations);
        Self {
            warehouse,
            shared,
            relations,
            state,
            settings: Mutex::new(settings),
            block: Mutex::default(),
            notices: Mutex::default(),
            pg_catalog: OnceLock::new(),
            pid: 0,
        }
    }

    /// The same session under the process id that its connection was given.
    #[must_use]
    pub fn with_pid(mut self, pid: i32) -> Self {
        self.pid = pid;
        self
    }

    /// Who it belongs to.
    pub fn principal(&self) -> &Principal {
        &self.shared.principal
    }

    /// The present value of a run-time parameter.
    pub fn setting(&self, name: &str) -> Option<String> {
        lock(&self.settings).get(name)
    }

    /// Sets a run-time parameter to a value that `reset` returns to.
    ///
    /// # Errors
    /// `42704`, `55P02` or `22023`.
    pub fn set_at_startup(&self, name: &str, value: &str) -> Result<(), SessionError> {
        lock(&self.settings).set_at_startup(name, value)
    }

    /// Where it stands with its transaction.
    pub fn transaction(&self) -> TransactionState {
        lock(&self.block).state()
    }

    /// Marks an open block as failed.
    pub fn fail_transaction(&self) {
        lock(&self.block).fail();
    }

    /// How long a statement may run.
    pub fn statement_timeout(&self) -> Option<Duration> {
        lock(&self.settings).statement_timeout()
    }

    /// Messages for the client since the last call.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.notices))
    }

    fn notice(&self, text: impl Into<String>) {
        lock(&self.notices).push(text.into());
    }

    /// Splits text into statements.
    ///
    /// # Errors
    /// `42601` for text that is not SQL, `54001` for text that is nested too deeply.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, SessionError> {
        statement::parse(sql)
    }

    /// Plans a statement without running it.
    ///
    /// # Errors
    /// What running it would refuse before it looks at data.
    pub async fn prepare(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, SessionError> {
        if !statement.ends_transaction() {
            lock(&self.block).check_usable()?;
        }
        let (parameters, columns) = match statement.kind()? {
            Kind::Query | Kind::Explain | Kind::CopyOut => {
                self.begin_statement()?;
                self.describe(statement, parameter_types).await?
            }
            Kind::Show => (Vec::new(), Some(query::one_text_column(&statement.shown_name()))),
            Kind::Write => {
                self.begin_statement()?;
                (self.write_parameters(statement, parameter_types).await?, None)
            }
            Kind::Call => (procedures::parameters(statement, parameter_types), None),
            Kind::CopyIn | Kind::Set | Kind::Reset | Kind::Transaction | Kind::Nothing => (Vec::new(), None),
        };
        Ok(Prepared { statement: statement.clone(), parameters, columns })
    }

    /// Runs a prepared statement. The snapshot and the grants are those of now.
    ///
    /// # Errors
    /// A [`SessionError`] that may be shown as it is.
    pub async fn run(&self, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Answer, SessionError> {
        let statement = &prepared.statement;
        if !statement.ends_transaction() {
            lock(&self.block).check_usable()?;
        }
        match statement.kind()? {
            Kind::Transaction => self.run_transaction(statement),
            Kind::Nothing => Ok(Answer::Done { tag: statement.tag() }),
            Kind::Set => self.run_set(statement),
            Kind::Reset => self.run_reset(statement),
            Kind::Show => self.run_show(statement),
            Kind::Query | Kind::Explain | Kind::CopyOut => {
                self.begin_statement()?;
                self.run_query(statement, &parameters).await
            }
            Kind::Write => {
                self.begin_statement()?;
                self.run_write(statement, &parameters).await
            }
            Kind::CopyIn => {
                self.begin_statement()?;
                self.run_copy_in(statement)
            }
            Kind::Call => {
                self.begin_statement()?;
                self.run_procedure(statement, &parameters).await
            }
        }
    }

    /// Runs one statement of text and gives its answer: for programs and tests.
    ///
    /// # Errors
    /// `42601` when the text is not exactly one statement; what [`Session::run`] refuses.
    pub async fn sql(&self, sql: &str) -> Result<Answer, SessionError> {
        let statements = self.parse(sql)?;
        let [statement] = statements.as_slice() else {
            return Err(SessionError::new("42601", "exactly one statement is expected"));
        };
        let result = match self.prepare(statement, &[]).await {
            Ok(prepared) => self.run(&prepared, Vec::new()).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.fail_transaction();
        }
        result
    }

    /// Authorises the principal anew and fixes what the statement sees.
    fn begin_statement(&self) -> Result<(), SessionError> {
        if let Some(snapshot) = self.shared.fixed {
            return self.shared.set_moment(snapshot, Arc::default()).map_err(crate::error::Error::shown);
        }
        let principal = &self.shared.principal;
        let now = self.shared.core.principal(&principal.login).map_err(crate::error::Error::shown)?;
        if now.as_ref() != Some(principal) {
            return Err(SessionError::new("57P01", "the login was changed or disabled: connect again"));
        }
        let head = self.shared.core.catalog.head()?;
        let mut block = lock(&self.block);
        let mut snapshot = block.snapshot(head);
        let chosen = lock(&self.settings).get("ratehouse.snapshot");
        if let Some(past) = chosen.and_then(|text| text.parse::<SnapshotId>().ok()) {
            snapshot = past;
        }
        if self.shared.moment().snapshot != snapshot {
            self.relations.forget_views();
        }
        self.shared.set_moment(snapshot, block.overlay()).map_err(crate::error::Error::shown)
    }

    fn may(&self, action: Action, what: &str) -> Result<(), SessionError> {
        let (roles, reach) = allowed(action);
        let reached = match reach {
            Reach::Any | Reach::Seller => true,
            Reach::Root => self.shared.moment().scope.is_root,
        };
        if reached && roles.has(self.shared.principal.role) { Ok(()) } else { Err(SessionError::denied(what)) }
    }

    fn run_transaction(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let mut tag = statement.tag();
        match statement.ast()? {
            Ast::StartTransaction { .. } => {
                if !lock(&self.block).begin() {
                    self.notice("there is already a transaction in progress");
                }
            }
            Ast::Commit { .. } => {
                let mut block = lock(&self.block);
                if block.state() == TransactionState::Idle {
                    drop(block);
                    self.notice("there is no transaction in progress");
                } else {
                    match block.end() {
                        Some(overlay) => {
                            drop(block);
                            self.commit(&overlay, "transaction")?;
                        }
                        None => tag = "ROLLBACK".to_owned(),
                    }
                }
            }
            Ast::Rollback { savepoint: Some(name), .. } => lock(&self.block).rollback_to(&name.value)?,
            Ast::Rollback { .. } => {
                let mut block = lock(&self.block);
                if block.state() == TransactionState::Idle {
                    drop(block);
                    self.notice("there is no transaction in progress");
                } else {
                    block.end();
                }
            }
            Ast::Savepoint { name } => lock(&self.block).savepoint(&name.value)?,
            Ast::ReleaseSavepoint { name } => lock(&self.block).release(&name.value)?,
            _ => return Err(SessionError::unsupported("this statement")),
        }
        Ok(Answer::Done { tag })
    }

    /// Writes reference changes as one commit and marks what they make stale.
    fn commit(&self, overlay: &Overlay, note: &str) -> Result<(), SessionError> {
        if overlay.is_empty() {
            return Ok(());
        }
        write::commit(&self.shared, overlay, note)
    }

    fn run_set(&self, statement: &Statement) -> Result<Answer, SessionError> {
        for (name, value) in statement.assignments()? {
            if name == "ratehouse.snapshot" && value.is_some() {
                self.begin_statement()?;
                self.may(Action::TimeTravel, "parameter ratehouse.snapshot")?;
                let head = self.shared.core.catalog.head()?;
                let text = value.as_deref().unwrap_or("default");
                let known = text == "default" || text.parse().is_ok_and(|n: SnapshotId| (1..=head).contains(&n));
                if !known {
                    return Err(SessionError::new("22023", "ratehouse.snapshot is a snapshot id or default")
                        .hint(format!("the newest snapshot is {head}; ops.snapshots lists them")));
                }
            }
            match value {
                Some(value) => lock(&self.settings).set(&name, &value)?,
                None => lock(&self.settings).reset(Some(&name))?,
            }
            self.tell_catalog(&name);
        }
        Ok(Answer::Done { tag: "SET".to_owned() })
    }

    fn run_reset(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let name = statement.reset_name()?;
        lock(&self.settings).reset(name.as_deref())?;
        for parameter in &PARAMETERS {
            self.tell_catalog(parameter.name);
        }
        Ok(Answer::Done { tag: "RESET".to_owned() })
    }

    fn run_show(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let name = statement.shown_name();
        if name == "all" {
            return query::all_settings(&lock(&self.settings));
        }
        let value = lock(&self.settings)
            .get(&name)
            .ok_or_else(|| SessionError::new("42704", format!("unrecognized configuration parameter \"{name}\"")))?;
        query::text_row(&name, &value)
    }
}

/// The engine state of a session: its own catalog, a runtime that reaches no store.
fn state_for(shared: &Arc<Shared>, relations: &Arc<Relations>) -> Arc<parking::State> {
    let config = &shared.core.config;
    let builder = SessionStateBuilder::new()
        .with_default_features()
        .with_runtime_env(query::sealed_runtime(config.session_memory_bytes))
        .with_catalog_list(Arc::new(Databases::new(Arc::clone(relations))));
    let mut state = engine_state(builder, config);
    for function in functions::identity(&shared.principal, VERSION) {
        let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
    }
    for function in [functions::current_seller(shared), functions::fx(shared), functions::mask_margin(shared)] {
        let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
    }
    // Refused only by builds without the SQL planner.
    let _ = rate_lookup::register(&mut state, shared);
    let state = Arc::new(parking::State(state));
    relations.plan_views_with(&state);
    state
}
