//! Reference tables: versioned rows that analysts read and write as `ref.*`.
//!
//! This module says which tables and columns there are and keeps their versions. What a row must
//! satisfy (overlaps, cycles, who may write it) is the business of `security` and `rating`.

use super::tx::{Tx, Value};
use super::{CatalogError, Commit, SnapshotId};

/// What a reference column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefType {
    /// Any text.
    Text,
    /// A 64-bit integer.
    Int,
    /// An exact number, kept as canonical decimal text.
    Decimal,
    /// True or false, kept as 1 and 0.
    Bool,
    /// An instant, kept as RFC 3339 UTC text with microseconds.
    Instant,
    /// A JSON document, kept as text.
    Json,
}

/// One column of a reference table.
#[derive(Debug, Clone, Copy)]
pub struct RefColumn {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: RefType,
    /// Whether it may be null.
    pub nullable: bool,
    /// What an `INSERT` that leaves it out stores; `None` is null.
    pub default: Option<&'static str>,
    /// What it means.
    pub comment: &'static str,
}

/// A reference table.
#[derive(Debug)]
pub struct RefTable {
    /// Its name in schema `ref`.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: &'static [RefColumn],
    /// Columns that no two live rows may share.
    pub key: &'static [&'static str],
    /// What one row is.
    pub comment: &'static str,
}

/// One version of a reference row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefRow {
    /// Identifies the version.
    pub row_id: i64,
    /// Values, in the table's column order.
    pub values: Vec<Value>,
    /// The snapshot that made it.
    pub begin_snapshot: SnapshotId,
}

const fn column(name: &'static str, kind: RefType, nullable: bool, comment: &'static str) -> RefColumn {
    RefColumn { name, kind, nullable, default: None, comment }
}

const fn required(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Text, false, comment)
}

const fn optional(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Text, true, comment)
}

const fn defaulted(name: &'static str, kind: RefType, default: &'static str, comment: &'static str) -> RefColumn {
    RefColumn { name, kind, nullable: false, default: Some(default), comment }
}

const VALID_FROM: RefColumn = defaulted(
    "valid_from",
    RefType::Instant,
    "2000-01-01T00:00:00.000000Z",
    "From this instant it applies (inclusive).",
);
const VALID_TO: RefColumn = column("valid_to", RefType::Instant, true, "Until this instant (exclusive); null is open.");

static NODES: RefTable = RefTable {
    name: "nodes",
    columns: &[
        required("node_id", "The node's name, unique in the warehouse: letters, digits, `.`, `_`, `-`."),
        optional("parent_id", "The node above it; null for the root only."),
        required("kind", "distributor, reseller, customer, business_unit, department or team."),
        required("name", "What people call it."),
        required("currency", "ISO 4217 code of what it pays in."),
        defaulted("time_zone", RefType::Text, "UTC", "IANA time zone of its days and of what it originates."),
        VALID_FROM,
        VALID_TO,
        defaulted(
            "fx_policy",
            RefType::Text,
            "market",
            "Source of the FX rates that convert its seller's cost to its currency: market, provider, fixed, or any other.",
        ),
        defaulted(
            "rounding_mode",
            RefType::Text,
            "half_even",
            "How its documents round: half_even, half_up, down, up.",
        ),
        defaulted("disclose_up", RefType::Bool, "true", "Whether nodes above it see the edges on which it sells."),
        optional(
            "country",
            "ISO 3166 code of where it works, such as DE or DE-BY: forecasts know its days of ref.holidays.",
        ),
    ],
    key: &["node_id", "valid_from"],
    comment: "A place in the resale tree; a change of parent is a new row from its instant.",
};

static ACCOUNTS: RefTable = RefTable {
    name: "accounts",
    columns: &[
        required("provider_name", "The provider, as its files name it."),
        required("billing_account_id", "The provider's billing account."),
        optional("sub_account_id", "The provider's sub account; null: every sub account that has no row of its own."),
        required("node_id", "The node that owns its usage."),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["provider_name", "billing_account_id", "sub_account_id", "valid_from"],
    comment: "A provider account belongs to a node from an instant to another.",
};

static ATTRIBUTION_RULES: RefTable = RefTable {
    name: "attribution_rules",
    columns: &[
        required("rule_id", "The rule's name, unique for its owner."),
        required("owner_node_id", "Whose rule it is: it sees only rows already attributed to that node's subtree."),
        defaulted("priority", RefType::Int, "0", "The higher is tried first."),
        optional("provider_name", "Null means any."),
        optional("billing_account_id", "Null means any."),
        optional("sub_account_id", "Null means any."),
        optional("tag_key", "A tag that the row must carry; null means any."),
        optional("tag_value", "The value that the tag must have; null means any."),
        optional("resource_pattern", "A pattern of the resource id, `%` and `_` as in LIKE; null means any."),
        optional("service_name", "Null means any."),
        optional("node_id", "The node that owns the matching usage, in the owner's subtree; null for a pool."),
        defaulted("method", RefType::Text, "direct", "direct: node_id owns it; pool: it is shared cost of pool_id."),
        optional("pool_id", "A pool of the rule's owner, whose ref.pools row says how it is shared out."),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "rule_id", "valid_from"],
    comment: "Who owns a usage row when the account alone does not say.",
};

static POOLS: RefTable = RefTable {
    name: "pools",
    columns: &[
        required("owner_node_id", "Who shares the cost out; what cannot be shared stays there."),
        required("pool_id", "The pool's name, unique for its owner; attribution rules of method pool fill it."),
        required(
            "method",
            "percentage, usage (in proportion to a driver), even, or fixed (amounts of a billing period).",
        ),
        optional(
            "driver",
            "For usage: the driver whose quantities are the weights: one of the view metrics, or, for resources without such, of what OpenCost measured: cpu_core_hours, ram_byte_hours, gpu_hours, allocation_cost, cpu_core_request_hours, ram_byte_request_hours.",
        ),
        optional(
            "fallback_node_id",
            "Who takes what has no weights, or a share whose node is not below the owner; null: it stays with the owner, unallocated.",
        ),
        defaulted(
            "disclose",
            RefType::Bool,
            "false",
            "Whether those who get a share see the sub account, resource, description and tags of what they share.",
        ),
        defaulted(
            "idle",
            RefType::Text,
            "keep",
            "What becomes of what was measured as idle, for usage: keep (the fallback's, or the owner's, unallocated) or spread (over those who used the resource).",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "pool_id", "valid_from"],
    comment: "Shared cost of a node, and how it is split among the nodes below.",
};

static POOL_SHARES: RefTable = RefTable {
    name: "pool_shares",
    columns: &[
        required("owner_node_id", "The pool's owner."),
        required("pool_id", "The pool."),
        required("node_id", "Who gets a share: the owner or a node below it."),
        column(
            "share",
            RefType::Decimal,
            true,
            "Percent of the pool, or its fixed amount of a billing period in the owner's currency; null for even.",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "pool_id", "node_id", "valid_from"],
    comment: "A node's share of a pool; even pools without shares are split among all children of the owner.",
};

static DRIVERS: RefTable = RefTable {
    name: "drivers",
    columns: &[
        required("owner_node_id", "Whose pools use it."),
        required(
            "driver",
            "What is measured: requests, cpu_core_hours, seats, query_volume ... seats_in_use, with a SKU as resource_id, is what licence_waste counts; a name that ends in _pct is a part of a resource's capacity, for underutilised.",
        ),
        required("node_id", "Whose use it is: the owner or a node below it."),
        optional("resource_id", "The one resource that was used; null: whatever has no quantities of its own."),
        column("quantity", RefType::Decimal, false, "How much was used from valid_from to valid_to; not negative."),
        column("valid_from", RefType::Instant, false, "Measured from this instant (inclusive)."),
        column("valid_to", RefType::Instant, false, "Measured until this instant (exclusive)."),
    ],
    key: &["owner_node_id", "driver", "node_id", "resource_id", "valid_from"],
    comment: "How much of something a node used in a time: the weights of pools of method usage, what unit_economics divides by, and what shows that something is hardly used. What lands in ops.metrics counts beside it, but where a row here overlaps it.",
};

static DRIVER_RULES: RefTable = RefTable {
    name: "driver_rules",
    columns: &[
        required("owner_node_id", "Whose pools use it."),
        required("rule_id", "The rule's name, unique for its owner."),
        defaulted("priority", RefType::Int, "0", "The higher is tried first, then the rule_id that sorts first."),
        optional("cluster", "The cluster; null means any."),
        optional("namespace", "A pattern of the namespace, `%` and `_` as in LIKE; null means any."),
        optional("controller", "A pattern of the controller's name; null means any."),
        optional("label_key", "A label that the pod must have, written as the export does; null means any."),
        optional("label_value", "The value that the label must have; null means any."),
        required("node_id", "Whose use it is: the owner or a node below it."),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "rule_id", "valid_from"],
    comment: "Whose use it is that OpenCost measured on the owner's machines; what no rule takes, and what is idle, stays with the owner of a pool or goes to its fallback. The rule that holds when a window begins counts.",
};

static TAG_POLICIES: RefTable = RefTable {
    name: "tag_policies",
    columns: &[
        required("owner_node_id", "Whose policy it is: it speaks of usage of that node and of those below."),
        required("policy_id", "The policy's name, unique for its owner."),
        column("policy", RefType::Json, false, "A tag policy as AWS Organizations writes it; see tag_violations()."),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "policy_id", "valid_from"],
    comment: "Which tags resources must have; tag_compliance shows how far they do.",
};

static PLANNED_CHANGES: RefTable = RefTable {
    name: "planned_changes",
    columns: &[
        required("owner_node_id", "Whose plan it is: this node and those above it forecast with it."),
        required("plan_id", "The plan's name, unique for its owner."),
        optional("node_id", "Whose usage changes; null: that of everybody whom the reader sees."),
        optional("provider_name", "Null means any."),
        optional("service_name", "Null means any."),
        required("change_type", "percent (20 is a fifth more), amount (so much more a day) or set (so much a day)."),
        column("value", RefType::Decimal, false, "Of amounts in the currency that the reader pays in."),
        optional("note", "What is planned: a migration, a launch, a new price."),
        optional(
            "recurrence",
            "weekly or monthly: what has ended may come again on the same weekday or day of the month, up to a quarter larger, and is no anomaly then; null: it is one.",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "plan_id", "valid_from"],
    comment: "Changes of cost that are known beforehand, from the day of valid_from until before that of valid_to: forecasts and anomalies expect \
              them.",
};

static HOLIDAYS: RefTable = RefTable {
    name: "holidays",
    columns: &[
        required("country", "ISO 3166 code, as ref.nodes has it: DE, or DE-BY with all holidays of that part of it."),
        column("holiday_date", RefType::Instant, false, "The day, as its midnight UTC."),
        required("name", "What it is called: days of one name, year after year, are alike."),
    ],
    key: &["country", "holiday_date", "name"],
    comment: "Days on which a country does not work: forecasts and anomalies expect of them what they were like before.",
};

static BUDGETS: RefTable = RefTable {
    name: "budgets",
    columns: &[
        required("owner_node_id", "Whose budget it is: it is about what this node pays."),
        required("budget_id", "The budget's name, unique for its owner."),
        optional("node_id", "Whose usage it is for, with that of the nodes below; null: all that the owner pays."),
        optional("provider_name", "Null means any."),
        optional("service_category", "Null means any."),
        optional("service_name", "Null means any."),
        optional("charge_category", "Null means any but Credit and Tax."),
        defaulted("period", RefType::Text, "month", "month, quarter or year, of the calendar."),
        column("amount", RefType::Decimal, false, "What may be spent in each period, above zero."),
        required("currency", "ISO 4217 code; costs in another currency are not counted."),
        defaulted("warning_pct", RefType::Decimal, "80", "From which part of the amount on to warn, in percent."),
        defaulted(
            "basis",
            RefType::Text,
            "actual",
            "actual or forecast: whether the action is due once the amount is spent, or once it is forecast to be.",
        ),
        defaulted(
            "action",
            RefType::Text,
            "notify",
            "notify; approve: spending more waits for a budget with a higher amount; stop: nothing more is to be provisioned.",
        ),
        defaulted(
            "status",
            RefType::Text,
            "draft",
            "draft, pending or active; moved by call submit, approve and reject. One that becomes active ends the one that held until it begins.",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "budget_id", "valid_from"],
    comment: "What may be spent; budget_status shows how far it is. A period goes by the row that holds on its last day, or today.",
};

static THRESHOLDS: RefTable = RefTable {
    name: "thresholds",
    columns: &[
        required("owner_node_id", "Whose threshold it is: it is about what this node pays."),
        required("threshold_id", "The threshold's name, unique for its owner."),
        required(
            "rule",
            "The view: spend_over_forecast, anomalies, deployment_velocity, underutilised or licence_waste.",
        ),
        optional("node_id", "For which node and those below it; the nearest one counts. Null: for all."),
        column(
            "warning_pct",
            RefType::Decimal,
            true,
            "Of spend_over_forecast: from which part of what was expected on; null: 110 percent. Of deployment_velocity: above which part of the usual rate; null: 500. Of underutilised: below which part of its capacity; null: 10. Of anomalies: how large a part of what was expected they are at least; null: 12.",
        ),
        column(
            "critical_pct",
            RefType::Decimal,
            true,
            "Of spend_over_forecast: from which part of what was expected on it is critical; null: 120 percent.",
        ),
        column(
            "min_impact",
            RefType::Decimal,
            true,
            "Of anomalies and licence_waste: those of less money, up or down, are not shown; null: 1 of anomalies, 0 of licence_waste.",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "threshold_id", "valid_from"],
    comment: "From where on what is unusual or wasted is shown; the one that holds today.",
};

static MARGIN_TARGETS: RefTable = RefTable {
    name: "margin_targets",
    columns: &[
        required("owner_node_id", "Who aims at it."),
        optional(
            "node_id",
            "With which buyer; null: with all that have no target of their own, and with all together.",
        ),
        column("target_pct", RefType::Decimal, false, "Margin in percent of price."),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "node_id", "valid_from"],
    comment: "What sellers aim to earn; client_profit and ops.scorecard show how far they do.",
};

static VIRTUAL_TAGS: RefTable = RefTable {
    name: "virtual_tags",
    columns: &[
        required("owner_node_id", "Whose rule it is: it adds to the tags that this node reads."),
        required("rule_id", "The rule's name, unique for its owner."),
        defaulted(
            "priority",
            RefType::Int,
            "0",
            "The higher is tried first, then the rule_id that sorts first; the first that matches makes the tag.",
        ),
        required("virtual_key", "The key of the tag that it makes."),
        optional("virtual_value", "Its value; null: the value of the tag that tag_key names."),
        optional("provider_name", "Null means any."),
        optional("billing_account_id", "Null means any."),
        optional("sub_account_id", "Null means any."),
        optional("tag_key", "A tag of the provider that the row must carry; null means any."),
        optional("tag_value", "The value that the tag must have; null means any."),
        optional(
            "resource_pattern",
            "A pattern of the resource id, `%` and `_` as in LIKE; null means any. Roll-ups lack keys that some rule gives by resource.",
        ),
        optional("service_name", "Null means any."),
        defaulted(
            "replaces",
            RefType::Bool,
            "false",
            "Whether it takes the place of a tag of that key that the provider sent; else it fills in where that is missing or empty.",
        ),
        defaulted("disclose", RefType::Bool, "false", "Whether nodes below the owner have the tag, too."),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["owner_node_id", "rule_id", "valid_from"],
    comment: "A tag that is made by a rule when charges are read, in charges, charges_daily, tag_compliance and focus.*. Its owner sees it, and if it discloses it those below; nobody above or beside does. Rules see what the reader sees of a row; rate and attribution rules do not see virtual tags. A rule holds for the billing periods that begin while it is valid.",
};

static RATE_CARDS: RefTable = RefTable {
    name: "rate_cards",
    columns: &[
        required("card_id", "The card's name."),
        required("seller_node_id", "Who sells."),
        optional("buyer_node_id", "Who buys; null: the seller's default card for all its children."),
        required("currency", "The edge's currency, the buyer's."),
        required("name", "What people call it."),
    ],
    key: &["card_id"],
    comment: "What one seller charges one buyer, or all its children.",
};

static RATE_CARD_VERSIONS: RefTable = RefTable {
    name: "rate_card_versions",
    columns: &[
        required("card_id", "The card."),
        column("version", RefType::Int, false, "Its version, from 1."),
        VALID_FROM,
        VALID_TO,
        defaulted(
            "status",
            RefType::Text,
            "draft",
            "draft, pending, active or retired; moved by call submit, approve, reject.",
        ),
        optional("base_card_id", "A card of the same seller whose rules it inherits."),
        column("base_version", RefType::Int, true, "The version of that card."),
        column(
            "rounding_digits",
            RefType::Int,
            true,
            "Digits after the point to which the price of each charge is rounded, 0 to 18; null: 18, as all amounts.",
        ),
        optional("rounding_mode", "How it is rounded to these digits: half_even (also null), half_up, down or up."),
    ],
    key: &["card_id", "version"],
    comment: "One version of a rate card and when it applies; only active versions price.",
};

static RATE_RULES: RefTable = RefTable {
    name: "rate_rules",
    columns: &[
        required("card_id", "The card."),
        column("version", RefType::Int, false, "The card's version."),
        required("rule_id", "The rule's name in the card."),
        defaulted("priority", RefType::Int, "0", "The higher wins before specificity is compared."),
        optional("provider_name", "Null means any."),
        optional("service_category", "Null means any."),
        optional("service_name", "Null means any."),
        optional("sku_id", "Null means any."),
        optional("region_id", "Null means any."),
        optional("charge_category", "Null means Usage and Purchase."),
        optional("pricing_category", "Null means any."),
        optional("resource_type", "Null means any."),
        column("marketplace", RefType::Bool, true, "Null means any."),
        optional("tag_key", "Null means any."),
        optional("tag_value", "Null means any value of the key."),
        optional("unit", "The unit it prices; a matching row of another unit is unrated."),
        required(
            "method",
            "markup_pct, margin_pct, discount_pct, unit_price, graduated, volume, package, pass_through, zero; flat (value a month) and minimum (at least value a month for what it matches) are charges of their own.",
        ),
        column("value", RefType::Decimal, true, "Percent, or the price of one unit."),
        optional(
            "base",
            "cost or list; at the root also billed, contracted, effective, on_demand; null: list for discount_pct, else cost.",
        ),
        column("bands", RefType::Json, true, "Bands of graduated and volume prices, or the block of a package."),
        defaulted("scope", RefType::Text, "node", "Whose quantity the bands count: account, node or subtree."),
        column(
            "rounding_digits",
            RefType::Int,
            true,
            "Digits after the point to which its prices are rounded, such as those of one provider; null: as the version says.",
        ),
        optional("rounding_mode", "How they are rounded to these digits: half_even (also null), half_up, down or up."),
    ],
    key: &["card_id", "version", "rule_id"],
    comment: "How one version of a card prices what it matches.",
};

static CHARGE_POLICIES: RefTable = RefTable {
    name: "charge_policies",
    columns: &[
        required("node_id", "The seller whose edges it governs."),
        optional("buyer_node_id", "One buyer; null: all its children."),
        required("charge_category", "Usage, Purchase, Tax, Credit or Adjustment."),
        optional("charge_class", "Correction, for refunds and corrections only; null: any."),
        required(
            "policy",
            "pass (as it is), retain, report (shown, not billed) or rerate (by rules, what a commitment covered at its on-demand price).",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["node_id", "buyer_node_id", "charge_category", "charge_class", "valid_from"],
    comment: "What a seller does with a category of charges where no rule says so. A part of them is passed by a rule that names the category: \
              Credit, markup_pct, -50 passes half.",
};

static COMMITMENT_POLICIES: RefTable = RefTable {
    name: "commitment_policies",
    columns: &[
        required("policy_id", "The policy's name."),
        optional("provider_name", "Null means any."),
        optional(
            "commitment_id",
            "The provider's id of the reservation or savings plan, as commitment_discount_id of usage; null: any.",
        ),
        optional(
            "buyer_node_id",
            "A child of the root: the policy says who has the benefit of its usage, and nothing else; null: of everybody's.",
        ),
        defaulted(
            "benefit",
            RefType::Text,
            "user",
            "Who has the difference between on-demand and effective cost of covered usage: user (it is sold by its effective cost), purchaser (users pay by on-demand cost, the commitment's owner gets the difference) or seller (users pay by on-demand cost).",
        ),
        defaulted(
            "purchase",
            RefType::Text,
            "retain",
            "retain: the root pays what the provider bills for the commitment; pass: its owner does, and gets back what that amortises to.",
        ),
        defaulted(
            "unused",
            RefType::Text,
            "retain",
            "Who bears what was left unused: retain (the root), purchaser (the owner) or share (those who used the commitment in the billing \
             period, in proportion to what their usage effectively cost).",
        ),
        optional(
            "owner_node_id",
            "Who owns the commitment; null: the node that owns the account of its last purchase or unused line.",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["policy_id", "valid_from"],
    comment: "Who has the benefit of the reservations and savings plans that the root buys, and who bears their cost. A policy that names the \
              commitment speaks before others, then one for a buyer, then one of a provider.",
};

const SELLER: RefColumn = required("seller_node_id", "Who bills it: to its child on the way to the node.");
const SOLD_CURRENCY: RefColumn =
    required("currency", "ISO 4217 code; the one in which the seller's child on the way to the node pays.");

static LICENCES: RefTable = RefTable {
    name: "licences",
    columns: &[
        SELLER,
        required("licence_id", "The licence's name, unique for its seller."),
        required("node_id", "Who has the seats: a node below the seller. It is billed while the node is below."),
        required("product", "What is licensed: the service name of its charges."),
        optional("sku_id", "The product's SKU, for rules of cards further down."),
        column("seats", RefType::Decimal, false, "How many; not negative."),
        column("unit_price", RefType::Decimal, false, "What the seller bills for a seat and month."),
        SOLD_CURRENCY,
        defaulted(
            "convention",
            RefType::Text,
            "actual",
            "What a part of a month costs: actual (by days), 30 (thirtieths), full_month (the whole, once), none (the whole if it holds when the month begins).",
        ),
        defaulted("status", RefType::Text, "active", "active, or suspended: nothing is billed meanwhile."),
        column(
            "valid_from",
            RefType::Instant,
            false,
            "From this instant, until the licence's next row; midnight UTC, as a date is read, is midnight of the seller's day.",
        ),
        VALID_TO,
    ],
    key: &["seller_node_id", "licence_id", "valid_from"],
    comment: "Seats that a seller bills by the month; more or fewer seats, another product or price, or a pause is a new row.",
};

static TIME_ENTRIES: RefTable = RefTable {
    name: "time_entries",
    columns: &[
        SELLER,
        required("entry_id", "The entry's name, unique for its seller."),
        required("node_id", "For whom: a node below the seller."),
        required("project", "The engagement: the service name of its charges."),
        required("engineer", "Who worked."),
        column("worked_at", RefType::Instant, false, "When it began; the seller's time zone says in which month."),
        column("hours", RefType::Decimal, false, "How long; not negative."),
        column("rate", RefType::Decimal, false, "What the seller bills for an hour."),
        SOLD_CURRENCY,
        optional("description", "What the buyer reads."),
        defaulted("billable", RefType::Bool, "true", "Whether it is billed; if not, it shows in by_engagement only."),
    ],
    key: &["seller_node_id", "entry_id"],
    comment: "Hours worked for a node, billed by its seller.",
};

static QUOTES: RefTable = RefTable {
    name: "quotes",
    columns: &[
        SELLER,
        required("quote_id", "The quote's name, unique for its seller."),
        defaulted("line_no", RefType::Int, "1", "Its line."),
        required("node_id", "For whom: a node below the seller."),
        required("project", "The engagement that it is about."),
        column("hours", RefType::Decimal, true, "Hours offered."),
        column("amount", RefType::Decimal, false, "What was offered for it."),
        SOLD_CURRENCY,
        column("quoted_at", RefType::Instant, false, "When."),
    ],
    key: &["seller_node_id", "quote_id", "line_no"],
    comment: "What a seller offered for an engagement, to compare with what it came to.",
};

static CONTRACTS: RefTable = RefTable {
    name: "contracts",
    columns: &[
        SELLER,
        required("contract_id", "The contract's name, unique for its seller."),
        required("buyer_node_id", "The child of the seller that it is with."),
        required("currency", "ISO 4217 code, the buyer's."),
        column(
            "commit_amount",
            RefType::Decimal,
            true,
            "What the buyer is billed at least in each commit period; null: no commitment.",
        ),
        defaulted(
            "commit_period",
            RefType::Text,
            "month",
            "month, quarter, year or term, counted from the month of valid_from.",
        ),
        defaulted("net_days", RefType::Int, "30", "Days from an invoice's issue until it is due."),
        column(
            "valid_from",
            RefType::Instant,
            false,
            "From this instant (inclusive); midnight UTC, as a date is read, is midnight of the seller's day.",
        ),
        VALID_TO,
    ],
    key: &["seller_node_id", "contract_id", "valid_from"],
    comment: "Terms between a seller and a buyer: what is committed, when invoices are due.",
};

static CREDITS: RefTable = RefTable {
    name: "credits",
    columns: &[
        required(
            "credit_id",
            "The credit's name, unique in the warehouse; everybody whom the credit reaches reads it.",
        ),
        required(
            "seller_node_id",
            "Who grants it; the root what a provider gives. Each node from here down to node_id does with it what its ref.credit_policies say.",
        ),
        required("node_id", "For whom: a node below the seller."),
        defaulted("kind", RefType::Text, "promotional", "promotional, service_level or incentive."),
        required("source", "The programme or contract that it comes from, as the documents of those who get it say."),
        column(
            "amount",
            RefType::Decimal,
            false,
            "What the seller has of it, above zero, to the currency's minor unit.",
        ),
        required("currency", "ISO 4217 code; what every node pays in from the seller's child down to node_id."),
        optional(
            "charge_id",
            "The provider's credit that it passes on: a charge of the root's that is not billed through.",
        ),
        column(
            "valid_from",
            RefType::Instant,
            false,
            "Billing periods that end after this instant draw on it; midnight UTC, as a date is read, is midnight of the seller's day.",
        ),
        column(
            "expires_at",
            RefType::Instant,
            true,
            "Billing periods that begin before this instant draw on it, then what is left is lost; null: never.",
        ),
        defaulted(
            "status",
            RefType::Text,
            "draft",
            "draft, pending or active; moved by call submit, approve and reject. An active one stands; only its expiry can still be brought forward.",
        ),
    ],
    key: &["credit_id"],
    comment: "What a seller gives to a node below, drawn on the charges of each edge down to it.",
};

static CREDIT_POLICIES: RefTable = RefTable {
    name: "credit_policies",
    columns: &[
        required("node_id", "The node whose credits it governs: those that it passes down."),
        optional("kind", "promotional, service_level or incentive; null: every kind that has no row of its own."),
        required("policy", "pass (the whole goes on), retain (the node keeps it) or split. Where no row holds: pass."),
        column("keep_share", RefType::Decimal, true, "For split: the weight of what the node keeps."),
        column("pass_share", RefType::Decimal, true, "For split: the weight of what goes on to the next node."),
        optional(
            "description_pattern",
            "Providers' credits of the root whose description, or service, is like this are of the kind: `%` and `_` as in LIKE, any case.",
        ),
        VALID_FROM,
        VALID_TO,
    ],
    key: &["node_id", "kind", "valid_from"],
    comment: "How much of a credit a node keeps and passes on; the row that holds when the credit begins decides.",
};

static FX_RATES: RefTable = RefTable {
    name: "fx_rates",
    columns: &[
        required("fx_rate_id", "The rate's name, kept on what it priced."),
        required(
            "source",
            "Where it is from; a node's fx_policy names it. fixed/NODE comes before fixed, provider/PROVIDER before provider.",
        ),
        required("base_currency", "One unit of this currency ..."),
        required("quote_currency", "... costs `rate` units of this one."),
        column("valid_from", RefType::Instant, false, "From this instant, until the next rate of the pair and source."),
        column("rate", RefType::Decimal, false, "Quote units for one base unit."),
    ],
    key: &["source", "base_currency", "quote_currency", "valid_from"],
    comment: "An exchange rate from an instant on.",
};

static APPROVAL_RULES: RefTable = RefTable {
    name: "approval_rules",
    columns: &[
        required("rule_id", "The rule's name."),
        required("kind", "What needs approval: rate_card_version, credit, budget, invoice or adjustment."),
        required("seller_node_id", "At which node, with its subtree."),
        required("role", "The role that must approve."),
        column(
            "min_amount",
            RefType::Decimal,
            true,
            "Of credits, budgets and adjustments: those that come to this much or more, up or down, in their currency; null: all.",
        ),
    ],
    key: &["rule_id"],
    comment: "Which approvals a submitted object needs; where none applies, submitting activates it. Adjustments of a seller without any rule for them need one of finance.",
};

static ADJUSTMENT_POLICIES: RefTable = RefTable {
    name: "adjustment_policies",
    columns: &[
        required("policy_id", "The policy's name."),
        required("seller_node_id", "Whose invoices it is about."),
        optional("buyer_node_id", "To which buyer; null: to all of which no other policy speaks."),
        required(
            "method",
            "What becomes of a difference once it is approved: note (a credit or debit note), true_up (a line of the next invoice), or wait (it stays proposed).",
        ),
    ],
    key: &["policy_id"],
    comment: "How what changes after an invoice was issued is billed; without a policy by a note.",
};

static ALERT_TARGETS: RefTable = RefTable {
    name: "alert_targets",
    columns: &[
        required("owner_node_id", "Whose alerts go there: what this node's finance role sees."),
        required("target_id", "The target's name, unique for its owner."),
        defaulted("kind", RefType::Text, "webhook", "webhook, servicenow (Table API) or jira (REST API, version 3)."),
        required("url", "The whole address that alerts are posted to; https."),
        optional("credential", "Where the secret is: env:NAME or file:/path; null: none is sent."),
        defaulted("credential_as", RefType::Text, "bearer", "bearer, or basic for a secret of the form user:password."),
        optional(
            "rule",
            "anomalies, spend_over_forecast, budget_status, deployment_velocity, underutilised or licence_waste; null: all.",
        ),
        defaulted("min_severity", RefType::Text, "warning", "warning or critical."),
        defaulted("time_zone", RefType::Text, "UTC", "IANA name, of the times that follow."),
        optional("quiet_from", "From this time of day (22:00) warnings wait; what is critical does not."),
        optional("quiet_to", "Until this time of day."),
        optional("digest_at", "Warnings are sent together, once a day at this time of day; null: each by itself."),
        column(
            "options",
            RefType::Json,
            true,
            "Of jira: {\"project\": \"FIN\", \"issue_type\": \"Task\"}; of servicenow: {\"fields\": {\"assignment_group\": \"FinOps\"}}.",
        ),
        defaulted("enabled", RefType::Bool, "true", "Whether anything is sent there."),
    ],
    key: &["owner_node_id", "target_id"],
    comment: "Where alerts go; ops.alerts shows them.",
};

static SOURCES: RefTable = RefTable {
    name: "sources",
    columns: &[
        required("name", "The source's name."),
        required("kind", "folder, object_store, https_files, json_api or partner_center."),
        required(
            "location",
            "A folder, a URL prefix or an address; {period}, {period_start} and {period_end} stand for the month asked for.",
        ),
        optional("landing_source", "The mapping that reads its files; null: it is told from the header."),
        defaulted("cadence", RefType::Text, "1 hour", "How often to look: a number of minutes, hours or days."),
        defaulted(
            "expected_lag",
            RefType::Text,
            "2 days",
            "A period that began this long ago has a delivery, and the newest one is no older; else it is late.",
        ),
        optional("credential", "Where the secret is, env:NAME or file:/path; never the secret itself."),
        column(
            "credential_issued_at",
            RefType::Instant,
            true,
            "When the secret was made; due for rotation after 90 days.",
        ),
        defaulted("enabled", RefType::Bool, "true", "Whether it is collected."),
        defaulted(
            "requests_per_hour",
            RefType::Int,
            "100",
            "Calls in any hour, of all sources with the same credential together.",
        ),
        column("page_size", RefType::Int, true, "Items that a page of an API is asked for; null: what it gives."),
        column(
            "options",
            RefType::Json,
            true,
            "What an API is asked and what its answers look like: engine/src/collect/README.md.",
        ),
    ],
    key: &["name"],
    comment: "Where provider files come from, and how often to look.",
};

static USERS: RefTable = RefTable {
    name: "users",
    columns: &[
        required("login", "The login; made, changed and dropped by create, alter and drop user."),
        required("node_id", "Where it belongs."),
        required("role", "What it may do."),
        defaulted("enabled", RefType::Bool, "true", "Whether it may log in."),
    ],
    key: &["login"],
    comment: "A login, its node and its role.",
};

impl RefTable {
    /// All of them, in the order in which they can be filled.
    pub fn all() -> [&'static Self; 31] {
        [
            &NODES,
            &ACCOUNTS,
            &POOLS,
            &POOL_SHARES,
            &DRIVERS,
            &DRIVER_RULES,
            &ATTRIBUTION_RULES,
            &TAG_POLICIES,
            &VIRTUAL_TAGS,
            &PLANNED_CHANGES,
            &HOLIDAYS,
            &BUDGETS,
            &THRESHOLDS,
            &MARGIN_TARGETS,
            &RATE_CARDS,
            &RATE_CARD_VERSIONS,
            &RATE_RULES,
            &CHARGE_POLICIES,
            &COMMITMENT_POLICIES,
            &LICENCES,
            &TIME_ENTRIES,
            &QUOTES,
            &CONTRACTS,
            &CREDITS,
            &CREDIT_POLICIES,
            &FX_RATES,
            &APPROVAL_RULES,
            &ADJUSTMENT_POLICIES,
            &ALERT_TARGETS,
            &SOURCES,
            &USERS,
        ]
    }

    /// The table of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().into_iter().find(|t| t.name == name)
    }

    /// The position of a column.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == column)
    }

    pub(super) fn stored_name(&self) -> String {
        format!("ref_{}", self.name)
    }

    pub(super) fn column_list(&self) -> String {
        self.columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
    }
}

/// Makes the tables of a new catalog.
pub(super) fn create_tables(tx: &dyn Tx) -> Result<(), CatalogError> {
    for table in RefTable::all() {
        let columns: String = table
            .columns
            .iter()
            .map(|c| {
                let stored = match c.kind {
                    RefType::Int | RefType::Bool => "bigint",
                    RefType::Text | RefType::Decimal | RefType::Instant | RefType::Json => "text",
                };
                format!("{} {stored}{}, ", c.name, if c.nullable { "" } else { " not null" })
            })
            .collect();
        let name = table.stored_name();
        tx.execute(
            &format!(
                "create table {name} (row_id bigint primary key, {columns}begin_snapshot bigint not null, end_snapshot bigint)"
            ),
            &[],
        )?;
        tx.execute(&format!("create index {name}_live on {name} (end_snapshot, begin_snapshot)"), &[])?;
        tx.execute(&format!("create index {name}_by_begin on {name} (begin_snapshot)"), &[])?;
    }
    Ok(())
}

impl RefTable {
    /// The rows as they were at a snapshot, in the order in which they were made.
    pub fn rows_at(&self, tx: &dyn Tx, snapshot: SnapshotId) -> Result<Vec<RefRow>, CatalogError> {
        let sql = format!(
            "select row_id, begin_snapshot, {} from {} where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1) order by row_id",
            self.column_list(),
            self.stored_name()
        );
        let mut rows = Vec::new();
        tx.each(&sql, &[snapshot.into()], &mut |row| {
            let (row_id, begin_snapshot) = (row.int(0)?, row.int(1)?);
            rows.push(RefRow { row_id, values: row.0.into_iter().skip(2).collect(), begin_snapshot });
            Ok(())
        })?;
        Ok(rows)
    }

    /// Every version with its life: `(row, end_snapshot)`, for the record of changes.
    pub fn history(&self, tx: &dyn Tx) -> Result<Vec<(RefRow, Option<SnapshotId>)>, CatalogError> {
        let sql = format!(
            "select row_id, begin_snapshot, end_snapshot, {} from {} order by row_id",
            self.column_list(),
            self.stored_name()
        );
        let mut rows = Vec::new();
        tx.each(&sql, &[], &mut |row| {
            let (row_id, begin_snapshot, end) = (row.int(0)?, row.int(1)?, row.opt_int(2)?);
            rows.push((RefRow { row_id, values: row.0.into_iter().skip(3).collect(), begin_snapshot }, end));
            Ok(())
        })?;
        Ok(rows)
    }
}

impl Commit<'_> {
    /// Adds a reference row; its values are in the table's column order.
    pub fn insert_ref(&self, table: &RefTable, values: &[Value]) -> Result<i64, CatalogError> {
        if values.len() != table.columns.len() {
            return Err(CatalogError::Malformed { what: "reference row" });
        }
        let name = table.stored_name();
        let next = self.tx.row(&format!("select coalesce(max(row_id), 0) + 1 from {name}"), &[])?;
        let row_id = next.ok_or(CatalogError::Malformed { what: "reference row number" })?.int(0)?;
        let marks: String = (2..=values.len() + 1).map(|n| format!("?{n}, ")).collect();
        let sql = format!("insert into {name} values (?1, {marks}?{}, null)", values.len() + 2);
        let mut parameters = vec![Value::Int(row_id)];
        parameters.extend_from_slice(values);
        parameters.push(self.snapshot.into());
        self.tx.execute(&sql, &parameters)?;
        Ok(row_id)
    }

    /// Ends a reference row that is still alive.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when somebody ended it first.
    pub fn end_ref(&self, table: &RefTable, row_id: i64) -> Result<(), CatalogError> {
        let sql =
            format!("update {} set end_snapshot = ?1 where row_id = ?2 and end_snapshot is null", table.stored_name());
        if self.tx.execute(&sql, &[self.snapshot.into(), row_id.into()])? != 1 {
            return Err(CatalogError::Conflict);
        }
        Ok(())
    }
}
