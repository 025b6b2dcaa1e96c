//! Credits in random worlds: how each flows down, that nothing of it is lost (law 6 of `domain.md`), and what is drawn of it.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::fixtures::{PERIOD, World, dec, span};
use super::oracle::{Oracle, holds};
use super::worlds::random;
use crate::rating::{CreditPolicy, CreditPolicyRow, CreditRow, Span};

const WORLDS: u64 = 400;
const CENT: i128 = 10_000_000_000_000_000;
const NODES: [&str; 7] = ["dist", "a", "b", "c", "d", "unit", "team"];

/// Credit, seller, buyer; what the seller has received of it, what it keeps and what it passes on.
type Flow = (String, String, String, [i128; 3]);

fn fill(world: &mut World, random: &mut StdRng) {
    for number in 0..6 {
        let mut pick = |choices: &[&'static str]| choices.choose(random).copied().unwrap_or_default();
        let (from, until) =
            (pick(&["2026-09-01", "2026-10-01", "2026-10-10"]), pick(&["2026-10-20", "2026-12-01", ""]));
        world.0.credits.push(CreditRow {
            credit_id: format!("credit {number}"),
            seller_node_id: pick(&["dist", "dist", "a", "b"]).to_owned(),
            node_id: pick(&NODES).to_owned(),
            kind: pick(&["promotional", "service_level"]).to_owned(),
            source: "the provider".to_owned(),
            currency: pick(&["USD", "USD", "EUR"]).to_owned(),
            amount: random.random_range(1..1_000_000) * CENT,
            is_active: random.random_range(0..8) > 0,
            valid: span(from, until),
        });
    }
    for node in NODES {
        for kind in [None, Some("promotional")] {
            for valid in [span("", "2026-10-01"), span("2026-10-01", "")] {
                let weights = [["3", "7"], ["1", "2"], ["0", "5"], ["5", "0"], ["0", "0"], ["1", "1"], ["0.1", "0.2"]];
                let policy = match random.random_range(0..6) {
                    0 => CreditPolicy::Pass,
                    1 => CreditPolicy::Retain,
                    2..5 => CreditPolicy::Split(weights.choose(random).copied().unwrap_or(["1", "1"]).map(dec)),
                    _ => continue,
                };
                let kind = kind.map(str::to_owned);
                world.0.credit_policies.push(CreditPolicyRow { node_id: node.to_owned(), kind, policy, valid });
            }
        }
    }
}

/// What is kept and what goes on: whole cents by weight, and a cent that is left over to whom more of one was cut off.
fn divided(amount: i128, policy: CreditPolicy) -> (i128, i128) {
    let [keeps, passes] = match policy {
        CreditPolicy::Pass => [0, 1],
        CreditPolicy::Retain => [1, 0],
        CreditPolicy::Split([0, 0]) => [1, 0],
        CreditPolicy::Split(weights) => weights,
    };
    let (cents, all) = (amount / CENT, keeps + passes);
    let [kept, passed] = [keeps, passes].map(|weight| (cents * weight / all, cents * weight % all));
    match cents - kept.0 - passed.0 {
        0 => (kept.0 * CENT, passed.0 * CENT),
        _ if kept.1 >= passed.1 => ((kept.0 + 1) * CENT, passed.0 * CENT),
        _ => (kept.0 * CENT, (passed.0 + 1) * CENT),
    }
}

fn flows(oracle: &Oracle<'_>) -> Vec<Flow> {
    let mut flows = Vec::new();
    for credit in oracle.facts.credits.iter().filter(|credit| credit.is_active) {
        let path = oracle.path_at(&credit.node_id, credit.valid.from).unwrap_or_default();
        let names: Vec<&str> = path.iter().map(|node| node.node_id.as_str()).collect();
        let below = names.iter().skip_while(|name| **name != credit.seller_node_id).copied().collect::<Vec<_>>();
        let mut received = credit.amount;
        for edge in below.windows(2).filter(|_| credit.amount != 0) {
            let of_kind = |kind: Option<&str>| {
                let rows = oracle.facts.credit_policies.iter();
                let mut rows = rows.filter(|row| row.node_id == edge[0] && holds(row.valid, credit.valid.from));
                rows.find(|row| row.kind.as_deref() == kind).map(|row| row.policy)
            };
            let policy = of_kind(Some(&credit.kind)).or(of_kind(None)).unwrap_or(CreditPolicy::Pass);
            let (kept, passed) = divided(received, policy);
            let [seller, buyer] = [edge[0], edge[1]].map(str::to_owned);
            flows.push((credit.credit_id.clone(), seller, buyer, [received, kept, passed]));
            if passed == 0 {
                break;
            }
            received = passed;
        }
    }
    flows.sort();
    flows
}

/// Nothing of a credit comes from nowhere, or goes there.
fn assert_nothing_is_lost(seed: u64, world: &World, flows: &[Flow]) {
    for credit in &world.0.credits {
        let mut own: Vec<&Flow> = flows.iter().filter(|flow| flow.0 == credit.credit_id).collect();
        own.sort_by_key(|flow| std::cmp::Reverse(flow.3[0]));
        let Some(first) = own.first() else { continue };
        assert_eq!(first.3[0], credit.amount, "seed {seed}: {credit:?}");
        let kept: i128 = own.iter().map(|flow| flow.3[1]).sum();
        // What the last one passes on arrives at the node that the credit is for.
        let arrives = own.iter().map(|flow| flow.3[2]).min().unwrap_or_default();
        assert_eq!(kept + arrives, credit.amount, "seed {seed}: {credit:?}: {own:?}");
    }
}

/// What can be drawn on an edge, in the order in which it is.
type Arrived = BTreeMap<[String; 3], Vec<(i64, String, i128)>>;

fn arrived(world: &World, flows: &[Flow], month: Span) -> Arrived {
    let mut arrived = Arrived::new();
    for (credit_id, seller, buyer, [_, _, passed]) in flows.iter().filter(|flow| flow.3[2] != 0) {
        let credit = world.0.credits.iter().find(|credit| credit.credit_id == *credit_id).expect("a credit");
        if credit.valid.from < month.until && month.from < credit.valid.until {
            let edge = [seller.clone(), buyer.clone(), credit.currency.clone()];
            arrived.entry(edge).or_default().push((credit.valid.until, credit_id.clone(), *passed));
        }
    }
    arrived.values_mut().for_each(|list| list.sort());
    arrived
}

#[test]
fn random_credits_flow_and_are_drawn_as_the_oracle_says_and_nothing_of_them_is_lost() {
    let (mut split, mut drawn_in_part, mut several) = (0, 0, 0);
    for seed in 0..WORLDS {
        let mut random_of_seed = StdRng::seed_from_u64(!seed);
        let (mut world, _) = random(seed, 0);
        fill(&mut world, &mut random_of_seed);
        let book = world.book();
        let name = |node| book.tree.name(node).to_owned();
        let of_book = book.credit_flows();
        let mut found: Vec<Flow> = of_book
            .map(|flow| {
                let amounts = [flow.received, flow.kept, flow.passed];
                (flow.credit_id.clone(), name(flow.seller()), name(flow.buyer()), amounts)
            })
            .collect();
        found.sort();
        let wanted = flows(&Oracle::new(&world.0));
        assert_eq!(found, wanted, "seed {seed}: {:#?} {:#?}", world.0.credits, world.0.credit_policies);
        assert_nothing_is_lost(seed, &world, &found);
        split += wanted.iter().filter(|flow| flow.3[1] != 0 && flow.3[2] != 0).count();
        let mut left = arrived(&world, &wanted, span("2026-10-01", "2026-11-01"));
        let mut met = BTreeSet::new();
        for seller in NODES.iter().filter_map(|node| book.tree.node(node)) {
            for credits in book.own_credits(seller, PERIOD) {
                let (seller, buyer) = credits.edge();
                let edge = [name(seller), name(buyer), credits.currency().to_owned()];
                let list = left.remove(&edge).unwrap_or_else(|| panic!("seed {seed}: no credits on {edge:?}"));
                met.insert(edge.clone());
                several += usize::from(list.len() > 1);
                // Some months have drawn of them before; a month may bill nothing, or less.
                let billed = random_of_seed.random_range(-200_000..2_000_000) * CENT;
                let others: HashMap<String, i128> = list
                    .iter()
                    .map(|(_, credit, arrived)| {
                        (credit.clone(), arrived / CENT * random_of_seed.random_range(0..5) / 4 * CENT)
                    })
                    .collect();
                let mut open = billed.max(0);
                let mut wanted = Vec::new();
                for (_, credit, arrived) in &list {
                    let draws = (arrived - others[credit]).min(open);
                    if draws > 0 {
                        open -= draws;
                        wanted.push((credit.clone(), -draws));
                        drawn_in_part += usize::from(open == 0);
                    }
                }
                let rows = credits.draw(&book, billed, &others).expect("in range");
                let found: Vec<(String, i128)> = rows.iter().map(|row| (row.name.clone(), row.amount)).collect();
                assert_eq!(found, wanted, "seed {seed}: {billed} on {edge:?} of {list:?} less {others:?}");
            }
        }
        assert!(left.is_empty(), "seed {seed}: {left:?} beside {met:?}");
    }
    assert!(split > 100 && drawn_in_part > 50 && several > 20, "{split} {drawn_in_part} {several}");
}
