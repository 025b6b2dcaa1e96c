//! The extended protocol: Parse, Bind, Describe, Execute, Close.
//!
//! Statements are planned at Parse, so their errors come there; snapshot and grants are taken when a portal first runs. Rows go out
//! as they come, whatever the row limit: nothing is collected.

use std::sync::Arc;

use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::EmptyQueryResponse;

use super::backend::{Answer, Failure};
use super::command::{Command, Direction, Unit, split};
use super::connection::Connection;
use super::error::Stop;
use super::execute::Outlet;
use super::message::{Bind, Target, format_of};
use super::portal::{Hold, Portal, PortalState, PreparedStatement, UNNAMED, unknown_portal, unknown_statement};
use super::rows::{self, Rows, Scroll};
use super::types::oid;
use super::types::parameter::ParameterType;
use super::types::presentation::to_arrow;
use super::types::row::columns_of;
use super::work::Watch;

impl Connection {
    /// Prepares a statement.
    pub(crate) async fn parse(&mut self, name: &str, sql: &str, oids: &[u32]) -> Result<(), Stop> {
        if name == UNNAMED {
            self.statements.remove(UNNAMED);
        } else if self.statements.contains(name) {
            return Err(Failure::new("42P05", format!("prepared statement \"{name}\" already exists")).into());
        }
        let mut units = split(sql)?;
        if units.len() > 1 {
            return Err(Failure::new("42601", "cannot insert multiple commands into a prepared statement").into());
        }
        let (watch, _window) = self.start_statement();
        let statement = match units.pop() {
            None => PreparedStatement { unit: None, prepared: None, parameters: Vec::new() },
            Some(unit) => {
                self.check_transaction(unit.verb)?;
                let before = unit.characters_before;
                self.prepare_unit(unit, oids, &watch).await.map_err(|stop| stop.shifted(before))?
            }
        };
        self.statements.insert(name, statement)?;
        self.link.put(&ParseComplete::new());
        Ok(())
    }

    /// Plans a statement, or the query inside a DECLARE; the other protocol statements have nothing to plan.
    pub(crate) async fn prepare_unit(
        &mut self,
        unit: Unit,
        oids: &[u32],
        watch: &Watch,
    ) -> Result<PreparedStatement, Stop> {
        let query = match &unit.command {
            Command::Plain => unit.sql.as_str(),
            Command::Declare(declare) => &unit.sql[declare.query.clone()],
            _ => {
                return Ok(PreparedStatement { unit: Some(Arc::new(unit)), prepared: None, parameters: Vec::new() });
            }
        };
        let skipped = unit.sql.len() - query.len();
        let before = unit.sql[..skipped].chars().count();
        let types: Vec<_> = oids.iter().map(|oid| to_arrow(*oid)).collect();
        let shifted = |stop: Stop| stop.shifted(before);
        let statement = self.work.parse(&mut self.link, watch, query).await.map_err(shifted)?;
        let prepare = async move { statement.prepare(&types).await };
        let prepared = self.work.run(&mut self.link, watch, prepare).await.map_err(shifted)?;
        let mut parameters = Vec::with_capacity(prepared.parameters().len());
        for (index, data_type) in prepared.parameters().iter().enumerate() {
            let declared = oids.get(index).copied().filter(|oid| !matches!(*oid, 0 | oid::UNKNOWN));
            let announced = declared.or_else(|| prepared.parameter_oids().get(index).copied()).unwrap_or(0);
            parameters.push(ParameterType::new(announced, data_type)?);
        }
        if let Some(schema) = prepared.columns() {
            // What cannot be sent is refused now, not at the first row.
            columns_of(&schema)?;
        }
        Ok(PreparedStatement { unit: Some(Arc::new(unit)), prepared: Some(prepared), parameters })
    }

    /// Makes a portal.
    pub(crate) fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let Bind { portal, statement, parameter_formats, parameters, result_formats } = bind;
        let found = self.statements.get(&statement).cloned().ok_or_else(|| unknown_statement(&statement))?;
        self.check_transaction(found.verb())?;
        if portal != UNNAMED && self.portals.contains(&portal) {
            return Err(Failure::new("42P03", format!("cursor \"{portal}\" already exists")).into());
        }
        if parameters.len() != found.parameters.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
                parameters.len(),
                found.parameters.len()
            );
            return Err(Failure::new("08P01", message).into());
        }
        let zone = self.output_settings().zone;
        let mut values = Vec::with_capacity(parameters.len());
        for (index, (parameter, bytes)) in found.parameters.iter().zip(&parameters).enumerate() {
            let format = format_of(&parameter_formats, index, parameters.len())?;
            let value = parameter.read(bytes.as_deref(), format, zone);
            values.push(value.map_err(|failure| {
                let place = format!("portal \"{portal}\" parameter ${}", index + 1);
                if failure.detail.is_none() { failure.with_detail(place) } else { failure }
            })?);
        }
        let schema = self.columns_of_statement(&found);
        let empty = arrow::datatypes::Schema::empty().into();
        let shape =
            self.shape(schema.as_ref().unwrap_or(&empty), if schema.is_some() { &result_formats } else { &[] })?;
        let made = Portal {
            statement: found,
            parameters: values,
            schema,
            shape,
            state: PortalState::New,
            holds: Hold::UntilEnd,
        };
        self.portals.insert(&portal, made)?;
        self.link.put(&BindComplete::new());
        Ok(())
    }

    /// The columns that a statement will return, those of its cursor for FETCH.
    fn columns_of_statement(&self, statement: &PreparedStatement) -> Option<arrow::datatypes::SchemaRef> {
        match &statement.unit.as_ref()?.command {
            Command::Plain => statement.prepared.as_ref()?.columns(),
            Command::Fetch { moves_only: false, cursor, .. } => self.portals.get(cursor)?.schema.clone(),
            Command::Execute { name, .. } => {
                let inner = self.statements.get(name)?;
                // A statement cannot execute itself, so this does not go deeper.
                inner.prepared.as_ref()?.columns()
            }
            _ => None,
        }
    }

    /// Tells the types and columns of a statement or portal.
    pub(crate) fn describe(&mut self, target: Target, name: &str) -> Result<(), Stop> {
        let (schema, shape) = match target {
            Target::Statement => {
                let found = self.statements.get(name).cloned().ok_or_else(|| unknown_statement(name))?;
                let schema = self.columns_of_statement(&found);
                if schema.is_some() {
                    self.check_transaction(found.verb())?;
                }
                self.link.put(&ParameterDescription::new(found.parameters.iter().map(|ty| ty.oid).collect()));
                let shape = schema.as_ref().map(|schema| self.shape(schema, &[])).transpose()?;
                (schema, shape)
            }
            Target::Portal => {
                let found = self.portals.get(name).ok_or_else(|| unknown_portal(name))?;
                (found.schema.clone(), Some(found.shape.clone()))
            }
        };
        match (schema, shape) {
            (Some(schema), Some(shape)) => self.link.put(&rows::description(&schema, &shape)),
            _ => self.link.put(&NoData::new()),
        }
        Ok(())
    }

    /// Runs a portal, or goes on with it.
    pub(crate) async fn execute(&mut self, name: &str, max_rows: i32) -> Result<(), Stop> {
        let (watch, _window) = self.start_statement();
        self.session.check_grant()?;
        let mut portal = self.portals.remove(name).ok_or_else(|| unknown_portal(name))?;
        let done = self.execute_portal(&mut portal, max_rows, &watch).await;
        // A portal that failed is kept, closed, so that its name still says what it was.
        if done.is_err() {
            portal.state = PortalState::Finished;
        }
        self.portals.restore(name, portal);
        done
    }

    async fn execute_portal(&mut self, portal: &mut Portal, max_rows: i32, watch: &Watch) -> Result<(), Stop> {
        let Some(unit) = portal.statement.unit.clone() else {
            self.link.put(&EmptyQueryResponse::new());
            return Ok(());
        };
        self.check_transaction(unit.verb)?;
        let limit = u64::try_from(max_rows).ok().filter(|limit| *limit > 0);
        if let PortalState::New = portal.state {
            let alone = self.link.sync_is_next() || matches!(unit.command, Command::Discard(_));
            if self.enter_block(&unit, unit.verb.may_write() && !alone, watch).await? {
                portal.state = PortalState::Finished;
                return Ok(());
            }
            let outlet = Outlet { describes: false, formats: portal.shape.formats.clone() };
            let Some(prepared) = portal.statement.prepared.clone().filter(|_| unit.command == Command::Plain) else {
                portal.state = PortalState::Finished;
                let inner = portal.statement.prepared.clone().map(|prepared| (prepared, portal.parameters.clone()));
                return self.run_command(&unit, inner, &outlet, watch).await;
            };
            let parameters = portal.parameters.clone();
            let answer = self.work.run(&mut self.link, watch, async move { prepared.run(parameters).await }).await?;
            match answer {
                Answer::Rows { schema, stream, failures } => {
                    let announced = portal.shape.columns.iter().map(|column| column.oid);
                    if !columns_of(&schema)?.iter().map(|column| column.oid).eq(announced) {
                        return Err(Failure::new("0A000", "cached plan must not change result type").into());
                    }
                    let rows = Rows::new(self.work.rows(stream, failures, watch), Scroll::Forward);
                    portal.state = PortalState::Running(Box::new(rows));
                }
                other => {
                    portal.state = PortalState::Finished;
                    return self.send_answer(other, unit.verb, &outlet, watch).await;
                }
            }
        }
        match &mut portal.state {
            PortalState::Running(rows) => {
                let direction = Direction::Forward(limit);
                let count = rows.fetch(direction, Some(&portal.shape), &mut self.link, watch).await?;
                if limit == Some(count) {
                    self.link.put(&PortalSuspended::new());
                } else {
                    portal.state = PortalState::Drained;
                    self.complete(unit.verb.rows_tag(count));
                }
                Ok(())
            }
            PortalState::Drained => {
                self.complete(unit.verb.rows_tag(0));
                Ok(())
            }
            PortalState::New | PortalState::Finished => {
                Err(Failure::new("55000", "portal cannot be run: it has already been run, or failed").into())
            }
        }
    }

    /// Forgets a statement or portal; one that does not exist is no error.
    pub(crate) fn close(&mut self, target: Target, name: &str) {
        match target {
            Target::Statement => drop(self.statements.remove(name)),
            Target::Portal => drop(self.portals.remove(name)),
        }
        self.link.put(&CloseComplete::new());
    }
}
