//! Plans the scoped scans of lake relations in the warehouse's private context.

use std::sync::Arc;

use async_trait::async_trait;
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

    fn frames(&self, moment: &Moment) -> Result<Vec<DataFrame>> {
        let private = &self.shared.core.private;
        let base =
            || -> Result<DataFrame> { private.read_table(self.shared.core.scan(self.table(), self.files(moment)?)) };
        let selected = |frame: DataFrame, columns: Vec<Column>| {
            frame.select(columns.into_iter().map(|c| c.value.alias(c.field.name())).collect::<Vec<Expr>>())
        };
        match self.shape {
            Shape::Provider => Ok(vec![selected(base()?, self.columns())?]),
            Shape::Own(_) => {
                let frame = match row_filter(&moment.scope) {
                    Some(filter) => base()?.filter(filter)?,
                    None => base()?,
                };
                Ok(vec![selected(frame, self.columns())?])
            }
            Shape::Edges => {
                let frame = match edge_filter(&self.undisclosed(moment)) {
                    Some(filter) => base()?.filter(filter)?,
                    None => base()?,
                };
                let invoicing: Vec<&str> = moment.tree.invoicing().into_iter().collect();
                Ok(vec![selected(frame, edges(&invoicing))?])
            }
            Shape::Tiers(table) => {
                let undisclosed = self.undisclosed(moment);
                let invoicing: Vec<&str> = moment.tree.invoicing().into_iter().collect();
                let deepest = moment.tree.deepest();
                let mut frames = Vec::new();
                for (prefix, caller) in &moment.scope.prefixes {
                    for depth in *caller..=deepest {
                        let edge =
                            Edge { prefix, caller: *caller, depth, undisclosed: &undisclosed, invoicing: &invoicing };
                        let rows = base()?.filter(self.caller.tier_filter(&edge))?;
                        frames.push(selected(rows, self.caller.tier(&edge, table == LakeTable::ChargesMonthly))?);
                    }
                }
                Ok(frames)
            }
        }
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
        let columns = self.columns();
        let mut rows: Option<DataFrame> = None;
        for mut frame in self.frames(&moment)? {
            for filter in filters {
                frame = frame.filter(unqualified(filter.clone())?)?;
            }
            if let Some(projection) = projection {
                let names: Vec<Expr> = projection
                    .iter()
                    .filter_map(|at| columns.get(*at))
                    .map(|c| datafusion::logical_expr::ident(c.field.name()))
                    .collect();
                frame = frame.select(names)?;
            }
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
                let schema = schema_of(&columns);
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

/// The session's table name means nothing in the private context.
fn unqualified(filter: Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let transformed = filter.transform(|expr| {
        Ok(match expr {
            Expr::Column(mut column) => {
                column.relation = None;
                Transformed::yes(Expr::Column(column))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(transformed.data)
}
