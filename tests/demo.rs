//! The demo's warehouse: the provider files and reference rows of `data/`, every period closed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ratehouse::Warehouse;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::fixture::{PASSWORD, copy, create, rows, run};

const PROVIDER_FILES: [&str; 6] = [
    "azure/EA_ActualCost_Small.csv",
    "azure/EA_AmortizedCost_Small.csv",
    "aws/cur_legacy_sample.csv",
    "oci/oci_cost_report_sample.csv",
    "focus/focus_1_0_sample.csv",
    "focus/synthetic_focus_1_4_cost_and_usage.csv",
];
const REFERENCE: [&str; 8] = [
    "nodes",
    "accounts",
    "attribution_rules",
    "rate_cards",
    "rate_card_versions",
    "rate_rules",
    "charge_policies",
    "fx_rates",
];
const PERIODS: [&str; 5] = ["2023-09", "2023-11", "2024-09", "2024-10", "2026-05"];

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(path)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the file is in the repository")
}

/// The warehouse, made once for all tests of a process; they only read it.
pub(crate) async fn warehouse() -> &'static Warehouse {
    static DEMO: OnceCell<Warehouse> = OnceCell::const_new();
    DEMO.get_or_init(make).await
}

/// A directory that outlives the test, so that earlier processes' are removed here.
fn directory() -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    let old = SystemTime::now() - Duration::from_secs(3600);
    for entry in std::fs::read_dir(&all).into_iter().flatten().filter_map(Result::ok) {
        let modified = entry.metadata().and_then(|facts| facts.modified());
        if modified.is_ok_and(|at| at < old) {
            // Another process may remove it first.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let own = all.join(std::process::id().to_string());
    if own.exists() {
        std::fs::remove_dir_all(&own).expect("what an earlier process left can be removed");
    }
    own
}

async fn make() -> Warehouse {
    let warehouse = create(&directory(), "meridian");
    let login = || warehouse.principal("admin").expect("the catalog is there").expect("the login is there");
    let admin = warehouse.session(login());
    for table in REFERENCE {
        copy(&admin, table, &text(&data(&format!("demo/{table}.csv")))).await.expect("the demo's rows are right");
    }
    for version in
        rows(&admin, "select card_id || '/' || version from ref.rate_card_versions order by card_id, version").await
    {
        run(&admin, &format!("call submit('rate_card_version', '{version}', 'demo terms')")).await;
    }
    for line in text(&data("demo/users.csv")).lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [login, node, role] = fields.as_slice() else { panic!("users.csv has three columns") };
        if *login != "admin" {
            run(&admin, &format!("create user \"{login}\" password '{PASSWORD}' node '{node}' role {role}")).await;
        }
    }
    let files: Vec<String> = PROVIDER_FILES.iter().map(|path| data(path).display().to_string()).collect();
    warehouse.land(&files, None, "admin", &|_| {}).await.expect("the samples land");
    for period in PERIODS {
        warehouse.close(period, "admin", false).await.expect("the period can be closed");
    }
    warehouse
}

/// What `demo_reference.py` computes of the same files with Python's `decimal`.
fn reference(list: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/demo_reference.json");
    let all: Value = serde_json::from_str(&text(&path)).expect("it is JSON");
    all[list].as_array().expect("it is a list").clone()
}

fn expected(list: &str, columns: &[&str]) -> Vec<String> {
    let mut expected: Vec<String> = reference(list)
        .iter()
        .map(|row| {
            let cells: Vec<String> = columns
                .iter()
                .map(|column| match &row[*column] {
                    Value::String(text) => without_trailing_zeros(text),
                    other => other.to_string(),
                })
                .collect();
            cells.join("|")
        })
        .collect();
    expected.sort();
    expected
}

/// Amounts as the tests show them; `0E-12` is how Python writes a zero of 12 digits.
fn without_trailing_zeros(text: &str) -> String {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    if text == "0E-12" {
        "0".to_owned()
    } else if text.contains('.') && text.chars().all(is_number) {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

async fn asked(sql: &str) -> Vec<String> {
    let demo = warehouse().await;
    let finance = demo.principal("finance").expect("the catalog is there").expect("the login is there");
    let mut found = rows(&demo.session(finance), sql).await;
    found.sort();
    found
}

#[tokio::test]
async fn every_invoice_of_the_demo_is_what_the_independent_computation_gives() {
    let found = asked("select billing_period, seller_node_id, buyer_node_id, currency, total from (select cast(billing_period as varchar) as billing_period, seller_node_id, buyer_node_id, currency, total from invoices)").await;
    let columns = ["billing_period", "seller_node_id", "buyer_node_id", "currency", "total"];
    let expected = expected("invoices", &columns);
    assert_eq!(expected.len(), 21);
    assert_eq!(found.iter().map(|row| month(row)).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn every_margin_of_the_demo_is_what_the_independent_computation_gives() {
    // The reference gives sums at 12 digits: parts of a band's total are spread in thirds of nothing.
    let found = asked("select cast(billing_period as varchar), seller_node_id, buyer_node_id, currency, basis, cast(sum(cost) as numeric(38, 12)), cast(sum(price) as numeric(38, 12)), cast(sum(margin) as numeric(38, 12)) from margins group by 1, 2, 3, 4, 5").await;
    let columns = ["billing_period", "seller_node_id", "buyer_node_id", "currency", "basis", "cost", "price", "margin"];
    let expected = expected("margins", &columns);
    assert_eq!(expected.len(), 35);
    assert_eq!(found.iter().map(|row| month(row)).collect::<Vec<_>>(), expected);
}

/// Periods are days in the engine and months in the reference.
fn month(row: &str) -> String {
    let (period, rest) = row.split_once('|').expect("a row has several columns");
    format!("{}|{rest}", period.get(..7).expect("a period begins with its month"))
}

#[tokio::test]
async fn what_providers_billed_and_what_belongs_to_nobody_is_what_the_files_say() {
    let found = asked("select billing_period, provider_name, billing_account_id, rows, cast(billed_cost as numeric(38, 12)) from ops.slices where role = 'priced'").await;
    let columns = ["billing_period", "provider_name", "billing_account_id", "rows", "billed_cost"];
    assert_eq!(found, expected("provider", &columns));
    let found = asked("select cast(billing_period as varchar), provider_name, currency, cast(sum(cost) as numeric(38, 12)) from unallocated group by 1, 2, 3").await;
    let columns = ["billing_period", "provider_name", "currency", "billed_cost"];
    assert_eq!(found.iter().map(|row| month(row)).collect::<Vec<_>>(), expected("unallocated", &columns));
}

#[tokio::test]
async fn the_demo_is_sound() {
    let verified = warehouse().await.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}
