//! The catalog on SQLite: one file, many readers, one writer at a time.
//!
//! Write-ahead logging with `synchronous = full`: a commit is on the disk when it returns.
//! Writers begin with `begin immediate`; a deferred transaction that upgrades later fails with
//! a snapshot error that no waiting cures.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params_from_iter};

use super::CatalogError;
use super::tx::{Row, Tx, Value};

/// How long a writer waits for the one before it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// Idle read connections kept for reuse.
const IDLE_READERS_MAX: usize = 8;
/// Prepared statements kept on each connection.
const CACHED_STATEMENTS: usize = 128;

/// A SQLite file with a pool of readers and one writer.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
}

impl Sqlite {
    /// Opens the file; `create` makes it when it is absent.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, CatalogError> {
        let writer = connect(path, create)?;
        Ok(Self { path: path.to_owned(), readers: Mutex::new(Vec::new()), writer: Mutex::new(writer) })
    }

    /// Runs `work` in one read transaction: every statement of it sees the same state.
    pub(super) fn read<T, E: From<CatalogError>>(&self, work: impl FnOnce(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        let idle = self.readers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, false)?,
        };
        let result = {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(CatalogError::from)?;
            work(&SqliteTx(&tx))
        };
        let mut readers = self.readers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if readers.len() < IDLE_READERS_MAX {
            readers.push(connection);
        }
        result
    }

    /// Runs `work` in one write transaction; an error rolls everything back.
    pub(super) fn write<T, E: From<CatalogError>>(&self, work: impl FnOnce(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        let mut connection = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(CatalogError::from)?;
        let result = work(&SqliteTx(&tx))?;
        tx.commit().map_err(CatalogError::from)?;
        Ok(result)
    }

    /// Copies the whole database to another file while others go on working.
    pub(super) fn backup(&self, to: &Path) -> Result<(), CatalogError> {
        let source = connect(&self.path, false)?;
        let mut target = Connection::open(to)?;
        let backup = rusqlite::backup::Backup::new(&source, &mut target)?;
        backup.run_to_completion(1_000, Duration::from_millis(1), None)?;
        Ok(())
    }
}

fn connect(path: &Path, create: bool) -> Result<Connection, CatalogError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

struct SqliteTx<'a>(&'a Transaction<'a>);

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::ToSqlOutput;
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(int) => ToSqlOutput::Borrowed(ValueRef::Integer(*int)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl Tx for SqliteTx<'_> {
    fn execute(&self, sql: &str, parameters: &[Value]) -> Result<usize, CatalogError> {
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(parameters))?)
    }

    fn each(
        &self,
        sql: &str,
        parameters: &[Value],
        each: &mut dyn FnMut(Row) -> Result<(), CatalogError>,
    ) -> Result<(), CatalogError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(columns);
            for at in 0..columns {
                values.push(match row.get_ref(at)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(int) => Value::Int(int),
                    ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Real(_) | ValueRef::Blob(_) => {
                        return Err(CatalogError::Shape { column: at, wanted: "integer or text" });
                    }
                });
            }
            each(Row(values))?;
        }
        Ok(())
    }
}
