//! Casts of dates and times, as PostgreSQL does them, and from text to arrays.
//!
//! Arrow's parser knows fewer forms (no `2026-10-01 10:00`) and puts the text into its error; it shows timestamps with a `T`; it reads
//! and shows what has a time zone on UTC's clock, where PostgreSQL takes the session's.

use super::clock::{LOCAL, SessionClock, instant};
use super::parse::{DateTimeError, parse_date, parse_time, parse_timestamp, parse_timestamptz};
use super::show::TimestampText;
use super::zone::Zone;
use crate::columnar::{name_of_argument, shaped};
use crate::list::ToArray;
use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::array::{Date32Array, Time64MicrosecondArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRewriter};
use datafusion::common::{DFSchema, DataFusionError, Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
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
        let is_text = |data_type| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if ToDateTime::makes(field.data_type()) && expr.get_type(self.schema).is_ok_and(is_text) {
            return Ok(Transformed::yes(call(ToDateTime::new(field.data_type().clone()), vec![*expr])));
        }
        let is_instant = |data_type| matches!(data_type, DataType::Timestamp(..));
        if is_text(field.data_type().clone()) && expr.get_type(self.schema).is_ok_and(is_instant) {
            return Ok(Transformed::yes(call(TimestampText::new(field.data_type().clone()), vec![*expr])));
        }
        if matches!(field.data_type(), DataType::List(_)) && expr.get_type(self.schema).is_ok_and(is_text) {
            return Ok(Transformed::yes(call(ToArray::new(field.data_type().clone()), vec![*expr])));
        }
        let from = expr.get_type(self.schema)?;
        match (&from, field.data_type()) {
            (
                DataType::Timestamp(_, Some(_)),
                DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(_, None),
            ) => {
                let local = call(SessionClock::new(LOCAL), vec![*expr]);
                Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(local), field })))
            }
            (DataType::Date32 | DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) => {
                let local = datafusion::logical_expr::cast(*expr, LOCAL);
                let at = call(SessionClock::new(instant()), vec![local]);
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
        *value = call(SessionClock::new(LOCAL), vec![std::mem::take(value)]);
        let local = Expr::ScalarFunction(function);
        Ok(Transformed::yes(if truncates { call(SessionClock::new(instant()), vec![local]) } else { local }))
    }
}

fn call(function: impl ScalarUDFImpl + 'static, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), args))
}

/// Reads text as a date or time of a declared type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToDateTime {
    to: DataType,
    signature: Signature,
}

impl ToDateTime {
    fn new(to: DataType) -> Self {
        // A text without a zone is read on the clock of the session.
        let volatility = match &to {
            DataType::Timestamp(_, Some(_)) => Volatility::Stable,
            _ => Volatility::Immutable,
        };
        Self { to, signature: Signature::user_defined(volatility) }
    }

    fn makes(to: &DataType) -> bool {
        matches!(to, DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..))
    }

    /// The values in microseconds or days; the declared unit is the caller's.
    fn read(&self, texts: &StringViewArray, zone: Zone) -> std::result::Result<ArrayRef, DateTimeError> {
        let each = |read: &dyn Fn(&str) -> std::result::Result<i64, DateTimeError>| {
            texts.iter().map(|text| text.map(read).transpose()).collect::<std::result::Result<Vec<_>, _>>()
        };
        Ok(match &self.to {
            DataType::Date32 => {
                let days: std::result::Result<Date32Array, _> =
                    texts.iter().map(|text| text.map(parse_date).transpose()).collect();
                Arc::new(days?)
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

impl ScalarUDFImpl for ToDateTime {
    fn name(&self) -> &str {
        "to_datetime"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(name_of_argument(args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, _arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8View])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = args.args.as_slice() else { return internal_err!("a cast has one argument") };
        let is_constant = matches!(text, ColumnarValue::Scalar(_));
        let texts = cast(&text.to_array(if is_constant { 1 } else { args.number_rows })?, &DataType::Utf8View)?;
        let read = self.read(texts.as_string_view(), Zone::of_session(&args.config_options));
        let read = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let read = match &self.to {
            // Microseconds are PostgreSQL's finest unit; a coarser or finer column takes them converted.
            DataType::Timestamp(TimeUnit::Microsecond, None) | DataType::Date32 => read,
            to => cast_with_options(&read, to, &CastOptions { safe: false, ..CastOptions::default() })?,
        };
        shaped(read, is_constant)
    }
}
