//! What buyers are charged at least: minimums of rate cards, and commitments of contracts.

use datafusion::logical_expr::{Expr, ScalarUDF, col, lit};
use datafusion::scalar::ScalarValue;
use ratehouse_udfs::json::{self, JsonFunction};

use super::fees::{EdgeRule, edge_rules};
use super::{Month, OWN_SOURCE, OwnRow, stays_of_edge};
use crate::rating::book::RateBook;
use crate::rating::facts::{CommitPeriod, ContractRow, MINIMUM, RuleRow};
use crate::rating::outcome::{Origin, Outcome};
use crate::rating::span::Span;
use crate::rating::tags;
use crate::rating::tree::{NodeIndex, Tree};

/// What a buyer is charged at least, and which charges count for it.
#[derive(Debug, Clone)]
pub struct Floor {
    /// The row that it becomes; its amount is what must be reached.
    row: OwnRow,
    /// Where charges of the edge lie: the buyer's paths with its position in each.
    paths: Vec<(String, usize)>,
    /// The first and the last billing period that count.
    periods: (i32, i32),
    /// From this day on, and before that one, where the month has several floors one after the other.
    days: (Option<i32>, Option<i32>),
    /// Says what a day is.
    month: Month,
    /// What it looks at; none is everything but taxes and credits.
    rule: Option<RuleRow>,
}

/// What of `charges_daily` counts for a floor on one path of the buyer.
#[derive(Debug)]
pub struct DaysCounted {
    /// Which rows.
    pub filter: Expr,
    /// What of them is added up.
    pub amount: Expr,
}

/// The floors of a seller that end in a month.
pub(super) fn floors(book: &RateBook, seller: NodeIndex, month: &Month) -> Vec<Floor> {
    let rules = edge_rules(book, seller, month, MINIMUM);
    let mut floors: Vec<Floor> = rules.iter().filter_map(|rule| of_rule(book, seller, month, rule)).collect();
    let contracts = book.own.contracts.get(&seller).into_iter().flatten();
    floors.extend(contracts.filter_map(|contract| of_contract(book, seller, month, contract)));
    floors
}

fn of_rule(book: &RateBook, seller: NodeIndex, month: &Month, held: &EdgeRule<'_>) -> Option<Floor> {
    Some(Floor {
        row: held.row(book, seller, Origin::Minimum, held.amount(month)?),
        paths: paths(book, seller, held.buyer),
        periods: (month.period, month.period),
        days: days_of(held.span, month.span, month),
        month: *month,
        rule: Some(held.rule.clone()),
    })
}

/// Which days a part of a whole has: from which one on, unless it begins with the whole, and before which one. What comes late, for
/// days before the whole, counts for the part with which it begins.
fn days_of(part: Span, whole: Span, month: &Month) -> (Option<i32>, Option<i32>) {
    let from = (part.from > whole.from).then(|| month.day_of(part.from));
    let before = (part.until < whole.until).then(|| month.day_of(part.until));
    (from, before)
}

fn of_contract(book: &RateBook, seller: NodeIndex, month: &Month, contract: &ContractRow) -> Option<Floor> {
    let committed = contract.commit_amount?;
    let buyer = book.tree.node(&contract.buyer_node_id)?;
    // It begins and ends with the edge that it is about.
    let stays = stays_of_edge(&book.tree, buyer, seller, (contract.valid, month)).into_iter();
    let mut held = stays.map(|stay| (stay, stay.days.intersect(contract.valid)));
    let (stay, valid) = held.find(|(_, valid)| valid.overlaps(month.span))?;
    let first = month.at(valid.from)?;
    let months = first.months_until(month)?;
    let is_last = valid.until <= month.span.until;
    let (begins, whole) = match contract.commit_period.months().and_then(|length| i32::try_from(length).ok()) {
        None if is_last => (first, contract.valid),
        None => return None,
        Some(length) if is_last || (months + 1) % length == 0 => {
            let begins = month.after(-(months % length))?;
            (begins, Span { from: begins.span.from, until: begins.after(length)?.span.from })
        }
        Some(_) => return None,
    };
    let amount = month.prorated(committed, valid.intersect(whole), whole)?;
    let counted = Span { from: begins.span.from, until: month.span.until };
    let what = match contract.commit_period {
        CommitPeriod::Month => "month",
        CommitPeriod::Quarter => "quarter",
        CommitPeriod::Year => "year",
        CommitPeriod::Term => "term",
    };
    Some(Floor {
        row: OwnRow {
            origin: Origin::Shortfall,
            seller,
            node: buyer,
            name: contract.contract_id.clone(),
            span: valid.intersect(month.span),
            at: stay.real.nearest(valid.intersect(month.span).from),
            category: "Purchase",
            service_name: Some("Commitment".to_owned()),
            sku_id: None,
            description: format!("Shortfall of the {what}'s commitment"),
            tags: None,
            quantity: None,
            unit: None,
            amount,
            currency: contract.currency.clone(),
            rule: None,
        },
        paths: paths(book, seller, buyer),
        periods: (begins.period, month.period),
        days: days_of(valid, counted, month),
        month: *month,
        rule: None,
    })
}

/// Every path on which the buyer has ever bought from the seller.
pub(super) fn paths(book: &RateBook, seller: NodeIndex, buyer: NodeIndex) -> Vec<(String, usize)> {
    let tree = &book.tree;
    let mut found = Vec::new();
    let mut at = i64::MIN;
    loop {
        let (_, holds) = tree.stretch(buyer, at);
        if let Some(path) = tree.path(buyer, at).filter(|path| path.ends_with(&[seller, buyer])) {
            let here = (tree.path_text(&path), path.len() - 1);
            if !found.contains(&here) {
                found.push(here);
            }
        }
        if holds.until == i64::MAX {
            return found;
        }
        at = holds.until;
    }
}

/// Rows of `charges_daily` that are billed on the edge to the node at the end of a path, in the edge's currency.
pub(super) fn billed_on(path: &str, position: usize, currency: &str) -> Expr {
    let node_path = || col("node_path");
    let below = node_path().gt_eq(lit(format!("{path}/"))).and(node_path().lt(lit(format!("{path}0"))));
    let filter = node_path().eq(lit(path)).or(below);
    let filter = filter.and(col(format!("outcome_{position}")).eq(lit(Outcome::Billed.name())));
    filter.and(col(format!("currency_{position}")).eq(lit(currency)))
}

/// Whether an own row is billed on the edge between a seller and a buyer.
pub(super) fn is_on_edge(tree: &Tree, row: &OwnRow, (seller, buyer): (NodeIndex, NodeIndex)) -> bool {
    let path = tree.path(row.node, row.at).unwrap_or_default();
    row.seller == seller && path.windows(2).any(|edge| edge == [seller, buyer])
}

impl Floor {
    /// The billing periods whose charges count, first and last.
    pub fn periods(&self) -> (i32, i32) {
        self.periods
    }

    /// Seller, buyer and rule (`card/version/rule`) of a minimum, and its currency; none of a contract's commitment.
    pub(crate) fn minimum(&self) -> Option<(NodeIndex, NodeIndex, &str, &str)> {
        let row = &self.row;
        let rule = row.rule.as_deref().filter(|_| row.origin == Origin::Minimum)?;
        Some((row.seller, row.node, rule, &row.currency))
    }

    /// Whether charges of an instant's day count, where the month has several floors.
    pub(crate) fn counts(&self, at: i64) -> bool {
        let day = self.month.day_of(at);
        self.days.0.is_none_or(|from| from <= day) && self.days.1.is_none_or(|before| day < before)
    }

    /// What of `charges_daily` counts, path by path of the buyer; the seller's own rows of the month are not among it.
    pub fn counted(&self) -> Vec<DaysCounted> {
        self.paths
            .iter()
            .map(|(path, position)| {
                let mut filter = billed_on(path, *position, &self.row.currency);
                // What a minimum adds is charged, too, as far as a commitment goes.
                // What corrects earlier months counted there.
                let floors: &[Origin] = match self.rule {
                    Some(_) => &[Origin::Minimum, Origin::Shortfall, Origin::Adjustment],
                    None => &[Origin::Shortfall, Origin::Adjustment],
                };
                let floors = floors.iter().map(|origin| lit(origin.name())).collect();
                filter = filter.and(col("origin").in_list(floors, true));
                for condition in self.conditions() {
                    filter = filter.and(condition);
                }
                DaysCounted { filter, amount: col(format!("price_{position}")) }
            })
            .collect()
    }

    fn conditions(&self) -> Vec<Expr> {
        let day = |number: i32| lit(ScalarValue::Date32(Some(number)));
        let mut all = vec![col("billing_period").between(day(self.periods.0), day(self.periods.1))];
        all.extend(self.days.0.map(|from| col("charge_date").gt_eq(day(from))));
        all.extend(self.days.1.map(|before| col("charge_date").lt(day(before))));
        let Some(rule) = &self.rule else {
            all.push(col("charge_category").in_list(vec![lit("Tax"), lit("Credit")], true));
            return all;
        };
        for (column, wanted) in texts(rule) {
            all.extend(wanted.map(|wanted| col(column).eq(lit(wanted))));
        }
        if rule.charge_category.is_none() {
            all.push(col("charge_category").in_list(vec![lit("Usage"), lit("Purchase")], false));
        }
        all.extend(rule.marketplace.map(|wanted| col("marketplace").eq(lit(wanted))));
        if let Some(key) = &rule.tag_key {
            let read = ScalarUDF::from(JsonFunction::new(json::Step::Field, json::Shown::Text));
            let value = read.call(vec![col("rule_tags"), lit(key.as_str())]);
            all.push(match &rule.tag_value {
                Some(wanted) => value.eq(lit(wanted.as_str())),
                None => value.is_not_null(),
            });
        }
        all
    }

    /// What of the seller's own rows of the month counts.
    pub fn own(&self, book: &RateBook, rows: &[OwnRow]) -> Option<i128> {
        let counts = rows.iter().filter(|row| {
            let is_of_edge = is_on_edge(&book.tree, row, (self.row.seller, self.row.node));
            let is_money = row.currency == self.row.currency;
            is_of_edge
                && self.counts(row.span.from)
                && is_money
                && row.origin != Origin::Adjustment
                && self.rule.as_ref().is_none_or(|rule| matches(rule, row))
        });
        counts.into_iter().try_fold(0_i128, |sum, row| sum.checked_add(row.amount))
    }

    /// The row that brings what was charged up to the floor; none where it is reached.
    pub fn missing(mut self, charged: i128) -> Option<OwnRow> {
        self.row.amount = self.row.amount.checked_sub(charged).filter(|missing| *missing > 0)?;
        Some(self.row)
    }
}

/// The texts that a rule looks at, by column.
fn texts(rule: &RuleRow) -> [(&'static str, Option<&str>); 9] {
    [
        ("provider_name", rule.provider_name.as_deref()),
        ("service_category", rule.service_category.as_deref()),
        ("service_name", rule.service_name.as_deref()),
        ("sku_id", rule.sku_id.as_deref()),
        ("region_id", rule.region_id.as_deref()),
        ("charge_category", rule.charge_category.as_deref()),
        ("pricing_category", rule.pricing_category.as_deref()),
        ("resource_type", rule.resource_type.as_deref()),
        ("unit", rule.unit.as_deref()),
    ]
}

fn matches(rule: &RuleRow, row: &OwnRow) -> bool {
    let is_sold = matches!(row.category, "Usage" | "Purchase");
    let texts_match = texts(rule).into_iter().all(|(column, wanted)| {
        let held = match column {
            "provider_name" => Some(OWN_SOURCE),
            "service_name" => row.service_name.as_deref(),
            "sku_id" => row.sku_id.as_deref(),
            "charge_category" => Some(row.category),
            "unit" => row.unit,
            _ => None,
        };
        wanted.is_none() || wanted == held
    });
    let tag_matches = rule.tag_key.as_ref().is_none_or(|wanted| {
        let mut found = false;
        tags::each_tag(row.tags.as_deref().unwrap_or_default(), &mut |key, value| {
            found |= key == wanted && rule.tag_value.as_ref().is_none_or(|wanted| wanted == value);
        });
        found
    });
    texts_match && tag_matches && rule.marketplace != Some(true) && (rule.charge_category.is_some() || is_sold)
}
