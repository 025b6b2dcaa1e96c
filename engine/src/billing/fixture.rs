//! A warehouse for tests: a catalog with a tree, and a root session over rows written by hand.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray,
};
use arrow::datatypes::Date32Type;
use async_trait::async_trait;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use ratehouse_udfs::decimal::parse_decimal;

use super::{BillingPeriod, CloseMode, CloseRequest, Query, QueryError};
use crate::catalog::{Catalog, Change, RefTable, SliceKey, SnapshotId, Value};

/// A row of `ops.edges_monthly` (for callers below the root: of `tiers_monthly`); the rest of its columns follow from these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tier {
    pub(super) depth: i32,
    pub(super) path: &'static str,
    pub(super) service: &'static str,
    pub(super) category: &'static str,
    pub(super) outcome: &'static str,
    pub(super) amount: &'static str,
    pub(super) currency: &'static str,
}

impl Tier {
    /// The node at a position of the row's path.
    fn node(&self, position: i32) -> Option<&'static str> {
        usize::try_from(position).ok().and_then(|position| self.path.split('/').nth(position))
    }
}

/// Usage billed in USD.
pub(super) fn usage(depth: i32, path: &'static str, service: &'static str, amount: &'static str) -> Tier {
    Tier { depth, path, service, category: "Usage", outcome: "billed", amount, currency: "USD" }
}

pub(super) fn money(text: &str) -> i128 {
    parse_decimal(text).expect("an amount").value
}

pub(super) fn amounts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let array: Decimal128Array = texts.map(|text| text.map(money)).collect();
    Arc::new(array.with_precision_and_scale(38, 18).expect("the type of money"))
}

pub(super) fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<StringViewArray>())
}

pub(super) fn periods(period: BillingPeriod, rows: usize) -> ArrayRef {
    Arc::new(Date32Array::from(vec![Date32Type::from_naive_date(period.first_day()); rows]))
}

/// The rows as the session shows them; every seller's cost is what it pays one edge up for the same row.
pub(super) fn tiers_batch(period: BillingPeriod, tiers: &[Tier]) -> RecordBatch {
    let rows = tiers.len();
    let all = |text: &'static str| texts(std::iter::repeat_n(Some(text), rows));
    let cost = |tier: &Tier| {
        let above = |other: &&Tier| {
            (other.depth, other.path, other.service, other.category)
                == (tier.depth - 1, tier.path, tier.service, tier.category)
        };
        tiers.iter().find(above).map(|other| other.amount)
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("origin", all("usage")),
        ("billing_period", periods(period, rows)),
        ("provider_name", all("AWS")),
        ("billing_account_id", all("payer")),
        ("service_name", texts(tiers.iter().map(|t| Some(t.service)))),
        ("charge_category", texts(tiers.iter().map(|t| Some(t.category)))),
        ("charge_class", texts(std::iter::repeat_n(None, rows))),
        ("fate", all("direct")),
        ("depth", Arc::new(tiers.iter().map(|t| Some(t.depth)).collect::<Int32Array>())),
        ("seller_node_id", texts(tiers.iter().map(|t| t.node(t.depth - 1)))),
        ("payer_node_id", texts(tiers.iter().map(|t| t.node(t.depth)))),
        (
            "is_kept",
            Arc::new(
                tiers.iter().map(|t| Some(t.node(t.depth) == t.path.rsplit('/').next())).collect::<BooleanArray>(),
            ),
        ),
        ("usage_rows", Arc::new(Int64Array::from(vec![1; rows]))),
        ("amount", amounts(tiers.iter().map(|t| (t.outcome != "unrated").then_some(t.amount)))),
        ("currency", texts(tiers.iter().map(|t| Some(t.currency)))),
        ("outcome", texts(tiers.iter().map(|t| Some(t.outcome)))),
        ("seller_cost", amounts(tiers.iter().map(cost))),
        ("seller_currency", texts(tiers.iter().map(|t| (t.depth > 0).then_some("USD")))),
        ("effective_cost", amounts(tiers.iter().map(|t| (t.depth == 1).then(|| cost(t)).flatten()))),
        ("fx_rate_id", texts(std::iter::repeat_n(None, rows))),
        // In these trees the third node of a path is the customer: it gets no invoices from below.
        ("is_invoiced", Arc::new(tiers.iter().map(|t| Some(t.depth == 1 || t.depth == 2)).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("a batch")
}

/// Blockers of a period as `ops.close_blockers` shows them: `(blocker, scope)`.
fn blockers_batch(period: BillingPeriod, blockers: &[(&str, &str)]) -> RecordBatch {
    let rows = blockers.len();
    let none = || std::iter::repeat_n(None, rows);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("billing_period", periods(period, rows)),
        ("blocker", texts(blockers.iter().map(|b| Some(b.0)))),
        ("scope", texts(blockers.iter().map(|b| Some(b.1)))),
        ("currency", texts(none())),
        ("expected", amounts(none())),
        ("actual", amounts(none())),
        ("usage_rows", Arc::new(Int64Array::from(vec![None::<i64>; rows]))),
        ("detail", texts(std::iter::repeat_n(Some("detail"), rows))),
        ("remedy", texts(std::iter::repeat_n(Some("remedy"), rows))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("a batch")
}

/// A root session in memory.
pub(super) struct Session {
    pub(super) context: SessionContext,
    snapshot: SnapshotId,
}

impl Session {
    pub(super) fn new(catalog: &Catalog, period: BillingPeriod, tiers: &[Tier]) -> Self {
        Self::blocked(catalog, period, tiers, &[])
    }

    pub(super) fn blocked(catalog: &Catalog, period: BillingPeriod, tiers: &[Tier], blockers: &[(&str, &str)]) -> Self {
        let config = SessionConfig::new()
            .set_str("datafusion.execution.time_zone", "UTC")
            .set_bool("datafusion.sql_parser.parse_float_as_decimal", true);
        let builder = SessionStateBuilder::new().with_default_features().with_config(config);
        let mut state = ratehouse_udfs::install(builder).build();
        for rewrite in ratehouse_udfs::function_rewrites() {
            state.register_function_rewrite(rewrite).expect("a rewrite");
        }
        let context = SessionContext::new_with_state(state);
        let default = context.catalog("datafusion").expect("the default catalog");
        for schema in ["ops", "ref", "focus"] {
            default.register_schema(schema, Arc::new(MemorySchemaProvider::new())).expect("a new schema");
        }
        for name in ["ops.edges_monthly", "tiers_monthly"] {
            context.register_batch(name, tiers_batch(period, tiers)).expect("a new table");
        }
        context.register_batch("ops.close_blockers", blockers_batch(period, blockers)).expect("a new table");
        Self { context, snapshot: catalog.head().expect("a head") }
    }
}

#[async_trait]
impl Query for Session {
    fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }

    async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        Ok(self.context.sql(sql).await?.collect().await?)
    }
}

/// A catalog with `dist` over `reseller` over `acme` and `bolt`, and one slice.
pub(super) struct Warehouse {
    pub(super) catalog: Catalog,
    pub(super) directory: tempfile::TempDir,
}

/// Adds rows to a reference table, in one commit.
pub(super) fn insert(catalog: &Catalog, table: &str, rows: &[Vec<Value>]) {
    let table = RefTable::named(table).expect("a reference table");
    let work = |commit: &crate::catalog::Commit<'_>| {
        for row in rows {
            commit.insert_ref(table, row)?;
        }
        Ok::<_, crate::catalog::CatalogError>(())
    };
    catalog.commit(&Change::new("test", "dml", ""), work).expect("a commit");
}

fn node(node_id: &str, parent: Option<&str>, kind: &str, name: &str, rounding: &str) -> Vec<Value> {
    vec![
        node_id.into(),
        parent.into(),
        kind.into(),
        name.into(),
        "USD".into(),
        "UTC".into(),
        "2000-01-01T00:00:00.000000Z".into(),
        Value::Null,
        "market".into(),
        rounding.into(),
        true.into(),
        Value::Null,
    ]
}

impl Warehouse {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let catalog = Catalog::create(directory.path()).expect("a catalog");
        insert(
            &catalog,
            "nodes",
            &[
                node("dist", None, "distributor", "Distributor Ltd", "half_even"),
                node("reseller", Some("dist"), "reseller", "Reseller & Sons <b>", "half_even"),
                node("acme", Some("reseller"), "customer", "Acme Inc", "half_even"),
                node("bolt", Some("reseller"), "customer", "Bolt AG", "half_up"),
            ],
        );
        let warehouse = Self { catalog, directory };
        warehouse.change_slice();
        warehouse
    }

    /// Makes the period's charges new, as a delivery does.
    pub(super) fn change_slice(&self) {
        let key = SliceKey {
            source: "focus".to_owned(),
            provider_name: "AWS".to_owned(),
            billing_account_id: "payer".to_owned(),
            billing_period: "2026-10".to_owned(),
        };
        let work = |commit: &crate::catalog::Commit<'_>| {
            let slice = commit.ensure_slice(&key, "priced")?;
            commit.set_stale(slice, "test")
        };
        self.catalog.commit(&Change::new("test", "land", ""), work).expect("a commit");
    }

    /// Makes the slice fresh again.
    pub(super) fn refresh(&self) {
        let work = |commit: &crate::catalog::Commit<'_>| commit.set_rated(1, commit.snapshot);
        self.catalog.commit(&Change::new("test", "refresh", ""), work).expect("a commit");
    }

    pub(super) fn request(&self, mode: CloseMode) -> CloseRequest {
        CloseRequest { period: october(), actor: "finance".to_owned(), mode, secret: [7; 32] }
    }

    /// What an audit of the catalog finds.
    pub(super) fn problems(&self) -> Vec<String> {
        let audit = self.catalog.read(crate::catalog::audit).expect("the catalog can be read");
        audit.problems.iter().map(ToString::to_string).collect()
    }

    /// The only text or number of a query of the catalog.
    pub(super) fn value(&self, sql: &str) -> Value {
        let rows = self.catalog.read(|tx| tx.rows(sql, &[])).expect("rows");
        rows.first().and_then(|row| row.values().first().cloned()).expect("a value")
    }
}

pub(super) fn october() -> BillingPeriod {
    "2026-10".parse().expect("a period")
}
