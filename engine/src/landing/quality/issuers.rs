//! R17: a charge that somebody else invoices bills nothing.
//!
//! FOCUS (`BilledCost-C-005`) means somebody other than the party that the file's owner pays, and no file says who that is. The
//! names do not tell either: a provider `AWS` invoices as `Amazon Web Services, Inc.`, and one row, sold by a vendor and invoiced
//! by a marketplace, bills in the marketplace's file and must not in the vendor's. But whoever it is, a billing account pays one
//! party. So what is checked is what follows: the billed charges of an account have one invoice issuer. Where they have several,
//! as where rows of a provider and their re-issue by a reseller stand side by side, the one with the most rows is taken for the
//! party that is paid, and the billed rows of the others break the rule.

use std::cmp::Reverse;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Decimal128Type;
use hashbrown::HashMap;

use super::Count;

/// Accounts, and issuers of them all, that are remembered; beyond, new ones are not checked, so that memory stays bounded.
const NAMES_MAX: usize = 50_000;

/// A provider and its billing account.
type Account = (Box<str>, Box<str>);

/// The billed rows of each account by issuer.
#[derive(Debug, Clone, Default)]
pub(super) struct Issuers {
    accounts: HashMap<Account, HashMap<Box<str>, Count>>,
    names: usize,
}

impl Issuers {
    /// Counts the rows that bill something and say who invoices it.
    pub(super) fn observe(&mut self, usage: &RecordBatch) {
        let text = |name: &str| usage.column_by_name(name)?.as_string_view_opt();
        let (Some(providers), Some(accounts), Some(issuers)) =
            (text("provider_name"), text("billing_account_id"), text("invoice_issuer_name"))
        else {
            return;
        };
        let billed = usage.column_by_name("billed_cost").and_then(|c| c.as_primitive_opt::<Decimal128Type>());
        let Some(billed) = billed else { return };
        // Neighbours mostly have one issuer: their rows are counted together.
        let mut from: Option<(usize, Count)> = None;
        let same = |a: usize, b: usize| {
            issuers.value(a) == issuers.value(b)
                && accounts.value(a) == accounts.value(b)
                && providers.value(a) == providers.value(b)
        };
        let place = super::places(usage);
        let named = |row: usize| (providers.value(row), accounts.value(row), issuers.value(row));
        for row in 0..usage.num_rows() {
            if billed.is_null(row) || billed.value(row) == 0 || issuers.is_null(row) {
                continue;
            }
            match &mut from {
                Some((first, count)) if same(*first, row) => count.rows += 1,
                other => {
                    let before = other.replace((row, Count { rows: 1, first: place(row) }));
                    before.into_iter().for_each(|(row, count)| self.add(named(row), count));
                }
            }
        }
        from.into_iter().for_each(|(row, count)| self.add(named(row), count));
    }

    fn add(&mut self, (provider, account, issuer): (&str, &str, &str), count: Count) {
        let is_full = self.names >= NAMES_MAX;
        let key = (Box::from(provider), Box::from(account));
        if is_full && !self.accounts.contains_key(&key) {
            return;
        }
        let known = self.accounts.entry(key).or_default();
        if let Some(counted) = known.get_mut(issuer) {
            counted.add(count.rows, count.first);
        } else if !is_full {
            known.insert(issuer.into(), count);
            self.names += 1;
        }
    }

    /// Adds what another thread counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for ((provider, account), issuers) in &other.accounts {
            for (issuer, count) in issuers {
                self.add((provider, account, issuer), *count);
            }
        }
    }

    /// Billed rows of issuers beside the one that an account pays; of two with equal rows it pays the first.
    pub(super) fn others(&self) -> Count {
        let mut others = Count::default();
        for issuers in self.accounts.values() {
            let mut counts: Vec<&Count> = issuers.values().collect();
            counts.sort_unstable_by_key(|count| (Reverse(count.rows), count.first));
            counts.into_iter().skip(1).for_each(|count| others.add(count.rows, count.first));
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, StringViewArray};

    use crate::landing::quality::{Findings, FocusVersion, Severity};

    use super::*;

    /// `account issuer cost` a row, numbered from `first`; `-` is null.
    fn usage(first: i64, rows: &[&str]) -> RecordBatch {
        let cells: Vec<Vec<Option<&str>>> =
            rows.iter().map(|row| row.split(' ').map(|cell| (cell != "-").then_some(cell)).collect()).collect();
        let text = |at: usize| Arc::new(cells.iter().map(|row| row[at]).collect::<StringViewArray>()) as ArrayRef;
        let units = |text: &str| text.parse::<i128>().expect("a whole number") * crate::landing::number::ONE;
        let costs: Decimal128Array = cells.iter().map(|row| row[2].map(units)).collect();
        let numbers: Int64Array = (first..).take(rows.len()).map(Some).collect();
        let providers: StringViewArray = rows.iter().map(|_| Some("AWS")).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("provider_name", Arc::new(providers) as ArrayRef, true),
            ("billing_account_id", text(0), true),
            ("invoice_issuer_name", text(1), true),
            ("billed_cost", Arc::new(costs.with_precision_and_scale(38, 18).expect("money")), true),
            ("source_file", Arc::new(Int32Array::from(vec![0; rows.len()])), true),
            ("source_row", Arc::new(numbers), true),
        ])
        .expect("a batch")
    }

    /// Rows that break R17 and the first of them.
    fn found(version: Option<FocusVersion>, batches: &[&[&str]]) -> Option<(u64, i64)> {
        let mut findings = Findings::new(version);
        let mut next = 1;
        for rows in batches {
            findings.observe(&usage(next, rows));
            next += i64::try_from(rows.len()).expect("few rows");
        }
        let finding = findings.list().into_iter().find(|finding| finding.rule.id == "R17")?;
        assert_eq!(finding.rule.severity, Severity::Warning);
        Some((finding.rows, finding.first.1))
    }

    #[test]
    fn one_issuer_of_an_account_breaks_nothing_whatever_it_is_called() {
        assert_eq!(found(None, &[&["a Amazon 5", "a Amazon -2"], &["a Amazon 1"]]), None);
        // Another account may pay somebody else; a row without an issuer says nothing.
        assert_eq!(found(None, &[&["a Amazon 5", "b Reseller 5", "a - 5"]]), None);
    }

    #[test]
    fn what_somebody_else_invoices_may_be_listed_and_not_billed() {
        assert_eq!(found(None, &[&["a Amazon 5", "a Vendor 0", "a Vendor -"]]), None);
        // Rows 2, 4 and 5 bill although Amazon, with four billed rows, is the one that is paid; a credit of somebody else's too.
        let rows =
            ["a Amazon 5", "a Vendor 7", "a Amazon 5", "a Vendor -1", "a Reseller 5", "a Amazon 1", "a Amazon 1"];
        assert_eq!(found(None, &[&rows]), Some((3, 2)));
    }

    #[test]
    fn provider_rows_and_their_reissue_must_not_both_bill() {
        let rows = ["a Amazon 5", "a Amazon 6", "a Msp 6", "a Msp 7"];
        // As many of the one as of the other: the later ones are too many.
        assert_eq!(found(Some((1, 2)), &[&rows]), Some((2, 3)));
        // Who comes first does not matter where one has more rows.
        assert_eq!(found(Some((1, 4)), &[&["a Msp 6"], &rows[..2]]), Some((1, 1)));
    }

    #[test]
    fn the_rule_is_of_focus_1_2() {
        assert_eq!(found(Some((1, 1)), &[&["a Amazon 5", "a Msp 6"]]), None);
    }

    #[test]
    fn threads_find_together_what_one_finds() {
        let batches: [&[&str]; 2] = [&["a Msp 6", "b Amazon 1", "a Amazon 5"], &["a Amazon 5", "b Msp 1", "b Msp 1"]];
        // Of a the first row, of b the second: four rows are the majorities'.
        let whole = found(None, &batches);
        assert_eq!(whole, Some((2, 1)));
        let (mut first, mut second) = (Findings::new(None), Findings::new(None));
        second.observe(&usage(4, batches[1]));
        first.observe(&usage(1, batches[0]));
        second.merge(&first);
        let merged = second.list().into_iter().find(|finding| finding.rule.id == "R17").expect("a finding");
        assert_eq!(Some((merged.rows, merged.first.1)), whole);
    }
}
