//! What a query's answer looks like as a picture.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, TimeDelta, Utc};

use super::ChartError;

/// Lines beyond which nobody tells them apart.
const SERIES_MAX: usize = 12;
/// Letters of a name in an error.
const NAME_MAX: usize = 60;
/// Points of a picture.
const POINTS_MAX: usize = 200_000;
type At = DateTime<Utc>;

/// A line; where a value is missing it is interrupted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    /// The values that are there, in runs.
    runs: Vec<Vec<(At, f64)>>,
}

/// What lies between a lower and an upper bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    /// The number of the line that it belongs to.
    pub(super) color: usize,
    runs: Vec<Vec<(At, f64, f64)>>,
}

/// Lines over time, bands around them, and points that are marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub(super) title: String,
    pub(super) series: Vec<Series>,
    pub(super) bands: Vec<Band>,
    pub(super) marks: Vec<(At, f64)>,
}

impl Series {
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[(At, f64)]> {
        self.runs.iter().map(Vec::as_slice)
    }
}

impl Band {
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[(At, f64, f64)]> {
        self.runs.iter().map(Vec::as_slice)
    }
}

/// Runs of what is there.
fn runs<T: Copy>(values: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    let mut goes_on = false;
    for value in values {
        match value {
            Some(value) if goes_on => runs.last_mut().into_iter().for_each(|run| run.push(value)),
            Some(value) => runs.push(vec![value]),
            None => {}
        }
        goes_on = value.is_some();
    }
    runs
}

/// The columns of an answer by what they are in a picture.
struct Columns {
    time: usize,
    values: Vec<usize>,
    /// Lower and upper bounds.
    bounds: Vec<(usize, usize)>,
    names: Vec<usize>,
    mark: Option<usize>,
}

impl Columns {
    fn of(schema: &Schema) -> Result<Self, ChartError> {
        let fields = schema.fields();
        let is_time = |kind: &DataType| matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
        let time = fields.iter().position(|field| is_time(field.data_type())).ok_or(ChartError::NoTime)?;
        let place = |name: &str| fields.iter().position(|field| field.name() == name);
        // `lower_80` and `upper_80`, and what forecast() and detect_anomalies() call theirs.
        let upper = |name: &str| match name {
            "prediction_interval_lower_bound" => Some("prediction_interval_upper_bound".to_owned()),
            "lower_bound" => Some("upper_bound".to_owned()),
            _ => name.strip_prefix("lower_").map(|rest| format!("upper_{rest}")),
        };
        let bounds: Vec<(usize, usize)> =
            fields.iter().enumerate().filter_map(|(at, field)| Some((at, place(&upper(field.name())?)?))).collect();
        let is_bound = |at: usize| bounds.iter().any(|(lower, upper)| *lower == at || *upper == at);
        let of_kind = |is: &dyn Fn(&DataType) -> bool| -> Vec<usize> {
            (0..fields.len()).filter(|at| is(fields[*at].data_type()) && !is_bound(*at)).collect()
        };
        let values = of_kind(&DataType::is_numeric);
        if values.is_empty() {
            return Err(ChartError::NoNumber);
        }
        let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let names = of_kind(&is_text);
        Ok(Self { time, values, names, bounds, mark: place("is_anomaly") })
    }
}

struct Row {
    values: Vec<Option<f64>>,
    bounds: Vec<Option<(f64, f64)>>,
    is_marked: bool,
}

/// The rows of one line's name.
type Rows = BTreeMap<At, Row>;

impl Picture {
    /// Reads an answer: the first column of dates or times is the axis, each column of numbers a line, texts name lines, columns
    /// `lower_*` and `upper_*` are bands around the first, `is_anomaly` marks points.
    ///
    /// # Errors
    /// When there is no time, no number or no row, several rows of one line and time, or more than anybody can read.
    pub fn of(title: &str, schema: &Schema, batches: &[RecordBatch]) -> Result<Self, ChartError> {
        let columns = Columns::of(schema)?;
        let mut named: BTreeMap<String, Rows> = BTreeMap::new();
        let mut points = 0;
        for batch in batches {
            points += batch.num_rows() * (columns.values.len() + columns.bounds.len());
            if points > POINTS_MAX {
                return Err(ChartError::TooMany { what: "points", most: POINTS_MAX });
            }
            columns.add(batch, &mut named)?;
        }
        if named.is_empty() {
            return Err(ChartError::Empty);
        }
        if named.len() * columns.values.len() > SERIES_MAX {
            return Err(ChartError::TooMany { what: "lines", most: SERIES_MAX });
        }
        let mut picture = Self { title: title.to_owned(), series: Vec::new(), bands: Vec::new(), marks: Vec::new() };
        for (name, rows) in &named {
            for at in 0..columns.bounds.len() {
                let bounds = rows.iter().map(|(time, row)| row.bounds[at].map(|(low, high)| (*time, low, high)));
                picture.bands.push(Band { color: picture.series.len(), runs: runs(bounds) });
            }
            for (at, column) in columns.values.iter().enumerate() {
                let column = schema.field(*column).name();
                let name = match (name.is_empty(), columns.values.len()) {
                    (true, _) => column.clone(),
                    (false, 1) => name.clone(),
                    (false, _) => format!("{name} {column}"),
                };
                let runs = runs(rows.iter().map(|(time, row)| row.values[at].map(|value| (*time, value))));
                picture.series.push(Series { name, runs });
            }
            let marked = rows.iter().filter(|(_, row)| row.is_marked);
            picture.marks.extend(marked.filter_map(|(time, row)| Some((*time, *row.values.first()?.as_ref()?))));
        }
        // Wide bands lie below narrow ones.
        let width = |band: &Band| -> f64 { band.runs.iter().flatten().map(|(_, low, high)| high - low).sum() };
        picture.bands.sort_by(|one, other| width(other).total_cmp(&width(one)));
        if picture.all().next().is_none() {
            return Err(ChartError::Empty);
        }
        Ok(picture)
    }

    /// All points that are drawn.
    fn all(&self) -> impl Iterator<Item = (At, f64)> {
        let bounds = self.bands.iter().flat_map(|band| band.runs.iter().flatten());
        let bounds = bounds.flat_map(|(at, low, high)| [(*at, *low), (*at, *high)]);
        self.series.iter().flat_map(|series| series.runs.iter().flatten().copied()).chain(bounds)
    }

    /// The first and the last time, a little apart at least.
    pub(super) fn times(&self) -> (At, At) {
        let from = self.all().map(|(at, _)| at).min().unwrap_or_default();
        let to = self.all().map(|(at, _)| at).max().unwrap_or_default();
        if from < to { (from, to) } else { (from - TimeDelta::hours(12), to + TimeDelta::hours(12)) }
    }

    /// Zero and all values, with a little room.
    pub(super) fn values(&self) -> (f64, f64) {
        let low = self.all().map(|(_, value)| value).fold(0.0, f64::min);
        let high = self.all().map(|(_, value)| value).fold(0.0, f64::max);
        if low == high { (0.0, 1.0) } else { (low * 1.05, high * 1.05) }
    }

    pub(super) fn has_legend(&self) -> bool {
        self.series.len() > 1 || !self.marks.is_empty()
    }
}

impl Columns {
    fn add(&self, batch: &RecordBatch, named: &mut BTreeMap<String, Rows>) -> Result<(), ChartError> {
        let unreadable = |_| ChartError::NoTime;
        let times =
            cast(batch.column(self.time), &DataType::Timestamp(TimeUnit::Microsecond, None)).map_err(unreadable)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let number = |at: usize| cast(batch.column(at), &DataType::Float64).map_err(|_| ChartError::NoNumber);
        let values = self.values.iter().map(|at| number(*at)).collect::<Result<Vec<_>, _>>()?;
        let bounds = self
            .bounds
            .iter()
            .map(|(low, high)| Ok((number(*low)?, number(*high)?)))
            .collect::<Result<Vec<_>, ChartError>>()?;
        let texts =
            self.names.iter().map(|at| cast(batch.column(*at), &DataType::Utf8View).map_err(|_| ChartError::NoNumber));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let mark = self.mark.map(|at| batch.column(at)).filter(|column| *column.data_type() == DataType::Boolean);
        let value = |array: &dyn Array, row: usize| {
            let array = array.as_primitive::<Float64Type>();
            Some(array.value(row)).filter(|value| array.is_valid(row) && value.is_finite())
        };
        for row in (0..batch.num_rows()).filter(|row| times.is_valid(*row)) {
            let time = DateTime::from_timestamp_micros(times.value(row)).ok_or(ChartError::NoTime)?;
            let names = texts.iter().map(|text| text.as_string_view()).filter(|text| text.is_valid(row));
            let name = names.map(|text| text.value(row)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
            let values = values.iter().map(|array| value(array, row)).collect();
            let bounds = bounds.iter().map(|(low, high)| value(low, row).zip(value(high, row))).collect();
            let is_marked = mark.is_some_and(|mark| mark.is_valid(row) && mark.as_boolean().value(row));
            if named.entry(name.clone()).or_default().insert(time, Row { values, bounds, is_marked }).is_some() {
                let name = name.chars().take(NAME_MAX).collect();
                return Err(ChartError::Twice { name, time: time.format("%Y-%m-%d %H:%M").to_string() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, StringArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).expect("columns of one length")
    }

    fn picture(batch: &RecordBatch) -> Result<Picture, ChartError> {
        Picture::of("title", batch.schema_ref(), std::slice::from_ref(batch))
    }

    fn day(days: i64) -> At {
        DateTime::from_timestamp(days * 86_400, 0).expect("an instant")
    }

    fn days(days: &[i32]) -> ArrayRef {
        Arc::new(Date32Array::from(days.to_vec()))
    }

    #[test]
    fn numbers_are_lines_interrupted_where_they_are_missing_and_bounds_are_bands() {
        // Out of order, with money of scale 2.
        let money = Decimal128Array::from(vec![Some(300), Some(150), None, Some(-50)]).with_precision_and_scale(10, 2);
        let floats = |values: [f64; 4]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let rows = batch(vec![
            ("day", days(&[3, 1, 2, 4])),
            ("cost", Arc::new(money.expect("a type"))),
            ("lower_80", floats([2.0, 1.0, 1.0, 1.0])),
            ("upper_80", floats([4.0, 2.0, f64::NAN, 2.0])),
            ("lower_95", floats([0.0, 0.0, 0.0, 0.0])),
            ("upper_95", floats([9.0, 9.0, 9.0, 9.0])),
            ("is_anomaly", Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), None]))),
        ]);
        let picture = picture(&rows).expect("a picture");
        let names: Vec<&str> = picture.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["cost"]);
        let pieces: Vec<&[(At, f64)]> = picture.series[0].pieces().collect();
        assert_eq!(pieces, [&[(day(1), 1.5)][..], &[(day(3), 3.0), (day(4), -0.5)]]);
        // The wide one first; the narrow one has no upper bound on the second day.
        let widths: Vec<Vec<usize>> =
            picture.bands.iter().map(|band| band.pieces().map(<[_]>::len).collect()).collect();
        assert_eq!(widths, [vec![4], vec![1, 2]]);
        // A mark needs a value to be at.
        assert_eq!(picture.marks, [(day(3), 3.0)]);
        assert_eq!(picture.times(), (day(1), day(4)));
        assert_eq!(picture.values(), (-0.525, 9.450_000_000_000_001));
    }

    #[test]
    fn texts_tell_lines_apart() {
        let texts = |values: [&str; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let rows = batch(vec![
            ("service", texts(["b", "a", "a"])),
            ("region", texts(["eu", "eu", ""])),
            ("day", days(&[1, 1, 1])),
            ("cost", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]))),
            ("price", Arc::new(Float64Array::from(vec![4.0, 5.0, 6.0]))),
        ]);
        let picture = picture(&rows).expect("a picture");
        let names: Vec<&str> = picture.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["a cost", "a price", "a eu cost", "a eu price", "b eu cost", "b eu price"]);
        // One day has room around it.
        assert_eq!(picture.times(), (day(1) - TimeDelta::hours(12), day(1) + TimeDelta::hours(12)));
    }

    #[test]
    fn what_cannot_be_drawn_says_why() {
        let floats = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let error = |rows: &RecordBatch| picture(rows).expect_err("no picture").to_string();
        assert!(error(&batch(vec![("cost", floats(&[1.0]))])).contains("no column of dates"));
        assert!(error(&batch(vec![("day", days(&[1]))])).contains("no column of numbers"));
        assert!(error(&batch(vec![("day", days(&[])), ("cost", floats(&[]))])).contains("no rows"));
        assert!(error(&batch(vec![("day", days(&[1])), ("cost", floats(&[f64::NAN]))])).contains("no rows"));
        let twice = error(&batch(vec![("day", days(&[1, 1])), ("cost", floats(&[1.0, 2.0]))]));
        assert!(twice.contains("1970-01-02") && twice.contains("group by"), "{twice}");
        let names: Vec<String> = (0..13).map(|n| n.to_string()).collect();
        let many = batch(vec![
            ("name", Arc::new(StringArray::from(names)) as ArrayRef),
            ("day", days(&[1; 13])),
            ("cost", floats(&[1.0; 13])),
        ]);
        assert!(error(&many).contains("more than 12 lines"));
    }
}
