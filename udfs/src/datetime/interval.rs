//! Intervals times and by numbers.

use crate::columnar::shaped;
use arrow::array::{Array, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

use super::parse::DateTimeError;

const DAY_S: f64 = 86_400.0;

/// `interval * number` and, with the reciprocal, `interval / number`: after PostgreSQL's `interval_mul`.
///
/// Parts of a month are counted as days of a month of 30, parts of a day as hours.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct IntervalTimes {
    divides: bool,
    signature: Signature,
}

impl IntervalTimes {
    /// The function of `*`, or of `/`.
    #[must_use]
    pub fn new(divides: bool) -> Self {
        Self { divides, signature: Signature::exact(vec![interval(), DataType::Float64], Volatility::Immutable) }
    }
}

/// The type of intervals.
pub(super) fn interval() -> DataType {
    DataType::Interval(IntervalUnit::MonthDayNano)
}

impl ScalarUDFImpl for IntervalTimes {
    fn name(&self) -> &str {
        if self.divides { "interval_div" } else { "interval_mul" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(interval())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [spans, factors] = arrays.as_slice() else { return internal_err!("an operator has two operands") };
        let (spans, factors) =
            (spans.as_primitive::<IntervalMonthDayNanoType>(), factors.as_primitive::<Float64Type>());
        let mut products = Vec::with_capacity(spans.len());
        for row in 0..spans.len() {
            let is_null = spans.is_null(row) || factors.is_null(row);
            products.push(if is_null { None } else { Some(self.product(spans.value(row), factors.value(row))?) });
        }
        shaped(Arc::new(IntervalMonthDayNanoArray::from(products)), is_constant)
    }
}

impl IntervalTimes {
    fn product(&self, span: IntervalMonthDayNano, number: f64) -> Result<IntervalMonthDayNano> {
        if self.divides && number == 0.0 {
            return Err(DataFusionError::ArrowError(Box::new(arrow::error::ArrowError::DivideByZero), None));
        }
        let times = |part: f64| if self.divides { part / number } else { part * number };
        let out_of_range = || DataFusionError::External(Box::new(DateTimeError::OutOfRange));
        let whole = |value: f64| {
            let kept = value.trunc();
            let fits = kept.abs() < f64::from(i32::MAX);
            // Checked above.
            #[expect(clippy::cast_possible_truncation)]
            if fits { Ok(kept as i32) } else { Err(out_of_range()) }
        };
        let months = times(f64::from(span.months));
        let days = times(f64::from(span.days));
        let mut result_days = whole(days)?;
        let result_months = whole(months)?;
        // Rounded, so that 1 month * 0.3 is 9 days and not 8 days 23:59:59.999999.
        let rounded = |seconds: f64| (seconds * 1e6).round() / 1e6;
        let month_days = rounded((months - months.trunc()) * 30.0);
        let mut seconds = rounded((days - days.trunc() + month_days - month_days.trunc()) * DAY_S);
        if seconds.abs() >= DAY_S {
            let carried = whole(seconds / DAY_S)?;
            result_days = result_days.checked_add(carried).ok_or_else(out_of_range)?;
            seconds -= f64::from(carried) * DAY_S;
        }
        result_days = result_days.checked_add(whole(month_days)?).ok_or_else(out_of_range)?;
        #[expect(clippy::cast_precision_loss)]
        let micros = (times(span.nanoseconds as f64 / 1e3) + seconds * 1e6).round();
        if micros.abs() >= 9.2e15 {
            return Err(out_of_range());
        }
        #[expect(clippy::cast_possible_truncation)]
        let nanoseconds = micros as i64 * 1_000;
        Ok(IntervalMonthDayNano::new(result_months, result_days, nanoseconds))
    }
}
