//! Which relation and column a result column is read from, as RowDescription tells drivers.
//!
//! pgjdbc, Npgsql and psqlodbc join the two numbers to `pg_attribute` to name base tables. A column
//! has an origin as in Postgres: when it is a plain column of a relation, whatever lies between
//! (sub-queries, joins, groups), and none when it is computed or comes from a set operation. A
//! column of a view is the view's.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Column, JoinType, TableReference};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use super::views;
use crate::pg_catalog::{PgType, relation_oid};
use crate::security::policy::RELATIONS;

/// A column of a relation that the session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    schema: &'static str,
    relation: &'static str,
    /// Counted from 0.
    column: usize,
}

/// The plan's columns, with metadata that says where they are read from and how wide they are.
pub(super) fn announced(plan: &LogicalPlan) -> SchemaRef {
    let schema = plan.schema().as_arrow();
    let announce = |(at, field): (usize, &Arc<Field>)| {
        let Some(origin) = origin(plan, at) else { return Arc::clone(field) };
        let mut metadata = field.metadata().clone();
        metadata.extend(announcement(origin, field.data_type()));
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    };
    let fields: Vec<_> = schema.fields().iter().enumerate().map(announce).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn announcement(origin: Origin, data_type: &DataType) -> HashMap<String, String> {
    let oid = relation_oid(origin.schema, origin.relation);
    let mut metadata = HashMap::from([
        ("pg_table".to_owned(), oid.to_string()),
        ("pg_column".to_owned(), (origin.column + 1).to_string()),
    ]);
    if let Some(numeric) = PgType::of_decimal(data_type) {
        metadata.insert("pg_typmod".to_owned(), numeric.typmod.to_string());
    }
    metadata
}

fn origin(plan: &LogicalPlan, at: usize) -> Option<Origin> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let (schema, relation) = known(&scan.table_name)?;
            let name = scan.projected_schema.field(at).name();
            Some(Origin { schema, relation, column: scan.source.schema().index_of(name).ok()? })
        }
        LogicalPlan::SubqueryAlias(alias) => match known(&alias.alias) {
            Some((schema, relation)) if views::is_column_of(alias.input.schema().field(at), schema, relation) => {
                Some(Origin { schema, relation, column: at })
            }
            _ => origin(&alias.input, at),
        },
        LogicalPlan::Projection(projection) => through(projection.expr.get(at)?, &projection.input),
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.get(at)? {
            Expr::GroupingSet(_) => None,
            group => through(group, &aggregate.input),
        },
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti => origin(&join.right, at),
                _ if at < left => origin(&join.left, at),
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => origin(&join.right, at - left),
                _ => None,
            }
        }
        LogicalPlan::Window(window) if at < window.input.schema().fields().len() => origin(&window.input, at),
        LogicalPlan::Filter(filter) => origin(&filter.input, at),
        LogicalPlan::Sort(sort) => origin(&sort.input, at),
        LogicalPlan::Limit(limit) => origin(&limit.input, at),
        LogicalPlan::Distinct(Distinct::All(input)) => origin(input, at),
        LogicalPlan::Distinct(Distinct::On(on)) => through(on.select_expr.get(at)?, &on.input),
        _ => None,
    }
}

fn through(expression: &Expr, input: &LogicalPlan) -> Option<Origin> {
    match expression {
        Expr::Alias(alias) => through(&alias.expr, input),
        Expr::Column(column) => origin(input, position(input, column)?),
        _ => None,
    }
}

fn position(input: &LogicalPlan, column: &Column) -> Option<usize> {
    input.schema().maybe_index_of_column(column)
}

/// The relation of the matrix that a name means.
fn known(name: &TableReference) -> Option<(&'static str, &'static str)> {
    let schema = name.schema().unwrap_or("public");
    RELATIONS.iter().find(|r| r.schema == schema && r.name == name.table()).map(|r| (r.schema, r.name))
}
