//! The arguments, and planning the function where a relation stands.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlanBuilder, Operator, cast, ident, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, TableFactor};

use super::NAME;
use crate::security::SessionError;
use crate::session::moment::Shared;
use crate::session::table_function::call_of;

/// The columns that the arguments are compared with.
const DELIVERY: &str = "delivery_id";
const ROW: &str = "source_row";
const FILE: &str = "source_file";

fn refused(message: &str) -> DataFusionError {
    let hint = "explain_row(3, 17) is an example; ops.deliveries has the numbers of deliveries";
    DataFusionError::External(Box::new(SessionError::new("42883", message).hint(hint)))
}

/// Plans `from explain_row(delivery_id, source_row [, source_file])` as what became of these rows.
#[derive(Debug)]
pub(super) struct Planner {
    rows: Arc<dyn TableProvider>,
    shared: Arc<Shared>,
}

impl Planner {
    pub(super) fn new(rows: Arc<dyn TableProvider>, shared: Arc<Shared>) -> Self {
        Self { rows, shared }
    }
}

impl RelationPlanner for Planner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        // To others it is a name like any that is nothing's.
        if !self.shared.moment().scope.is_root {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
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
        let columns = [(DELIVERY, DataType::Int64), (ROW, DataType::Int64), (FILE, DataType::Int32)];
        let values = values.unwrap_or_default();
        if !(2..=columns.len()).contains(&values.len()) {
            return Err(refused("explain_row takes a delivery_id, a source_row and, if wanted, a source_file"));
        }
        let mut plan = LogicalPlanBuilder::scan(NAME, provider_as_source(Arc::clone(&self.rows)), None)?;
        for (value, (name, data_type)) in values.into_iter().zip(columns) {
            let value = cast(context.sql_to_expr(value, &DFSchema::empty())?, data_type);
            plan = plan.filter(ident(name).eq(value))?;
        }
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan.build()?, alias))))
    }
}

/// Which rows are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) delivery_id: i64,
    pub(super) source_row: i64,
    /// None is those of all part files.
    pub(super) source_file: Option<i32>,
}

impl Asked {
    /// Reads the comparisons of the arguments back.
    pub(super) fn by(filters: &[Expr]) -> Result<Self> {
        let mut found = Found::default();
        filters.iter().for_each(|filter| found.read(filter));
        let Found { delivery: Some(delivery_id), row: Some(source_row), file } = found else {
            return Err(refused("explain_row needs to know its arguments before it begins"));
        };
        Ok(Self { delivery_id, source_row, source_file: file })
    }

    /// The same as a condition on usage or charges.
    pub(super) fn filter(&self) -> Expr {
        let rows = ident(DELIVERY).eq(lit(self.delivery_id)).and(ident(ROW).eq(lit(self.source_row)));
        match self.source_file {
            Some(file) => rows.and(ident(FILE).eq(lit(file))),
            None => rows,
        }
    }
}

#[derive(Default)]
struct Found {
    delivery: Option<i64>,
    row: Option<i64>,
    file: Option<i32>,
}

impl Found {
    fn read(&mut self, filter: &Expr) {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return };
        if *op == Operator::And {
            self.read(left);
            self.read(right);
        }
        let (name, value) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
                (column.name(), value)
            }
            _ => return,
        };
        if *op != Operator::Eq {
            return;
        }
        match (name, value) {
            (DELIVERY, ScalarValue::Int64(Some(id))) => self.delivery = Some(*id),
            (ROW, ScalarValue::Int64(Some(row))) => self.row = Some(*row),
            (FILE, ScalarValue::Int32(Some(file))) => self.file = Some(*file),
            _ => {}
        }
    }
}
