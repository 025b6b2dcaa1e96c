//! `prorate(amount, period_start, period_end, active_start, active_end, convention)`.

use super::arguments::{MONEY, Parsed, Text, amount_type, text_type};
use crate::columnar::shaped;
use crate::decimal::{ArithmeticError, Rounding, mul_div_round};
use crate::numeric::Operand;
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Builder};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::str::FromStr;
use std::sync::Arc;

/// How a recurring amount is shared out when it was active for a part of its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Convention {
    /// By time: active time divided by the period's own length, so 17 days of March are 17/31.
    Actual,
    /// By days of a month of 30: every started day costs 1/30, at most 30/30. A fully active period costs the whole amount
    /// also where it has fewer than 30 days.
    ThirtyDays,
    /// Any active time in the period costs the whole amount.
    FullMonth,
    /// Not prorated: the whole amount if active when the period starts, nothing for what starts later in it.
    None,
}

impl FromStr for Convention {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "actual" => Ok(Self::Actual),
            "30" => Ok(Self::ThirtyDays),
            "full_month" => Ok(Self::FullMonth),
            "none" => Ok(Self::None),
            _ => Err(()),
        }
    }
}

/// A half-open range of instants in microseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instants {
    start: i64,
    end: i64,
}

const DAY_MICROSECONDS: i128 = 86_400_000_000;

/// Shares out `amount` (any scale) for the part of `period` that `active` covers, rounded half-even at the amount's scale.
///
/// Ranges are half-open, in microseconds since 1970 UTC, given as (start, end); the period is not empty.
///
/// # Errors
/// `DivideByZero` for an empty period.
pub fn prorate(
    amount: i128,
    period: (i64, i64),
    active: (i64, i64),
    convention: Convention,
) -> Result<i128, ArithmeticError> {
    let (period, active) = (Instants { start: period.0, end: period.1 }, Instants { start: active.0, end: active.1 });
    let length = i128::from(period.end) - i128::from(period.start);
    if length <= 0 {
        return Err(ArithmeticError::DivideByZero);
    }
    let covered = i128::from(period.end.min(active.end)) - i128::from(period.start.max(active.start));
    if covered <= 0 {
        return Ok(0);
    }
    match convention {
        Convention::Actual => mul_div_round(amount, covered, length, Rounding::HalfEven),
        Convention::ThirtyDays if covered == length => Ok(amount),
        Convention::ThirtyDays => {
            let started_days = (covered + DAY_MICROSECONDS - 1) / DAY_MICROSECONDS;
            mul_div_round(amount, started_days.min(30), 30, Rounding::HalfEven)
        }
        Convention::FullMonth => Ok(amount),
        Convention::None => Ok(if active.start <= period.start { amount } else { 0 }),
    }
}

/// Shares out a recurring amount for the part of a period in which it was active.
///
/// Ranges are half-open; dates stand for midnight UTC. An `active_end` of NULL is "still active". The result has scale 18,
/// rounded half-even; round the document's line with `round_money`.
///
/// | convention | the active part costs |
/// |---|---|
/// | `actual` | active time / length of the period |
/// | `30` | started days / 30, at most the whole; a fully active period is the whole |
/// | `full_month` | the whole amount if active at any time of the period |
/// | `none` | the whole amount if active when the period starts, otherwise nothing |
///
/// ```sql
/// -- A licence of 22.00 added on 15 March: 17 of 31 days.
/// select prorate(22.00, date '2026-03-01', date '2026-04-01', date '2026-03-15', null, 'actual'); -- 12.064516129032258065
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Prorate {
    signature: Signature,
}

impl Default for Prorate {
    fn default() -> Self {
        Self::new()
    }
}

impl Prorate {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The type instants are read as.
pub(super) fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Accepts dates and timestamps.
pub(super) fn check_instant(function: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Null | DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => Ok(()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(()),
        other => plan_err!("{function} takes dates and timestamps, not {other}"),
    }
}

fn parse_convention(text: &str) -> Result<Convention> {
    text.parse()
        .map_err(|()| exec_datafusion_err!("unknown proration convention: use 'actual', '30', 'full_month' or 'none'"))
}

impl ScalarUDFImpl for Prorate {
    fn name(&self) -> &str {
        "prorate"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [amount, instants @ .., convention] = arg_types else {
            return plan_err!("prorate takes an amount, two ranges and a convention");
        };
        if instants.len() != 4 {
            return plan_err!("prorate takes an amount, period start and end, active start and end, and a convention");
        }
        amount_type(self.name(), amount)?;
        instants.iter().try_for_each(|instant| check_instant(self.name(), instant))?;
        let instant = instant_type();
        let convention = text_type(self.name(), "the convention", convention)?;
        Ok(vec![MONEY, instant.clone(), instant.clone(), instant.clone(), instant, convention])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(MONEY)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let amount = Operand::new(&args.args[0])?;
        let Some(amounts) = amount.narrow() else {
            return plan_err!("prorate takes amounts of numeric(38,18)");
        };
        let instants: Vec<ArrayRef> = args.args[1..5].iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let instant = |index: usize, row: usize| {
            let array = instants[index].as_primitive::<TimestampMicrosecondType>();
            array.is_valid(row).then(|| array.value(row))
        };
        let convention = Text::new(&args.args[5])?;
        let mut conventions = Parsed::new(&convention, parse_convention);
        let mut shares = Decimal128Builder::with_capacity(rows).with_data_type(MONEY);
        for row in 0..rows {
            let known = (instant(0, row), instant(1, row), instant(2, row), conventions.at(row)?);
            let (Some(start), Some(end), Some(active_start), Some(convention)) = known else {
                shares.append_null();
                continue;
            };
            if end <= start {
                return exec_err!("prorate: the period ends after it starts");
            }
            let active_end = instant(3, row).unwrap_or(i64::MAX);
            if amount.is_valid(row) {
                shares.append_value(prorate(amounts.at(row), (start, end), (active_start, active_end), convention)?);
            } else {
                shares.append_null();
            }
        }
        let array = shares.finish();
        shaped(Arc::new(array), is_constant)
    }
}
