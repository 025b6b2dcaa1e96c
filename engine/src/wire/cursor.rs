//! SQL over the connection's own objects: cursors, prepared statements, DISCARD, COPY to the client.

use std::sync::Arc;

use super::backend::{Answer, Failure, TransactionState};
use super::command::{Command, Declare, Direction, Unit, Verb, Which};
use super::connection::Connection;
use super::error::Stop;
use super::execute::Outlet;
use super::portal::{Hold, Portal, PortalState, PreparedStatement, unknown_cursor, unknown_statement};
use super::prepared::Bound;
use super::rows::{self, Rows, Scroll};
use super::types::Format;
use super::work::Watch;

impl Connection {
    /// Runs a statement of the protocol layer. `inner` is the query of a DECLARE that came with parameters.
    pub(crate) async fn run_command(
        &mut self,
        unit: &Unit,
        inner: Option<Bound>,
        outlet: &Outlet,
        watch: &Watch,
    ) -> Result<(), Stop> {
        match &unit.command {
            Command::Plain => return Err(Failure::new("XX000", "internal error").into()),
            Command::Prepare { name, types, statement } => {
                self.prepare_named(name, types, &unit.sql[statement.clone()], watch).await?;
                self.complete("PREPARE".to_owned());
            }
            Command::Execute { name, arguments } => {
                let arguments = arguments.clone().map(|range| unit.sql[range].to_owned());
                return self.execute_named(name, arguments, outlet, watch).await;
            }
            Command::Deallocate(which) => {
                let tag = match which {
                    Which::All => {
                        self.statements.clear();
                        "DEALLOCATE ALL"
                    }
                    Which::Named(name) => {
                        self.statements.remove(name).ok_or_else(|| unknown_statement(name))?;
                        "DEALLOCATE"
                    }
                };
                self.complete(tag.to_owned());
            }
            Command::Declare(declare) => {
                self.declare(unit, declare, inner, watch).await?;
                self.complete("DECLARE CURSOR".to_owned());
            }
            Command::Fetch { moves_only, direction, cursor } => {
                let count = self.fetch(cursor, *direction, (!moves_only).then_some(outlet), watch).await?;
                self.complete(format!("{} {count}", if *moves_only { "MOVE" } else { "FETCH" }));
            }
            Command::Close(which) => {
                let tag = match which {
                    Which::All => {
                        self.portals.clear();
                        "CLOSE CURSOR ALL"
                    }
                    Which::Named(name) => {
                        self.portals.remove(name).ok_or_else(|| unknown_cursor(name))?;
                        "CLOSE CURSOR"
                    }
                };
                self.complete(tag.to_owned());
            }
            Command::Discard(tag) => {
                self.discard(tag, watch).await?;
                self.complete((*tag).to_owned());
            }
            Command::Ignored(tag) => self.complete((*tag).to_owned()),
            Command::CopyOut { query, format } => {
                let (prepared, parameters) = self.plan(query, &[], watch).await?;
                match self.run_bound((prepared, parameters), watch).await? {
                    Answer::Rows { schema, stream, failures } => {
                        let rows = self.rows_of(stream, failures, watch);
                        self.copy_out(&schema, rows, format.clone(), watch).await?;
                    }
                    _ => return Err(Failure::new("0A000", "COPY query must return rows").into()),
                }
            }
        }
        Ok(())
    }

    async fn declare(
        &mut self,
        unit: &Unit,
        declare: &Declare,
        inner: Option<Bound>,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let in_block = self.session.transaction() != TransactionState::Idle;
        if !declare.holds && !in_block {
            return Err(Failure::new("25P01", "DECLARE CURSOR can only be used in transaction blocks").into());
        }
        if self.portals.contains(&declare.name) {
            return Err(Failure::new("42P03", format!("cursor \"{}\" already exists", declare.name)).into());
        }
        let bound = match inner {
            Some(bound) => bound,
            None => self.plan(&unit.sql[declare.query.clone()], &[], watch).await?,
        };
        let Answer::Rows { schema, stream, failures } = self.run_bound(bound, watch).await? else {
            return Err(Failure::new("42P11", "cannot declare a cursor over a statement without rows").into());
        };
        let format = if declare.is_binary { Format::Binary } else { Format::Text };
        let shape = self.shape(&schema, &[format])?;
        let scroll = match declare.scrolls {
            true => Scroll::Both { bytes_max: self.limits.scroll_bytes_max },
            false => Scroll::Forward,
        };
        let rows = Rows::new(self.work.rows(stream, failures, watch), scroll);
        let select = Unit { verb: Verb::Select, command: Command::Plain, ..unit.clone() };
        let portal = Portal {
            statement: PreparedStatement { unit: Some(Arc::new(select)), prepared: None, parameters: Vec::new() },
            parameters: Vec::new(),
            schema: Some(schema),
            shape,
            state: PortalState::Running(Box::new(rows)),
            holds: match (declare.holds, in_block) {
                (false, _) => Hold::UntilEnd,
                (true, true) => Hold::FromCommit,
                (true, false) => Hold::Connection,
            },
        };
        Ok(self.portals.insert(&declare.name, portal)?)
    }

    /// Moves a cursor; sends the rows it passes when there is an outlet.
    async fn fetch(
        &mut self,
        name: &str,
        direction: Direction,
        outlet: Option<&Outlet>,
        watch: &Watch,
    ) -> Result<u64, Stop> {
        self.session.check_grant()?;
        let mut portal = self.portals.remove(name).ok_or_else(|| unknown_cursor(name))?;
        let done = self.fetch_from(&mut portal, direction, outlet, watch).await;
        if let Err(Stop::Statement(failure)) = &done
            && failure.sqlstate != "55000"
        {
            portal.state = PortalState::Finished;
        }
        self.portals.restore(name, portal);
        done
    }

    async fn fetch_from(
        &mut self,
        portal: &mut Portal,
        direction: Direction,
        outlet: Option<&Outlet>,
        watch: &Watch,
    ) -> Result<u64, Stop> {
        let (Some(schema), PortalState::Running(rows)) = (&portal.schema, &mut portal.state) else {
            return Err(Failure::new("55000", "cursor has no rows to fetch: it was not run, or has failed").into());
        };
        let mut shape = portal.shape.clone();
        if let Some(outlet) = outlet {
            if !outlet.formats.is_empty() {
                shape.formats.clone_from(&outlet.formats);
            }
            if outlet.describes {
                self.link.put(&rows::description(schema, &shape));
            }
        }
        rows.fetch(direction, outlet.map(|_| &shape), &mut self.link, watch).await
    }

    async fn discard(&mut self, tag: &str, watch: &Watch) -> Result<(), Stop> {
        if tag != "DISCARD ALL" {
            return Ok(());
        }
        if self.session.transaction() != TransactionState::Idle {
            return Err(Failure::new("25001", "DISCARD ALL cannot run inside a transaction block").into());
        }
        self.portals.clear();
        self.statements.clear();
        self.run_silently("RESET ALL", watch).await
    }
}
