//! The private SQLite database of a session: PostgreSQL's built-in rows from a template, the session's own on top.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ToSql, params_from_iter};

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::compile::compile;
use super::directory::Directory;
use super::error::CatalogQueryError;
use super::facts::CatalogFacts;
use super::functions;
use super::names::always_quoted;
use super::session::CatalogSession;
use super::static_data::{SYSTEM_RELATIONS, StaticTable, SystemRelation, TABLES, VIEWS, system_relation};
use super::types::{FLOAT4, FLOAT8, TYPES, is_instant, is_integer};

/// Opens a database with everything a session may see.
///
/// # Errors
/// Only on defects of the built-in data, which tests rule out.
pub(super) fn open(session: &Arc<CatalogSession>) -> Result<Connection, CatalogQueryError> {
    let mut connection = Connection::open_in_memory().map_err(CatalogQueryError::from_sqlite)?;
    {
        let template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
        let template = template.as_ref().map_err(Clone::clone)?;
        let backup = Backup::new(template, &mut connection).map_err(CatalogQueryError::from_sqlite)?;
        backup.step(-1).map_err(CatalogQueryError::from_sqlite)?;
    }
    prepare(&connection, session).map_err(CatalogQueryError::from_sqlite)?;
    super::rows::insert_session_rows(&mut connection, session).map_err(CatalogQueryError::from_sqlite)?;
    Ok(connection)
}

/// Bytes of one text: a query may join texts to ever longer ones.
const TEXT_BYTES_MAX: i32 = 4 << 20;

fn prepare(connection: &Connection, session: &Arc<CatalogSession>) -> Result<(), rusqlite::Error> {
    // an unknown name in double quotes is an error, never a text
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, TEXT_BYTES_MAX)?;
    functions::register(connection, session)
}

static TEMPLATE: LazyLock<Mutex<Result<Connection, CatalogQueryError>>> = LazyLock::new(|| Mutex::new(template()));

/// The names of the views in `views.sql`, each with its definition.
pub(super) fn view_texts() -> impl Iterator<Item = (&'static SystemRelation, &'static str)> {
    VIEWS.split("-- ").filter_map(|part| {
        let (name, text) = part.split_once('\n')?;
        let (schema, name) = name.trim().split_once('.')?;
        Some((system_relation(schema, name)?, text.trim().trim_end_matches(';')))
    })
}

fn template() -> Result<Connection, CatalogQueryError> {
    let session = Arc::new(CatalogSession::new(Arc::new(Directory::new(CatalogFacts::empty()))));
    let connection = Connection::open_in_memory().map_err(CatalogQueryError::from_sqlite)?;
    prepare(&connection, &session).map_err(CatalogQueryError::from_sqlite)?;
    let views: Vec<_> = view_texts().collect();
    for relation in SYSTEM_RELATIONS.iter() {
        if !views.iter().any(|(view, _)| view.oid == relation.oid) {
            connection.execute_batch(&create_table(relation)).map_err(CatalogQueryError::from_sqlite)?;
        }
    }
    connection.execute_batch("BEGIN").map_err(CatalogQueryError::from_sqlite)?;
    for (name, text) in TABLES {
        load(&connection, name, text).map_err(CatalogQueryError::from_sqlite)?;
    }
    super::rows::insert_system_relations(&connection).map_err(CatalogQueryError::from_sqlite)?;
    connection.execute_batch(INDEXES).map_err(CatalogQueryError::from_sqlite)?;
    connection.execute_batch("COMMIT").map_err(CatalogQueryError::from_sqlite)?;
    for (relation, text) in views {
        create_view(&connection, &session, relation, text)?;
    }
    Ok(connection)
}

const INDEXES: &str = r#"
    CREATE INDEX class_name ON "pg_catalog.pg_class" (relname);
    CREATE INDEX attribute_relation ON "pg_catalog.pg_attribute" (attrelid, attnum);
    CREATE INDEX attribute_default ON "pg_catalog.pg_attrdef" (adrelid, adnum);
    CREATE INDEX constraint_relation ON "pg_catalog.pg_constraint" (conrelid);
    CREATE INDEX description_object ON "pg_catalog.pg_description" (objoid, classoid, objsubid);
    CREATE INDEX index_relation ON "pg_catalog.pg_index" (indrelid);
    CREATE INDEX procedure_name ON "pg_catalog.pg_proc" (proname);
    CREATE INDEX type_name ON "pg_catalog.pg_type" (typname);
"#;

fn create_table(relation: &SystemRelation) -> String {
    let columns: Vec<String> = relation
        .columns
        .iter()
        .map(|column| {
            let oid = TYPES.base_of(column.type_oid);
            let name = always_quoted(column.name);
            let is_whole = is_integer(oid) || is_instant(oid) || oid == super::types::BOOL;
            if column.name == "oid" {
                return format!("{name} INTEGER PRIMARY KEY");
            }
            let (affinity, default) = match oid {
                FLOAT4 | FLOAT8 => ("REAL", "0"),
                _ if is_whole => ("INTEGER", "0"),
                _ if TYPES.element_of(oid).is_some() => ("TEXT", "'[]'"),
                _ => ("TEXT", "''"),
            };
            if column.not_null {
                format!("{name} {affinity} NOT NULL DEFAULT {default}")
            } else {
                format!("{name} {affinity}")
            }
        })
        .collect();
    format!("CREATE TABLE {} ({})", always_quoted(&relation.sqlite_name()), columns.join(", "))
}

fn load(connection: &Connection, name: &str, text: &'static str) -> Result<(), rusqlite::Error> {
    let table = StaticTable::parse(text);
    let columns: Vec<String> = table.columns().map(always_quoted).collect();
    let marks: Vec<&str> = columns.iter().map(|_| "?").collect();
    let sql = format!("INSERT INTO \"pg_catalog.{name}\" ({}) VALUES ({})", columns.join(", "), marks.join(", "));
    let mut statement = connection.prepare(&sql)?;
    for row in table.rows() {
        statement.execute(params_from_iter(row.cells()))?;
    }
    Ok(())
}

fn create_view(
    connection: &Connection,
    session: &CatalogSession,
    relation: &SystemRelation,
    text: &str,
) -> Result<(), CatalogQueryError> {
    let defect = |what: String| CatalogQueryError::new("XX000", format!("view {}: {what}", relation.sqlite_name()));
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(|error| defect(error.to_string()))?;
    let statement = statements.first().ok_or_else(|| defect("no statement".to_owned()))?;
    let compiled = compile(session, statement, &[]).map_err(|error| defect(error.message))?;
    let columns: Vec<String> = relation.columns.iter().map(|column| always_quoted(column.name)).collect();
    let sql =
        format!("CREATE VIEW {} ({}) AS {}", always_quoted(&relation.sqlite_name()), columns.join(", "), compiled.sql);
    connection.execute_batch(&sql).map_err(|error| defect(error.to_string()))
}

/// Inserts one row; columns that are not named take their defaults.
///
/// # Errors
/// Those of SQLite.
pub(super) fn insert(
    connection: &Connection,
    table: &str,
    cells: &[(&str, &dyn ToSql)],
) -> Result<(), rusqlite::Error> {
    let columns: Vec<String> = cells.iter().map(|(column, _)| always_quoted(column)).collect();
    let marks: Vec<&str> = cells.iter().map(|_| "?").collect();
    let sql = format!("INSERT INTO \"pg_catalog.{table}\" ({}) VALUES ({})", columns.join(", "), marks.join(", "));
    let mut statement = connection.prepare_cached(&sql)?;
    statement.execute(params_from_iter(cells.iter().map(|(_, value)| *value)))?;
    Ok(())
}
