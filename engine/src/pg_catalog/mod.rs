//! PostgreSQL's system catalogs for one session.
//!
//! psql, drivers and BI tools find their way by asking `pg_catalog` and `information_schema`, in SQL that is beyond a
//! warehouse's planner: correlated subqueries, `::regclass`, `OPERATOR(pg_catalog.~)`, `ARRAY(SELECT ...)`, sets in
//! select lists. Statements that touch only catalogs therefore never reach the warehouse. They run here:
//!
//! 1. [`PgCatalog::claims`] decides on the parsed statement;
//! 2. `compile` rewrites it to SQLite's SQL and finds the PostgreSQL type of every column and parameter;
//! 3. it runs on a private in-memory database, filled from [`CatalogFacts`] and PostgreSQL 15's built-in rows;
//! 4. the rows come back as Arrow, each field's metadata `pg_type` naming the PostgreSQL type the wire must speak.
//!
//! Invariants: an answer is a pure function of the facts (and of `set_config` calls of the same session); no session
//! shares anything but PostgreSQL's built-in rows; object ids are the same in every session and after every restart.
//!
//! # Example
//! ```sql
//! select c.oid::regclass, obj_description(c.oid, 'pg_class') from pg_class c where c.relkind in ('r', 'v');
//! ```

mod claims;
mod compile;
mod database;
mod directory;
mod error;
mod facts;
mod functions;
mod names;
mod oids;
mod operator_syntax;
mod parameters;
mod procedures;
mod regtypes;
mod result;
mod rows;
mod session;
mod static_data;
pub mod types;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement;
use rusqlite::Connection;
use rusqlite::types::Value;

pub use error::CatalogQueryError;
pub use facts::{
    BackendFact, CatalogFacts, Clock, ColumnFact, ForeignKeyFact, FunctionFact, FunctionKind, Privilege, RelationFact,
    RelationKind, RoleFact, SchemaFact, SettingFact,
};
pub use names::schemas_listed;
pub use oids::relation_oid;
pub use operator_syntax::with_plain_operators;
pub use session::{SettingScope, SideEffect};
pub use types::PgType;

use directory::Directory;
use session::CatalogSession;

/// A type as `format_type` and `pg_typeof` print it: `double precision`, `text[]`.
pub fn type_name(oid: u32) -> String {
    types::TYPES.format(oid, None)
}

/// Most rows a catalog query may return.
const RESULT_ROWS_MAX: usize = 1_000_000;

/// The catalogs of one session.
///
/// Nothing is built before the first catalog statement. Calls are synchronous and short (milliseconds); they hold a lock
/// for the session, so run them where blocking is allowed.
pub struct PgCatalog {
    state: Mutex<State>,
}

enum State {
    Facts(Box<CatalogFacts>),
    Open { session: Arc<CatalogSession>, connection: Connection },
}

/// The rows of a catalog statement, and what it asked of the session.
#[derive(Debug)]
pub struct CatalogAnswer {
    /// Columns; `pg_type` in each field's metadata.
    pub schema: SchemaRef,
    /// All rows.
    pub batches: Vec<RecordBatch>,
    /// Calls of `set_config`, `pg_sleep`, `pg_cancel_backend` and `pg_terminate_backend` in order, for the caller to carry out.
    pub effects: Vec<SideEffect>,
}

/// A catalog statement's parameters and columns.
#[derive(Debug)]
pub struct Described {
    /// The Arrow type of each parameter.
    pub parameters: Vec<DataType>,
    /// The PostgreSQL type of each parameter.
    pub parameter_oids: Vec<u32>,
    /// The result's columns.
    pub columns: SchemaRef,
}

impl PgCatalog {
    /// Catalogs that show these facts.
    pub fn new(facts: CatalogFacts) -> Self {
        Self { state: Mutex::new(State::Facts(Box::new(facts))) }
    }

    /// Whether a statement touches catalog relations or functions only.
    ///
    /// Decided on the parsed statement, without facts: `select * from pg_class`, `select version()`,
    /// `select 'charges'::regclass`. A statement that also touches other relations is not the catalog's.
    pub fn claims(statement: &Statement) -> bool {
        claims::claims(statement)
    }

    /// Whether a function is one of the catalog's that only tells: called with constants, it is a constant.
    pub fn tells(function: &str) -> bool {
        functions::belongs_to_catalogs(function) && !functions::acts(function) && functions::native(function).is_some()
    }

    /// Replaces what the session may see, for example after a grant changed.
    pub fn replace_facts(&self, facts: CatalogFacts) {
        *self.state() = State::Facts(Box::new(facts));
    }

    /// Tells the catalog that a run-time parameter of the session changed (`SET`, end of transaction).
    pub fn apply_setting(&self, name: &str, value: &str) {
        match &mut *self.state() {
            State::Open { session, .. } => session.apply_setting(name, value),
            State::Facts(facts) => match facts.settings.iter_mut().find(|fact| fact.name.eq_ignore_ascii_case(name)) {
                Some(fact) => value.clone_into(&mut fact.value),
                None => facts.settings.push(SettingFact {
                    name: name.to_owned(),
                    value: value.to_owned(),
                    context: "user".to_owned(),
                    value_type: "string".to_owned(),
                    ..SettingFact::default()
                }),
            },
        }
    }

    /// Finds the types of a statement's parameters and its result columns without running it.
    ///
    /// Types the client declared win; others come from what a parameter is compared with or cast to, else text.
    ///
    /// # Errors
    /// What PostgreSQL would say at Parse: 42P01, 42703, 42883, 22P02; 0A000 for what is not supported.
    pub fn describe(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Described, CatalogQueryError> {
        let mut state = self.state();
        let (session, connection) = self.opened(&mut state)?;
        let compiled = compile::compile(session, statement, &declared(parameter_types))?;
        connection.prepare(&compiled.sql).map_err(CatalogQueryError::from_sqlite)?;
        let parameters = compiled.parameters.iter().map(|oid| types::parameter_type(*oid)).collect();
        Ok(Described { parameters, parameter_oids: compiled.parameters, columns: result::schema(&compiled.columns) })
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// Those of [`Self::describe`], and what functions raise: 42P01 from `::regclass`, 42704 from `current_setting`,
    /// 22P02 from casts, 57014 when interrupted, 54000 for more than a million rows.
    ///
    /// `is_stopped` is asked now and then while it runs.
    pub fn query(
        &self,
        statement: &Statement,
        parameters: &[ScalarValue],
        is_stopped: impl FnMut() -> bool + Send + 'static,
    ) -> Result<CatalogAnswer, CatalogQueryError> {
        let mut state = self.state();
        let (session, connection) = self.opened(&mut state)?;
        let types: Vec<Option<DataType>> = parameters
            .iter()
            .map(|value| {
                Some(value.data_type()).filter(|data_type| !matches!(data_type, DataType::Utf8 | DataType::Null))
            })
            .collect();
        let compiled = compile::compile(session, statement, &declared(&types))?;
        let mut bound = Vec::new();
        for (at, oid) in compiled.parameters.iter().enumerate() {
            let given = parameters.get(at).ok_or_else(|| {
                CatalogQueryError::new("08P01", format!("the statement needs {} parameters", compiled.parameters.len()))
            })?;
            bound.push(parameters::value(given, *oid)?);
        }
        session.take_effects();
        connection
            .progress_handler(STEPS_BETWEEN_QUESTIONS, Some(is_stopped))
            .map_err(CatalogQueryError::from_sqlite)?;
        let rows = fetch(connection, &compiled.sql, bound, compiled.columns.len());
        connection.progress_handler(0, None::<fn() -> bool>).map_err(CatalogQueryError::from_sqlite)?;
        let rows = rows?;
        let schema = result::schema(&compiled.columns);
        let batch = result::batch(session, &schema, &compiled.columns, &rows)?;
        Ok(CatalogAnswer { schema, batches: vec![batch], effects: session.take_effects() })
    }

    /// The oid behind the text of a `reg...` column, for results in binary format.
    ///
    /// `type_name` is the field's `pg_type`, for example `regclass`.
    pub fn oid_of(&self, type_name: &str, text: &str) -> Option<u32> {
        let mut state = self.state();
        let (session, _) = self.opened(&mut state).ok()?;
        regtypes::parse(session, types::TYPES.named(type_name)?, text).ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened<'a>(&self, state: &'a mut State) -> Result<(&'a CatalogSession, &'a mut Connection), CatalogQueryError> {
        if let State::Facts(facts) = state {
            let session = Arc::new(CatalogSession::new(Arc::new(Directory::new((**facts).clone()))));
            let connection = database::open(&session)?;
            *state = State::Open { session, connection };
        }
        match state {
            State::Open { session, connection } => Ok((session, connection)),
            State::Facts(_) => Err(CatalogQueryError::new("XX000", "the catalog could not be opened")),
        }
    }
}

fn declared(types: &[Option<DataType>]) -> Vec<Option<u32>> {
    types.iter().map(|data_type| types::from_arrow(data_type.as_ref()?)).collect()
}

/// Steps of SQLite's machine between two questions whether to stop: well under a millisecond.
const STEPS_BETWEEN_QUESTIONS: i32 = 10_000;
/// Bytes of the texts of a result.
const RESULT_BYTES_MAX: usize = 64 << 20;

fn fetch(
    connection: &Connection,
    sql: &str,
    parameters: Vec<Value>,
    width: usize,
) -> Result<Vec<Vec<Value>>, CatalogQueryError> {
    let mut statement = connection.prepare(sql).map_err(CatalogQueryError::from_sqlite)?;
    let used = statement.parameter_count();
    let parameters = rusqlite::params_from_iter(parameters.into_iter().take(used));
    let mut cursor = statement.query(parameters).map_err(CatalogQueryError::from_sqlite)?;
    let mut rows = Vec::new();
    let mut bytes = 0_usize;
    while let Some(row) = cursor.next().map_err(CatalogQueryError::from_sqlite)? {
        if rows.len() == RESULT_ROWS_MAX {
            return Err(CatalogQueryError::new("54000", "the result of this catalog query is too large"));
        }
        let cells: Result<Vec<Value>, rusqlite::Error> = (0..width).map(|column| row.get(column)).collect();
        let cells = cells.map_err(CatalogQueryError::from_sqlite)?;
        bytes += cells.iter().map(|cell| if let Value::Text(text) = cell { text.len() } else { 8 }).sum::<usize>();
        if bytes > RESULT_BYTES_MAX {
            return Err(CatalogQueryError::new("53200", "out of memory"));
        }
        rows.push(cells);
    }
    Ok(rows)
}
