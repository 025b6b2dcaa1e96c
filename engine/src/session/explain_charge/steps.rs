//! The result's columns.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;

use crate::session::table_function::{Column, Value, column};

/// One step on the way to a charge's amounts.
#[derive(Debug, Clone, Default)]
pub(in crate::session) struct Step {
    pub(super) charge_id: String,
    pub(super) number: i32,
    pub(in crate::session) kind: &'static str,
    pub(in crate::session) seller: Option<String>,
    pub(super) buyer: Option<String>,
    pub(super) description: String,
    /// What `explain_rule` is asked for, with the kind.
    pub(in crate::session) object_id: Option<String>,
    pub(super) card_id: Option<String>,
    pub(super) version: Option<i64>,
    pub(in crate::session) rule_id: Option<String>,
    pub(super) method: Option<String>,
    pub(super) value: Option<i128>,
    pub(super) unit: Option<String>,
    pub(super) base: Option<String>,
    pub(super) bands: Option<String>,
    pub(super) base_amount: Option<i128>,
    pub(super) base_currency: Option<String>,
    pub(super) fx_rate_id: Option<String>,
    pub(super) fx_rate: Option<i128>,
    pub(super) outcome: Option<String>,
    pub(super) amount: Option<i128>,
    pub(super) currency: Option<String>,
    pub(super) approved_by: Option<String>,
    pub(super) details: Option<String>,
}

static COLUMNS: [Column<Step>; 24] = [
    column("charge_id", "The charge.", Value::Text(|s| Some(s.charge_id.clone()))),
    column("step", "The steps' order, from 1.", Value::Count(|s| Some(s.number))),
    column(
        "kind",
        "line (what the provider billed), account, rule, pool (what made it the owner's), purchase (what the caller pays), sale (what a node below pays).",
        Value::Text(|s| Some(s.kind.to_owned())),
    ),
    column("seller_node_id", "Who sells; of a rule or pool, its owner.", Value::Text(|s| s.seller.clone())),
    column("buyer_node_id", "Who pays; of an account, rule or pool, who got it.", Value::Text(|s| s.buyer.clone())),
    column("description", "The step in words.", Value::Text(|s| Some(s.description.clone()))),
    column("card_id", "The rate card.", Value::Text(|s| s.card_id.clone())),
    column("version", "The card's version.", Value::Number(|s| s.version)),
    column("rule_id", "The card's rule, or the attribution rule.", Value::Text(|s| s.rule_id.clone())),
    column("method", "How it prices, or shares.", Value::Text(|s| s.method.clone())),
    column(
        "value",
        "Percent, unit price, or the share of a pool: percent, or an amount where it is fixed.",
        Value::Amount(|s| s.value),
    ),
    column("unit", "The unit that a unit price is for.", Value::Text(|s| s.unit.clone())),
    column("base", "What a percentage applies to.", Value::Text(|s| s.base.clone())),
    column("bands", "The rule's bands.", Value::Json(|s| s.bands.clone())),
    column(
        "base_amount",
        "The amount that the price was made from, in base_currency.",
        Value::Money(|s| s.base_amount),
    ),
    column("base_currency", "Currency of base_amount.", Value::Text(|s| s.base_currency.clone())),
    column("fx_rate_id", "The exchange rate that converted it, if one did.", Value::Text(|s| s.fx_rate_id.clone())),
    column("fx_rate", "Quote units for one base unit of that rate.", Value::Amount(|s| s.fx_rate)),
    column("outcome", "billed, retained, reported or unrated.", Value::Text(|s| s.outcome.clone())),
    column("amount", "What comes out, unrounded, in currency.", Value::Money(|s| s.amount)),
    column("currency", "Currency of amount.", Value::Text(|s| s.currency.clone())),
    column(
        "approved_by",
        "Who submitted and approved the card's version, and as what.",
        Value::Text(|s| s.approved_by.clone()),
    ),
    column("details", "What else is known of the step.", Value::Json(|s| s.details.clone())),
    column(
        "object_id",
        "What explain_rule(kind, object_id) finds all charges of: the account, OWNER/RULE, OWNER/POOL, CARD/VERSION/RULE, or the grant that a credit was drawn on.",
        Value::Text(|s| s.object_id.clone()),
    ),
];

/// The result's schema.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>())));
    SCHEMA.clone()
}

/// Steps as rows.
pub(super) fn batch(steps: &[Step]) -> Result<RecordBatch> {
    let arrays = COLUMNS.iter().map(|column| column.array(steps.iter().map(Some)));
    Ok(RecordBatch::try_new(schema(), arrays.collect::<Result<_>>()?)?)
}
