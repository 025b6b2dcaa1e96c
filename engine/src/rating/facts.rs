//! Reference rows as types: parsed once, never checked again.

use std::sync::Arc;

use chrono_tz::Tz;
use ratehouse_udfs::decimal::Rounding;
use ratehouse_udfs::money::Convention;

use super::commitments::CommitmentRow;
use super::measured::Measured;
use super::metrics::Metrics;
use super::span::Span;

/// What a place in the tree is; decides whether its sales are invoiced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// The root of most trees.
    Distributor,
    /// Sells on.
    Reseller,
    /// Consumes, or spreads among its own units.
    Customer,
    /// Part of a customer.
    BusinessUnit,
    /// Part of a customer.
    Department,
    /// Part of a customer.
    Team,
}

impl NodeKind {
    /// Reads the name used in `ref.nodes`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "distributor" => Self::Distributor,
            "reseller" => Self::Reseller,
            "customer" => Self::Customer,
            "business_unit" => Self::BusinessUnit,
            "department" => Self::Department,
            "team" => Self::Team,
            _ => return None,
        })
    }

    /// Whether what it sells is only spread, never invoiced.
    pub fn allocates(self) -> bool {
        match self {
            Self::Distributor | Self::Reseller => false,
            Self::Customer | Self::BusinessUnit | Self::Department | Self::Team => true,
        }
    }
}

/// A row of `ref.nodes`.
#[derive(Debug, Clone)]
pub struct NodeRow {
    /// The node.
    pub node_id: String,
    /// The node above it; none for the root.
    pub parent_id: Option<String>,
    /// What it is.
    pub kind: NodeKind,
    /// What it pays in.
    pub currency: String,
    /// The time zone of its days.
    pub time_zone: Tz,
    /// When the row applies.
    pub valid: Span,
    /// The source of its FX rates.
    pub fx_policy: String,
}

/// A row of `ref.accounts`.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// The provider.
    pub provider_name: String,
    /// The provider's billing account.
    pub billing_account_id: String,
    /// The provider's sub account; none for all that have no row of their own.
    pub sub_account_id: Option<String>,
    /// The owner.
    pub node_id: String,
    /// When the row applies.
    pub valid: Span,
}

/// A row of `ref.attribution_rules`.
#[derive(Debug, Clone)]
pub struct AttributionRow {
    /// The rule.
    pub rule_id: String,
    /// Whose rule it is.
    pub owner_node_id: String,
    /// The higher is tried first.
    pub priority: i64,
    /// Conditions; none means any.
    pub provider_name: Option<String>,
    /// The provider's billing account.
    pub billing_account_id: Option<String>,
    /// The provider's sub account.
    pub sub_account_id: Option<String>,
    /// A tag the row must carry.
    pub tag_key: Option<String>,
    /// The value the tag must have.
    pub tag_value: Option<String>,
    /// A pattern of the resource id, as in `LIKE`.
    pub resource_pattern: Option<String>,
    /// The provider's service.
    pub service_name: Option<String>,
    /// What becomes of what matches.
    pub target: AttributionTarget,
    /// When the row applies.
    pub valid: Span,
}

/// What an attribution rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributionTarget {
    /// This node owns it.
    Node(String),
    /// It is shared cost of this pool of the rule's owner.
    Pool(String),
}

/// How a pool is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMethod {
    /// Each share is a percentage.
    Percentage,
    /// In proportion to a driver's quantities.
    Usage,
    /// All alike.
    Even,
    /// Each share is an amount of a billing period.
    Fixed,
}

impl PoolMethod {
    /// Reads the name used in `ref.pools`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "percentage" => Self::Percentage,
            "usage" => Self::Usage,
            "even" => Self::Even,
            "fixed" => Self::Fixed,
            _ => return None,
        })
    }

    /// That name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Percentage => "percentage",
            Self::Usage => "usage",
            Self::Even => "even",
            Self::Fixed => "fixed",
        }
    }
}

/// A row of `ref.pools`.
#[derive(Debug, Clone)]
pub struct PoolRow {
    /// Who shares the cost out.
    pub owner_node_id: String,
    /// The pool.
    pub pool_id: String,
    /// How it is split.
    pub method: PoolMethod,
    /// What is measured, for [`PoolMethod::Usage`].
    pub driver: Option<String>,
    /// Who takes what has no weights.
    pub fallback_node_id: Option<String>,
    /// Whether those who get a share see whose resource it is.
    pub disclose: bool,
    /// Whether what was measured as idle is spread over those who used the resource.
    pub spread_idle: bool,
    /// When the row applies.
    pub valid: Span,
}

/// A row of `ref.pool_shares`.
#[derive(Debug, Clone)]
pub struct ShareRow {
    /// The pool's owner.
    pub owner_node_id: String,
    /// The pool.
    pub pool_id: String,
    /// Who gets it.
    pub node_id: String,
    /// Percent or amount, scale 18.
    pub share: Option<i128>,
    /// When the row applies.
    pub valid: Span,
}

/// A row of `ref.drivers`.
#[derive(Debug, Clone)]
pub struct DriverRow {
    /// Whose pools use it.
    pub owner_node_id: String,
    /// What is measured.
    pub driver: String,
    /// Whose use it is.
    pub node_id: String,
    /// The one resource that was used.
    pub resource_id: Option<String>,
    /// Scale 18.
    pub quantity: i128,
    /// When it was used.
    pub valid: Span,
}

/// A row of `ref.driver_rules`.
#[derive(Debug, Clone)]
pub struct DriverRuleRow {
    /// Whose pools use it.
    pub owner_node_id: String,
    /// The rule.
    pub rule_id: String,
    /// The higher is tried first.
    pub priority: i64,
    /// Conditions; none means any.
    pub cluster: Option<String>,
    /// A pattern, as in `LIKE`.
    pub namespace: Option<String>,
    /// A pattern, as in `LIKE`.
    pub controller: Option<String>,
    /// A label the pod must have.
    pub label_key: Option<String>,
    /// The value the label must have.
    pub label_value: Option<String>,
    /// Whose use it is.
    pub node_id: String,
    /// When the row applies.
    pub valid: Span,
}

/// A row of `ref.tag_policies`.
#[derive(Debug, Clone)]
pub struct TagPolicyRow {
    /// Whose policy it is.
    pub owner_node_id: String,
    /// The keys that it speaks of.
    pub keys: Vec<String>,
}

/// A row of `ref.virtual_tags`.
#[derive(Debug, Clone)]
pub struct VirtualTagRow {
    /// Whose rule it is.
    pub owner_node_id: String,
    /// The rule.
    pub rule_id: String,
    /// The higher is tried first.
    pub priority: i64,
    /// The tag that it makes.
    pub virtual_key: String,
    /// Its value; none is the value of the tag that `tag_key` names.
    pub virtual_value: Option<String>,
    /// Conditions; none means any.
    pub provider_name: Option<String>,
    /// The provider's billing account.
    pub billing_account_id: Option<String>,
    /// The provider's sub account.
    pub sub_account_id: Option<String>,
    /// A tag the row must carry.
    pub tag_key: Option<String>,
    /// The value the tag must have.
    pub tag_value: Option<String>,
    /// A pattern of the resource id, as in `LIKE`.
    pub resource_pattern: Option<String>,
    /// The provider's service.
    pub service_name: Option<String>,
    /// Whether it takes the place of a tag of that key.
    pub replaces: bool,
    /// Whether nodes below the owner see it.
    pub disclose: bool,
    /// The billing periods that begin in it have the tag.
    pub valid: Span,
}

/// A row of `ref.rate_cards`.
#[derive(Debug, Clone)]
pub struct CardRow {
    /// The card.
    pub card_id: String,
    /// Who sells.
    pub seller_node_id: String,
    /// Who buys; none for the seller's default card.
    pub buyer_node_id: Option<String>,
    /// The edge's currency.
    pub currency: String,
}

/// A row of `ref.rate_card_versions`.
#[derive(Debug, Clone)]
pub struct VersionRow {
    /// The card.
    pub card_id: String,
    /// The version.
    pub version: i64,
    /// When it applies.
    pub valid: Span,
    /// Whether it prices: its status is `active`.
    pub is_active: bool,
    /// The version whose rules it inherits.
    pub base: Option<(String, i64)>,
    /// How its prices are rounded, and to how many digits after the point; none as all amounts.
    pub rounding: Option<(Rounding, u8)>,
}

/// A row of `ref.rate_rules`.
#[derive(Debug, Clone, Default)]
pub struct RuleRow {
    /// The card.
    pub card_id: String,
    /// The version.
    pub version: i64,
    /// The rule.
    pub rule_id: String,
    /// The higher wins.
    pub priority: i64,
    /// Conditions; none means any.
    pub provider_name: Option<String>,
    /// Condition.
    pub service_category: Option<String>,
    /// Condition.
    pub service_name: Option<String>,
    /// Condition.
    pub sku_id: Option<String>,
    /// Condition.
    pub region_id: Option<String>,
    /// Condition; none means `Usage` and `Purchase`.
    pub charge_category: Option<String>,
    /// Condition.
    pub pricing_category: Option<String>,
    /// Condition.
    pub resource_type: Option<String>,
    /// Condition.
    pub marketplace: Option<bool>,
    /// Condition.
    pub tag_key: Option<String>,
    /// Condition; needs a key.
    pub tag_value: Option<String>,
    /// The only unit it prices.
    pub unit: Option<String>,
    /// How it prices.
    pub method: String,
    /// Percent or unit price, scale 18.
    pub value: Option<i128>,
    /// What a percentage applies to; none is the method's own default.
    pub base: Option<String>,
    /// Bands, as JSON.
    pub bands: Option<String>,
    /// Whose quantity the bands count.
    pub scope: String,
    /// How its prices are rounded, and to how many digits; none as its version says.
    pub rounding: Option<(Rounding, u8)>,
}

impl RuleRow {
    /// Whether it makes charges of its own instead of pricing others.
    pub fn is_own(&self) -> bool {
        matches!(self.method.as_str(), FLAT | MINIMUM)
    }

    /// Whether it has bands over the quantity of each single account.
    pub(crate) fn counts_accounts(&self) -> bool {
        self.bands.is_some() && self.scope == ACCOUNT
    }
}

/// The scope of bands over the quantity of one account.
pub(crate) const ACCOUNT: &str = "account";

/// The method of a rule that bills its value each month.
pub(crate) const FLAT: &str = "flat";
/// The method of a rule that bills what is missing to its value each month.
pub(crate) const MINIMUM: &str = "minimum";

/// A row of `ref.charge_policies`.
#[derive(Debug, Clone)]
pub struct PolicyRow {
    /// The seller.
    pub node_id: String,
    /// One buyer; none for all its children.
    pub buyer_node_id: Option<String>,
    /// The category it governs.
    pub charge_category: String,
    /// `Correction`, or none for any.
    pub charge_class: Option<String>,
    /// `pass`, `retain`, `report` or `rerate`.
    pub policy: String,
    /// When it applies.
    pub valid: Span,
}

/// A row of `ref.fx_rates`.
#[derive(Debug, Clone)]
pub struct FxRow {
    /// The rate's name.
    pub fx_rate_id: String,
    /// Where it is from.
    pub source: String,
    /// One unit of this ...
    pub base_currency: String,
    /// ... costs `rate` of this.
    pub quote_currency: String,
    /// From this instant on.
    pub valid_from: i64,
    /// Scale 18.
    pub rate: i128,
}

/// A row of `ref.licences`.
#[derive(Debug, Clone)]
pub struct LicenceRow {
    /// Who bills it.
    pub seller_node_id: String,
    /// The licence.
    pub licence_id: String,
    /// Who has the seats.
    pub node_id: String,
    /// What is licensed.
    pub product: String,
    /// Its SKU.
    pub sku_id: Option<String>,
    /// Scale 18.
    pub seats: i128,
    /// Of a seat and month, scale 18.
    pub unit_price: i128,
    /// Of the price.
    pub currency: String,
    /// What a part of a month costs.
    pub convention: Convention,
    /// Whether nothing is billed.
    pub is_suspended: bool,
    /// When the row applies, unless the licence's next row begins before its end.
    pub valid: Span,
}

/// A row of `ref.time_entries`.
#[derive(Debug, Clone)]
pub struct TimeEntryRow {
    /// Who bills it.
    pub seller_node_id: String,
    /// The entry.
    pub entry_id: String,
    /// For whom.
    pub node_id: String,
    /// The engagement.
    pub project: String,
    /// Who worked.
    pub engineer: String,
    /// When it began.
    pub worked_at: i64,
    /// Scale 18.
    pub hours: i128,
    /// Of an hour, scale 18.
    pub rate: i128,
    /// Of the rate.
    pub currency: String,
    /// What the buyer reads.
    pub description: Option<String>,
    /// Whether it is billed.
    pub billable: bool,
}

/// How long a commitment is counted before it begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitPeriod {
    /// Each month.
    Month,
    /// Every three months.
    Quarter,
    /// Every twelve months.
    Year,
    /// Once, over the whole contract.
    Term,
}

impl CommitPeriod {
    /// Reads the name used in `ref.contracts`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            "term" => Self::Term,
            _ => return None,
        })
    }

    /// Its length; none for the whole term.
    pub fn months(self) -> Option<u32> {
        match self {
            Self::Month => Some(1),
            Self::Quarter => Some(3),
            Self::Year => Some(12),
            Self::Term => None,
        }
    }
}

/// A row of `ref.contracts` with a commitment.
#[derive(Debug, Clone)]
pub struct ContractRow {
    /// Who sells.
    pub seller_node_id: String,
    /// The contract.
    pub contract_id: String,
    /// Who buys.
    pub buyer_node_id: String,
    /// Of the commitment.
    pub currency: String,
    /// What is billed at least in each commit period, scale 18.
    pub commit_amount: Option<i128>,
    /// How it is counted.
    pub commit_period: CommitPeriod,
    /// When it applies.
    pub valid: Span,
}

/// A row of `ref.credits`.
#[derive(Debug, Clone)]
pub struct CreditRow {
    /// The credit.
    pub credit_id: String,
    /// Who grants it.
    pub seller_node_id: String,
    /// For whom.
    pub node_id: String,
    /// What kind.
    pub kind: String,
    /// What the buyer reads.
    pub source: String,
    /// Scale 18.
    pub amount: i128,
    /// Of the amount.
    pub currency: String,
    /// Whether it is given: its status is `active`.
    pub is_active: bool,
    /// From when on it is drawn, until it expires.
    pub valid: Span,
}

/// What a node does with a credit that reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditPolicy {
    /// The whole goes on.
    Pass,
    /// The node keeps it.
    Retain,
    /// By weights, scale 18: what the node keeps, what goes on.
    Split([i128; 2]),
}

/// A row of `ref.credit_policies`.
#[derive(Debug, Clone)]
pub struct CreditPolicyRow {
    /// Whose policy it is.
    pub node_id: String,
    /// The kind it governs; none for any.
    pub kind: Option<String>,
    /// What it says.
    pub policy: CreditPolicy,
    /// When it applies.
    pub valid: Span,
}

/// A difference that a seller bills with a later period: a settled adjustment.
#[derive(Debug, Clone)]
pub struct TrueUpRow {
    /// Its number.
    pub adjustment_id: i64,
    /// Who sells.
    pub seller_node_id: String,
    /// Who buys.
    pub buyer_node_id: String,
    /// The invoice that it corrects.
    pub invoice_number: String,
    /// Of the amount.
    pub currency: String,
    /// Unrounded, scale 18.
    pub amount: i128,
    /// First day of the billing period that it is billed with, days since 1970.
    pub billed_with: i32,
}

/// All reference rows that decide prices, as known at one snapshot.
#[derive(Debug, Clone, Default)]
pub struct RefFacts {
    /// `ref.nodes`.
    pub nodes: Vec<NodeRow>,
    /// `ref.accounts`.
    pub accounts: Vec<AccountRow>,
    /// `ref.attribution_rules`.
    pub attribution_rules: Vec<AttributionRow>,
    /// `ref.pools`.
    pub pools: Vec<PoolRow>,
    /// `ref.pool_shares`.
    pub pool_shares: Vec<ShareRow>,
    /// `ref.drivers`.
    pub drivers: Vec<DriverRow>,
    /// What landed of the drivers of pools.
    pub metrics: Metrics,
    /// `ref.driver_rules`.
    pub driver_rules: Vec<DriverRuleRow>,
    /// What OpenCost measured; no reference rows, and left empty where nothing needs them.
    pub measured: Arc<[Measured]>,
    /// `ref.tag_policies`.
    pub tag_policies: Vec<TagPolicyRow>,
    /// `ref.virtual_tags`.
    pub virtual_tags: Vec<VirtualTagRow>,
    /// `ref.rate_cards`.
    pub rate_cards: Vec<CardRow>,
    /// `ref.rate_card_versions`.
    pub rate_card_versions: Vec<VersionRow>,
    /// `ref.rate_rules`.
    pub rate_rules: Vec<RuleRow>,
    /// `ref.charge_policies`.
    pub charge_policies: Vec<PolicyRow>,
    /// `ref.commitment_policies`.
    pub commitment_policies: Vec<CommitmentRow>,
    /// `ref.fx_rates`.
    pub fx_rates: Vec<FxRow>,
    /// `ref.licences`.
    pub licences: Vec<LicenceRow>,
    /// `ref.time_entries`.
    pub time_entries: Vec<TimeEntryRow>,
    /// `ref.contracts`.
    pub contracts: Vec<ContractRow>,
    /// `ref.credits`.
    pub credits: Vec<CreditRow>,
    /// `ref.credit_policies`.
    pub credit_policies: Vec<CreditPolicyRow>,
    /// Adjustments that are billed with a later period.
    pub true_ups: Vec<TrueUpRow>,
}
