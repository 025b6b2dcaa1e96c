//! What cells must be, besides what the types of `usage` ask for.

use std::sync::Arc;

use arrow::array::{Array, AsArray};

use super::instant::{InstantFormat, parse_instant};
use super::mapping::Mapping;
use super::rows::{Fault, SourceRows, class_of};

/// A condition on the cells of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Check {
    /// There is a value.
    Present,
    /// The value, if there is one, is one of these.
    OneOf(&'static [&'static str]),
    /// The value, if there is one, is a time.
    Time,
    /// The value, if there is one, is JSON.
    Json,
}

impl Check {
    /// Why a cell does not meet the condition.
    fn failure(self, cell: Option<&str>) -> Option<String> {
        let failure = match (self, cell) {
            (Self::Present, None) => "is empty".to_owned(),
            (Self::Present, Some(_)) | (_, None) => return None,
            (Self::OneOf(values), Some(cell)) if !values.contains(&cell) => format!("is none of {}", values.join(", ")),
            (Self::Time, Some(cell)) if parse_instant(cell.as_bytes(), &[InstantFormat::Iso]).is_none() => {
                "is not a time such as 2026-10-01T00:00:00Z".to_owned()
            }
            (Self::Json, Some(cell)) if serde_json::from_str::<serde::de::IgnoredAny>(cell).is_err() => {
                "is not JSON".to_owned()
            }
            _ => return None,
        };
        Some(failure)
    }
}

impl Mapping {
    /// The cells that do not meet their column's conditions, in the order of the conditions.
    pub(crate) fn failed_checks(&self, source: &SourceRows) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, check) in &self.checks {
            let column = source.text[*at].as_ref().map(|column| column.as_string_view());
            for row in 0..source.rows {
                let cell = column.filter(|column| column.is_valid(row)).map(|column| column.value(row));
                if let Some(reason) = check.failure(cell) {
                    faults.push(Fault {
                        row: u32::try_from(row).unwrap_or(u32::MAX),
                        column: Arc::clone(&self.reading.columns[*at].name),
                        value_class: cell.map_or_else(|| "nothing".to_owned(), |cell| class_of(cell.chars().count())),
                        reason,
                    });
                }
            }
        }
        faults
    }
}
