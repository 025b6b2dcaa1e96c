//! Own rows in the columns of `usage`, with where they come from.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};

use super::{OWN_SOURCE, OwnRow};
use crate::lake::schema::{self, MONEY_PRECISION, MONEY_SCALE};
use crate::rating::division::salted;
use crate::rating::error::RatingError;
use crate::rating::tree::Tree;

/// Names what a seller bills by itself, apart from all lines of providers.
const OWN_KEYS: u64 = 0x6f77_6e20_726f_7773;

/// The rows as a batch of `usage` with a column `origin`. What only providers say is null, also where usage has no nulls.
pub(super) fn batch(rows: &[OwnRow], tree: &Tree, period: i32) -> Result<RecordBatch, RatingError> {
    let texts =
        |of: fn(&OwnRow) -> Option<&str>| -> ArrayRef { Arc::new(StringViewArray::from_iter(rows.iter().map(of))) };
    let instants = |of: fn(&OwnRow) -> i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(of)).with_timezone("UTC"))
    };
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let usage = schema::usage();
    let own = [Field::new("origin", DataType::Utf8View, false)];
    for field in usage.fields().iter().map(AsRef::as_ref).chain(&own) {
        let column: ArrayRef = match field.name().as_str() {
            "origin" => texts(|row| Some(row.origin.name())),
            "provider_name" => texts(|_| Some(OWN_SOURCE)),
            "charge_category" => texts(|row| Some(row.category)),
            "service_name" => texts(|row| row.service_name.as_deref()),
            "sku_id" => texts(|row| row.sku_id.as_deref()),
            "charge_description" => texts(|row| Some(&row.description)),
            "tags" => texts(|row| row.tags.as_deref()),
            "pricing_unit" => texts(|row| row.unit),
            "charge_period_start" => instants(|row| row.span.from),
            "charge_period_end" => instants(|row| row.span.until),
            "billing_period" => Arc::new(Date32Array::from_value(period, rows.len())),
            "marketplace" => Arc::new(BooleanArray::from(vec![false; rows.len()])),
            "line_key" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| line_key(row, tree)))),
            "line_no" => Arc::new(Int32Array::from_value(0, rows.len())),
            "pricing_quantity" => {
                let quantities = Decimal128Array::from_iter(rows.iter().map(|row| row.quantity));
                Arc::new(quantities.with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE)?)
            }
            _ => new_null_array(field.data_type(), rows.len()),
        };
        fields.push(field.clone().with_nullable(true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn line_key(row: &OwnRow, tree: &Tree) -> i64 {
    let (seller, node) = (tree.name(row.seller), tree.name(row.node));
    let name = format!("{seller}/{}/{}/{node}/{}", row.origin.name(), row.name, row.span.from);
    salted(OWN_KEYS, name.as_bytes()).cast_signed()
}
