//! Which data sets there are, how a header tells them, and the mapping that reads them.

use std::fmt::Write as _;

use crate::catalog::{
    CONTRACT_COMMITMENTS, KUBERNETES_ALLOCATIONS, METRICS, OWNER, PROVIDER_BILLING_PERIODS, PROVIDER_INVOICES,
    ProviderTable, RefColumn, RefType,
};
use crate::landing::checks::Check;
use crate::landing::error::LandingError;
use crate::landing::header_names::HeaderNames;
use crate::landing::source::Source;

/// A data set of FOCUS besides cost and usage, OpenCost's, or metrics.
#[derive(Debug)]
pub struct DataSet {
    /// Name of the source, such as `focus_invoice_detail`.
    pub name: &'static str,
    /// `statement` for what a close depends on, `reference` otherwise.
    pub role: &'static str,
    /// Where its rows are kept.
    pub table: &'static ProviderTable,
    title: &'static str,
    /// What columns are called in a file, where that is not the FOCUS name.
    named: &'static [(&'static str, &'static str)],
    /// Columns that only it has.
    detect: &'static [&'static str],
    /// What a usage row has in place of it, so that a rejected row says where it belongs.
    place: &'static str,
    /// Why a row cannot be kept and what is odd about one that can, as further columns of the mapping.
    judged: &'static str,
    /// Columns with listed values: a row with another value is rejected if it cannot do without the column, and noted otherwise.
    listed: &'static [(&'static str, &'static [&'static str])],
}

const CATEGORIES: &[&str] = &["Usage", "Purchase", "Tax", "Credit", "Adjustment"];

/// The members of OpenCost's `AllocationJSON`, by their paths. Its numbers are floats, written with five digits after the point.
const OPENCOST: &[(&str, &str)] = &[
    ("cluster", "properties.cluster"),
    ("window_start", "window.start"),
    ("window_end", "window.end"),
    ("name", "name"),
    ("node", "properties.node"),
    ("provider_id", "properties.providerID"),
    ("namespace", "properties.namespace"),
    ("controller_kind", "properties.controllerKind"),
    ("controller", "properties.controller"),
    ("pod", "properties.pod"),
    ("container", "properties.container"),
    ("labels", "properties.labels"),
    ("minutes", "minutes"),
    ("cpu_core_hours", "cpuCoreHours"),
    ("cpu_core_request_average", "cpuCoreRequestAverage"),
    ("ram_byte_hours", "ramByteHours"),
    ("ram_byte_request_average", "ramByteRequestAverage"),
    ("gpu_hours", "gpuHours"),
    ("cpu_cost", "cpuCost"),
    ("ram_cost", "ramCost"),
    ("gpu_cost", "gpuCost"),
];

/// Less than nothing is an error of the measurement, except of what is idle: there OpenCost subtracts, and more may have been
/// used than it takes the node to have.
const OPENCOST_JUDGED: &str = r#"
    case
        when try_cast("window.end" as timestamp) <= try_cast("window.start" as timestamp) then 'the window ends before it begins'
        when try_cast("window.end" as timestamp) > try_cast("window.start" as timestamp) + interval '31 days'
            then 'the window is longer than 31 days'
        when strpos("name", '__idle__') = 0 and (number("cpuCoreHours") < 0 or number("ramByteHours") < 0 or number("gpuHours") < 0
            or number("cpuCoreRequestAverage") < 0 or number("ramByteRequestAverage") < 0 or number("minutes") < 0
            or number("cpuCost") < 0 or number("ramCost") < 0 or number("gpuCost") < 0)
            then 'a quantity is negative'
    end as reject_reason,
    case
        when strpos("name", '__idle__') > 0 and (number("cpuCoreHours") < 0 or number("ramByteHours") < 0 or number("gpuHours") < 0
            or number("cpuCost") < 0 or number("ramCost") < 0 or number("gpuCost") < 0)
            then 'more was used than the node has: what is idle counts as none'
        when "properties.providerID" is null and (number("cpuCoreHours") > 0 or number("ramByteHours") > 0 or number("gpuHours") > 0)
            then 'names no providerID: it counts for no resource'
    end as finding,"#;

/// The columns of metrics are called as in `ref.drivers`.
const NAMED_METRICS: &[(&str, &str)] = &[
    ("owner_node_id", "owner_node_id"),
    ("driver", "driver"),
    ("node_id", "node_id"),
    ("resource_id", "resource_id"),
    ("quantity", "quantity"),
    ("valid_from", "valid_from"),
    ("valid_to", "valid_to"),
];

/// What a row of `ref.drivers` cannot be either, and windows of more than a year: a change of a quantity makes all months stale that
/// it is about.
const METRICS_JUDGED: &str = r#"
    case
        when try_cast("valid_from" as timestamp) is null or try_cast("valid_to" as timestamp) is null
            then 'valid_from and valid_to must be times such as 2026-10-01T00:00:00Z'
        when try_cast("valid_to" as timestamp) <= try_cast("valid_from" as timestamp) then 'valid_to must be after valid_from'
        when try_cast("valid_to" as timestamp) > try_cast("valid_from" as timestamp) + interval '366 days'
            then 'the window is longer than 366 days'
        when number("quantity") < 0 or number("quantity") > 1000000000000 then 'quantity must be from 0 to 1000000000000'
        when not regexp_like("driver", '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$')
            then 'driver must be 1 to 64 letters, digits, `.`, `_` or `-` and begin with a letter or digit'
    end as reject_reason,"#;

pub(super) static DATA_SETS: [DataSet; 5] = [
    DataSet {
        name: "focus_billing_period",
        role: "statement",
        table: &PROVIDER_BILLING_PERIODS,
        title: "FOCUS 1.4 Billing Period",
        named: &[],
        detect: &["BillingPeriodStatus"],
        place: "'0' as billed_cost, '0' as effective_cost, cast(null as varchar) as billing_account_id, '' as billing_currency, 'Usage' as charge_category, \
                \"InvoiceIssuerName\" as provider_name, \"BillingPeriodStart\" as billing_period_start, \"BillingPeriodEnd\" as billing_period_end, \
                \"BillingPeriodStart\" as charge_period_start, \"BillingPeriodEnd\" as charge_period_end",
        judged: "",
        listed: &[("billing_period_status", &["Open", "Closed"])],
    },
    DataSet {
        name: "focus_invoice_detail",
        role: "statement",
        table: &PROVIDER_INVOICES,
        title: "FOCUS 1.4 Invoice Detail",
        named: &[],
        detect: &["InvoiceDetailId", "InvoiceIssueStatus"],
        place: "\"BilledCost\" as billed_cost, \"BilledCost\" as effective_cost, \"BillingAccountId\" as billing_account_id, \
                \"BillingCurrency\" as billing_currency, \"ChargeCategory\" as charge_category, \
                \"InvoiceIssuerName\" as provider_name, \"BillingPeriodStart\" as billing_period_start, \"BillingPeriodEnd\" as billing_period_end, \
                \"BillingPeriodStart\" as charge_period_start, \"BillingPeriodEnd\" as charge_period_end",
        judged: "",
        listed: &[("invoice_issue_status", &["Open", "Issued", "Voided"]), ("charge_category", CATEGORIES)],
    },
    DataSet {
        name: "focus_contract_commitment",
        role: "reference",
        table: &CONTRACT_COMMITMENTS,
        title: "FOCUS 1.4 Contract Commitment",
        named: &[],
        detect: &["ContractCommitmentId", "ContractCommitmentPeriodStart"],
        place: "'0' as billed_cost, '0' as effective_cost, '' as billing_account_id, '' as billing_currency, 'Purchase' as charge_category, \
                \"InvoiceIssuerName\" as provider_name, \
                \"ContractCommitmentPeriodStart\" as charge_period_start, \"ContractCommitmentPeriodEnd\" as charge_period_end",
        judged: "",
        listed: &[
            ("contract_commitment_category", &["Spend", "Usage"]),
            ("contract_commitment_benefit_category", &["Discount", "Entitlement", "Availability", "Other"]),
            (
                "contract_commitment_lifecycle_status",
                &["Proposed", "Pending", "Active", "Exhausted", "Expired", "Canceled", "Superseded"],
            ),
            ("contract_commitment_model", &["Continuous", "Discontinuous"]),
            ("contract_commitment_offer_category", &["Negotiated", "Public"]),
            (
                "contract_commitment_fulfillment_interval",
                &[
                    "Hourly",
                    "Daily",
                    "Weekly",
                    "Monthly",
                    "Quarterly",
                    "Semi-Annual",
                    "Annual",
                    "Full Period",
                    "Transactional",
                    "Custom",
                ],
            ),
            (
                "contract_commitment_payment_interval",
                &["One-Time", "Monthly", "Quarterly", "Semi-Annual", "Annual", "Custom"],
            ),
            ("contract_commitment_payment_model", &["No Upfront", "Partial Upfront", "All Upfront"]),
        ],
    },
    DataSet {
        name: "opencost_allocation",
        role: "statement",
        table: &KUBERNETES_ALLOCATIONS,
        title: "OpenCost Allocation",
        named: OPENCOST,
        detect: &["window.start", "cpuCoreHours", "ramByteHours"],
        place: "'0' as billed_cost, '0' as effective_cost, cast(null as varchar) as billing_account_id, '' as billing_currency, 'Usage' as charge_category, \
                \"properties.cluster\" as provider_name, \"window.start\" as charge_period_start, \"window.end\" as charge_period_end",
        judged: OPENCOST_JUDGED,
        listed: &[],
    },
    DataSet {
        name: "metrics",
        role: "statement",
        table: &METRICS,
        title: "Metrics",
        named: NAMED_METRICS,
        detect: &["driver", "node_id", "quantity", "valid_from", "valid_to"],
        place: "'0' as billed_cost, '0' as effective_cost, cast(null as varchar) as billing_account_id, '' as billing_currency, 'Usage' as charge_category, \
                \"driver\" as provider_name, \"valid_from\" as charge_period_start, \"valid_to\" as charge_period_end",
        judged: METRICS_JUDGED,
        listed: &[],
    },
];

impl DataSet {
    /// Names of the data sets, as sources.
    pub fn names() -> impl Iterator<Item = &'static str> {
        DATA_SETS.iter().map(|set| set.name)
    }

    fn needed(&self) -> impl Iterator<Item = &'static RefColumn> {
        self.table.said().filter(|column| is_needed(column))
    }

    pub(super) fn missing(&self, header: &HeaderNames) -> Vec<String> {
        let needed = self.needed().map(|column| self.name_of(column.name));
        needed.filter(|column| !header.has(column, &[])).collect()
    }

    pub(super) fn fits(&self, header: &HeaderNames) -> bool {
        let is_usage = header.has("ChargePeriodStart", &[]);
        !is_usage && self.detect.iter().all(|column| header.has(column, &[]))
    }

    /// The mapping that reads it: every column as text, and what tells where a row belongs.
    pub(super) fn source(&self) -> Result<Source, LandingError> {
        let mut sql = format!("-- source: {}\n-- title: {}\n-- role: reference\n", self.name, self.title);
        let needed: Vec<String> = self.needed().map(|column| self.name_of(column.name)).collect();
        let amounts = self.table.said().filter(|column| column.kind == RefType::Decimal);
        let amounts: Vec<String> = amounts.map(|column| self.name_of(column.name)).collect();
        let _ = writeln!(sql, "-- detect: {}\n-- nulls: NULL, (null)\n-- timestamps: iso", needed.join(", "));
        if !amounts.is_empty() {
            let _ = writeln!(sql, "-- numbers: {}", amounts.join(", "));
        }
        if amounts.iter().any(|column| column == "BilledCost") {
            sql.push_str("-- conserved: billed_cost = BilledCost\n");
        }
        sql.push_str("-- nullable: billing_account_id\n--\nselect\n");
        for column in self.table.said() {
            let _ = writeln!(sql, "    \"{}\" as x_{},", self.name_of(column.name), column.name);
        }
        let _ = writeln!(sql, "{}    {}\nfrom source", self.judged, self.place);
        Source::parse(self.name, &sql)
    }

    /// The conditions on the columns of a header.
    pub(super) fn checks(&self, header: &HeaderNames) -> Vec<(usize, Check)> {
        let mut checks = Vec::new();
        for column in self.table.said() {
            let Ok(Some(at)) = header.find(&self.name_of(column.name), &[]) else { continue };
            if is_needed(column) {
                checks.push((at, Check::Present));
                checks.extend(self.values_of(column).map(|values| (at, Check::OneOf(values))));
            }
            match column.kind {
                RefType::Instant => checks.push((at, Check::Time)),
                RefType::Json => checks.push((at, Check::Json)),
                RefType::Text | RefType::Int | RefType::Decimal | RefType::Bool => {}
            }
        }
        checks
    }

    /// What a column is called in a file.
    pub(super) fn name_of(&self, column: &str) -> String {
        let own = self.named.iter().find(|(name, _)| *name == column);
        own.map_or_else(|| focus_name(column), |(_, named)| (*named).to_owned())
    }

    pub(super) fn values_of(&self, column: &RefColumn) -> Option<&'static [&'static str]> {
        self.listed.iter().find(|(name, _)| *name == column.name).map(|(_, values)| *values)
    }
}

/// Whether a row without a value in the column cannot be kept.
fn is_needed(column: &RefColumn) -> bool {
    !column.nullable && column.name != OWNER.name
}

/// `invoice_detail_id` is `InvoiceDetailId`.
fn focus_name(column: &str) -> String {
    column
        .split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        let model: Json =
            serde_json::from_str(include_str!("../../../../data/reference/focus_data_sets.json")).expect("JSON");
        for set in &DATA_SETS {
            let Some(title) = set.title.strip_prefix("FOCUS 1.4 ") else { continue };
            let listed = model[title].as_object().expect(set.title);
            let mut expected: Vec<&String> = listed.keys().collect();
            let mut said: Vec<String> = set.table.said().map(|column| focus_name(column.name)).collect();
            expected.sort();
            said.sort();
            assert_eq!(said.iter().collect::<Vec<_>>(), expected, "{}", set.name);
            for column in set.table.said() {
                let model = &listed[&focus_name(column.name)];
                let kind = match column.kind {
                    RefType::Decimal => "Decimal",
                    RefType::Instant => "Date/Time",
                    RefType::Json => "JSON",
                    RefType::Text | RefType::Int | RefType::Bool => "String",
                };
                assert_eq!(model["type"], kind, "{}", column.name);
                let values: Option<Vec<&str>> = set.values_of(column).map(<[_]>::to_vec);
                assert_eq!(model["values"], serde_json::json!(values), "{}", column.name);
            }
        }
    }
}
