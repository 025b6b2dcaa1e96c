//! Casts of dates and times, as PostgreSQL does them, and from text to arrays.
//!
//! Arrow's parser knows fewer forms (no `2026-10-01 10:00`) and puts the text into its error; it shows timestamps with a `T`; it reads
//! and shows what has a time zone on UTC's clock, where PostgreSQL takes the session's.

use super::clock::{LOCAL, SessionClock, instant};
use super::parse::{DateTimeError, parse_date, parse_time, parse_timestamp, parse_timestamptz};
use super::show::{IntervalText, TimestampText};
use super::span::Span;
use super::zone::Zone;
use crate::conversion::{Conversion, cast_strictly};
use crate::list::ToArray;
use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::array::{Date32Array, IntervalMonthDayNanoArray, Time64MicrosecondArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRewriter};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, Volatility};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// Rewrites casts, written or implied, and functions of instants that look at a clock: it runs after the types of a plan agree.
#[derive(Debug, Default)]
pub struct DateTimeCasts;

impl AnalyzerRule for DateTimeCasts {
    fn name(&self) -> &str {
        "datetime_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let saved = names.save(&expression);
                let rewritten = expression.rewrite(&mut Casts { schema: &schema })?;
                Ok(rewritten.update_data(|expression| saved.restore(expression)))
            })
        })?;
        Ok(rewritten.data)
    }
}

struct Casts<'a> {
    schema: &'a DFSchema,
}

impl TreeNodeRewriter for Casts<'_> {
    type Node = Expr;

    fn f_up(&mut self, expression: Expr) -> Result<Transformed<Expr>> {
        if let Expr::ScalarFunction(function) = expression {
            return self.on_session_clock(function);
        }
        let Expr::Cast(Cast { expr, field }) = expression else { return Ok(Transformed::no(expression)) };
        let from = expr.get_type(self.schema)?;
        let is_text =
            |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if is_text(&from) && ToDateTime::makes(field.data_type()) {
            return Ok(Transformed::yes(ToDateTime.of(*expr, field.data_type().clone())));
        }
        if is_text(&from) && matches!(field.data_type(), DataType::List(_)) {
            return Ok(Transformed::yes(ToArray.of(*expr, field.data_type().clone())));
        }
        if is_text(field.data_type()) && matches!(from, DataType::Timestamp(..)) {
            return Ok(Transformed::yes(TimestampText.of(*expr, field.data_type().clone())));
        }
        if is_text(field.data_type()) && matches!(from, DataType::Interval(_) | DataType::Duration(_)) {
            return Ok(Transformed::yes(IntervalText.of(*expr, field.data_type().clone())));
        }
        match (&from, field.data_type()) {
            (
                DataType::Timestamp(_, Some(_)),
                DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(_, None),
            ) => {
                let local = SessionClock.of(*expr, LOCAL);
                Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(local), field })))
            }
            (DataType::Date32 | DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) => {
                let local = datafusion::logical_expr::cast(*expr, LOCAL);
                let at = SessionClock.of(local, instant());
                Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(at), field })))
            }
            _ => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
        }
    }
}

impl Casts<'_> {
    /// `date_trunc` and `date_part` of an instant look at the session's clock.
    fn on_session_clock(&self, mut function: ScalarFunction) -> Result<Transformed<Expr>> {
        let truncates = match function.name() {
            "date_trunc" => true,
            "date_part" => false,
            _ => return Ok(Transformed::no(Expr::ScalarFunction(function))),
        };
        let [part, value] = function.args.as_mut_slice() else {
            return Ok(Transformed::no(Expr::ScalarFunction(function)));
        };
        let is_epoch = matches!(part, Expr::Literal(text, _)
            if text.try_as_str().flatten().is_some_and(|text| text.eq_ignore_ascii_case("epoch")));
        if is_epoch || !matches!(value.get_type(self.schema), Ok(DataType::Timestamp(_, Some(_)))) {
            return Ok(Transformed::no(Expr::ScalarFunction(function)));
        }
        *value = SessionClock.of(std::mem::take(value), LOCAL);
        let local = Expr::ScalarFunction(function);
        Ok(Transformed::yes(if truncates { SessionClock.of(local, instant()) } else { local }))
    }
}

/// Reads text as a date, time or interval of the declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ToDateTime;

impl ToDateTime {
    fn makes(to: &DataType) -> bool {
        matches!(to, DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Interval(_))
    }

    /// The values in microseconds or days; the declared unit is the caller's.
    fn read(to: &DataType, texts: &StringViewArray, zone: Zone) -> std::result::Result<ArrayRef, DateTimeError> {
        let each = |read: &dyn Fn(&str) -> std::result::Result<i64, DateTimeError>| {
            texts.iter().map(|text| text.map(read).transpose()).collect::<std::result::Result<Vec<_>, _>>()
        };
        Ok(match to {
            DataType::Date32 => {
                let days: std::result::Result<Date32Array, _> =
                    texts.iter().map(|text| text.map(parse_date).transpose()).collect();
                Arc::new(days?)
            }
            DataType::Interval(_) => {
                let span = |text: &str| Span::from_text(text)?.to_arrow().ok_or(DateTimeError::OutOfRange);
                let spans: std::result::Result<IntervalMonthDayNanoArray, _> =
                    texts.iter().map(|text| text.map(span).transpose()).collect();
                Arc::new(spans?)
            }
            DataType::Time64(_) => Arc::new(Time64MicrosecondArray::from(each(&parse_time)?)),
            DataType::Timestamp(_, None) => Arc::new(TimestampMicrosecondArray::from(each(&parse_timestamp)?)),
            _ => {
                let instants = each(&|text| parse_timestamptz(text, zone))?;
                Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("UTC"))
            }
        })
    }
}

impl Conversion for ToDateTime {
    const NAME: &'static str = "to_datetime";

    fn volatility(to: &DataType) -> Volatility {
        match to {
            // A text without a zone is read on the clock of the session.
            DataType::Timestamp(_, Some(_)) => Volatility::Stable,
            _ => Volatility::Immutable,
        }
    }

    fn convert(self, values: &ArrayRef, to: &DataType, options: &ConfigOptions) -> Result<ArrayRef> {
        let texts = cast(values, &DataType::Utf8View)?;
        let read = Self::read(to, texts.as_string_view(), Zone::of_session(options));
        let read = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
        match to {
            // Microseconds are PostgreSQL's finest unit; a coarser or finer column takes them converted.
            DataType::Timestamp(TimeUnit::Microsecond, None) | DataType::Date32 | DataType::Interval(_) => Ok(read),
            to => cast_strictly(&read, to),
        }
    }
}
