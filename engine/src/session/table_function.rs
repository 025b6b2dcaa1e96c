//! Functions that stand where a relation stands: how a call is read, and the columns of what it gives.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{FunctionArg, TableAlias, TableFactor};

use crate::lake::schema;
use crate::security::guard::name_parts;
use crate::security::relations::{PG_SCALE, PG_TYPE, commented};

/// The arguments and the alias of a call of the function; any other relation comes back as it is.
pub(super) fn call_of(
    name: &str,
    relation: TableFactor,
) -> std::result::Result<(Vec<FunctionArg>, Option<TableAlias>), Box<TableFactor>> {
    let is_called = |parts: &[String]| match parts {
        [own] => own == name,
        [schema, own] => schema == "public" && own == name,
        _ => false,
    };
    match relation {
        TableFactor::Table { name, args: Some(call), alias, .. } if is_called(&name_parts(&name)) => {
            Ok((call.args, alias))
        }
        TableFactor::Function { name, args, alias, .. } if is_called(&name_parts(&name)) => Ok((args, alias)),
        other => Err(Box::new(other)),
    }
}

/// How a column's values are taken from a row of type `T`.
pub(super) enum Value<T> {
    Text(fn(&T) -> Option<String>),
    Json(fn(&T) -> Option<String>),
    Count(fn(&T) -> Option<i32>),
    Day(fn(&T) -> Option<i32>),
    Number(fn(&T) -> Option<i64>),
    Flag(fn(&T) -> Option<bool>),
    Instant(fn(&T) -> Option<i64>),
    Amount(fn(&T) -> Option<i128>),
    Money(fn(&T) -> Option<i128>),
}

/// A column of the result: a contract with users, as the relations' are.
pub(super) struct Column<T> {
    name: &'static str,
    comment: &'static str,
    value: Value<T>,
}

/// A column with its comment.
pub(super) const fn column<T>(name: &'static str, comment: &'static str, value: Value<T>) -> Column<T> {
    Column { name, comment, value }
}

impl<T> Column<T> {
    pub(super) fn field(&self) -> Field {
        let with = |data_type: DataType| commented(self.name, data_type, self.comment);
        let and = |field: Field, key: &str, value: &str| {
            let mut metadata = field.metadata().clone();
            metadata.insert(key.to_owned(), value.to_owned());
            field.with_metadata(metadata)
        };
        match self.value {
            Value::Text(_) => with(DataType::Utf8View),
            Value::Json(_) => and(with(DataType::Utf8View), PG_TYPE, "json"),
            Value::Count(_) => with(DataType::Int32),
            Value::Day(_) => with(DataType::Date32),
            Value::Number(_) => with(DataType::Int64),
            Value::Flag(_) => with(DataType::Boolean),
            Value::Instant(_) => with(schema::instant()),
            Value::Amount(_) => with(schema::money()),
            Value::Money(_) => and(with(schema::money()), PG_SCALE, "trim:2"),
        }
    }

    /// The values of rows; null for rows that are not there.
    pub(super) fn array<'a>(&self, rows: impl Iterator<Item = Option<&'a T>>) -> Result<ArrayRef>
    where
        T: 'a,
    {
        Ok(match &self.value {
            Value::Text(of) | Value::Json(of) => {
                Arc::new(rows.map(|row| row.and_then(of)).collect::<StringViewArray>()) as ArrayRef
            }
            Value::Count(of) => Arc::new(rows.map(|row| row.and_then(of)).collect::<Int32Array>()),
            Value::Day(of) => Arc::new(rows.map(|row| row.and_then(of)).collect::<Date32Array>()),
            Value::Number(of) => Arc::new(rows.map(|row| row.and_then(of)).collect::<Int64Array>()),
            Value::Flag(of) => Arc::new(rows.map(|row| row.and_then(of)).collect::<BooleanArray>()),
            Value::Instant(of) => {
                let instants: TimestampMicrosecondArray = rows.map(|row| row.and_then(of)).collect();
                Arc::new(instants.with_timezone("UTC"))
            }
            Value::Amount(of) | Value::Money(of) => {
                let amounts: Decimal128Array = rows.map(|row| row.and_then(of)).collect();
                Arc::new(amounts.with_precision_and_scale(schema::MONEY_PRECISION, schema::MONEY_SCALE)?)
            }
        })
    }
}
