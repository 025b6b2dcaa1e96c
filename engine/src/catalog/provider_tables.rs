//! What a provider says beside cost and usage: its billing periods, its invoices and what was committed (FOCUS 1.4).
//!
//! A table's columns are those of the FOCUS data set in snake_case and then where a row came from. A row lives until a newer
//! delivery says something else of the same *unit*: a period, an invoice, a commitment. What the values mean is the reader's
//! business; this module keeps them, in the table's column order.

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
    key: &["service_provider_name", "contract_commitment_id"],
};

/// What became of the units of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitCounts {
    /// Units that the delivery says something new of.
    pub replaced: usize,
    /// Units of which a newer delivery has spoken already.
    pub stale: usize,
}

impl ProviderTable {
    /// All of them.
    pub fn all() -> [&'static Self; 3] {
        [&PROVIDER_BILLING_PERIODS, &PROVIDER_INVOICES, &CONTRACT_COMMITMENTS]
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
    /// Units of which a delivery with a later `sequence` has spoken are counted and left alone.
    pub fn replace_provider_rows(
        &self,
        table: &ProviderTable,
        rows: &[Vec<Value>],
        sequence: &str,
    ) -> Result<UnitCounts, CatalogError> {
        let ProviderTable { name, columns, unit, .. } = table;
        let is_unit: String = unit.iter().zip(1..).map(|(column, n)| format!(" and {column} = ?{n}")).collect();
        let newest = format!(
            "select max(d.sequence) from {name} p join delivery d on d.delivery_id = p.delivery_id where p.end_snapshot is null{is_unit}"
        );
        let end = format!("update {name} set end_snapshot = ?{} where end_snapshot is null{is_unit}", unit.len() + 1);
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
        let mut counts = UnitCounts { replaced: 0, stale: 0 };
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
