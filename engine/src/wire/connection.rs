//! A connection after login: reads messages, dispatches them, keeps the rules that hold for all of them.

use std::sync::Arc;

use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backend::{BackendSession, Failure, Notice, TransactionState};
use super::cancel::{Registration, StatementWindow};
use super::command::Verb;
use super::config::Limits;
use super::error::{ConnectionEnd, Severity, Stop};
use super::link::Link;
use super::message::{Frontend, is_known};
use super::portal::{Hold, Named, Portal, PreparedStatement, UNNAMED};
use super::settings::Reported;
use super::types::OutputSettings;
use super::work::{Watch, Work, shutting_down};

/// One authenticated connection.
pub(crate) struct Connection {
    pub(crate) link: Link,
    pub(crate) session: Arc<dyn BackendSession>,
    pub(crate) work: Work,
    pub(crate) limits: Limits,
    pub(crate) statements: Named<PreparedStatement>,
    pub(crate) portals: Named<Portal>,
    /// Whether the open block was opened by us, for several statements that belong together.
    pub(crate) implicit_block: bool,
    registration: Registration,
    reported: Reported,
    /// After an error in the extended protocol, everything up to Sync is skipped.
    skipping: bool,
    closing: CancellationToken,
}

/// What a connection is made of.
pub(crate) struct ConnectionParts {
    pub(crate) link: Link,
    pub(crate) session: Arc<dyn BackendSession>,
    pub(crate) work: Work,
    pub(crate) limits: Limits,
    pub(crate) registration: Registration,
    pub(crate) reported: Reported,
    pub(crate) closing: CancellationToken,
}

impl Connection {
    /// Takes over a connection whose login is done.
    pub(crate) fn new(parts: ConnectionParts) -> Self {
        Self {
            statements: Named::new(parts.limits.statements_max, "prepared statements"),
            portals: Named::new(parts.limits.portals_max, "portals and cursors"),
            link: parts.link,
            session: parts.session,
            work: parts.work,
            limits: parts.limits,
            implicit_block: false,
            registration: parts.registration,
            reported: parts.reported,
            skipping: false,
            closing: parts.closing,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn serve(mut self) {
        let last = match self.run().await {
            ConnectionEnd::Fatal(failure) => Some(failure),
            ConnectionEnd::Terminated | ConnectionEnd::Gone => None,
        };
        // Stops every query of the connection before the client is told.
        self.portals.clear();
        self.link.close(last).await;
    }

    async fn run(&mut self) -> ConnectionEnd {
        if let Err(end) = self.ready().await {
            return end;
        }
        loop {
            let message = match self.next_message().await {
                Ok(message) => message,
                Err(Stop::Connection(end)) => return end,
                Err(Stop::Statement(_)) if self.skipping => continue,
                Err(Stop::Statement(failure)) => {
                    if let Err(end) = self.statement_failed(&failure).await {
                        return end;
                    }
                    // A malformed message leaves the protocol in step, but what it was part of is lost.
                    self.skipping = true;
                    continue;
                }
            };
            if self.skipping && !matches!(message, Frontend::Sync | Frontend::Terminate) {
                continue;
            }
            if let Err(end) = self.dispatch(message).await {
                return end;
            }
        }
    }

    async fn next_message(&mut self) -> Result<Frontend, Stop> {
        let patience = self.session.idle_timeout().unwrap_or(self.limits.idle_timeout);
        let frame = tokio::select! {
            biased;
            () = self.closing.cancelled() => return Err(ConnectionEnd::Fatal(shutting_down()).into()),
            frame = timeout(patience, self.link.frame(self.limits.message_bytes_max, is_known)) => frame,
        };
        let idle = || ConnectionEnd::Fatal(Failure::new("57P05", "terminating connection due to idle-session timeout"));
        let frame = frame.map_err(|_| idle())??;
        let is_query = frame.tag == b'Q';
        match Frontend::decode(frame.tag, frame.body) {
            Ok(message) => Ok(message),
            // Nothing follows a simple query that could be skipped up to.
            Err(failure) if is_query && failure.sqlstate == "22021" => {
                self.statement_failed(&failure).await?;
                self.ready().await?;
                Ok(Frontend::Copy)
            }
            Err(failure) if failure.sqlstate == "08P01" => Err(ConnectionEnd::Fatal(failure).into()),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn dispatch(&mut self, message: Frontend) -> Result<(), ConnectionEnd> {
        let done = match message {
            Frontend::Query(sql) => return self.simple_query(&sql).await,
            Frontend::Sync => return self.sync().await,
            Frontend::Terminate => return Err(ConnectionEnd::Terminated),
            Frontend::Copy => Ok(()),
            Frontend::FunctionCall => {
                let failure = Failure::new("0A000", "the function call protocol is not supported");
                self.statement_failed(&failure).await?;
                return self.ready().await;
            }
            Frontend::Flush => self.link.flush().await.map_err(Stop::from),
            Frontend::Parse { name, sql, parameter_oids } => self.parse(&name, &sql, &parameter_oids).await,
            Frontend::Bind(bind) => self.bind(bind),
            Frontend::Describe { target, name } => self.describe(target, &name),
            Frontend::Execute { portal, max_rows } => self.execute(&portal, max_rows).await,
            Frontend::Close { target, name } => {
                self.close(target, &name);
                Ok(())
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Connection(end)) => Err(end),
            Err(Stop::Statement(failure)) => {
                self.skipping = true;
                self.statement_failed(&failure).await
            }
        }
    }

    async fn sync(&mut self) -> Result<(), ConnectionEnd> {
        self.skipping = false;
        self.end_implicit_block().await?;
        self.ready().await
    }

    /// Ends the block that was opened for statements that belong together; its failure is reported.
    pub(crate) async fn end_implicit_block(&mut self) -> Result<(), ConnectionEnd> {
        if !std::mem::take(&mut self.implicit_block) {
            return Ok(());
        }
        let (watch, _window) = self.start_statement();
        match self.run_silently("COMMIT", &watch).await {
            Ok(()) => Ok(()),
            Err(Stop::Connection(end)) => Err(end),
            Err(Stop::Statement(failure)) => self.statement_failed(&failure).await,
        }
    }

    /// Opens the window in which a statement can be cancelled, and starts its clock.
    pub(crate) fn start_statement(&self) -> (Watch, StatementWindow) {
        let window = self.registration.begin_statement();
        let watch = Watch::start(window.token.clone(), self.session.statement_timeout(), self.closing.clone());
        self.session.begin_statement(watch.stop().clone());
        (watch, window)
    }

    /// Reports a failed statement and applies what that means for the transaction.
    pub(crate) async fn statement_failed(&mut self, failure: &Failure) -> Result<(), ConnectionEnd> {
        self.link.put_notices(self.session.take_notices());
        if failure.sqlstate == "57P01" {
            return Err(ConnectionEnd::Fatal(failure.clone()));
        }
        self.link.put_failure(Severity::Error, failure);
        if self.session.transaction() == TransactionState::Open {
            self.session.fail_transaction();
        }
        if std::mem::take(&mut self.implicit_block) {
            let watch = Watch::start(CancellationToken::new(), None, self.closing.clone());
            match self.run_silently("ROLLBACK", &watch).await {
                Err(Stop::Connection(end)) => return Err(end),
                Err(Stop::Statement(failure)) => {
                    tracing::error!(%failure, "an implicit block could not be rolled back")
                }
                Ok(()) => {}
            }
        }
        self.link.flush().await
    }

    /// Refuses everything but the end of a failed block. Errors: 25P02.
    pub(crate) fn check_transaction(&self, verb: Verb) -> Result<(), Failure> {
        if self.session.transaction() == TransactionState::Failed && !verb.ends_failed_transaction() {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Failure::new("25P02", message));
        }
        Ok(())
    }

    /// Reports a completed statement: notices, changed parameters, the tag.
    pub(crate) fn complete(&mut self, tag: String) {
        self.link.put_notices(self.session.take_notices());
        self.after_transaction(&tag);
        self.reported.send_changes(&*self.session, &mut self.link);
        self.link.put(&CommandComplete::new(tag));
    }

    fn after_transaction(&mut self, tag: &str) {
        if self.session.transaction() != TransactionState::Idle {
            return;
        }
        if tag == "ROLLBACK" {
            self.portals.retain(|portal| portal.holds == Hold::Connection);
        } else if tag == "COMMIT" {
            self.end_transaction_of_portals();
        }
    }

    fn end_transaction_of_portals(&mut self) {
        self.portals.retain(|portal| match portal.holds {
            Hold::UntilEnd => false,
            Hold::FromCommit | Hold::Connection => {
                portal.holds = Hold::Connection;
                true
            }
        });
    }

    /// Tells the client that it may go on, and where its transaction stands.
    pub(crate) async fn ready(&mut self) -> Result<(), ConnectionEnd> {
        let status = match self.session.transaction() {
            TransactionState::Idle => {
                self.end_transaction_of_portals();
                TransactionStatus::Idle
            }
            TransactionState::Open => TransactionStatus::Transaction,
            // Cursors stay: ROLLBACK TO a savepoint makes them usable again.
            TransactionState::Failed => TransactionStatus::Error,
        };
        self.reported.send_changes(&*self.session, &mut self.link);
        self.link.put(&ReadyForQuery::new(status));
        self.link.flush().await
    }

    /// Forgets the statement and the portal without a name.
    pub(crate) fn drop_unnamed(&mut self) {
        self.statements.remove(UNNAMED);
        self.portals.remove(UNNAMED);
    }

    /// The settings that change how values look, as they are now.
    pub(crate) fn output_settings(&self) -> OutputSettings {
        OutputSettings::read(|name| self.session.setting(name))
    }

    /// Warns that COMMIT or ROLLBACK met no block.
    pub(crate) fn warn_no_block(&mut self) {
        self.link.put_notices(vec![Notice {
            severity: "WARNING",
            sqlstate: "25P01",
            message: "there is no transaction in progress".to_owned(),
        }]);
    }
}
