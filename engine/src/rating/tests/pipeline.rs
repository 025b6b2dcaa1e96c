//! The pipeline and the SQL say the same; pricing happens once; memory may be short.

use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int32Type};
use arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::fixtures::{Line, World, chain, dec, usage};
use crate::lake::schema::{self, LakeTable};
use crate::rating::{
    BandTotals, ChargeSink, Outcome, Placement, PricedUsage, RatingError, RatingOptions, RatingOutcome, RatingRun,
    Reason, Span, looked_at, rate, rule_tags,
};

const CHARGES: &str = include_str!("../../../../sql/rating/charges.sql");
const DAILY: &str = include_str!("../../../../sql/rating/charges_daily.sql");
const MONTHLY: &str = include_str!("../../../../sql/rating/charges_monthly.sql");
const EDGES: &str = include_str!("../../../../sql/rating/edges_monthly.sql");
const BY_TERMS: &str = include_str!("../../../../sql/rating/charges_by_terms.sql");
const ROLL_UPS: [(LakeTable, &str); 4] = [
    (LakeTable::ChargesDaily, DAILY),
    (LakeTable::ChargesMonthly, MONTHLY),
    (LakeTable::EdgesMonthly, EDGES),
    (LakeTable::ChargesByTerms, BY_TERMS),
];

#[derive(Default)]
pub(super) struct Collected(pub(super) Mutex<Vec<(LakeTable, RecordBatch, Placement)>>);

impl ChargeSink for Collected {
    fn put(
        &self,
        table: LakeTable,
        rows: RecordBatch,
        place: &Placement,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut held = self.0.lock().map_err(|_| "a poisoned lock")?;
        held.push((table, rows, place.clone()));
        Ok(())
    }
}

fn world() -> World {
    chain()
        .node("dist/eu", "reseller", "EUR")
        .node("eu/club", "customer", "EUR")
        .account("azure/bill", "club", Span::ALWAYS)
        .fx("USD/EUR", "2026-10-01", "0.9")
        .card("dist>*", "USD")
        .rule("dist>*", "all", "markup_pct", "10")
        .rule_with("dist>*", "vm", "markup_pct", "12.5", |r| r.service_name = Some("VM".into()))
        .rule_with("dist>*", "env", "markup_pct", "7", |r| r.tag_key = Some("env".into()))
        .card("res>*", "USD")
        .rule_with("res>*", "vm", "margin_pct", "15", |r| r.service_name = Some("VM".into()))
        .card("eu>*", "EUR")
        .rule("eu>*", "all", "markup_pct", "3")
}

/// Lines that repeat and differ in every way a roll-up distinguishes.
fn lines(count: usize) -> Vec<Line> {
    (0..count)
        .map(|n| {
            let pick = |choices: &[&'static str], by: usize| choices[n / by % choices.len()];
            let day = format!("2026-10-{:02}", 1 + n % 5);
            let mut line = Line::new(&format!("{}.{:02}", n % 97, n % 100))
                .set("service_name", pick(&["VM", "Disk", ""], 1))
                .set("provider_name", pick(&["aws", "azure"], 3))
                .set("sub_account_id", pick(&["acct", "nobody"], 11))
                .set("charge_category", pick(&["Usage", "Usage", "Tax", "Purchase"], 7))
                .set("pricing_unit", pick(&["Hours", "GB", ""], 5))
                .set("tags", pick(&[r#"{"env":"a","x":"1"}"#, "", r#"{"env":"b"}"#], 2))
                .set("pricing_quantity", pick(&["1", "", "2.5"], 4))
                .during(&format!("{day}T10:00:00"), &format!("{day}T11:00:00"));
            line.marketplace = [Some(true), Some(false), None][n % 3];
            if line.get("provider_name") == Some("azure") {
                line = line.set("billing_account_id", pick(&["bill", "lost"], 13));
            }
            line
        })
        .collect()
}

async fn run_pipeline(
    world: &World,
    batches: Vec<RecordBatch>,
    runtime: Arc<RuntimeEnv>,
) -> (RatingOutcome, Vec<(LakeTable, RecordBatch, Placement)>, Arc<RatingRun>) {
    let run = RatingRun::new(world.book(), BandTotals::default());
    let stream = futures::stream::iter(batches.into_iter().map(Ok));
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema::usage(), stream));
    let sink = Arc::new(Collected::default());
    let options = RatingOptions { threads: 2, runtime };
    let outcome = rate(stream, &run, Arc::clone(&sink) as Arc<dyn ChargeSink>, &options).await;
    let collected = std::mem::take(&mut *sink.0.lock().expect("no poison"));
    (outcome.expect("rates"), collected, run)
}

/// All rows of one table as sorted text.
fn rows<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<String> {
    let mut all: Vec<String> = batches
        .into_iter()
        .flat_map(|batch| {
            (0..batch.num_rows()).map(|row| {
                let cell = |column: &arrow::array::ArrayRef| match column.is_null(row) {
                    true => "null".to_owned(),
                    false => array_value_to_string(column, row).expect("a value"),
                };
                batch.columns().iter().map(cell).collect::<Vec<_>>().join("|")
            })
        })
        .collect();
    all.sort_unstable();
    all
}

fn session(world: &World, batches: Vec<RecordBatch>) -> SessionContext {
    let run = RatingRun::new(world.book(), BandTotals::default());
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    context.register_udf(rule_tags(run.book()));
    context.register_udf(looked_at(run.book()));
    let usage = MemTable::try_new(schema::usage(), vec![batches]).expect("usage");
    let priced = PricedUsage::new(Arc::new(usage), run);
    context.register_table("priced_usage", Arc::new(priced)).expect("registers");
    context
}

async fn sql(context: &SessionContext, text: &str) -> Vec<RecordBatch> {
    context.sql(text).await.expect("plans").collect().await.expect("runs")
}

fn batches(lines: &[Line]) -> Vec<RecordBatch> {
    lines.chunks(64).map(usage).collect()
}

fn of(collected: &[(LakeTable, RecordBatch, Placement)], table: LakeTable) -> Vec<&RecordBatch> {
    collected.iter().filter(|(own, ..)| *own == table).map(|(_, batch, _)| batch).collect()
}

async fn assert_same_as_sql(collected: &[(LakeTable, RecordBatch, Placement)], context: &SessionContext) {
    let charges = sql(context, CHARGES).await;
    assert_eq!(rows(of(collected, LakeTable::Charges)), rows(&charges));
    let table = MemTable::try_new(schema::charges(), vec![charges]).expect("charges");
    context.register_table("charges", Arc::new(table)).expect("registers");
    for (table, text) in ROLL_UPS {
        let expected = sql(context, text).await;
        let order: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
        let expected: Vec<RecordBatch> = expected
            .iter()
            .map(|batch| {
                let places: Vec<usize> =
                    order.iter().map(|name| batch.schema().index_of(name).expect("the same columns")).collect();
                batch.project(&places).expect("projects")
            })
            .collect();
        let rolled = rows(of(collected, table));
        assert!(!rolled.is_empty());
        assert_eq!(rolled, rows(&expected), "{}", table.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roll_ups_are_what_the_sql_says() {
    let lines = lines(3000);
    let (outcome, collected, _) = run_pipeline(&world(), batches(&lines), Arc::new(RuntimeEnv::default())).await;
    assert_eq!((outcome.rows(), outcome.portions()), (3000, 3000));
    assert_same_as_sql(&collected, &session(&world(), batches(&lines))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_memory_goes_to_disk_and_changes_nothing() {
    // Distinct resource types make every row a daily group of its own; the pool holds one chunk.
    let lines: Vec<Line> = lines(20_000)
        .into_iter()
        .enumerate()
        .map(|(n, line)| line.set("resource_type", &format!("type-{n}")))
        .collect();
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(64 << 10, 1.0).build_arc().expect("a runtime");
    let (_, collected, _) = run_pipeline(&world(), batches(&lines), runtime).await;
    let daily: usize = of(&collected, LakeTable::ChargesDaily).iter().map(|b| b.num_rows()).sum();
    assert_eq!(daily, 20_000);
    assert_same_as_sql(&collected, &session(&world(), batches(&lines))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_the_way() {
    let lines = lines(2000);
    let (outcome, collected, run) = run_pipeline(&world(), batches(&lines), Arc::new(RuntimeEnv::default())).await;
    let whole: i128 = lines.iter().map(|line| dec(line.get("billed_cost").expect("a cost"))).sum();
    let summed = outcome
        .slices
        .iter()
        .map(|(_, slice)| (slice.direct.to_i128(), slice.unallocated.to_i128()))
        .map(|(direct, unallocated)| direct.zip(unallocated).map(|(a, b)| a + b).expect("small"))
        .sum::<i128>();
    assert_eq!(summed, whole);
    // Each table alone holds the whole too.
    for table in LakeTable::ALL.into_iter().filter(|table| *table != LakeTable::Usage) {
        let total: i128 = of(&collected, table).iter().flat_map(|batch| root_pays(batch)).sum();
        assert_eq!(total, whole, "{}", table.name());
    }
    // Placements name what the rows say.
    let (slices, children, owners) = (run.places().slices(), run.places().children(), run.places().owners());
    for (_, batch, place) in &collected {
        let text = |name: &str, row: usize| {
            batch.column_by_name(name).expect("a column").as_string_view().value(row).to_owned()
        };
        for row in 0..batch.num_rows() {
            let at = |list: &[u32]| usize::try_from(list[row]).expect("small");
            assert_eq!(slices[at(&place.slice_of_row)].provider_name, text("provider_name", row));
            if batch.column_by_name("depth").is_some() {
                // Edges lie together, whoever owns the usage.
                assert_eq!((children[at(&place.child_of_row)].as_str(), place.owner_of_row[row]), ("", 0));
                continue;
            }
            let path = text("node_path", row);
            assert_eq!(owners[at(&place.owner_of_row)], path);
            let child = path.split('/').nth(1).unwrap_or_default();
            assert_eq!(children[at(&place.child_of_row)], child);
        }
    }
    assert_eq!(collected.iter().filter(|(table, ..)| *table == LakeTable::EdgesMonthly).count(), 1);
    // `res` has no card for cust other than for VM: counted by position and reason.
    let (_, aws) = outcome.slices.iter().find(|(name, _)| name.provider_name == "aws").expect("aws");
    assert!(aws.unrated.iter().any(|(k, reason, _)| (*k, *reason) == (2, Reason::NoRule)));
    assert!(!aws.owners.is_empty());
}

/// What the root pays for each row of a table.
fn root_pays(batch: &RecordBatch) -> Vec<i128> {
    let money = |name| batch.column_by_name(name).map(|column| column.as_primitive::<Decimal128Type>());
    let Some(depths) = batch.column_by_name("depth") else {
        return money("price_0").expect("a price").iter().flatten().collect();
    };
    let depths = depths.as_primitive::<Int32Type>().values();
    let amounts = money("amount").expect("an amount").iter();
    amounts.zip(depths).filter(|(_, depth)| **depth == 0).filter_map(|(amount, _)| amount).collect()
}

#[tokio::test]
async fn pricing_happens_exactly_once_in_a_plan() {
    let context = session(&world(), batches(&lines(10)));
    let price_fields =
        "select price_0, price_1, price_2, rule_1, rule_2, price_1 + price_2 from priced_usage where price_1 > 0";
    for text in [CHARGES, price_fields] {
        let plan = context.sql(text).await.expect("plans").create_physical_plan().await.expect("plans");
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        assert_eq!(count(plan.as_ref(), "RateExec"), 1, "{shown}");
        // Nothing else in the plan calls a pricing function.
        assert!(!shown.contains("rate("), "{shown}");
    }
}

fn count(plan: &dyn ExecutionPlan, name: &str) -> usize {
    let below: usize = plan.children().iter().map(|child| count(child.as_ref(), name)).sum();
    below + usize::from(plan.name() == name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_sink_or_row_ends_the_run() {
    struct Full;
    impl ChargeSink for Full {
        fn put(
            &self,
            _: LakeTable,
            _: RecordBatch,
            _: &Placement,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Err("the disk is full".into())
        }
    }
    let run = RatingRun::new(world().book(), BandTotals::default());
    let stream = futures::stream::iter(batches(&lines(1000)).into_iter().map(Ok));
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema::usage(), stream));
    let options = RatingOptions { threads: 2, runtime: Arc::new(RuntimeEnv::default()) };
    let error = rate(stream, &run, Arc::new(Full), &options).await.expect_err("no room");
    assert!(matches!(error, RatingError::Sink(_)));
    assert_eq!(error.to_string(), "writing rated rows: the disk is full");
    assert_eq!(Outcome::Billed.name(), "billed");
}
