//! The property: the module prices random worlds as the oracle does, and nothing is lost in any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;

use super::charge::exactly;
use super::conservation::{Case, Rated};
use super::fixtures::World;
use super::oracle::{Expected, Oracle};
use super::wide::wide;
use crate::rating::{Precedence, RuleRow};

const WORLDS: u64 = 500;
const LINES: usize = 25;
/// Cases that disagree are told up to so many.
const TOLD: usize = 3;

/// The rules of a world that are said never to price, as steps name them.
fn silenced(world: &World) -> BTreeSet<String> {
    let versions = world.0.rate_card_versions.iter();
    versions
        .flat_map(|row| {
            let precedence = Precedence::of(&world.0, &row.card_id, row.version);
            let silenced = precedence.map(|rules| rules.silenced()).unwrap_or_default();
            silenced.into_iter().map(move |rule| format!("{}/{}/{}", row.card_id, row.version, rule.rule_id))
        })
        .collect()
}

/// The words of a step: price, currency, outcome, rule, exchange rate.
fn words(step: &str) -> [&str; 5] {
    let words: Vec<&str> = step.splitn(5, ' ').collect();
    words.try_into().expect("five words")
}

/// How often each way to price has led to a price, and how deep in the tree.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, usize>);

impl Seen {
    fn see(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn step(&mut self, k: usize, step: &str, oracle: &Oracle<'_>) {
        let [price, _, outcome, rule, _] = words(step);
        self.see(outcome);
        if price == "-" || k == 0 {
            return;
        }
        self.see(format!("position {k}"));
        let Some(RuleRow { method, base, scope, bands, .. }) = oracle.rule_named(rule) else { return };
        self.see(method);
        match (bands, base) {
            (Some(_), _) => {
                self.see(format!("{method} by {scope}"));
                self.see(format!("bands at position {k}"));
            }
            (None, Some(base)) => self.see(format!("of {base}")),
            (None, None) => {}
        }
    }

    /// Worlds are not empty of what the property is about.
    fn assert_at_least(&self, least: usize, what: &[&str]) {
        for what in what {
            let count = self.0.get(*what).copied().unwrap_or(0);
            assert!(count >= least, "{what}: {count} times, and not {least}; in all {:#?}", self.0);
        }
    }
}

/// All that one has to know of a charge about which the oracle and the module disagree.
fn tell(case: &Case, oracle: &Oracle<'_>, (found, wanted): (Option<&Expected>, Option<&Expected>)) -> String {
    let mut told = format!("seed {}\n  found  {found:?}\n  wanted {wanted:?}\n", case.seed);
    let Some(row) = wanted.or(found).map(|charge| charge.row) else { return told };
    writeln!(told, "  line {row}: {:?}", case.lines[row]).expect("writes");
    let steps = [found, wanted].into_iter().flatten().flat_map(|charge| charge.steps.iter());
    let named: BTreeSet<&str> = steps.map(|step| words(step)[3]).filter(|name| *name != "-").collect();
    for name in named {
        let mut parts = name.split('/');
        let version = parts.next().zip(parts.next());
        let mut versions = case.world.0.rate_card_versions.iter();
        let version = versions.find(|row| version == Some((row.card_id.as_str(), row.version.to_string().as_str())));
        writeln!(told, "  {name}: {:?}\n    of {version:?}", oracle.rule_named(name)).expect("writes");
        // What counts with it, if it has bands.
        for other in case.answer.charges.iter().filter(|other| other.steps.iter().any(|step| step.contains(name))) {
            let quantity = case.lines[other.row].get("pricing_quantity");
            writeln!(told, "    prices {quantity:?} of line {}: {other:?}", other.row).expect("writes");
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_worlds_are_priced_as_the_oracle_prices_them_and_nothing_is_lost() {
    let (mut lines, mut portions, mut never, mut shared, mut edges) = (0, 0, 0, 0, 0);
    let mut seen = Seen::default();
    let mut disagreements = Vec::new();
    let runtime = Arc::new(RuntimeEnv::default());
    for seed in 0..WORLDS {
        let case = Case::of(seed, wide(seed, LINES));
        let oracle = Oracle::new(&case.world.0);
        let rated = Rated::of(&case.world, &case.lines, &runtime).await;
        let found: Vec<Expected> = rated.charges().flat_map(exactly).collect();
        let wanted = &case.answer.charges;
        let charges = found.len().max(wanted.len());
        if let Some(at) = (0..charges).find(|at| found.get(*at) != wanted.get(*at)) {
            disagreements.push(tell(&case, &oracle, (found.get(at), wanted.get(at))));
            continue;
        }
        let silenced = silenced(&case.world);
        for charge in wanted {
            seen.see(&charge.fate);
            for (k, step) in charge.steps.iter().enumerate() {
                seen.step(k, step, &oracle);
                assert!(!silenced.contains(words(step)[3]), "seed {seed}: {step} is of a rule that never prices");
            }
        }
        for (what, times) in &case.answer.met {
            *seen.0.entry((*what).to_owned()).or_default() += times;
        }
        rated.assert_every_line_is_whole(&case);
        rated.assert_slices_are_whole(&case);
        shared += rated.assert_pools_are_whole(&case, &found);
        edges += rated.assert_tables_have_the_oracles_edges(&case);
        rated.assert_what_is_bought_is_sold_or_kept(&case);
        (lines, portions, never) = (lines + case.lines.len(), portions + found.len(), never + silenced.len());
    }
    let told: Vec<&str> = disagreements.iter().take(TOLD).map(String::as_str).collect();
    assert!(told.is_empty(), "{} worlds of {WORLDS} disagree, as in\n{}", disagreements.len(), told.join("\n"));
    assert!(lines >= 10_000, "{lines} lines");
    assert!(portions > lines + lines / 20, "{portions} portions of {lines} lines: some rows must be cut");
    assert!(never > 20, "{never} rules are never asked");
    assert!(shared > 200, "{shared} stretches were shared out");
    assert!(edges > 2_000, "{edges} sums of edges");
    seen.assert_at_least(100, &["billed", "retained", "reported", "unrated", "direct", "allocated", "unallocated"]);
    seen.assert_at_least(30, &["markup_pct", "margin_pct", "discount_pct", "unit_price", "pass_through", "zero"]);
    seen.assert_at_least(100, &["graduated", "volume", "package", "position 1", "position 2", "position 3"]);
    seen.assert_at_least(20, &["graduated by node", "graduated by account", "graduated by subtree"]);
    seen.assert_at_least(20, &["volume by node", "volume by account", "volume by subtree"]);
    seen.assert_at_least(20, &["package by node", "package by account", "package by subtree"]);
    seen.assert_at_least(20, &["of contracted", "of billed", "of effective", "of on_demand", "of list", "of cost"]);
    seen.assert_at_least(20, &["position 4", "bands at position 1", "bands at position 2", "bands at position 3"]);
    seen.assert_at_least(20, &["a total", "a total below nothing"]);
    seen.assert_at_least(5, &["a total of nothing", "beyond the last band", "malformed bands"]);
}
