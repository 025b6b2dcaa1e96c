//! `ops.changes`: what each snapshot changed in reference data, old and new values side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringViewBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::moment::Shared;
use crate::catalog::{CatalogError, RefTable, Tx, Value};
use crate::lake::schema::instant;
use crate::security::relations::commented;
use crate::security::scan::{ScopedSource, ScopedTable};

/// The relation.
pub(crate) fn table(shared: Arc<Shared>) -> Arc<dyn TableProvider> {
    Arc::new(ScopedTable::new("changes", schema(), Arc::new(Changes { shared })))
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        commented("snapshot_id", DataType::Int64, "The snapshot."),
        commented("at", instant(), "When."),
        commented("actor", DataType::Utf8View, "Who."),
        commented("note", DataType::Utf8View, "Why."),
        commented("relation", DataType::Utf8View, "Which reference table."),
        commented("row_key", DataType::Utf8View, "The row's key."),
        commented("action", DataType::Utf8View, "insert, update or delete."),
        commented("old_values", DataType::Utf8View, "The row before, a JSON object; null for an insert."),
        commented("new_values", DataType::Utf8View, "The row after, a JSON object; null for a delete."),
    ]))
}

#[derive(Debug)]
struct Changes {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Pair {
    old: Option<String>,
    new: Option<String>,
}

fn json(table: &RefTable, values: &[Value]) -> String {
    let object: serde_json::Map<String, serde_json::Value> = table
        .columns
        .iter()
        .zip(values)
        .map(|(column, value)| {
            let value = match value {
                Value::Null => serde_json::Value::Null,
                Value::Int(int) => (*int).into(),
                Value::Text(text) => text.as_str().into(),
            };
            (column.name.to_owned(), value)
        })
        .collect();
    serde_json::Value::Object(object).to_string()
}

fn key(table: &RefTable, values: &[Value]) -> String {
    let parts: Vec<String> = table
        .key
        .iter()
        .filter_map(|column| values.get(table.position(column)?))
        .map(|value| match value {
            Value::Null => "null".to_owned(),
            Value::Int(int) => int.to_string(),
            Value::Text(text) => text.clone(),
        })
        .collect();
    parts.join(", ")
}

impl Changes {
    fn batch(&self, tx: &dyn Tx) -> Result<RecordBatch, CatalogError> {
        let until = self.shared.moment().snapshot;
        let mut changes: BTreeMap<(i64, &str, String), Pair> = BTreeMap::new();
        for table in RefTable::all() {
            for (row, end) in table.history(tx)? {
                let key = key(table, &row.values);
                let text = json(table, &row.values);
                if let Some(end) = end.filter(|end| *end <= until) {
                    changes.entry((end, table.name, key.clone())).or_default().old = Some(text.clone());
                }
                if row.begin_snapshot <= until {
                    changes.entry((row.begin_snapshot, table.name, key)).or_default().new = Some(text);
                }
            }
        }
        let mut heads = BTreeMap::new();
        tx.each("select snapshot_id, at, actor, note from snapshot", &[], &mut |row| {
            let head = (row.text(1)?.to_owned(), row.text(2)?.to_owned(), row.text(3)?.to_owned());
            heads.insert(row.int(0)?, head);
            Ok(())
        })?;
        let mut ids = Int64Builder::new();
        let mut at = TimestampMicrosecondBuilder::new().with_data_type(instant());
        let mut texts: Vec<StringViewBuilder> = (0..7).map(|_| StringViewBuilder::new()).collect();
        for ((snapshot, relation, key), pair) in &changes {
            let Some((instant, actor, note)) = heads.get(snapshot) else { continue };
            ids.append_value(*snapshot);
            at.append_option(chrono::DateTime::parse_from_rfc3339(instant).ok().map(|at| at.timestamp_micros()));
            let action = match (&pair.old, &pair.new) {
                (None, _) => "insert",
                (Some(_), Some(_)) => "update",
                (Some(_), None) => "delete",
            };
            let row = [
                Some(actor.as_str()),
                Some(note.as_str()),
                Some(*relation),
                Some(key.as_str()),
                Some(action),
                pair.old.as_deref(),
                pair.new.as_deref(),
            ];
            for (builder, value) in texts.iter_mut().zip(row) {
                builder.append_option(value);
            }
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(at.finish())];
        arrays.extend(texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        RecordBatch::try_new(schema(), arrays).map_err(|_| CatalogError::Malformed { what: "record of changes" })
    }
}

#[async_trait]
impl ScopedSource for Changes {
    fn partitions(&self, _threads: usize) -> usize {
        1
    }

    async fn plan(
        &self,
        projection: Option<&[usize]>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let batch = self
            .shared
            .core
            .catalog
            .read(|tx| self.batch(tx))
            .map_err(|error| DataFusionError::External(Box::new(crate::security::SessionError::from(error))))?;
        let schema = batch.schema();
        let plan = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, projection.map(<[usize]>::to_vec))?;
        Ok((plan, self.shared.core.private.task_ctx()))
    }
}
