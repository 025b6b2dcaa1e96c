//! Running SQL in unit tests.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
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

/// Runs a future on this thread: with one partition and tables in memory, DataFusion needs no runtime.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
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

/// Returns a session as the engine sets one up: PostgreSQL's dialect, literals are decimals, our functions.
pub(crate) fn session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(3);
    let parser = &mut config.options_mut().sql_parser;
    parser.parse_float_as_decimal = true;
    parser.dialect = datafusion::config::Dialect::PostgreSQL;
    let builder = SessionStateBuilder::new_with_default_features().with_config(config);
    let mut state = crate::install(builder).build();
    for rewrite in crate::function_rewrites() {
        state.register_function_rewrite(rewrite).expect("a session takes rewrites");
    }
    SessionContext::new_with_state(state)
}

/// Returns a session whose plans aggregate in two phases, with a first phase that gives up after the first rows: what
/// happens on several partitions, on one.
pub(crate) fn two_phase_session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2).with_batch_size(2);
    let options = config.options_mut();
    options.sql_parser.parse_float_as_decimal = true;
    options.execution.skip_partial_aggregation_probe_rows_threshold = 2;
    options.execution.skip_partial_aggregation_probe_ratio_threshold = 0.1;
    let builder = SessionStateBuilder::new_with_default_features().with_config(config);
    // Without the rules the phases stay apart and nothing is repartitioned.
    SessionContext::new_with_state(crate::install(builder).with_physical_optimizer_rules(vec![]).build())
}

/// Runs statements and returns the batches of the last.
pub(crate) fn batches(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    block_on(async { context.sql(sql).await?.collect().await })
}

/// Runs one query and returns its rows as text: cells joined by a space, NULL as `null`.
pub(crate) fn rows_in(context: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in batches(context, sql)? {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        rows.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ")),
        );
    }
    Ok(rows)
}

/// Runs one query in a fresh session and returns its rows as text.
pub(crate) fn rows(sql: &str) -> Vec<String> {
    rows_in(&session(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Runs a query of one value in a fresh session; trailing zeros after the point are left out.
pub(crate) fn value(sql: &str) -> String {
    let rows = rows(sql);
    assert_eq!(rows.len(), 1, "{sql} has one row");
    let text = rows[0].clone();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Runs a query that fails and returns the text of the error.
pub(crate) fn error(sql: &str) -> String {
    match rows_in(&session(), sql) {
        Ok(rows) => panic!("{sql} gave {rows:?}"),
        Err(error) => error.strip_backtrace(),
    }
}
