//! The arguments of a call, as they are written.

use std::hash::{Hash, Hasher};

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Query, UnaryOperator, Value};
use ratehouse_udfs::series::Frequency;

use super::{Function, refused};

/// Rows that a forecast may have for each series.
const HORIZON_MAX: i64 = 1_000;

/// A number that options are compared by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Real(pub(super) f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// What a time without a row means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Missing {
    /// Nobody knows what was there.
    Unknown,
    /// There was nothing.
    Zero,
}

/// A stretch of time that has a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Period {
    Day,
    Month,
    Quarter,
}

impl Period {
    const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Quarter];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Quarter => "quarter",
        }
    }
}

/// What is asked of each series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) function: Function,
    pub(super) frequency: Option<Frequency>,
    pub(super) missing: Missing,
    /// The last time that is known, in days since 1970; later rows are left out.
    pub(super) as_of: Option<i32>,
    /// Digits after the point of results for exact data.
    pub(super) decimals: u8,
    pub(super) horizon: usize,
    pub(super) confidence_levels: Vec<Real>,
    /// A row has the intervals of all levels, and not one.
    pub(super) is_wide: bool,
    /// Sums of forecasts by calendar period, of daily series; none: a row for each time.
    pub(super) periods: Vec<Period>,
    /// Results say what came.
    pub(super) is_backtest: bool,
    pub(super) non_negative: Option<bool>,
    pub(super) anomaly_prob_threshold: Real,
    pub(super) min_impact: Real,
    pub(super) min_impact_pct: Real,
    /// Only so many of each series' last times are in the result.
    pub(super) last_points: Option<usize>,
    /// Only times from this day on are in the result, in days since 1970.
    pub(super) target_start: Option<i32>,
    /// Only what is flagged is in the result.
    pub(super) only_anomalies: bool,
}

/// A call as it is written.
#[derive(Debug)]
pub(super) struct Call {
    /// Relations are queries: of one that is named, of all its rows.
    pub(super) source: Box<Query>,
    pub(super) planned: Option<Box<Query>>,
    pub(super) holidays: Option<Box<Query>>,
    /// The last times that are known, by ids.
    pub(super) as_of: Option<Box<Query>>,
    /// To what else an id counts.
    pub(super) parents: Option<Box<Query>>,
    pub(super) data_col: Option<String>,
    pub(super) timestamp_col: Option<String>,
    pub(super) id_cols: Vec<String>,
    pub(super) as_of_col: Option<String>,
    pub(super) currency_col: Option<String>,
    /// The ids of the series of each set, as they are written; none: series of all ids only.
    pub(super) grouping_sets: Vec<Vec<String>>,
    /// Categories of charges that count; none: usage that is no correction.
    pub(super) charge_category: Option<Vec<String>>,
    pub(super) has_decimals: bool,
    pub(super) asked: Asked,
}

impl Call {
    /// Reads the arguments.
    ///
    /// # Errors
    /// `42883` for an argument that the function does not have, `22023` for a value that it cannot have.
    pub(super) fn of(function: Function, arguments: Vec<FunctionArg>) -> Result<Self> {
        let mut source = None;
        let mut call = Reading { function, given: Vec::new() };
        let mut asked = Asked {
            function,
            frequency: None,
            missing: Missing::Unknown,
            as_of: None,
            decimals: 2,
            horizon: 10,
            confidence_levels: vec![Real(0.95)],
            is_wide: false,
            periods: Vec::new(),
            is_backtest: false,
            non_negative: None,
            anomaly_prob_threshold: Real(0.999),
            min_impact: Real(0.0),
            min_impact_pct: Real(0.0),
            last_points: None,
            target_start: None,
            only_anomalies: false,
        };
        let (mut planned, mut holidays, mut as_of, mut parents) = (None, None, None, None);
        let (mut data_col, mut timestamp_col, mut as_of_col, mut id_cols) = (None, None, None, Vec::new());
        let (mut currency_col, mut grouping_sets, mut charge_category) = (None, Vec::new(), None);
        let unnamed = match function {
            Function::Forecast => ["source", "horizon"].as_slice(),
            Function::DetectAnomalies => ["source"].as_slice(),
        };
        let mut places = unnamed.iter();
        for argument in arguments {
            let (name, value) = match argument {
                FunctionArg::Named { name, arg, .. } => (name.value.to_lowercase(), arg),
                FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => (name.value.to_lowercase(), arg),
                FunctionArg::Unnamed(arg) => match places.next() {
                    Some(name) => ((*name).to_owned(), arg),
                    None => return Err(call.refused("42883", "all arguments after the first have names")),
                },
                FunctionArg::ExprNamed { name, .. } => {
                    return Err(call.refused("42601", format!("{name} is no name of an argument")));
                }
            };
            let FunctionArgExpr::Expr(value) = value else {
                return Err(call.refused("42601", format!("{name} cannot be *")));
            };
            call.begin(&name)?;
            let is_forecast = function == Function::Forecast;
            match name.as_str() {
                "source" => source = Some(call.relation(&name, value)?),
                "planned" => planned = Some(call.relation(&name, value)?),
                "holidays" => holidays = Some(call.relation(&name, value)?),
                "parents" => parents = Some(call.relation(&name, value)?),
                "data_col" => data_col = Some(call.text(&name, &value)?),
                "timestamp_col" => timestamp_col = Some(call.text(&name, &value)?),
                "as_of_col" => as_of_col = Some(call.text(&name, &value)?),
                "id_cols" => id_cols = call.texts(&name, &value)?,
                "frequency" => asked.frequency = Some(call.frequency(&name, &value)?),
                "missing" => asked.missing = call.missing(&name, &value)?,
                "currency_col" => currency_col = Some(call.text(&name, &value)?),
                "charge_category" => charge_category = Some(call.texts(&name, &value)?),
                "grouping_sets" => {
                    let columns = |set: &String| {
                        set.split(',')
                            .map(|column| column.trim().to_owned())
                            .filter(|column| !column.is_empty())
                            .collect()
                    };
                    grouping_sets = call.texts(&name, &value)?.iter().map(columns).collect();
                }
                "as_of" => match value {
                    Expr::Subquery(_) | Expr::Nested(_) => as_of = Some(call.relation(&name, value)?),
                    value => asked.as_of = Some(call.day(&name, &value)?),
                },
                "decimals" => {
                    asked.decimals = u8::try_from(call.whole(&name, &value, (0, 18))?).unwrap_or_default();
                }
                "horizon" if is_forecast => asked.horizon = call.count(&name, &value, (1, HORIZON_MAX))?,
                "confidence_level" if is_forecast => asked.confidence_levels = call.levels(&name, &value)?,
                "wide" if is_forecast => asked.is_wide = call.flag(&name, &value)?,
                "periods" if is_forecast => asked.periods = call.periods(&name, &value)?,
                "backtest" if is_forecast => asked.is_backtest = call.flag(&name, &value)?,
                "non_negative" if is_forecast => asked.non_negative = Some(call.flag(&name, &value)?),
                "anomaly_prob_threshold" if !is_forecast => {
                    asked.anomaly_prob_threshold = Real(call.within(&name, &value, (0.0, 1.0))?);
                }
                "min_impact" if !is_forecast => asked.min_impact = Real(call.within(&name, &value, (0.0, f64::MAX))?),
                "min_impact_pct" if !is_forecast => {
                    asked.min_impact_pct = Real(call.within(&name, &value, (0.0, f64::MAX))?);
                }
                "target_last_n_points" if !is_forecast => {
                    asked.last_points = Some(call.count(&name, &value, (1, i64::from(i32::MAX)))?);
                }
                "only_anomalies" if !is_forecast => asked.only_anomalies = call.flag(&name, &value)?,
                "target_start_timestamp" if !is_forecast => asked.target_start = Some(call.day(&name, &value)?),
                _ => {
                    let message = format!("{} has no argument {name}", function.name());
                    return Err(call.refused("42883", message));
                }
            }
        }
        let source = source.ok_or_else(|| {
            call.refused("42883", format!("{} needs a relation or a query to read from", function.name()))
        })?;
        Ok(Self {
            source,
            planned,
            holidays,
            as_of,
            parents,
            data_col,
            timestamp_col,
            id_cols,
            as_of_col,
            currency_col,
            grouping_sets,
            charge_category,
            has_decimals: call.given.iter().any(|given| given == "decimals"),
            asked,
        })
    }
}

/// Reads one argument after another.
struct Reading {
    function: Function,
    given: Vec<String>,
}

impl Reading {
    fn refused(&self, sqlstate: &'static str, message: impl Into<String>) -> datafusion::error::DataFusionError {
        refused(self.function, sqlstate, message)
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        if self.given.iter().any(|given| given == name) {
            return Err(self.refused("42601", format!("argument {name} is given twice")));
        }
        self.given.push(name.to_owned());
        Ok(())
    }

    fn wrong<T>(&self, name: &str, value: &Expr, wanted: &str) -> Result<T> {
        Err(self.refused("22023", format!("{name} is {wanted}, not {value}")))
    }

    fn relation(&self, name: &str, value: Expr) -> Result<Box<Query>> {
        match value {
            Expr::Subquery(query) => Ok(query),
            Expr::Nested(inner) => self.relation(name, *inner),
            other => self.wrong(name, &other, "the name of a relation or a query in brackets"),
        }
    }

    fn text(&self, name: &str, value: &Expr) -> Result<String> {
        match value {
            Expr::Value(literal) => match &literal.value {
                Value::SingleQuotedString(text) => Ok(text.clone()),
                _ => self.wrong(name, value, "a text in single quotes"),
            },
            _ => self.wrong(name, value, "a text in single quotes"),
        }
    }

    fn texts(&self, name: &str, value: &Expr) -> Result<Vec<String>> {
        match value {
            Expr::Array(array) => array.elem.iter().map(|element| self.text(name, element)).collect(),
            _ => Ok(vec![self.text(name, value)?]),
        }
    }

    fn number(&self, name: &str, value: &Expr) -> Result<f64> {
        match value {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(-self.number(name, expr)?),
            Expr::Value(literal) => match &literal.value {
                Value::Number(text, _) => match text.parse() {
                    Ok(number) => Ok(number),
                    Err(_) => self.wrong(name, value, "a number"),
                },
                _ => self.wrong(name, value, "a number"),
            },
            _ => self.wrong(name, value, "a number"),
        }
    }

    fn within(&self, name: &str, value: &Expr, (least, most): (f64, f64)) -> Result<f64> {
        let number = self.number(name, value)?;
        if (least..=most).contains(&number) {
            return Ok(number);
        }
        let wanted =
            if most < f64::MAX { format!("a number from {least} to {most}") } else { format!("at least {least}") };
        self.wrong(name, value, &wanted)
    }

    fn whole(&self, name: &str, value: &Expr, (least, most): (i64, i64)) -> Result<i64> {
        let number = match value {
            Expr::Value(literal) => match &literal.value {
                Value::Number(text, _) => text.parse::<i64>().ok(),
                _ => None,
            },
            _ => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            _ => self.wrong(name, value, &format!("a whole number from {least} to {most}")),
        }
    }

    fn count(&self, name: &str, value: &Expr, bounds: (i64, i64)) -> Result<usize> {
        Ok(usize::try_from(self.whole(name, value, bounds)?).unwrap_or_default())
    }

    fn levels(&self, name: &str, value: &Expr) -> Result<Vec<Real>> {
        let elements = match value {
            Expr::Array(array) => array.elem.as_slice(),
            single => std::slice::from_ref(single),
        };
        let level = |element: &Expr| match self.number(name, element)? {
            level if level > 0.0 && level < 1.0 => Ok(Real(level)),
            _ => self.wrong(name, element, "between 0 and 1"),
        };
        let levels: Vec<Real> = elements.iter().map(level).collect::<Result<_>>()?;
        let is_twice = levels.iter().enumerate().any(|(at, level)| levels[..at].contains(level));
        if levels.is_empty() || is_twice {
            self.wrong(name, value, "one or several different numbers")
        } else {
            Ok(levels)
        }
    }

    fn flag(&self, name: &str, value: &Expr) -> Result<bool> {
        match value {
            Expr::Value(literal) => match literal.value {
                Value::Boolean(flag) => Ok(flag),
                _ => self.wrong(name, value, "true or false"),
            },
            _ => self.wrong(name, value, "true or false"),
        }
    }

    fn frequency(&self, name: &str, value: &Expr) -> Result<Frequency> {
        let named = self.text(name, value)?.to_lowercase();
        match Frequency::ALL.into_iter().find(|frequency| frequency.as_str() == named) {
            Some(frequency) => Ok(frequency),
            None => self.wrong(name, value, "'hour', 'day', 'week' or 'month'"),
        }
    }

    fn periods(&self, name: &str, value: &Expr) -> Result<Vec<Period>> {
        let mut periods = Vec::new();
        for text in self.texts(name, value)? {
            match Period::ALL.into_iter().find(|period| period.as_str() == text.to_lowercase()) {
                Some(period) if !periods.contains(&period) => periods.push(period),
                Some(_) => {}
                None => return self.wrong(name, value, "one or several of 'day', 'month', 'quarter'"),
            }
        }
        Ok(periods)
    }

    fn missing(&self, name: &str, value: &Expr) -> Result<Missing> {
        match self.text(name, value)?.to_lowercase().as_str() {
            "unknown" => Ok(Missing::Unknown),
            "zero" => Ok(Missing::Zero),
            _ => self.wrong(name, value, "'unknown' or 'zero'"),
        }
    }

    fn day(&self, name: &str, value: &Expr) -> Result<i32> {
        let literal = match value {
            Expr::TypedString(typed) => &typed.value.value,
            Expr::Value(literal) => &literal.value,
            _ => return self.wrong(name, value, "a day such as date '2026-11-20'"),
        };
        let Value::SingleQuotedString(text) = literal else {
            return self.wrong(name, value, "a day such as date '2026-11-20'");
        };
        let instant = || text.parse::<NaiveDateTime>().map(|instant| instant.date());
        let day = text.parse::<NaiveDate>().or_else(|_| instant());
        match day {
            Ok(day) => Ok(day.to_epoch_days()),
            Err(_) => self.wrong(name, value, "a day such as date '2026-11-20'"),
        }
    }
}
