//! Conservation in one random world: what must add up over its charges, and over every roll-up of them.
//!
//! Numbers are those of `domain.md`, section 8. Law 5 is about documents, which are not rating's, and
//! law 6 about credits, of which [`super::granted`] is.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::fixtures::{Line, PERIOD, World, dec, usage};
use super::oracle::{Answer, Expected, Oracle};
use super::owed::Owed;
use super::pipeline::Collected;
use crate::lake::schema::{self, LakeTable};
use crate::rating::{
    BandTotals, ChargeSink, OwnRow, RateBook, RatingOptions, RatingOutcome, RatingRun, rate, rate_own,
};

/// One random world, its lines and what the oracle says of them.
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) world: World,
    pub(super) lines: Vec<Line>,
    pub(super) answer: Answer,
}

impl Case {
    pub(super) fn of(seed: u64, (world, lines): (World, Vec<Line>)) -> Self {
        let answer = Oracle::new(&world.0).rate(&lines);
        Self { seed, world, lines, answer }
    }
}

/// What a run has made of a world's lines: charges and their roll-ups.
pub(super) struct Rated {
    outcome: RatingOutcome,
    tables: Vec<(LakeTable, RecordBatch)>,
}

/// Seller, payer, currency and outcome of an edge; the provider is a seller without a name.
type Edge = [String; 4];

/// What payers pay on edges, and what that costs their sellers.
type Edges = BTreeMap<Edge, [i128; 2]>;

fn text(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(name)?.as_string_view();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn money(batch: &RecordBatch, name: &str, row: usize) -> Option<i128> {
    let column = batch.column_by_name(name)?.as_primitive::<Decimal128Type>();
    column.is_valid(row).then(|| column.value(row))
}

fn add(edges: &mut Edges, edge: [Option<String>; 4], amounts: [Option<i128>; 2]) {
    let sums = edges.entry(edge.map(Option::unwrap_or_default)).or_default();
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum += amount.unwrap_or_default();
    }
}

/// The edges of rows that have a position for each node of their path.
fn edges_of_paths<'a>(batches: impl Iterator<Item = &'a RecordBatch>) -> Edges {
    let mut edges = Edges::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let path = text(batch, "node_path", row).expect("a path");
            let mut seller = (None, None);
            for (k, payer) in path.split('/').enumerate() {
                let Some(outcome) = text(batch, &format!("outcome_{k}"), row) else {
                    // Above the edge on which its seller bills something by itself, that does not exist.
                    seller = (Some(payer.to_owned()), None);
                    continue;
                };
                let price = money(batch, &format!("price_{k}"), row);
                let currency = text(batch, &format!("currency_{k}"), row);
                let (name, cost) = seller;
                add(&mut edges, [name, Some(payer.to_owned()), currency, Some(outcome)], [price, cost]);
                seller = (Some(payer.to_owned()), price);
            }
        }
    }
    edges
}

/// The edges of rows that are an edge each.
fn edges_of_edges<'a>(batches: impl Iterator<Item = &'a RecordBatch>) -> Edges {
    let mut edges = Edges::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let edge = ["seller_node_id", "payer_node_id", "currency", "outcome"].map(|name| text(batch, name, row));
            add(&mut edges, edge, ["amount", "seller_cost"].map(|name| money(batch, name, row)));
        }
    }
    edges
}

/// The edges as the oracle has them.
fn edges_of_oracle(charges: &[Expected]) -> Edges {
    let mut edges = Edges::new();
    for charge in charges {
        let mut seller = (None, None);
        for (payer, step) in charge.path.split('/').zip(&charge.steps) {
            let words: Vec<&str> = step.split(' ').collect();
            let price = words[0].parse().ok();
            let (name, cost) = seller;
            let edge = [name, Some(payer.to_owned()), Some(words[1].to_owned()), Some(words[2].to_owned())];
            add(&mut edges, edge, [price, cost]);
            seller = (Some(payer.to_owned()), price);
        }
    }
    edges
}

impl Rated {
    pub(super) async fn of(world: &World, lines: &[Line], runtime: &Arc<RuntimeEnv>) -> Self {
        let whole = usage(lines);
        let run = RatingRun::new(world.book(), world.totals(&whole));
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema::usage(), futures::stream::iter([Ok(whole)])));
        let sink = Arc::new(Collected::default());
        let options = RatingOptions { threads: 1, runtime: Arc::clone(runtime) };
        let outcome = rate(stream, &run, Arc::clone(&sink) as Arc<dyn ChargeSink>, &options).await.expect("rates");
        Self::collected(outcome, &sink)
    }

    pub(super) async fn of_own(book: &Arc<RateBook>, rows: Vec<OwnRow>, runtime: &Arc<RuntimeEnv>) -> Self {
        let run = RatingRun::new(Arc::clone(book), BandTotals::default());
        let sink = Arc::new(Collected::default());
        let options = RatingOptions { threads: 1, runtime: Arc::clone(runtime) };
        let own = rate_own(rows, PERIOD, &run, Arc::clone(&sink) as Arc<dyn ChargeSink>, &options);
        Self::collected(own.await.expect("rates"), &sink)
    }

    fn collected(outcome: RatingOutcome, sink: &Collected) -> Self {
        let collected = std::mem::take(&mut *sink.0.lock().expect("no poison"));
        Self { outcome, tables: collected.into_iter().map(|(table, batch, _)| (table, batch)).collect() }
    }

    pub(super) fn table(&self, table: LakeTable) -> impl Iterator<Item = &RecordBatch> {
        self.tables.iter().filter(move |(own, _)| *own == table).map(|(_, batch)| batch)
    }

    pub(super) fn charges(&self) -> impl Iterator<Item = &RecordBatch> {
        self.table(LakeTable::Charges)
    }

    /// Laws 1 and 2, line by line: its portions together have all that the provider said of it, and no line is without one.
    pub(super) fn assert_every_line_is_whole(&self, case: &Case) {
        let columns = [
            ("price_0", "billed_cost"),
            ("effective_cost", "effective_cost"),
            ("contracted_cost", "contracted_cost"),
            ("list_cost", "list_cost"),
            ("quantity", "pricing_quantity"),
        ];
        let mut sums: Vec<[Option<i128>; 5]> = vec![[None; 5]; case.lines.len()];
        let mut portions = vec![0; case.lines.len()];
        for batch in self.charges() {
            let source = batch.column_by_name("source_row").expect("a column").as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let line = usize::try_from(source.value(row) - 1).expect("a row");
                portions[line] += 1;
                for (sum, (own, _)) in sums[line].iter_mut().zip(columns) {
                    let amount = money(batch, own, row);
                    *sum = amount.map(|amount| amount + sum.unwrap_or_default()).or(*sum);
                }
            }
        }
        for (at, (line, sums)) in case.lines.iter().zip(sums).enumerate() {
            assert!(portions[at] > 0, "seed {}: line {at} is lost: {line:?}", case.seed);
            for (sum, (own, stated)) in sums.into_iter().zip(columns) {
                assert_eq!(sum, line.get(stated).map(dec), "seed {}: {own} of line {at}: {line:?}", case.seed);
            }
        }
    }

    /// Law 2: what is billed for a slice is what the root pays for its portions, fate by fate.
    pub(super) fn assert_slices_are_whole(&self, case: &Case) {
        let mut by_fate: BTreeMap<(String, String, String), i128> = BTreeMap::new();
        let mut portions: BTreeMap<(String, String), u64> = BTreeMap::new();
        for batch in self.charges() {
            for row in 0..batch.num_rows() {
                let [provider, account, fate] = ["provider_name", "billing_account_id", "fate"]
                    .map(|name| text(batch, name, row).unwrap_or_default());
                *portions.entry((provider.clone(), account.clone())).or_default() += 1;
                *by_fate.entry((provider, account, fate)).or_default() += money(batch, "price_0", row).expect("a cost");
            }
        }
        let seed = case.seed;
        for (name, slice) in &self.outcome.slices {
            let key = (name.provider_name.clone(), name.billing_account_id.clone());
            let lines = case.lines.iter().filter(|line| {
                line.get("provider_name") == Some(key.0.as_str())
                    && line.get("billing_account_id") == Some(key.1.as_str())
            });
            let billed: Vec<i128> = lines.map(|line| dec(line.get("billed_cost").expect("a cost"))).collect();
            assert_eq!(slice.billed().to_i128(), Some(billed.iter().sum::<i128>()), "seed {seed}: {key:?}");
            assert_eq!(usize::try_from(slice.rows), Ok(billed.len()), "seed {seed}: rows of {key:?}");
            assert_eq!(Some(&slice.portions), portions.get(&key), "seed {seed}: portions of {key:?}");
            let fates = [("direct", slice.direct), ("allocated", slice.allocated), ("unallocated", slice.unallocated)];
            for (fate, sum) in fates {
                let charged = by_fate.remove(&(key.0.clone(), key.1.clone(), fate.to_owned())).unwrap_or_default();
                assert_eq!(sum.to_i128(), Some(charged), "seed {seed}: {fate} of {key:?}");
            }
        }
        assert!(by_fate.is_empty(), "seed {seed}: of no slice: {by_fate:?}");
    }

    /// Law 3: the parts of a pool are the pool, for everybody from the root down to its owner; how often something was shared out.
    pub(super) fn assert_pools_are_whole(&self, case: &Case, found: &[Expected]) -> usize {
        for whole in &case.answer.shared {
            let mut sums = vec![0; whole.prices.len()];
            for (charge, chain) in found.iter().zip(&case.answer.chains) {
                let is_part = (charge.row, charge.start) == (whole.row, whole.start) && chain.starts_with(&whole.chain);
                for (sum, step) in sums.iter_mut().zip(&charge.steps).filter(|_| is_part) {
                    *sum += step.split(' ').next().and_then(|price| price.parse::<i128>().ok()).expect("a price");
                }
            }
            assert_eq!(sums, whole.prices, "seed {}: {whole:?} of {:?}", case.seed, case.lines[whole.row]);
        }
        case.answer.shared.len()
    }

    /// Law 4: on every edge, outcome by outcome, its buyer pays what its seller charges, in whichever table one reads it; and all of
    /// them say what the oracle says. How many sums there are.
    pub(super) fn assert_tables_have_the_oracles_edges(&self, case: &Case) -> usize {
        let wanted = edges_of_oracle(&case.answer.charges);
        assert_eq!(edges_of_paths(self.charges()), wanted, "seed {}: charges", case.seed);
        self.assert_tables_agree(case.seed);
        wanted.len()
    }

    /// Law 4 over all tables: each says of every edge what charges do.
    pub(super) fn assert_tables_agree(&self, seed: u64) {
        let charged = edges_of_paths(self.charges());
        for table in [LakeTable::ChargesDaily, LakeTable::ChargesMonthly, LakeTable::ChargesByTerms] {
            assert_eq!(edges_of_paths(self.table(table)), charged, "seed {seed}: {}", table.name());
        }
        assert_eq!(edges_of_edges(self.table(LakeTable::EdgesMonthly)), charged, "seed {seed}: edges");
    }

    /// What a seller bills by itself is billed on its edge, if that is of its currency, and exists on none above.
    pub(super) fn assert_owed_is_billed(&self, seed: u64, owed: &[Owed]) {
        let rows = self.charges().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
        let mut count = 0;
        for ((batch, row), owed) in rows.zip(owed) {
            let (_, seller, node, .., amount, currency) = owed;
            let path = text(batch, "node_path", row).expect("a path");
            let names: Vec<&str> = path.split('/').collect();
            assert_eq!(names.last(), Some(&node.as_str()), "seed {seed}: {owed:?}");
            let sold = names.iter().position(|name| name == seller).expect("its seller above") + 1;
            let step = |k: usize| {
                let outcome = text(batch, &format!("outcome_{k}"), row);
                (money(batch, &format!("price_{k}"), row), text(batch, &format!("currency_{k}"), row), outcome)
            };
            for k in 0..sold {
                assert_eq!((step(k).0, step(k).2), (None, None), "seed {seed}: position {k} of {owed:?}");
            }
            let (price, paid_in, outcome) = step(sold);
            let is_in_currency = paid_in.as_ref() == Some(currency);
            let wanted = if is_in_currency { (Some(*amount), "billed") } else { (None, "unrated") };
            assert_eq!((price, outcome.as_deref().unwrap_or("-")), wanted, "seed {seed}: {owed:?}");
            count += 1;
        }
        assert_eq!(count, owed.len(), "seed {seed}: charges");
    }

    /// Law 4 from tier to tier: what a node has bought it sells on, or holds back on an edge below it, or keeps as its own usage.
    pub(super) fn assert_what_is_bought_is_sold_or_kept(&self, case: &Case) {
        let (mut bought, mut left) = (BTreeMap::<[String; 2], i128>::new(), BTreeMap::<[String; 2], i128>::new());
        for batch in self.table(LakeTable::EdgesMonthly) {
            let is_kept = batch.column_by_name("is_kept").expect("a column").as_boolean();
            let depth = batch.column_by_name("depth").expect("a column").as_primitive::<Int32Type>();
            for row in 0..batch.num_rows() {
                let of = |names: [&str; 2]| names.map(|name| text(batch, name, row).unwrap_or_default());
                let outcome = text(batch, "outcome", row).expect("an outcome");
                if depth.value(row) > 0 {
                    let cost = money(batch, "seller_cost", row).unwrap_or_default();
                    *left.entry(of(["seller_node_id", "seller_currency"])).or_default() += cost;
                }
                if outcome == "billed" || outcome == "reported" {
                    let amount = money(batch, "amount", row).expect("a price");
                    let payer = of(["payer_node_id", "currency"]);
                    *bought.entry(payer.clone()).or_default() += amount;
                    *left.entry(payer).or_default() += if is_kept.value(row) { amount } else { 0 };
                }
            }
        }
        assert_eq!(bought, left, "seed {}", case.seed);
    }
}
