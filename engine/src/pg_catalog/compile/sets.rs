//! Set-returning calls in a select list, and records.

use std::sync::Arc;

use super::super::error::CatalogQueryError;
use super::super::functions::{SetFunction, column_type};
use super::super::types::UNKNOWN;
use super::typed::Typed;
use super::{Compiler, Outcome};

/// The set-returning calls of one select list.
#[derive(Debug, Default)]
pub(super) struct RowSets {
    alias: String,
    calls: Vec<String>,
}

impl RowSets {
    /// The join that unfolds all sets beside each other; `None` when there are none.
    pub(super) fn unfolded(&self) -> Option<String> {
        let calls = self.calls.join(", ");
        (!self.calls.is_empty()).then(|| format!("json_each(catalog_rows_side_by_side({calls})) AS {}", self.alias))
    }
}

/// One field of a record.
pub(super) fn field(record: &str, position: usize, oid: u32) -> Typed {
    Typed::new(format!("json_extract({record}, '$[{position}]')"), oid)
}

impl Compiler<'_> {
    /// A set-returning call in a select list: its rows are joined, the call becomes a reference to them.
    pub(super) fn set_in_list(&mut self, function: &SetFunction, arguments: &[Typed]) -> Outcome<Typed> {
        let call = rows_call(function, arguments);
        let alias = self.fresh_alias();
        let Some(row_sets) = self.row_sets.last_mut() else {
            return Err(CatalogQueryError::new("0A000", "set-returning functions are not allowed here"));
        };
        if row_sets.alias.is_empty() {
            row_sets.alias = alias;
        }
        let alias = &row_sets.alias;
        // the same call twice runs once: two fields of one record come from the same row
        let position = row_sets.calls.iter().position(|known| *known == call).unwrap_or_else(|| {
            row_sets.calls.push(call);
            row_sets.calls.len() - 1
        });
        let sql = format!("json_extract({alias}.value, '$[{position}]')");
        let first = arguments.first().map_or(UNKNOWN, |argument| argument.ty.oid);
        if function.is_record {
            let fields = function
                .columns
                .iter()
                .map(|(name, oid)| ((*name).to_owned(), column_type(*oid, first)))
                .collect::<Vec<_>>();
            return Ok(Typed::record(sql, Arc::new(fields)));
        }
        Ok(Typed::new(sql, column_type(function.columns[0].1, first)))
    }
}

/// The call that makes the JSON rows of a set.
pub(super) fn rows_call(function: &SetFunction, arguments: &[Typed]) -> String {
    let mut list: Vec<String> = arguments.iter().map(|argument| argument.sql.clone()).collect();
    if function.name == "generate_subscripts" {
        let first = arguments.first().map_or(UNKNOWN, |argument| argument.ty.oid);
        let lower = i32::from(!super::operators::counts_from_zero(first));
        list.resize(3, "0".to_owned());
        list.push(lower.to_string());
    }
    format!("catalog_rows_of_{}({})", function.name, list.join(", "))
}
