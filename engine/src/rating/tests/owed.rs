//! What sellers bill by themselves in random worlds, second by second: flat fees, seats and hours.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use ratehouse_udfs::money::Convention;

use super::conservation::Rated;
use super::fixtures::{PERIOD, World, dec, span};
use super::oracle::Oracle;
use super::plain::times;
use super::worlds::random;
use crate::rating::{LicenceRow, NodeRow, Origin, OwnRow, RateBook, RuleRow, Span, TimeEntryRow};

const WORLDS: u64 = 400;
const ONE: i128 = 1_000_000_000_000_000_000;
const DAY_US: i64 = 86_400_000_000;
pub(super) const SELLERS: [&str; 5] = ["dist", "a", "b", "c", "unit"];

/// A row in words: origin, seller, node, licence, entry or rule, from, until, amount, currency.
pub(super) type Owed = (&'static str, String, String, String, i64, i64, i128, String);

pub(super) fn month() -> Span {
    span("2026-10-01", "2026-11-01")
}

/// Puts fees into cards, and licences and hours beside them.
fn fill(world: &mut World, random: &mut StdRng) {
    for row in world.0.rate_card_versions.clone() {
        for rule_id in ["fee", "r0"] {
            if random.random_range(0..3) > 0 {
                continue;
            }
            let value =
                ["5", "100", "0.01", "-3", "33.333333333333333333", ""].choose(random).copied().unwrap_or_default();
            world.0.rate_rules.retain(|rule| {
                (&rule.card_id, rule.version, rule.rule_id.as_str()) != (&row.card_id, row.version, rule_id)
            });
            world.0.rate_rules.push(RuleRow {
                card_id: row.card_id.clone(),
                version: row.version,
                rule_id: rule_id.to_owned(),
                method: "flat".to_owned(),
                value: (!value.is_empty()).then(|| dec(value)),
                scope: "node".to_owned(),
                ..RuleRow::default()
            });
        }
    }
    let begins = ["2026-09-15", "2026-10-01", "2026-10-03", "2026-10-05T10:20:00", "2026-10-31", "2026-11-01"];
    let ends = ["2026-10-01", "2026-10-05T10:50:00", "2026-10-16", "2026-11-01", "2026-12-01", ""];
    let conventions = [Convention::Actual, Convention::ThirtyDays, Convention::FullMonth, Convention::None];
    for number in 0..8 {
        let mut pick = |choices: &[&'static str]| choices.choose(random).copied().unwrap_or_default();
        let (seller, node) = (pick(&["dist", "a", "b"]), pick(&["a", "b", "c", "d", "unit", "team"]));
        let valid = span(pick(&begins), pick(&ends));
        let (seats, unit_price) = (dec(pick(&["1", "3", "2.5"])), dec(pick(&["22", "4", "0.333333333333333333"])));
        let currency = pick(&["USD", "EUR"]).to_owned();
        let convention = *conventions.choose(random).unwrap_or(&Convention::Actual);
        world.0.licences.push(LicenceRow {
            seller_node_id: seller.to_owned(),
            licence_id: format!("licence {number}"),
            node_id: node.to_owned(),
            product: "Suite".to_owned(),
            sku_id: None,
            seats,
            unit_price,
            currency: currency.clone(),
            convention,
            is_suspended: random.random_range(0..8) == 0,
            valid,
        });
        if seller != node {
            world.0.time_entries.push(TimeEntryRow {
                seller_node_id: seller.to_owned(),
                entry_id: format!("entry {number}"),
                node_id: node.to_owned(),
                project: "Move".to_owned(),
                engineer: "one".to_owned(),
                worked_at: valid.from,
                hours: dec("1.25"),
                rate: dec("150"),
                currency,
                description: None,
                billable: random.random_range(0..4) > 0,
            });
        }
    }
}

/// A rule that is a charge of its own, while it holds on an edge.
pub(super) struct Term<'a> {
    pub(super) edge: (&'a str, &'a str),
    /// Card, version and rule.
    pub(super) name: String,
    pub(super) rule: &'a RuleRow,
    pub(super) currency: String,
    pub(super) from: i64,
    pub(super) until: i64,
    /// Of the rule's value for the month.
    pub(super) amount: i128,
}

/// The oracle of own rows over one world.
pub(super) struct OwnOracle<'a> {
    oracle: Oracle<'a>,
    /// Every instant of the month at which anything can change, its beginning and end too.
    instants: Vec<i64>,
}

impl<'a> OwnOracle<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let oracle = Oracle::new(&world.0);
        let mut instants = oracle.instants();
        instants.extend(world.0.licences.iter().flat_map(|row| [row.valid.from, row.valid.until]));
        instants.extend([month().from, month().until]);
        let instants = instants.into_iter().filter(|at| month().from <= *at && *at <= month().until).collect();
        Self { oracle, instants }
    }

    /// The times of the month in which something stays the same, in their order.
    fn stretches<T: PartialEq>(&self, what: impl Fn(i64) -> Option<T>) -> Vec<(i64, i64, T)> {
        let mut found: Vec<(i64, i64, T)> = Vec::new();
        for pair in self.instants.windows(2) {
            let Some(now) = what(pair[0]) else { continue };
            match found.last_mut() {
                Some(last) if last.1 == pair[0] && last.2 == now => last.1 = pair[1],
                _ => found.push((pair[0], pair[1], now)),
            }
        }
        found
    }

    fn is_below(&self, node: &str, seller: &str, at: i64) -> bool {
        let path = self.oracle.path_at(node, at).unwrap_or_default();
        node != seller && path.iter().any(|above| above.node_id == seller)
    }

    /// The rules of an edge that are charges of their own, with card and version and in which currency: those of the buyer's card, and
    /// only if it has none, of the seller's default card.
    fn own_rules(&self, method: &str, (seller, buyer): (&str, &str), at: i64) -> Vec<(String, &'a RuleRow, String)> {
        for own in [Some(buyer), None] {
            let held = self.oracle.versions(seller, own, at);
            let [version] = held[..] else { continue };
            let Ok(rules) = self.oracle.rules_of(&version.card_id, version.version) else { continue };
            let card = self.oracle.facts.rate_cards.iter().find(|card| card.card_id == version.card_id);
            let currency = &card.expect("a card").currency;
            let named = |rule: &'a RuleRow| {
                (format!("{}/{}/{}", version.card_id, version.version, rule.rule_id), rule, currency.clone())
            };
            let found: Vec<_> = rules.into_values().filter(|rule| rule.method == method).map(named).collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    /// All rules of a method, each as long as it holds on an edge in the month.
    pub(super) fn of_edges(&self, method: &str) -> Vec<Term<'a>> {
        let mut edges: Vec<(&'a str, &'a str)> = Vec::new();
        for NodeRow { node_id, parent_id, .. } in &self.oracle.facts.nodes {
            edges.extend(parent_id.as_deref().map(|seller| (seller, node_id.as_str())));
        }
        edges.sort_unstable();
        edges.dedup();
        let mut terms = Vec::new();
        for edge in edges {
            let held = |at: i64| {
                let path = self.oracle.path_at(edge.1, at)?;
                let is_edge = path.len() > 1 && path[path.len() - 2].node_id == edge.0;
                is_edge.then(|| self.own_rules(method, edge, at))
            };
            let mut names: BTreeMap<String, (&'a RuleRow, String)> = BTreeMap::new();
            for rules in self.instants.iter().filter_map(|at| held(*at)) {
                names.extend(rules.into_iter().map(|(name, rule, currency)| (name, (rule, currency))));
            }
            for (name, (rule, currency)) in names {
                let Some(value) = rule.value else { continue };
                let is_held = |at: i64| held(at)?.iter().any(|(other, ..)| *other == name).then_some(());
                for (from, until, ()) in self.stretches(is_held) {
                    let amount = of_month(value, from, until);
                    let (name, currency) = (name.clone(), currency.clone());
                    terms.push(Term { edge, name, rule, currency, from, until, amount });
                }
            }
        }
        terms
    }

    fn fees(&self) -> Vec<Owed> {
        let terms = self.of_edges("flat").into_iter().filter(|term| term.amount != 0);
        let fee = |Term { edge: (seller, buyer), name, currency, from, until, amount, .. }: Term<'_>| {
            ("fee", seller.to_owned(), buyer.to_owned(), name, from, until, amount, currency)
        };
        terms.map(fee).collect()
    }

    fn licences(&self) -> Vec<Owed> {
        let mut owed = Vec::new();
        for row in self.oracle.facts.licences.iter().filter(|row| !row.is_suspended) {
            let is_held = |at: i64| {
                let is_valid = row.valid.from <= at && at < row.valid.until;
                (is_valid && self.is_below(&row.node_id, &row.seller_node_id, at)).then_some(())
            };
            let whole = times(row.unit_price, row.seats, ONE);
            let mut thirtieths = 0;
            for (from, until, ()) in self.stretches(is_held) {
                let is_whole = (from, until) == (month().from, month().until);
                let amount = match row.convention {
                    Convention::Actual => of_month(whole, from, until),
                    Convention::None if from == month().from => whole,
                    Convention::FullMonth if thirtieths == 0 => whole,
                    Convention::None | Convention::FullMonth => continue,
                    Convention::ThirtyDays => {
                        let begun = (until - from + DAY_US - 1) / DAY_US;
                        let days = if is_whole { 30 } else { begun.min(30 - thirtieths) };
                        thirtieths += days;
                        times(whole, i128::from(days), 30)
                    }
                };
                if row.convention == Convention::FullMonth {
                    thirtieths = 30;
                }
                let is_month = row.convention == Convention::FullMonth;
                let (from, until) = if is_month { (month().from, month().until) } else { (from, until) };
                let (seller, node) = (row.seller_node_id.clone(), row.node_id.clone());
                let name = row.licence_id.clone();
                owed.push(("licence", seller, node, name, from, until, amount, row.currency.clone()));
            }
        }
        owed.retain(|(.., amount, _)| *amount != 0);
        owed
    }

    fn labour(&self) -> Vec<Owed> {
        let entries = self.oracle.facts.time_entries.iter().filter(|row| row.billable);
        entries
            .filter(|row| month().from <= row.worked_at && row.worked_at < month().until)
            .filter(|row| self.is_below(&row.node_id, &row.seller_node_id, row.worked_at))
            .map(|row| {
                // An hour and a quarter at 150 are 187.50.
                let until = row.worked_at + 75 * 60 * 1_000_000;
                let (seller, node, name) = (&row.seller_node_id, &row.node_id, &row.entry_id);
                let amount = times(row.rate, row.hours, ONE);
                let currency = row.currency.clone();
                ("labour", seller.clone(), node.clone(), name.clone(), row.worked_at, until, amount, currency)
            })
            .collect()
    }
}

/// The part of an amount of the month that falls to a time: October has no change of clocks in UTC.
fn of_month(amount: i128, from: i64, until: i64) -> i128 {
    times(amount, i128::from(until - from), i128::from(month().until - month().from))
}

fn in_words(book: &RateBook, row: &OwnRow) -> Owed {
    let name = row.rule.clone().unwrap_or_else(|| row.name.clone());
    let [seller, node] = [row.seller, row.node].map(|node| book.tree.name(node).to_owned());
    let Span { from, until } = row.span;
    (row.origin.name(), seller, node, name, from, until, row.amount, row.currency.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_worlds_owe_what_the_oracle_says_and_every_table_has_it() {
    let mut seen = BTreeMap::<(&str, bool), usize>::new();
    let mut conventions = BTreeMap::<String, usize>::new();
    let runtime = Arc::new(RuntimeEnv::default());
    for seed in 0..WORLDS {
        let (mut world, _) = random(seed, 0);
        fill(&mut world, &mut StdRng::seed_from_u64(!seed));
        let book = world.book();
        let rows: Vec<OwnRow> = SELLERS
            .iter()
            .filter_map(|seller| book.tree.node(seller))
            .flat_map(|seller| book.own_rows(seller, PERIOD))
            .collect();
        let told: Vec<Owed> = rows.iter().map(|row| in_words(&book, row)).collect();
        let mut found = told.clone();
        let oracle = OwnOracle::new(&world);
        let mut wanted = oracle.fees();
        wanted.extend(oracle.licences());
        wanted.extend(oracle.labour());
        found.sort();
        wanted.sort();
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "seed {seed}: {:#?}", world.0.licences);
        }
        assert_eq!(found.len(), wanted.len(), "seed {seed}");
        for (origin, .., from, until, _, _) in &wanted {
            *seen.entry((*origin, (*from, *until) == (month().from, month().until))).or_default() += 1;
        }
        for (_, _, _, name, ..) in wanted.iter().filter(|owed| owed.0 == "licence") {
            let row = world.0.licences.iter().find(|row| row.licence_id == *name).expect("a licence");
            *conventions.entry(format!("{:?}", row.convention)).or_default() += 1;
        }
        // Law 4 for all origins: each row is billed on its seller's edge, and each table has it on that and on every edge below.
        let rated = Rated::of_own(&book, rows, &runtime).await;
        rated.assert_owed_is_billed(seed, &told);
        rated.assert_tables_agree(seed);
    }
    for origin in [Origin::Fee, Origin::Licence] {
        for is_whole in [true, false] {
            let count = seen.get(&(origin.name(), is_whole)).copied().unwrap_or(0);
            assert!(count > 20, "{origin:?}, a whole month {is_whole}: {seen:?}");
        }
    }
    assert!(seen.get(&("labour", false)).copied().unwrap_or(0) > 20, "{seen:?}");
    assert!(conventions.len() == 4 && conventions.values().all(|count| *count > 20), "{conventions:?}");
}
