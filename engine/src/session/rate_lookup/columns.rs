//! The result's columns.

use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::Fields;
use datafusion::error::Result;

use super::{Shown, Sight};
use crate::rating::AppliedRule;
use crate::session::table_function::{Column, Value, column};

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

static COLUMNS: [Column<Shown>; 21] = [
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

static FIELDS: LazyLock<Fields> = LazyLock::new(|| COLUMNS.iter().map(Column::field).collect());

/// The columns' fields.
pub(super) fn fields() -> Fields {
    FIELDS.clone()
}

/// The columns of some edges; those that are not shown have nulls.
pub(super) fn arrays(shown: &[Option<Shown>]) -> Result<Vec<ArrayRef>> {
    COLUMNS.iter().map(|column| column.array(shown.iter().map(Option::as_ref))).collect()
}
