//! Random worlds whose rules price in every way in which rules can.
//!
//! They are those of [`super::worlds`], which other tests use as they are, with other methods, bases, bands and amounts put in.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use ratehouse_udfs::decimal::format_decimal;

use super::fixtures::{Line, World, dec};
use super::worlds::random;
use crate::rating::RuleRow;

const BANDED: [&str; 3] = ["graduated", "volume", "package"];
const PERCENTAGES: [(&str, &str); 5] =
    [("markup_pct", "15"), ("markup_pct", "0"), ("margin_pct", "33.3"), ("discount_pct", "12.5"), ("pass_through", "")];
/// Rules that cannot price anything, and those that are charges of their own.
const ODD: [(&str, &str); 8] = [
    ("markup_pct", ""),
    ("unit_price", ""),
    ("margin_pct", "100"),
    ("margin_pct", "120"),
    ("discount_pct", "100"),
    ("unit_price", "-1.5"),
    ("flat", "5"),
    ("minimum", "5"),
];
const STEPS: [&str; 5] = ["0.5", "1", "3", "7.25", "0.333333333333333333"];
const PRICES: [&str; 6] = ["10", "8", "0.1", "0.333333333333333333", "0", "-0.5"];
const QUANTITIES: [&str; 12] = ["1", "-1", "2", "-2", "3.5", "12", "7.75", "0", "0.000000000000000001", "40", "1", ""];

struct Widener(StdRng);

impl Widener {
    fn chance(&mut self, one_in: u32) -> bool {
        self.0.random_range(0..one_in) == 0
    }

    fn pick<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices.choose(&mut self.0).copied().unwrap_or_default()
    }

    fn method(&mut self, rule: &mut RuleRow, methods: &[(&str, &str)]) {
        let (method, value) = methods.choose(&mut self.0).copied().unwrap_or_default();
        rule.method = method.to_owned();
        rule.value = (!value.is_empty()).then(|| dec(value));
        rule.bands = None;
    }

    fn rule(&mut self, rule: &mut RuleRow) {
        if rule.bands.is_some() {
            return self.banded(rule);
        }
        match self.0.random_range(0..12) {
            0..4 => {}
            4..8 => self.banded(rule),
            8 => self.method(rule, &ODD),
            _ => {
                self.method(rule, &PERCENTAGES);
                // Only the root may use what the provider says.
                let bases: &[&str] = match rule.card_id.starts_with("dist>") {
                    true => &["contracted", "contracted", "on_demand", "effective", "billed", "list"],
                    false => &["cost", "cost", "list", "contracted"],
                };
                rule.base = Some(self.pick(bases).to_owned());
            }
        }
    }

    fn banded(&mut self, rule: &mut RuleRow) {
        rule.method = self.pick(&BANDED).to_owned();
        (rule.value, rule.base) = (None, None);
        rule.bands = Some(if rule.method == "package" { self.block(rule) } else { self.bands() });
    }

    /// What a block costs is written with it, or is the rule's value.
    fn block(&mut self, rule: &mut RuleRow) -> String {
        let (size, price) = (self.pick(&STEPS), self.pick(&PRICES));
        match self.0.random_range(0..12) {
            // Several blocks, or one without an end, are none.
            0 => format!(r#"[{{"up_to": "{size}", "price": "{price}"}}, {{"up_to": "90", "price": "1"}}]"#),
            1 => format!(r#"[{{"up_to": null, "price": "{price}"}}]"#),
            2..6 => {
                rule.value = Some(dec(price));
                format!(r#"[{{"up_to": "{size}"}}]"#)
            }
            _ => format!(r#"[{{"up_to": "{size}", "price": "{price}"}}]"#),
        }
    }

    /// Bands that rise, the last without an end; a few that do not.
    fn bands(&mut self) -> String {
        let mut up_to = 0;
        let mut bands: Vec<String> = Vec::new();
        for _ in 0..self.0.random_range(0..4) {
            up_to += dec(self.pick(&STEPS));
            let (bound, price) = (format_decimal(up_to, 18), self.pick(&PRICES));
            bands.push(format!(r#"{{"up_to": "{bound}", "price": "{price}"}}"#));
        }
        let price = self.pick(&PRICES);
        bands.push(format!(r#"{{"up_to": null, "price": "{price}"}}"#));
        if self.chance(15) {
            bands.reverse();
            bands.push(r#"{"up_to": "0.25", "price": "1"}"#.to_owned());
        }
        format!("[{}]", bands.join(", "))
    }

    /// Rules that price what no other one does, and only so much of it.
    fn limits(&mut self, world: &mut World) {
        let versions = world.0.rate_card_versions.iter().map(|row| (row.card_id.clone(), row.version));
        for (card_id, version) in versions.collect::<Vec<_>>() {
            if !self.chance(4) {
                continue;
            }
            let (up_to, price) = (self.pick(&["0.5", "2", "6"]), self.pick(&PRICES));
            world.0.rate_rules.push(RuleRow {
                card_id,
                version,
                rule_id: "limit".to_owned(),
                priority: -1,
                method: self.pick(&["graduated", "volume"]).to_owned(),
                bands: Some(format!(r#"[{{"up_to": "{up_to}", "price": "{price}"}}]"#)),
                scope: self.pick(&["node", "account", "subtree"]).to_owned(),
                ..RuleRow::default()
            });
        }
    }

    fn line(&mut self, line: Line) -> Line {
        let is_listed = !self.chance(6);
        let line = if is_listed { line } else { line.set("list_cost", "") };
        line.set("contracted_cost", self.pick(&["95.5", "0.000000000000000003", "100", "-40", "33.3333", ""]))
            .set("pricing_quantity", self.pick(&QUANTITIES))
    }
}

/// Prices of units and bands need a card in the buyer's currency: so that they reach the bottom of the tree, everybody has the same.
fn with_one_currency(world: &mut World) {
    world.0.nodes.iter_mut().for_each(|node| node.currency = "USD".to_owned());
    world.0.rate_cards.iter_mut().for_each(|card| card.currency = "USD".to_owned());
}

/// A random world, and lines for it.
pub(super) fn wide(seed: u64, lines: usize) -> (World, Vec<Line>) {
    let (mut world, lines) = random(seed, lines);
    let mut widener = Widener(StdRng::seed_from_u64(!seed));
    if widener.chance(2) {
        with_one_currency(&mut world);
    }
    world.0.rate_rules.iter_mut().for_each(|rule| widener.rule(rule));
    widener.limits(&mut world);
    let lines = lines.into_iter().map(|line| widener.line(line)).collect();
    (world, lines)
}
