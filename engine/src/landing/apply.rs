//! Runs a mapping over source rows: usage rows out, rejected rows with their reasons aside.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, i256};
use datafusion::common::DataFusionError;

use super::batch::{LandedBatch, Noted, Totals};
use super::convert::as_text;
use super::elements::{faults, sum_of};
use super::error::LandingError;
use super::functions::OF_A_VALUE;
use super::instant::month_start;
use super::mapping::{FINDING, Mapping, Origin};
use super::program::{Rows, TAG_COLUMNS, batch_of};
use super::rejected::{Known, places_of, rejected_rows};
use super::rows::{Fault, Marks, SourceRows};
use super::tags::objects_of_columns;
use crate::lake::schema::usage;

/// Mapped rows whose numbers still count from the beginning of their chunk.
pub(crate) struct Mapped {
    pub(crate) batch: LandedBatch,
    /// All rows of the chunk.
    pub(crate) rows: u32,
    /// Newlines of the chunk.
    pub(crate) lines: u64,
    /// For each rejected row, the newlines before it, where known.
    pub(crate) rejected_lines: Vec<Option<u64>>,
}

/// Output columns of a query by name, and the source row of each result row.
pub(crate) struct Outputs {
    pub(crate) columns: Vec<(String, ArrayRef)>,
    pub(crate) rows: usize,
    pub(crate) row_of: Option<UInt32Array>,
    /// Source rows at which the query itself failed, and why.
    failed: Vec<(u32, String)>,
}

impl Mapping {
    /// Maps the rows of one chunk of part `source_file`.
    pub(crate) fn apply(&self, mut source: SourceRows, source_file: i32) -> Result<Mapped, LandingError> {
        let outputs = self.outputs(&source)?;
        let mut marks = std::mem::take(&mut source.marks);
        for i in &self.elements {
            let arrays = source.text[*i].as_ref();
            marks.faults.extend(arrays.into_iter().flat_map(|arrays| faults(arrays, &self.reading.columns[*i].name)));
        }
        for (row, reason) in &outputs.failed {
            let reason = reason.clone();
            marks.faults.push(Fault { row: *row, column: "".into(), value_class: String::new(), reason });
        }
        marks.faults.extend(self.failed_checks(&source));
        let typed = self.typed(&source, &outputs, &mut marks)?;
        let batch = self.usage_batch(&source, &outputs, typed, source_file)?;
        let verdict = Verdict::of(marks, source.rows);
        let places = places_of(&batch, &verdict.first_fault, |row| source_row(&outputs, row) as usize);
        let costs = self.costs(&source);
        let known = Known { faults: &verdict.first_fault, costs: &costs, places: &places };
        let (rejected, rejected_lines) = rejected_rows(&source, &known, source_file);
        let usage = self.accepted(batch, &outputs, &verdict)?;
        let noted = odd_rows(&source, &outputs, &verdict, source_file);
        let raw = Totals {
            rows: u64::from(source.all_rows),
            rejected_rows: rejected.len() as u64,
            usage_rows: usage.num_rows() as u64,
            provider_cost: costs
                .iter()
                .flatten()
                .fold(i256::ZERO, |sum, cost| sum.wrapping_add(i256::from_i128(*cost))),
        };
        Ok(Mapped {
            batch: LandedBatch { usage, rejected, noted, lossy_rows: verdict.lossy_rows, bytes: source.bytes, raw },
            rows: source.all_rows,
            lines: source.lines,
            rejected_lines,
        })
    }

    fn outputs(&self, source: &SourceRows) -> Result<Outputs, LandingError> {
        let input = self.program.input.fields();
        let columns: Vec<ArrayRef> = input
            .iter()
            .zip(&self.input_of)
            .map(|(field, at)| {
                if field.name() == TAG_COLUMNS {
                    return self.tags_of(source);
                }
                let text = at.and_then(|i| source.text[i].clone());
                text.unwrap_or_else(|| new_null_array(&DataType::Utf8View, source.rows))
            })
            .collect();
        let batch = batch_of(&self.program.input, columns, source.rows).map_err(|e| self.wrong(e.strip_backtrace()))?;
        let Some((origins, scan, schema)) = &self.simple else {
            return self.run_all(&batch);
        };
        let scanned = scan.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        let scanned = batch_of(schema, scanned, source.rows).map_err(|e| self.wrong(e.strip_backtrace()))?;
        let mut columns = Vec::with_capacity(origins.len());
        for (origin, field) in origins.iter().zip(self.program.output.fields()) {
            let column = match origin {
                Origin::Renamed(i) => Arc::clone(batch.column(*i)),
                Origin::Computed(expression) => {
                    match expression.evaluate(&scanned).and_then(|v| v.into_array(source.rows)) {
                        Ok(column) => column,
                        // Some row fails: find it by running row ranges.
                        Err(_) => return self.run_all(&batch),
                    }
                }
            };
            columns.push((field.name().clone(), column));
        }
        Ok(Outputs { columns, rows: source.rows, row_of: None, failed: Vec::new() })
    }

    /// The tag columns of each row as one JSON object.
    pub(crate) fn tags_of(&self, source: &SourceRows) -> ArrayRef {
        match &source.others {
            Some(others) => Arc::clone(&others.tags),
            None => objects_of_columns(&self.named_columns(source, &self.tags), source.rows),
        }
    }

    pub(crate) fn named_columns(
        &self,
        source: &SourceRows,
        columns: &[(Arc<str>, usize)],
    ) -> Vec<(Arc<str>, ArrayRef)> {
        columns.iter().filter_map(|(key, i)| Some((Arc::clone(key), source.text[*i].clone()?))).collect()
    }

    /// Runs the whole query; where it fails, halves the rows until the failing ones are alone.
    fn run_all(&self, batch: &RecordBatch) -> Result<Outputs, LandingError> {
        let mut parts = Vec::new();
        let mut failed = Vec::new();
        self.run_range(batch, 0, batch.num_rows(), &mut parts, &mut failed)?;
        let schema = parts.first().map(|p: &Rows| p.batch.schema());
        let batches: Vec<&RecordBatch> = parts.iter().map(|p| &p.batch).collect();
        let schema = schema.unwrap_or_else(|| Arc::clone(&self.program.output));
        let whole = arrow::compute::concat_batches(&schema, batches).map_err(|e| self.wrong(e.to_string()))?;
        let row_of: UInt32Array = parts
            .iter()
            .flat_map(|p| p.row_of.iter().flat_map(|r| r.values().iter().copied()))
            .collect::<Vec<_>>()
            .into();
        let columns = self
            .program
            .output
            .fields()
            .iter()
            .zip(whole.columns())
            .map(|(f, c)| (f.name().clone(), Arc::clone(c)))
            .collect();
        Ok(Outputs { columns, rows: whole.num_rows(), row_of: Some(row_of), failed })
    }

    fn run_range(
        &self,
        batch: &RecordBatch,
        from: usize,
        rows: usize,
        parts: &mut Vec<Rows>,
        failed: &mut Vec<(u32, String)>,
    ) -> Result<(), LandingError> {
        let offset = u32::try_from(from).map_err(|_| self.wrong("a chunk has too many rows".to_owned()))?;
        match self.program.run(&batch.slice(from, rows)) {
            Ok(part) => {
                let row_of = match part.row_of {
                    Some(row_of) => row_of.unary(|row| row + offset),
                    None => (offset..).take(part.batch.num_rows()).collect::<Vec<u32>>().into(),
                };
                parts.push(Rows { batch: part.batch, row_of: Some(row_of) });
            }
            Err(error) if rows == 1 => failed.push((offset, reason_of(&error))),
            Err(_) => {
                self.run_range(batch, from, rows / 2, parts, failed)?;
                self.run_range(batch, from + rows / 2, rows - rows / 2, parts, failed)?;
            }
        }
        Ok(())
    }

    pub(crate) fn wrong(&self, reason: String) -> LandingError {
        LandingError::Mapping { source_name: self.source.directives.name.clone(), reason }
    }

    /// Typed columns and the last columns of `usage`.
    fn usage_batch(
        &self,
        source: &SourceRows,
        outputs: &Outputs,
        mut typed: Vec<ArrayRef>,
        source_file: i32,
    ) -> Result<RecordBatch, LandingError> {
        let schema = usage();
        let starts = schema.index_of("billing_period_start").map_err(|e| self.wrong(e.to_string()))?;
        let periods = periods_of(typed[starts].as_primitive());
        let row_numbers: Int64Array = (0..outputs.rows)
            .map(|row| i64::from(source.ordinals[source_row(outputs, row) as usize]) + 1)
            .collect::<Vec<_>>()
            .into();
        typed.extend([
            Arc::new(periods) as ArrayRef,
            Arc::new(Int64Array::from(vec![0; outputs.rows])),
            Arc::new(Int32Array::from(vec![source_file; outputs.rows])),
            Arc::new(row_numbers),
            Arc::new(Int64Array::from(vec![0; outputs.rows])),
            Arc::new(Int32Array::from(vec![0; outputs.rows])),
        ]);
        batch_of(&schema, typed, outputs.rows).map_err(|e| self.wrong(e.strip_backtrace()))
    }

    /// The rows without a fault, with the types and nullability that `usage` promises.
    fn accepted(&self, batch: RecordBatch, outputs: &Outputs, verdict: &Verdict) -> Result<RecordBatch, LandingError> {
        let mut batch = batch;
        if verdict.first_fault.iter().any(Option::is_some) {
            let is_good = |row| verdict.first_fault[source_row(outputs, row) as usize].is_none();
            let kept: BooleanArray = (0..outputs.rows).map(|row| Some(is_good(row))).collect();
            batch = filter_record_batch(&batch, &kept).map_err(|e| self.wrong(e.to_string()))?;
        }
        RecordBatch::try_new(usage(), batch.columns().to_vec()).map_err(|e| self.wrong(e.to_string()))
    }

    /// The provider's cost of each source row: the first conserved sum that is not null, and what
    /// the elements of its arrays add to it.
    fn costs(&self, source: &SourceRows) -> Vec<Option<i128>> {
        let groups: Vec<Vec<&Decimal128Array>> = self
            .conserved
            .iter()
            .map(|group| group.iter().filter_map(|i| source.numbers[*i].as_ref()).collect())
            .collect();
        let added = |cost: i128, row: usize| {
            self.conserved_elements.iter().try_fold(cost, |sum, (i, keys)| {
                let arrays = source.text[*i].as_ref().map(|arrays| arrays.as_string_view());
                match arrays.filter(|arrays| arrays.is_valid(row)) {
                    Some(arrays) => sum.checked_add(sum_of(arrays.value(row), keys)?),
                    None => Some(sum),
                }
            })
        };
        let is_in_elements = self.source.directives.conserved.as_ref().is_some_and(|(_, names)| names.is_empty());
        let cost = |row: usize| match is_in_elements {
            true => Some(0),
            false => groups.iter().find_map(|columns| sum_at(columns, row)),
        };
        (0..source.rows).map(|row| added(cost(row)?, row)).collect()
    }
}

/// Why the query failed at a row: what its own functions say has no value in it, other errors may.
fn reason_of(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::Execution(reason) if reason.starts_with(OF_A_VALUE) => format!("the mapping: {reason}"),
        _ => "the mapping's arithmetic overflows or divides by zero".to_owned(),
    }
}

/// The sum of what columns have in a row; none where all are null, or where it is too large to be kept.
fn sum_at(columns: &[&Decimal128Array], row: usize) -> Option<i128> {
    let values = columns.iter().filter(|column| column.is_valid(row)).map(|column| Some(column.value(row)));
    values.reduce(|sum, value| sum?.checked_add(value?)).flatten()
}

/// What the mapping finds odd about rows that land.
fn odd_rows(source: &SourceRows, outputs: &Outputs, verdict: &Verdict, source_file: i32) -> Vec<Noted> {
    let Some((_, texts)) = outputs.columns.iter().find(|(name, _)| name == FINDING) else {
        return Vec::new();
    };
    let texts = as_text(texts);
    let mut places: BTreeMap<&str, (u64, (i32, i64))> = BTreeMap::new();
    for row in (0..outputs.rows).filter(|row| texts.is_valid(*row)) {
        let at = source_row(outputs, row) as usize;
        if verdict.first_fault[at].is_some() {
            continue;
        }
        let place = (source_file, i64::from(source.ordinals[at]) + 1);
        let (rows, first) = places.entry(texts.value(row)).or_insert((0, place));
        *rows += 1;
        *first = place.min(*first);
    }
    places.into_iter().map(|(says, (rows, first))| Noted { says: says.to_owned(), rows, first }).collect()
}

/// What becomes of each source row.
struct Verdict {
    first_fault: Vec<Option<Fault>>,
    /// Rows without a fault in which a number lost digits.
    lossy_rows: u64,
}

impl Verdict {
    fn of(marks: Marks, rows: usize) -> Self {
        let mut first_fault: Vec<Option<Fault>> = vec![None; rows];
        for fault in marks.faults {
            let slot = &mut first_fault[fault.row as usize];
            slot.get_or_insert(fault);
        }
        let mut rounded = marks.rounded_rows;
        rounded.sort_unstable();
        rounded.dedup();
        let is_accepted = |row: &&u32| first_fault[**row as usize].is_none();
        let lossy_rows = rounded.iter().filter(is_accepted).count() as u64;
        Self { first_fault, lossy_rows }
    }
}

/// The source row of a result row.
pub(crate) fn source_row(outputs: &Outputs, row: usize) -> u32 {
    match &outputs.row_of {
        Some(row_of) => row_of.value(row),
        None => u32::try_from(row).unwrap_or(u32::MAX),
    }
}

/// The first day of the month in which each billing period starts; 1970-01-01 where that is null (such rows are rejected).
fn periods_of(starts: &TimestampMicrosecondArray) -> Date32Array {
    let days = starts.iter().map(|start| start.map_or(0, |s| i32::try_from(month_start(s)).unwrap_or(0)));
    Date32Array::from_iter_values(days)
}
