//! Runs every `tests/slt/*.slt`, over the demo's warehouse unless the file says otherwise.
//!
//! Comments say where and as whom the records after them run:
//!
//! - `# login: NAME`: in a session of that login; a file, and a new warehouse, begins as the root's admin;
//! - `# warehouse: empty`: over a new warehouse whose root is `dist` (USD);
//! - `# land FILE: column,column ...` and a comment line for each row: lands FOCUS lines of October 2025 of Globex' account B1.
//!   Columns are fields of `fixture::Line`; those left out are as in `Line::october`.
//!
//! Decimals are shown without trailing zeros, null as `NULL`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use async_trait::async_trait;
use futures::TryStreamExt;
use ratehouse::session::{Answer, Session};
use ratehouse::{SessionError, Warehouse};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};
use tokio::sync::Mutex;

use crate::fixture::{Fixture, Line, cell};

/// Where records run, and as whom.
struct Place {
    demo: &'static Warehouse,
    own: Option<Fixture>,
    login: String,
    session: Option<Session>,
}

impl Place {
    fn session(&mut self) -> &Session {
        let warehouse = self.own.as_ref().map_or(self.demo, |fixture| &fixture.warehouse);
        let login = &self.login;
        self.session.get_or_insert_with(|| {
            let principal = warehouse.principal(login).expect("the catalog is there");
            warehouse.session(principal.unwrap_or_else(|| panic!("there is no login {login}")))
        })
    }

    /// Does what comments ask for.
    async fn heed(&mut self, comments: &[String]) {
        let mut comments = comments.iter().map(|comment| comment.trim());
        while let Some(comment) = comments.next() {
            if let Some(login) = comment.strip_prefix("login: ") {
                (self.login, self.session) = (login.to_owned(), None);
            } else if comment == "warehouse: empty" {
                (self.own, self.login, self.session) = (Some(Fixture::empty()), "admin".to_owned(), None);
            } else if let Some((file, columns)) = comment.strip_prefix("land ").and_then(|rest| rest.split_once(": ")) {
                let rows: Vec<&str> = comments.by_ref().collect();
                let columns: Vec<&str> = columns.split(',').collect();
                let lines: Vec<Line<'_>> = rows.iter().map(|row| line(&columns, row)).collect();
                let own = self.own.as_ref().expect("files land in a warehouse of the file's own");
                own.land(file, &lines).await;
            }
        }
    }
}

/// A line with these fields.
fn line<'a>(columns: &[&str], row: &'a str) -> Line<'a> {
    let mut line = Line::october("", "0");
    let fields: Vec<&str> = row.split(',').collect();
    assert_eq!(fields.len(), columns.len(), "{row}");
    for (column, value) in columns.iter().zip(fields) {
        match *column {
            "account" => line.account = value,
            "cost" => (line.billed, line.effective, line.list) = (value, value, value),
            "from" => line.from = value,
            "to" => line.to = value,
            "category" => line.category = value,
            "resource" => line.resource = value,
            "service_category" => line.service_category = value,
            "service" => line.service = value,
            "sku" => line.sku = value,
            "quantity" => line.quantity = value,
            "unit" => line.unit = value,
            other => panic!("{other} is no column of a line"),
        }
    }
    line
}

/// The place as the runner knows it.
struct Database(Arc<Mutex<Place>>);

#[async_trait]
impl AsyncDB for Database {
    type Error = SessionError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SessionError> {
        let mut place = self.0.lock().await;
        match place.session().sql(sql).await? {
            Answer::Rows { schema, stream } | Answer::CopyOut { schema, stream, .. } => {
                let batches: Vec<RecordBatch> = stream.try_collect().await?;
                let types = vec![DefaultColumnType::Any; schema.fields().len()];
                Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(shown).collect() })
            }
            Answer::Done { .. } | Answer::CopyIn(_) => Ok(DBOutput::StatementComplete(0)),
        }
    }

    async fn shutdown(&mut self) {
        self.0.lock().await.session = None;
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
    let demo = crate::demo::warehouse().await;
    let place = Place { demo, own: None, login: "admin".to_owned(), session: None };
    let place = Arc::new(Mutex::new(place));
    let records =
        sqllogictest::parse_file::<DefaultColumnType>(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut runner = Runner::new(|| {
        let place = Arc::clone(&place);
        async move { Ok(Database(place)) }
    });
    for record in records {
        if let Record::Comment(lines) = &record {
            place.lock().await.heed(lines).await;
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
