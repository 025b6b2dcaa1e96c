//! SQL's PREPARE and EXECUTE, and running what they and the cursors plan.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;

use super::backend::{Answer, Failure, Prepared};
use super::command::{Command, split};
use super::connection::Connection;
use super::error::Stop;
use super::execute::Outlet;
use super::grammar::split_commas;
use super::portal::{PreparedStatement, unknown_statement};
use super::types::oid;
use super::types::parameter::of_literal;
use super::work::Watch;

/// A plan with the values of its parameters.
pub(crate) type Bound = (Arc<dyn Prepared>, Vec<ScalarValue>);

impl Connection {
    /// Plans a text that holds one statement of the session's.
    pub(crate) async fn plan(&mut self, sql: &str, types: &[Option<DataType>], watch: &Watch) -> Result<Bound, Stop> {
        let statement = self.work.parse(&mut self.link, watch, sql).await?;
        let types = types.to_vec();
        let prepared = self.work.run(&mut self.link, watch, async move { statement.prepare(&types).await }).await?;
        Ok((prepared, Vec::new()))
    }

    /// Runs a plan with its parameters. Errors: 42P02 when there are fewer than it needs.
    pub(crate) async fn run_bound(&mut self, (prepared, parameters): Bound, watch: &Watch) -> Result<Answer, Stop> {
        if prepared.parameters().len() != parameters.len() {
            return Err(Failure::new("42P02", "there is no parameter $1").into());
        }
        self.work.run(&mut self.link, watch, async move { prepared.run(parameters).await }).await
    }

    /// Runs PREPARE.
    pub(crate) async fn prepare_named(
        &mut self,
        name: &str,
        types: &[String],
        sql: &str,
        watch: &Watch,
    ) -> Result<(), Stop> {
        if self.statements.contains(name) {
            return Err(Failure::new("42P05", format!("prepared statement \"{name}\" already exists")).into());
        }
        let mut oids = Vec::with_capacity(types.len());
        for ty in types {
            let found = oid::by_name(ty);
            oids.push(found.ok_or_else(|| Failure::new("42704", format!("type \"{ty}\" does not exist")))?.0);
        }
        let unit = split(sql)?.pop().filter(|unit| unit.command == Command::Plain);
        let unit = unit.ok_or_else(|| Failure::new("42601", "this statement cannot be prepared"))?;
        let statement = self.prepare_unit(unit, &oids, watch).await?;
        Ok(self.statements.insert(name, statement)?)
    }

    /// Runs EXECUTE.
    pub(crate) async fn execute_named(
        &mut self,
        name: &str,
        arguments: Option<String>,
        outlet: &Outlet,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let statement = self.statements.get(name).cloned().ok_or_else(|| unknown_statement(name))?;
        self.check_transaction(statement.verb())?;
        let arguments = arguments.map(|text| split_commas(&text)).transpose()?.unwrap_or_default();
        if arguments.len() != statement.parameters.len() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail = format!("Expected {} parameters but got {}.", statement.parameters.len(), arguments.len());
            return Err(Failure::new("42601", message).with_detail(detail).into());
        }
        let Some(prepared) = statement.prepared.clone() else {
            return Err(Failure::new("0A000", format!("prepared statement \"{name}\" cannot be executed")).into());
        };
        let parameters = self.evaluate(&arguments, &statement, watch).await?;
        let answer = self.run_bound((prepared, parameters), watch).await?;
        self.send_answer(answer, statement.verb(), outlet, watch).await
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
        let expressions: Vec<String> =
            arguments.iter().enumerate().map(|(index, text)| format!("{text} AS a{index}")).collect();
        let bound = self.plan(&format!("SELECT {}", expressions.join(", ")), &[], watch).await?;
        let Answer::Rows { mut stream, failures, .. } = self.run_bound(bound, watch).await? else {
            return Err(Failure::new("42601", "arguments of EXECUTE must be expressions").into());
        };
        let first = async move {
            match stream.next().await {
                Some(Ok(batch)) if batch.num_rows() == 1 => Ok(batch),
                Some(Err(error)) => Err(failures(error)),
                _ => Err(Failure::new("42601", "arguments of EXECUTE must be expressions")),
            }
        };
        let batch = self.work.run(&mut self.link, watch, first).await?;
        let zone = self.output_settings().zone;
        let mut values = Vec::with_capacity(arguments.len());
        for (column, parameter) in batch.columns().iter().zip(&statement.parameters) {
            let wrong = |_| Failure::new("42804", "an argument of EXECUTE does not fit the parameter's type");
            let value = ScalarValue::try_from_array(column, 0).map_err(wrong)?;
            values.push(match value.try_as_str().flatten() {
                Some(text) => of_literal(text, &parameter.data_type, zone)?,
                None => value.cast_to(&parameter.data_type).map_err(wrong)?,
            });
        }
        Ok(values)
    }
}
