//! A simulation against the same charges rated anew, from the roll-up and from the charges themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Decimal128Type;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::fixtures::{Line, PERIOD, World, chain, dec, span, usage};
use super::pipeline::Collected;
use super::worlds::random;
use crate::lake::schema::{self, LakeTable, MAX_POSITIONS};
use crate::rating::{
    ChargeSink, EdgeMonth, Fold, RatingOptions, RatingRun, RefFacts, Simulation, SimulationColumns, Source, Span, rate,
};

/// What charges may differ by from their sum: half of the last digit for each, twice converted.
const UNITS_MAX: i128 = 1000;

fn october() -> Span {
    span("2026-10-01", "2026-11-01")
}

/// Charges and their sums by what prices depend on.
struct Rated {
    charges: Vec<RecordBatch>,
    by_terms: Vec<RecordBatch>,
}

impl Rated {
    async fn of(world: &World, lines: &[Line]) -> Self {
        let whole = usage(lines);
        let run = RatingRun::new(world.book(), world.totals(&whole));
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema::usage(), futures::stream::iter([Ok(whole)])));
        let sink = Arc::new(Collected::default());
        let options = RatingOptions { threads: 2, runtime: Arc::new(RuntimeEnv::default()) };
        rate(stream, &run, Arc::clone(&sink) as Arc<dyn ChargeSink>, &options).await.expect("rates");
        let collected = std::mem::take(&mut *sink.0.lock().expect("no poison"));
        let of = |table| {
            let batches = collected.iter().filter(move |(own, ..)| *own == table);
            batches.map(|(_, batch, _)| batch.clone()).collect()
        };
        Self { charges: of(LakeTable::Charges), by_terms: of(LakeTable::ChargesByTerms) }
    }

    fn folded(&self, simulation: &Arc<Simulation>, source: Source) -> Fold {
        let columns = SimulationColumns::of(simulation, source, (0, MAX_POSITIONS - 1));
        let mut fold = Fold::new(simulation, &columns, usize::from(source == Source::Charges));
        let batches = if source == Source::Terms { &self.by_terms } else { &self.charges };
        batches.iter().for_each(|batch| fold.add(batch).expect("folds"));
        fold
    }

    /// From the roll-up, and from charges where that is not enough.
    fn read_from_terms(&self, simulation: &Arc<Simulation>) -> Vec<EdgeMonth> {
        if simulation.names_commitments() {
            return self.read_from_charges(simulation);
        }
        let by_terms = self.folded(simulation, Source::Terms);
        let uneven: HashMap<Arc<str>, bool> = by_terms.uneven().collect();
        let charges = self.folded(simulation, Source::Charges).without(&|path| !uneven.contains_key(path));
        let folds = vec![by_terms.without(&|path| uneven.contains_key(path)), charges];
        simulation.priced(PERIOD, folds, &|path| uneven.contains_key(path)).expect("prices")
    }

    fn read_from_charges(&self, simulation: &Arc<Simulation>) -> Vec<EdgeMonth> {
        simulation.priced(PERIOD, vec![self.folded(simulation, Source::Charges)], &|_| true).expect("prices")
    }

    /// What everybody is billed from a seller down, by seller, buyer, node and currency; and the edges with unrated charges.
    fn billed(&self, seller: &str, buyer: Option<&str>) -> (BTreeMap<[String; 4], i128>, BTreeSet<[String; 3]>) {
        let (mut billed, mut unrated) = (BTreeMap::new(), BTreeSet::new());
        for batch in &self.charges {
            let column = |name: &str| batch.column_by_name(name).expect("a column");
            for row in 0..batch.num_rows() {
                let text = |name: &str| {
                    let texts = column(name).as_string_view();
                    (!texts.is_null(row)).then(|| texts.value(row).to_owned())
                };
                let price = |k: usize| {
                    let prices = column(&format!("price_{k}")).as_primitive::<Decimal128Type>();
                    (!prices.is_null(row)).then(|| prices.value(row))
                };
                let path: Vec<String> = text("node_path").expect("a path").split('/').map(str::to_owned).collect();
                let Some(at) = path.iter().position(|node| node == seller) else { continue };
                let is_for = |next: &String| buyer.is_none_or(|buyer| next == buyer);
                let outcome = |k: usize| text(&format!("outcome_{k}")).unwrap_or_default();
                let reaches =
                    if at == 0 { price(0).is_some() } else { ["billed", "reported"].contains(&outcome(at).as_str()) };
                if !reaches || !path.get(at + 1).is_some_and(is_for) {
                    continue;
                }
                for k in at + 1..path.len() {
                    let edge = [path[k - 1].clone(), path[k].clone(), path[path.len() - 1].clone()];
                    match outcome(k).as_str() {
                        "billed" => {
                            let [seller, buyer, node] = edge;
                            let key = [seller, buyer, node, text(&format!("currency_{k}")).expect("a currency")];
                            *billed.entry(key).or_insert(0) += price(k).expect("a price");
                        }
                        "unrated" => {
                            unrated.insert(edge);
                        }
                        _ => {}
                    }
                }
            }
        }
        (billed, unrated)
    }
}

fn simulation(facts: &RefFacts, version: (&str, i64), hidden: &[&str]) -> Arc<Simulation> {
    let simulation = Simulation::of(facts, 7, version, october(), |seller| hidden.contains(&seller));
    simulation.expect("a sound world").expect("the version is there")
}

fn key(edge: &EdgeMonth) -> [String; 4] {
    let EdgeMonth { seller, buyer, node, currency, .. } = edge;
    [seller.clone(), buyer.clone(), node.clone(), currency.clone().unwrap_or_default()]
}

fn assert_as_rated_anew(found: &[EdgeMonth], anew: &Rated, (seller, buyer): (&str, Option<&str>), seed: u64) {
    let (mut billed, unrated) = anew.billed(seller, buyer);
    let mut sums: BTreeMap<[String; 4], i128> = BTreeMap::new();
    for edge in found {
        *sums.entry(key(edge)).or_insert(0) += edge.simulated;
    }
    billed.retain(|_, amount| *amount != 0);
    sums.retain(|key, amount| amount.abs() > UNITS_MAX || billed.contains_key(key));
    assert_eq!(billed.keys().collect::<Vec<_>>(), sums.keys().collect::<Vec<_>>(), "seed {seed}");
    for (key, amount) in &billed {
        let simulated = sums[key];
        assert!((amount - simulated).abs() <= UNITS_MAX, "seed {seed}: {key:?} {simulated} is not {amount}");
    }
    let of_edge = |edge: &EdgeMonth| [edge.seller.clone(), edge.buyer.clone(), edge.node.clone()];
    let lost: BTreeSet<[String; 3]> = found.iter().filter(|edge| edge.unrated_rows > 0).map(of_edge).collect();
    assert_eq!(lost, unrated, "seed {seed}");
}

/// The same without where they were read from.
fn plain(edges: Vec<EdgeMonth>) -> Vec<EdgeMonth> {
    edges.into_iter().map(|edge| EdgeMonth { is_from_charges: false, ..edge }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_versions_give_what_rating_anew_gives() {
    let (mut edges, mut amounts, mut from_terms) = (0, 0, 0);
    for seed in 0..600 {
        let (mut world, lines) = random(seed, 40);
        // Shares of pools follow other rules (see below). A charge that is cut takes the rates of the day on which each part of it
        // begins, and a version that alone holds cuts it elsewhere.
        if !world.0.pools.is_empty() {
            continue;
        }
        for rate in &mut world.0.fx_rates {
            rate.valid_from = super::fixtures::at("2026-09-30");
        }
        world.0.fx_rates.dedup_by_key(|rate| (rate.source.clone(), rate.base_currency.clone()));
        // Parts of a row that was cut are rounded each by itself.
        for version in &mut world.0.rate_card_versions {
            version.rounding = None;
        }
        let versions = world.0.rate_card_versions.clone();
        let Some(tried) = versions.get(usize::try_from(seed).expect("small") % versions.len().max(1)) else { continue };
        let (seller, buyer) = tried.card_id.split_once('>').expect("seller>buyer");
        let buyer = (buyer != "*").then_some(buyer);
        if seller != "dist" {
            // What others buy from a node below counts for its bands, too, if it moves within the month.
            world.0.rate_rules.retain(|rule| rule.bands.is_none() || rule.card_id.starts_with(&format!("{seller}>")));
        }
        let simulation = simulation(&world.0, (&tried.card_id, tried.version), &[]);
        let charged = Rated::of(&world, &lines).await;
        let mut facts = world.0.clone();
        for version in &mut facts.rate_card_versions {
            if version.card_id == tried.card_id {
                version.is_active = false;
            }
        }
        facts.rate_card_versions.push(crate::rating::VersionRow { valid: october(), is_active: true, ..tried.clone() });
        let anew = Rated::of(&World(facts), &lines).await;
        let found = charged.read_from_terms(&simulation);
        assert_as_rated_anew(&found, &anew, (seller, buyer), seed);
        edges += found.len();
        amounts += found.iter().filter(|edge| edge.simulated != edge.charged).count();
        from_terms += found.iter().filter(|edge| !edge.is_from_charges).count();
        // To the last digit whatever it was read from.
        assert_eq!(plain(found), plain(charged.read_from_charges(&simulation)), "seed {seed}");
    }
    assert!(edges > 400 && amounts > 100 && from_terms > 50, "{edges} {amounts} {from_terms}");
}

/// A line of some hours of 5 October.
fn machine(cost: &str, hours: &str) -> Line {
    Line::new(cost).set("service_name", "VM").set("pricing_quantity", hours)
}

/// What a node's charges would come to on an edge, and what they came to.
fn amounts(found: &[EdgeMonth], seller: &str, buyer: &str) -> (i128, i128) {
    let of_edge = found.iter().filter(|edge| edge.seller == seller && edge.buyer == buyer);
    of_edge.fold((0, 0), |(simulated, charged), edge| (simulated + edge.simulated, charged + edge.charged))
}

/// Version 1 of the distributor's card, in force, and of the reseller's.
fn two_edges() -> World {
    chain().card("dist>res", "USD").rule("dist>res", "all", "markup_pct", "10").card("res>*", "USD").rule(
        "res>*",
        "all",
        "markup_pct",
        "50",
    )
}

/// The same with a draft of the distributor's.
fn with_draft(world: World, valid: Span) -> World {
    let mut world = world.version("dist>res", 2, valid);
    world.0.rate_card_versions.last_mut().expect("a version").is_active = false;
    world
}

#[tokio::test]
async fn a_draft_is_priced_down_to_the_customer_whatever_its_dates() {
    let world = with_draft(two_edges(), span("2030-01-01", ""))
        .rule("dist>res#2", "all", "markup_pct", "20")
        .rule_with("dist>res#2", "vm", "unit_price", "3", |rule| rule.service_name = Some("VM".into()));
    let lines = [Line::new("100"), Line::new("50"), machine("8", "4")];
    let rated = Rated::of(&world, &lines).await;
    let found = rated.read_from_terms(&simulation(&world.0, ("dist>res", 2), &[]));
    // Simulated (100 + 50) × 1.2 + 4 × 3 = 192, charged 158 × 1.1 = 173.8; each half as much again for the customer.
    assert_eq!(amounts(&found, "dist", "res"), (dec("192"), dec("173.8")));
    assert_eq!(amounts(&found, "res", "cust"), (dec("288"), dec("260.7")));
    let retail = found.iter().find(|edge| edge.seller == "res").expect("the retail edge");
    assert_eq!((retail.cost, retail.simulated_cost, retail.usage_rows), (dec("173.8"), dec("192"), 3));
    assert!(found.iter().all(|edge| !edge.is_from_charges && edge.unrated_rows == 0));
}

#[tokio::test]
async fn what_a_draft_has_no_rule_for_is_unrated_and_never_zero() {
    let world = with_draft(two_edges(), Span::ALWAYS)
        .rule_with("dist>res#2", "vm", "markup_pct", "20", |rule| rule.service_name = Some("VM".into()))
        .rule_with("dist>res#2", "disk", "unit_price", "2", |rule| {
            rule.service_name = Some("Disk".into());
            rule.unit = Some("GB".into());
        });
    let disk = Line::new("7").set("service_name", "Disk");
    let rated = Rated::of(&world, &[machine("10", "1"), Line::new("5"), Line::new("6"), disk]).await;
    let found = rated.read_from_terms(&simulation(&world.0, ("dist>res", 2), &[]));
    // 10 × 1.2 of four; two have no rule, and one is of another unit than its rule. The customer is sold the one that has a price.
    assert_eq!(amounts(&found, "dist", "res"), (dec("12"), dec("30.8")));
    assert_eq!(amounts(&found, "res", "cust"), (dec("18"), dec("46.2")));
    let edge = found.iter().find(|edge| edge.seller == "dist").expect("the edge");
    assert_eq!((edge.unrated_rows, edge.reasons.iter().copied().collect::<Vec<_>>()), (3, vec!["no_rule", "unit"]));
    assert_eq!(edge.simulated_cost, dec("28"));
}

#[tokio::test]
async fn bands_count_the_quantity_of_the_month_by_each_scope() {
    const BANDS: &str = r#"[{"up_to": "10", "price": "2"}, {"up_to": null, "price": "1"}]"#;
    // 8 hours of one account of cust, 6 of another, 4 of its team: 18 below res.
    let lines = [
        machine("1", "8"),
        machine("1", "6").set("sub_account_id", "other"),
        machine("1", "3").set("sub_account_id", "team"),
        machine("1", "1").set("sub_account_id", "team"),
    ];
    for (scope, total) in [
        // 8 × 2 + 6 × 2 + 4 × 2, none of them over 10.
        ("account", "36"),
        // Of cust 10 × 2 + 4 × 1, of its team 4 × 2.
        ("node", "32"),
        // 10 × 2 + 8 × 1.
        ("subtree", "28"),
    ] {
        let world = with_draft(two_edges(), Span::ALWAYS)
            .node("cust/team", "team", "USD")
            .account("aws/payer/other", "cust", Span::ALWAYS)
            .account("aws/payer/team", "team", Span::ALWAYS)
            .rule_with("dist>res#2", "bands", "graduated", "", |rule| {
                rule.bands = Some(BANDS.to_owned());
                rule.scope = scope.to_owned();
            });
        let rated = Rated::of(&world, &lines).await;
        let found = rated.read_from_terms(&simulation(&world.0, ("dist>res", 2), &[]));
        let (simulated, charged) = amounts(&found, "dist", "res");
        // Spread by quantity: thirds are rounded.
        assert!((simulated - dec(total)).abs() < 10, "{scope}: {simulated}");
        assert_eq!(charged, dec("4.4"), "{scope}");
    }
}

#[tokio::test]
async fn a_change_within_the_month_is_read_from_the_charges() {
    let hour = |day: &str| machine("100", "1").during(&format!("{day}T10:00:00"), &format!("{day}T11:00:00"));
    let lines = [hour("2026-10-05"), hour("2026-10-20")];
    // The customer pays euros; from 10 October on another rate. What was charged was a price by the hour: no rate was needed.
    let world = World::default()
        .node("dist", "distributor", "USD")
        .node("dist/res", "reseller", "EUR")
        .account("aws/payer/acct", "res", Span::ALWAYS)
        .fx("USD/EUR", "2026-10-01", "0.9")
        .fx("USD/EUR", "2026-10-10", "0.8")
        .card("dist>res", "EUR")
        .rule("dist>res", "all", "unit_price", "70");
    let world = with_draft(world, Span::ALWAYS).rule("dist>res#2", "all", "markup_pct", "10");
    let rated = Rated::of(&world, &lines).await;
    let found = rated.read_from_terms(&simulation(&world.0, ("dist>res", 2), &[]));
    // 100 × 0.9 × 1.1 + 100 × 0.8 × 1.1.
    assert_eq!(amounts(&found, "dist", "res"), (dec("187"), dec("140")));
    assert!(found.iter().all(|edge| edge.is_from_charges));
}

#[tokio::test]
async fn shares_of_a_pool_are_priced_with_what_they_were_shares_of() {
    use crate::rating::{AttributionRow, AttributionTarget, PoolMethod, PoolRow, ShareRow};
    let mut world = with_draft(two_edges(), Span::ALWAYS).node("res/club", "customer", "USD").rule(
        "dist>res#2",
        "all",
        "markup_pct",
        "20",
    );
    world.0.pools.push(PoolRow {
        owner_node_id: "res".to_owned(),
        pool_id: "shared".to_owned(),
        method: PoolMethod::Percentage,
        driver: None,
        fallback_node_id: None,
        spread_idle: false,
        disclose: false,
        valid: Span::ALWAYS,
    });
    for (node, share) in [("cust", "25"), ("club", "75")] {
        world.0.pool_shares.push(ShareRow {
            owner_node_id: "res".to_owned(),
            pool_id: "shared".to_owned(),
            node_id: node.to_owned(),
            share: Some(dec(share)),
            valid: Span::ALWAYS,
        });
    }
    world.0.attribution_rules.push(AttributionRow {
        rule_id: "shared".to_owned(),
        owner_node_id: "res".to_owned(),
        priority: 0,
        provider_name: None,
        billing_account_id: None,
        sub_account_id: None,
        tag_key: None,
        tag_value: None,
        resource_pattern: None,
        service_name: None,
        target: AttributionTarget::Pool("shared".to_owned()),
        valid: Span::ALWAYS,
    });
    let rated = Rated::of(&world, &[Line::new("100")]).await;
    let found = rated.read_from_terms(&simulation(&world.0, ("dist>res", 2), &[]));
    // 100 × 1.2, of which cust has a quarter; half as much again on the edges of the reseller.
    assert_eq!(amounts(&found, "dist", "res"), (dec("120"), dec("110")));
    assert_eq!(amounts(&found, "res", "cust"), (dec("45"), dec("41.25")));
    assert_eq!(amounts(&found, "res", "club"), (dec("135"), dec("123.75")));
}

#[tokio::test]
async fn what_a_commitment_covered_is_rerated_and_what_it_cost_stays_with_the_root() {
    let covered =
        |cost: &str| Line::new(cost).set("commitment_discount_id", "ri").set("commitment_discount_status", "Used");
    let lines = [
        covered("0").set("effective_cost", "60").set("list_cost", "100"),
        covered("500").set("charge_category", "Purchase"),
        Line::new("10").set("list_cost", "12"),
    ];
    let world = with_draft(two_edges().policy("dist>res", "Usage", "rerate"), Span::ALWAYS).rule(
        "dist>res#2",
        "all",
        "markup_pct",
        "20",
    );
    let rated = Rated::of(&world, &lines).await;
    let simulation = simulation(&world.0, ("dist>res", 2), &[]);
    for found in [rated.read_from_terms(&simulation), rated.read_from_charges(&simulation)] {
        // Covered usage by its list price: (100 + 10) × 1.2, before × 1.1. The purchase is the root's.
        assert_eq!(amounts(&found, "dist", "res"), (dec("132"), dec("121")));
        assert!(found.iter().all(|edge| edge.unrated_rows == 0));
    }
}

#[tokio::test]
async fn the_root_may_price_by_what_it_contracted() {
    let line = Line::new("10").set("contracted_cost", "7").set("list_cost", "12");
    let world = with_draft(two_edges(), Span::ALWAYS)
        .rule_with("dist>res#2", "all", "markup_pct", "100", |rule| rule.base = Some("contracted".into()));
    let rated = Rated::of(&world, &[line.clone(), line]).await;
    let simulation = simulation(&world.0, ("dist>res", 2), &[]);
    for found in [rated.read_from_terms(&simulation), rated.read_from_charges(&simulation)] {
        // 2 × 7 × 2.
        assert_eq!(amounts(&found, "dist", "res"), (dec("28"), dec("22")));
    }
}

#[tokio::test]
async fn what_is_shown_does_not_depend_on_sales_that_are_not() {
    // A third of each: not even at 18 digits, and so not the same whether few or many are added up before.
    let lines: Vec<Line> = (1..30)
        .map(|n| {
            let line = Line::new(&format!("{n}.01")).set("sku_id", ["s1", "s2", "s3"][n % 3]);
            let day = ["2026-10-05", "2026-10-25"][n % 5 % 2];
            let line = line.during(&format!("{day}T10:00:00"), &format!("{day}T11:00:00"));
            line.set("service_name", ["VM", "Disk"][n % 2])
        })
        .collect();
    let world = |hidden: fn(World) -> World| {
        let world = World::default()
            .node("dist", "distributor", "USD")
            .node("dist/res", "reseller", "USD")
            .node("res/mid", "reseller", "USD")
            .node("mid/cust", "customer", "USD")
            .account("aws/payer/acct", "cust", Span::ALWAYS)
            .card("dist>res", "USD")
            .rule("dist>res", "all", "markup_pct", "10")
            .card("res>mid", "USD")
            .rule("res>mid", "all", "margin_pct", "70");
        let world = with_draft(world, Span::ALWAYS).rule("dist>res#2", "all", "margin_pct", "70");
        hidden(world.card_only("mid>*", "USD"))
    };
    let one = world(|world| world.version("mid>*", 1, Span::ALWAYS).rule("mid>*", "all", "markup_pct", "5"));
    let other = world(|world| {
        world
            .version("mid>*", 1, span("", "2026-10-20"))
            .version("mid>*", 2, span("2026-10-20", ""))
            .rule_with("mid>*", "s1", "markup_pct", "5", |rule| rule.sku_id = Some("s1".into()))
            .rule_with("mid>*", "vm", "markup_pct", "7", |rule| rule.service_name = Some("VM".into()))
            .rule("mid>*", "all", "markup_pct", "9")
            .rule("mid>*#2", "all", "margin_pct", "70")
    });
    let mut shown = Vec::new();
    for world in [one, other] {
        let rated = Rated::of(&world, &lines).await;
        let simulation = simulation(&world.0, ("dist>res", 2), &["mid"]);
        for found in [rated.read_from_terms(&simulation), rated.read_from_charges(&simulation)] {
            assert!(found.iter().all(|edge| edge.seller != "mid"));
            shown.push(plain(found));
        }
    }
    assert_eq!(shown[0].len(), 2);
    assert!(shown.iter().all(|found| *found == shown[0]), "{shown:#?}");
}
