//! Runs every `tests/slt/*.slt` over the demo's warehouse.
//!
//! A comment `# login: NAME` chooses whose session the following records run in; a file begins as
//! the root's admin. Decimals are shown without trailing zeros, null as `NULL`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use async_trait::async_trait;
use futures::TryStreamExt;
use ratehouse::session::{Answer, Session};
use ratehouse::{SessionError, Warehouse};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};

use crate::fixture::cell;

/// The session that the records of one file run in.
struct Database {
    warehouse: &'static Warehouse,
    login: Arc<Mutex<String>>,
    session: Option<(String, Session)>,
}

impl Database {
    fn session(&mut self) -> &Session {
        let login = self.login.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let warehouse = self.warehouse;
        if self.session.as_ref().is_none_or(|(of, _)| *of != login) {
            self.session = None;
        }
        let (_, session) = self.session.get_or_insert_with(|| {
            let principal =
                warehouse.principal(&login).expect("the catalog is there").expect("the file names a login of the demo");
            (login, warehouse.session(principal))
        });
        session
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = SessionError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SessionError> {
        match self.session().sql(sql).await? {
            Answer::Rows { schema, stream } | Answer::CopyOut { schema, stream, .. } => {
                let batches: Vec<RecordBatch> = stream.try_collect().await?;
                let types = vec![DefaultColumnType::Any; schema.fields().len()];
                Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(shown).collect() })
            }
            Answer::Done { .. } | Answer::CopyIn(_) => Ok(DBOutput::StatementComplete(0)),
        }
    }

    async fn shutdown(&mut self) {
        self.session = None;
    }

    fn engine_name(&self) -> &str {
        "ratehouse"
    }

    fn error_sql_state(error: &SessionError) -> Option<String> {
        Some(error.sqlstate.to_owned())
    }
}

fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let value = |column: &dyn Array, row| {
        if column.is_null(row) { "NULL".to_owned() } else { cell(column, row) }
    };
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| value(column.as_ref(), row)).collect())
        .collect()
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/slt");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|end| end == "slt"))
        .collect();
    files.sort();
    files
}

async fn run_file(path: &Path) -> Result<(), String> {
    let warehouse = crate::demo::warehouse().await;
    let login = Arc::new(Mutex::new("admin".to_owned()));
    let records =
        sqllogictest::parse_file::<DefaultColumnType>(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut runner = Runner::new(|| {
        let login = Arc::clone(&login);
        async move { Ok(Database { warehouse, login, session: None }) }
    });
    for record in records {
        if let Record::Comment(lines) = &record {
            let mut named = lines.iter().filter_map(|line| line.trim().strip_prefix("login: "));
            if let Some(name) = named.next_back() {
                name.trim().clone_into(&mut login.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
        runner.run_async(record).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_files_give_the_answers_that_are_written_in_them() {
    let files = files();
    assert!(!files.is_empty());
    let mut failed = Vec::new();
    for path in &files {
        if let Err(error) = run_file(path).await {
            failed.push(error);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
