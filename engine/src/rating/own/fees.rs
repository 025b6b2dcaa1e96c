//! Flat fees of rate cards, and which rules of their own hold on the edges of a seller.

use hashbrown::HashSet;

use super::{Month, OwnRow};
use crate::rating::book::RateBook;
use crate::rating::facts::{FLAT, RuleRow};
use crate::rating::outcome::Origin;
use crate::rating::span::Span;
use crate::rating::tree::NodeIndex;

/// A rule that is a charge of its own, and when it holds on an edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct EdgeRule<'a> {
    pub(super) buyer: NodeIndex,
    pub(super) version: usize,
    pub(super) rule: &'a RuleRow,
    pub(super) span: Span,
    /// When it does, whatever the seller's days are.
    at: i64,
}

impl EdgeRule<'_> {
    /// The rule's value for the part of a month that it holds: by days, as time zones count them.
    pub(super) fn amount(&self, month: &Month) -> Option<i128> {
        month.prorated(self.rule.value?, self.span, month.span)
    }

    /// A row of it, before its amount is known.
    pub(super) fn row(&self, book: &RateBook, seller: NodeIndex, origin: Origin, amount: i128) -> OwnRow {
        let text = book.cards.rule_text(self.version, &self.rule.rule_id);
        // The rule's own name is the seller's business.
        let plain = if origin == Origin::Fee { "Monthly fee" } else { "Monthly minimum" };
        let called = self.rule.service_name.clone().unwrap_or_else(|| plain.to_owned());
        OwnRow {
            origin,
            seller,
            node: self.buyer,
            name: format!("{}/{text}/{}", book.tree.name(self.buyer), self.span.from),
            span: self.span,
            at: self.at,
            category: "Purchase",
            service_name: Some(called.clone()),
            sku_id: None,
            description: called,
            tags: None,
            quantity: None,
            unit: None,
            amount,
            currency: book.cards.versions[self.version].currency.clone(),
            rule: Some(text),
        }
    }
}

/// The flat fees of a seller in a month, one row for each stretch in which a version holds on an edge.
pub(super) fn rows(book: &RateBook, seller: NodeIndex, month: &Month) -> Vec<OwnRow> {
    let rules = edge_rules(book, seller, month, FLAT);
    let rows = rules.iter().filter_map(|held| Some(held.row(book, seller, Origin::Fee, held.amount(month)?)));
    rows.filter(|row| row.amount != 0).collect()
}

/// The rules of a method that are charges of their own on the edges of a seller in a month.
pub(super) fn edge_rules<'a>(book: &'a RateBook, seller: NodeIndex, month: &Month, method: &str) -> Vec<EdgeRule<'a>> {
    let mut found: Vec<EdgeRule<'_>> = Vec::new();
    // Terms written as dates begin up to a day before or after the seller's own.
    let around = Month::around(month.period);
    let (mut at, end) = (around.from.min(month.span.from), around.until.max(month.span.until));
    while at < end {
        let (buyers, mut holds) = book.tree.children(seller, at);
        let mut held: Vec<EdgeRule<'_>> = Vec::new();
        for buyer in buyers {
            let (cards, span) = book.cards.at(seller, buyer, at);
            holds = holds.intersect(span);
            for (version, rule) in book.cards.own_rules(cards, method) {
                held.push(EdgeRule { buyer, version, rule, span: Span { from: at, until: at }, at });
            }
        }
        let until = holds.until.min(end);
        let mut goes_on: HashSet<(NodeIndex, usize, &str)> =
            held.iter().map(|rule| (rule.buyer, rule.version, rule.rule.rule_id.as_str())).collect();
        for rule in found.iter_mut().filter(|rule| rule.span.until == at) {
            if goes_on.remove(&(rule.buyer, rule.version, rule.rule.rule_id.as_str())) {
                rule.span.until = until;
            }
        }
        held.retain(|rule| goes_on.contains(&(rule.buyer, rule.version, rule.rule.rule_id.as_str())));
        found.extend(held.into_iter().map(|rule| EdgeRule { span: Span { from: at, until }, ..rule }));
        at = until;
    }
    for rule in &mut found {
        let real = rule.span;
        rule.span = month.edges(real).intersect(month.span);
        rule.at = real.nearest(rule.span.from);
    }
    found.retain(|rule| !rule.span.is_empty());
    found.sort_by_key(|rule| (rule.buyer, rule.span.from, rule.rule.rule_id.as_str()));
    found
}
