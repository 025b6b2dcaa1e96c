//! How billing reads the warehouse: SQL in a root session, columns of the answer by name.

use arrow::array::{Array as _, AsArray as _, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use async_trait::async_trait;

use super::error::{BillingError, QueryError};
use crate::catalog::SnapshotId;
use crate::lake::schema::money;

/// A root session at one snapshot, as billing needs it.
///
/// Everything that a close reads comes through here at one snapshot, so that blockers, charges
/// and totals are of one state.
#[async_trait]
pub trait Query: Send + Sync {
    /// The snapshot that every statement reads.
    fn snapshot(&self) -> SnapshotId;

    /// All batches of a query.
    async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError>;
}

/// Runs a query of billing's own.
pub(super) async fn run(query: &dyn Query, sql: &str) -> Result<Vec<RecordBatch>, BillingError> {
    query.sql(sql).await.map_err(BillingError::Query)
}

fn typed(
    batch: &RecordBatch,
    column: &'static str,
    to: &DataType,
    wanted: &'static str,
) -> Result<arrow::array::ArrayRef, BillingError> {
    let shape = || BillingError::Shape { column, wanted };
    let array = batch.column_by_name(column).ok_or_else(shape)?;
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(|_| shape())
}

/// A text column, whatever string type the engine chose for it.
pub(super) fn texts(batch: &RecordBatch, column: &'static str) -> Result<StringViewArray, BillingError> {
    Ok(typed(batch, column, &DataType::Utf8View, "text")?.as_string_view().clone())
}

/// A money column at the stored scale.
pub(super) fn amounts(batch: &RecordBatch, column: &'static str) -> Result<Decimal128Array, BillingError> {
    Ok(typed(batch, column, &money(), "a decimal")?.as_primitive::<Decimal128Type>().clone())
}

/// An integer column.
pub(super) fn integers(batch: &RecordBatch, column: &'static str) -> Result<Int64Array, BillingError> {
    Ok(typed(batch, column, &DataType::Int64, "an integer")?.as_primitive::<Int64Type>().clone())
}

/// A truth column.
pub(super) fn truths(batch: &RecordBatch, column: &'static str) -> Result<BooleanArray, BillingError> {
    Ok(typed(batch, column, &DataType::Boolean, "true or false")?.as_boolean().clone())
}

/// The text at a row, or none.
pub(super) fn text_at(array: &StringViewArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// The amount at a row, or none.
pub(super) fn amount_at(array: &Decimal128Array, row: usize) -> Option<i128> {
    array.is_valid(row).then(|| array.value(row))
}
