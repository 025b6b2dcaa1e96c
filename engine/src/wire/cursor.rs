//! SQL over the connection's own objects: cursors, prepared statements, DISCARD, COPY to the client.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;

use super::backend::{Answer, Failure, Prepared, TransactionState};
use super::command::{Command, Declare, Direction, Unit, Verb, Which, split, split_commas};
use super::connection::Connection;
use super::error::Stop;
use super::execute::Outlet;
use super::portal::{
    Hold, Portal, PortalState, PreparedStatement, unknown_cursor, unknown_statement,
};
use super::rows::{self, Rows, Scroll};
use super::types::parameter::of_literal;
use super::types::{Format, oid};
use super::work::Watch;

/// A plan with the values of its parameters.
type Bound = (Arc<dyn Prepared>, Vec<ScalarValue>);

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
            Command::Prepare {
                name,
                types,
                statement,
            } => {
                self.prepare_named(name, types, &unit.sql[statement.clone()], watch)
                    .await?;
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
                        self.statements
                            .remove(name)
                            .ok_or_else(|| unknown_statement(name))?;
                        "DEALLOCATE"
                    }
                };
                self.complete(tag.to_owned());
            }
            Command::Declare(declare) => {
                self.declare(unit, declare, inner, watch).await?;
                self.complete("DECLARE CURSOR".to_owned());
            }
            Command::Fetch {
                moves_only,
                direction,
                cursor,
            } => {
                let count = self
                    .fetch(cursor, *direction, (!moves_only).then_some(outlet), watch)
                    .await?;
                self.complete(format!(
                    "{} {count}",
                    if *moves_only { "MOVE" } else { "FETCH" }
                ));
            }
            Command::Close(which) => {
                let tag = match which {
                    Which::All => {
                        self.portals.clear();
                        "CLOSE CURSOR ALL"
                    }
                    Which::Named(name) => {
                        self.portals
                            .remove(name)
                            .ok_or_else(|| unknown_cursor(name))?;
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
                    Answer::Rows {
                        schema,
                        stream,
                        failures,
                    } => {
                        let rows = self.rows_of(stream, failures, watch);
                        self.copy_out(&schema, rows, format.clone(), watch).await?;
                    }
                    _ => return Err(Failure::new("0A000", "COPY query must return rows").into()),
                }
            }
        }
        Ok(())
    }

    /// Plans a text that holds one statement of the session's.
    async fn plan(
        &mut self,
        sql: &str,
        types: &[Option<DataType>],
        watch: &Watch,
    ) -> Result<Bound, Stop> {
        let statement = self.session.parse(sql)?;
        let types = types.to_vec();
        let prepared = self
            .work
            .run(&mut self.link, watch, async move {
                statement.prepare(&types).await
            })
            .await?;
        Ok((prepared, Vec::new()))
    }

    async fn run_bound(
        &mut self,
        (prepared, parameters): Bound,
        watch: &Watch,
    ) -> Result<Answer, Stop> {
        if prepared.parameters().len() != parameters.len() {
            return Err(Failure::new("42P02", "there is no parameter $1").into());
        }
        self.work
            .run(&mut self.link, watch, async move {
                prepared.run(parameters).await
            })
            .await
    }

    async fn prepare_named(
        &mut self,
        name: &str,
        types: &[String],
        sql: &str,
        watch: &Watch,
    ) -> Result<(), Stop> {
        if self.statements.contains(name) {
            return Err(Failure::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            )
            .into());
        }
        let mut oids = Vec::with_capacity(types.len());
        for ty in types {
            let found = oid::by_name(ty);
            oids.push(
                found
                    .ok_or_else(|| Failure::new("42704", format!("type \"{ty}\" does not exist")))?
                    .0,
            );
        }
        let unit = split(sql)?
            .pop()
            .filter(|unit| unit.command == Command::Plain);
        let unit =
            unit.ok_or_else(|| Failure::new("42601", "this statement cannot be prepared"))?;
        let statement = self.prepare_unit(unit, &oids, watch).await?;
        Ok(self.statements.insert(name, statement)?)
    }

    async fn execute_named(
        &mut self,
        name: &str,
        arguments: Option<String>,
        outlet: &Outlet,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let statement = self
            .statements
            .get(name)
            .cloned()
            .ok_or_else(|| unknown_statement(name))?;
        self.check_transaction(statement.verb())?;
        let arguments = arguments
            .map(|text| split_commas(&text))
            .transpose()?
            .unwrap_or_default();
        if arguments.len() != statement.parameters.len() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!(
                "Expected {} parameters but got {}.",
                statement.parameters.len(),
                arguments.len()
            );
            return Err(Failure::new("42601", message).with_detail(detail).into());
        }
        let Some(prepared) = statement.prepared.clone() else {
            return Err(Failure::new(
                "0A000",
                format!("prepared statement \"{name}\" cannot be executed"),
            )
            .into());
        };
        let parameters = self.evaluate(&arguments, &statement, watch).await?;
        let answer = self.run_bound((prepared, parameters), watch).await?;
        self.send_answer(answer, statement.verb(), outlet, watch)
            .await
    }

    /// Evaluates the arguments of EXECUTE the way any expression is evaluated: in a query of this session.
    async fn evaluate(
        &mut self,
        arguments: &[String],
        statement: &PreparedStatement,
        watch: &Watch,
    ) -> Result<Vec<ScalarValue>, Stop> {
        if arguments.is_empty() {
            return Ok(Vec::new());
        }
        let expressions: Vec<String> = arguments
            .iter()
            .enumerate()
            .map(|(index, text)| format!("{text} AS a{index}"))
            .collect();
        let bound = self
            .plan(&format!("SELECT {}", expressions.join(", ")), &[], watch)
            .await?;
        let Answer::Rows {
            mut stream,
            failures,
            ..
        } = self.run_bound(bound, watch).await?
        else {
            return Err(Failure::new("42601", "arguments of EXECUTE must be expressions").into());
        };
        let first = async move {
            match stream.next().await {
                Some(Ok(batch)) if batch.num_rows() == 1 => Ok(batch),
                Some(Err(error)) => Err(failures(error)),
                _ => Err(Failure::new(
                    "42601",
                    "arguments of EXECUTE must be expressions",
                )),
            }
        };
        let batch = self.work.run(&mut self.link, watch, first).await?;
        let zone = self.output_settings().zone;
        let mut values = Vec::with_capacity(arguments.len());
        for (column, parameter) in batch.columns().iter().zip(&statement.parameters) {
            let wrong = |_| {
                Failure::new(
                    "42804",
                    "an argument of EXECUTE does not fit the parameter's type",
                )
            };
            let value = ScalarValue::try_from_array(column, 0).map_err(wrong)?;
            values.push(match value.try_as_str().flatten() {
                Some(text) => of_literal(text, &parameter.data_type, zone)?,
                None => value.cast_to(&parameter.data_type).map_err(wrong)?,
            });
        }
        Ok(values)
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
            return Err(Failure::new(
                "25P01",
                "DECLARE CURSOR can only be used in transaction blocks",
            )
            .into());
        }
        if self.portals.contains(&declare.name) {
            return Err(Failure::new(
                "42P03",
                format!("cursor \"{}\" already exists", declare.name),
            )
            .into());
        }
        let bound = match inner {
            Some(bound) => bound,
            None => {
                self.plan(&unit.sql[declare.query.clone()], &[], watch)
                    .await?
            }
        };
        let Answer::Rows {
            schema,
            stream,
            failures,
        } = self.run_bound(bound, watch).await?
        else {
            return Err(Failure::new(
                "42P11",
                "cannot declare a cursor over a statement without rows",
            )
            .into());
        };
        let format = if declare.is_binary {
            Format::Binary
        } else {
            Format::Text
        };
        let shape = self.shape(&schema, &[format])?;
        let scroll = match declare.scrolls {
            true => Scroll::Both {
                bytes_max: self.limits.scroll_bytes_max,
            },
            false => Scroll::Forward,
        };
        let rows = Rows::new(self.work.rows(stream, failures, watch), scroll);
        let select = Unit {
            verb: Verb::Select,
            command: Command::Plain,
            ..unit.clone()
        };
        let portal = Portal {
            statement: PreparedStatement {
                unit: Some(Arc::new(select)),
                prepared: None,
                parameters: Vec::new(),
            },
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
        let mut portal = self
            .portals
            .remove(name)
            .ok_or_else(|| unknown_cursor(name))?;
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
            return Err(Failure::new(
                "55000",
                "cursor has no rows to fetch: it was not run, or has failed",
            )
            .into());
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
        rows.fetch(direction, outlet.map(|_| &shape), &mut self.link, watch)
            .await
    }

    async fn discard(&mut self, tag: &str, watch: &Watch) -> Result<(), Stop> {
        if tag != "DISCARD ALL" {
            return Ok(());
        }
        if self.session.transaction() != TransactionState::Idle {
            return Err(
                Failure::new("25001", "DISCARD ALL cannot run inside a transaction block").into(),
            );
        }
        self.portals.clear();
        self.statements.clear();
        self.run_silently("RESET ALL", watch).await
    }
}
