//! The arguments, and planning the function where a relation stands.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ScalarUDF, cast, ident, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, TableFactor};

use super::columns;
use crate::lake::schema;
use crate::security::SessionError;
use crate::session::table_function::call_of;

/// The function's name.
pub(super) const NAME: &str = "rate_lookup";
/// The one column of the single row that the result is taken from.
const TERMS: &str = "terms";

/// A parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Instant,
    Flag,
    Amount,
}

impl Parameter {
    /// The type that its argument is cast to.
    pub(super) fn data_type(&self) -> DataType {
        match self.kind {
            Kind::Text => DataType::Utf8View,
            Kind::Instant => schema::instant(),
            Kind::Flag => DataType::Boolean,
            Kind::Amount => schema::money(),
        }
    }
}

/// How many must be given.
const REQUIRED: usize = 2;

/// In their order; after the first two usually by name. What is not given is null.
pub(super) static PARAMETERS: [Parameter; 18] = [
    Parameter { name: "node", kind: Kind::Text },
    Parameter { name: "at", kind: Kind::Instant },
    Parameter { name: "provider_name", kind: Kind::Text },
    Parameter { name: "service_category", kind: Kind::Text },
    Parameter { name: "service_name", kind: Kind::Text },
    Parameter { name: "sku_id", kind: Kind::Text },
    Parameter { name: "region_id", kind: Kind::Text },
    Parameter { name: "charge_category", kind: Kind::Text },
    Parameter { name: "charge_class", kind: Kind::Text },
    Parameter { name: "pricing_category", kind: Kind::Text },
    Parameter { name: "resource_type", kind: Kind::Text },
    Parameter { name: "marketplace", kind: Kind::Flag },
    Parameter { name: "tags", kind: Kind::Text },
    Parameter { name: "unit", kind: Kind::Text },
    Parameter { name: "quantity", kind: Kind::Amount },
    Parameter { name: "cost", kind: Kind::Amount },
    Parameter { name: "list_cost", kind: Kind::Amount },
    Parameter { name: "currency", kind: Kind::Text },
];

fn refused(sqlstate: &'static str, message: impl Into<String>) -> DataFusionError {
    let hint = "rate_lookup('acme', date '2026-10-05', sku_id => 'M1', quantity => 10) is an example";
    DataFusionError::External(Box::new(SessionError::new(sqlstate, message).hint(hint)))
}

/// Plans `from rate_lookup(...)`.
#[derive(Debug)]
pub(super) struct Planner {
    function: Arc<ScalarUDF>,
}

impl Planner {
    /// Plans calls of a function that gives the edge's terms as one value.
    pub(super) fn new(function: Arc<ScalarUDF>) -> Self {
        Self { function }
    }

    /// One row, if the function gives a value.
    fn relation(&self, arguments: Vec<Expr>) -> Result<LogicalPlan> {
        let fields = columns::fields();
        let results = fields.iter().map(|field| get_field(ident(TERMS), field.name().as_str()).alias(field.name()));
        LogicalPlanBuilder::empty(true)
            .project([self.function.call(arguments).alias(TERMS)])?
            .filter(ident(TERMS).is_not_null())?
            .project(results)?
            .alias(NAME)?
            .build()
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
        let mut arguments: Vec<Option<Expr>> = vec![None; PARAMETERS.len()];
        let mut is_named = false;
        for (place, argument) in given.into_iter().enumerate() {
            let (at, value) = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if !is_named => (place, value),
                FunctionArg::Unnamed(_) => {
                    return Err(refused("42601", "positional argument cannot follow named argument"));
                }
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
                | FunctionArg::ExprNamed {
                    name: ast::Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), ..
                } => {
                    is_named = true;
                    (named(&context.normalize_ident(name))?, value)
                }
                FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                    return Err(refused("42601", "rate_lookup takes values, by place or by name"));
                }
            };
            let Some(slot) = arguments.get_mut(at) else {
                let most = PARAMETERS.len();
                return Err(refused("42883", format!("rate_lookup takes at most {most} arguments")));
            };
            if slot.is_some() {
                return Err(refused("42601", format!("argument \"{}\" is given twice", PARAMETERS[at].name)));
            }
            *slot = Some(argument_of(&PARAMETERS[at], context.sql_to_expr(value, &DFSchema::empty())?)?);
        }
        if arguments.iter().take(REQUIRED).any(Option::is_none) {
            return Err(refused("42883", "rate_lookup needs a node and an instant"));
        }
        let nothing = |parameter: &Parameter| Ok(lit(ScalarValue::try_from(&parameter.data_type())?));
        let arguments = arguments.into_iter().zip(&PARAMETERS);
        let arguments = arguments.map(|(given, parameter)| given.map_or_else(|| nothing(parameter), Ok));
        let plan = self.relation(arguments.collect::<Result<_>>()?)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn named(name: &str) -> Result<usize> {
    PARAMETERS.iter().position(|parameter| parameter.name == name).ok_or_else(|| {
        let names: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
        refused("42883", format!("rate_lookup has no parameter \"{name}\"; it has {}", names.join(", ")))
    })
}

/// The argument in the parameter's type; amounts are never read from a float.
fn argument_of(parameter: &Parameter, given: Expr) -> Result<Expr> {
    let is_float = given.get_type(&DFSchema::empty()).is_ok_and(|data_type| data_type.is_floating());
    if parameter.kind == Kind::Amount && is_float {
        return Err(refused(
            "42804",
            format!("argument \"{}\" is an exact amount: cast it to numeric", parameter.name),
        ));
    }
    Ok(cast(given, parameter.data_type()))
}
