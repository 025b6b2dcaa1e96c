//! Answers SQL over a table of decimals with this crate's functions, one query a line.
//!
//! ```text
//! numeric_shell operands.csv < queries.sql
//! ```
//!
//! The file has a header; the columns `id` and `g` are integers, every other column is `numeric(38,18)`. For each line of
//! standard input the rows come out with their cells separated by commas, NULL as nothing, then a line with a single dot;
//! a query that fails gives one line that starts with `!`. `tests/postgres_decimals.py` drives it to compare with PostgreSQL.

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use ratehouse_udfs::decimal::{PRECISION, SCALE, parse_decimal};
use std::io::{BufRead, Write};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread: one partition over a table in memory needs no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn session() -> Result<SessionContext> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    let parser = &mut config.options_mut().sql_parser;
    parser.parse_float_as_decimal = true;
    parser.dialect = datafusion::config::Dialect::PostgreSQL;
    let builder = SessionStateBuilder::new_with_default_features().with_config(config);
    let mut state = ratehouse_udfs::install(builder).build();
    for rewrite in ratehouse_udfs::function_rewrites() {
        state.register_function_rewrite(rewrite)?;
    }
    Ok(SessionContext::new_with_state(state))
}

fn invalid(what: &str) -> DataFusionError {
    DataFusionError::External(what.to_owned().into())
}

/// Reads the file into one batch.
fn read_operands(path: &str) -> Result<RecordBatch> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    let header = lines.next().ok_or_else(|| invalid("the file has no header"))?;
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    for (index, name) in header.split(',').enumerate() {
        let cells = rows.iter().map(|row| row.get(index).copied().unwrap_or_default());
        let column: ArrayRef = if matches!(name, "id" | "g") {
            let values: std::result::Result<Vec<i64>, _> = cells.map(str::parse).collect();
            Arc::new(Int64Array::from(values.map_err(|_| invalid("an id is not an integer"))?))
        } else {
            let values: std::result::Result<Vec<Option<i128>>, _> = cells
                .map(
                    |cell| {
                        if cell.is_empty() { Ok(None) } else { parse_decimal(cell).map(|parsed| Some(parsed.value)) }
                    },
                )
                .collect();
            let values = values.map_err(|error| invalid(&error.to_string()))?;
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(PRECISION, SCALE)?)
        };
        columns.push((name, column));
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn answer(context: &SessionContext, sql: &str, out: &mut impl Write) -> Result<()> {
    let batches = block_on(async { context.sql(sql).await?.collect().await })?;
    let options = FormatOptions::default();
    for batch in &batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            writeln!(out, "{}", cells.join(","))?;
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| invalid("usage: numeric_shell operands.csv < queries.sql"))?;
    let context = session()?;
    context.register_batch("operands", read_operands(&path)?)?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let mut rows = Vec::new();
        match answer(&context, &line?, &mut rows) {
            Ok(()) => out.write_all(&rows)?,
            Err(error) => writeln!(out, "! {}", error.strip_backtrace().replace('\n', " "))?,
        }
        writeln!(out, ".")?;
        out.flush()?;
    }
    Ok(())
}
