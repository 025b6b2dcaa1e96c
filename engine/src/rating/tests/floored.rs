//! Minimums in random worlds: what is missing to them on an edge, by what the oracle says is charged there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Decimal128Type;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::conservation::{Case, Rated};
use super::fixtures::{PERIOD, World, dec};
use super::owed::{OwnOracle, SELLERS, Term, month};
use super::plain::matches;
use super::wide::wide;
use crate::lake::schema::LakeTable;
use crate::rating::{Floor, RuleRow};

const WORLDS: u64 = 120;
const LINES: usize = 25;
/// More than anybody is charged: a floor of which so much is missing says what it is of.
const MUCH: i128 = 1_000_000_000_000_000_000_000_000_000_000;

fn fill(world: &mut World, random: &mut StdRng) {
    for row in world.0.rate_card_versions.clone() {
        if random.random_range(0..3) == 0 {
            continue;
        }
        let value = ["50", "1000", "100000", "-20"].choose(random).copied().unwrap_or_default();
        let service = [None, None, Some("VM"), Some("Disk")].choose(random).copied().flatten();
        world.0.rate_rules.push(RuleRow {
            card_id: row.card_id,
            version: row.version,
            rule_id: "least".to_owned(),
            method: "minimum".to_owned(),
            value: Some(dec(value)),
            service_name: service.map(str::to_owned),
            scope: "node".to_owned(),
            ..RuleRow::default()
        });
    }
}

/// What a charge's steps say of an edge: price and currency, where it is billed there.
fn billed_on<'s>(path: &str, steps: &'s [String], (seller, buyer): (&str, &str)) -> Option<(i128, &'s str)> {
    let names: Vec<&str> = path.split('/').collect();
    let k = names.windows(2).position(|edge| edge == [seller, buyer])? + 1;
    let words: Vec<&str> = steps.get(k)?.split(' ').collect();
    (words[2] == "billed").then(|| (words[0].parse().expect("a price"), words[1]))
}

/// What counts for a minimum: usage and purchases that its rule matches, in its currency.
fn charged(case: &Case, term: &Term<'_>) -> i128 {
    let counts = case.answer.charges.iter().filter(|charge| matches(term.rule, &case.lines[charge.row]));
    let billed = counts.filter_map(|charge| billed_on(&charge.path, &charge.steps, term.edge));
    billed.filter(|(_, currency)| *currency == term.currency).map(|(price, _)| price).sum()
}

/// What the floor's own expressions find among the charges of days.
async fn counted(floor: &Floor, rated: &Rated) -> i128 {
    let context = SessionContext::new();
    let days: Vec<_> = rated.table(LakeTable::ChargesDaily).cloned().collect();
    let mut charged = 0;
    for counted in floor.counted() {
        let days = context.read_batches(days.clone()).expect("days").filter(counted.filter).expect("a filter");
        let summed = days.aggregate(Vec::new(), vec![sum(counted.amount)]).expect("a sum");
        for batch in summed.collect().await.expect("adds up") {
            let sums = batch.column(0).as_primitive::<Decimal128Type>();
            charged += if sums.is_null(0) { 0 } else { sums.value(0) };
        }
    }
    charged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_minimums_are_missed_by_what_the_oracle_says() {
    let mut seen = BTreeMap::<&str, usize>::new();
    let runtime = Arc::new(RuntimeEnv::default());
    for seed in 0..WORLDS {
        let (mut world, lines) = wide(seed, LINES);
        fill(&mut world, &mut StdRng::seed_from_u64(!seed));
        let case = Case::of(seed, (world, lines));
        let book = case.world.book();
        let rated = Rated::of(&case.world, &case.lines, &runtime).await;
        let oracle = OwnOracle::new(&case.world);
        let mut terms = oracle.of_edges("minimum");
        for floor in
            SELLERS.iter().filter_map(|seller| book.tree.node(seller)).flat_map(|node| book.own_floors(node, PERIOD))
        {
            let row = floor.clone().missing(-MUCH).expect("much is missing");
            let rule = row.rule.clone().expect("a rule");
            let is_of_row = |term: &Term<'_>| {
                let is_edge = (term.edge.1, &term.name) == (book.tree.name(row.node), &rule);
                is_edge && (term.from, term.until) == (row.span.from, row.span.until)
            };
            let at = terms.iter().position(is_of_row);
            let term = terms.swap_remove(at.unwrap_or_else(|| panic!("seed {seed}: no minimum like {row:?}")));
            assert_eq!((row.amount - MUCH, &row.currency), (term.amount, &term.currency), "seed {seed}: {row:?}");
            if term.rule.unit.is_some() || term.rule.pricing_category.is_some() {
                // Charges may have another category than their line, and the oracle's rules leave units to the price.
                continue;
            }
            if (term.from, term.until) != (month().from, month().until) {
                // Days of a part of a month are those on which charges begin for their owner, which the oracle does not know.
                *seen.entry("in part").or_default() += 1;
                continue;
            }
            let charged = charged(&case, &term);
            assert_eq!(counted(&floor, &rated).await, charged, "seed {seed}: charged for {row:?}");
            let wanted = Some(term.amount - charged).filter(|missing| *missing > 0);
            let missing = floor.missing(charged).map(|row| row.amount);
            assert_eq!(missing, wanted, "seed {seed}: {row:?}");
            *seen.entry(if wanted.is_some() { "missed" } else { "reached" }).or_default() += 1;
            *seen.entry(if charged == 0 { "of nothing" } else { "of something" }).or_default() += 1;
        }
        assert!(terms.is_empty(), "seed {seed}: {} minimums have no floor", terms.len());
    }
    for what in ["missed", "reached", "of something"] {
        assert!(seen.get(what).copied().unwrap_or(0) > 20, "{seen:?}");
    }
}
