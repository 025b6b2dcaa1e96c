//! The result's columns.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;

use crate::session::explain_charge::edges::Ruled;
use crate::session::table_function::{Column, Value, column};

/// One thing that became of a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) delivery_id: i64,
    pub(super) source_row: i64,
    pub(super) source_file: Option<i32>,
    pub(super) number: i32,
    pub(super) kind: &'static str,
    pub(super) charge_id: Option<String>,
    pub(super) billing_period: Option<i32>,
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    pub(super) node_id: Option<String>,
    pub(super) fate: Option<String>,
    pub(super) depth: Option<i32>,
    pub(super) seller: Option<String>,
    pub(super) buyer: Option<String>,
    pub(super) description: String,
    pub(super) rule: Ruled,
    pub(super) fx_rate_id: Option<String>,
    pub(super) outcome: Option<String>,
    pub(super) amount: Option<i128>,
    pub(super) currency: Option<String>,
    pub(super) details: Option<String>,
}

static COLUMNS: [Column<Row>; 23] = [
    column("delivery_id", "The delivery.", Value::Number(|r| Some(r.delivery_id))),
    column("source_row", "The row of the part file.", Value::Number(|r| Some(r.source_row))),
    column("source_file", "The part file, from 0.", Value::Count(|r| r.source_file)),
    column("step", "The steps' order, from 1.", Value::Count(|r| Some(r.number))),
    column(
        "kind",
        "line (what the provider billed), rejected (in quarantine), superseded (another delivery took its place), uncharged (no charge is made of it), purchase (what the root pays for a charge of it), sale (what a node below pays).",
        Value::Text(|r| Some(r.kind.to_owned())),
    ),
    column("charge_id", "The charge, of purchase and sale.", Value::Text(|r| r.charge_id.clone())),
    column("billing_period", "First day of the billing period.", Value::Day(|r| r.billing_period)),
    column("charge_period_start", "From this instant (inclusive), UTC.", Value::Instant(|r| r.start)),
    column("charge_period_end", "Until this instant (exclusive), UTC.", Value::Instant(|r| r.end)),
    column("node_id", "The node that owns the charge.", Value::Text(|r| r.node_id.clone())),
    column("fate", "direct, allocated or unallocated.", Value::Text(|r| r.fate.clone())),
    column("depth", "The payer's place below the root: 0 is the root.", Value::Count(|r| r.depth)),
    column("seller_node_id", "Who is paid; null where that is the provider.", Value::Text(|r| r.seller.clone())),
    column("buyer_node_id", "Who pays.", Value::Text(|r| r.buyer.clone())),
    column("description", "The step in words.", Value::Text(|r| Some(r.description.clone()))),
    column("card_id", "The rate card.", Value::Text(|r| r.rule.card_id.clone())),
    column("version", "The card's version.", Value::Number(|r| r.rule.version)),
    column("rule_id", "The card's rule.", Value::Text(|r| r.rule.rule_id.clone())),
    column("fx_rate_id", "The exchange rate that converted the seller's cost.", Value::Text(|r| r.fx_rate_id.clone())),
    column("outcome", "billed, retained, reported or unrated.", Value::Text(|r| r.outcome.clone())),
    column(
        "amount",
        "What the payer pays, unrounded, in currency; of a line or a rejected row its BilledCost.",
        Value::Money(|r| r.amount),
    ),
    column("currency", "Currency of amount.", Value::Text(|r| r.currency.clone())),
    column("details", "What else is known of the step.", Value::Json(|r| r.details.clone())),
];

/// The result's schema.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>())));
    SCHEMA.clone()
}

/// Steps as rows.
pub(super) fn batch(rows: &[Row]) -> Result<RecordBatch> {
    let arrays = COLUMNS.iter().map(|column| column.array(rows.iter().map(Some)));
    Ok(RecordBatch::try_new(schema(), arrays.collect::<Result<_>>()?)?)
}
