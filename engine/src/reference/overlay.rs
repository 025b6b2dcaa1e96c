//! The state that a transaction sees: committed rows at its snapshot plus its own changes.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::{CatalogError, Commit, RefTable, SnapshotId, Tx, Value};

/// Rows by their number; numbers below zero are not committed yet.
pub type Rows = BTreeMap<i64, Vec<Value>>;

/// One change of a reference row.
#[derive(Debug, Clone)]
pub struct RefOp {
    /// The table.
    pub table: &'static RefTable,
    /// The row that ends, if one does.
    pub ends: Option<(i64, Vec<Value>)>,
    /// The row that begins, if one does, under its number in the transaction.
    pub begins: Option<(i64, Vec<Value>)>,
}

/// Changes that a transaction has made and not committed.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    operations: Vec<RefOp>,
    next: i64,
}

impl Overlay {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The changes, in order.
    pub fn operations(&self) -> &[RefOp] {
        &self.operations
    }

    /// A number for a new row.
    pub fn next_row_id(&mut self) -> i64 {
        self.next -= 1;
        self.next
    }

    /// Adds changes.
    pub fn extend(&mut self, operations: Vec<RefOp>) {
        self.operations.extend(operations);
    }

    /// Whether the table was changed.
    pub fn touches(&self, table: &RefTable) -> bool {
        self.operations.iter().any(|op| op.table.name == table.name)
    }

    /// The rows of a table at a snapshot, with the changes applied.
    pub fn rows(&self, tx: &dyn Tx, table: &'static RefTable, snapshot: SnapshotId) -> Result<Rows, CatalogError> {
        let mut rows: Rows = table.rows_at(tx, snapshot)?.into_iter().map(|row| (row.row_id, row.values)).collect();
        for op in self.operations.iter().filter(|op| op.table.name == table.name) {
            if let Some((row_id, _)) = &op.ends {
                rows.remove(row_id);
            }
            if let Some((row_id, values)) = &op.begins {
                rows.insert(*row_id, values.clone());
            }
        }
        Ok(rows)
    }

    /// Writes the changes into a commit.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when a row to end has ended meanwhile.
    pub fn apply(&self, commit: &Commit<'_>) -> Result<(), CatalogError> {
        let mut stored: HashMap<(&str, i64), i64> = HashMap::new();
        for op in &self.operations {
            if let Some((row_id, _)) = &op.ends {
                // A row that this very transaction made is ended under the number it got.
                let row_id = stored.get(&(op.table.name, *row_id)).copied().unwrap_or(*row_id);
                commit.end_ref(op.table, row_id)?;
            }
            if let Some((row_id, values)) = &op.begins {
                let made = commit.insert_ref(op.table, values)?;
                stored.insert((op.table.name, *row_id), made);
            }
        }
        Ok(())
    }
}
