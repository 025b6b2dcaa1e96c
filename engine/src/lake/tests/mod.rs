//! Tests of the lake as a whole: what is written is what is read, and where it lies.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use url::Url;

use super::{ClusteredWriter, DataFile, Lake, LakeTable, Tier, WriterOptions, WrittenFile};

mod clustering;
mod durability;
mod footers;
mod pruning;
mod scanning;

/// A lake with one local tier, `hot`, in a temporary directory.
struct Place {
    directory: TempDir,
    lake: Lake,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let lake = Lake::open(&[tier("hot", directory.path())]).expect("the lake opens");
        Self { directory, lake }
    }

    /// Two places: one reads its files as small ones, the other as large ones.
    fn both() -> [Self; 2] {
        let Self { directory, lake } = Self::new();
        [Self::new(), Self { directory, lake: lake.without_small_files() }]
    }

    fn path_of(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path.strip_prefix("hot/").expect("a path of the hot tier"))
    }

    fn read(&self, path: &str) -> Vec<RecordBatch> {
        row_groups(&self.path_of(path))
    }
}

fn tier(name: &str, directory: &Path) -> Tier {
    Tier { name: name.to_owned(), url: Url::from_directory_path(directory).expect("an absolute path") }
}

/// The row groups of a file, each as one batch.
fn row_groups(path: &Path) -> Vec<RecordBatch> {
    let open = || ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("the file")).expect("its footer");
    (0..open().metadata().num_row_groups())
        .map(|number| {
            let reader = open().with_row_groups(vec![number]).build().expect("a reader");
            let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
            concat_batches(&batches[0].schema(), &batches).expect("one batch")
        })
        .collect()
}

/// The column that numbers the rows of [`rows`].
fn key_column(table: LakeTable) -> &'static str {
    match table {
        LakeTable::Usage => "source_row",
        LakeTable::Charges => "line_key",
        LakeTable::ChargesDaily | LakeTable::ChargesMonthly | LakeTable::EdgesMonthly | LakeTable::ChargesByTerms => {
            "usage_rows"
        }
    }
}

/// Random rows with nulls, texts short and long, and decimals of all sizes; numbered from `first`.
fn rows(table: LakeTable, first: i64, count: usize, random: &mut StdRng) -> RecordBatch {
    let schema = table.schema();
    let columns = schema.fields().iter().map(|field| {
        if field.name() == key_column(table) {
            let keys: Vec<i64> = (first..).take(count).collect();
            return Arc::new(Int64Array::from(keys)) as ArrayRef;
        }
        // A whole column of nulls or of one value happens too.
        let nulls = if field.is_nullable() { [0.0, 0.2, 1.0][random.random_range(0..3)] } else { 0.0 };
        let values: Vec<Option<u32>> = match random.random_range(0..3) {
            0 => vec![(nulls < 1.0).then_some(7); count],
            _ => (0..count).map(|_| (!random.random_bool(nulls)).then(|| random.random_range(0..40))).collect(),
        };
        column(field.data_type(), &values)
    });
    RecordBatch::try_new(table.schema(), columns.collect()).expect("a batch of the table")
}

/// One value of a type for each number.
fn column(data_type: &DataType, numbers: &[Option<u32>]) -> ArrayRef {
    let values = numbers.iter().copied();
    match data_type {
        DataType::Utf8View => {
            let text = |n: u32| match n % 4 {
                0 => format!("v{n}"),
                1 => format!("dist/reseller-{n}/customer-with-a-long-name-{n}"),
                2 => String::new(),
                _ => "é".repeat(n as usize),
            };
            Arc::new(values.map(|n| n.map(text)).collect::<StringViewArray>())
        }
        DataType::Decimal128(precision, scale) => {
            let amount = |n: u32| match n % 4 {
                0 => -i128::from(n),
                1 => 10_i128.pow(38) - 1 - i128::from(n),
                2 => 1 - 10_i128.pow(38),
                _ => i128::from(n) * 10_i128.pow(18),
            };
            let amounts = values.map(|n| n.map(amount)).collect::<Decimal128Array>();
            Arc::new(amounts.with_precision_and_scale(*precision, *scale).expect("in precision"))
        }
        DataType::Timestamp(_, zone) => {
            let hours = values.map(|n| n.map(|n| 1_790_000_000_000_000 + i64::from(n) * 3_600_000_000));
            Arc::new(hours.collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
        }
        DataType::Date32 => Arc::new(values.map(|n| n.map(|n| 20_000 + n.cast_signed())).collect::<Date32Array>()),
        DataType::Int64 => Arc::new(values.map(|n| n.map(i64::from)).collect::<Int64Array>()),
        DataType::Int32 => Arc::new(values.map(|n| n.map(u32::cast_signed)).collect::<Int32Array>()),
        DataType::Boolean => Arc::new(values.map(|n| n.map(|n| n > 20)).collect::<BooleanArray>()),
        other => panic!("no values of type {other}"),
    }
}

/// All rows of some batches in the order of their numbers.
fn in_order(table: LakeTable, batches: &[RecordBatch]) -> RecordBatch {
    let columns = batches
        .iter()
        .map(|batch| RecordBatch::try_new(table.schema(), batch.columns().to_vec()).expect("columns of the table"));
    let all = concat_batches(&table.schema(), &columns.collect::<Vec<_>>()).expect("one batch");
    let keys = all.column_by_name(key_column(table)).expect("the key");
    take_record_batch(&all, &sort_to_indices(keys, None, None).expect("an order")).expect("the rows")
}

fn keys(table: LakeTable, batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name(key_column(table)).expect("the key").as_primitive::<Int64Type>().values().to_vec()
}

/// Options under which little memory and small row groups make the writer work for its living.
fn small(row_group_rows: usize, memory_bytes_max: usize, threads: usize) -> WriterOptions {
    WriterOptions { row_group_rows, memory_bytes_max, threads, ..WriterOptions::default() }
}

async fn finish(writer: ClusteredWriter) -> Vec<WrittenFile> {
    writer.finish(&|file| format!("p{file}")).await.expect("the writer finishes")
}

/// A written file as the catalog would list it.
fn listed(id: i64, table: LakeTable, written: &WrittenFile, billing_period: i32) -> Arc<DataFile> {
    Arc::new(DataFile {
        id,
        table,
        path: written.path.clone(),
        rows: written.rows,
        bytes: written.bytes,
        footer_bytes: written.footer_bytes,
        slice_id: 1,
        billing_period,
        provider_name: "AWS".to_owned(),
        billing_account_id: "111".to_owned(),
        child: String::new(),
        stats: written.stats.clone(),
    })
}

fn seeded() -> StdRng {
    StdRng::seed_from_u64(20_261_121)
}

/// Counts how often each value occurs.
fn count<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}
