//! Documents: a stored invoice as a reader gets it, rendered from one set of figures in every format.

mod export;
mod html;
mod money;
mod trend;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use html::Renderer;
pub use trend::TrendPoint;

use super::error::BillingError;
use super::{lines, minor_digits, nodes};
use crate::catalog::{CatalogError, Row, SnapshotId, Tx};
use crate::period::BillingPeriod;

/// In what form a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentFormat {
    /// A page for people, from a template.
    Html,
    /// One row a line.
    Csv,
    /// Everything, amounts as text.
    Json,
}

impl DocumentFormat {
    /// The ending of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// Seller or buyer of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Party {
    /// Its node.
    pub node_id: String,
    /// What people call it.
    pub name: String,
}

/// A line of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentLine {
    /// Its position, from 1.
    pub line_no: i64,
    /// `usage`, `licence`, `labour`, `fee`, `adjustment`, `credit`, `tax` or `rounding`.
    pub kind: String,
    /// The provider's service.
    pub service_name: Option<String>,
    /// Usage, Purchase, Tax, Credit or Adjustment.
    pub charge_category: Option<String>,
    /// What it is for.
    pub description: String,
    /// How much, where one unit covers the line.
    pub quantity: Option<String>,
    /// Of what.
    pub unit: Option<String>,
    /// In the document's currency, with its minor digits.
    pub amount: String,
    /// The same for people, with thousands separated.
    pub amount_text: String,
}

/// What a service comes to on a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceTotal {
    /// The service.
    pub service_name: String,
    /// The sum of its lines but credits and taxes.
    pub amount: String,
    /// The same for people.
    pub amount_text: String,
}

/// An invoice or note as a reader gets it. It holds what the buyer pays and nothing of what the seller does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Its number.
    pub number: String,
    /// `invoice`, `credit_note` or `debit_note`.
    pub document_type: String,
    /// What people call that: Invoice, Credit note or Debit note.
    pub title: &'static str,
    /// Of a note: the number of the invoice that it corrects.
    pub corrects_number: Option<String>,
    /// Of a note: why.
    pub reason: Option<String>,
    /// `draft`, `approved`, `issued`, `paid` or `disputed`.
    pub status: String,
    /// Who sells.
    pub seller: Party,
    /// Who buys.
    pub buyer: Party,
    /// The billing period, `2026-10`.
    pub billing_period: String,
    /// Its first day.
    pub period_start: String,
    /// Its last day.
    pub period_end: String,
    /// ISO 4217 code of every amount.
    pub currency: String,
    /// The day of issue; none before.
    pub issued_on: Option<String>,
    /// When it is due; none before issue.
    pub due_date: Option<String>,
    /// Sum of the lines but credits, taxes and rounding.
    pub subtotal: String,
    /// Sum of the credit lines, negative.
    pub credits: String,
    /// Sum of the tax lines.
    pub tax: String,
    /// The rounding line, zero where there is none.
    pub rounding: String,
    /// What is to be paid.
    pub total: String,
    /// The five sums for people, by the same names.
    pub text: HashMap<&'static str, String>,
    /// Sums by service, in the order of their amounts.
    pub services: Vec<ServiceTotal>,
    /// The lines.
    pub lines: Vec<DocumentLine>,
    /// What the buyer was invoiced by the seller in the months before, and here; empty where there is nothing to compare.
    pub trend: Vec<TrendPoint>,
    /// The hash of its content.
    pub content_hash: String,
}

const HEADING: &str = "i.invoice_id, i.number, i.status, i.seller_node_id, i.buyer_node_id, i.billing_period, i.currency, \
    i.issued_at, i.due_date, i.subtotal, i.credits, i.tax, i.total, i.content_hash, i.document_type, i.corrects_number, i.reason";

impl Document {
    /// The document of a number, read at the catalog's newest snapshot.
    ///
    /// # Errors
    /// [`BillingError::NoInvoice`] when there is none.
    pub fn by_number(tx: &dyn Tx, number: &str) -> Result<Self, BillingError> {
        let sql = format!("select {HEADING} from invoice i where i.number = ?1 and i.end_snapshot is null");
        match tx.row(&sql, &[number.into()])? {
            Some(row) => load(tx, &row, crate::catalog::head(tx)?),
            None => Err(BillingError::NoInvoice { number: number.to_owned() }),
        }
    }

    /// The documents of a period, by seller and buyer.
    pub fn of_period(tx: &dyn Tx, period: BillingPeriod) -> Result<Vec<Self>, BillingError> {
        let sql = format!(
            "select {HEADING} from invoice i where i.billing_period = ?1 and i.end_snapshot is null \
             order by i.seller_node_id, i.buyer_node_id, i.currency, i.number"
        );
        let head = crate::catalog::head(tx)?;
        tx.rows(&sql, &[period.to_string().into()])?.iter().map(|row| load(tx, row, head)).collect()
    }

    /// Where a document of a period is written below a folder: `seller/buyer/0001.html`.
    pub fn relative_path(&self, format: DocumentFormat) -> PathBuf {
        PathBuf::from(format!("{}.{}", self.number, format.extension()))
    }
}

fn load(tx: &dyn Tx, heading: &Row, snapshot: SnapshotId) -> Result<Document, BillingError> {
    let text = |at| heading.text(at).map(str::to_owned);
    let currency = text(6)?;
    let digits = minor_digits(&currency);
    let period: BillingPeriod = heading.text(5)?.parse()?;
    let nodes = nodes::at_end(tx, snapshot, period)?;
    let party = |node_id: String| {
        let name = nodes.get(&node_id).map_or_else(|| node_id.clone(), |node| node.name.clone());
        Party { node_id, name }
    };
    let lines = load_lines(tx, heading.text(0)?, digits)?;
    let mut document = Document {
        number: text(1)?,
        title: title(heading.text(14)?),
        document_type: text(14)?,
        corrects_number: heading.opt_text(15)?.map(str::to_owned),
        reason: heading.opt_text(16)?.map(str::to_owned),
        status: text(2)?,
        seller: party(text(3)?),
        buyer: party(text(4)?),
        billing_period: period.to_string(),
        period_start: period.first_day().to_string(),
        period_end: period.last_day().to_string(),
        issued_on: heading.opt_text(7)?.map(day),
        due_date: heading.opt_text(8)?.map(day),
        subtotal: text(9)?,
        credits: text(10)?,
        tax: text(11)?,
        rounding: money::sum(
            lines.iter().filter(|line| line.kind == "rounding").map(|line| line.amount.as_str()),
            digits,
        )?,
        total: text(12)?,
        text: HashMap::new(),
        services: service_totals(&lines, digits)?,
        content_hash: text(13)?,
        currency,
        lines,
        trend: Vec::new(),
    };
    for (name, amount) in [
        ("subtotal", &document.subtotal),
        ("credits", &document.credits),
        ("tax", &document.tax),
        ("rounding", &document.rounding),
        ("total", &document.total),
    ] {
        document.text.insert(name, money::grouped(amount));
    }
    check(&document, digits)?;
    document.trend = trend::of(tx, &document, heading.opt_text(7)?, digits)?;
    Ok(document)
}

/// What people call a type of document.
fn title(document_type: &str) -> &'static str {
    match document_type {
        "credit_note" => "Credit note",
        "debit_note" => "Debit note",
        _ => "Invoice",
    }
}

/// The day of an RFC 3339 instant.
fn day(instant: &str) -> String {
    instant.chars().take(10).collect()
}

/// A document whose lines do not add up is not shown to anybody.
fn check(document: &Document, digits: u8) -> Result<(), BillingError> {
    let listed = money::sum(document.lines.iter().map(|line| line.amount.as_str()), digits)?;
    if listed == document.total {
        return Ok(());
    }
    Err(BillingError::Altered { number: document.number.clone() })
}

fn load_lines(tx: &dyn Tx, invoice_id: &str, digits: u8) -> Result<Vec<DocumentLine>, BillingError> {
    let mut lines = Vec::new();
    for (fields, line_no) in lines::of_document(tx, invoice_id)?.into_iter().zip(1..) {
        let [kind, service_name, charge_category, description, quantity, unit, amount, _] = fields;
        let missing = || CatalogError::Malformed { what: "line of an invoice" };
        let amount = amount.ok_or_else(missing)?;
        money::parse(&amount, digits).map_err(|_| CatalogError::Malformed { what: "amount of an invoice line" })?;
        lines.push(DocumentLine {
            line_no,
            kind: kind.ok_or_else(missing)?,
            service_name,
            charge_category,
            description: description.ok_or_else(missing)?,
            quantity,
            unit,
            amount_text: money::grouped(&amount),
            amount,
        });
    }
    Ok(lines)
}

/// Sums by service over what makes the subtotal, largest first, ties by name.
fn service_totals(lines: &[DocumentLine], digits: u8) -> Result<Vec<ServiceTotal>, BillingError> {
    let mut sums: HashMap<&str, i128> = HashMap::new();
    for line in lines.iter().filter(|line| !matches!(line.kind.as_str(), "credit" | "tax" | "rounding")) {
        let sum = sums.entry(line.service_name.as_deref().unwrap_or("Other")).or_default();
        *sum = sum.checked_add(money::parse(&line.amount, digits)?).ok_or(BillingError::Overflow)?;
    }
    let mut sums: Vec<(&str, i128)> = sums.into_iter().collect();
    sums.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let total = |(service, amount)| {
        let amount = ratehouse_udfs::decimal::format_decimal(amount, digits);
        ServiceTotal { service_name: str::to_owned(service), amount_text: money::grouped(&amount), amount }
    };
    Ok(sums.into_iter().map(total).collect())
}

/// Writes a document to a file, making its folders.
///
/// # Errors
/// [`BillingError::Template`] for a template that does not render, [`BillingError::Write`] when the file cannot be written.
pub fn write_document(
    document: &Document,
    format: DocumentFormat,
    renderer: &Renderer,
    path: &Path,
) -> Result<(), BillingError> {
    let content = renderer.render(document, format)?;
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, content)
    };
    write().map_err(|source| BillingError::Write { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests;
