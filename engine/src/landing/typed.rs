//! Result columns of a mapping in the types and the order of `usage`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, TimestampMicrosecondArray, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, TimestampMicrosecondType};

use super::apply::{Outputs, source_row};
use super::convert::{Converted, Failure, as_text, to_booleans, to_instants, to_money};
use super::directives::NEVER_NULL;
use super::error::LandingError;
use super::instant::{DAY, month_start, next_month_start};
use super::mapping::{FILLED_LATER, Mapping, Origin, REJECT_REASON};
use super::rows::{Fault, Marks, SourceRows};
use super::tags::{joined_objects, objects_of_columns};
use crate::lake::schema::usage;

impl Mapping {
    /// The columns of `usage` in its order, without those that landing itself fills.
    pub(crate) fn typed(
        &self,
        source: &SourceRows,
        outputs: &Outputs,
        marks: &mut Marks,
    ) -> Result<Vec<ArrayRef>, LandingError> {
        let schema = usage();
        // First, since a row is rejected for its first fault, and the mapping says best what is wrong.
        if let Some((_, reasons)) = outputs.columns.iter().find(|(n, _)| n == REJECT_REASON) {
            let reasons = as_text(reasons);
            for row in (0..reasons.len()).filter(|row| reasons.is_valid(*row)) {
                marks.faults.push(Fault {
                    row: source_row(outputs, row),
                    column: "".into(),
                    value_class: String::new(),
                    reason: reasons.value(row).to_owned(),
                });
            }
        }
        let mut typed: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields().iter().filter(|f| !FILLED_LATER.contains(&f.name().as_str())) {
            let name = field.name().as_str();
            let at = outputs.columns.iter().position(|(n, _)| n == name);
            let renamed = at.and_then(|i| self.renamed(i));
            let column: ArrayRef = match (name, at) {
                ("x_columns", _) => self.extensions_of(source, outputs)?,
                ("tags", None) if !self.source.directives.tag_columns.is_empty() => {
                    self.follow(&self.tags_of(source), outputs)?
                }
                ("provider_name", None) => Arc::new(StringViewArray::from_iter(std::iter::repeat_n(
                    self.source.directives.provider.as_deref(),
                    outputs.rows,
                ))),
                (_, None) => new_null_array(field.data_type(), outputs.rows),
                (_, Some(i)) => {
                    let ready = renamed.and_then(|r| self.ready(source, r, field.data_type()));
                    match ready {
                        Some(column) => column,
                        None => self.converted(name, field.data_type(), &outputs.columns[i].1, outputs, marks),
                    }
                }
            };
            let column = if self.source.directives.inclusive_ends.iter().any(|c| c == name) {
                exclusive(&column)
            } else {
                column
            };
            let is_derived = at.is_none() && name == "billing_period_start";
            if column.null_count() > 0
                && !is_derived
                && NEVER_NULL.contains(&name)
                && !self.source.directives.nullable.iter().any(|c| c == name)
            {
                let shown = renamed
                    .and_then(|r| self.input_of[r])
                    .map_or_else(|| name.into(), |i| Arc::clone(&self.reading.columns[i].name));
                for row in (0..column.len()).filter(|row| column.is_null(*row)) {
                    let fault = Fault {
                        row: source_row(outputs, row),
                        column: Arc::clone(&shown),
                        value_class: "nothing".to_owned(),
                        reason: "is empty".to_owned(),
                    };
                    marks.faults.push(fault);
                }
            }
            typed.push(column);
        }
        self.derive_billing_period(&mut typed, outputs)?;
        Ok(typed)
    }

    /// Where a source knows no billing period, it is that of the whole delivery or the calendar month of the charge.
    fn derive_billing_period(&self, typed: &mut [ArrayRef], outputs: &Outputs) -> Result<(), LandingError> {
        if outputs.columns.iter().any(|(name, _)| name == "billing_period_start") {
            return Ok(());
        }
        let schema = usage();
        let at = |name: &str| schema.index_of(name).map_err(|e| self.wrong(e.to_string()));
        let (start, end, charge) = (at("billing_period_start")?, at("billing_period_end")?, at("charge_period_start")?);
        let charges = typed[charge].as_primitive::<TimestampMicrosecondType>().clone();
        let month = |instant| {
            self.delivery_period.unwrap_or_else(|| (month_start(instant) * DAY, next_month_start(instant) * DAY))
        };
        let starts: TimestampMicrosecondArray = charges.unary(|instant| month(instant).0);
        let ends: TimestampMicrosecondArray = charges.unary(|instant| month(instant).1);
        typed[start] = Arc::new(starts.with_timezone("UTC"));
        typed[end] = Arc::new(ends.with_timezone("UTC"));
        Ok(())
    }

    /// The input column that output `i` only renames.
    fn renamed(&self, i: usize) -> Option<usize> {
        match self.simple.as_ref()?.0.get(i)? {
            Origin::Renamed(input) => Some(*input),
            Origin::Computed(_) => None,
        }
    }

    /// A renamed column that its reader has already typed.
    fn ready(&self, source: &SourceRows, input: usize, wanted: &DataType) -> Option<ArrayRef> {
        let at = self.input_of[input]?;
        match wanted {
            DataType::Decimal128(..) => source.numbers[at].clone().map(|a| Arc::new(a) as ArrayRef),
            DataType::Timestamp(..) => source.instants[at].clone().map(|a| Arc::new(a) as ArrayRef),
            _ => None,
        }
    }

    fn converted(
        &self,
        name: &str,
        wanted: &DataType,
        column: &ArrayRef,
        outputs: &Outputs,
        marks: &mut Marks,
    ) -> ArrayRef {
        let mut take_failures = |failures: Vec<Failure>, lost: Vec<usize>| {
            marks.rounded_rows.extend(lost.into_iter().map(|row| source_row(outputs, row)));
            marks.faults.extend(failures.into_iter().map(|f| Fault {
                row: source_row(outputs, f.row),
                column: name.into(),
                value_class: f.value_class,
                reason: f.reason.to_owned(),
            }));
        };
        match wanted {
            DataType::Decimal128(..) => {
                let Converted { array, failures, rounded } = to_money(column, &self.nulls);
                take_failures(failures, rounded);
                Arc::new(array)
            }
            DataType::Timestamp(..) => {
                let Converted { array, failures, rounded } = to_instants(column, &self.nulls, &self.reading.formats);
                take_failures(failures, rounded);
                Arc::new(array)
            }
            DataType::Boolean => {
                let Converted { array, failures, rounded } = to_booleans(column);
                take_failures(failures, rounded);
                Arc::new(array)
            }
            _ => Arc::new(as_text(column)),
        }
    }

    fn extensions_of(&self, source: &SourceRows, outputs: &Outputs) -> Result<ArrayRef, LandingError> {
        let mut columns = Vec::new();
        for (key, column) in self.named_columns(source, &self.extensions) {
            columns.push((key, self.follow(&column, outputs)?));
        }
        for (name, column) in outputs.columns.iter().filter(|(n, _)| n.starts_with("x_")) {
            columns.push((name.as_str().into(), Arc::new(as_text(column)) as ArrayRef));
        }
        let others = match &source.others {
            Some(others) => Some(self.follow(&others.extensions, outputs)?),
            None => None,
        };
        match (columns.is_empty(), others) {
            (true, Some(others)) => Ok(others),
            (true, None) => Ok(new_null_array(&DataType::Utf8View, outputs.rows)),
            (false, None) => Ok(objects_of_columns(&columns, outputs.rows)),
            (false, Some(others)) => Ok(joined_objects(&objects_of_columns(&columns, outputs.rows), &others)),
        }
    }

    /// A column of the source in the order of the result rows.
    fn follow(&self, column: &ArrayRef, outputs: &Outputs) -> Result<ArrayRef, LandingError> {
        match &outputs.row_of {
            None => Ok(Arc::clone(column)),
            Some(row_of) => take(column, row_of, None).map_err(|e| self.wrong(e.to_string())),
        }
    }
}

/// The next midnight after the last instant inside a period.
fn exclusive(column: &ArrayRef) -> ArrayRef {
    let instants = column.as_primitive::<TimestampMicrosecondType>();
    let ends: TimestampMicrosecondArray = instants.unary(|instant| (instant.div_euclid(DAY) + 1) * DAY);
    Arc::new(ends.with_timezone("UTC"))
}
