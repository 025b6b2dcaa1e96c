//! `insert`, `update` and `delete` on reference tables.
//!
//! The rows that a statement touches and the values it gives them are found by the query engine;
//! the changes are checked, kept in the session's block and written by one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Insert, ObjectName, SetExpr, Statement as Ast, TableFactor,
    TableObject, TableWithJoins, Value as Literal,
};

use super::moment::Shared;
use super::relation_catalog::Relations;
use super::row_source::ROW_ID;
use super::{Answer, SNAPSHOT, Session, Statement, lock, query, state_for};
use crate::catalog::{Change, Commit, RefRow, RefTable, SliceRow, Value};
use crate::error::Error;
use crate::rating::{RatingError, RefChange, RefFacts, SliceFacts, affected};
use crate::reference::{Authority, Overlay, RefOp, Rows, check, data_type, from_array, may_write};
use crate::security::guard::name_parts;
use crate::security::{SessionError, guard};

/// Rows that one statement may touch.
pub(super) const ROWS_MAX: usize = 1_000_000;

/// A reference table and the columns that a statement writes.
struct Target {
    table: &'static RefTable,
    columns: Vec<usize>,
}

impl Session {
    /// The table that a statement writes to.
    pub(super) fn writable_table(&self, name: &ObjectName) -> Result<&'static RefTable, SessionError> {
        let parts = name_parts(name);
        let shown = parts.join(".");
        let path: Vec<&str> = parts.iter().map(String::as_str).collect();
        let granted = self.relations.named(&path).ok_or_else(|| SessionError::no_relation(&shown))?;
        match RefTable::named(granted.name) {
            Some(found) if granted.schema == "ref" => Ok(found),
            _ => Err(SessionError::denied(&format!("table {}", granted.name))
                .hint("only tables of schema ref are written; charges come from landing and rating")),
        }
    }

    /// Types of `$n` in a write: those of the columns they stand for.
    pub(super) async fn write_parameters(
        &self,
        statement: &Statement,
        declared: &[Option<DataType>],
    ) -> Result<Vec<DataType>, SessionError> {
        let mut types: BTreeMap<usize, DataType> = BTreeMap::new();
        let mut note = |expression: &Expr, column: &crate::catalog::RefColumn| {
            if let Expr::Value(value) = expression
                && let Literal::Placeholder(name) = &value.value
                && let Ok(number) = name.trim_start_matches('$').parse()
            {
                types.insert(number, data_type(column.kind));
            }
        };
        match statement.ast()? {
            Ast::Insert(insert) => {
                let target = self.insert_target(insert)?;
                if let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|query| query.body.as_ref()) {
                    for row in &values.rows {
                        for (expression, at) in row.content.iter().zip(&target.columns) {
                            note(expression, &target.table.columns[*at]);
                        }
                    }
                }
            }
            Ast::Update(update) => {
                let table = self.writable_table(table_name(&update.table)?)?;
                for assignment in &update.assignments {
                    note(&assignment.value, &table.columns[assigned(table, assignment)?]);
                }
            }
            _ => {}
        }
        let query = self.row_query(statement.ast()?)?;
        let plan = self.plan_with_row_ids(query).await?;
        for (name, found) in plan.get_parameter_types()? {
            if let (Ok(number), Some(found)) = (name.trim_start_matches('$').parse(), found) {
                types.entry(number).or_insert(found);
            }
        }
        let count = types.keys().last().copied().unwrap_or(0).max(declared.len());
        Ok((1..=count)
            .map(|n| declared.get(n - 1).cloned().flatten().or_else(|| types.remove(&n)).unwrap_or(DataType::Utf8))
            .collect())
    }

    pub(super) async fn run_write(
        &self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Answer, SessionError> {
        let ast = statement.ast()?;
        refuse_extras(ast)?;
        let target = match ast {
            Ast::Insert(insert) => self.insert_target(insert)?,
            Ast::Update(update) => {
                let table = self.writable_table(table_name(&update.table)?)?;
                let columns = update.assignments.iter().map(|a| assigned(table, a)).collect::<Result<_, _>>()?;
                Target { table, columns }
            }
            Ast::Delete(delete) => Target { table: self.writable_table(deleted_from(delete)?)?, columns: Vec::new() },
            _ => return Err(SessionError::unsupported("this statement")),
        };
        // Before any row is looked at: it is refused even where there is none.
        may_write(self.principal().role, target.table)?;
        let batches = self.row_batches(self.row_query(ast)?, parameters).await?;
        let mut overlay = Overlay::clone(&self.shared.moment().overlay);
        let (verb, operations) = match ast {
            Ast::Insert(_) => ("INSERT 0", inserted(&target, &batches, &mut overlay)?),
            Ast::Update(_) => ("UPDATE", updated(&target, &batches, &mut overlay)?),
            _ => ("DELETE", deleted(target.table, &batches)?),
        };
        let count = operations.len();
        let operations = self.replacing_root(operations)?;
        self.accept(operations, overlay, statement.text())?;
        Ok(Answer::Done { tag: format!("{verb} {count}") })
    }

    /// Checks changes, keeps them in an open block, or writes them at once.
    pub(super) fn accept(&self, operations: Vec<RefOp>, mut overlay: Overlay, note: &str) -> Result<(), SessionError> {
        if operations.is_empty() {
            return Ok(());
        }
        let moment = self.shared.moment();
        if lock(&self.settings).get(SNAPSHOT).is_some_and(|text| text != "default") {
            return Err(
                SessionError::new("25006", "the past cannot be written").hint("set ratehouse.snapshot = default")
            );
        }
        let before = state_at(&self.shared, &moment.overlay)?;
        let committed =
            if moment.overlay.is_empty() { None } else { Some(state_at(&self.shared, &Overlay::default())?) };
        let authority = Authority {
            principal: &self.shared.principal,
            tree: &moment.tree,
            before: &before,
            committed: committed.as_ref().unwrap_or(&before),
            is_root: moment.scope.is_root,
            now: now(),
        };
        for operation in &operations {
            may_write(self.principal().role, operation.table)?;
            authority.may_change(operation)?;
        }
        overlay.extend(operations);
        check(&state_at(&self.shared, &overlay)?, &self.shared.core.root)?;
        let mut block = lock(&self.block);
        if block.state() == super::TransactionState::Open {
            block.set_overlay(overlay);
            return Ok(());
        }
        drop(block);
        self.commit(&overlay, &note.chars().take(200).collect::<String>())
    }

    /// The root node is there from the start: a row for it takes the place of the one that is, so
    /// that a file with the whole tree can be loaded as it is.
    pub(super) fn replacing_root(&self, mut operations: Vec<RefOp>) -> Result<Vec<RefOp>, SessionError> {
        let root = self.shared.core.root.as_str();
        let is_root = |values: &[Value]| values.first().and_then(Value::as_text) == Some(root);
        let moment = self.shared.moment();
        for operation in operations.iter_mut().filter(|op| op.table.name == "nodes" && op.ends.is_none()) {
            if operation.begins.as_ref().is_some_and(|(_, values)| is_root(values)) {
                let rows =
                    self.shared.core.catalog.read(|tx| moment.overlay.rows(tx, operation.table, moment.snapshot))?;
                operation.ends = rows.into_iter().find(|(_, values)| is_root(values));
            }
        }
        Ok(operations)
    }

    fn insert_target(&self, insert: &Insert) -> Result<Target, SessionError> {
        let TableObject::TableName(name) = &insert.table else {
            return Err(SessionError::unsupported("insert into a function"));
        };
        let table = self.writable_table(name)?;
        let columns = if insert.columns.is_empty() {
            (0..table.columns.len()).collect()
        } else {
            insert
                .columns
                .iter()
                .map(|column| {
                    let name = name_parts(column).pop().unwrap_or_default();
                    position(table, &name)
                })
                .collect::<Result<Vec<_>, _>>()?
        };
        Ok(Target { table, columns })
    }

    /// The query whose rows the statement inserts, or whose rows it changes with their new values.
    fn row_query(&self, ast: &Ast) -> Result<Ast, SessionError> {
        match ast {
            Ast::Insert(insert) => {
                self.insert_target(insert)?;
                let source = insert
                    .source
                    .as_ref()
                    .ok_or_else(|| SessionError::new("0A000", "insert needs values or a query"))?;
                Ok(Ast::Query(source.clone()))
            }
            Ast::Update(update) => {
                let name = table_name(&update.table)?;
                let table = self.writable_table(name)?;
                let mut list = row_columns(table, name);
                for assignment in &update.assignments {
                    assigned(table, assignment)?;
                    list.push(format!("{} as _new_{}", assignment.value, list.len()));
                }
                row_select(&list, &update.table.to_string(), update.selection.as_ref())
            }
            Ast::Delete(delete) => {
                let name = deleted_from(delete)?;
                let list = row_columns(self.writable_table(name)?, name);
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                let from = from.first().map(ToString::to_string).unwrap_or_default();
                row_select(&list, &from, delete.selection.as_ref())
            }
            _ => Err(SessionError::unsupported("this statement")),
        }
    }

    async fn plan_with_row_ids(&self, query: Ast) -> Result<datafusion::logical_expr::LogicalPlan, SessionError> {
        let relations = Relations::new(Arc::clone(&self.shared), true);
        let state = state_for(&self.shared, &relations, &self.stop);
        let plan = state.0.statement_to_plan(EngineStatement::Statement(Box::new(query))).await?;
        guard::limit(&plan)?;
        Ok(plan)
    }

    async fn row_batches(&self, query: Ast, parameters: &[ScalarValue]) -> Result<Vec<RecordBatch>, SessionError> {
        let plan = query::with_parameters(self.plan_with_row_ids(query).await?, parameters)?;
        let physical = self.runnable(&plan).await?;
        let batches = collect(physical, self.state.0.task_ctx()).await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows > ROWS_MAX {
            return Err(SessionError::new("54000", format!("a statement changes at most {ROWS_MAX} rows")));
        }
        Ok(batches)
    }
}

/// What reference writes do not have.
fn refuse_extras(ast: &Ast) -> Result<(), SessionError> {
    let unsupported = match ast {
        Ast::Insert(insert) if insert.on.is_some() => Some("insert ... on conflict"),
        Ast::Insert(insert) if insert.returning.is_some() => Some("returning"),
        Ast::Update(update) if update.returning.is_some() => Some("returning"),
        Ast::Update(update) if update.from.is_some() => Some("update ... from"),
        Ast::Delete(delete) if delete.returning.is_some() => Some("returning"),
        Ast::Delete(delete) if delete.using.is_some() => Some("delete ... using"),
        _ => None,
    };
    match unsupported {
        Some(what) => Err(SessionError::unsupported(what)),
        None => Ok(()),
    }
}

fn row_columns(table: &RefTable, _name: &ObjectName) -> Vec<String> {
    std::iter::once(ROW_ID.to_owned()).chain(table.columns.iter().map(|c| format!("\"{}\"", c.name))).collect()
}

fn row_select(list: &[String], from: &str, selection: Option<&Expr>) -> Result<Ast, SessionError> {
    let condition = selection.map(|expression| format!(" where {expression}")).unwrap_or_default();
    let text = format!("select {} from {from}{condition}", list.join(", "));
    let parsed = super::statement::parse(&text)?;
    match parsed.first() {
        Some(statement) => Ok(statement.ast()?.clone()),
        None => Err(SessionError::unsupported("this statement")),
    }
}

fn table_name(table: &TableWithJoins) -> Result<&ObjectName, SessionError> {
    match &table.relation {
        TableFactor::Table { name, .. } if table.joins.is_empty() => Ok(name),
        _ => Err(SessionError::unsupported("a write to a join")),
    }
}

fn deleted_from(delete: &Delete) -> Result<&ObjectName, SessionError> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    match from.as_slice() {
        [table] => table_name(table),
        _ => Err(SessionError::unsupported("a delete from several tables")),
    }
}

fn position(table: &RefTable, column: &str) -> Result<usize, SessionError> {
    table.position(column).ok_or_else(|| {
        SessionError::new("42703", format!("column \"{column}\" of relation \"{}\" does not exist", table.name))
    })
}

fn assigned(table: &RefTable, assignment: &Assignment) -> Result<usize, SessionError> {
    match &assignment.target {
        AssignmentTarget::ColumnName(name) => position(table, &name_parts(name).pop().unwrap_or_default()),
        AssignmentTarget::Tuple(_) => Err(SessionError::unsupported("update of a column list")),
    }
}

fn inserted(target: &Target, batches: &[RecordBatch], overlay: &mut Overlay) -> Result<Vec<RefOp>, SessionError> {
    let mut operations = Vec::new();
    for batch in batches {
        if batch.num_columns() != target.columns.len() {
            let message = if batch.num_columns() > target.columns.len() {
                "INSERT has more expressions than target columns"
            } else {
                "INSERT has more target columns than expressions"
            };
            return Err(SessionError::new("42601", message));
        }
        for row in 0..batch.num_rows() {
            let mut values = defaults(target.table)?;
            for (given, at) in batch.columns().iter().zip(&target.columns) {
                values[*at] = from_array(&target.table.columns[*at], given, row)?;
            }
            operations.push(RefOp { table: target.table, ends: None, begins: Some((overlay.next_row_id(), values)) });
        }
    }
    Ok(operations)
}

/// The row that an `insert` without columns would make.
pub(super) fn defaults(table: &'static RefTable) -> Result<Vec<Value>, SessionError> {
    table
        .columns
        .iter()
        .map(|column| match column.default {
            Some(text) => crate::reference::from_text(column, text),
            None => Ok(Value::Null),
        })
        .collect()
}

fn old_row(table: &RefTable, batch: &RecordBatch, row: usize) -> Result<(i64, Vec<Value>), SessionError> {
    let ids = batch.column(0).as_primitive::<Int64Type>();
    let values = table
        .columns
        .iter()
        .zip(batch.columns().iter().skip(1))
        .map(|(column, array)| from_array(column, array, row))
        .collect::<Result<Vec<_>, _>>()?;
    debug_assert!(!ids.is_null(row), "row numbers are never null");
    Ok((ids.value(row), values))
}

fn updated(target: &Target, batches: &[RecordBatch], overlay: &mut Overlay) -> Result<Vec<RefOp>, SessionError> {
    let mut operations = Vec::new();
    let first_new = target.table.columns.len() + 1;
    for batch in batches {
        for row in 0..batch.num_rows() {
            let (row_id, old) = old_row(target.table, batch, row)?;
            let mut new = old.clone();
            for (offset, at) in target.columns.iter().enumerate() {
                new[*at] = from_array(&target.table.columns[*at], batch.column(first_new + offset), row)?;
            }
            operations.push(RefOp {
                table: target.table,
                ends: Some((row_id, old)),
                begins: Some((overlay.next_row_id(), new)),
            });
        }
    }
    Ok(operations)
}

fn deleted(table: &'static RefTable, batches: &[RecordBatch]) -> Result<Vec<RefOp>, SessionError> {
    let mut operations = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            operations.push(RefOp { table, ends: Some(old_row(table, batch, row)?), begins: None });
        }
    }
    Ok(operations)
}

/// This instant as reference rows write instants.
pub(super) fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// All reference rows at the moment's snapshot with changes applied.
pub(super) fn state_at(shared: &Shared, overlay: &Overlay) -> Result<BTreeMap<&'static str, Rows>, SessionError> {
    let snapshot = shared.moment().snapshot;
    Ok(shared.core.catalog.read(|tx| {
        RefTable::all()
            .into_iter()
            .map(|table| Ok((table.name, overlay.rows(tx, table, snapshot)?)))
            .collect::<Result<_, crate::catalog::CatalogError>>()
    })?)
}

/// Writes reference changes as one commit: applied, checked against what others committed
/// meanwhile, and the slices that they reach marked stale with the reason.
pub(super) fn commit(shared: &Shared, overlay: &Overlay, note: &str) -> Result<(), SessionError> {
    let change = Change::new(&shared.principal.login, "reference", note);
    let changes: Vec<RefChange> = overlay
        .operations()
        .iter()
        .map(|op| RefChange { table: op.table, old: row(op.ends.as_ref()), new: row(op.begins.as_ref()) })
        .collect();
    let result = shared.core.catalog.commit::<_, Error>(&change, |commit| {
        overlay.apply(commit)?;
        let state = super::state_after(commit.tx, commit.snapshot)?;
        check(&state, &shared.core.root)?;
        mark_stale(commit, &changes)?;
        Ok(())
    });
    result.map(drop).map_err(Error::shown)
}

fn row(change: Option<&(i64, Vec<Value>)>) -> Option<RefRow> {
    change.map(|(row_id, values)| RefRow { row_id: *row_id, values: values.clone(), begin_snapshot: 0 })
}

/// Marks the slices that reference changes reach.
pub(crate) fn mark_stale(commit: &Commit<'_>, changes: &[RefChange]) -> Result<(), Error> {
    mark_reached(commit, |facts, slices| affected(changes, facts, slices))
}

/// Marks slices as stale: `reached` gives those that a change reaches, of all that are priced, and why.
pub(crate) fn mark_reached(
    commit: &Commit<'_>,
    reached: impl FnOnce(&RefFacts, &[SliceFacts]) -> Result<Vec<(i64, String)>, RatingError>,
) -> Result<(), Error> {
    let mut owners: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    commit.tx.each("select slice_id, node_path from slice_owner", &[], &mut |row| {
        owners.entry(row.int(0)?).or_default().push(row.text(1)?.to_owned());
        Ok(())
    })?;
    let slices: Vec<SliceFacts> = SliceRow::all(commit.tx)?
        .into_iter()
        .filter(|slice| slice.role == "priced")
        .map(|slice| SliceFacts {
            slice_id: slice.slice_id,
            key: slice.key,
            owners: owners.remove(&slice.slice_id).unwrap_or_default(),
        })
        .collect();
    if slices.is_empty() {
        return Ok(());
    }
    let facts = RefFacts::read(commit.tx, commit.snapshot)?;
    for (slice_id, reason) in reached(&facts, &slices)? {
        commit.set_stale(slice_id, &reason)?;
    }
    Ok(())
}
