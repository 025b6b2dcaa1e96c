//! The intake of a delivery: rows get their identity, are checked against FOCUS, added up by
//! slice, written as usage, and handed on to rating, in one pass and bounded memory.

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Date32Type, Decimal128Type, i256};
use hashbrown::HashMap;

use super::line_identity::LineIdentity;
use super::slice_files::{prefix_of, writer};
use super::{Core, Warehouse};
use crate::error::Error;
use crate::lake::{ClusteredWriter, LakeTable, WrittenFile};
use crate::landing::quality::Findings;
use crate::landing::{LandedBatch, RejectedRow, SourceInfo, Totals};
use crate::rating::SliceName;

/// Rejected rows that a delivery may have; beyond, its mapping is the wrong one.
const REJECTED_MAX: usize = 100_000;

/// What a delivery says of one slice.
#[derive(Debug, Clone, Default)]
pub(super) struct SliceSums {
    pub(super) rows: u64,
    pub(super) billed: i256,
    pub(super) effective: i256,
    pub(super) list: i256,
}

/// A delivery while it is taken in.
pub(super) struct Intake {
    writer: ClusteredWriter,
    delivery_id: i64,
    identity: LineIdentity,
    findings: Findings,
    conserved: String,
    conserved_sum: i256,
    slices: HashMap<SliceName, u32>,
    names: Vec<SliceName>,
    sums: Vec<SliceSums>,
    rejected: Vec<RejectedRow>,
    lossy_rows: u64,
    raw: Totals,
}

/// What the intake of a delivery found, its usage durable.
pub(super) struct Taken {
    pub(super) slices: Vec<(SliceName, SliceSums)>,
    pub(super) files: Vec<WrittenFile>,
    pub(super) rejected: Vec<RejectedRow>,
    pub(super) findings: Findings,
    pub(super) lossy_rows: u64,
    pub(super) raw: Totals,
}

impl Intake {
    pub(super) fn new(core: &Core, source: &SourceInfo, delivery_id: i64) -> Self {
        Self {
            writer: writer(core, LakeTable::Usage),
            delivery_id,
            identity: LineIdentity::default(),
            findings: Findings::new(source.focus),
            conserved: source.conserved.clone(),
            conserved_sum: i256::ZERO,
            slices: HashMap::new(),
            names: Vec::new(),
            sums: Vec::new(),
            rejected: Vec::new(),
            lossy_rows: 0,
            raw: Totals::default(),
        }
    }

    /// Takes a batch and gives its rows with their identity.
    pub(super) fn take(&mut self, batch: LandedBatch) -> Result<RecordBatch, Error> {
        self.raw.merge(&batch.raw);
        self.lossy_rows += batch.lossy_rows;
        self.rejected.extend(batch.rejected);
        if self.rejected.len() > REJECTED_MAX {
            return Err(Error::Refused(format!(
                "more than {REJECTED_MAX} rows cannot be read, the first in row {}: {}; nothing was landed. Is it the right source?",
                self.rejected.first().map_or(0, |row| row.source_row),
                self.rejected.first().map_or("", |row| row.reason.as_str())
            )));
        }
        let usage = self.identity.fill(&batch.usage, self.delivery_id)?;
        self.findings.observe(&usage);
        self.findings.note(&batch.noted);
        let files = self.place(&usage)?;
        // Only the root reads usage, by slice: a slice's rows share row groups, sorted by account.
        self.writer.push(usage.clone(), &files, &vec![0; files.len()])?;
        Ok(usage)
    }

    /// The slices seen so far.
    pub(super) fn names(&self) -> &[SliceName] {
        &self.names
    }

    /// Finds each row's slice and adds its costs to it.
    fn place(&mut self, usage: &RecordBatch) -> Result<Vec<u32>, Error> {
        let missing = |name: &str| Error::Conservation(format!("usage has no column {name}"));
        let text = |name: &'static str| -> Result<&StringViewArray, Error> {
            Ok(usage.column_by_name(name).ok_or_else(|| missing(name))?.as_string_view())
        };
        let money = |name: &str| {
            let column = usage.column_by_name(name).ok_or_else(|| missing(name))?;
            Ok::<_, Error>(column.as_primitive::<Decimal128Type>())
        };
        let (providers, billing) = (text("provider_name")?, text("billing_account_id")?);
        let periods = usage
            .column_by_name("billing_period")
            .ok_or_else(|| missing("billing_period"))?
            .as_primitive::<Date32Type>();
        let (billed, effective, list) = (money("billed_cost")?, money("effective_cost")?, money("list_cost")?);
        let conserved = money(&self.conserved)?;
        let at = |column: &arrow::array::Decimal128Array, row: usize| {
            if column.is_null(row) { i256::ZERO } else { i256::from_i128(column.value(row)) }
        };
        let value = |column: &StringViewArray, row: usize| -> String {
            if column.is_null(row) { String::new() } else { column.value(row).to_owned() }
        };
        let same = |column: &StringViewArray, a: usize, b: usize| {
            column.is_null(a) == column.is_null(b) && (column.is_null(a) || column.value(a) == column.value(b))
        };
        let rows = usage.num_rows();
        let mut files = Vec::with_capacity(rows);
        for row in 0..rows {
            let same_slice = row > 0
                && same(providers, row - 1, row)
                && same(billing, row - 1, row)
                && periods.value(row - 1) == periods.value(row);
            let slice = if same_slice {
                files[row - 1]
            } else {
                self.slice(SliceName {
                    provider_name: value(providers, row),
                    billing_account_id: value(billing, row),
                    billing_period: periods.value(row),
                })
            };
            files.push(slice);
            let sums = &mut self.sums[usize::try_from(slice).unwrap_or_default()];
            sums.rows += 1;
            sums.billed = sums.billed.wrapping_add(at(billed, row));
            sums.effective = sums.effective.wrapping_add(at(effective, row));
            sums.list = sums.list.wrapping_add(at(list, row));
            self.conserved_sum = self.conserved_sum.wrapping_add(at(conserved, row));
        }
        Ok(files)
    }

    fn slice(&mut self, name: SliceName) -> u32 {
        if let Some(number) = self.slices.get(&name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.clone());
        self.sums.push(SliceSums::default());
        self.slices.insert(name, number);
        number
    }

    /// Makes the usage durable and checks that nothing was lost on the way in: law 1.
    pub(super) async fn finish(self) -> Result<Taken, Error> {
        let rejected_cost = self
            .rejected
            .iter()
            .filter_map(|row| row.billed_cost)
            .fold(i256::ZERO, |sum, cost| sum.wrapping_add(i256::from_i128(cost)));
        let accounted = self.conserved_sum.wrapping_add(rejected_cost);
        if accounted != self.raw.provider_cost {
            return Err(Error::Conservation(format!(
                "the file's cost adds up to {}, accepted and rejected rows to {}",
                super::slice_files::money_text(self.raw.provider_cost),
                super::slice_files::money_text(accounted)
            )));
        }
        let landed: u64 = self.sums.iter().map(|sums| sums.rows).sum();
        let rejected = u64::try_from(self.rejected.len()).unwrap_or(u64::MAX);
        if landed != self.raw.usage_rows || rejected != self.raw.rejected_rows {
            return Err(Error::Conservation(format!(
                "{} rows were made of the file and {} rejected, {landed} written and {rejected} kept",
                self.raw.usage_rows, self.raw.rejected_rows
            )));
        }
        let names = self.names.clone();
        let prefix = move |file: u32| {
            names.get(usize::try_from(file).unwrap_or_default()).map(|name| prefix_of(name, "")).unwrap_or_default()
        };
        let files = self.writer.finish(&prefix).await?;
        Ok(Taken {
            slices: self.names.into_iter().zip(self.sums).collect(),
            files,
            rejected: self.rejected,
            findings: self.findings,
            lossy_rows: self.lossy_rows,
            raw: self.raw,
        })
    }
}

impl Warehouse {
    /// The number that the next delivery gets, kept by the commit that lists it.
    pub(super) fn next_delivery(&self) -> Result<i64, Error> {
        Ok(self.core.catalog.read(crate::catalog::DeliveryRow::next_id)?)
    }
}
