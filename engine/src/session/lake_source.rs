//! Plans the scoped scans of lake relations in the warehouse's private context.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::plan_err;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::physical_plan::ExecutionPlan;

use super::moment::{Moment, Shared};
use crate::lake::{FileList, LakeTable};
use crate::security::relations::{Caller, Column, Edge, edge_filter, edges, row_filter, schema_of};
use crate::security::scan::ScopedSource;

/// What a lake relation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The caller's own cost and price of each row.
    Own(LakeTable),
    /// One row for each edge that the caller sees.
    Tiers(LakeTable),
    /// The edges of every month as they are stored; the root's.
    Edges,
    /// What providers said, as it is; the root's.
    Provider,
}

/// A lake relation of one session.
#[derive(Debug)]
pub(crate) struct LakeSource {
    shared: Arc<Shared>,
    caller: Caller,
    shape: Shape,
}

impl LakeSource {
    pub(crate) fn new(shared: Arc<Shared>, caller: Caller, shape: Shape) -> Self {
        Self { shared, caller, shape }
    }

    /// The relation's columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        match self.shape {
            Shape::Own(LakeTable::Charges) => self.caller.charges(),
            Shape::Own(table) => self.caller.rollup(table),
            Shape::Tiers(table) => {
                let edge = Edge { prefix: "", caller: 0, depth: 0, undisclosed: &[], invoicing: &[] };
                self.caller.tier(&edge, table == LakeTable::ChargesMonthly)
            }
            Shape::Edges => edges(&[]),
            Shape::Provider => crate::security::relations::usage(),
        }
    }

    fn table(&self) -> LakeTable {
        match self.shape {
            Shape::Own(table) | Shape::Tiers(table) => table,
            Shape::Edges => LakeTable::EdgesMonthly,
            Shape::Provider => LakeTable::Usage,
        }
    }

    /// Only files of the root's children under which the caller's rows can be.
    fn files(&self, moment: &Moment) -> Result<FileList> {
        let children = moment.scope.children();
        self.shared
            .core
            .files(self.table(), moment.snapshot, |file| {
                children.as_ref().is_none_or(|children| children.contains(file.child.as_str()))
            })
            .map_err(|error| DataFusionError::External(Box::new(error.shown())))
    }

    /// Sellers whose sales nobody above them sees: nothing is withheld from the warehouse's own sessions.
    fn undisclosed<'a>(&self, moment: &'a Moment) -> Vec<&'a str> {
        match self.shared.fixed {
            Some(_) => Vec::new(),
            None => moment.tree.undisclosed().into_iter().collect(),
        }
    }

    fn branches(&self, moment: &Moment) -> Result<Vec<Branch>> {
        let private = &self.shared.core.private;
        let base =
            || -> Result<DataFrame> { private.read_table(self.shared.core.scan(self.table(), self.files(moment)?)) };
        let kept = |filter: Option<Expr>| match filter {
            Some(filter) => base()?.filter(filter),
            None => base(),
        };
        match self.shape {
            Shape::Provider => Ok(vec![Branch { rows: base()?, columns: self.columns() }]),
            Shape::Own(_) => Ok(vec![Branch { rows: kept(row_filter(&moment.scope))?, columns: self.columns() }]),
            Shape::Edges => {
                let rows = kept(edge_filter(&self.undisclosed(moment)))?;
                let invoicing: Vec<&str> = moment.tree.invoicing().into_iter().collect();
                Ok(vec![Branch { rows, columns: edges(&invoicing) }])
            }
            Shape::Tiers(table) => {
                let undisclosed = self.undisclosed(moment);
                let invoicing: Vec<&str> = moment.tree.invoicing().into_iter().collect();
                let deepest = moment.tree.deepest();
                let mut branches = Vec::new();
                for (prefix, caller) in &moment.scope.prefixes {
                    for depth in *caller..=deepest {
                        let edge =
                            Edge { prefix, caller: *caller, depth, undisclosed: &undisclosed, invoicing: &invoicing };
                        let rows = base()?.filter(self.caller.tier_filter(&edge))?;
                        branches.push(Branch {
                            rows,
                            columns: self.caller.tier(&edge, table == LakeTable::ChargesMonthly),
                        });
                    }
                }
                Ok(branches)
            }
        }
    }
}

/// Stored rows, and what the relation's columns are made of in them.
struct Branch {
    rows: DataFrame,
    columns: Vec<Column>,
}

impl Branch {
    /// The columns at these places of the relation, of the rows for which all filters on its columns are true.
    fn select(self, projection: Option<&[usize]>, filters: &[Expr]) -> Result<DataFrame> {
        let mut rows = self.rows;
        for filter in filters {
            rows = rows.filter(over_stored(filter.clone(), &self.columns)?)?;
        }
        let shown = |column: &Column| column.value.clone().alias(column.field.name());
        let values: Vec<Expr> = match projection {
            Some(places) => places.iter().filter_map(|place| self.columns.get(*place)).map(shown).collect(),
            None => self.columns.iter().map(shown).collect(),
        };
        rows.select(values)
    }
}

#[async_trait]
impl ScopedSource for LakeSource {
    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let moment = self.shared.moment();
        let mut rows: Option<DataFrame> = None;
        for branch in self.branches(&moment)? {
            let mut frame = branch.select(projection, filters)?;
            if limit.is_some() {
                frame = frame.limit(0, limit)?;
            }
            rows = Some(match rows {
                Some(above) => above.union(frame)?,
                None => frame,
            });
        }
        let private = &self.shared.core.private;
        let rows = match rows {
            Some(rows) => rows,
            None => {
                // No place in the tree: the relation with no rows.
                let schema = schema_of(&self.columns());
                let schema = match projection {
                    Some(projection) => Arc::new(schema.project(projection)?),
                    None => schema,
                };
                let empty = datafusion::datasource::empty::EmptyTable::new(schema);
                let plan = LogicalPlanBuilder::scan(
                    "nothing",
                    datafusion::datasource::provider_as_source(Arc::new(empty)),
                    None,
                )?
                .filter(lit(true))?
                .build()?;
                private.execute_logical_plan(plan).await?
            }
        };
        let context = rows.task_ctx();
        Ok((rows.create_physical_plan().await?, Arc::new(context)))
    }
}

/// A filter on the relation's columns as one on what they are made of.
fn over_stored(filter: Expr, columns: &[Column]) -> Result<Expr> {
    let stored = filter.transform(|expr| match &expr {
        Expr::Column(column) => match columns.iter().find(|shown| shown.field.name() == column.name()) {
            Some(shown) => Ok(Transformed::yes(shown.value.clone())),
            None => plan_err!("the relation has no column {}", column.name()),
        },
        _ => Ok(Transformed::no(expr)),
    })?;
    Ok(stored.data)
}
