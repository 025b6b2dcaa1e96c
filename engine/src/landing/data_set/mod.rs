//! The small data sets of FOCUS 1.4, billing periods, invoice details and contract commitments, OpenCost's allocations, and metrics.
//!
//! They are read like any file (formats, parts, manifests, rejected rows) by a mapping that is made
//! of the columns of their table in the catalog, and end as rows of that table instead of `usage`.

mod model;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::StreamExt;
use ratehouse_udfs::decimal::format_trimmed;
use serde_json::{Map, Value as Json};

use super::batch::{Noted, RejectedRow, Totals};
use super::delivery::{Delivery, OpenPart, look};
use super::discover::DeliveryFiles;
use super::error::LandingError;
use super::header_names::HeaderNames;
use super::instant::{InstantFormat, parse_instant};
use super::mapping::Mapping;
use super::number::parse_number;
use crate::catalog::{OWNER, RefColumn, RefType, Value};
use model::DATA_SETS;
pub use model::DataSet;

/// Most rows of a delivery; what has more is another file.
const ROWS_MAX: usize = 200_000;

/// What a delivery of a data set holds.
#[derive(Debug)]
pub struct DataSetRows {
    /// Rows of the data set's table, without the delivery's number: 0 stands in its place.
    pub rows: Vec<Vec<Value>>,
    /// Rows that cannot be kept.
    pub rejected: Vec<RejectedRow>,
    /// What is odd about rows that are kept.
    pub noted: Vec<Noted>,
    /// What the files say before it is read.
    pub raw: Totals,
    /// Accepted rows in which a number lost digits beyond scale 18.
    pub lossy_rows: u64,
    /// As `LandedRows::content_hash`.
    pub content_hash: String,
}

impl DeliveryFiles {
    /// The data set that these files are, opened; none if they are something else.
    ///
    /// # Errors
    /// What refuses a delivery whole: parts of different kinds, columns that are missing.
    pub async fn open_data_set(
        &self,
        named: Option<&str>,
    ) -> Result<Option<(&'static DataSet, Delivery)>, LandingError> {
        let mut found: Option<(&'static DataSet, String)> = None;
        let mut parts = Vec::with_capacity(self.parts.len());
        let mut source = None;
        for file in &self.parts {
            let name = file.location.name();
            let (kind, header) = look(file).await?;
            let set = DATA_SETS.iter().find(|set| match named {
                Some(named) => named == set.name,
                None => set.fits(&header),
            });
            match (&found, set) {
                (None, None) => return Ok(None),
                (None, Some(set)) => found = Some((set, name.clone())),
                (Some((first, _)), Some(set)) if first.name == set.name => {}
                (Some((first, of)), other) => {
                    return Err(LandingError::PartsDisagree {
                        file: name,
                        found: other.map_or("another file", |set| set.name).to_owned(),
                        first: of.clone(),
                        expected: first.name.to_owned(),
                    });
                }
            }
            let Some(set) = set else { return Ok(None) };
            let missing = set.missing(&header);
            if !missing.is_empty() {
                let (source_name, missing) = (set.name.to_owned(), missing.join(", "));
                return Err(LandingError::MissingColumns { file: name, source_name, missing });
            }
            let own = Arc::new(set.source()?);
            let mapping = Mapping::fit(&own, &name, &header).await?;
            // In the order in which the rows are read; a format without a header has its own.
            let read: Vec<String> = mapping.reading.columns.iter().map(|column| column.name.to_string()).collect();
            let mapping = mapping.with_checks(&set.checks(&HeaderNames::new(&read)));
            source = Some(own);
            parts.push(OpenPart { file: file.clone(), kind, mapping: Arc::new(mapping) });
        }
        let (Some((set, _)), Some(source)) = (found, source) else { return Ok(None) };
        Ok(Some((set, Delivery::of_parts(self, source.info(), parts))))
    }
}

impl DataSet {
    /// Reads a delivery of this data set. What could have another owner and does not say so is `root`'s.
    ///
    /// # Errors
    /// What refuses it whole, also more rows than such a data set has.
    pub async fn read(
        &'static self,
        delivery: Delivery,
        threads: usize,
        root: &str,
    ) -> Result<DataSetRows, LandingError> {
        let name = delivery.name.clone();
        let mut stream = delivery.read(threads);
        let mut read = DataSetRows {
            rows: Vec::new(),
            rejected: Vec::new(),
            noted: Vec::new(),
            raw: Totals::default(),
            lossy_rows: 0,
            content_hash: String::new(),
        };
        let mut odd: BTreeMap<String, (u64, (i32, i64))> = BTreeMap::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            read.raw.merge(&batch.raw);
            read.rejected.extend(batch.rejected);
            for Noted { says, rows, first } in batch.noted {
                let known = odd.entry(says).or_insert((0, first));
                known.0 += rows;
            }
            self.take(&batch.usage, &mut read, &mut odd).ok_or_else(|| self.wrong(&name))?;
            if read.rows.len() + read.rejected.len() > ROWS_MAX {
                return Err(LandingError::TooManyRows { file: name, source_name: self.name, limit: ROWS_MAX });
            }
        }
        self.own(&mut read.rows, root);
        self.refuse_twins(&read.rows, &name)?;
        self.refuse_overlaps(&read.rows, &name)?;
        read.noted = odd.into_iter().map(|(says, (rows, first))| Noted { says, rows, first }).collect();
        read.content_hash = stream.content_hash().ok_or_else(|| self.wrong(&name))?;
        Ok(read)
    }

    /// Gives rows without an owner to the root.
    fn own(&self, rows: &mut [Vec<Value>], root: &str) {
        let Some(at) = self.table.columns.iter().position(|column| column.name == OWNER.name) else { return };
        for owner in rows.iter_mut().filter_map(|row| row.get_mut(at)).filter(|owner| **owner == Value::Null) {
            *owner = root.into();
        }
    }

    /// Two rows about the same thing: which of them holds cannot be known.
    fn refuse_twins(&self, rows: &[Vec<Value>], file: &str) -> Result<(), LandingError> {
        let mut seen = HashMap::with_capacity(rows.len());
        for row in rows {
            let place = || self.table.values_of(row, &["source_file", "source_row"]);
            let Some(first) = seen.insert(self.table.values_of(row, self.table.key), place()) else { continue };
            let (first, second) = (shown(&first), shown(&place()));
            let key = self.table.key.iter().map(|column| self.name_of(column)).collect::<Vec<_>>().join(", ");
            return Err(LandingError::Twins { file: file.to_owned(), first, second, key });
        }
        Ok(())
    }

    /// Two stretches of time that overlap and are not the same: what was measured in both would count twice.
    fn refuse_overlaps(&self, rows: &[Vec<Value>], file: &str) -> Result<(), LandingError> {
        let Some((start, end)) = self.table.window else { return Ok(()) };
        let things: Vec<&str> =
            self.table.unit.iter().copied().filter(|column| ![start, end].contains(column)).collect();
        let order = |row| (self.table.values_of(row, &things), self.table.values_of(row, &[start, end]));
        let mut sorted: Vec<&Vec<Value>> = rows.iter().collect();
        sorted.sort_by_cached_key(|row| order(*row));
        for pair in sorted.windows(2) {
            let [first, second] = pair else { continue };
            let ((thing, window), (next, following)) = (order(*first), order(*second));
            // Instants are texts of one form.
            if thing == next && window != following && window.get(1) > following.first() {
                let place = |row| shown(&self.table.values_of(row, &["source_file", "source_row"]));
                let (first, second) = (place(first), place(second));
                return Err(LandingError::Overlap { file: file.to_owned(), first, second });
            }
        }
        Ok(())
    }

    /// What would be a mistake of the program: checked cells that do not convert.
    fn wrong(&self, file: &str) -> LandingError {
        LandingError::Mapping {
            source_name: self.name.to_owned(),
            reason: format!("{file} could not be read to its end"),
        }
    }

    fn take(
        &self,
        usage: &RecordBatch,
        read: &mut DataSetRows,
        odd: &mut BTreeMap<String, (u64, (i32, i64))>,
    ) -> Option<()> {
        let cells = usage.column_by_name("x_columns")?.as_string_view();
        let files = usage.column_by_name("source_file")?.as_primitive_opt::<Int32Type>()?;
        let numbers = usage.column_by_name("source_row")?.as_primitive_opt::<Int64Type>()?;
        for row in 0..usage.num_rows() {
            let place = (files.value(row), numbers.value(row));
            let said: Map<String, Json> = match cells.is_valid(row) {
                true => serde_json::from_str(cells.value(row)).ok()?,
                false => Map::new(),
            };
            let mut values = Vec::with_capacity(self.table.columns.len());
            let mut is_lossy = false;
            for column in self.table.columns {
                let cell = said.get(&format!("x_{}", column.name)).and_then(Json::as_str);
                if let (Some(cell), Some(listed)) = (cell, self.values_of(column))
                    && !listed.contains(&cell)
                {
                    let says = format!("{} has a value that FOCUS does not list", self.name_of(column.name));
                    let known = odd.entry(says).or_insert((0, place));
                    known.0 += 1;
                }
                values.push(match column.name {
                    "delivery_id" => Value::Int(0),
                    "source_file" => Value::Int(place.0.into()),
                    "source_row" => Value::Int(place.1),
                    "billing_period" => Value::from(said.get("x_billing_period_start")?.as_str().and_then(month_of)?),
                    _ => match cell {
                        None => Value::Null,
                        Some(cell) => stored(column, cell, &mut is_lossy)?,
                    },
                });
            }
            read.lossy_rows += u64::from(is_lossy);
            read.rows.push(values);
        }
        Some(())
    }
}

/// Where a row is.
fn shown(place: &[&Value]) -> String {
    match place {
        [Value::Int(file), Value::Int(row)] => format!("{row} (part {})", file + 1),
        _ => String::new(),
    }
}

/// A cell as the catalog keeps it.
fn stored(column: &RefColumn, cell: &str, is_lossy: &mut bool) -> Option<Value> {
    Some(Value::Text(match column.kind {
        RefType::Decimal => {
            let number = parse_number(cell.as_bytes()).ok()?;
            *is_lossy |= number.is_rounded;
            format_trimmed(number.units, 18, 0)
        }
        RefType::Instant => instant_of(cell)?.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        RefType::Text | RefType::Int | RefType::Bool | RefType::Json => cell.to_owned(),
    }))
}

fn instant_of(cell: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp_micros(parse_instant(cell.as_bytes(), &[InstantFormat::Iso])?)
}

/// The month of an instant, as billing periods are named.
fn month_of(cell: &str) -> Option<String> {
    Some(instant_of(cell)?.format("%Y-%m").to_string())
}
