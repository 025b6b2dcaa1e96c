//! Crediting a line of an issued invoice because somebody says so.

use ratehouse_udfs::decimal::{format_decimal, parse_decimal};

use super::approval;
use super::billed::amount;
use super::proposal::Submission;
use super::stored::{self, Adjustment, Kind, State};
use super::{Method, Progress, settle};
use crate::billing::draft::{Draft, Line, LineKind, unit, unrounded};
use crate::billing::error::BillingError;
use crate::billing::lines::{self, LineFields};
use crate::billing::minor_digits;
use crate::billing::store::{self, Stored};
use crate::catalog::{Catalog, CatalogError, Change, Tx};

/// What is to be credited.
#[derive(Debug, Clone, Copy)]
pub struct Credit<'a> {
    /// The invoice.
    pub number: &'a str,
    /// Its line, from 1.
    pub line: i64,
    /// How much, above zero, in the invoice's currency.
    pub amount: &'a str,
}

/// Submits a credit on a line of an issued invoice; where `ref.approval_rules` asks for nobody its note is issued at once.
///
/// # Errors
/// [`BillingError::NoInvoice`], [`BillingError::State`] of an invoice that was not issued, [`BillingError::NoLine`],
/// [`BillingError::Credit`] for an amount that is none or more than what is left of the line, [`BillingError::Submitted`].
pub fn submit_credit(
    catalog: &Catalog,
    credit: &Credit<'_>,
    submission: &Submission<'_>,
) -> Result<Progress, BillingError> {
    let object = submission.object.to_owned();
    let change = Change::new(submission.who.login, "submit", format!("adjustment {object}: {}", submission.reason));
    let (_, progress) = catalog.commit(&change, |commit| {
        let invoice = creditable(commit.tx, credit.number)?;
        let digits = minor_digits(&invoice.key.currency);
        let minor = minor_units(credit.amount, digits)?;
        let (_, left) = line_left(commit.tx, &invoice, credit.line)?;
        if minor > left {
            let left = format_decimal(left.max(0), digits);
            return Err(BillingError::Credit {
                what: format!("line {} of {} has {left} left", credit.line, invoice.number),
            });
        }
        if stored::waiting(commit.tx, &object)?.is_some() {
            return Err(BillingError::Submitted { object: object.clone() });
        }
        let credited = format_decimal(-minor, digits);
        let adjustment = Adjustment {
            id: stored::next_id(commit.tx)?,
            object: object.clone(),
            kind: Kind::Credit,
            invoice: invoice.number.clone(),
            key: invoice.key.clone(),
            period: invoice.period.clone(),
            method: Method::Note,
            amount: credited.clone(),
            parts: vec![(Some(credit.line), credited)],
            reason: submission.reason.to_owned(),
            charges: None,
        };
        approval::record(commit, &adjustment, "submit", &submission.who, submission.reason)?;
        let needed = approval::needed_roles(commit, &adjustment)?;
        if needed.is_empty() {
            let note = note(commit.tx, &adjustment)?;
            return settle::settle(commit, &adjustment, &note, (submission.at, submission.secret));
        }
        stored::write(commit, &adjustment, State::Submitted)?;
        Ok(Progress::WaitsFor(needed.into_iter().collect()))
    })?;
    Ok(progress)
}

/// The issued invoice of a number.
fn creditable(tx: &dyn Tx, number: &str) -> Result<Stored, BillingError> {
    let found = store::by_number(tx, number)?.ok_or_else(|| BillingError::NoInvoice { number: number.to_owned() })?;
    if found.is_open() {
        let remedy = "a draft is not credited: change what it is made of and close the period again";
        return Err(BillingError::State { number: number.to_owned(), status: found.status, remedy });
    }
    if found.note.is_some() {
        return Err(BillingError::Credit {
            what: format!("{number} is a note: credit a line of the invoice that it corrects"),
        });
    }
    Ok(found)
}

/// An amount above zero in minor units of `digits` digits.
fn minor_units(text: &str, digits: u8) -> Result<i128, BillingError> {
    let refused = |what: &str| BillingError::Credit { what: format!("an amount {what}") };
    let parsed = parse_decimal(text.trim()).map_err(|_| refused("is a number such as 12.50"))?;
    if parsed.value <= 0 {
        return Err(refused("to credit is above zero"));
    }
    if parsed.value % unit(digits) != 0 {
        return Err(refused(&format!("of this currency has {digits} digits after the point")));
    }
    Ok(parsed.value / unit(digits))
}

/// A line of an invoice, and what is left of it in minor units after all that was settled or may be.
fn line_left(tx: &dyn Tx, invoice: &Stored, line: i64) -> Result<(LineFields, i128), BillingError> {
    let missing = || BillingError::NoLine { number: invoice.number.clone(), line };
    let at = line.checked_sub(1).and_then(|at| usize::try_from(at).ok()).ok_or_else(missing)?;
    let fields = lines::of_document(tx, &invoice.invoice_id)?.into_iter().nth(at).ok_or_else(missing)?;
    let digits = minor_digits(&invoice.key.currency);
    let minor = |text: &str| Ok::<_, BillingError>(amount(text)? / unit(digits));
    let billed = fields[6].as_deref().ok_or(CatalogError::Malformed { what: "line of an invoice" })?;
    let mut left = minor(billed)?;
    for adjustment in stored::of_invoice(tx, &invoice.number)? {
        for (_, part) in adjustment.parts.iter().filter(|(corrected, _)| *corrected == Some(line)) {
            left = left.checked_add(minor(part)?).ok_or(BillingError::Overflow)?;
        }
    }
    Ok((fields, left))
}

/// The note of a credit.
pub(super) fn note(tx: &dyn Tx, adjustment: &Adjustment) -> Result<Draft, BillingError> {
    let malformed = CatalogError::Malformed { what: "credit" };
    let [(Some(line), amount)] = adjustment.parts.as_slice() else { return Err(malformed.into()) };
    let invoice = creditable(tx, &adjustment.invoice)?;
    let ([kind, service_name, charge_category, ..], _) = line_left(tx, &invoice, *line)?;
    let digits = minor_digits(&adjustment.key.currency);
    let total_minor = self::amount(amount)? / unit(digits);
    let nothing = format_decimal(0, digits);
    let is_tax = kind.as_deref() == Some(LineKind::Tax.name());
    let (subtotal, tax) = if is_tax { (nothing.clone(), amount.clone()) } else { (amount.clone(), nothing.clone()) };
    Ok(Draft {
        key: adjustment.key.clone(),
        lines: vec![Line {
            kind: if is_tax { LineKind::Tax } else { LineKind::Adjustment }.name(),
            service_name,
            charge_category,
            description: format!("Credit on line {line} of {}: {}", invoice.number, adjustment.reason),
            amount: amount.clone(),
            // No charge is behind it.
            charges_amount: unrounded(0, digits),
            corrects_line: Some(*line),
        }],
        subtotal,
        tax,
        credits: nothing.clone(),
        rounding: nothing,
        total: amount.clone(),
        charges_total: unrounded(0, digits),
        charges: 0,
        total_minor,
    })
}
