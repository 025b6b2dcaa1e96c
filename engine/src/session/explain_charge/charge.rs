//! A row as functions that explain something read it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use ratehouse_udfs::decimal::format_trimmed;
use serde_json::{Map, Value as Json};

/// A charge as the caller may explain it; to the root also a provider's line.
#[derive(Clone, Copy)]
pub(in crate::session) struct Charge<'a> {
    rows: &'a RecordBatch,
    row: usize,
}

impl<'a> Charge<'a> {
    /// The row at that place of a batch.
    pub(in crate::session) fn new(rows: &'a RecordBatch, row: usize) -> Self {
        Self { rows, row }
    }

    fn column(&self, name: &str) -> Option<&'a Arc<dyn Array>> {
        self.rows.column_by_name(name).filter(|column| column.is_valid(self.row))
    }

    pub(in crate::session) fn text(&self, name: &str) -> Option<&'a str> {
        Some(self.column(name)?.as_string_view_opt()?.value(self.row))
    }

    pub(in crate::session) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(in crate::session) fn money(&self, name: &str) -> Option<i128> {
        Some(self.column(name)?.as_primitive_opt::<Decimal128Type>()?.value(self.row))
    }

    pub(in crate::session) fn number(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<Int64Type>()?.value(self.row))
    }

    /// The part file of its delivery.
    pub(in crate::session) fn part(&self) -> Option<i32> {
        Some(self.column("source_file")?.as_primitive_opt::<Int32Type>()?.value(self.row))
    }

    pub(in crate::session) fn day(&self, name: &str) -> Option<i32> {
        Some(self.column(name)?.as_primitive_opt::<Date32Type>()?.value(self.row))
    }

    pub(in crate::session) fn instant(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(self.row))
    }

    pub(in crate::session) fn flag(&self, name: &str) -> Option<bool> {
        Some(self.column(name)?.as_boolean_opt()?.value(self.row))
    }

    /// The values that it has in these columns, for details.
    pub(in crate::session) fn details(&self, names: &[&str]) -> Map<String, Json> {
        let shown = |name: &str| -> Option<Json> {
            let column = self.column(name)?;
            Some(match column.data_type().is_decimal() {
                true => plain(self.money(name)?).into(),
                false => array_value_to_string(column, self.row).map(Json::from).ok()?,
            })
        };
        names.iter().filter_map(|name| Some(((*name).to_owned(), shown(name)?))).collect()
    }

    /// The charge's path from the caller down.
    pub(in crate::session) fn path(&self) -> Vec<&'a str> {
        self.text("node_path").unwrap_or_default().split('/').collect()
    }

    /// What it is of, in words: these columns, then how much.
    pub(in crate::session) fn described(&self, names: &[&str], (quantity, unit): (&str, &str)) -> String {
        let words = names.iter().filter_map(|name| self.text(name)).filter(|word| !word.is_empty());
        let description = words.collect::<Vec<_>>().join(", ");
        match self.money(quantity) {
            Some(quantity) => format!("{description}: {} {}", plain(quantity), self.text(unit).unwrap_or_default()),
            None => description,
        }
    }
}

/// An amount or quantity without trailing zeros.
pub(in crate::session) fn plain(amount: i128) -> String {
    format_trimmed(amount, 18, 0)
}
