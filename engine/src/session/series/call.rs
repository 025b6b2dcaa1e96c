//! Planning a call where a relation stands.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, cast, lit};
use datafusion::sql::sqlparser::ast::{self, TableFactor};

use super::arguments::Call;
use super::known::{COMPLETE_COLUMNS, HOLIDAY_COLUMNS, PARENT_COLUMNS, PLANNED_COLUMNS};
use super::node::{SeriesNode, Set, Shape};
use super::{Function, refused};
use crate::lake::schema::instant;
use crate::session::table_function::call_of;

/// The column of charges that says what they are, and the argument about it.
const CATEGORY: &str = "charge_category";

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
    let names: Vec<&str> = ids.iter().map(|id| id.name.as_str()).collect();
    let place = |argument: &str, name: &str| {
        let found = names.iter().position(|id| *id == name);
        found.ok_or_else(|| refused(function, "42703", format!("{argument}: {name} is none of id_cols")))
    };
    let set = |written: &Vec<String>| {
        let mut set = Set { ids: Vec::new(), parents_of: None };
        for name in written {
            let child = name.strip_prefix("parents(").and_then(|name| name.strip_suffix(')'));
            let id = place("grouping_sets", child.unwrap_or(name).trim())?;
            if set.ids.contains(&id) || set.parents_of.is_some() && child.is_some() {
                let message = "a set of grouping_sets names an id once, and has one parents(...)";
                return Err(refused(function, "42701", message));
            }
            set.ids.push(id);
            set.parents_of = set.parents_of.or(child.map(|_| id));
        }
        Ok::<_, datafusion::error::DataFusionError>(set)
    };
    let sets = call.grouping_sets.iter().map(set).collect::<Result<Vec<_>>>()?;
    if sets.iter().any(|set| set.parents_of.is_some()) != call.parents.is_some() {
        let message = "parents(...) in grouping_sets goes with parents, a relation that says what counts to what";
        return Err(refused(function, "22023", message));
    }
    let is_allowed = |at: usize, set: &Set| at > 0 && set.is_sum_of(&sets[0]);
    if sets.iter().enumerate().any(|(at, set)| set.parents_of.is_some() && !is_allowed(at, set)) {
        let message =
            "a set with parents(...) is not the first of grouping_sets, and has no ids that the first has not";
        return Err(refused(function, "22023", message));
    }
    let currency = match &call.currency_col {
        Some(name) => Some(place("currency_col", name)?),
        None if call.has_decimals => None,
        None => names.iter().position(|name| *name == "currency" || name.ends_with("_currency")),
    };
    // An id that a set leaves out is null there.
    let id_field = |id: &Column| field(id).map(|field| if sets.is_empty() { field } else { field.with_nullable(true) });
    let complete_until = call.as_of.map(|relation| rows_of(relation, context)).transpose()?;
    let shape = Shape {
        ids: ids.iter().map(id_field).collect::<Result<_>>()?,
        sets,
        currency,
        is_instant: timestamp_field.data_type() != &DataType::Date32,
        is_exact,
        has_as_of: as_of.is_some(),
        has_completeness: complete_until.is_some(),
        has_parents: call.parents.is_some(),
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
    let counted = counted(&columns, &ids, call.charge_category)?;
    let mut rows = LogicalPlanBuilder::from(source);
    if let Some(counted) = counted {
        rows = rows.filter(counted)?;
    }
    let mut inputs = vec![rows.project(wanted)?.build()?];
    if let Some(relation) = call.planned {
        inputs.push(known(function, ("planned", rows_of(relation, context)?), &names, &PLANNED_COLUMNS)?);
    }
    if let Some(relation) = call.holidays {
        inputs.push(known(function, ("holidays", rows_of(relation, context)?), &names, &HOLIDAY_COLUMNS)?);
    }
    if let Some(rows) = complete_until {
        inputs.push(known(function, ("as_of", rows), &names, &COMPLETE_COLUMNS)?);
    }
    if let Some(relation) = call.parents {
        let rows = rows_of(relation, context)?;
        let children = shape.sets.iter().filter_map(|set| set.parents_of).map(|id| names[id]);
        if let Some(missing) = children.into_iter().find(|name| column_of(rows.schema(), name).is_none()) {
            return Err(refused(function, "42703", format!("parents has no column {missing}")));
        }
        inputs.push(known(function, ("parents", rows), &names, &PARENT_COLUMNS)?);
    }
    let node = SeriesNode::try_new(inputs, call.asked, shape)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// Which charges count, of a source that has their categories: those that were asked for, else usage without its corrections. A
/// category that is an id is asked for.
fn counted(columns: &Columns<'_>, ids: &[Column], categories: Option<Vec<String>>) -> Result<Option<Expr>> {
    let found = |name: &str| column_of(columns.schema, name);
    let category = match &categories {
        Some(_) => Some(columns.named(CATEGORY, CATEGORY)?),
        None => found(CATEGORY).filter(|column| !ids.contains(column)),
    };
    let Some(category) = category else { return Ok(None) };
    let is_corrected = found("charge_class").filter(|class| categories.is_none() && !ids.contains(class));
    let wanted = categories.unwrap_or_else(|| vec!["Usage".to_owned()]);
    let is_wanted = Expr::Column(category).in_list(wanted.into_iter().map(lit).collect(), false);
    Ok(Some(match is_corrected {
        None => is_wanted,
        Some(class) => is_wanted.and(binary_expr(Expr::Column(class), Operator::IsDistinctFrom, lit("Correction"))),
    }))
}

/// The rows of a relation or query, planned as in any statement of the caller's.
fn rows_of(subquery: Box<ast::Query>, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })
}

/// The column of a name, if there is one.
fn column_of(schema: &DFSchema, name: &str) -> Option<Column> {
    schema.columns().into_iter().find(|column| column.name == name)
}

/// The columns of a relation of what is known beforehand: those of the ids that it has, and its own; what it lacks is null.
fn known(
    function: Function,
    (argument, rows): (&str, LogicalPlan),
    ids: &[&str],
    own: &[(&str, DataType, bool)],
) -> Result<LogicalPlan> {
    let schema = Arc::clone(rows.schema());
    let found = |name: &str| column_of(&schema, name);
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
