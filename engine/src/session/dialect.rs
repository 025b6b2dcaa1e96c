//! PostgreSQL's forms that the engine's planner does not take, as forms that it does.
//!
//! - `fetch first n rows only` is `limit n`;
//! - `U&'...'` and `N'...'` are texts, already decoded by the parser;
//! - `x = any ($1)` compares with an array of texts, where nothing else says what the parameter is;
//! - `x at time zone z` is `timezone(z, x)`, `date(x)` is `x::date`, `localtimestamp` is `now()::timestamp`, `date_trunc` may have a time
//!   zone, and a collation that compares bytes changes nothing;
//! - a number in `rollup (1, 2)`, `cube` and `grouping sets` is the column at that place, as it is in a plain `group by`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, Expr, Fetch, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName, Query, Select, SelectItem, Statement as Ast,
    TimezoneInfo, Value, VisitMut, VisitorMut,
};

use crate::security::SessionError;

/// Rewrites a statement in place.
///
/// # Errors
/// `0A000` for `with ties`, `42601` for a limit that is given twice, `42P10` for a place that the select list does not have.
pub(super) fn adapt(statement: &mut Ast) -> Result<(), SessionError> {
    match statement.visit(&mut Adapter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Adapter;

impl VisitorMut for Adapter {
    type Break = SessionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SessionError> {
        into_flow(fetch_to_limit(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SessionError> {
        into_flow(name_grouped_places(select))
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SessionError> {
        if let Expr::Value(value) = expression
            && let Value::UnicodeStringLiteral(text) | Value::NationalStringLiteral(text) = &mut value.value
        {
            value.value = Value::SingleQuotedString(std::mem::take(text));
        }
        match expression {
            Expr::AtTimeZone { timestamp, time_zone } => {
                let arguments =
                    [std::mem::replace(time_zone.as_mut(), nothing()), std::mem::replace(timestamp, nothing())];
                *expression = call("timezone", arguments);
            }
            Expr::Collate { expr, collation } => {
                let name = collation.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
                if !name.is_some_and(|name| BYTE_ORDERS.contains(&name)) {
                    return ControlFlow::Break(SessionError::unsupported(&format!("collation {collation}")));
                }
                *expression = std::mem::replace(expr.as_mut(), nothing());
            }
            Expr::Function(function) => {
                if let Some(meant) = meant_by(function) {
                    *expression = meant;
                }
            }
            _ => {}
        }
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expression {
            type_parameter(right);
        }
        ControlFlow::Continue(())
    }
}

fn into_flow(result: Result<(), SessionError>) -> ControlFlow<SessionError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

fn type_parameter(array: &mut Expr) {
    let inner = match array {
        Expr::Nested(inner) => inner.as_mut(),
        other => other,
    };
    let is_untyped = |value: &Value| matches!(value, Value::Placeholder(_) | Value::SingleQuotedString(_));
    if matches!(inner, Expr::Value(value) if is_untyped(&value.value)) {
        cast(inner, DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None)));
    }
}

/// Collations that compare texts byte by byte, as everything here does.
const BYTE_ORDERS: [&str; 4] = ["C", "POSIX", "default", "ucs_basic"];

/// What stands where an expression was taken away.
fn nothing() -> Expr {
    Expr::value(Value::Null)
}

/// What a call stands for: `date(x)` for `x::date`, `date_trunc(part, x, zone)` for the same on that zone's clock,
/// `current_timestamp(0)` and `localtimestamp` for now.
fn meant_by(function: &mut Function) -> Option<Expr> {
    let name = function.name.to_string().to_ascii_lowercase();
    if name == "localtimestamp" {
        let mut now = call("now", []);
        cast(&mut now, DataType::Timestamp(None, TimezoneInfo::None));
        return Some(now);
    }
    let FunctionArguments::List(list) = &mut function.args else { return None };
    let mut values = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    });
    match (name.as_str(), list.args.len()) {
        ("date", 1) => {
            let mut value = values.next()??;
            cast(&mut value, DataType::Date);
            Some(value)
        }
        ("date_trunc", 3) => {
            let (part, at, zone) = (values.next()??, values.next()??, values.next()??);
            let local = call("timezone", [zone.clone(), at]);
            Some(call("timezone", [zone, call("date_trunc", [part, local])]))
        }
        ("current_timestamp", 1) => Some(call("now", [])),
        _ => None,
    }
}

fn call(name: &str, arguments: impl IntoIterator<Item = Expr>) -> Expr {
    let args = arguments.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Puts a cast around an expression.
pub(super) fn cast(expression: &mut Expr, data_type: DataType) {
    let expr = Box::new(expression.clone());
    *expression = Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None };
}

fn fetch_to_limit(query: &mut Query) -> Result<(), SessionError> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    let Fetch { with_ties: false, percent: false, quantity } = fetch else {
        return Err(SessionError::unsupported("fetch ... with ties"));
    };
    let count = quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    match &mut query.limit_clause {
        None => {
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit: Some(count), offset: None, limit_by: Vec::new() });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(count),
        Some(_) => return Err(SessionError::new("42601", "multiple LIMIT clauses not allowed")),
    }
    Ok(())
}

fn name_grouped_places(select: &mut Select) -> Result<(), SessionError> {
    let Select { projection, group_by: GroupByExpr::Expressions(groups, _), .. } = select else { return Ok(()) };
    for group in groups {
        if let Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) = group {
            for member in sets.iter_mut().flatten() {
                if let Some(named) = at_place(member, projection)? {
                    *member = named;
                }
            }
        }
    }
    Ok(())
}

/// The select list's expression at the place that a whole number names.
fn at_place(member: &Expr, projection: &[SelectItem]) -> Result<Option<Expr>, SessionError> {
    let Expr::Value(value) = member else { return Ok(None) };
    let Value::Number(digits, _) = &value.value else { return Ok(None) };
    let item = digits.parse::<usize>().ok().and_then(|place| projection.get(place.checked_sub(1)?));
    match item {
        Some(SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. }) => {
            Ok(Some(expression.clone()))
        }
        Some(_) => Err(SessionError::unsupported("a place in grouping sets next to a wildcard")),
        None => Err(SessionError::new("42P10", format!("GROUP BY position {digits} is not in select list"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::session::statement::parse;

    fn adapted(sql: &str) -> String {
        parse(sql).expect("SQL")[0].text().to_owned()
    }

    #[test]
    fn fetch_first_is_a_limit() {
        assert_eq!(
            adapted("select a from t order by a offset 1 rows fetch first 2 rows only"),
            "SELECT a FROM t ORDER BY a LIMIT 2 OFFSET 1 ROWS"
        );
        assert_eq!(adapted("select a from t fetch next row only"), "SELECT a FROM t LIMIT 1");
        assert_eq!(parse("select a from t fetch first 2 rows with ties").expect_err("ties").sqlstate, "0A000");
        assert_eq!(parse("select a from t limit 1 fetch first 2 rows only").expect_err("two").sqlstate, "42601");
    }

    #[test]
    fn other_spellings_of_dates_and_collations() {
        assert_eq!(adapted("select a at time zone 'UTC' from t"), "SELECT timezone('UTC', a) FROM t");
        assert_eq!(
            adapted("select date(a) from t where b = 'x' collate \"C\""),
            "SELECT CAST(a AS DATE) FROM t WHERE b = 'x'"
        );
        assert_eq!(
            adapted("select date_trunc('day', a, 'Asia/Tokyo') from t"),
            "SELECT timezone('Asia/Tokyo', date_trunc('day', timezone('Asia/Tokyo', a))) FROM t"
        );
        assert_eq!(adapted("select localtimestamp, current_timestamp(0)"), "SELECT CAST(now() AS TIMESTAMP), now()");
        assert_eq!(parse("select a collate \"de_DE\" from t").expect_err("order of letters").sqlstate, "0A000");
    }

    #[test]
    fn places_in_grouping_sets_are_columns() {
        assert_eq!(
            adapted("select a, b + 1 as c, sum(d) from t group by rollup (1, 2)"),
            "SELECT a, b + 1 AS c, sum(d) FROM t GROUP BY ROLLUP (a, b + 1)"
        );
        assert_eq!(parse("select a from t group by cube (2)").expect_err("one column").sqlstate, "42P10");
    }

    #[test]
    fn texts_with_prefixes_are_texts() {
        assert_eq!(adapted(r"select U&'\0041', N'b'"), "SELECT 'A', 'b'");
    }
}
