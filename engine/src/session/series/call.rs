//! Planning a call where a relation stands.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{self, TableFactor};

use super::arguments::Call;
use super::known::{HOLIDAY_COLUMNS, PLANNED_COLUMNS};
use super::node::{SeriesNode, Shape};
use super::{Function, refused};
use crate::lake::schema::instant;
use crate::session::table_function::call_of;

/// Plans `from forecast(...)` and `from detect_anomalies(...)`.
#[derive(Debug)]
pub(super) struct Planner;

impl RelationPlanner for Planner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let mut relation = relation;
        for function in Function::ALL {
            let (arguments, alias) = match call_of(function.name(), relation) {
                Ok(call) => call,
                Err(other) => {
                    relation = *other;
                    continue;
                }
            };
            let plan = planned(function, Call::of(function, arguments)?, context)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))));
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}

fn planned(function: Function, call: Call, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let source = rows_of(call.source, context)?;
    let columns = Columns { function, schema: source.schema().as_ref() };
    let timestamp = columns.timestamp(call.timestamp_col.as_deref())?;
    let data = columns.data(call.data_col.as_deref(), &timestamp)?;
    let ids = call.id_cols.iter().map(|name| columns.named("id_cols", name)).collect::<Result<Vec<_>>>()?;
    let as_of = call.as_of_col.as_deref().map(|name| columns.named("as_of_col", name)).transpose()?;
    if let Some(twice) = ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id)) {
        return Err(refused(function, "42701", format!("id_cols has {} twice", twice.1.name)));
    }
    let field = |column: &Column| {
        Ok::<_, datafusion::error::DataFusionError>(source.schema().field_from_column(column)?.as_ref().clone())
    };
    let (timestamp_field, data_field) = (field(&timestamp)?, field(&data)?);
    let is_exact = matches!(data_field.data_type(), DataType::Decimal128(..) | DataType::Decimal256(..));
    let shape = Shape {
        ids: ids.iter().map(field).collect::<Result<_>>()?,
        is_instant: timestamp_field.data_type() != &DataType::Date32,
        is_exact,
        has_as_of: as_of.is_some(),
        has_planned: call.planned.is_some(),
        has_holidays: call.holidays.is_some(),
    };
    let time = if shape.is_instant { cast(Expr::Column(timestamp), instant()) } else { Expr::Column(timestamp) };
    // Types may still change when literals are reconciled with columns; what the shape says holds.
    let mut wanted: Vec<Expr> = ids
        .iter()
        .zip(&shape.ids)
        .map(|(id, field)| cast(Expr::Column(id.clone()), field.data_type().clone()).alias(&id.name))
        .collect();
    wanted.push(time.alias("series_time"));
    wanted.push(cast(Expr::Column(data), DataType::Float64).alias("series_value"));
    wanted.extend(as_of.map(|column| cast(Expr::Column(column), DataType::Date32).alias("series_as_of")));
    let mut inputs = vec![LogicalPlanBuilder::from(source).project(wanted)?.build()?];
    let names: Vec<&str> = ids.iter().map(|id| id.name.as_str()).collect();
    if let Some(relation) = call.planned {
        inputs.push(known(function, ("planned", rows_of(relation, context)?), &names, &PLANNED_COLUMNS)?);
    }
    if let Some(relation) = call.holidays {
        inputs.push(known(function, ("holidays", rows_of(relation, context)?), &names, &HOLIDAY_COLUMNS)?);
    }
    let node = SeriesNode::try_new(inputs, call.asked, shape)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The rows of a relation or query, planned as in any statement of the caller's.
fn rows_of(subquery: Box<ast::Query>, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })
}

/// The columns of a relation of what is known beforehand: those of the ids that it has, and its own; what it lacks is null.
fn known(
    function: Function,
    (argument, rows): (&str, LogicalPlan),
    ids: &[&str],
    own: &[(&str, DataType, bool)],
) -> Result<LogicalPlan> {
    let schema = Arc::clone(rows.schema());
    let found = |name: &str| schema.columns().into_iter().find(|column| column.name == name);
    let null =
        |data_type: &DataType| cast(Expr::Literal(datafusion::scalar::ScalarValue::Null, None), data_type.clone());
    let mut wanted = Vec::new();
    for id in ids {
        let value = found(id)
            .map_or_else(|| null(&DataType::Utf8View), |column| cast(Expr::Column(column), DataType::Utf8View));
        wanted.push(value.alias(*id));
    }
    for (name, data_type, is_required) in own {
        let value = match found(name) {
            Some(column) => cast(Expr::Column(column), data_type.clone()),
            None if *is_required => {
                return Err(refused(function, "42703", format!("{argument} has no column {name}")));
            }
            None => null(data_type),
        };
        wanted.push(value.alias(*name));
    }
    LogicalPlanBuilder::from(rows).project(wanted)?.build()
}

/// The columns of the source.
struct Columns<'a> {
    function: Function,
    schema: &'a DFSchema,
}

impl Columns<'_> {
    fn named(&self, argument: &str, name: &str) -> Result<Column> {
        let mut found = self.schema.columns().into_iter().filter(|column| column.name == name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (Some(_), Some(_)) => Err(refused(self.function, "42702", format!("{argument}: \"{name}\" is ambiguous"))),
            (None, _) => {
                let names: Vec<String> = self.schema.columns().into_iter().map(|column| column.name).collect();
                let message = format!("{argument}: column \"{name}\" does not exist; there are {}", names.join(", "));
                Err(refused(self.function, "42703", message))
            }
        }
    }

    fn type_of(&self, column: &Column) -> Result<DataType> {
        Ok(self.schema.field_from_column(column)?.data_type().clone())
    }

    fn only(&self, argument: &str, is_one: fn(&DataType) -> bool, but: Option<&Column>) -> Result<Column> {
        let mut found = Vec::new();
        for column in self.schema.columns() {
            if Some(&column) != but && is_one(&self.type_of(&column)?) {
                found.push(column);
            }
        }
        match <[Column; 1]>::try_from(found) {
            Ok([only]) => Ok(only),
            Err(_) => Err(refused(self.function, "42883", format!("{argument} says which column is meant"))),
        }
    }

    fn timestamp(&self, name: Option<&str>) -> Result<Column> {
        let is_time = |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Timestamp(..));
        let Some(name) = name else { return self.only("timestamp_col", is_time, None) };
        let column = self.named("timestamp_col", name)?;
        let data_type = self.type_of(&column)?;
        if is_time(&data_type) {
            return Ok(column);
        }
        Err(refused(self.function, "42804", format!("timestamp_col: \"{name}\" is no date and no timestamp: cast it")))
    }

    fn data(&self, name: Option<&str>, timestamp: &Column) -> Result<Column> {
        let Some(name) = name else { return self.only("data_col", DataType::is_numeric, Some(timestamp)) };
        let column = self.named("data_col", name)?;
        if self.type_of(&column)?.is_numeric() {
            return Ok(column);
        }
        Err(refused(self.function, "42804", format!("data_col: \"{name}\" is no number")))
    }
}
