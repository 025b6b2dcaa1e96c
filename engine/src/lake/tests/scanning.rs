//! A scan reads the files it was given, all of them and each row once.

use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::UnboundedMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::lake::{FileList, scan_runtime};

/// First days of two billing periods, as days since 1970-01-01: 2026-09-01 and 2026-10-01.
pub(super) const SEPTEMBER: i32 = 20_697;
pub(super) const OCTOBER: i32 = 20_727;

/// Charges of one node on one day of a period, numbered from `first`.
pub(super) fn charges_of(node: &str, period: i32, first: i64, count: usize) -> RecordBatch {
    let base = rows(LakeTable::Charges, first, count, &mut seeded());
    let schema = LakeTable::Charges.schema();
    let columns = schema.fields().iter().zip(base.columns()).map(|(field, array)| match field.name().as_str() {
        "node_path" => Arc::new(StringViewArray::from(vec![format!("root/{node}"); count])) as ArrayRef,
        "node_id" => Arc::new(StringViewArray::from(vec![node; count])),
        "billing_period" => Arc::new(Date32Array::from(vec![period; count])),
        "charge_date" => Arc::new(Date32Array::from(vec![period + 4; count])),
        "price_8" => {
            let prices = Decimal128Array::from(vec![1_500_000_000_000_000_000; count]);
            Arc::new(prices.with_precision_and_scale(38, 18).expect("in precision"))
        }
        _ => Arc::clone(array),
    });
    RecordBatch::try_new(LakeTable::Charges.schema(), columns.collect()).expect("a batch")
}

/// One file of 100 charges for each of two nodes in each of two periods.
pub(super) async fn four_files(place: &Place) -> Vec<Arc<DataFile>> {
    let mut files = Vec::new();
    for (period, first) in [(SEPTEMBER, 0), (OCTOBER, 200)] {
        let mut writer = place.lake.writer(LakeTable::Charges, "hot", small(40, 1 << 30, 2));
        for (file, (node, first)) in (0..).zip([("alpha", first), ("beta", first + 100)]) {
            writer.push(charges_of(node, period, first, 100), &[file; 100], &[file; 100]).expect("the rows are taken");
        }
        let named = writer.finish(&|file| format!("Größe & Co/50%/{file}")).await.expect("the writer finishes");
        let next = i64::try_from(files.len()).expect("few files");
        files.extend((next..).zip(&named).map(|(id, file)| listed(id, LakeTable::Charges, file, period)));
    }
    files
}

pub(super) fn context(place: &Place, files: &[Arc<DataFile>]) -> SessionContext {
    let runtime = runtime(&place.lake);
    let context = SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(2), runtime);
    context.register_table("charges", place.lake.provider(LakeTable::Charges, files.into())).expect("it registers");
    context
}

pub(super) async fn answer(context: &SessionContext, sql: &str) -> Result<String, String> {
    let frame = context.sql(sql).await.map_err(|e| e.to_string())?;
    let batches = frame.collect().await.map_err(|e| e.to_string())?;
    let values =
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row))).map(|(batch, row)| {
            let value = |column: &ArrayRef| arrow::util::display::array_value_to_string(column, row).expect("a value");
            batch.columns().iter().map(value).collect::<Vec<_>>().join("|")
        });
    Ok(values.collect::<Vec<_>>().join("\n"))
}

pub(super) async fn plan(context: &SessionContext, sql: &str) -> String {
    let plan = context.sql(sql).await.expect("a plan").create_physical_plan().await.expect("a physical plan");
    displayable(plan.as_ref()).indent(true).to_string()
}

/// Makes a file unreadable: whoever opens it fails.
pub(super) fn spoil(place: &Place, file: &DataFile) {
    let length = usize::try_from(file.bytes).expect("a length");
    std::fs::write(place.path_of(&file.path), vec![0; length]).expect("the file is replaced");
}

fn runtime(lake: &Lake) -> Arc<RuntimeEnv> {
    scan_runtime(lake, Arc::new(UnboundedMemoryPool::default()), DiskManagerBuilder::default()).expect("a runtime")
}

#[tokio::test]
async fn all_rows_of_all_files_are_read() {
    for place in Place::both() {
        let context = context(&place, &four_files(&place).await);
        let sql = "select node_id, billing_period, count(*), min(line_key), max(line_key), sum(price_8) from charges
               group by 1, 2 order by 2, 1";
        // 100 rows at 1.5 each.
        let expected = "alpha|2026-09-01|100|0|99|150.000000000000000000\n\
                    beta|2026-09-01|100|100|199|150.000000000000000000\n\
                    alpha|2026-10-01|100|200|299|150.000000000000000000\n\
                    beta|2026-10-01|100|300|399|150.000000000000000000";
        assert_eq!(answer(&context, sql).await.as_deref(), Ok(expected));
        let all = context.sql("select * from charges").await.expect("a plan").collect().await.expect("rows");
        assert_eq!(all[0].schema().fields().len(), LakeTable::Charges.schema().fields().len());
        let written: Vec<RecordBatch> =
            [("alpha", SEPTEMBER, 0), ("beta", SEPTEMBER, 100), ("alpha", OCTOBER, 200), ("beta", OCTOBER, 300)]
                .map(|(node, period, first)| charges_of(node, period, first, 100))
                .to_vec();
        assert_eq!(in_order(LakeTable::Charges, &all), in_order(LakeTable::Charges, &written));
    }
}

#[tokio::test]
async fn filters_run_inside_the_scan_of_large_files_and_once() {
    let [_, place] = Place::both();
    let context = context(&place, &four_files(&place).await);
    let plan = plan(&context, "select line_key from charges where node_id = 'beta' and line_key > 150").await;
    assert!(!plan.contains("FilterExec"), "{plan}");
    assert_eq!(plan.matches("node_id@8 = beta").count(), 1, "{plan}");
    let rows = answer(&context, "select count(line_key) from charges where node_id = 'beta' and line_key > 150").await;
    // 151 to 199 and 300 to 399.
    assert_eq!(rows.as_deref(), Ok("149"));
}

#[tokio::test]
async fn large_files_are_read_by_several_partitions() {
    let [_, place] = Place::both();
    let mut writer = place.lake.writer(LakeTable::ChargesMonthly, "hot", small(500, 1 << 30, 2));
    writer
        .push(rows(LakeTable::ChargesMonthly, 0, 2000, &mut seeded()), &[0; 2000], &[0; 2000])
        .expect("the rows are taken");
    let files: FileList =
        finish(writer).await.iter().map(|file| listed(1, LakeTable::ChargesMonthly, file, OCTOBER)).collect();
    let runtime = runtime(&place.lake);
    let config = SessionConfig::new().with_target_partitions(2).with_repartition_file_min_size(1).with_batch_size(100);
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_table("monthly", place.lake.provider(LakeTable::ChargesMonthly, files)).expect("it registers");
    let sql = "select charge_category, sum(usage_rows) from monthly group by 1";
    let plan = plan(&context, sql).await;
    assert!(plan.contains("file_groups={2 groups"), "{plan}");
    // 0 + 1 + … + 1999.
    assert_eq!(answer(&context, "select sum(usage_rows) from monthly").await.as_deref(), Ok("1999000"));
}

#[tokio::test]
async fn columns_that_older_files_lack_are_null() {
    for place in Place::both() {
        let batch = charges_of("alpha", OCTOBER, 0, 10);
        let schema = batch.schema();
        let kept = ["charge_date", "node_id", "node_path", "line_key"].map(|name| schema.index_of(name).expect(name));
        let older = batch.project(&kept).expect("these columns");
        let path = "hot/charges/old.parquet";
        std::fs::create_dir_all(place.path_of("hot/charges")).expect("a directory");
        let file = File::create(place.path_of(path)).expect("a file");
        let mut writer =
            ArrowWriter::try_new(file, older.schema(), Some(WriterProperties::default())).expect("a writer");
        writer.write(&older).expect("rows");
        writer.close().expect("a footer");
        let bytes = std::fs::metadata(place.path_of(path)).expect("the file").len();
        let written = WrittenFile {
            file: 0,
            path: path.to_owned(),
            rows: 10,
            bytes: i64::try_from(bytes).expect("a small file"),
            footer_bytes: 0,
            stats: Vec::new(),
        };
        let context = context(&place, &[listed(1, LakeTable::Charges, &written, OCTOBER)]);
        let sql = "select count(*), count(price_8), count(tags), max(line_key) from charges where node_id = 'alpha'";
        assert_eq!(answer(&context, sql).await.as_deref(), Ok("10|0|0|9"));
    }
}

#[tokio::test]
async fn nothing_but_the_lake_can_be_read() {
    let place = Place::new();
    let runtime = runtime(&place.lake);
    let store = |url: &str| runtime.object_store_registry.get_store(&Url::parse(url).expect("a URL")).is_ok();
    assert!(store("wh://main/hot/x"));
    assert!(!store("wh://other/hot/x") && !store("file:///etc/passwd") && !store("s3://bucket/x"));
    runtime.register_object_store(&Url::parse("file:///").expect("a URL"), place.lake.object_store());
    assert!(!store("file:///etc/passwd"));
}
