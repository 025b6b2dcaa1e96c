//! The charges that an object had to do with, edge by edge.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

use super::books::Books;
use super::columns::{self, Row};
use super::object::{Kind, Object};
use crate::lake::schema::MAX_POSITIONS;
use crate::session::explain_charge::charge::Charge;
use crate::session::explain_charge::edges::{Edges, columns_of};
use crate::session::explain_charge::exec::Explains;
use crate::session::explain_charge::{Explaining, Story};
use crate::session::moment::Moment;

/// The columns of a charge that are in the result under their names.
const CHARGE: [&str; 6] = ["charge_id", "billing_period", "charge_date", "node_id", "provider_name", "service_name"];

/// What it is worked out from whose a charge is.
const OWNED_BY: [&str; 10] = [
    "origin",
    "billing_account_id",
    "charge_period_start",
    "charge_period_end",
    "raw_sub_account_id",
    "raw_resource_id",
    "raw_tags",
    "fate",
    "pool_id",
    "rated_snapshot",
];

/// Whether a condition on the result is one on charges alone.
pub(super) fn is_of_charge(filter: &Expr) -> bool {
    filter.column_refs().iter().all(|column| CHARGE.contains(&column.name()))
}

/// How far below the caller the deepest node can be.
pub(super) fn deepest(moment: &Moment) -> usize {
    let above = moment.scope.prefixes.iter().map(|(_, position)| *position).min().unwrap_or_default();
    moment.tree.deepest().saturating_sub(above).min(MAX_POSITIONS - 1)
}

/// The columns of charges that the result is made of.
pub(super) fn columns(object: &Object, deepest: usize) -> Vec<String> {
    let whose = if object.is_cause() { &OWNED_BY[..] } else { &[] };
    let charge = CHARGE.iter().chain(&["node_path"]).chain(whose).map(|name| (*name).to_owned());
    charge.chain((0..=deepest).flat_map(columns_of)).collect()
}

/// Finds the edges that an object had to do with.
#[derive(Debug)]
pub(super) struct Touched {
    explaining: Explaining,
    object: Object,
    books: Books,
}

impl Touched {
    pub(super) fn new(explaining: Explaining, object: Object) -> Self {
        let books = Books::new(&explaining.shared.core);
        Self { explaining, object, books }
    }

    /// Whether the object is one of the causes that `explain_charge` names.
    fn is_cause_of(&self, charge: Charge<'_>) -> Result<bool> {
        let owned = self.object.owned();
        // What a node shares or assigns stays below it.
        if owned.is_some_and(|(owner, _)| !charge.path().contains(&owner)) {
            return Ok(false);
        }
        let book = self.books.of(charge.number("rated_snapshot").unwrap_or_default());
        let book = book.map_err(|error| DataFusionError::External(Box::new(error.shown())))?;
        let causes = Story::new(&self.explaining, charge, book).causes();
        Ok(causes.iter().any(|step| match self.object.kind {
            // A rule may give it to a node or to a pool.
            Kind::Rule => step.seller.as_deref().zip(step.rule_id.as_deref()) == owned,
            _ => step.kind == self.object.kind.name() && step.object_id.as_ref() == Some(&self.object.id),
        }))
    }
}

impl Explains for Touched {
    fn schema(&self) -> SchemaRef {
        columns::schema()
    }

    fn explain(&self, charges: &RecordBatch) -> Result<RecordBatch> {
        let charges = self.explaining.named(charges)?;
        let edges = Edges::of(&charges, &self.explaining.sight)?;
        let mut rows = Vec::new();
        for row in 0..charges.num_rows() {
            let charge = Charge::new(&charges, row);
            if self.object.is_cause() && !self.is_cause_of(charge)? {
                continue;
            }
            let touched = edges.of_charge(row).filter(|edge| self.object.is_on(edge));
            rows.extend(touched.map(|edge| Row::new(&self.object, charge, &edge)));
        }
        columns::batch(&rows)
    }
}
