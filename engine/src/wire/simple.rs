//! The simple protocol: a text of any number of statements, answered in text.
//!
//! The whole text is parsed before any of it runs. Several statements that may write are one transaction unless the text says
//! otherwise, as in Postgres: BEGIN inside turns it into an ordinary block, an error undoes all of it.

use std::sync::Arc;

use pgwire::messages::response::EmptyQueryResponse;

use super::backend::{Statement, TransactionState};
use super::command::{Command, Unit, Verb, split};
use super::connection::Connection;
use super::error::{ConnectionEnd, Stop};
use super::execute::Outlet;
use super::work::Watch;

impl Connection {
    /// Answers a Query message, up to ReadyForQuery.
    pub(crate) async fn simple_query(&mut self, sql: &str) -> Result<(), ConnectionEnd> {
        self.drop_unnamed();
        let done = self.run_text(sql).await;
        match done {
            Ok(()) => self.end_implicit_block().await?,
            Err(Stop::Statement(failure)) => self.statement_failed(&failure).await?,
            Err(Stop::Connection(end)) => return Err(end),
        }
        self.ready().await
    }

    async fn run_text(&mut self, sql: &str) -> Result<(), Stop> {
        let mut parsed = Vec::new();
        let units = split(sql)?;
        let (watch, _window) = self.start_statement();
        for unit in units {
            let statement = self.parse_unit(&unit, &watch).await?;
            parsed.push((unit, statement));
        }
        if parsed.is_empty() {
            self.link.put(&EmptyQueryResponse::new());
            return Ok(());
        }
        let together = parsed.len() > 1 && parsed.iter().any(|(unit, _)| unit.verb.may_write());
        for (unit, statement) in parsed {
            // Each statement has its own time; cancelling one ends the text.
            let (watch, _window) = self.start_statement();
            self.check_transaction(unit.verb)?;
            if self.enter_block(&unit, together, &watch).await? {
                continue;
            }
            let before = unit.characters_before;
            self.run_unit(&unit, statement, &watch).await.map_err(|stop| stop.shifted(before))?;
        }
        Ok(())
    }

    /// Parses a statement of the session's; the protocol's own need no more than they have.
    async fn parse_unit(&mut self, unit: &Unit, watch: &Watch) -> Result<Option<Arc<dyn Statement>>, Stop> {
        if unit.command != Command::Plain {
            return Ok(None);
        }
        let parsed = self.work.parse(&mut self.link, watch, &unit.sql).await;
        parsed.map(Some).map_err(|stop| stop.shifted(unit.characters_before))
    }

    /// Applies the rules of the implicit block before a statement; tells whether they have answered it.
    pub(crate) async fn enter_block(&mut self, unit: &Unit, together: bool, watch: &Watch) -> Result<bool, Stop> {
        match unit.verb {
            Verb::Begin if self.implicit_block => {
                self.implicit_block = false;
                let starts = unit.sql.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("start"));
                self.complete(if starts { "START TRANSACTION" } else { "BEGIN" }.to_owned());
                return Ok(true);
            }
            Verb::Commit | Verb::Rollback if self.implicit_block => {
                self.implicit_block = false;
                self.warn_no_block();
            }
            Verb::Begin | Verb::Commit | Verb::Rollback | Verb::RollbackTo => {}
            _ if together && self.session.transaction() == TransactionState::Idle => {
                self.run_silently("BEGIN", watch).await?;
                self.implicit_block = true;
            }
            _ => {}
        }
        Ok(false)
    }

    async fn run_unit(
        &mut self,
        unit: &Unit,
        statement: Option<Arc<dyn Statement>>,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let outlet = Outlet::simple();
        let Some(statement) = statement else {
            return self.run_command(unit, None, &outlet, watch).await;
        };
        let prepared = self.work.run(&mut self.link, watch, async move { statement.prepare(&[]).await }).await?;
        if !prepared.parameters().is_empty() {
            return Err(super::backend::Failure::new("42P02", "there is no parameter $1").into());
        }
        let answer = self.work.run(&mut self.link, watch, async move { prepared.run(Vec::new()).await }).await?;
        self.send_answer(answer, unit.verb, &outlet, watch).await
    }

    /// Runs a statement of ours without telling the client.
    pub(crate) async fn run_silently(&mut self, sql: &str, watch: &Watch) -> Result<(), Stop> {
        let statement = self.session.parse(sql)?;
        let job = async move {
            let prepared = statement.prepare(&[]).await?;
            prepared.run(Vec::new()).await.map(drop)
        };
        self.work.run(&mut self.link, watch, job).await
    }
}
