//! Relations whose rows are in the catalog: reference tables, documents and operations.
//!
//! Each is read whole at the statement's snapshot, cut to the caller's scope and handed to the
//! same childless leaf as lake rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::moment::{Moment, Shared};
use crate::catalog::{CatalogError, RefColumn, RefTable, RefType, Tx, Value};
use crate::error::Error;
use crate::reference;
use crate::security::relations::{COMMENT, PG_SCALE, PG_TYPE};
use crate::security::scan::ScopedSource;

/// Where the rows come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowKind {
    /// A reference table.
    Reference(&'static RefTable),
    /// The same with the number of each row, for statements that change rows.
    ReferenceWithIds(&'static RefTable),
    /// A query of the catalog.
    Catalog(&'static CatalogRelation),
}

/// A relation that a query of the catalog gives.
#[derive(Debug)]
pub(crate) struct CatalogRelation {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) comment: &'static str,
    pub(crate) columns: &'static [RefColumn],
    /// The catalog's query; `?1` is the snapshot.
    pub(crate) sql: &'static str,
    /// Which rows are in scope.
    pub(crate) whose: Whose,
    /// What stands in place of a row that is in scope.
    pub(crate) detail: Option<Detail>,
}

/// Makes rows of one.
pub(crate) type Detail = fn(&dyn Tx, &[Value]) -> Result<Vec<Vec<Value>>, CatalogError>;

/// Whose the rows of a relation are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    /// The root's alone.
    Roots,
    /// Of what two trade with each other.
    Parties(Parties),
    /// Of the node in the column at that position, and of those above it.
    Owner(usize),
}

/// Positions of the columns that say who trades.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parties {
    /// Who sells.
    pub(crate) seller: usize,
    /// Who buys.
    pub(crate) buyer: usize,
    /// The billing period, of documents.
    pub(crate) period: Option<usize>,
}

/// The hidden number of a reference row.
pub(crate) const ROW_ID: &str = "_row_id";

/// Snapshots, deliveries and their rows are numbered for everybody together: to see them is to see how much the others do. They are
/// the root's.
const OF_THE_ROOT: [&str; 4] = ["snapshot_id", "delivery_id", "source_file", "source_row"];

/// A catalog relation of one session.
#[derive(Debug)]
pub(crate) struct RowSource {
    shared: Arc<Shared>,
    kind: RowKind,
    /// The columns that the session has, and their places in a row.
    columns: Vec<(usize, &'static RefColumn)>,
}

impl RowSource {
    pub(crate) fn new(shared: Arc<Shared>, kind: RowKind) -> Self {
        let all = match kind {
            RowKind::Reference(table) | RowKind::ReferenceWithIds(table) => table.columns,
            RowKind::Catalog(relation) => relation.columns,
        };
        let is_root = shared.moment().scope.is_root;
        let columns =
            all.iter().enumerate().filter(|(_, column)| is_root || !OF_THE_ROOT.contains(&column.name)).collect();
        Self { shared, kind, columns }
    }

    /// The relation's columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        let mut fields: Vec<_> = self.columns.iter().map(|(_, column)| field(column)).collect();
        if matches!(self.kind, RowKind::ReferenceWithIds(_)) {
            fields.push(arrow::datatypes::Field::new(ROW_ID, DataType::Int64, false));
        }
        Arc::new(Schema::new(fields))
    }

    fn batch(&self, moment: &Moment) -> Result<RecordBatch, Error> {
        let rows = self.shared.core.catalog.read(|tx| self.rows(tx, moment))?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 1);
        for (at, column) in &self.columns {
            let values = rows.iter().map(|(_, values)| values.get(*at).unwrap_or(&Value::Null));
            arrays.push(reference::to_array(column, values)?);
        }
        if matches!(self.kind, RowKind::ReferenceWithIds(_)) {
            let ids: arrow::array::Int64Array = rows.iter().map(|(id, _)| *id).collect();
            arrays.push(Arc::new(ids));
        }
        Ok(RecordBatch::try_new(self.schema(), arrays)?)
    }

    fn rows(&self, tx: &dyn Tx, moment: &Moment) -> Result<Vec<(i64, Vec<Value>)>, CatalogError> {
        match self.kind {
            RowKind::Reference(table) | RowKind::ReferenceWithIds(table) => {
                let rows = moment.overlay.rows(tx, table, moment.snapshot)?;
                let cards = super::scope_rows::sellers_of_cards(table, tx, moment)?;
                let now = super::write::now();
                Ok(rows
                    .into_iter()
                    .filter(|(_, values)| super::scope_rows::is_visible(table, values, moment, &cards, &now))
                    .collect())
            }
            RowKind::Catalog(relation) => {
                let rows = tx.rows(relation.sql, &[moment.snapshot.into()])?;
                let rows = rows.into_iter().map(|row| (0, row.0));
                // The warehouse's own sessions are nobody's login: nothing is withheld from them.
                let is_all = self.shared.fixed.is_some();
                let now = super::write::now();
                let rows = rows.filter(|(_, values)| {
                    is_all || super::scope_rows::is_in_scope(relation.whose, values, moment, &now)
                });
                let Some(detail) = relation.detail else { return Ok(rows.collect()) };
                let mut details = Vec::new();
                for (_, row) in rows {
                    details.extend(detail(tx, &row)?.into_iter().map(|values| (0, values)));
                }
                Ok(details)
            }
        }
    }
}

fn field(column: &RefColumn) -> arrow::datatypes::Field {
    let mut metadata = std::collections::HashMap::from([(COMMENT.to_owned(), column.comment.to_owned())]);
    match column.kind {
        RefType::Json => {
            metadata.insert(PG_TYPE.to_owned(), "json".to_owned());
        }
        RefType::Decimal if column.comment.contains("minor unit") => {
            metadata.insert(PG_SCALE.to_owned(), "trim:2".to_owned());
        }
        RefType::Text | RefType::Int | RefType::Decimal | RefType::Bool | RefType::Instant => {}
    }
    arrow::datatypes::Field::new(column.name, reference::data_type(column.kind), column.nullable)
        .with_metadata(metadata)
}

#[async_trait]
impl ScopedSource for RowSource {
    fn partitions(&self, _threads: usize) -> usize {
        1
    }

    async fn plan(
        &self,
        projection: Option<&[usize]>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let moment = self.shared.moment();
        let batch = self.batch(&moment).map_err(|error| DataFusionError::External(Box::new(error.shown())))?;
        let schema = batch.schema();
        let plan = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, projection.map(<[usize]>::to_vec))?;
        Ok((plan, self.shared.core.private.task_ctx()))
    }
}
