//! What a provider says beside cost and usage: its billing periods, its invoices and what was committed (FOCUS 1.4), what
//! OpenCost measured of a cluster, and metrics of businesses and applications.
//!
//! A table's columns are those of the FOCUS data set in snake_case and then where a row came from. A row lives until a newer
//! delivery says something else of the same *unit*: a period, an invoice, a commitment, a window of a cluster, a quantity. What the
//! values mean is the reader's business; this module keeps them, in the table's column order.

use std::collections::BTreeMap;

use super::tx::{Tx, Value};
use super::{CatalogError, Commit, RefColumn, RefType};

/// A table of what providers say.
#[derive(Debug)]
pub struct ProviderTable {
    /// Its name in the catalog.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: &'static [RefColumn],
    /// The columns that name a unit, which a newer delivery replaces whole.
    pub unit: &'static [&'static str],
    /// Of tables whose units are stretches of time: the columns of the unit in which that begins and ends. Units of one thing do
    /// not overlap.
    pub window: Option<(&'static str, &'static str)>,
    /// The columns that name a row.
    pub key: &'static [&'static str],
}

const fn column(name: &'static str, kind: RefType, nullable: bool, comment: &'static str) -> RefColumn {
    RefColumn { name, kind, nullable, default: None, comment }
}

const fn text(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Text, true, comment)
}

const fn required(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Text, false, comment)
}

const fn amount(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Decimal, true, comment)
}

const fn instant(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Instant, true, comment)
}

const fn required_instant(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Instant, false, comment)
}

const fn json(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Json, true, comment)
}

const fn origin(name: &'static str, comment: &'static str) -> RefColumn {
    column(name, RefType::Int, false, comment)
}

const BILLING_PERIOD: RefColumn = required("billing_period", "The month in which the period starts, such as 2026-10.");
const DELIVERY: RefColumn = origin("delivery_id", "The delivery it came with.");
const FILE: RefColumn = origin("source_file", "The part file, from 0.");
const ROW: RefColumn = origin("source_row", "The row of the part file.");

/// Whose a row is, in tables of which owners have rows of their own. A file need not say: what it leaves out is the root's.
pub const OWNER: RefColumn =
    required("owner_node_id", "Whose pools and views use it; the root if the file does not say.");

/// FOCUS *Billing Period*.
pub static PROVIDER_BILLING_PERIODS: ProviderTable = ProviderTable {
    name: "provider_billing_period",
    columns: &[
        required("invoice_issuer_name", "Who issues the invoices of the period."),
        required_instant("billing_period_start", "From this instant (inclusive), UTC."),
        required_instant("billing_period_end", "Until this instant (exclusive), UTC."),
        required("billing_period_status", "Open while the provider may still add charges, then Closed."),
        instant("billing_period_created", "When the provider made the period."),
        instant("billing_period_last_updated", "When the provider last changed it."),
        BILLING_PERIOD,
        DELIVERY,
        FILE,
        ROW,
    ],
    unit: &["invoice_issuer_name", "billing_period_start"],
    window: None,
    key: &["invoice_issuer_name", "billing_period_start"],
};

/// FOCUS *Invoice Detail*.
pub static PROVIDER_INVOICES: ProviderTable = ProviderTable {
    name: "provider_invoice",
    columns: &[
        required("invoice_issuer_name", "Who issued the invoice."),
        required("billing_account_id", "The provider's billing account that it bills."),
        required("invoice_id", "The provider's number of the invoice."),
        required("invoice_detail_id", "The line of the invoice; cost and usage names it as invoice_detail_id."),
        required_instant("billing_period_start", "Start of the billing period (inclusive), UTC."),
        required_instant("billing_period_end", "End of the billing period (exclusive), UTC."),
        required("charge_category", "Usage, Purchase, Tax, Credit or Adjustment."),
        column("billed_cost", RefType::Decimal, false, "What the line bills, in billing_currency."),
        required("billing_currency", "Currency of billed_cost."),
        required("invoice_issue_status", "Open until it is issued, then Issued; Voided when it was withdrawn."),
        instant("invoice_issue_date", "When it was issued."),
        instant("invoice_detail_created", "When the provider made the line."),
        instant("invoice_detail_last_updated", "When the provider last changed the line."),
        text("invoice_detail_description", "What the provider calls the line."),
        json("invoice_detail_grain", "By what the provider grouped cost and usage into the line, a JSON object."),
        text("payment_currency", "Currency in which it is paid, where that is another."),
        amount("payment_currency_billed_cost", "What the line bills, in payment_currency."),
        text("payment_currency_invoice_detail_id", "The line in the payment currency."),
        instant("payment_due_date", "When it is due."),
        text("payment_terms", "The terms of payment."),
        text("purchase_order_number", "The purchase order that it names."),
        text("reference_invoice_id", "The invoice that it corrects or belongs to; its own number if none."),
        BILLING_PERIOD,
        DELIVERY,
        FILE,
        ROW,
    ],
    unit: &["invoice_issuer_name", "billing_account_id", "invoice_id"],
    window: None,
    key: &["invoice_issuer_name", "billing_account_id", "invoice_id", "invoice_detail_id"],
};

/// FOCUS *Contract Commitment*.
pub static CONTRACT_COMMITMENTS: ProviderTable = ProviderTable {
    name: "contract_commitment",
    columns: &[
        required("contract_commitment_id", "Identifies the commitment; cost and usage names it in contract_applied."),
        required("contract_id", "The contract that it is part of."),
        required("invoice_issuer_name", "Who invoices it."),
        required("service_provider_name", "Whose services it is for."),
        required_instant("contract_commitment_period_start", "From this instant it holds (inclusive), UTC."),
        required_instant("contract_commitment_period_end", "Until this instant it holds (exclusive), UTC."),
        instant("contract_period_start", "Start of the contract (inclusive), UTC."),
        instant("contract_period_end", "End of the contract (exclusive), UTC."),
        text("contract_commitment_category", "Spend or Usage."),
        text("contract_commitment_type", "What the provider calls its kind, such as Savings Plan."),
        text(
            "contract_commitment_lifecycle_status",
            "Proposed, Pending, Active, Exhausted, Expired, Canceled or Superseded.",
        ),
        amount("contract_commitment_cost", "What is committed, in billing_currency."),
        text("billing_currency", "Currency of contract_commitment_cost."),
        amount("contract_commitment_quantity", "How much is committed, in contract_commitment_unit."),
        text("contract_commitment_unit", "Of what."),
        json("contract_commitment_applicability", "What it applies to, a JSON object."),
        text("contract_commitment_benefit_category", "Discount, Entitlement, Availability or Other."),
        amount("contract_commitment_discount_percentage", "The discount in per cent."),
        text("contract_commitment_description", "What the provider calls it."),
        text("contract_commitment_duration_type", "How long it holds, such as 1 Year."),
        text("contract_commitment_fulfillment_interval", "Over what interval it has to be fulfilled."),
        text("contract_commitment_model", "Continuous or Discontinuous."),
        text("contract_commitment_offer_category", "Negotiated or Public."),
        text("contract_commitment_payment_interval", "How often it is paid."),
        text("contract_commitment_payment_model", "No Upfront, Partial Upfront or All Upfront."),
        amount("contract_commitment_payment_upfront_percentage", "The part that is paid in advance, in per cent."),
        text("pricing_currency", "Currency in which it is priced, where that is another."),
        amount("pricing_currency_contract_commitment_cost", "What is committed, in pricing_currency."),
        instant("contract_commitment_created", "When the provider made it."),
        instant("contract_commitment_last_updated", "When the provider last changed it."),
        DELIVERY,
        FILE,
        ROW,
    ],
    unit: &["service_provider_name", "contract_commitment_id"],
    window: None,
    key: &["service_provider_name", "contract_commitment_id"],
};

/// OpenCost *Allocation*: how much of a node of a Kubernetes cluster something used in a window of time. Its costs are estimates
/// in floats: weights, not money.
pub static KUBERNETES_ALLOCATIONS: ProviderTable = ProviderTable {
    name: "kubernetes_allocation",
    columns: &[
        required("cluster", "The cluster."),
        required_instant("window_start", "Measured from this instant (inclusive), UTC."),
        required_instant("window_end", "Measured until this instant (exclusive), UTC."),
        required("name", "What OpenCost calls the row; what nobody used of a node has __idle__ in it."),
        text("node", "The node of the cluster."),
        text("provider_id", "The provider's id of that node's machine, which cost and usage name as resource_id."),
        text("namespace", "The namespace."),
        text("controller_kind", "What runs the pod: deployment, job ..."),
        text("controller", "The name of that."),
        text("pod", "The pod."),
        text("container", "The container."),
        json("labels", "The labels, a JSON object of texts."),
        amount("minutes", "How long it ran in the window."),
        amount("cpu_core_hours", "Driver of that name: cores, requested or used, whichever is more, times hours."),
        amount("cpu_core_request_average", "Cores that were requested, the average of its minutes."),
        amount("ram_byte_hours", "Driver of that name: bytes, requested or used, whichever is more, times hours."),
        amount("ram_byte_request_average", "Bytes that were requested, the average of its minutes."),
        amount("gpu_hours", "Driver of that name: GPUs times hours."),
        amount(
            "cpu_cost",
            "What OpenCost reckons for the cores; with those of memory and GPUs the driver allocation_cost. A weight, not money.",
        ),
        amount("ram_cost", "What it reckons for memory."),
        amount("gpu_cost", "What it reckons for GPUs."),
        DELIVERY,
        FILE,
        ROW,
    ],
    unit: &["cluster", "window_start", "window_end"],
    window: Some(("window_start", "window_end")),
    key: &["cluster", "window_start", "window_end", "node", "name"],
};

/// Metrics of businesses and applications: how much of something a node used in a time, as rows of `ref.drivers` say it.
pub static METRICS: ProviderTable = ProviderTable {
    name: "metric",
    columns: &[
        OWNER,
        required("driver", "What is measured, as in ref.drivers: orders, requests, seats_in_use, cpu_pct ..."),
        required("node_id", "Whose use it is: the owner or a node below it."),
        text("resource_id", "The one resource that was used; null: whatever has no quantities of its own."),
        column("quantity", RefType::Decimal, false, "How much was used from valid_from to valid_to; not negative."),
        required_instant("valid_from", "Measured from this instant (inclusive), UTC."),
        required_instant("valid_to", "Measured until this instant (exclusive), UTC."),
        DELIVERY,
        FILE,
        ROW,
    ],
    unit: &["owner_node_id", "driver", "node_id", "resource_id", "valid_from", "valid_to"],
    window: Some(("valid_from", "valid_to")),
    key: &["owner_node_id", "driver", "node_id", "resource_id", "valid_from", "valid_to"],
};

/// What became of the units of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitCounts {
    /// Units that the delivery says something new of.
    pub replaced: usize,
    /// Units of which a newer delivery has spoken already.
    pub stale: usize,
    /// Units of which it speaks of a part only.
    pub torn: usize,
}

impl ProviderTable {
    /// All of them.
    pub fn all() -> [&'static Self; 5] {
        [&PROVIDER_BILLING_PERIODS, &PROVIDER_INVOICES, &CONTRACT_COMMITMENTS, &KUBERNETES_ALLOCATIONS, &METRICS]
    }

    /// The columns that the data set itself has.
    pub fn said(&self) -> impl Iterator<Item = &'static RefColumn> + '_ {
        let derived = [BILLING_PERIOD.name, DELIVERY.name, FILE.name, ROW.name];
        self.columns.iter().filter(move |column| !derived.contains(&column.name))
    }

    pub(super) fn column_list(&self) -> String {
        self.columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
    }

    /// The values of a row in some columns.
    pub fn values_of<'a>(&self, row: &'a [Value], columns: &[&str]) -> Vec<&'a Value> {
        let at = |name: &str| self.columns.iter().position(|column| column.name == name);
        columns.iter().filter_map(|name| row.get(at(name)?)).collect()
    }
}

/// Makes the tables of a new catalog.
pub(super) fn create_tables(tx: &dyn Tx) -> Result<(), CatalogError> {
    for ProviderTable { name, columns, unit, .. } in ProviderTable::all() {
        let columns: String = columns
            .iter()
            .map(|c| {
                let stored = match c.kind {
                    RefType::Int | RefType::Bool => "bigint",
                    RefType::Text | RefType::Decimal | RefType::Instant | RefType::Json => "text",
                };
                format!("{} {stored}{}, ", c.name, if c.nullable { "" } else { " not null" })
            })
            .collect();
        let table = format!(
            "create table {name} ({columns}begin_snapshot bigint not null, end_snapshot bigint, primary key (delivery_id, source_file, source_row))"
        );
        tx.execute(&table, &[])?;
        tx.execute(&format!("create index {name}_by_unit on {name} ({})", unit.join(", ")), &[])?;
        tx.execute(&format!("create index {name}_by_begin on {name} (begin_snapshot)"), &[])?;
        tx.execute(&format!("create index {name}_by_end on {name} (end_snapshot)"), &[])?;
    }
    Ok(())
}

impl Commit<'_> {
    /// Lists the rows of a delivery in place of what older deliveries said of the same units.
    ///
    /// Units of which a delivery with a later `sequence` has spoken are counted and left alone. Units that are stretches of time also
    /// end those of other lengths that they cover together.
    pub fn replace_provider_rows(
        &self,
        table: &ProviderTable,
        rows: &[Vec<Value>],
        sequence: &str,
    ) -> Result<UnitCounts, CatalogError> {
        let ProviderTable { name, columns, unit, .. } = table;
        let is_unit = is_same(unit);
        let newest = format!(
            "select max(d.sequence) from {name} p join delivery d on d.delivery_id = p.delivery_id where p.end_snapshot is null{is_unit}"
        );
        let end =
            format!("update {name} as p set end_snapshot = ?{} where end_snapshot is null{is_unit}", unit.len() + 1);
        let marks: String = (1..=columns.len()).map(|n| format!("?{n}, ")).collect();
        let insert = format!("insert into {name} values ({marks}?{}, null)", columns.len() + 1);
        let mut by_unit: BTreeMap<Vec<&Value>, Vec<&Vec<Value>>> = BTreeMap::new();
        for row in rows {
            if row.len() != columns.len() {
                return Err(CatalogError::Malformed { what: "provider row" });
            }
            by_unit.entry(table.values_of(row, unit)).or_default().push(row);
        }
        let with_snapshot = |values: Vec<Value>| values.into_iter().chain([self.snapshot.into()]).collect::<Vec<_>>();
        let mut counts = UnitCounts { replaced: 0, stale: 0, torn: 0 };
        self.end_covered_units(table, by_unit.keys(), sequence, &mut counts)?;
        for (named, told) in by_unit {
            let named: Vec<Value> = named.into_iter().cloned().collect();
            let held = self.tx.row(&newest, &named)?;
            let held = held.map(|row| row.opt_text(0).map(|text| text.map(str::to_owned))).transpose()?.flatten();
            if held.is_some_and(|held| held.as_str() > sequence) {
                counts.stale += 1;
                continue;
            }
            self.tx.execute(&end, &with_snapshot(named))?;
            for row in told {
                self.tx.execute(&insert, &with_snapshot(row.clone()))?;
            }
            counts.replaced += 1;
        }
        Ok(counts)
    }

    /// Ends the units whose time is that of several units of a delivery, or a part of the time of one.
    fn end_covered_units<'a>(
        &self,
        table: &ProviderTable,
        units: impl Iterator<Item = &'a Vec<&'a Value>>,
        sequence: &str,
        counts: &mut UnitCounts,
    ) -> Result<(), CatalogError> {
        let Some((start, end)) = table.window else { return Ok(()) };
        let things: Vec<&str> = table.unit.iter().copied().filter(|column| ![start, end].contains(column)).collect();
        let is_thing = is_same(&things);
        let (from, until) = (things.len() + 1, things.len() + 2);
        let held = format!(
            "select p.{start}, p.{end}, max(d.sequence) from {name} p join delivery d on d.delivery_id = p.delivery_id \
             where p.end_snapshot is null{is_thing} and p.{start} < ?{until} and p.{end} > ?{from} group by p.{start}, p.{end}",
            name = table.name
        );
        let ended = format!(
            "update {} as p set end_snapshot = ?{} where end_snapshot is null{is_thing} and {start} = ?{from} and {end} = ?{until}",
            table.name,
            until + 1
        );
        let at = |column: &str| table.unit.iter().position(|name| *name == column);
        let mut windows: BTreeMap<Vec<Value>, Vec<(&str, &str)>> = BTreeMap::new();
        for unit in units {
            let text =
                |column| at(column).and_then(|at| unit.get(at)).and_then(|value| value.as_text()).unwrap_or_default();
            let thing =
                things.iter().filter_map(|column| unit.get(at(column)?).map(|value| (*value).clone())).collect();
            windows.entry(thing).or_default().push((text(start), text(end)));
        }
        for (thing, mut told) in windows {
            told.sort_unstable();
            let parameters = |from: &str, until: &str| [thing.clone(), vec![from.into(), until.into()]].concat();
            let first = told.first().map_or("", |window| window.0);
            let last = told.iter().map(|window| window.1).max().unwrap_or_default();
            for row in self.tx.rows(&held, &parameters(first, last))? {
                let (from, until) = (row.text(0)?, row.text(1)?);
                // Those of one delivery do not overlap: their ends are in order, too.
                let overlapping =
                    told.partition_point(|window| window.1 <= from)..told.partition_point(|window| window.0 < until);
                let overlapping = told.get(overlapping).unwrap_or_default();
                if overlapping.is_empty() || overlapping.contains(&(from, until)) {
                    continue;
                }
                if !is_covered((from, until), overlapping) {
                    counts.torn += 1;
                } else if row.opt_text(2)?.is_some_and(|held| held > sequence) {
                    counts.stale += 1;
                } else {
                    let parameters = [parameters(from, until), vec![self.snapshot.into()]].concat();
                    self.tx.execute(&ended, &parameters)?;
                }
            }
        }
        Ok(())
    }

    /// Ends the rows in quarantine that delivery `delivery_id` of a provider's data set settles: those of older deliveries of the
    /// same file (by name or content), and those whose period of an account it says something of.
    pub fn settle_provider_rejects(&self, table: &ProviderTable, delivery_id: i64) -> Result<(), CatalogError> {
        let has = |name: &str| table.columns.iter().any(|column| column.name == name);
        let same_place = match has("billing_account_id") && has("billing_period") {
            false => String::new(),
            true => format!(
                " or exists (select 1 from {} p where p.delivery_id = n.delivery_id and p.invoice_issuer_name = rejected_row.provider_name \
                 and p.billing_account_id = rejected_row.billing_account_id and p.billing_period = rejected_row.billing_period)",
                table.name
            ),
        };
        let sql = format!(
            "update rejected_row set end_snapshot = ?1 where end_snapshot is null and exists (\
             select 1 from delivery d join delivery n on n.source = d.source and n.delivery_id = ?2 \
             where d.delivery_id = rejected_row.delivery_id and n.state <> 'stale' \
             and (n.sequence, n.delivery_id) > (d.sequence, d.delivery_id) \
             and (d.name = n.name or d.content_hash = n.content_hash{same_place}))"
        );
        self.tx.execute(&sql, &[self.snapshot.into(), delivery_id.into()])?;
        Ok(())
    }
}

/// Conditions that columns of `p` are the first parameters, or null where these are.
fn is_same(columns: &[&str]) -> String {
    columns.iter().zip(1..).map(|(column, n)| format!(" and p.{column} is not distinct from ?{n}")).collect()
}

/// Whether windows, in their order, leave nothing out between two instants.
fn is_covered((from, until): (&str, &str), windows: &[(&str, &str)]) -> bool {
    let mut reached = from;
    for (begins, ends) in windows {
        if *begins > reached {
            break;
        }
        reached = reached.max(*ends);
    }
    reached >= until
}
