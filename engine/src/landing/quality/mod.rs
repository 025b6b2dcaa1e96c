//! FOCUS rules over accepted rows, as findings.
//!
//! A finding never rejects a row: real exports of every provider break some rule, and a
//! reseller must bill them all the same. Rules are numbered as in the FOCUS rule list of the
//! documentation (R1 to R20; of R17 what can be known from a file, see `issuers`); two more look across rows.
//! Equations hold within |Δ| ≤ 1e-9 × max(1, |cost|), which the official sample needs: providers
//! round factors before they write them.

mod across;
mod amounts;
mod columns;
mod issuers;
mod periods;
mod rules;
mod shape;
mod values;

use std::borrow::Cow;
use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Int32Type, Int64Type};

use across::Across;
use columns::Columns;
use issuers::Issuers;

use super::batch::Noted;

/// The FOCUS version whose rules apply: major and minor.
pub type FocusVersion = (u8, u8);

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The provider breaks the specification; amounts may still be right.
    Warning,
    /// An amount, a period or a currency cannot be relied on.
    Error,
}

impl Severity {
    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `R1` to `R20`, `X1`, `X2`; `S` for what the source's own mapping says.
    pub id: &'static str,
    /// What must hold.
    pub says: Cow<'static, str>,
    /// How much it matters when it does not.
    pub severity: Severity,
    /// The version since which it holds.
    pub since: FocusVersion,
}

/// A rule that rows of a delivery break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Rows that break it.
    pub rows: u64,
    /// Part and data row of the first of them.
    pub first: (i32, i64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    rows: u64,
    first: Option<(i32, i64)>,
}

impl Count {
    fn add(&mut self, rows: u64, first: Option<(i32, i64)>) {
        self.rows += rows;
        self.first = match (self.first, first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Findings of a delivery, batch by batch. Batches may be observed on several threads and merged.
#[derive(Debug, Clone)]
pub struct Findings {
    version: FocusVersion,
    counts: Vec<Count>,
    across: Across,
    issuers: Issuers,
    noted: BTreeMap<String, Count>,
}

/// Different texts that the mapping of a delivery may say; further ones are counted together.
const NOTES_MAX: usize = 100;

impl Findings {
    /// No findings yet. `version` is what the file claims to be; `None` (native formats) checks
    /// what 1.2 asks for.
    pub fn new(version: Option<FocusVersion>) -> Self {
        Self {
            version: version.unwrap_or((1, 2)),
            counts: vec![Count::default(); rules::ALL.len()],
            across: Across::default(),
            issuers: Issuers::default(),
            noted: BTreeMap::new(),
        }
    }

    /// Checks rows of `usage`.
    ///
    /// Cost: bit masks over whole columns for most rules; only sums that do not add up, new
    /// tag objects and new names are looked at one by one. Memory does not grow with the rows.
    pub fn observe(&mut self, usage: &RecordBatch) {
        let Some(columns) = Columns::of(usage) else {
            return;
        };
        for (position, (rule, check)) in rules::ALL.iter().enumerate() {
            if rule.since <= self.version
                && let Some(broken) = check(&columns, self.version)
            {
                self.count(position, &broken, usage);
            }
        }
        self.issuers.observe(usage);
        for (id, broken) in self.across.observe(&columns) {
            if let Some(position) = rules::ALL.iter().position(|(rule, _)| rule.id == id) {
                self.count(position, &broken, usage);
            }
        }
    }

    /// Counts what the mapping itself says of rows.
    pub fn note(&mut self, noted: &[Noted]) {
        for note in noted {
            let is_room = self.noted.len() < NOTES_MAX || self.noted.contains_key(&note.says);
            let says = if is_room { note.says.as_str() } else { "the mapping says more of other rows" };
            self.noted.entry(says.to_owned()).or_default().add(note.rows, Some(note.first));
        }
    }

    fn count(&mut self, position: usize, broken: &BooleanBuffer, usage: &RecordBatch) {
        let rows = broken.count_set_bits() as u64;
        let first = broken.set_indices().next().and_then(places(usage));
        self.counts[position].add(rows, first);
    }

    /// Adds what another thread found in other rows of the same delivery.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            mine.add(theirs.rows, theirs.first);
        }
        self.across.merge(&other.across);
        self.issuers.merge(&other.issuers);
        for (says, theirs) in &other.noted {
            self.noted.entry(says.clone()).or_default().add(theirs.rows, theirs.first);
        }
    }

    /// The rules that are broken.
    pub fn list(&self) -> Vec<Finding> {
        let broken = rules::ALL.iter().zip(&self.counts).filter(|((rule, _), _)| rule.since <= self.version);
        let broken = broken.filter_map(|((rule, _), count)| {
            let count = if rule.id == "R17" { self.issuers.others() } else { *count };
            Some(Finding { rule: rule.clone(), rows: count.rows, first: count.first? })
        });
        let noted = self.noted.iter().filter_map(|(says, count)| {
            let rule = Rule { id: "S", says: Cow::Owned(says.clone()), severity: Severity::Warning, since: (1, 0) };
            Some(Finding { rule, rows: count.rows, first: count.first? })
        });
        broken.chain(noted).collect()
    }
}

/// Gives part and data row of the rows of `usage`.
fn places(usage: &RecordBatch) -> impl Fn(usize) -> Option<(i32, i64)> + '_ {
    let files = usage.column_by_name("source_file").and_then(|c| c.as_primitive_opt::<Int32Type>());
    let numbers = usage.column_by_name("source_row").and_then(|c| c.as_primitive_opt::<Int64Type>());
    move |row| Some((*files?.values().get(row)?, *numbers?.values().get(row)?))
}
