//! The columns of the six lake tables, in their stored order.
//!
//! `usage` is FOCUS 1.4 in snake_case plus where each row came from. `charges` is usage cut into
//! portions with one price per position of the row's path; three roll-ups carry the same
//! positions, the fourth has a row for each. Only the root reads these schemas: a session sees the relations that
//! `security::scope` derives from them, which have no `price_k`.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// Digits after the point of every cost, price and quantity (domain: 38 digits, 18 of them after the point).
pub const MONEY_SCALE: i8 = 18;
/// Digits of every cost, price and quantity.
pub const MONEY_PRECISION: u8 = 38;
/// Places a path can have: the root and up to eight below it.
pub const MAX_POSITIONS: usize = 9;

/// The type of every cost, price and quantity.
pub fn money() -> DataType {
    DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE)
}

/// The type of every instant.
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The FOCUS 1.4 columns of `usage` that are money or quantities.
pub const USAGE_DECIMALS: [&str; 12] = [
    "billed_cost",
    "commitment_discount_quantity",
    "consumed_quantity",
    "contracted_cost",
    "contracted_unit_price",
    "effective_cost",
    "list_cost",
    "list_unit_price",
    "pricing_currency_contracted_unit_price",
    "pricing_currency_effective_cost",
    "pricing_currency_list_unit_price",
    "pricing_quantity",
];

/// The FOCUS 1.4 columns of `usage` that are instants.
pub const USAGE_INSTANTS: [&str; 4] =
    ["billing_period_end", "billing_period_start", "charge_period_end", "charge_period_start"];

/// The text columns of `usage`, FOCUS 1.4 names in snake_case.
pub const USAGE_TEXTS: [&str; 51] = [
    "allocated_method_details",
    "allocated_method_id",
    "allocated_resource_id",
    "allocated_resource_name",
    "allocated_tags",
    "availability_zone",
    "billing_account_id",
    "billing_account_name",
    "billing_account_type",
    "billing_currency",
    "capacity_reservation_id",
    "capacity_reservation_status",
    "charge_category",
    "charge_class",
    "charge_description",
    "charge_frequency",
    "commitment_discount_category",
    "commitment_discount_id",
    "commitment_discount_name",
    "commitment_discount_status",
    "commitment_discount_type",
    "commitment_discount_unit",
    "commitment_program_eligibility_details",
    "consumed_unit",
    "contract_applied",
    "host_provider_name",
    "invoice_detail_id",
    "invoice_id",
    "invoice_issuer_name",
    "pricing_category",
    "pricing_currency",
    "pricing_unit",
    "provider_name",
    "region_id",
    "region_name",
    "resource_id",
    "resource_name",
    "resource_type",
    "service_category",
    "service_name",
    "service_provider_name",
    "service_subcategory",
    "sku_id",
    "sku_meter",
    "sku_price_details",
    "sku_price_id",
    "sub_account_id",
    "sub_account_name",
    "sub_account_type",
    "tags",
    "x_columns",
];

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

fn required_text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, false)
}

/// What the provider said, one row per provider line: FOCUS 1.4 in snake_case, then
/// `marketplace`, `billing_period`, `delivery_id`, `source_file`, `source_row`, `line_key`, `line_no`.
///
/// `line_key` is a hash of what the line says and `line_no` counts equal lines of a slice, so
/// that an id made of them survives a new delivery and does not depend on other lines.
/// `tags` is a JSON object of text values; `x_columns` a JSON object with every source column
/// that no FOCUS column takes, keys beginning with `x_`.
pub fn usage() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields: Vec<Field> = USAGE_TEXTS
            .iter()
            .map(|n| text(n))
            .chain(USAGE_DECIMALS.iter().map(|n| Field::new(*n, money(), true)))
            .chain(USAGE_INSTANTS.iter().map(|n| Field::new(*n, instant(), true)))
            .collect();
        fields.sort_by(|a, b| a.name().cmp(b.name()));
        fields.extend([
            Field::new("marketplace", DataType::Boolean, true),
            Field::new("billing_period", DataType::Date32, false),
            Field::new("delivery_id", DataType::Int64, false),
            Field::new("source_file", DataType::Int32, false),
            Field::new("source_row", DataType::Int64, false),
            Field::new("line_key", DataType::Int64, false),
            Field::new("line_no", DataType::Int32, false),
        ]);
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

/// The columns that a charge has at each position of its path: `price_k` what the node at
/// position `k` pays, `currency_k`, `outcome_k` (`billed`, `retained`, `reported`, `unrated`),
/// `rule_k` (`card/version/rule`; not in roll-ups, whose rows it would only divide) and `fx_rate_k` (the rate that converted the
/// seller's cost).
fn positions(with_rules: bool) -> Vec<Field> {
    (0..MAX_POSITIONS)
        .flat_map(|k| {
            let rule = with_rules.then(|| text(&format!("rule_{k}")));
            let first = [
                Field::new(format!("price_{k}"), money(), true),
                text(&format!("currency_{k}")),
                text(&format!("outcome_{k}")),
            ];
            first.into_iter().chain(rule).chain([text(&format!("fx_rate_{k}"))])
        })
        .collect()
}

/// Usage cut into portions, each attributed to a node and priced on every edge of its path.
///
/// `line_key`, `line_no` and `charge_period_start` name the charge (see [`usage`]).
///
/// `continues` is null for a row of usage that was not cut. For a part of one it counts the nodes at the lower end of the path
/// to whom it looks like more of the part before it, because what changed lies above them: 0 where it begins anew for all.
/// Those nodes see both as one charge.
///
/// A share of a pool names the pool, its driver and the position of its owner, `pool_depth`; `line_key` is then that of the share.
/// `disclosed_to` is the last position that sees whose resource it is; null for all.
///
/// `contracted_cost` and `commitment` (`covered` by one, `on_demand` where the root sells what one covered as if it had not, or
/// `retained` because it bought one or left it unused) are what the root's edges are priced from besides; nobody else reads them.
///
/// What a commitment covered, bought or left unused has `commitment_policy`, `benefit/purchase/unused` in the words of
/// `ref.commitment_policies`, and the owner that the policy names. `pricing_category` is what it is sold as: `Standard` for covered usage
/// that the root sells at its on-demand price, whatever the provider says; that is then `covered_pricing_category`.
pub fn charges() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = vec![
            required_text("origin"),
            Field::new("billing_period", DataType::Date32, false),
            Field::new("charge_period_start", instant(), false),
            Field::new("charge_period_end", instant(), false),
            Field::new("charge_date", DataType::Date32, false),
            required_text("provider_name"),
            text("billing_account_id"),
            text("sub_account_id"),
            required_text("node_id"),
            required_text("node_path"),
            text("service_category"),
            text("service_name"),
            text("sku_id"),
            text("region_id"),
            text("resource_id"),
            text("resource_type"),
            required_text("charge_category"),
            text("charge_class"),
            text("pricing_category"),
            Field::new("marketplace", DataType::Boolean, true),
            text("description"),
            Field::new("quantity", money(), true),
            text("unit"),
            Field::new("list_cost", money(), true),
            Field::new("contracted_cost", money(), true),
            Field::new("effective_cost", money(), true),
            text("commitment"),
            text("tags"),
            required_text("fate"),
            text("pool_id"),
            text("driver"),
            Field::new("pool_depth", DataType::Int32, true),
            Field::new("disclosed_to", DataType::Int32, true),
            text("commitment_discount_id"),
            text("commitment_discount_status"),
            text("commitment_policy"),
            text("commitment_owner_node_id"),
            text("covered_pricing_category"),
            Field::new("delivery_id", DataType::Int64, true),
            Field::new("source_file", DataType::Int32, true),
            Field::new("source_row", DataType::Int64, true),
            Field::new("line_key", DataType::Int64, false),
            Field::new("line_no", DataType::Int32, false),
            Field::new("portion", DataType::Int32, false),
            Field::new("continues", DataType::Int32, true),
            Field::new("rated_snapshot", DataType::Int64, false),
        ];
        fields.extend(positions(true));
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

/// Dimensions of `charges_daily`, in the order of its grain.
pub const DAILY_DIMENSIONS: [&str; 21] = [
    "origin",
    "billing_period",
    "charge_date",
    "provider_name",
    "billing_account_id",
    "sub_account_id",
    "node_id",
    "node_path",
    "service_category",
    "service_name",
    "sku_id",
    "region_id",
    "resource_type",
    "charge_category",
    "charge_class",
    "pricing_category",
    "marketplace",
    "unit",
    "rule_tags",
    "fate",
    "disclosed_to",
];

/// Dimensions of `charges_monthly`: what documents and margins are made of.
pub const MONTHLY_DIMENSIONS: [&str; 11] = [
    "origin",
    "billing_period",
    "provider_name",
    "billing_account_id",
    "node_id",
    "node_path",
    "service_category",
    "service_name",
    "charge_category",
    "charge_class",
    "fate",
];

/// Dimensions of `charges_by_terms`: what prices depend on besides amounts.
pub const TERMS_DIMENSIONS: [&str; 21] = [
    "origin",
    "billing_period",
    USAGE_MONTH,
    "provider_name",
    "billing_account_id",
    "sub_account_id",
    "node_id",
    "node_path",
    "service_category",
    "service_name",
    "sku_id",
    "region_id",
    "resource_type",
    "charge_category",
    "charge_class",
    "pricing_category",
    "marketplace",
    "unit",
    "rule_tags",
    "commitment",
    "pool_depth",
];

/// The first day of the UTC month in which a portion begins.
const USAGE_MONTH: &str = "usage_month";

fn rollup(dimensions: &[&str], costs: &[&str]) -> SchemaRef {
    let base = charges();
    let mut fields: Vec<Field> = dimensions
        .iter()
        .map(|name| match *name {
            USAGE_MONTH => Field::new(USAGE_MONTH, DataType::Date32, false),
            name => base.field_with_name(name).cloned().unwrap_or_else(|_| text(name)),
        })
        .collect();
    fields.push(Field::new("quantity", money(), true));
    fields.extend(costs.iter().map(|name| Field::new(*name, money(), true)));
    fields.push(Field::new("usage_rows", DataType::Int64, false));
    fields.extend(positions(false));
    Arc::new(Schema::new(fields))
}

/// `charges` by day and every dimension that rules and dashboards use; sums of quantity, costs, prices.
pub fn charges_daily() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| rollup(&DAILY_DIMENSIONS, &["list_cost", "effective_cost"]));
    SCHEMA.clone()
}

/// `charges` by billing period, owner, account, service and category: what closes a month.
pub fn charges_monthly() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| rollup(&MONTHLY_DIMENSIONS, &["list_cost", "effective_cost"]));
    SCHEMA.clone()
}

/// `charges` by what prices depend on: what the charges of a month are priced anew from.
///
/// A dimension that rules can look at is null where no rule of any card version, drafts included, looked at it when the charges
/// were rated; so the table is as small as cards are plain. Sums are of rows that all have an amount, or all lack it.
pub fn charges_by_terms() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| rollup(&TERMS_DIMENSIONS, &["list_cost", "contracted_cost", "effective_cost"]));
    SCHEMA.clone()
}

/// `charges` by billing period and edge of the chain: what every node pays for every service, in long form.
///
/// One row for each position that a charge was priced at, so that a close reads a few columns of large row groups
/// and not nine positions of every owner.
pub fn edges_monthly() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            required_text("origin"),
            Field::new("billing_period", DataType::Date32, false),
            required_text("provider_name"),
            text("billing_account_id"),
            text("service_name"),
            required_text("charge_category"),
            text("charge_class"),
            required_text("fate"),
            Field::new("depth", DataType::Int32, false),
            text("seller_node_id"),
            required_text("payer_node_id"),
            Field::new("is_kept", DataType::Boolean, false),
            text("currency"),
            required_text("outcome"),
            text("seller_currency"),
            text("fx_rate_id"),
            Field::new("amount", money(), true),
            Field::new("seller_cost", money(), true),
            Field::new("effective_cost", money(), true),
            Field::new("usage_rows", DataType::Int64, false),
        ]))
    });
    SCHEMA.clone()
}

/// Names of the lake tables, in the order in which a slice fills them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LakeTable {
    /// What providers said.
    Usage,
    /// Priced portions.
    Charges,
    /// Charges by day.
    ChargesDaily,
    /// Charges by billing period.
    ChargesMonthly,
    /// Charges by billing period and edge.
    EdgesMonthly,
    /// Charges by what prices depend on.
    ChargesByTerms,
}

impl LakeTable {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Usage,
        Self::Charges,
        Self::ChargesDaily,
        Self::ChargesMonthly,
        Self::EdgesMonthly,
        Self::ChargesByTerms,
    ];

    /// The name in the catalog, in paths and in DuckLake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Charges => "charges",
            Self::ChargesDaily => "charges_daily",
            Self::ChargesMonthly => "charges_monthly",
            Self::EdgesMonthly => "edges_monthly",
            Self::ChargesByTerms => "charges_by_terms",
        }
    }

    /// The catalog's number of the table.
    pub fn id(self) -> i64 {
        match self {
            Self::Usage => 1,
            Self::Charges => 2,
            Self::ChargesDaily => 3,
            Self::ChargesMonthly => 4,
            Self::EdgesMonthly => 5,
            Self::ChargesByTerms => 6,
        }
    }

    /// The table with that catalog number.
    pub fn from_id(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.id() == id)
    }

    /// Its stored columns.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Usage => usage(),
            Self::Charges => charges(),
            Self::ChargesDaily => charges_daily(),
            Self::ChargesMonthly => charges_monthly(),
            Self::EdgesMonthly => edges_monthly(),
            Self::ChargesByTerms => charges_by_terms(),
        }
    }
}
