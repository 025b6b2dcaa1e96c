//! The result's columns.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use ratehouse_udfs::decimal::POWERS_OF_TEN;

use crate::period::BillingPeriod;
use crate::rating::EdgeMonth;
use crate::session::table_function::{Column, Value, column};

/// A result with what was asked.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) card_id: String,
    pub(super) version: i64,
    pub(super) from: BillingPeriod,
    pub(super) to: BillingPeriod,
    pub(super) period: BillingPeriod,
    pub(super) edge: EdgeMonth,
}

impl Row {
    /// A difference of two amounts of at most 38 digits; none where it has more.
    fn less(a: i128, b: i128) -> Option<i128> {
        a.checked_sub(b).filter(|rest| rest.unsigned_abs() < POWERS_OF_TEN[38].unsigned_abs())
    }

    /// None where the caller is not shown it.
    fn cost(&self, cost: i128) -> Option<i128> {
        (!self.edge.is_cost_kept).then_some(cost)
    }

    /// None where price and cost are of two currencies, or the cost is not shown.
    fn margin(&self, price: i128, cost: i128) -> Option<i128> {
        let EdgeMonth { currency, cost_currency, .. } = &self.edge;
        self.cost(cost).filter(|_| currency == cost_currency).and_then(|cost| Self::less(price, cost))
    }
}

static COLUMNS: [Column<Row>; 22] = [
    column("card_id", "The rate card.", Value::Text(|r| Some(r.card_id.clone()))),
    column("version", "The version that is tried out.", Value::Number(|r| Some(r.version))),
    column(
        "from_period",
        "First day of the first month for which it is.",
        Value::Day(|r| Some(r.from.first_day_number())),
    ),
    column("to_period", "First day of the last month for which it is.", Value::Day(|r| Some(r.to.first_day_number()))),
    column("billing_period", "First day of the billing period.", Value::Day(|r| Some(r.period.first_day_number()))),
    column(
        "seller_node_id",
        "Who sells: the card's seller, or a node below it.",
        Value::Text(|r| Some(r.edge.seller.clone())),
    ),
    column("buyer_node_id", "Who buys.", Value::Text(|r| Some(r.edge.buyer.clone()))),
    column(
        "node_id",
        "Who has the charges: the buyer, or a node below it.",
        Value::Text(|r| Some(r.edge.node.clone())),
    ),
    column("charged", "What the buyer was billed, unrounded, in currency.", Value::Money(|r| Some(r.edge.charged))),
    column("simulated", "What it would have been billed, in currency.", Value::Money(|r| Some(r.edge.simulated))),
    column("difference", "simulated less charged.", Value::Money(|r| Row::less(r.edge.simulated, r.edge.charged))),
    column("currency", "Of what the buyer pays.", Value::Text(|r| r.edge.currency.clone())),
    column(
        "cost",
        "What the seller paid for these charges, in cost_currency; of the root its effective cost. What it kept or only reported adds to cost and not to charged. Null where its own seller does not disclose it.",
        Value::Money(|r| r.cost(r.edge.cost)),
    ),
    column(
        "simulated_cost",
        "What it would have paid, in cost_currency.",
        Value::Money(|r| r.cost(r.edge.simulated_cost)),
    ),
    column("cost_currency", "Of what the seller pays.", Value::Text(|r| r.edge.cost_currency.clone())),
    column(
        "margin",
        "charged less cost where both are in one currency, else null.",
        Value::Money(|r| r.margin(r.edge.charged, r.edge.cost)),
    ),
    column(
        "simulated_margin",
        "simulated less simulated_cost where both are in one currency, else null.",
        Value::Money(|r| r.margin(r.edge.simulated, r.edge.simulated_cost)),
    ),
    column(
        "margin_difference",
        "simulated_margin less margin.",
        Value::Money(|r| {
            let (before, after) =
                (r.margin(r.edge.charged, r.edge.cost)?, r.margin(r.edge.simulated, r.edge.simulated_cost)?);
            Row::less(after, before)
        }),
    ),
    column("usage_rows", "How many charges were sold on the edge.", Value::Number(|r| Some(r.edge.usage_rows))),
    column(
        "unrated_rows",
        "How many no price could be found for; they are in simulated_cost and not in simulated.",
        Value::Number(|r| Some(r.edge.unrated_rows)),
    ),
    column(
        "unrated_reasons",
        "Why not: no_rule, unit, no_quantity ..., as ops.close_blockers has them.",
        Value::Text(|r| {
            let reasons: Vec<&str> = r.edge.reasons.iter().copied().collect();
            (!reasons.is_empty()).then(|| reasons.join(", "))
        }),
    ),
    column(
        "source",
        "What it was made from: roll-up, or charges where the roll-up lacks what a rule looks at or when something changed.",
        Value::Text(|r| Some(if r.edge.is_from_charges { "charges" } else { "roll-up" }.to_owned())),
    ),
];

/// The result's schema.
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>())));
    SCHEMA.clone()
}

/// Results as rows.
pub(super) fn batch(rows: &[Row]) -> Result<RecordBatch> {
    let arrays = COLUMNS.iter().map(|column| column.array(rows.iter().map(Some)));
    Ok(RecordBatch::try_new(schema(), arrays.collect::<Result<_>>()?)?)
}
