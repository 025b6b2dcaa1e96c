//! The result's columns: a contract with users, as the relations' are.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::Result;

use super::{Shown, Sight};
use crate::lake::schema;
use crate::rating::AppliedRule;
use crate::security::relations::{PG_SCALE, PG_TYPE, commented};

/// How a column's values are taken from an edge.
enum Value {
    Text(fn(&Shown) -> Option<String>),
    Json(fn(&Shown) -> Option<String>),
    Number(fn(&Shown) -> Option<i64>),
    Flag(fn(&Shown) -> Option<bool>),
    Instant(fn(&Shown) -> Option<i64>),
    Amount(fn(&Shown) -> Option<i128>),
    Money(fn(&Shown) -> Option<i128>),
}

struct Column {
    name: &'static str,
    comment: &'static str,
    value: Value,
}

const fn column(name: &'static str, comment: &'static str, value: Value) -> Column {
    Column { name, comment, value }
}

/// The rule, for those who sell there or stand above.
fn rule(shown: &Shown) -> Option<&AppliedRule> {
    match shown.sight {
        Sight::Rules => shown.terms.rule.as_ref(),
        Sight::PublishedPrice => None,
    }
}

/// The rule's published part: its method, unit and unit prices.
fn price_list(shown: &Shown) -> Option<&AppliedRule> {
    shown.terms.rule.as_ref()
}

static COLUMNS: [Column; 21] = [
    column(
        "seller_node_id",
        "Who sells: the node above the buyer.",
        Value::Text(|s| s.to_seller(|_| Some(s.seller.clone()))),
    ),
    column("buyer_node_id", "Who buys: the node asked for.", Value::Text(|s| Some(s.buyer.clone()))),
    column(
        "outcome",
        "billed, retained, reported or unrated.",
        Value::Text(|s| Some(s.terms.outcome.name().to_owned())),
    ),
    column("reason", "Why it is unrated.", Value::Text(|s| s.to_seller(|terms| terms.reason.map(|r| r.to_string())))),
    column("card_id", "The rate card that speaks.", Value::Text(|s| Some(rule(s)?.card_id.clone()))),
    column("version", "The version of it that is in force.", Value::Number(|s| Some(rule(s)?.version))),
    column(
        "valid_from",
        "Since when the version is.",
        Value::Instant(|s| Some(rule(s)?.valid.from).filter(|at| *at != i64::MIN)),
    ),
    column(
        "valid_to",
        "Until when the version is; null is open.",
        Value::Instant(|s| Some(rule(s)?.valid.until).filter(|at| *at != i64::MAX)),
    ),
    column(
        "is_default_card",
        "Whether it is the seller's card for all buyers, which speaks where the buyer's own has no rule.",
        Value::Flag(|s| Some(rule(s)?.is_default_card)),
    ),
    column("rule_id", "The rule.", Value::Text(|s| Some(rule(s)?.row.rule_id.clone()))),
    column("priority", "The rule's priority: the higher wins.", Value::Number(|s| Some(rule(s)?.row.priority))),
    column(
        "specificity",
        "What the rule looks at, the most specific first: among equal priorities the first that only one of two rules names decides.",
        Value::Text(|s| {
            Some(rule(s)?.dimensions.iter().map(|dimension| dimension.column()).collect::<Vec<_>>().join(", "))
        }),
    ),
    column("method", "How it prices.", Value::Text(|s| Some(price_list(s)?.row.method.clone()))),
    column("value", "Percent or unit price.", Value::Amount(|s| price_list(s)?.row.value)),
    column("base", "What a percentage applies to.", Value::Text(|s| rule(s)?.base.map(str::to_owned))),
    column("bands", "Its bands.", Value::Json(|s| price_list(s)?.row.bands.clone())),
    column(
        "scope",
        "Whose quantity the bands count: account, node or subtree.",
        Value::Text(|s| rule(s).filter(|rule| rule.row.bands.is_some()).map(|rule| rule.row.scope.clone())),
    ),
    column("unit", "The only unit it prices; null is any.", Value::Text(|s| price_list(s)?.row.unit.clone())),
    column(
        "price",
        "What the buyer pays, unrounded, where the amount that the rule prices was given; bands take the quantity for the period's total.",
        Value::Money(|s| s.terms.price),
    ),
    column("currency", "Currency of price and of unit prices.", Value::Text(|s| Some(s.terms.currency.clone()))),
    column(
        "fx_rate_id",
        "The exchange rate that converts the cost, if one does.",
        Value::Text(|s| s.to_seller(|terms| terms.fx_rate_id.clone())),
    ),
];

fn field(column: &Column) -> Field {
    let with = |data_type: DataType| commented(column.name, data_type, column.comment);
    let and = |field: Field, key: &str, value: &str| {
        let mut metadata = field.metadata().clone();
        metadata.insert(key.to_owned(), value.to_owned());
        field.with_metadata(metadata)
    };
    match column.value {
        Value::Text(_) => with(DataType::Utf8View),
        Value::Json(_) => and(with(DataType::Utf8View), PG_TYPE, "json"),
        Value::Number(_) => with(DataType::Int64),
        Value::Flag(_) => with(DataType::Boolean),
        Value::Instant(_) => with(schema::instant()),
        Value::Amount(_) => with(schema::money()),
        Value::Money(_) => and(with(schema::money()), PG_SCALE, "trim:2"),
    }
}

static FIELDS: LazyLock<Fields> = LazyLock::new(|| COLUMNS.iter().map(field).collect());

/// The columns' fields.
pub(super) fn fields() -> Fields {
    FIELDS.clone()
}

/// The columns of some edges; those that are not shown have nulls.
pub(super) fn arrays(shown: &[Option<Shown>]) -> Result<Vec<ArrayRef>> {
    COLUMNS
        .iter()
        .map(|column| {
            Ok(match &column.value {
                Value::Text(of) | Value::Json(of) => {
                    Arc::new(shown.iter().map(|s| s.as_ref().and_then(of)).collect::<StringViewArray>()) as ArrayRef
                }
                Value::Number(of) => Arc::new(shown.iter().map(|s| s.as_ref().and_then(of)).collect::<Int64Array>()),
                Value::Flag(of) => Arc::new(shown.iter().map(|s| s.as_ref().and_then(of)).collect::<BooleanArray>()),
                Value::Instant(of) => {
                    let instants: TimestampMicrosecondArray = shown.iter().map(|s| s.as_ref().and_then(of)).collect();
                    Arc::new(instants.with_timezone("UTC"))
                }
                Value::Amount(of) | Value::Money(of) => {
                    let amounts: Decimal128Array = shown.iter().map(|s| s.as_ref().and_then(of)).collect();
                    Arc::new(amounts.with_precision_and_scale(schema::MONEY_PRECISION, schema::MONEY_SCALE)?)
                }
            })
        })
        .collect()
}
