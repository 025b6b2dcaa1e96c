//! The tables that the views are tried on.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Field, Schema, SchemaRef};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use ratehouse_udfs::decimal::format_trimmed;

use super::marts;
use crate::billing::fixture::{Session, Tier, Warehouse, amounts, october, periods, texts, usage};
use crate::lake::schema;

pub(super) fn field(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

pub(super) fn columns(kind: &DataType, names: &str) -> Vec<Field> {
    names.split_whitespace().map(|name| field(name, kind.clone())).collect()
}

/// A relation of a session with these text, money, date and integer columns.
pub(super) fn relation(text: &str, money: &str, dates: &str, integers: &str) -> SchemaRef {
    let mut fields = columns(&DataType::Utf8View, text);
    fields.extend(columns(&schema::money(), money));
    fields.extend(columns(&DataType::Date32, dates));
    fields.extend(columns(&DataType::Int64, integers));
    Arc::new(Schema::new(fields))
}

pub(super) fn charges() -> SchemaRef {
    let base = relation(
        "charge_id origin provider_name billing_account_id sub_account_id node_id node_path service_category service_name sku_id region_id \
         resource_id resource_type charge_category charge_class pricing_category description unit list_currency cost_currency price_currency \
         fx_rate_id fate outcome tags rule_tags commitment_discount_id commitment_discount_status commitment_policy \
         commitment_owner_node_id",
        "quantity list_cost effective_cost cost price margin",
        "billing_period charge_date",
        "usage_rows",
    );
    let mut fields: Vec<Field> = base.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(columns(&schema::instant(), "charge_period_start charge_period_end"));
    Arc::new(Schema::new(fields))
}

fn licences() -> SchemaRef {
    let base = relation("seller_node_id licence_id node_id product sku_id status", "seats", "", "");
    let instants = columns(&schema::instant(), "valid_from valid_to");
    Arc::new(Schema::new(base.fields().iter().map(|f| f.as_ref().clone()).chain(instants).collect::<Vec<_>>()))
}

fn nodes() -> SchemaRef {
    let mut fields = columns(&DataType::Utf8View, "node_id currency fx_policy");
    fields.push(field("disclose_up", DataType::Boolean));
    Arc::new(Schema::new(fields))
}

fn credits() -> SchemaRef {
    relation("credit_id charge_id currency status", "amount", "", "")
}

fn credit_policies() -> SchemaRef {
    let texts = columns(&DataType::Utf8View, "node_id kind description_pattern");
    let instants = columns(&schema::instant(), "valid_from valid_to");
    Arc::new(Schema::new(texts.into_iter().chain(instants).collect::<Vec<_>>()))
}

fn ledger() -> SchemaRef {
    let base = relation("entry credit_id kind source seller_node_id buyer_node_id account currency", "amount", "", "");
    let instants = columns(&schema::instant(), "expires_at");
    Arc::new(Schema::new(base.fields().iter().map(|f| f.as_ref().clone()).chain(instants).collect::<Vec<_>>()))
}

fn policies() -> SchemaRef {
    let texts = columns(&DataType::Utf8View, "owner_node_id policy_id policy");
    let instants = columns(&schema::instant(), "valid_from valid_to");
    Arc::new(Schema::new(texts.into_iter().chain(instants).collect::<Vec<_>>()))
}

/// Engagements with these amounts.
fn labour(amounts: &str, truth: Option<&str>) -> SchemaRef {
    let base = relation("seller_node_id node_id project currency", amounts, "", "");
    let truths = columns(&DataType::Boolean, truth.unwrap_or_default());
    Arc::new(Schema::new(base.fields().iter().map(|f| f.as_ref().clone()).chain(truths).collect::<Vec<_>>()))
}

/// A text function without arguments.
pub(super) fn function(context: &SessionContext, name: &'static str, value: Option<&'static str>) {
    let body = move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::Utf8(value.map(str::to_owned))));
    context.register_udf(create_udf(name, Vec::new(), DataType::Utf8, Volatility::Stable, Arc::new(body)));
}

/// Tables of a session; those given replace the empty ones.
pub(super) fn register(session: &Session, caller: &'static str, filled: &[(&'static str, RecordBatch)]) {
    let context = &session.context;
    function(context, "current_node", Some(caller));
    function(context, "current_seller", Some("Reseller"));
    let mut accounts: Vec<Field> = columns(&DataType::Utf8View, "provider_name billing_account_id node_id");
    accounts.extend(columns(&schema::instant(), "valid_from valid_to"));
    let empty = [
        ("charges", charges()),
        ("charges_daily", charges()),
        ("charges_monthly", charges()),
        ("usage", schema::usage()),
        ("ref.accounts", Arc::new(Schema::new(accounts))),
        ("ref.nodes", nodes()),
        ("ref.tag_policies", policies()),
        ("ref.licences", licences()),
        ("ref.credits", credits()),
        ("ref.credit_policies", credit_policies()),
        ("credits_ledger", ledger()),
        ("ref.time_entries", labour("hours rate", Some("billable"))),
        ("ref.quotes", labour("hours amount", None)),
        ("ref.fx_rates", relation("fx_rate_id source base_currency quote_currency", "rate", "", "")),
        (
            "ops.rejected_rows",
            relation("name role provider_name billing_account_id billing_period reason state", "", "", "delivery_id"),
        ),
        (
            "ops.slices",
            relation(
                "source billing_period provider_name billing_account_id role stale_reason",
                "billed_cost effective_cost",
                "",
                "slice_id delivery_id rows rated_snapshot stale_since",
            ),
        ),
        (
            "invoices",
            relation("invoice_id number seller_node_id buyer_node_id billing_period currency status", "total", "", ""),
        ),
        ("invoice_lines", relation("invoice_id", "amount", "", "")),
        ("proposed_adjustments", relation("seller_node_id buyer_node_id currency", "difference", "billing_period", "")),
        (
            "adjustments",
            relation("seller_node_id buyer_node_id currency billing_period kind method status", "amount", "", ""),
        ),
        (
            "ops.provider_billing_periods",
            relation("invoice_issuer_name billing_period billing_period_status", "", "", ""),
        ),
        (
            "ops.provider_invoices",
            relation(
                "invoice_issuer_name billing_account_id billing_period invoice_id billing_currency invoice_issue_status",
                "billed_cost",
                "",
                "",
            ),
        ),
        (
            "ops.invoice_reconciliation",
            relation(
                "invoice_issuer_name billing_account_id invoice_id currency status",
                "expected actual difference",
                "billing_period",
                "",
            ),
        ),
    ];
    for (name, schema) in empty {
        let batch = filled
            .iter()
            .find(|(filled, _)| *filled == name)
            .map_or_else(|| RecordBatch::new_empty(schema), |(_, batch)| batch.clone());
        context.register_batch(name, batch).expect("a new table");
    }
}

pub(super) fn session(tiers: &[Tier]) -> (Warehouse, Session) {
    let warehouse = Warehouse::new();
    let session = Session::new(&warehouse.catalog, october(), tiers);
    // The view under test takes the place of the canned one.
    session.context.deregister_table("ops.close_blockers").expect("the canned blockers");
    (warehouse, session)
}

pub(super) async fn view(session: &Session, schema: &str, name: &str, is_root_variant: bool) {
    let mart = marts()
        .into_iter()
        .find(|m| (m.schema, m.name, m.is_root_variant) == (schema, name, is_root_variant))
        .expect("a mart");
    let plan = session.context.sql(mart.sql).await.expect("a plan");
    session.context.register_table(format!("{schema}.{name}"), plan.into_view()).expect("a new view");
}

/// Rows of a query as text: one string a row, cells separated by ` | `.
pub(super) async fn rows(session: &Session, sql: &str) -> Vec<String> {
    let batches = session.context.sql(sql).await.expect("a plan").collect().await.expect("rows");
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cell = |array: &ArrayRef| {
                if array.is_null(row) {
                    return "-".to_owned();
                }
                match array.data_type() {
                    DataType::Decimal128(_, scale) => {
                        let value = array.as_primitive::<Decimal128Type>().value(row);
                        format_trimmed(value, scale.unsigned_abs(), 2)
                    }
                    _ => arrow::util::display::array_value_to_string(array, row).expect("a text"),
                }
            };
            rows.push(batch.columns().iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
    }
    rows
}

pub(super) const ACME: &str = "dist/reseller/acme";
pub(super) const TEAM: &str = "dist/reseller/acme/team";

/// 10 bought by dist, sold for 12 and 15; 1 more to acme's team; a credit that dist passes on and the reseller keeps.
pub(super) fn month() -> Vec<Tier> {
    let credit = Tier { category: "Credit", ..usage(0, ACME, "Compute", "-2") };
    vec![
        usage(0, ACME, "Compute", "10"),
        usage(1, ACME, "Compute", "12"),
        usage(2, ACME, "Compute", "15"),
        credit,
        Tier { depth: 1, ..credit },
        Tier { depth: 2, outcome: "retained", amount: "0", ..credit },
        usage(0, TEAM, "Storage", "1"),
        usage(1, TEAM, "Storage", "1.1"),
        usage(2, TEAM, "Storage", "1.3"),
        usage(3, TEAM, "Storage", "1.3"),
    ]
}

/// `charges_monthly` as the root has it: what it pays for the month's rows.
pub(super) fn root_charges(cost: &'static str) -> RecordBatch {
    let values: Vec<(&str, ArrayRef)> = vec![
        ("origin", texts([Some("usage")].into_iter())),
        ("provider_name", texts([Some("AWS")].into_iter())),
        ("billing_account_id", texts([Some("payer")].into_iter())),
        ("fate", texts([Some("direct")].into_iter())),
        ("node_id", texts([Some("acme")].into_iter())),
        ("cost_currency", texts([Some("USD")].into_iter())),
        ("cost", amounts([Some(cost)].into_iter())),
        ("billing_period", periods(october(), 1)),
        ("usage_rows", Arc::new(Int64Array::from(vec![4]))),
    ];
    filled(&charges(), &values)
}

/// A batch of one schema with these columns, null elsewhere.
pub(super) fn filled(schema: &SchemaRef, values: &[(&str, ArrayRef)]) -> RecordBatch {
    let rows = values.first().map_or(0, |(_, array)| array.len());
    let column = |field: &Arc<Field>| {
        let given = values.iter().find(|(name, _)| name == field.name());
        given.map_or_else(|| arrow::array::new_null_array(field.data_type(), rows), |(_, array)| Arc::clone(array))
    };
    RecordBatch::try_new(Arc::clone(schema), schema.fields().iter().map(column).collect()).expect("a batch")
}

pub(super) fn slice(billed: &'static str, stale_since: Option<i64>) -> RecordBatch {
    let schema = relation(
        "source billing_period provider_name billing_account_id role stale_reason",
        "billed_cost effective_cost",
        "",
        "slice_id delivery_id rows rated_snapshot stale_since",
    );
    let int = |value: Option<i64>| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    filled(
        &schema,
        &[
            ("source", texts([Some("aws")].into_iter())),
            ("provider_name", texts([Some("AWS")].into_iter())),
            ("billing_account_id", texts([Some("payer")].into_iter())),
            ("role", texts([Some("priced")].into_iter())),
            ("stale_reason", texts([Some("a rule changed")].into_iter())),
            ("billed_cost", amounts([Some(billed)].into_iter())),
            ("billing_period", texts([Some("2026-10")].into_iter())),
            ("slice_id", int(Some(1))),
            ("delivery_id", int(Some(5))),
            ("rows", int(Some(4))),
            ("rated_snapshot", int(Some(3))),
            ("stale_since", int(stale_since)),
        ],
    )
}
