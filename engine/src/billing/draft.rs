//! A draft invoice: charges of one edge turned into lines that add up to the total exactly.
//!
//! Every line is rounded by itself, so a credit of 100 stands as -100.00 whatever surrounds it. The total is the sum of the
//! unrounded charges, rounded once. What the two roundings leave between them is a `rounding` line.

use ratehouse_udfs::decimal::{POWERS_OF_TEN, Rounding, SCALE, div_round, format_decimal, format_trimmed};
use sha2::{Digest as _, Sha256};

use super::currency::minor_digits;
use super::edges::{EdgeCharge, EdgeKey};
use super::error::BillingError;
use super::lines::LineFields;
use super::store::Note;
use crate::period::BillingPeriod;

/// What a line of a document is; the order of the variants is the order on the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LineKind {
    /// Usage and purchases.
    Usage,
    /// Seats.
    Licence,
    /// Time entries.
    Labour,
    /// Fixed fees, minimums and shortfalls.
    Fee,
    /// Corrections and adjustments.
    Adjustment,
    /// Credits.
    Credit,
    /// Taxes.
    Tax,
    /// What rounding left over.
    Rounding,
}

impl LineKind {
    /// Its name in `invoice_lines`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Licence => "licence",
            Self::Labour => "labour",
            Self::Fee => "fee",
            Self::Adjustment => "adjustment",
            Self::Credit => "credit",
            Self::Tax => "tax",
            Self::Rounding => "rounding",
        }
    }

    fn of(charge: &EdgeCharge) -> Self {
        match charge.origin.as_str() {
            "licence" => return Self::Licence,
            "labour" => return Self::Labour,
            "fee" | "minimum" | "shortfall" => return Self::Fee,
            "credit" => return Self::Credit,
            "adjustment" => return Self::Adjustment,
            _ => {}
        }
        match charge.charge_category.as_str() {
            "Credit" => Self::Credit,
            "Tax" => Self::Tax,
            "Adjustment" => Self::Adjustment,
            _ if charge.charge_class.as_deref() == Some("Correction") => Self::Adjustment,
            _ => Self::Usage,
        }
    }
}

/// One line; texts are as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: &'static str,
    pub(super) service_name: Option<String>,
    pub(super) charge_category: Option<String>,
    pub(super) description: String,
    /// In minor units of the currency, as text with its digits.
    pub(super) amount: String,
    /// Unrounded.
    pub(super) charges_amount: String,
    /// Of a note: which line of the invoice it corrects, from 1.
    pub(super) corrects_line: Option<i64>,
}

impl Line {
    /// Kind, service, category, description, quantity, unit, amount, unrounded amount.
    pub(super) fn fields(&self) -> [Option<&str>; 8] {
        [
            Some(self.kind),
            self.service_name.as_deref(),
            self.charge_category.as_deref(),
            Some(&self.description),
            None,
            None,
            Some(&self.amount),
            Some(&self.charges_amount),
        ]
    }
}

/// A document before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) key: EdgeKey,
    pub(super) lines: Vec<Line>,
    pub(super) subtotal: String,
    pub(super) tax: String,
    pub(super) credits: String,
    pub(super) rounding: String,
    pub(super) total: String,
    pub(super) charges_total: String,
    /// The unrounded total at scale 18, for the conservation checks.
    pub(super) charges: i128,
    /// The total in the currency's minor unit.
    pub(super) total_minor: i128,
}

#[derive(Default)]
struct Sums {
    subtotal: i128,
    tax: i128,
    credits: i128,
    charges: i128,
}

fn add(sum: &mut i128, amount: i128) -> Result<(), BillingError> {
    *sum = sum.checked_add(amount).ok_or(BillingError::Overflow)?;
    Ok(())
}

/// What an unrounded amount is divided by to count minor units of `digits` digits.
pub(super) fn unit(digits: u8) -> i128 {
    POWERS_OF_TEN[usize::from(SCALE.unsigned_abs().saturating_sub(digits))]
}

/// An unrounded amount as text: all its digits, at least those of the minor unit.
pub(super) fn unrounded(amount: i128, digits: u8) -> String {
    format_trimmed(amount, SCALE.unsigned_abs(), digits)
}

/// Makes the draft of one edge; `mode` is the buyer's.
pub(super) fn draft(key: EdgeKey, charges: Vec<EdgeCharge>, mode: Rounding) -> Result<Draft, BillingError> {
    document(key, charges, mode, None)
}

/// Makes the note of what the charges of an invoice's edge changed by.
pub(super) fn note(
    key: EdgeKey,
    differences: Vec<EdgeCharge>,
    mode: Rounding,
    corrected: &Corrected<'_>,
) -> Result<Draft, BillingError> {
    document(key, differences, mode, Some(corrected))
}

/// An invoice that a note corrects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Corrected<'a> {
    /// Its number.
    pub(super) number: &'a str,
    /// Its lines.
    pub(super) lines: &'a [LineFields],
}

impl Corrected<'_> {
    /// Which of its lines is of a charge that is described so.
    fn line_of(&self, charge: &EdgeCharge, description: &str) -> Option<i64> {
        let is_of = |[_, service, category, text, ..]: &LineFields| {
            *service == charge.service_name
                && category.as_deref() == Some(&charge.charge_category)
                && text.as_deref() == Some(description)
        };
        (1..).zip(self.lines).find(|(_, line)| is_of(line)).map(|(number, _)| number)
    }

    /// What the buyer reads on a line of the note.
    fn describe(&self, line: Option<i64>, what: &str) -> String {
        match line {
            Some(line) => format!("Line {line} of {} corrected: {what}", self.number),
            None => format!("On no line of {}: {what}", self.number),
        }
    }
}

fn document(
    key: EdgeKey,
    charges: Vec<EdgeCharge>,
    mode: Rounding,
    corrected: Option<&Corrected<'_>>,
) -> Result<Draft, BillingError> {
    let digits = minor_digits(&key.currency);
    let round = |amount| div_round(amount, unit(digits), mode).map_err(|_| BillingError::Overflow);
    let charged = charges.into_iter().filter(|charge| charge.amount != 0);
    let mut charges: Vec<(LineKind, EdgeCharge)> = charged.map(|charge| (LineKind::of(&charge), charge)).collect();
    charges.sort_unstable_by(|(a_kind, a), (b_kind, b)| a_kind.cmp(b_kind).then_with(|| order(a).cmp(&order(b))));

    let mut sums = Sums::default();
    let mut lines = Vec::with_capacity(charges.len() + 1);
    for (kind, charge) in charges {
        let billed = if charge.is_billed { charge.amount } else { 0 };
        let amount = round(billed)?;
        add(&mut sums.charges, billed)?;
        match kind {
            LineKind::Tax => add(&mut sums.tax, amount)?,
            LineKind::Credit => add(&mut sums.credits, amount)?,
            LineKind::Usage
            | LineKind::Licence
            | LineKind::Labour
            | LineKind::Fee
            | LineKind::Adjustment
            | LineKind::Rounding => {
                add(&mut sums.subtotal, amount)?;
            }
        }
        let what = describe(&charge, digits, round(charge.amount)?);
        let corrects_line = corrected.and_then(|corrected| corrected.line_of(&charge, &what));
        lines.push(Line {
            // Taxes and credits that a note corrects stay what they are: its sums are those of an invoice.
            kind: match kind {
                LineKind::Tax | LineKind::Credit => kind,
                _ if corrected.is_some() => LineKind::Adjustment,
                _ => kind,
            }
            .name(),
            description: corrected.map_or_else(|| what.clone(), |corrected| corrected.describe(corrects_line, &what)),
            corrects_line,
            amount: format_decimal(amount, digits),
            charges_amount: unrounded(billed, digits),
            service_name: charge.service_name,
            charge_category: Some(charge.charge_category),
        });
    }
    let total = round(sums.charges)?;
    let listed = sums.subtotal.checked_add(sums.tax).and_then(|sum| sum.checked_add(sums.credits));
    let rounding = listed.and_then(|sum| total.checked_sub(sum)).ok_or(BillingError::Overflow)?;
    if rounding != 0 {
        lines.push(Line {
            kind: LineKind::Rounding.name(),
            service_name: None,
            charge_category: None,
            description: "Rounding of the lines to the total".to_owned(),
            corrects_line: None,
            amount: format_decimal(rounding, digits),
            charges_amount: unrounded(0, digits),
        });
    }
    Ok(Draft {
        key,
        lines,
        subtotal: format_decimal(sums.subtotal, digits),
        tax: format_decimal(sums.tax, digits),
        credits: format_decimal(sums.credits, digits),
        rounding: format_decimal(rounding, digits),
        total: format_decimal(total, digits),
        charges_total: unrounded(sums.charges, digits),
        charges: sums.charges,
        total_minor: total,
    })
}

/// The order of lines of a kind: by provider, service and category, so that equal charges make equal documents.
fn order(charge: &EdgeCharge) -> impl Ord + '_ {
    (
        charge.provider_name.as_str(),
        charge.service_name.as_deref(),
        charge.charge_category.as_str(),
        charge.charge_class.as_deref(),
        charge.origin.as_str(),
        charge.is_billed,
        charge.amount,
    )
}

fn describe(charge: &EdgeCharge, digits: u8, amount: i128) -> String {
    let what = match charge.charge_category.as_str() {
        "Usage" => "usage",
        "Purchase" => "purchase",
        "Tax" => "tax",
        "Credit" => "credit",
        "Adjustment" => "adjustment",
        other => other,
    };
    let mut text = match (charge.origin.as_str(), &charge.service_name) {
        ("usage", _) | (_, None) => format!("{} {what}", charge.provider_name),
        ("licence", Some(product)) => format!("Licences of {product}"),
        ("labour", Some(project)) => format!("Hours worked: {project}"),
        ("fee", Some(fee)) => format!("Monthly fee: {fee}"),
        ("minimum", Some(rule)) => format!("Up to the monthly minimum: {rule}"),
        ("shortfall", Some(_)) => "Up to what is committed".to_owned(),
        ("credit", Some(source)) => format!("Credit: {source}"),
        (_, Some(name)) => name.clone(),
    };
    if let Some(class) = &charge.charge_class {
        text += ", ";
        text += &class.to_lowercase();
    }
    if !charge.is_billed {
        text += &format!(" (for information, not billed: {})", format_decimal(amount, digits));
    }
    text
}

/// What is hashed of a document beside its lines.
pub(super) struct Heading<'a> {
    pub(super) number: &'a str,
    pub(super) key: &'a EdgeKey,
    pub(super) period: &'a str,
    pub(super) total: &'a str,
    pub(super) charges_total: &'a str,
    pub(super) note: Option<&'a Note>,
}

/// Hashes a document as `ratehouse-invoice-1`, a note as `ratehouse-note-1` with what makes it one: every text with its length before it, absent ones as a length of their own, so that
/// no two documents have the same bytes.
pub(super) struct ContentHash(Sha256);

impl ContentHash {
    pub(super) fn new(heading: &Heading<'_>) -> Self {
        let mut hash = Self(Sha256::new());
        let key = heading.key;
        for text in [
            if heading.note.is_some() { "ratehouse-note-1" } else { "ratehouse-invoice-1" },
            heading.number,
            &key.seller,
            &key.buyer,
            heading.period,
            &key.currency,
            heading.total,
            heading.charges_total,
        ] {
            hash.text(Some(text));
        }
        if let Some(Note { document_type, corrects, reason }) = heading.note {
            for text in [document_type, corrects, reason] {
                hash.text(Some(text));
            }
        }
        hash
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.0.update((text.len() as u64).to_be_bytes());
                self.0.update(text.as_bytes());
            }
            None => self.0.update(u64::MAX.to_be_bytes()),
        }
    }

    /// Adds a line: kind, service, category, description, quantity, unit, amount, unrounded amount.
    pub(super) fn line(&mut self, fields: [Option<&str>; 8]) {
        for field in fields {
            self.text(field);
        }
    }

    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Draft {
    /// The hash of the document under a number.
    pub(super) fn content_hash(&self, number: &str, period: BillingPeriod, note: Option<&Note>) -> String {
        let period = period.to_string();
        let (total, charges_total) = (self.total.as_str(), self.charges_total.as_str());
        let heading = Heading { number, key: &self.key, period: &period, total, charges_total, note };
        let mut hash = ContentHash::new(&heading);
        for line in &self.lines {
            hash.line(line.fields());
        }
        hash.finish()
    }
}

/// A document's id: a keyed hash, so that ids tell nothing and are the same whenever the same document is made.
pub(super) fn invoice_id(secret: &[u8; 32], key: &EdgeKey, period: BillingPeriod, revision: i64) -> String {
    let mut hash = ContentHash(Sha256::new());
    hash.0.update(secret);
    for text in
        ["ratehouse-invoice-id-1", &key.seller, &key.buyer, &period.to_string(), &key.currency, &revision.to_string()]
    {
        hash.text(Some(text));
    }
    hex(&hash.0.finalize()[..16])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
