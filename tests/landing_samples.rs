//! Every sample file lands with exactly the rows and sums that `landing_reference.py` computes
//! without Ratehouse, and the warts of real files get what they should.

#[path = "landing_samples/aws.rs"]
mod aws;
#[path = "landing_samples/files.rs"]
mod files;
#[path = "landing_samples/json.rs"]
mod json;
#[path = "landing_samples/mappings.rs"]
mod mappings;
#[path = "landing_samples/partner_center.rs"]
mod partner_center;
#[path = "landing_samples/sources.rs"]
mod sources;
#[path = "landing_samples/warts.rs"]
mod warts;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use futures::StreamExt;
use ratehouse::lake::schema::{USAGE_DECIMALS, usage};
use ratehouse::landing::quality::{Findings, FocusVersion};
use ratehouse::landing::{
    DeliveryFiles, LandedBatch, LandingError, LocalOnly, Noted, RejectedRow, SourceCatalog, Totals, discover,
};
use serde_json::Value;

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(path)
}

/// What a delivery became.
struct Landed {
    source: String,
    usage: RecordBatch,
    rejected: Vec<RejectedRow>,
    noted: Vec<Noted>,
    lossy_rows: u64,
    raw: Totals,
    hash: String,
}

impl Landed {
    fn text(&self, column: &str, row: usize) -> Option<&str> {
        let column = self.usage.column_by_name(column).expect(column).as_string_view();
        column.is_valid(row).then(|| column.value(row))
    }

    fn money(&self, column: &str, row: usize) -> Option<String> {
        let column = self.usage.column_by_name(column).expect(column).as_primitive::<Decimal128Type>();
        column.is_valid(row).then(|| plain(column.value(row)))
    }

    fn instant(&self, column: &str, row: usize) -> i64 {
        self.usage.column_by_name(column).expect(column).as_primitive::<TimestampMicrosecondType>().value(row)
    }

    fn sum(&self, column: &str) -> (String, usize) {
        let column = self.usage.column_by_name(column).expect(column).as_primitive::<Decimal128Type>();
        (plain(column.iter().flatten().sum()), column.len() - column.null_count())
    }

    fn source_rows(&self) -> Vec<i64> {
        self.usage.column_by_name("source_row").expect("source_row").as_primitive::<Int64Type>().values().to_vec()
    }
}

/// Units of 1e-18 as decimal text without trailing zeros.
fn plain(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:019}", units.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn built_in() -> SourceCatalog {
    SourceCatalog::built_in().expect("the shipped mappings")
}

async fn land_with(path: &Path, sources: &SourceCatalog, named: Option<&str>) -> Result<Landed, LandingError> {
    let mut found = discover(&[path.display().to_string()], &LocalOnly).await?;
    assert_eq!(found.len(), 1, "one delivery");
    read(found.remove(0), sources, named).await
}

/// Reads a whole delivery.
async fn read(files: DeliveryFiles, sources: &SourceCatalog, named: Option<&str>) -> Result<Landed, LandingError> {
    let delivery = files.open(sources, named).await?;
    let source = delivery.source.name.clone();
    let before = delivery.content_hash().await?;
    let mut rows = delivery.read(2);
    let mut landed = Landed {
        source,
        usage: RecordBatch::new_empty(usage()),
        rejected: Vec::new(),
        noted: Vec::new(),
        lossy_rows: 0,
        raw: Totals::default(),
        hash: String::new(),
    };
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await {
        let LandedBatch { usage, rejected, noted, lossy_rows, raw, .. } = batch?;
        batches.push(usage);
        landed.rejected.extend(rejected);
        landed.noted.extend(noted);
        landed.lossy_rows += lossy_rows;
        landed.raw.merge(&raw);
    }
    landed.usage = concat_batches(&usage(), &batches).expect("one schema");
    landed.hash = rows.content_hash().expect("hash after the end");
    assert_eq!(landed.hash, before, "the hash before and after reading is the same");
    Ok(landed)
}

async fn land(path: &Path) -> Result<Landed, LandingError> {
    land_with(path, &built_in(), None).await
}

/// A file of a test's own.
fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    std::fs::write(&path, bytes).expect("write");
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("temp")
}

fn reference() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/landing_reference.json");
    serde_json::from_slice(&std::fs::read(path).expect("reference")).expect("json")
}

#[tokio::test]
async fn every_sample_lands_with_the_independent_sums() {
    let reference = reference();
    for (path, expected) in reference["samples"].as_object().expect("samples") {
        let landed = land(&data(path)).await.unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(landed.source, expected["source"], "{path}");
        assert_eq!(landed.raw.rows, expected["rows"].as_u64().expect("rows"), "{path} rows");
        assert_eq!(
            landed.usage.num_rows() as u64,
            expected["usage_rows"].as_u64().expect("usage"),
            "{path} usage rows"
        );
        assert_eq!(landed.lossy_rows, expected["lossy_rows"].as_u64().expect("lossy"), "{path} lossy rows");
        let rejected: Vec<Value> =
            landed.rejected.iter().map(|r| serde_json::json!([r.source_row, r.column])).collect();
        assert_eq!(Value::from(rejected), expected["rejected"], "{path} rejected");
        for column in USAGE_DECIMALS {
            let (sum, filled) = landed.sum(column);
            assert_eq!(sum, expected["sums"][column].as_str().unwrap_or("0"), "{path} sum of {column}");
            assert_eq!(filled as u64, expected["filled"][column].as_u64().unwrap_or(0), "{path} filled {column}");
        }
        for (column, filled) in expected["texts"].as_object().expect("texts") {
            if column != "publisher_name" {
                let column_found = landed.usage.column_by_name(column).expect(column);
                assert_eq!((column_found.len() - column_found.null_count()) as u64, *filled, "{path} filled {column}");
            }
        }
        let cost = landed.raw.provider_cost.to_i128().expect("small");
        assert_eq!(plain(cost), expected["provider_cost"], "{path} provider cost");
        let periods: u64 = expected["periods"].as_object().expect("periods").values().filter_map(Value::as_u64).sum();
        assert_eq!(periods, landed.usage.num_rows() as u64, "{path} periods");
        for (period, rows) in expected["periods"].as_object().expect("periods") {
            let first = chrono::NaiveDate::parse_from_str(&format!("{period}-01"), "%Y-%m-%d").expect("date");
            let days =
                i32::try_from(first.signed_duration_since(chrono::NaiveDate::default()).num_days()).expect("days");
            let found = landed.usage.column_by_name("billing_period").expect("period").as_primitive::<Date32Type>();
            assert_eq!(found.values().iter().filter(|d| **d == days).count() as u64, *rows, "{path} {period}");
        }
        // Further rows that a mapping makes of a source row come after a chunk's own.
        assert!(landed.raw.usage_rows > landed.raw.rows || landed.source_rows().is_sorted(), "{path} rows in order");
        let noted: serde_json::Map<String, Value> =
            landed.noted.iter().map(|n| (n.says.clone(), serde_json::json!([n.rows, n.first.1]))).collect();
        assert_eq!(Value::from(noted), expected["noted"], "{path} noted");
    }
}

/// Rules that a sample breaks, with the rows and the first: by its own FOCUS version or by another.
async fn findings(path: &str, version: Option<FocusVersion>) -> serde_json::Map<String, Value> {
    let mut found = discover(&[data(path).display().to_string()], &LocalOnly).await.expect("found");
    let delivery = found.remove(0).open(&SourceCatalog::built_in().expect("built in"), None).await.expect("opens");
    let mut findings = Findings::new(version.or(delivery.source.focus));
    let mut rows = delivery.read(2);
    while let Some(batch) = rows.next().await {
        findings.observe(&batch.expect("batch").usage);
    }
    findings.list().iter().map(|f| (f.rule.id.to_owned(), serde_json::json!([f.rows, f.first.1]))).collect()
}

#[tokio::test]
async fn billed_rows_of_other_issuers_are_those_of_the_independent_validator() {
    for (path, expected) in reference()["other_issuers"].as_object().expect("findings") {
        assert_eq!(findings(path, Some((1, 2))).await.get("R17"), Some(expected), "{path}");
    }
}

#[tokio::test]
async fn findings_are_those_of_the_independent_validator() {
    for (path, expected) in reference()["findings"].as_object().expect("findings") {
        let listed = findings(path, None).await;
        let expected: std::collections::BTreeMap<_, _> = expected.as_object().expect("rules").iter().collect();
        assert_eq!(listed.iter().collect::<std::collections::BTreeMap<_, _>>(), expected, "{path}");
    }
}

#[tokio::test]
async fn files_of_no_source_are_refused_and_say_what_is_missing() {
    for path in reference()["refused"].as_array().expect("refused").iter().filter_map(Value::as_str) {
        match land(&data(path)).await {
            Err(LandingError::UnknownSource { nearest, missing, .. }) => {
                assert!(!missing.is_empty(), "{path}");
                println!("{path}: nearest {nearest}, missing {missing}");
            }
            Err(other) => panic!("{path}: {other}"),
            Ok(_) => panic!("{path} landed"),
        }
    }
}

/// A small FOCUS 1.2 file.
fn focus(rows: &[&str]) -> String {
    let header = "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ContractedCost,EffectiveCost,InvoiceId,ListCost,ProviderName,ChargeDescription,Tags,x_Note";
    let lines: Vec<String> = rows.iter().map(|r| format!("{r}\n")).collect();
    format!("{header}\n{}", lines.concat())
}

fn row(cost: &str, note: &str) -> String {
    format!(
        "{cost},0012,USD,2024-09-01T00:00:00Z,2024-10-01T00:00:00Z,Usage,2024-09-02T00:00:00Z,2024-09-03T00:00:00Z,1,1,INV,1,Acme,\"two\nlines, \"\"quoted\"\"\",,{note}"
    )
}
