//! The arguments, and planning the function where a relation stands.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident};
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, TableFactor};

use super::NAME;
use crate::security::SessionError;
use crate::session::table_function::call_of;

/// The columns that the arguments are compared with.
pub(super) const KIND: &str = "kind";
pub(super) const OBJECT: &str = "object_id";

pub(super) fn refused(sqlstate: &'static str, message: impl Into<String>) -> DataFusionError {
    let hint =
        "explain_rule('sale', 'retail/2/compute') is an example; explain_charge has kind and object_id of each step";
    DataFusionError::External(Box::new(SessionError::new(sqlstate, message).hint(hint)))
}

/// Plans `from explain_rule(kind, object_id)` as what that object touched.
#[derive(Debug)]
pub(super) struct Planner(Arc<dyn TableProvider>);

impl Planner {
    pub(super) fn new(objects: Arc<dyn TableProvider>) -> Self {
        Self(objects)
    }
}

impl RelationPlanner for Planner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (given, alias) = match call_of(NAME, relation) {
            Ok(call) => call,
            Err(other) => return Ok(RelationPlanning::Original(other)),
        };
        let values: Option<Vec<ast::Expr>> = given
            .into_iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
                _ => None,
            })
            .collect();
        let Some(Ok([kind, object])) = values.map(<[ast::Expr; 2]>::try_from) else {
            return Err(refused("42883", "explain_rule takes a kind and an object_id"));
        };
        let mut text = |value: ast::Expr| -> Result<Expr> {
            Ok(cast(context.sql_to_expr(value, &DFSchema::empty())?, DataType::Utf8View))
        };
        let (kind, object) = (text(kind)?, text(object)?);
        let plan = LogicalPlanBuilder::scan(NAME, provider_as_source(Arc::clone(&self.0)), None)?
            .filter(ident(KIND).eq(kind))?
            .filter(ident(OBJECT).eq(object))?
            .build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}
