//! Sessions: the only way to run SQL.
//!
//! A session belongs to one principal and one connection. Each statement is authorised anew,
//! takes one snapshot, passes the gates of [`crate::security::guard`], and runs over a catalog
//! that holds nothing but what its principal may see.

mod adjustments;
mod alerts;
mod approvals;
mod bounded;
mod catalog_relations;
mod catalog_values;
mod changes;
mod column_names;
mod copy_in;
mod credits_ledger;
mod dialect;
mod explain;
mod explain_charge;
mod explain_row;
mod explain_rule;
mod facts;
mod fold;
mod functions;
mod global_aggregates;
mod grammar;
mod interrupt;
mod lake_source;
mod lateral;
mod memory;
mod moment;
mod origins;
mod planning;
mod procedures;
mod provider_credits;
mod query;
mod rate_lookup;
mod relation_catalog;
mod restated;
mod row_source;
mod scope_rows;
mod series;
mod settings;
mod simulate_rate_card;
mod size;
mod statement;
mod table_function;
mod transaction;
mod users;
mod verify_audit;
mod views;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{LockTableMode, Statement as Ast};
use tokio_util::sync::CancellationToken;

use crate::catalog::SnapshotId;
use crate::pg_catalog::{PgCatalog, schemas_listed};
use crate::reference::Overlay;
use crate::security::guard::{self, Kind};
use crate::security::policy::Action;
use crate::security::{Principal, SessionError};
use crate::warehouse::{Warehouse, engine_state_with};

pub use copy_in::{CopyIn, CopyText};
pub(crate) use procedures::state_after;
pub use settings::{PARAMETERS, SERVER_VERSION};
pub use statement::Statement;
pub use transaction::TransactionState;
pub use users::verifier_of;

pub(crate) use global_aggregates::around_filters;
pub(crate) use lateral::LateralRows;
pub(crate) use memory::SessionMemory;
pub(crate) use moment::Shared;
use query::PlannedQuery;
use relation_catalog::{Databases, Relations, parking};
use settings::Settings;
use statement::Assignment;
use transaction::Block;
pub(crate) use views::ColumnsOfViews;
pub(crate) use write::mark_reached;

/// What `version()` says.
pub(crate) const VERSION: &str = concat!("PostgreSQL 15.8 (compatible; Ratehouse ", env!("CARGO_PKG_VERSION"), ")");

/// A statement planned for one session.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The statement.
    pub statement: Statement,
    /// The type of each parameter, in order.
    pub parameters: Vec<DataType>,
    /// The object ids under which they are announced, where their types do not say it.
    pub parameter_oids: Vec<u32>,
    /// The result's columns; none when it returns no rows.
    pub columns: Option<SchemaRef>,
    /// A query's plan, to be used as long as it would be planned the same; queries of the system catalogs have none.
    query: Option<PlannedQuery>,
    /// What it takes of the login's memory, given back with it.
    _memory: Option<Arc<MemoryReservation>>,
}

impl Prepared {
    fn new(statement: &Statement, parameters: Vec<DataType>, columns: Option<SchemaRef>) -> Self {
        Self {
            statement: statement.clone(),
            parameters,
            parameter_oids: Vec::new(),
            columns,
            query: None,
            _memory: None,
        }
    }
}

/// Bytes that a statement and its plan take for each byte of text: 60 were measured for a list of texts.
const PREPARED_BYTES: usize = 64;

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

/// A message beside an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    /// The SQLSTATE.
    pub sqlstate: &'static str,
    /// What it says.
    pub text: String,
}

/// The parameter that makes a session read the past.
const SNAPSHOT: &str = "ratehouse.snapshot";

/// One principal's session.
pub struct Session {
    warehouse: Warehouse,
    shared: Arc<Shared>,
    relations: Arc<Relations>,
    state: Arc<parking::State>,
    settings: Mutex<Settings>,
    block: Mutex<Block>,
    notices: Mutex<Vec<Notice>>,
    pg_catalog: OnceLock<PgCatalog>,
    /// Fires when the statement that runs is to stop.
    stop: planning::Stop,
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
        let stop = planning::Stop::default();
        let state = state_for(&shared, &relations, &stop);
        Self {
            warehouse,
            shared,
            relations,
            state,
            settings: Mutex::new(settings),
            block: Mutex::default(),
            notices: Mutex::default(),
            pg_catalog: OnceLock::new(),
            stop,
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
        if name.eq_ignore_ascii_case(SNAPSHOT) {
            return Err(SessionError::new(
                "55P02",
                "parameter \"ratehouse.snapshot\" cannot be set when a session begins",
            )
            .hint("use set"));
        }
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

    /// Names what fires when the statements from now on are to stop: some loops ask it, where dropping their stream has no effect.
    pub fn stop_with(&self, stop: CancellationToken) {
        *lock(&self.stop) = stop;
    }

    /// How long a statement may run: what the session asks for, within what the warehouse allows.
    pub fn statement_timeout(&self) -> Option<Duration> {
        let most = self.shared.core.config.statement_timeout_max;
        Some(lock(&self.settings).statement_timeout().map_or(most, |asked| asked.min(most)))
    }

    /// Messages for the client since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut lock(&self.notices))
    }

    fn notice(&self, text: impl Into<String>) {
        lock(&self.notices).push(Notice { severity: "NOTICE", sqlstate: "00000", text: text.into() });
    }

    fn warn(&self, sqlstate: &'static str, text: &str) {
        lock(&self.notices).push(Notice { severity: "WARNING", sqlstate, text: text.to_owned() });
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
        let memory = self.reserve("statement", statement.text().len().saturating_mul(PREPARED_BYTES))?;
        let prepared = match statement.kind()? {
            Kind::Query | Kind::Explain | Kind::CopyOut => {
                self.begin_statement()?;
                planning::apart(self.describe(statement, parameter_types)).await?
            }
            Kind::Show => Prepared::new(statement, Vec::new(), Some(query::one_text_column(&statement.shown_name()))),
            Kind::Write => {
                self.begin_statement()?;
                let parameters = self.write_parameters(statement, parameter_types).await?;
                Prepared::new(statement, parameters, None)
            }
            Kind::Call => Prepared::new(statement, procedures::parameters(statement, parameter_types), None),
            Kind::CopyIn | Kind::Set | Kind::Reset | Kind::Transaction | Kind::Lock | Kind::Nothing => {
                Prepared::new(statement, Vec::new(), None)
            }
        };
        Ok(Prepared { _memory: Some(Arc::new(memory)), ..prepared })
    }

    /// Takes part of the login's memory.
    ///
    /// # Errors
    /// `53200` when there is not enough.
    fn reserve(&self, what: &str, bytes: usize) -> Result<MemoryReservation, SessionError> {
        let reservation = MemoryConsumer::new(what).register(&self.state.0.runtime_env().memory_pool);
        reservation.try_grow(bytes)?;
        Ok(reservation)
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
            Kind::Lock => {
                self.begin_statement()?;
                self.run_lock(statement)
            }
            Kind::Set => self.run_set(statement),
            Kind::Reset => self.run_reset(statement),
            Kind::Show => self.run_show(statement),
            Kind::Query | Kind::Explain | Kind::CopyOut => {
                self.begin_statement()?;
                self.run_query(prepared, &parameters).await
            }
            Kind::Write => {
                self.check_writable(statement)?;
                self.begin_statement()?;
                self.run_write(statement, &parameters).await
            }
            Kind::CopyIn => {
                self.check_writable(statement)?;
                self.begin_statement()?;
                self.run_copy_in(statement)
            }
            Kind::Call => {
                self.check_writable(statement)?;
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
        self.check_grant()?;
        let head = self.shared.core.catalog.head()?;
        let mut block = lock(&self.block);
        let mut snapshot = block.snapshot(head);
        let chosen = lock(&self.settings).get(SNAPSHOT);
        if let Some(past) = chosen.and_then(|text| text.parse::<SnapshotId>().ok()) {
            snapshot = past;
        }
        if self.shared.moment().snapshot != snapshot {
            self.relations.forget_views();
        }
        let path = lock(&self.settings).get("search_path").unwrap_or_default();
        self.relations.look_in(schemas_listed(&path, &self.shared.principal.login));
        self.shared.set_moment(snapshot, block.overlay()).map_err(crate::error::Error::shown)
    }

    /// Whether the login is still what it was when the session began.
    ///
    /// # Errors
    /// `57P01` when it was changed, disabled or dropped: the session has to end.
    pub fn check_grant(&self) -> Result<(), SessionError> {
        let principal = &self.shared.principal;
        let now = self.shared.core.principal(&principal.login).map_err(crate::error::Error::shown)?;
        if self.shared.fixed.is_none() && now.as_ref() != Some(principal) {
            return Err(SessionError::new("57P01", "the login was changed or disabled: connect again"));
        }
        Ok(())
    }

    fn may(&self, action: Action, what: &str) -> Result<(), SessionError> {
        self.shared.may(action, what)
    }

    fn run_transaction(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let mut tag = statement.tag();
        let mut block = lock(&self.block);
        match statement.ast()? {
            Ast::StartTransaction { .. } => {
                if !block.begin(lock(&self.settings).values()) {
                    self.warn("25001", "there is already a transaction in progress");
                }
                drop(block);
                self.assign_all(statement.assignments()?)?;
            }
            Ast::Commit { .. } | Ast::Rollback { savepoint: None, .. } if block.state() == TransactionState::Idle => {
                self.warn("25P01", "there is no transaction in progress");
            }
            Ast::Commit { .. } => {
                self.check_grant()?;
                let (overlay, settings) = block.end();
                drop(block);
                let committed = match &overlay {
                    Some(overlay) => self.commit(overlay, "transaction"),
                    None => Ok(()),
                };
                if overlay.is_some() && committed.is_ok() {
                    self.change_settings(|present| present.end_block());
                } else {
                    self.change_settings(|present| present.restore(settings));
                    "ROLLBACK".clone_into(&mut tag);
                }
                committed?;
            }
            Ast::Rollback { savepoint: Some(name), .. } => {
                let settings = block.rollback_to(&name.value)?;
                drop(block);
                self.change_settings(|present| present.restore(settings));
            }
            Ast::Rollback { .. } => {
                let (_, settings) = block.end();
                drop(block);
                self.change_settings(|present| present.restore(settings));
            }
            Ast::Savepoint { name } => block.savepoint(&name.value, lock(&self.settings).values())?,
            Ast::ReleaseSavepoint { name } => block.release(&name.value)?,
            _ => return Err(SessionError::unsupported("this statement")),
        }
        Ok(Answer::Done { tag })
    }

    /// `lock table ... in access share mode`: a block reads one snapshot, which nobody can take away. Stronger locks would keep
    /// others waiting, and nothing here does: of two writers the one that commits last is told.
    fn run_lock(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let Ast::Lock(lock_table) = statement.ast()? else { return Err(SessionError::unsupported("this statement")) };
        if lock(&self.block).state() == TransactionState::Idle {
            return Err(SessionError::new("25P01", "LOCK TABLE can only be used in transaction blocks"));
        }
        for target in &lock_table.tables {
            let parts = guard::name_parts(&target.name);
            let path: Vec<&str> = parts.iter().map(String::as_str).collect();
            self.relations.named(&path).ok_or_else(|| SessionError::no_relation(&parts.join(".")))?;
        }
        if lock_table.lock_mode != Some(LockTableMode::AccessShare) {
            return Err(SessionError::unsupported("this lock mode").hint(
                "use access share: a block reads one snapshot, and a commit that another one precedes is refused",
            ));
        }
        Ok(Answer::Done { tag: statement.tag() })
    }

    /// Changes many settings at once, and tells the system catalogs.
    fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = lock(&self.settings);
        let (before, own) = (settings.values().clone(), settings.own_names());
        change(&mut settings);
        let is_changed = *settings.values() != before;
        drop(settings);
        if is_changed {
            for name in PARAMETERS.iter().map(|parameter| parameter.name).chain(own.iter().map(String::as_str)) {
                self.tell_catalog(name);
            }
        }
    }

    /// Sets a parameter, for the block only if so asked and there is one.
    fn assign(&self, name: &str, value: Option<&str>, is_local: bool) -> Result<(), SessionError> {
        if let (true, Some(value)) = (name.eq_ignore_ascii_case(SNAPSHOT), value) {
            self.may_travel_to(value)?;
        }
        let in_block = lock(&self.block).state() != TransactionState::Idle;
        let mut settings = lock(&self.settings);
        match value {
            // The value is checked all the same.
            Some(value) if is_local && !in_block => settings.clone().set(name, value)?,
            Some(value) if is_local => settings.set_local(name, value)?,
            Some(value) => settings.set(name, value)?,
            None if is_local && !in_block => {}
            None => settings.reset(Some(name))?,
        }
        Ok(())
    }

    /// Writes reference changes as one commit and marks what they make stale.
    fn commit(&self, overlay: &Overlay, note: &str) -> Result<(), SessionError> {
        if overlay.is_empty() {
            return Ok(());
        }
        write::commit(&self.shared, overlay, note)
    }

    /// Whether the caller may read that snapshot.
    fn may_travel_to(&self, value: &str) -> Result<(), SessionError> {
        self.begin_statement()?;
        self.may(Action::TimeTravel, "parameter ratehouse.snapshot")?;
        let head = self.shared.core.catalog.head()?;
        if value == "default" || value.parse().is_ok_and(|snapshot: SnapshotId| (1..=head).contains(&snapshot)) {
            return Ok(());
        }
        Err(SessionError::new("22023", "ratehouse.snapshot is a snapshot id or default")
            .hint(format!("the newest snapshot is {head}; ops.snapshots lists them")))
    }

    fn run_set(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let assignments = statement.assignments()?;
        let is_local = assignments.first().is_some_and(|assignment| assignment.is_local);
        if is_local && lock(&self.block).state() == TransactionState::Idle {
            self.warn("25P01", "SET LOCAL can only be used in transaction blocks");
        }
        self.assign_all(assignments)?;
        Ok(Answer::Done { tag: "SET".to_owned() })
    }

    fn assign_all(&self, assignments: Vec<Assignment>) -> Result<(), SessionError> {
        for Assignment { name, value, is_local } in assignments {
            self.assign(&name, value.as_deref(), is_local)?;
            self.tell_catalog(&name);
        }
        Ok(())
    }

    /// Refuses what writes in a transaction that may not.
    fn check_writable(&self, statement: &Statement) -> Result<(), SessionError> {
        if lock(&self.settings).is_read_only() {
            let text = format!("cannot execute {} in a read-only transaction", statement.verb());
            return Err(SessionError::new("25006", text));
        }
        Ok(())
    }

    fn run_reset(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let name = statement.reset_name()?;
        if name.as_deref() == Some("role") {
            // Nobody has another role than the own one.
            return Ok(Answer::Done { tag: "RESET".to_owned() });
        }
        let mut reset = Ok(());
        self.change_settings(|settings| reset = settings.reset(name.as_deref()));
        reset?;
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
fn state_for(shared: &Arc<Shared>, relations: &Arc<Relations>, stop: &planning::Stop) -> Arc<parking::State> {
    let config = &shared.core.config;
    let states = series::States::new(shared.core.catalog.directory(), &shared.principal);
    let builder = SessionStateBuilder::new()
        .with_default_features()
        .with_query_planner(Arc::new(series::SeriesPlanner(Arc::new(states))))
        .with_runtime_env(query::sealed_runtime(&shared.core, &shared.principal.login))
        .with_catalog_list(Arc::new(Databases::new(Arc::clone(relations))));
    let mut state = engine_state_with(builder, config, |rules| planning::asking(rules, stop));
    state.add_analyzer_rule(planning::question(stop));
    bounded::bound(&mut state);
    for function in functions::identity(&shared.principal, VERSION) {
        let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
    }
    let of_session = [
        functions::current_seller(shared),
        functions::fx(shared),
        functions::mask_margin(shared),
        functions::pg_typeof(),
        verify_audit::verify_audit(shared),
    ];
    for function in of_session {
        let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, function);
    }
    // Refused only by builds without the SQL planner.
    let _ = rate_lookup::register(&mut state, shared);
    let _ = explain_charge::register(&mut state, shared);
    let _ = explain_rule::register(&mut state, shared);
    let _ = explain_row::register(&mut state, shared);
    let _ = simulate_rate_card::register(&mut state, shared);
    let _ = series::register(&mut state);
    let state = Arc::new(parking::State(state));
    relations.plan_views_with(&state);
    state
}
