//! The result's columns: a contract with users, as the relations' are.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;

use crate::lake::schema;
use crate::security::relations::{PG_SCALE, PG_TYPE, commented};

/// One step on the way to a charge's amounts.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) charge_id: String,
    pub(super) number: i32,
    pub(super) kind: &'static str,
    pub(super) seller: Option<String>,
    pub(super) buyer: Option<String>,
    pub(super) description: String,
    pub(super) card_id: Option<String>,
    pub(super) version: Option<i64>,
    pub(super) rule_id: Option<String>,
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

/// How a column's values are taken from a step.
enum Value {
    Text(fn(&Step) -> Option<String>),
    Json(fn(&Step) -> Option<String>),
    Count(fn(&Step) -> i32),
    Number(fn(&Step) -> Option<i64>),
    Amount(fn(&Step) -> Option<i128>),
    Money(fn(&Step) -> Option<i128>),
}

struct Column(&'static str, &'static str, Value);

static COLUMNS: [Column; 23] = [
    Column("charge_id", "The charge.", Value::Text(|s| Some(s.charge_id.clone()))),
    Column("step", "The steps' order, from 1.", Value::Count(|s| s.number)),
    Column(
        "kind",
        "line (what the provider billed), account, rule, pool (what made it the owner's), purchase (what the caller pays), sale (what a node below pays).",
        Value::Text(|s| Some(s.kind.to_owned())),
    ),
    Column("seller_node_id", "Who sells; of a rule or pool, its owner.", Value::Text(|s| s.seller.clone())),
    Column("buyer_node_id", "Who pays; of an account, rule or pool, who got it.", Value::Text(|s| s.buyer.clone())),
    Column("description", "The step in words.", Value::Text(|s| Some(s.description.clone()))),
    Column("card_id", "The rate card.", Value::Text(|s| s.card_id.clone())),
    Column("version", "The card's version.", Value::Number(|s| s.version)),
    Column("rule_id", "The card's rule, or the attribution rule.", Value::Text(|s| s.rule_id.clone())),
    Column("method", "How it prices, or shares.", Value::Text(|s| s.method.clone())),
    Column(
        "value",
        "Percent, unit price, or the share of a pool: percent, or an amount where it is fixed.",
        Value::Amount(|s| s.value),
    ),
    Column("unit", "The unit that a unit price is for.", Value::Text(|s| s.unit.clone())),
    Column("base", "What a percentage applies to.", Value::Text(|s| s.base.clone())),
    Column("bands", "The rule's bands.", Value::Json(|s| s.bands.clone())),
    Column(
        "base_amount",
        "The amount that the price was made from, in base_currency.",
        Value::Money(|s| s.base_amount),
    ),
    Column("base_currency", "Currency of base_amount.", Value::Text(|s| s.base_currency.clone())),
    Column("fx_rate_id", "The exchange rate that converted it, if one did.", Value::Text(|s| s.fx_rate_id.clone())),
    Column("fx_rate", "Quote units for one base unit of that rate.", Value::Amount(|s| s.fx_rate)),
    Column("outcome", "billed, retained, reported or unrated.", Value::Text(|s| s.outcome.clone())),
    Column("amount", "What comes out, unrounded, in currency.", Value::Money(|s| s.amount)),
    Column("currency", "Currency of amount.", Value::Text(|s| s.currency.clone())),
    Column(
        "approved_by",
        "Who submitted and approved the card's version, and as what.",
        Value::Text(|s| s.approved_by.clone()),
    ),
    Column("details", "What else is known of the step.", Value::Json(|s| s.details.clone())),
];

fn field(Column(name, comment, value): &Column) -> Field {
    let with = |data_type: DataType| commented(name, data_type, comment);
    let and = |field: Field, key: &str, value: &str| {
        let mut metadata = field.metadata().clone();
        metadata.insert(key.to_owned(), value.to_owned());
        field.with_metadata(metadata)
    };
    match value {
        Value::Text(_) => with(DataType::Utf8View),
        Value::Json(_) => and(with(DataType::Utf8View), PG_TYPE, "json"),
        Value::Count(_) => with(DataType::Int32),
        Value::Number(_) => with(DataType::Int64),
        Value::Amount(_) => with(schema::money()),
        Value::Money(_) => and(with(schema::money()), PG_SCALE, "trim:2"),
    }
}

/// The result's schema.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>())));
    SCHEMA.clone()
}

/// Steps as rows.
pub(super) fn batch(steps: &[Step]) -> Result<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(COLUMNS.len());
    for Column(.., value) in &COLUMNS {
        arrays.push(match value {
            Value::Text(of) | Value::Json(of) => Arc::new(steps.iter().map(of).collect::<StringViewArray>()),
            Value::Count(of) => Arc::new(Int32Array::from_iter_values(steps.iter().map(of))),
            Value::Number(of) => Arc::new(steps.iter().map(of).collect::<Int64Array>()),
            Value::Amount(of) | Value::Money(of) => {
                let amounts: Decimal128Array = steps.iter().map(of).collect();
                Arc::new(amounts.with_precision_and_scale(schema::MONEY_PRECISION, schema::MONEY_SCALE)?)
            }
        });
    }
    Ok(RecordBatch::try_new(schema(), arrays)?)
}
