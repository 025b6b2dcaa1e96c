//! The rows of the results.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::error::Result;
use ratehouse_udfs::datetime::DAY_US;
use ratehouse_udfs::series::anomaly::{Direction, Judgement};
use ratehouse_udfs::series::forecast::Forecast;
use ratehouse_udfs::series::{Calendar, Frequency};

use super::Function;
use super::arguments::Asked;
use super::gather::HOUR_US;
use super::node::Shape;
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
}

const FORECAST: [(&str, Kind, &str); 11] = [
    ("forecast_timestamp", Kind::Time, "The time of the forecast."),
    ("forecast_value", Kind::Amount, "What is as likely too high as too low, with planned changes."),
    ("confidence_level", Kind::Number, "The chance with which the interval holds the value."),
    ("prediction_interval_lower_bound", Kind::Amount, "Lower end of the interval."),
    ("prediction_interval_upper_bound", Kind::Amount, "Upper end of the interval."),
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
        Kind::Text,
        "Empty, or why the forecast is weak or missing: short_history, no_recent_data, all_zero ...",
    ),
    ("last_known_timestamp", Kind::Time, "The last time before the forecast."),
];

const ANOMALIES: [(&str, Kind, &str); 16] = [
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
        Kind::Text,
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

fn columns(function: Function) -> &'static [(&'static str, Kind, &'static str)] {
    match function {
        Function::Forecast => &FORECAST,
        Function::DetectAnomalies => &ANOMALIES,
    }
}

/// The columns of a result: the ids, then the function's own.
pub(super) fn fields(asked: &Asked, shape: &Shape) -> Vec<Field> {
    let own = columns(asked.function).iter().map(|(name, kind, comment)| match kind {
        Kind::Time if shape.is_instant => commented(name, instant(), comment),
        Kind::Time => commented(name, DataType::Date32, comment),
        Kind::Amount if shape.is_exact => {
            let field = commented(name, money(), comment);
            let mut metadata = field.metadata().clone();
            metadata.insert(PG_SCALE.to_owned(), "trim:2".to_owned());
            field.with_metadata(metadata)
        }
        Kind::Amount | Kind::Number => commented(name, DataType::Float64, comment),
        Kind::Flag => commented(name, DataType::Boolean, comment),
        Kind::Text => commented(name, DataType::Utf8View, comment),
    });
    shape.ids.iter().cloned().chain(own).collect()
}

/// Rows of a batch as they are made.
#[derive(Debug, Default)]
pub(super) struct Rows {
    series: Vec<u32>,
    times: Vec<i64>,
    last_times: Vec<i64>,
    /// Column by column; NaN is null.
    amounts: [Vec<f64>; 6],
    numbers: [Vec<f64>; 3],
    flags: [Vec<bool>; 2],
    texts: [Vec<&'static str>; 4],
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Adds the rows of a forecast for one confidence level.
    pub(super) fn forecast(
        &mut self,
        series: u32,
        (calendar, known): (&Calendar, usize),
        forecast: &Forecast,
        (level, lower, upper): (f64, &[f64], &[f64]),
    ) {
        for lead in 0..forecast.value.len() {
            self.series.push(series);
            self.times.push(micros(calendar, known + lead));
            self.last_times.push(micros(calendar, known.saturating_sub(1)));
            let (value, baseline) = (forecast.value[lead], forecast.baseline[lead]);
            let amounts = [value, lower[lead], upper[lead], forecast.mean[lead], baseline, value - baseline];
            for (column, amount) in self.amounts.iter_mut().zip(amounts) {
                column.push(amount);
            }
            self.numbers[0].push(level);
            self.texts[0].push(forecast.method);
            self.texts[1].push(forecast.status.as_str());
        }
    }

    /// Adds the row of a judgement.
    pub(super) fn judgement(
        &mut self,
        series: u32,
        (calendar, position): (&Calendar, usize),
        (value, judgement): (f64, &Judgement),
    ) {
        self.series.push(series);
        self.times.push(micros(calendar, position));
        let Judgement { expected, baseline, .. } = *judgement;
        let impact = value - baseline;
        let amounts = [value, expected, judgement.lower, judgement.upper, impact, baseline];
        for (column, amount) in self.amounts.iter_mut().zip(amounts) {
            column.push(amount);
        }
        let share = if baseline == 0.0 { f64::NAN } else { 100.0 * impact / baseline.abs() };
        for (column, number) in self.numbers.iter_mut().zip([judgement.score, judgement.probability, share]) {
            column.push(number);
        }
        for (column, flag) in self.flags.iter_mut().zip([judgement.is_anomaly, judgement.is_lasting]) {
            column.push(flag);
        }
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
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.push(text);
        }
    }

    /// The rows as a batch; there are none afterwards.
    pub(super) fn take(
        &mut self,
        schema: &SchemaRef,
        keys: &[ArrayRef],
        (asked, shape): (&Asked, &Shape),
    ) -> Result<RecordBatch> {
        let mut rows = std::mem::take(self);
        let series = UInt32Array::from(rows.series);
        let mut arrays = keys.iter().map(|key| take(key, &series, None)).collect::<Result<Vec<_>, _>>()?;
        let [mut times, mut amounts, mut numbers, mut flags, mut texts] = [0; 5];
        let next = |count: &mut usize| std::mem::replace(count, *count + 1);
        for (_, kind, _) in columns(asked.function) {
            arrays.push(match kind {
                Kind::Time => {
                    let values = if next(&mut times) == 0 { &rows.times } else { &rows.last_times };
                    time_array(values, shape)
                }
                Kind::Amount => amount_array(&rows.amounts[next(&mut amounts)], asked, shape)?,
                Kind::Number => Arc::new(known(&rows.numbers[next(&mut numbers)])),
                Kind::Flag => Arc::new(BooleanArray::from(std::mem::take(&mut rows.flags[next(&mut flags)]))),
                Kind::Text => {
                    let place = next(&mut texts);
                    // Statuses are empty where all is well; other texts are not there.
                    let is_status =
                        matches!((asked.function, place), (Function::Forecast, 1) | (Function::DetectAnomalies, 2));
                    let values = rows.texts[place].iter().map(|text| (is_status || !text.is_empty()).then_some(*text));
                    Arc::new(values.collect::<StringViewArray>()) as ArrayRef
                }
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
    }
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

/// Exact amounts are rounded to as many digits as were asked for, half away from zero; what does not fit is null.
fn amount_array(values: &[f64], asked: &Asked, shape: &Shape) -> Result<ArrayRef> {
    let values = known(values);
    if !shape.is_exact {
        return Ok(Arc::new(values));
    }
    let digits = i8::try_from(asked.decimals).unwrap_or_default();
    // In two steps: digits behind those of a floating-point number are noise.
    let rounded = cast(&values, &DataType::Decimal128(MONEY_PRECISION, digits))?;
    Ok(cast(&rounded, &money())?)
}
