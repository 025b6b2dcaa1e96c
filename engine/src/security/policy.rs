//! Roles and what each may see and do: the only code that names a role.
//!
//! A session is built from these tables: what a role may not see is not in its session.

use std::fmt;
use std::str::FromStr;

/// What a login is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs its subtree: users, nodes, accounts, and everything the others may.
    Admin,
    /// Costs, prices, margins, invoices; proposes and approves cards; closes.
    Finance,
    /// Prices and cards; proposes cards and confirms terms.
    SalesOps,
    /// Invoices only.
    Accounting,
    /// Usage, resources and own cost; no margins, no cards.
    Engineering,
    /// Aggregates.
    Executive,
    /// Everything of the subtree, read-only.
    Auditor,
    /// What jobs need: close and issue; no interactive login.
    BillingJob,
    /// Own charges and invoices, read-only.
    Portal,
}

impl Role {
    /// All roles, in the order of the matrix.
    pub const ALL: [Self; 9] = [
        Self::Admin,
        Self::Finance,
        Self::SalesOps,
        Self::Accounting,
        Self::Engineering,
        Self::Executive,
        Self::Auditor,
        Self::BillingJob,
        Self::Portal,
    ];

    /// The name in `ref.users`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Finance => "finance",
            Self::SalesOps => "sales_ops",
            Self::Accounting => "accounting",
            Self::Engineering => "engineering",
            Self::Executive => "executive",
            Self::Auditor => "auditor",
            Self::BillingJob => "billing_job",
            Self::Portal => "portal",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|role| role.name()).collect();
            format!("role \"{text}\" does not exist: use one of {}", names.join(", "))
        })
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles(u16);

impl Roles {
    const fn of(roles: &[Role]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < roles.len() {
            bits |= roles[at].bit();
            at += 1;
        }
        Self(bits)
    }

    /// Whether the set has the role.
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }
}

use Role::{Accounting, Admin, Auditor, BillingJob, Engineering, Executive, Finance, Portal, SalesOps};

const MONEY: Roles = Roles::of(&[Admin, Finance, SalesOps, Auditor, BillingJob]);
const LINES: Roles = Roles::of(&[Admin, Finance, SalesOps, Engineering, Auditor, BillingJob, Portal]);
const SUMS: Roles = Roles::of(&[Admin, Finance, SalesOps, Engineering, Executive, Auditor, BillingJob, Portal]);
const MARGINS: Roles = Roles::of(&[Admin, Finance, SalesOps, Executive, Auditor, BillingJob]);
const DOCUMENTS: Roles = Roles::of(&[Admin, Finance, Accounting, Auditor, BillingJob, Portal]);
const OPERATIONS: Roles = Roles::of(&[Admin, Finance, Auditor, BillingJob]);
const AUDIT: Roles = Roles::of(&[Admin, Auditor]);
const CARDS: Roles = Roles::of(&[Admin, Finance, SalesOps, Auditor]);
const SHARING: Roles = Roles::of(&[Admin, Finance, Engineering, Auditor]);
const RATES: Roles = Roles::of(&[Admin, Finance, SalesOps, Executive, Auditor, BillingJob]);
const EVERYONE: Roles = Roles::of(&Role::ALL);
const NOBODY: Roles = Roles::of(&[]);

/// Which nodes have a relation at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Any node.
    Any,
    /// The root only: it shows what providers said.
    Root,
    /// Nodes that sell: the root, distributors, resellers and everyone with children.
    Seller,
}

/// One row of the matrix: a relation and who has it.
#[derive(Debug, Clone, Copy)]
pub struct Relation {
    /// Its schema.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Which nodes have it.
    pub reach: Reach,
    /// Which roles read it.
    pub read: Roles,
    /// Which roles write it.
    pub write: Roles,
}

const fn shown(schema: &'static str, name: &'static str, reach: Reach, read: Roles) -> Relation {
    Relation { schema, name, reach, read, write: NOBODY }
}

const fn kept(name: &'static str, reach: Reach, read: Roles, write: Roles) -> Relation {
    Relation { schema: "ref", name, reach, read, write }
}

/// The matrix of relations.
pub const RELATIONS: [Relation; 101] = [
    shown("public", "charges", Reach::Any, LINES),
    shown("public", "charges_daily", Reach::Any, SUMS),
    shown("public", "charges_monthly", Reach::Any, SUMS),
    shown("public", "charges_by_tier", Reach::Any, MONEY),
    shown("public", "tiers_monthly", Reach::Any, MARGINS),
    shown("public", "margins", Reach::Seller, MARGINS),
    shown("public", "allocations", Reach::Any, SUMS),
    shown("public", "completeness", Reach::Any, SUMS),
    shown("public", "days_off", Reach::Any, SUMS),
    shown("public", "subtrees", Reach::Any, SUMS),
    shown("public", "effective_thresholds", Reach::Any, SUMS),
    shown("public", "forecasts", Reach::Any, SUMS),
    shown("public", "anomalies", Reach::Any, SUMS),
    shown("public", "forecast_accuracy", Reach::Any, SUMS),
    shown("public", "spend_over_forecast", Reach::Any, SUMS),
    shown("public", "budget_status", Reach::Any, SUMS),
    shown("public", "client_profit", Reach::Seller, MARGINS),
    shown("public", "metrics", Reach::Any, SHARING),
    shown("public", "unit_economics", Reach::Any, SHARING),
    shown("public", "deployment_velocity", Reach::Any, LINES),
    shown("public", "anomaly_drivers", Reach::Any, LINES),
    shown("public", "underutilised", Reach::Any, SHARING),
    shown("public", "licence_waste", Reach::Any, SHARING),
    shown("public", "unused_commitments", Reach::Any, Roles::of(&[Admin, Finance, Auditor])),
    shown("public", "waste_candidates", Reach::Any, Roles::of(&[Admin, Finance, Auditor])),
    shown("public", "executive", Reach::Any, MARGINS),
    shown("public", "finance", Reach::Seller, OPERATIONS),
    shown("public", "engineering", Reach::Any, SHARING),
    shown("public", "unallocated", Reach::Any, LINES),
    shown("public", "by_engagement", Reach::Seller, CARDS),
    shown("public", "seat_counts", Reach::Any, CARDS),
    shown("public", "tag_compliance", Reach::Any, SHARING),
    shown("public", "credits_ledger", Reach::Any, DOCUMENTS),
    shown("public", "credits_expiring", Reach::Any, DOCUMENTS),
    shown("public", "credits_received_vs_passed", Reach::Seller, OPERATIONS),
    shown("public", "commitment_benefits", Reach::Any, CARDS),
    shown("public", "commitment_status", Reach::Root, OPERATIONS),
    shown("public", "invoices", Reach::Any, DOCUMENTS),
    shown("public", "invoice_lines", Reach::Any, DOCUMENTS),
    shown("public", "proposed_adjustments", Reach::Seller, OPERATIONS),
    shown("public", "adjustments", Reach::Seller, OPERATIONS),
    shown("public", "usage", Reach::Root, OPERATIONS),
    shown("focus", "cost_and_usage_1_2", Reach::Any, LINES),
    shown("focus", "cost_and_usage_1_3", Reach::Any, LINES),
    shown("focus", "cost_and_usage_1_4", Reach::Any, LINES),
    shown("focus", "provider_cost_and_usage", Reach::Root, OPERATIONS),
    shown("ops", "deliveries", Reach::Root, OPERATIONS),
    shown("ops", "slices", Reach::Root, OPERATIONS),
    shown("ops", "rejected_rows", Reach::Root, OPERATIONS),
    shown("ops", "quality", Reach::Root, OPERATIONS),
    shown("ops", "files", Reach::Root, OPERATIONS),
    shown("ops", "provider_billing_periods", Reach::Root, OPERATIONS),
    shown("ops", "provider_invoices", Reach::Root, OPERATIONS),
    shown("ops", "contract_commitments", Reach::Root, OPERATIONS),
    shown("ops", "kubernetes_allocations", Reach::Root, OPERATIONS),
    // Whoever reads ref.drivers reads what landed of the like.
    shown("ops", "metrics", Reach::Any, SHARING),
    shown("ops", "invoice_reconciliation", Reach::Root, OPERATIONS),
    shown("ops", "provider_credits", Reach::Root, OPERATIONS),
    // The root's margins are made of it: whoever has them has it.
    shown("ops", "edges_monthly", Reach::Root, MARGINS),
    shown("ops", "close_blockers", Reach::Root, OPERATIONS),
    shown("ops", "reconciliation", Reach::Root, OPERATIONS),
    shown("ops", "restatements", Reach::Root, OPERATIONS),
    shown("ops", "scorecard", Reach::Root, Roles::of(&[Admin, Finance, Auditor])),
    shown("ops", "alerts", Reach::Any, LINES),
    shown("ops", "alert_deliveries", Reach::Root, OPERATIONS),
    shown("ops", "approvals", Reach::Any, CARDS),
    shown("ops", "snapshots", Reach::Root, AUDIT),
    shown("ops", "changes", Reach::Root, AUDIT),
    shown("ops", "collection_runs", Reach::Root, OPERATIONS),
    shown("ops", "freshness", Reach::Root, OPERATIONS),
    kept("nodes", Reach::Any, EVERYONE, Roles::of(&[Admin])),
    kept(
        "accounts",
        Reach::Any,
        Roles::of(&[Admin, Finance, SalesOps, Engineering, Auditor, BillingJob]),
        Roles::of(&[Admin]),
    ),
    kept("attribution_rules", Reach::Any, Roles::of(&[Admin, Finance, Engineering, Auditor]), Roles::of(&[Admin])),
    kept("pools", Reach::Any, SHARING, Roles::of(&[Admin, Finance])),
    kept("pool_shares", Reach::Any, SHARING, Roles::of(&[Admin, Finance])),
    kept("drivers", Reach::Any, SHARING, Roles::of(&[Admin, Engineering])),
    kept("driver_rules", Reach::Any, SHARING, Roles::of(&[Admin, Engineering])),
    kept("tag_policies", Reach::Any, SHARING, Roles::of(&[Admin, Engineering])),
    kept("virtual_tags", Reach::Any, SHARING, Roles::of(&[Admin, Engineering])),
    // Whoever sees forecasts reads what they expect.
    kept("planned_changes", Reach::Any, SUMS, Roles::of(&[Admin, Finance, Engineering])),
    kept("holidays", Reach::Any, EVERYONE, Roles::of(&[Admin, Finance])),
    kept("budgets", Reach::Any, SUMS, Roles::of(&[Admin, Finance])),
    kept("thresholds", Reach::Any, SUMS, Roles::of(&[Admin, Finance, Engineering])),
    kept("margin_targets", Reach::Any, MARGINS, Roles::of(&[Admin, Finance])),
    kept("rate_cards", Reach::Any, CARDS, Roles::of(&[Admin, Finance, SalesOps])),
    kept("rate_card_versions", Reach::Any, CARDS, Roles::of(&[Admin, Finance, SalesOps])),
    kept("rate_rules", Reach::Any, CARDS, Roles::of(&[Admin, Finance, SalesOps])),
    kept("charge_policies", Reach::Any, CARDS, Roles::of(&[Admin, Finance])),
    // The root buys commitments; what their policies make of them are charges.
    kept("commitment_policies", Reach::Root, CARDS, Roles::of(&[Admin, Finance])),
    kept("licences", Reach::Any, CARDS, Roles::of(&[Admin, Finance])),
    kept("time_entries", Reach::Any, CARDS, Roles::of(&[Admin, Finance])),
    kept("quotes", Reach::Any, CARDS, Roles::of(&[Admin, Finance, SalesOps])),
    kept("contracts", Reach::Any, CARDS, Roles::of(&[Admin, Finance])),
    kept("credits", Reach::Any, MONEY, Roles::of(&[Admin, Finance])),
    kept("credit_policies", Reach::Any, MONEY, Roles::of(&[Admin, Finance])),
    kept("fx_rates", Reach::Any, RATES, Roles::of(&[Admin, Finance])),
    kept("approval_rules", Reach::Any, CARDS, Roles::of(&[Admin])),
    kept("adjustment_policies", Reach::Any, OPERATIONS, Roles::of(&[Admin, Finance])),
    // Where files come from and whose secret fetches them.
    kept("alert_targets", Reach::Root, Roles::of(&[Admin]), Roles::of(&[Admin])),
    kept("sources", Reach::Root, Roles::of(&[Admin]), Roles::of(&[Admin])),
    kept("users", Reach::Any, AUDIT, NOBODY),
];

/// The relation of that name.
pub fn relation(schema: &str, name: &str) -> Option<&'static Relation> {
    static MATRIX: &[Relation] = &RELATIONS;
    MATRIX.iter().find(|relation| relation.schema == schema && relation.name == name)
}

/// What a procedure or statement needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `call land`.
    Land,
    /// `call close_period`.
    Close,
    /// `call issue_invoices`.
    Issue,
    /// `call refresh` and `call apply_credits`.
    Refresh,
    /// `call submit`.
    Submit,
    /// `call submit` of an adjustment, and `call credit_note`.
    Adjust,
    /// `call acknowledge` and `call expect`.
    Answer,
    /// `call approve` and `call reject`; the approval rules say who for what.
    Approve,
    /// `create user`, `alter user`, `drop user` of others.
    Users,
    /// `set ratehouse.snapshot`.
    TimeTravel,
    /// `explain analyze` and `explain verbose`.
    ExplainAnalyze,
    /// `verify_audit()`.
    VerifyAudit,
}

/// Who may do it, and whether only at the root.
pub const fn allowed(action: Action) -> (Roles, Reach) {
    match action {
        Action::Land => (Roles::of(&[Admin]), Reach::Root),
        Action::Close | Action::Issue | Action::Refresh => (Roles::of(&[Admin, Finance, BillingJob]), Reach::Root),
        Action::Submit => (Roles::of(&[Admin, Finance, SalesOps]), Reach::Any),
        Action::Adjust => (Roles::of(&[Admin, Finance]), Reach::Any),
        Action::Answer => (Roles::of(&[Admin, Finance, Engineering]), Reach::Any),
        Action::Approve => (Roles::of(&[Admin, Finance, SalesOps, Executive]), Reach::Any),
        Action::Users => (Roles::of(&[Admin]), Reach::Any),
        Action::TimeTravel => (Roles::of(&[Admin, Finance, Auditor]), Reach::Root),
        Action::ExplainAnalyze => (Roles::of(&[Admin]), Reach::Root),
        Action::VerifyAudit => (AUDIT, Reach::Root),
    }
}

/// As whom alerts look at the views of their owner.
pub const ALERTED: Role = Finance;

/// Who must approve an adjustment of a seller for which no approval rule says anything.
pub const ADJUSTMENT_APPROVER: Role = Finance;

/// Which money columns of its own edges a role's session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MoneyColumns {
    /// What it pays only.
    Cost,
    /// What it pays, what its children pay it, and the difference.
    CostPriceMargin,
}

/// The money columns of a role.
pub const fn money_columns(role: Role) -> MoneyColumns {
    match role {
        Admin | Finance | SalesOps | Executive | Auditor | BillingJob => MoneyColumns::CostPriceMargin,
        Accounting | Engineering | Portal => MoneyColumns::Cost,
    }
}

/// What `rate_lookup` tells a role of the terms of edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermsShown {
    /// The rules of edges on which its node or a node below sells, and the published prices of what it buys.
    Rules,
    /// The published prices of what its node buys.
    PublishedPrices,
    /// Nothing: it does not have the function.
    Nothing,
}

/// The terms that a role is told: rules to who reads `ref.rate_rules`, prices to who reads its own charges.
pub const fn terms_shown(role: Role) -> TermsShown {
    match role {
        Admin | Finance | SalesOps | Auditor => TermsShown::Rules,
        Engineering | BillingJob | Portal => TermsShown::PublishedPrices,
        Accounting | Executive => TermsShown::Nothing,
    }
}

/// Whether the role may log in over the wire.
pub const fn may_log_in(role: Role) -> bool {
    !matches!(role, BillingJob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_told_to_who_reads_the_relations_that_show_them() {
        let reads = |role, name| RELATIONS.iter().any(|relation| relation.name == name && relation.read.has(role));
        for role in Role::ALL {
            let expected = match (reads(role, "rate_rules"), reads(role, "charges")) {
                (true, _) => TermsShown::Rules,
                (false, true) => TermsShown::PublishedPrices,
                (false, false) => TermsShown::Nothing,
            };
            assert_eq!(terms_shown(role), expected, "{role}");
        }
    }
}
