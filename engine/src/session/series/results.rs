//! The rows of the results.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, SchemaRef};
use chrono::{Datelike, NaiveDate};
use datafusion::error::Result;
use ratehouse_udfs::datetime::DAY_US;
use ratehouse_udfs::series::anomaly::{Direction, Judgement};
use ratehouse_udfs::series::{Calendar, Frequency};

use super::Function;
use super::arguments::{Asked, Period, Real};
use super::gather::{HOUR_US, Laid};
use super::node::Shape;
use super::work::Made;
use crate::lake::schema::{MONEY_PRECISION, instant, money};
use crate::security::relations::{PG_SCALE, commented};

enum Kind {
    /// A time of the source's type.
    Time,
    /// A number of the source's kind: exact where that is.
    Amount,
    /// A number of its own.
    Number,
    Flag,
    Text,
    /// A text that is empty where all is well.
    Status,
}

type Column = (&'static str, Kind, &'static str);

const PERIOD: Column = ("period", Kind::Text, "day for each time of the forecast, month or quarter.");

const FORECAST: [Column; 2] = [
    ("forecast_timestamp", Kind::Time, "The time of the forecast; of a month or quarter its first day."),
    (
        "forecast_value",
        Kind::Amount,
        "What is as likely too high as too low, with planned changes; of a month or quarter the mean.",
    ),
];

const INTERVAL: [Column; 3] = [
    ("confidence_level", Kind::Number, "The chance with which the interval holds the value."),
    ("prediction_interval_lower_bound", Kind::Amount, "Lower end of the interval."),
    ("prediction_interval_upper_bound", Kind::Amount, "Upper end of the interval."),
];

const ABOUT_FORECAST: [Column; 6] = [
    ("forecast_mean", Kind::Amount, "The mean, with planned changes: what to add up for the total of a month."),
    (
        "baseline_value",
        Kind::Amount,
        "forecast_value without the planned changes that begin after the last known time.",
    ),
    ("planned_change_value", Kind::Amount, "forecast_value less baseline_value."),
    ("method", Kind::Text, "How it was made: combination, mean or none."),
    (
        "forecast_status",
        Kind::Status,
        "Empty, or why the forecast is weak or missing: short_history, no_recent_data, all_zero ...",
    ),
    ("last_known_timestamp", Kind::Time, "The last time before the forecast."),
];

const OF_PERIODS: [Column; 1] = [(
    "known_value",
    Kind::Amount,
    "What of a month or quarter is known already, a part of forecast_value; null for days.",
)];

const BACKTEST: [Column; 2] = [
    (
        "actual_value",
        Kind::Amount,
        "What came at that time, which the forecast did not know; null for months and quarters.",
    ),
    (
        "seasonal_naive_error",
        Kind::Amount,
        "Mean distance of the known values from those a season before: a forecast's mean distance from what came, divided by it, is the MASE.",
    ),
];

const ANOMALIES: [Column; 16] = [
    ("time_series_timestamp", Kind::Time, "The time of the value."),
    ("time_series_data", Kind::Amount, "The value."),
    ("is_anomaly", Kind::Flag, "Whether somebody should look at it."),
    ("expected_value", Kind::Amount, "What was expected by what came before."),
    ("lower_bound", Kind::Amount, "Below it is unusual."),
    ("upper_bound", Kind::Amount, "Above it is unusual."),
    ("anomaly_score", Kind::Number, "How unusual, 0 and more, comparable between series."),
    ("anomaly_probability", Kind::Number, "The score as a number from 0 to 1."),
    ("direction", Kind::Text, "up or down, of anomalies."),
    ("kind", Kind::Text, "spike, drop, level_shift, growth, new_service or missing_data, of anomalies."),
    ("impact", Kind::Amount, "time_series_data less baseline_value."),
    ("impact_pct", Kind::Number, "impact as a part of baseline_value, in percent; null where that is nothing."),
    (
        "detect_anomalies_status",
        Kind::Status,
        "Empty, or why the value is not judged: short_history, all_zero, missing_value, credit, idle ...",
    ),
    ("frequency", Kind::Text, "hour, day, week or month."),
    (
        "baseline_value",
        Kind::Amount,
        "What there would be without an anomaly that goes on: at the level before it; else expected_value.",
    ),
    (
        "is_lasting",
        Kind::Flag,
        "Whether an anomaly that was flagged before goes on, for four weeks at most: level_shift, growth or new_service.",
    ),
];

/// The columns of a result after the ids.
fn columns(asked: &Asked) -> Vec<(String, &'static Kind, &'static str)> {
    let fixed = |columns: &'static [Column], is_there: bool| {
        let there = columns.iter().filter(move |_| is_there);
        there.map(|(name, kind, comment)| ((*name).to_owned(), kind, *comment))
    };
    if asked.function == Function::DetectAnomalies {
        return fixed(&ANOMALIES, true).collect();
    }
    let bound = |end: &str, level: &Real| {
        // 0.95 is 95, 0.995 is 99_5.
        let percent = format!("{end}_{}", (level.0 * 1e6).round() / 1e4).replace('.', "_");
        (percent, &Kind::Amount, "End of the interval that holds the value with a chance of so many percent.")
    };
    let levels = asked.confidence_levels.iter().filter(|_| asked.is_wide);
    fixed(std::slice::from_ref(&PERIOD), !asked.periods.is_empty())
        .chain(fixed(&FORECAST, true))
        .chain(fixed(&INTERVAL, !asked.is_wide))
        .chain(levels.flat_map(|level| [bound("lower", level), bound("upper", level)]))
        .chain(fixed(&ABOUT_FORECAST, true))
        .chain(fixed(&OF_PERIODS, !asked.periods.is_empty()))
        .chain(fixed(&BACKTEST, asked.is_backtest))
        .collect()
}

/// The columns of a result: the ids, the grouping set if there are such, then the function's own.
pub(super) fn fields(asked: &Asked, shape: &Shape) -> Vec<Field> {
    let set = (!shape.sets.is_empty()).then(|| {
        commented(
            "grouping_set",
            DataType::Int64,
            "Which of the grouping sets it is, from 1; ids that it leaves out are null.",
        )
    });
    let own = columns(asked).into_iter().map(|(name, kind, comment)| match kind {
        Kind::Time if shape.is_instant => commented(&name, instant(), comment),
        Kind::Time => commented(&name, DataType::Date32, comment),
        Kind::Amount if shape.is_exact => {
            let field = commented(&name, money(), comment);
            let mut metadata = field.metadata().clone();
            metadata.insert(PG_SCALE.to_owned(), "trim:2".to_owned());
            field.with_metadata(metadata)
        }
        Kind::Amount | Kind::Number => commented(&name, DataType::Float64, comment),
        Kind::Flag => commented(&name, DataType::Boolean, comment),
        Kind::Text | Kind::Status => commented(&name, DataType::Utf8View, comment),
    });
    shape.ids.iter().cloned().chain(set).chain(own).collect()
}

/// Rows of a batch as they are made.
#[derive(Debug, Default)]
pub(super) struct Rows {
    series: Vec<u32>,
    /// Digits of each row's currency, where that is known.
    digits: Vec<Option<i8>>,
    /// Column by column; NaN is null.
    times: Vec<Vec<i64>>,
    amounts: Vec<Vec<f64>>,
    numbers: Vec<Vec<f64>>,
    flags: Vec<Vec<bool>>,
    texts: Vec<Vec<&'static str>>,
}

/// One row of a forecast for a time or a stretch of it.
struct Row {
    period: Period,
    at: i64,
    value: f64,
    mean: f64,
    baseline: f64,
    known: f64,
    actual: f64,
    /// The interval of each confidence level.
    bounds: Vec<(f64, f64)>,
}

impl Rows {
    pub(super) fn new(asked: &Asked) -> Self {
        let columns = columns(asked);
        let count = |is_one: fn(&Kind) -> bool| columns.iter().filter(|(_, kind, _)| is_one(kind)).count();
        Self {
            series: Vec::new(),
            digits: Vec::new(),
            times: vec![Vec::new(); count(|kind| matches!(kind, Kind::Time))],
            amounts: vec![Vec::new(); count(|kind| matches!(kind, Kind::Amount))],
            numbers: vec![Vec::new(); count(|kind| matches!(kind, Kind::Number))],
            flags: vec![Vec::new(); count(|kind| matches!(kind, Kind::Flag))],
            texts: vec![Vec::new(); count(|kind| matches!(kind, Kind::Text | Kind::Status))],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    fn begin(&mut self, (series, digits): (usize, Option<i8>)) {
        self.series.push(u32::try_from(series).unwrap_or(u32::MAX));
        self.digits.push(digits);
    }

    /// Adds the rows of a forecast: of each time, or of each period that was asked for.
    pub(super) fn forecast(&mut self, series: (usize, Option<i8>), laid: &Laid, made: &Made, asked: &Asked) {
        let known = laid.values.len();
        let naive_error = if asked.is_backtest { seasonal_naive_error(laid) } else { f64::NAN };
        let is_asked = |period| asked.periods.is_empty() || asked.periods.contains(&period);
        if is_asked(Period::Day) {
            for lead in 0..made.value.len() {
                let row = Row {
                    period: Period::Day,
                    at: micros(&laid.calendar, known + lead),
                    value: made.value[lead],
                    mean: made.mean[lead],
                    baseline: made.baseline[lead],
                    known: f64::NAN,
                    actual: laid.later.get(lead).copied().unwrap_or(f64::NAN),
                    bounds: made.bounds.iter().map(|(lower, upper)| (lower[lead], upper[lead])).collect(),
                };
                self.row(series, (laid, made, naive_error), &row, asked);
            }
        }
        for period in [Period::Month, Period::Quarter] {
            if asked.periods.contains(&period) && laid.calendar.frequency != Frequency::Hour {
                for row in stretches(period, laid, made) {
                    self.row(series, (laid, made, naive_error), &row, asked);
                }
            }
        }
    }

    fn row(
        &mut self,
        series: (usize, Option<i8>),
        (laid, made, naive_error): (&Laid, &Made, f64),
        row: &Row,
        asked: &Asked,
    ) {
        let has_periods = !asked.periods.is_empty();
        let intervals = if asked.is_wide { 1 } else { made.bounds.len() };
        for interval in 0..intervals {
            self.begin(series);
            let last_known = micros(&laid.calendar, laid.values.len().saturating_sub(1));
            push(&mut self.times, [row.at, last_known]);
            let shown = if asked.is_wide { row.bounds.as_slice() } else { &row.bounds[interval..=interval] };
            let amounts = std::iter::once(row.value)
                .chain(shown.iter().flat_map(|(lower, upper)| [*lower, *upper]))
                .chain([row.mean, row.baseline, row.value - row.baseline])
                .chain(has_periods.then_some(row.known))
                .chain([row.actual, naive_error].into_iter().filter(|_| asked.is_backtest));
            push(&mut self.amounts, amounts);
            if !asked.is_wide {
                push(&mut self.numbers, [asked.confidence_levels[interval].0]);
            }
            let texts = has_periods.then_some(row.period.as_str()).into_iter().chain([made.method, made.status]);
            push(&mut self.texts, texts);
        }
    }

    /// Adds the row of a judgement.
    pub(super) fn judgement(
        &mut self,
        series: (usize, Option<i8>),
        (calendar, position): (&Calendar, usize),
        (value, judgement): (f64, &Judgement),
    ) {
        self.begin(series);
        push(&mut self.times, [micros(calendar, position)]);
        let Judgement { expected, baseline, .. } = *judgement;
        let impact = value - baseline;
        push(&mut self.amounts, [value, expected, judgement.lower, judgement.upper, impact, baseline]);
        let share = if baseline == 0.0 { f64::NAN } else { 100.0 * impact / baseline.abs() };
        push(&mut self.numbers, [judgement.score, judgement.probability, share]);
        push(&mut self.flags, [judgement.is_anomaly, judgement.is_lasting]);
        let direction = match judgement.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        let texts = [
            if judgement.is_anomaly { direction } else { "" },
            judgement.kind.map_or("", |kind| kind.as_str()),
            judgement.status.as_str(),
            calendar.frequency.as_str(),
        ];
        push(&mut self.texts, texts);
    }

    /// The rows as a batch; there are none afterwards.
    pub(super) fn take(
        &mut self,
        schema: &SchemaRef,
        keys: &[ArrayRef],
        (asked, shape): (&Asked, &Shape),
    ) -> Result<RecordBatch> {
        let rows = std::mem::replace(self, Self::new(asked));
        let series = UInt32Array::from(rows.series);
        let mut arrays = keys.iter().map(|key| take(key, &series, None)).collect::<Result<Vec<_>, _>>()?;
        let (mut times, mut amounts) = (rows.times.into_iter(), rows.amounts.into_iter());
        let (mut numbers, mut flags, mut texts) =
            (rows.numbers.into_iter(), rows.flags.into_iter(), rows.texts.into_iter());
        for (_, kind, _) in columns(asked) {
            arrays.push(match kind {
                Kind::Time => time_array(&times.next().unwrap_or_default(), shape),
                Kind::Amount => amount_array(amounts.next().unwrap_or_default(), &rows.digits, asked, shape)?,
                Kind::Number => Arc::new(known(&numbers.next().unwrap_or_default())),
                Kind::Flag => Arc::new(BooleanArray::from(flags.next().unwrap_or_default())),
                Kind::Text => text_array(&texts.next().unwrap_or_default(), |text| !text.is_empty()),
                Kind::Status => text_array(&texts.next().unwrap_or_default(), |_| true),
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
    }
}

/// Adds a row's values to the columns of their kind.
fn push<T>(columns: &mut [Vec<T>], values: impl IntoIterator<Item = T>) {
    for (column, value) in columns.iter_mut().zip(values) {
        column.push(value);
    }
}

/// The months or quarters whose ends the forecast reaches, from that of the last known value on: what of each is known, and the means
/// of its other days, weeks or months.
fn stretches(period: Period, laid: &Laid, made: &Made) -> Vec<Row> {
    let known = laid.values.len();
    let first_at = |position: usize| first_day(period, laid.calendar.date(position));
    let mut begin = known.saturating_sub(1);
    while begin > 0 && first_at(begin - 1) == first_at(known - 1) {
        begin -= 1;
    }
    let end = known + made.mean.len();
    let mut rows: Vec<Row> = Vec::new();
    let mut current = None;
    for position in begin..end {
        let first = first_at(position);
        if current != Some(first) {
            current = Some(first);
            rows.push(Row {
                period,
                at: i64::from(first.to_epoch_days()).saturating_mul(DAY_US),
                value: 0.0,
                mean: 0.0,
                baseline: 0.0,
                known: 0.0,
                actual: f64::NAN,
                bounds: vec![(0.0, 0.0); made.bounds.len()],
            });
        }
        let Some(row) = rows.last_mut() else { continue };
        // What nobody knows adds nothing.
        let add = |sum: &mut f64, value: f64| *sum += if value.is_nan() { 0.0 } else { value };
        let lead = position.checked_sub(known);
        let (mean, planned) = match lead {
            None => (laid.values[position], 0.0),
            Some(lead) => (made.mean[lead], made.value[lead] - made.baseline[lead]),
        };
        add(&mut row.mean, mean);
        add(&mut row.baseline, mean - planned);
        if lead.is_none() {
            add(&mut row.known, mean);
        }
        for ((low, high), (lower, upper)) in row.bounds.iter_mut().zip(&made.bounds) {
            // Where few days cost much, the mean may lie outside of what holds most of them; the sum of means must not.
            add(low, lead.map_or(mean, |lead| lower[lead].min(mean)));
            add(high, lead.map_or(mean, |lead| upper[lead].max(mean)));
        }
        row.value = row.mean;
    }
    // The last one may go on where the forecast ends; a day that ends one leaves nothing of it to come.
    if current == Some(first_at(end)) {
        rows.pop();
    }
    if laid.calendar.frequency == Frequency::Day && known > 0 && first_at(known) != first_at(known - 1) {
        rows.drain(..1.min(rows.len()));
    }
    rows
}

fn first_day(period: Period, day: NaiveDate) -> NaiveDate {
    let month = match period {
        Period::Day => return day,
        Period::Month => day.month(),
        Period::Quarter => (day.month() - 1) / 3 * 3 + 1,
    };
    NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap_or(day)
}

/// Mean distance of the known values from those a season before (Hyndman and Koehler 2006); NaN where there is none.
fn seasonal_naive_error(laid: &Laid) -> f64 {
    let season = laid.calendar.frequency.season();
    let pairs = laid.values.iter().zip(laid.values.iter().skip(season));
    let distances = pairs.map(|(before, value)| (value - before).abs()).filter(|distance| !distance.is_nan());
    let (count, sum) = distances.fold((0.0, 0.0), |(count, sum), distance| (count + 1.0, sum + distance));
    sum / count
}

fn text_array(values: &[&'static str], is_there: fn(&str) -> bool) -> ArrayRef {
    Arc::new(values.iter().map(|text| is_there(text).then_some(*text)).collect::<StringViewArray>())
}

fn micros(calendar: &Calendar, position: usize) -> i64 {
    match calendar.frequency {
        Frequency::Hour => {
            let at = i64::from(calendar.first).saturating_add(i64::try_from(position).unwrap_or(i64::MAX));
            at.saturating_mul(HOUR_US)
        }
        _ => i64::from(calendar.date(position).to_epoch_days()).saturating_mul(DAY_US),
    }
}

fn time_array(micros: &[i64], shape: &Shape) -> ArrayRef {
    if shape.is_instant {
        return Arc::new(TimestampMicrosecondArray::from_iter_values(micros.iter().copied()).with_timezone("UTC"));
    }
    let days = micros.iter().map(|micros| i32::try_from(micros.div_euclid(DAY_US)).unwrap_or(i32::MAX));
    Arc::new(Date32Array::from_iter_values(days))
}

fn known(values: &[f64]) -> Float64Array {
    values.iter().map(|value| value.is_finite().then_some(*value)).collect()
}

/// Exact amounts are rounded to the minor unit of their currency, or to as many digits as were asked for, half away from zero; what does
/// not fit is null.
fn amount_array(mut values: Vec<f64>, digits: &[Option<i8>], asked: &Asked, shape: &Shape) -> Result<ArrayRef> {
    if !shape.is_exact {
        return Ok(Arc::new(known(&values)));
    }
    let asked = i8::try_from(asked.decimals).unwrap_or_default();
    let mut most = asked;
    if digits.iter().any(Option::is_some) {
        for (value, digits) in values.iter_mut().zip(digits) {
            let digits = digits.unwrap_or(asked);
            let power = 10f64.powi(i32::from(digits));
            *value = (*value * power).round() / power;
            most = most.max(digits);
        }
    }
    // In two steps: digits behind those of a floating-point number are noise.
    let rounded = cast(&known(&values), &DataType::Decimal128(MONEY_PRECISION, most))?;
    Ok(cast(&rounded, &money())?)
}
