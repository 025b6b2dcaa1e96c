//! Credits that sellers grant: how each flows down to the node that it is for, and what is drawn of it on an edge in a month.
//!
//! A credit goes from the seller that grants it down to its node, edge by edge. Each node on the way keeps what its policy says and
//! passes the rest on, so what arrives on an edge lowers what its buyer is charged there: by a row of the edge's seller that ends at
//! the buyer. Nothing above an edge says how much a credit was there.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type};
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::scalar::ScalarValue;
use hashbrown::HashMap;
use ratehouse_udfs::decimal::{POWERS_OF_TEN, SCALE};
use ratehouse_udfs::money::Currency;
use ratehouse_udfs::window::{Residue, split};

use super::floors::{DaysCounted, billed_on, is_on_edge, paths};
use super::{Month, OwnRow, by_days_of, stays_of_edge};
use crate::rating::book::RateBook;
use crate::rating::facts::{CreditPolicy, CreditPolicyRow, CreditRow, RefFacts};
use crate::rating::outcome::Origin;
use crate::rating::span::Span;
use crate::rating::tree::{NodeIndex, Tree};

/// What one node on a credit's way does with it.
#[derive(Debug, Clone)]
pub struct CreditFlow {
    /// The credit.
    pub credit_id: String,
    /// What kind.
    pub kind: String,
    /// Where it comes from.
    pub source: String,
    /// Of the amounts.
    pub currency: String,
    /// The nodes from the root to the one that it is for, as they stood when it began.
    pub path: Vec<NodeIndex>,
    /// The node's position in the path; the last one passes nothing on.
    pub at: usize,
    /// What arrives at the node, scale 18.
    pub received: i128,
    /// What it keeps of that.
    pub kept: i128,
    /// What goes on to the next node: on that edge it is drawn.
    pub passed: i128,
    /// When it is drawn, by the node's days.
    pub valid: Span,
}

impl CreditFlow {
    /// The node.
    pub fn seller(&self) -> NodeIndex {
        self.path[self.at]
    }

    /// The next one on the way.
    pub fn buyer(&self) -> NodeIndex {
        self.path[self.at + 1]
    }
}

/// The flows of all credits that are given, by the node that passes on, each node's in the order in which they are drawn: those
/// that expire first, then by name.
pub(super) fn compile(facts: &RefFacts, tree: &Tree) -> HashMap<NodeIndex, Vec<CreditFlow>> {
    let mut flows: HashMap<NodeIndex, Vec<CreditFlow>> = HashMap::new();
    let mut policies: HashMap<&str, Vec<&CreditPolicyRow>> = HashMap::new();
    for row in &facts.credit_policies {
        policies.entry(row.node_id.as_str()).or_default().push(row);
    }
    for credit in facts.credits.iter().filter(|credit| credit.is_active) {
        for flow in flows_of(credit, &policies, tree) {
            flows.entry(flow.seller()).or_default().push(flow);
        }
    }
    for list in flows.values_mut() {
        list.sort_by(|a, b| (a.valid.until, &a.credit_id).cmp(&(b.valid.until, &b.credit_id)));
    }
    flows
}

fn flows_of(credit: &CreditRow, policies: &HashMap<&str, Vec<&CreditPolicyRow>>, tree: &Tree) -> Vec<CreditFlow> {
    let (Some(seller), Some(node)) = (tree.node(&credit.seller_node_id), tree.node(&credit.node_id)) else {
        return Vec::new();
    };
    // A date begins with the seller's day, when a node that came at the same date may not be there yet.
    let begins = by_days_of(tree, seller, credit.valid).from;
    let found = [begins, credit.valid.from].into_iter().find_map(|at| {
        let path = tree.path(node, at)?;
        let from = path.iter().position(|above| *above == seller)?;
        Some((path, from))
    });
    let Some((path, from)) = found else { return Vec::new() };
    let mut flows = Vec::new();
    let mut received = credit.amount;
    for at in from..path.len() - 1 {
        let policy = policy_of(policies.get(tree.name(path[at])), credit);
        let (kept, passed) = divided(received, policy, &credit.currency);
        flows.push(CreditFlow {
            credit_id: credit.credit_id.clone(),
            kind: credit.kind.clone(),
            source: credit.source.clone(),
            currency: credit.currency.clone(),
            valid: by_days_of(tree, path[at], credit.valid),
            path: path.clone(),
            at,
            received,
            kept,
            passed,
        });
        if passed == 0 {
            break;
        }
        received = passed;
    }
    flows
}

/// What a node does with a credit: its policy for the kind before the general one, as it holds when the credit begins; both are dates
/// as they were written.
fn policy_of(policies: Option<&Vec<&CreditPolicyRow>>, credit: &CreditRow) -> CreditPolicy {
    let governs = |row: &&&CreditPolicyRow| {
        row.valid.contains(credit.valid.from) && row.kind.as_ref().is_none_or(|kind| *kind == credit.kind)
    };
    let found = policies.into_iter().flatten().filter(governs).max_by_key(|row| (row.kind.is_some(), row.valid.from));
    found.map_or(CreditPolicy::Pass, |row| row.policy)
}

/// What is kept and what goes on, in whole minor units of the currency; both together are the amount.
fn divided(amount: i128, policy: CreditPolicy, currency: &str) -> (i128, i128) {
    match policy {
        CreditPolicy::Pass => (0, amount),
        CreditPolicy::Retain => (amount, 0),
        CreditPolicy::Split(weights) => {
            match split(amount, &weights, minor_unit(currency), Residue::Largest).as_deref() {
                Ok([kept, passed]) => (*kept, *passed),
                // Weights that say nothing give nothing away.
                Ok(_) | Err(_) => (amount, 0),
            }
        }
    }
}

fn minor_unit(currency: &str) -> i128 {
    let digits = Currency::of(currency).map_or(2, |currency| currency.minor_unit().unsigned_abs());
    POWERS_OF_TEN[usize::from(SCALE.unsigned_abs().saturating_sub(digits))]
}

/// What was drawn of a credit on an edge in a billing period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// First day of the billing period, days since 1970.
    pub period: i32,
    /// The path of the buyer, root first.
    pub node_path: String,
    /// The credit.
    pub credit_id: String,
    /// Where it comes from.
    pub source: String,
    /// Of the amount.
    pub currency: String,
    /// Above zero, scale 18.
    pub amount: i128,
}

impl Drawn {
    /// Seller and buyer of the edge.
    pub fn edge(&self) -> Option<(&str, &str)> {
        let (above, buyer) = self.node_path.rsplit_once('/')?;
        Some((above.rsplit('/').next().unwrap_or(above), buyer))
    }
}

/// The columns of `charges_daily` that say what was drawn.
pub const DRAWN_COLUMNS: [&str; 4] = ["billing_period", "node_path", "sku_id", "service_name"];

/// What rows of `charges_daily` of origin `credit` say, with all prices and currencies beside [`DRAWN_COLUMNS`]; none where one of
/// them cannot be read.
pub fn draws_in(batch: &RecordBatch) -> Option<Vec<Drawn>> {
    let text = |name: &str, row: usize| {
        let column = batch.column_by_name(name)?.as_string_view_opt()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let periods = batch.column_by_name("billing_period")?.as_primitive_opt::<Date32Type>()?;
    let mut found = Vec::new();
    for row in 0..batch.num_rows() {
        let node_path = text("node_path", row)?;
        let position = node_path.matches('/').count();
        let prices = batch.column_by_name(&format!("price_{position}"))?.as_primitive_opt::<Decimal128Type>()?;
        // What could not be billed on its edge was not drawn.
        if prices.is_null(row) {
            continue;
        }
        found.push(Drawn {
            period: periods.value(row),
            credit_id: text("sku_id", row)?,
            source: text("service_name", row)?,
            currency: text(&format!("currency_{position}"), row)?,
            amount: prices.value(row).checked_neg()?,
            node_path,
        });
    }
    Some(found)
}

/// The credits that can be drawn on an edge in a month.
#[derive(Debug, Clone)]
pub struct EdgeCredits {
    seller: NodeIndex,
    buyer: NodeIndex,
    currency: String,
    /// Where charges of the edge lie: the buyer's paths with its position in each.
    paths: Vec<(String, usize)>,
    month: Month,
    /// The first billing period in which one of them could be drawn.
    first: i32,
    /// In the order in which they are drawn: the credit, where it comes from, what of it arrives on the edge.
    arrived: Vec<(String, String, i128)>,
}

/// The credits of a seller's edges in a month.
pub(super) fn on_edges(book: &RateBook, seller: NodeIndex, month: &Month) -> Vec<EdgeCredits> {
    let mut edges: Vec<EdgeCredits> = Vec::new();
    let flows = book.own.credits.get(&seller).into_iter().flatten();
    for flow in flows.filter(|flow| flow.passed != 0 && flow.valid.overlaps(month.span)) {
        let first = month.at(flow.valid.from).map_or(month.period, |first| first.period);
        let arrived = (flow.credit_id.clone(), flow.source.clone(), flow.passed);
        let is_same = |edge: &&mut EdgeCredits| (edge.buyer, &edge.currency) == (flow.buyer(), &flow.currency);
        if let Some(edge) = edges.iter_mut().find(is_same) {
            edge.first = edge.first.min(first);
            edge.arrived.push(arrived);
            continue;
        }
        edges.push(EdgeCredits {
            seller,
            buyer: flow.buyer(),
            currency: flow.currency.clone(),
            paths: paths(book, seller, flow.buyer()),
            month: *month,
            first,
            arrived: vec![arrived],
        });
    }
    edges
}

impl EdgeCredits {
    /// Seller and buyer.
    pub fn edge(&self) -> (NodeIndex, NodeIndex) {
        (self.seller, self.buyer)
    }

    /// The currency of the edge.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// The billing periods that decide what is drawn: from the first in which something could be, to this one.
    pub fn periods(&self) -> (i32, i32) {
        (self.first, self.month.period)
    }

    /// What of `charges_daily` is billed on the edge before taxes, path by path of the buyer; the seller's own rows of the month
    /// are not among it.
    pub fn counted(&self) -> Vec<DaysCounted> {
        let of_month = |path: &str, position: usize| {
            let period = lit(ScalarValue::Date32(Some(self.month.period)));
            let untaxed: Expr = col("charge_category").not_eq(lit("Tax"));
            billed_on(path, position, &self.currency).and(col("billing_period").eq(period)).and(untaxed)
        };
        let one = |(path, position): &(String, usize)| DaysCounted {
            filter: of_month(path, *position),
            amount: col(format!("price_{position}")),
        };
        self.paths.iter().map(one).collect()
    }

    /// What of the seller's own rows of the month is billed on the edge; none where the sum does not fit.
    pub fn own(&self, book: &RateBook, rows: &[OwnRow]) -> Option<i128> {
        let counts = |row: &&OwnRow| is_on_edge(&book.tree, row, self.edge()) && row.currency == self.currency;
        rows.iter().filter(counts).try_fold(0_i128, |sum, row| sum.checked_add(row.amount))
    }

    /// Draws what is billed, as far as it is above zero and credits reach: one row of each, less than nothing. `others` is what other
    /// billing periods have drawn of each. None where an amount does not fit.
    pub fn draw(&self, book: &RateBook, billed: i128, others: &HashMap<String, i128>) -> Option<Vec<OwnRow>> {
        let mut left = billed.max(0);
        let mut rows = Vec::new();
        for (credit, source, arrived) in &self.arrived {
            let balance = arrived.checked_sub(others.get(credit).copied().unwrap_or_default())?;
            let amount = balance.min(left);
            if amount <= 0 {
                continue;
            }
            left = left.checked_sub(amount)?;
            rows.extend(book.credit_row(self.edge(), &self.month, (credit, source), (&self.currency, amount)));
        }
        Some(rows)
    }
}

impl RateBook {
    /// What each node does with each credit that reaches it.
    pub fn credit_flows(&self) -> impl Iterator<Item = &CreditFlow> {
        self.own.credits.values().flatten()
    }

    /// The credits of a seller's edges in a billing period.
    pub fn own_credits(&self, seller: NodeIndex, period: i32) -> Vec<EdgeCredits> {
        let month = Month::of(&self.tree, seller, period);
        month.map_or_else(Vec::new, |month| on_edges(self, seller, &month))
    }

    /// What was drawn on an edge as a row of its seller again; none where there is no such edge.
    pub fn drawn_row(&self, drawn: &Drawn) -> Option<OwnRow> {
        let (seller, buyer) = drawn.edge()?;
        let (seller, buyer) = (self.tree.node(seller)?, self.tree.node(buyer)?);
        let month = Month::of(&self.tree, seller, drawn.period)?;
        self.credit_row((seller, buyer), &month, (&drawn.credit_id, &drawn.source), (&drawn.currency, drawn.amount))
    }

    /// A row of an edge that ends at its buyer: further down it does not exist, since the credit arrives there by itself.
    fn credit_row(
        &self,
        (seller, buyer): (NodeIndex, NodeIndex),
        month: &Month,
        (credit, source): (&str, &str),
        (currency, amount): (&str, i128),
    ) -> Option<OwnRow> {
        let until_now = Span { from: i64::MIN, until: month.span.until };
        let stay = stays_of_edge(&self.tree, buyer, seller, (until_now, month)).pop()?;
        Some(OwnRow {
            origin: Origin::Credit,
            seller,
            node: buyer,
            name: credit.to_owned(),
            span: month.span,
            at: stay.real.nearest(month.span.from),
            category: "Credit",
            service_name: Some(source.to_owned()),
            sku_id: Some(credit.to_owned()),
            description: source.to_owned(),
            tags: None,
            quantity: None,
            unit: None,
            amount: amount.checked_neg()?,
            currency: currency.to_owned(),
            rule: None,
        })
    }

    /// When a billing period of a seller ends; none for a seller that is not there then.
    pub fn period_end(&self, seller: NodeIndex, period: i32) -> Option<i64> {
        Some(Month::of(&self.tree, seller, period)?.span.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: i128 = 10_000_000_000_000_000;

    fn shares(amount: i128, keep: i128, pass: i128, currency: &str) -> (i128, i128) {
        divided(amount, CreditPolicy::Split([keep, pass]), currency)
    }

    #[test]
    fn ten_thousand_are_three_two_and_five() {
        let (kept, passed) = shares(10_000 * 100 * CENT, 3, 7, "USD");
        assert_eq!((kept, passed), (3_000 * 100 * CENT, 7_000 * 100 * CENT));
        assert_eq!(shares(passed, 2, 5, "USD"), (2_000 * 100 * CENT, 5_000 * 100 * CENT));
    }

    #[test]
    fn parts_are_whole_minor_units_and_add_up() {
        // A dollar in three: 0.33 and 0.67; a hundred yen in three: 33 and 67.
        assert_eq!(shares(100 * CENT, 1, 2, "USD"), (33 * CENT, 67 * CENT));
        assert_eq!(shares(100 * 100 * CENT, 1, 2, "JPY"), (33 * 100 * CENT, 67 * 100 * CENT));
        assert_eq!(shares(CENT, 1, 1, "USD"), (CENT, 0));
        assert_eq!(divided(CENT, CreditPolicy::Retain, "USD"), (CENT, 0));
        assert_eq!(divided(CENT, CreditPolicy::Pass, "USD"), (0, CENT));
    }
}
