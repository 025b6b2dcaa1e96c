//! The result's columns.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;

use super::object::{Kind, Object};
use crate::session::explain_charge::charge::Charge;
use crate::session::explain_charge::edges::{Edge, Ruled};
use crate::session::table_function::{Column, Value, column};

/// An edge of a charge.
#[derive(Debug, Clone)]
pub(super) struct Row {
    kind: Kind,
    object_id: String,
    charge_id: Option<String>,
    billing_period: Option<i32>,
    charge_date: Option<i32>,
    node_id: Option<String>,
    provider_name: Option<String>,
    service_name: Option<String>,
    depth: Option<i32>,
    seller: Option<String>,
    buyer: String,
    rule: Ruled,
    fx_rate_id: Option<String>,
    outcome: String,
    seller_cost: Option<i128>,
    seller_currency: Option<String>,
    amount: Option<i128>,
    currency: Option<String>,
}

impl Row {
    pub(super) fn new(object: &Object, charge: Charge<'_>, edge: &Edge<'_>) -> Self {
        Self {
            kind: object.kind,
            object_id: object.id.clone(),
            charge_id: charge.owned("charge_id"),
            billing_period: charge.day("billing_period"),
            charge_date: charge.day("charge_date"),
            node_id: charge.owned("node_id"),
            provider_name: charge.owned("provider_name"),
            service_name: charge.owned("service_name"),
            depth: i32::try_from(edge.place).ok(),
            seller: edge.seller.map(str::to_owned),
            buyer: edge.buyer.to_owned(),
            rule: edge.ruled(),
            fx_rate_id: edge.fx_rate_id.map(str::to_owned),
            outcome: edge.outcome.to_owned(),
            seller_cost: edge.cost,
            seller_currency: edge.cost_currency.map(str::to_owned),
            amount: edge.amount,
            currency: edge.currency.map(str::to_owned),
        }
    }
}

static COLUMNS: [Column<Row>; 20] = [
    column(
        "kind",
        "What kind of object is asked for: account, rule (of attribution), pool, sale (a rate card, a version or a rule of it), own (a grant of credits), fx_rate, charge_policy or commitment (the root's).",
        Value::Text(|r| Some(r.kind.name().to_owned())),
    ),
    column(
        "object_id",
        "Which one, as explain_charge has it: the sub account or billing account, OWNER/RULE, OWNER/POOL, CARD[/VERSION[/RULE]], the grant, the rate, SELLER/CATEGORY, the commitment.",
        Value::Text(|r| Some(r.object_id.clone())),
    ),
    column("charge_id", "A charge that it had to do with.", Value::Text(|r| r.charge_id.clone())),
    column("billing_period", "First day of the billing period.", Value::Day(|r| r.billing_period)),
    column("charge_date", "The day on which the charge begins for its owner.", Value::Day(|r| r.charge_date)),
    column("node_id", "The node that owns the usage.", Value::Text(|r| r.node_id.clone())),
    column("provider_name", "The provider.", Value::Text(|r| r.provider_name.clone())),
    column("service_name", "The provider's service.", Value::Text(|r| r.service_name.clone())),
    column(
        "depth",
        "The payer's place below the caller: 0 is the caller itself. Of what prices or converts on one edge (sale, fx_rate, charge_policy) that edge only; of others all edges of the charge that charges_by_tier shows.",
        Value::Count(|r| r.depth),
    ),
    column(
        "seller_node_id",
        "Who is paid; null where that is the provider or above the caller.",
        Value::Text(|r| r.seller.clone()),
    ),
    column("buyer_node_id", "Who pays.", Value::Text(|r| Some(r.buyer.clone()))),
    column("card_id", "The rate card that priced the edge.", Value::Text(|r| r.rule.card_id.clone())),
    column("version", "The card's version.", Value::Number(|r| r.rule.version)),
    column("rule_id", "The card's rule.", Value::Text(|r| r.rule.rule_id.clone())),
    column("fx_rate_id", "The exchange rate that converted the seller's cost.", Value::Text(|r| r.fx_rate_id.clone())),
    column("outcome", "billed, retained, reported or unrated on this edge.", Value::Text(|r| Some(r.outcome.clone()))),
    column(
        "seller_cost",
        "What the seller pays for the charge, in seller_currency; null where the caller is not told, or the seller bills it by itself.",
        Value::Money(|r| r.seller_cost),
    ),
    column("seller_currency", "Currency of seller_cost.", Value::Text(|r| r.seller_currency.clone())),
    column("amount", "What the payer pays, unrounded, in currency.", Value::Money(|r| r.amount)),
    column("currency", "Currency of amount.", Value::Text(|r| r.currency.clone())),
];

/// The result's schema.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>())));
    SCHEMA.clone()
}

/// Edges as rows.
pub(super) fn batch(rows: &[Row]) -> Result<RecordBatch> {
    let arrays = COLUMNS.iter().map(|column| column.array(rows.iter().map(Some)));
    Ok(RecordBatch::try_new(schema(), arrays.collect::<Result<_>>()?)?)
}
