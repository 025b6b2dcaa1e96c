//! The parts by themselves: reading provider files, writing the lake, exact arithmetic, JSON by key.
//!
//! `cargo bench -p ratehouse --bench parts`

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Decimal128Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};
use ratehouse::lake::{Lake, LakeTable, Tier, WriterOptions};
use ratehouse::landing::{LandedBatch, LocalOnly, SourceCatalog, discover};
use tokio::runtime::Runtime;
use url::Url;

/// Rows of the file that is read, and of the columns that are computed with.
const ROWS: usize = 100_000;

/// The FOCUS 1.4 sample, its rows repeated.
fn provider_file(directory: &Path) -> (String, u64) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/focus/synthetic_focus_1_4_cost_and_usage.csv");
    let sample = std::fs::read_to_string(sample).expect("the sample");
    let (header, rows) = sample.split_once('\n').expect("a header");
    let mut text = format!("{header}\n");
    for row in rows.lines().cycle().take(ROWS) {
        text.push_str(row);
        text.push('\n');
    }
    let path = directory.join("usage.csv");
    std::fs::write(&path, &text).expect("room on the disk");
    (path.display().to_string(), text.len() as u64)
}

async fn landed(path: &str) -> Vec<LandedBatch> {
    let sources = SourceCatalog::built_in().expect("the mappings");
    let files = discover(&[path.to_owned()], &LocalOnly).await.expect("the file").remove(0);
    files.open(&sources, None).await.expect("a known header").read(2).try_collect().await.expect("readable rows")
}

async fn written(lake: &Lake, batches: &[LandedBatch]) -> i64 {
    let mut writer = lake.writer(LakeTable::Usage, "hot", WriterOptions::default());
    for batch in batches {
        let rows = batch.usage.num_rows();
        writer.push(batch.usage.clone(), &vec![0; rows], &vec![0; rows]).expect("rows of usage");
    }
    let files = writer.finish(&|_| "bench".to_owned()).await.expect("durable files");
    for file in &files {
        lake.remove(&file.path).await.expect("it was there");
    }
    files.iter().map(|file| file.rows).sum()
}

fn lake(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let (path, bytes) = provider_file(directory.path());
    let mut group = criterion.benchmark_group("landing");
    group.sample_size(10).throughput(Throughput::Bytes(bytes));
    group.bench_function("read FOCUS 1.4 CSV", |b| b.iter(|| black_box(runtime.block_on(landed(&path)))));
    let batches = runtime.block_on(landed(&path));
    let url = Url::from_directory_path(directory.path()).expect("an absolute path");
    let lake = Lake::open(&[Tier { name: "hot".to_owned(), url }]).expect("a lake");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("write sorted Parquet", |b| b.iter(|| runtime.block_on(written(&lake, &batches))));
    group.finish();
}

fn table() -> RecordBatch {
    let amounts = (0..ROWS).map(|row| i128::try_from(row).unwrap_or_default() * 1_234_567_890_123 + 7);
    let prices: Decimal128Array = amounts.map(Some).collect();
    let prices = prices.with_precision_and_scale(38, 18).expect("money");
    let tags: StringViewArray = (0..ROWS)
        .map(|row| Some(format!(r#"{{"env":"prod","cost_center":"{}","team":"team-{}"}}"#, row % 97, row % 11)))
        .collect();
    let schema = Schema::new(vec![
        Field::new("price", DataType::Decimal128(38, 18), true),
        Field::new("tags", DataType::Utf8View, true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(prices), Arc::new(tags)]).expect("two columns")
}

fn functions(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let state = ratehouse_udfs::install(SessionStateBuilder::new().with_default_features()).build();
    let context = SessionContext::new_with_state(state);
    context.register_batch("t", table()).expect("a new name");
    let mut group = criterion.benchmark_group("functions");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, sql) in [
        ("sum of decimals", "select sum(price) from t"),
        ("exact product, rounded, summed", "select sum(round(price * 1.0725, 2)) from t"),
        ("exact quotient", "select max(price / 7) from t"),
        ("JSON by key", "select count(tags ->> 'team') from t"),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let frame = context.sql(sql).await.expect("it is planned");
                    let mut rows = frame.execute_stream().await.expect("it runs");
                    while let Some(batch) = rows.next().await {
                        black_box(batch.expect("no overflow"));
                    }
                });
            });
        });
    }
    group.finish();
}

criterion_group!(parts, lake, functions);
criterion_main!(parts);
