//! PostgreSQL's forms that the engine's planner does not take, as forms that it does.
//!
//! - `fetch first n rows only` is `limit n`;
//! - `U&'...'` and `N'...'` are texts, already decoded by the parser;
//! - `x = any ($1)` compares with an array of texts, where nothing else says what the parameter is;
//! - `x at time zone z` is `timezone(z, x)`, `date(x)` is `x::date`, `localtimestamp` is `now()::timestamp`, `date_trunc` may have a time
//!   zone, and a collation that compares bytes changes nothing;
//! - `age` is of timestamps; `sign`, `div`, `every`, `variance` are spelled out; `x similar to 'pattern'` and `substring(x from 'pattern')` are regular expressions;
//! - the name of a relation that is an argument of `forecast` or `detect_anomalies` is the query of all its rows, and series of providers
//!   are known until the providers' usage is complete;
//! - `from generate_series(1, 3) g` names its column `g`, and `select generate_series(1, 3)` gives rows;
//! - a number in `rollup (1, 2)`, `cube` and `grouping sets` is the column at that place, as it is in a plain `group by`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Fetch, Function,
    FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    Interval, LimitClause, ObjectName, Query, Select, SelectItem, Statement as Ast, Subscript, TableAlias,
    TableAliasColumnDef, TableFactor, TimezoneInfo, TypedString, UnaryOperator, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};

use crate::pg_catalog::PgCatalog;
use crate::security::SessionError;

/// Rewrites a statement in place.
///
/// # Errors
/// `0A000` for `with ties`, `42601` for a limit that is given twice, `42P10` for a place that the select list does not have.
pub(super) fn adapt(statement: &mut Ast) -> Result<(), SessionError> {
    // The catalogs have functions, sets of rows and patterns of their own.
    let is_engines = !PgCatalog::claims(statement);
    match statement.visit(&mut Adapter { is_engines }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Adapter {
    /// Whether the engine plans the statement.
    is_engines: bool,
}

impl VisitorMut for Adapter {
    type Break = SessionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SessionError> {
        into_flow(fetch_to_limit(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SessionError> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } = item
                && self.is_engines
                && let Expr::Function(function) = expression
                && is_named(function, "generate_series")
            {
                *expression = call("unnest", [expression.clone()]);
            }
        }
        into_flow(name_grouped_places(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SessionError> {
        let TableFactor::Table { name, args: Some(arguments), alias, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if self.is_engines && takes_relations(name) {
            arguments.args.iter_mut().for_each(name_to_query);
            arguments.args.extend(complete_days(&arguments.args));
        }
        if !self.is_engines || !name.to_string().eq_ignore_ascii_case("generate_series") {
            return ControlFlow::Continue(());
        }
        let alias = alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: Ident::new("generate_series"),
            columns: Vec::new(),
            at: None,
        });
        if alias.columns.is_empty() {
            alias.columns.push(TableAliasColumnDef::from_name(alias.name.value.clone()));
        }
        // The engine's table function knows no time zones.
        if let [.., FunctionArg::Unnamed(FunctionArgExpr::Expr(step))] = arguments.args.as_slice()
            && is_interval(step)
        {
            let list: Vec<String> = arguments.args.iter().map(ToString::to_string).collect();
            let text = format!("select unnest(generate_series({}))", list.join(", "));
            if let Some(subquery) = query_of(&text) {
                *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias.clone()), sample: None };
            }
        }
        ControlFlow::Continue(())
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
            Expr::SimilarTo { .. } | Expr::Substring { .. } | Expr::Cast { .. } | Expr::InSubquery { .. }
                if !self.is_engines => {}
            Expr::Cast { expr, data_type: DataType::JSON | DataType::JSONB, .. } => {
                *expression = call("json", [(**expr).clone()]);
            }
            Expr::TypedString(TypedString { data_type: DataType::JSON | DataType::JSONB, value, .. })
                if self.is_engines =>
            {
                *expression = call("json", [Expr::Value(value.clone())]);
            }
            // The engine's own reading knows no times of day.
            Expr::Interval(Interval { value, leading_field: None, .. }) if self.is_engines && is_text(value) => {
                let mut span = (**value).clone();
                cast(&mut span, DataType::Interval { fields: None, precision: None });
                *expression = span;
            }
            Expr::InSubquery { expr, subquery, negated } if matches!(**expr, Expr::Tuple(_)) => {
                if *negated {
                    return ControlFlow::Break(
                        SessionError::unsupported("not in with rows of several columns").hint("use not exists"),
                    );
                }
                if let Some(exists) = row_exists(expr, subquery) {
                    *expression = exists;
                }
            }
            Expr::SimilarTo { pattern, escape_char, .. } => {
                if let Err(error) = into_regular_expression(pattern, escape_char.take().map(|span| span.value).as_ref())
                {
                    return ControlFlow::Break(error);
                }
            }
            Expr::Substring { expr, substring_from: Some(pattern), substring_for: None, .. } if is_text(pattern) => {
                let matched = call("regexp_match", [(**expr).clone(), (**pattern).clone()]);
                let first = Subscript::Index { index: Expr::value(Value::Number("1".to_owned(), false)) };
                *expression = Expr::CompoundFieldAccess {
                    root: Box::new(Expr::Nested(Box::new(matched))),
                    access_chain: vec![AccessExpr::Subscript(first)],
                };
            }
            Expr::Function(function) => {
                if let [schema, _] = function.name.0.as_slice()
                    && self.is_engines
                    && schema.as_ident().is_some_and(|ident| ident.value == "pg_catalog")
                {
                    function.name.0.remove(0);
                }
                if let Some(meant) = meant_by(function, self.is_engines) {
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
fn meant_by(function: &mut Function, is_engines: bool) -> Option<Expr> {
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
            // It is named twice: what nests would double at every level.
            if !matches!(zone, Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                return None;
            }
            let local = call("timezone", [zone.clone(), at]);
            Some(call("timezone", [zone, call("date_trunc", [part, local])]))
        }
        ("current_timestamp", 1) => Some(call("now", [])),
        _ if !is_engines => None,
        ("age", count @ (1 | 2)) => {
            // Of one instant: from midnight of today.
            let mut to = if count == 2 { values.next()?? } else { call("current_date", []) };
            let mut from = values.next()??;
            cast(&mut to, DataType::Timestamp(None, TimezoneInfo::None));
            cast(&mut from, DataType::Timestamp(None, TimezoneInfo::None));
            Some(call("age", [to, from]))
        }
        // A whole number is an integer where it fits.
        ("pg_typeof", 1) => {
            let mut value = values.next()??;
            into_integer(&mut value);
            Some(call("pg_typeof", [value]))
        }
        ("sign", 1) => {
            let mut value = values.next()??;
            cast(&mut value, DataType::DoublePrecision);
            let mut sign = call("signum", [value]);
            cast(&mut sign, DataType::BigInt(None));
            Some(sign)
        }
        ("div", 2) => {
            let (mut left, right) = (values.next()??, values.next()??);
            cast(&mut left, DataType::Numeric(ExactNumberInfo::None));
            let quotient = Expr::BinaryOp {
                left: Box::new(left),
                op: BinaryOperator::Divide,
                right: Box::new(Expr::Nested(Box::new(right))),
            };
            Some(call("trunc", [quotient]))
        }
        ("every", 1) => renamed(function, "bool_and"),
        ("variance", 1) => renamed(function, "var_samp"),
        _ => None,
    }
}

fn is_named(function: &Function, name: &str) -> bool {
    matches!(function.name.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case(name)))
}

/// Whether a function's arguments may be relations.
fn takes_relations(name: &ObjectName) -> bool {
    matches!(name.to_string().to_lowercase().as_str(), "forecast" | "detect_anomalies")
}

/// The name of a relation in an argument as the query of all its rows.
fn name_to_query(argument: &mut FunctionArg) {
    let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = argument;
    if let FunctionArgExpr::Expr(value @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) = arg
        && let Some(query) = query_of(&format!("select * from {value}"))
    {
        *value = Expr::Subquery(query);
    }
}

/// Until when the usage of the caller's providers is complete, as the argument `as_of` of a call whose series are of providers and
/// that does not say it; of series over providers, until when that of all is.
fn complete_days(arguments: &[FunctionArg]) -> Option<FunctionArg> {
    const OF_ALL: &str = "union all select null, max(all_complete_until) from public.completeness";
    let named = |wanted: &str| {
        arguments.iter().find_map(|argument| match argument {
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. }
            | FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. }
                if name.value.eq_ignore_ascii_case(wanted) =>
            {
                Some(value)
            }
            _ => None,
        })
    };
    let ids = match named("id_cols")? {
        Expr::Array(array) => array.elem.as_slice(),
        one => std::slice::from_ref(one),
    };
    let is_provider = |id: &Expr| matches!(id, Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(id), .. }) if id == "provider_name");
    if named("as_of").is_some() || named("as_of_col").is_some() || !ids.iter().any(is_provider) {
        return None;
    }
    let of_all = if named("grouping_sets").is_some() { OF_ALL } else { "" };
    let query = query_of(&format!("select provider_name, complete_until from public.completeness {of_all}"))?;
    Some(FunctionArg::Named {
        name: Ident::new("as_of"),
        arg: FunctionArgExpr::Expr(Expr::Subquery(query)),
        operator: FunctionArgOperator::RightArrow,
    })
}

/// The same call of another function: its filter and window stay.
fn renamed(function: &Function, name: &str) -> Option<Expr> {
    Some(Expr::Function(Function { name: ObjectName::from(vec![Ident::new(name)]), ..function.clone() }))
}

fn is_interval(expression: &Expr) -> bool {
    match expression {
        Expr::Interval(_) => true,
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Interval { .. }),
        Expr::TypedString(typed) => matches!(typed.data_type, DataType::Interval { .. }),
        _ => false,
    }
}

/// `(a, b) in (select x, y ...)` as `exists (select from (select x, y ...) as r (x, y) where r.x = a and r.y = b)`: the same where it decides
/// which rows are kept, which is where such conditions stand.
fn row_exists(row: &Expr, subquery: &Query) -> Option<Expr> {
    const ROW: &str = "__row";
    let Expr::Tuple(values) = row else { return None };
    let names: Vec<Ident> = (0..values.len()).map(|at| Ident::with_quote('"', format!("{ROW}_{at}"))).collect();
    let equal = values.iter().zip(&names).map(|(value, name)| Expr::BinaryOp {
        left: Box::new(Expr::CompoundIdentifier(vec![Ident::with_quote('"', ROW), name.clone()])),
        op: BinaryOperator::Eq,
        right: Box::new(Expr::Nested(Box::new(value.clone()))),
    });
    let condition = equal.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: BinaryOperator::And,
        right: Box::new(right),
    })?;
    let columns: Vec<String> = names.iter().map(ToString::to_string).collect();
    let text = format!("select 1 from ({subquery}) as \"{ROW}\" ({}) where {condition}", columns.join(", "));
    query_of(&text).map(|subquery| Expr::Exists { subquery, negated: false })
}

/// The query that a text of ours is; none if it is no query.
pub(super) fn query_of(text: &str) -> Option<Box<Query>> {
    match super::grammar::parse(text).ok()?.pop()? {
        Ast::Query(query) => Some(query),
        _ => None,
    }
}

fn is_text(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// The pattern of `similar to` as the regular expression that the engine's operator takes: all of a text matches, `%` is anything and `_`
/// one character, `| * + ? {} () []` are as in regular expressions, and what follows the escape character is itself.
fn into_regular_expression(pattern: &mut Expr, escape: Option<&Value>) -> Result<(), SessionError> {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = pattern else {
        return Err(SessionError::unsupported("similar to with a pattern that is not a text")
            .hint("use ~ with a regular expression"));
    };
    let escape = match escape {
        None => Some('\\'),
        Some(said) => {
            let said = said.clone().into_string().unwrap_or_default();
            let mut letters = said.chars();
            match (letters.next(), letters.next()) {
                (first, None) => first,
                _ => {
                    return Err(
                        SessionError::new("22025", "invalid escape string").hint("an escape is one character or none")
                    );
                }
            }
        }
    };
    let mut regular = String::from("^(?s:");
    let mut letters = text.chars();
    let mut is_in_brackets = false;
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            let escaped = letters.next().ok_or_else(|| {
                SessionError::new("22025", "invalid escape sequence")
                    .hint("a pattern does not end with its escape character")
            })?;
            regular.push_str(&regex::escape(&escaped.to_string()));
            continue;
        }
        match letter {
            ']' => is_in_brackets = false,
            '[' => is_in_brackets = true,
            '%' if !is_in_brackets => {
                regular.push_str(".*");
                continue;
            }
            '_' if !is_in_brackets => {
                regular.push('.');
                continue;
            }
            '.' | '^' | '$' | '\\' if !is_in_brackets => regular.push('\\'),
            _ => {}
        }
        regular.push(letter);
    }
    regular.push_str(")$");
    *text = regular;
    Ok(())
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

/// A whole number is an `integer` where it fits, as in Postgres; to the engine it is a `bigint`.
pub(super) fn into_integer(expression: &mut Expr) {
    let literal = match &*expression {
        Expr::Value(value) => &value.value,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => &value.value,
            _ => return,
        },
        _ => return,
    };
    if matches!(literal, Value::Number(digits, _) if digits.parse::<i32>().is_ok()) {
        cast(expression, DataType::Integer(None));
    }
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
    fn functions_that_are_spelled_out() {
        assert_eq!(
            adapted("select every(a), variance(b) filter (where c) from t"),
            "SELECT bool_and(a), var_samp(b) FILTER (WHERE c) FROM t"
        );
        assert_eq!(
            adapted("select sign(a) from t"),
            "SELECT CAST(signum(CAST(a AS DOUBLE PRECISION)) AS BIGINT) FROM t"
        );
        assert_eq!(adapted("select div(a, b) from t"), "SELECT trunc(CAST(a AS NUMERIC) / (b)) FROM t");
        assert_eq!(adapted("select substring(a from 'b.') from t"), "SELECT (regexp_match(a, 'b.'))[1] FROM t");
        assert_eq!(adapted("select a::jsonb ->> 'b' from t"), "SELECT json(a) ->> 'b' FROM t");
        assert_eq!(
            adapted("select 1 from t where (a, b) in (select c, d from u)"),
            "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM (SELECT c, d FROM u) AS \"__row\" (\"__row_0\", \"__row_1\") \
             WHERE \"__row\".\"__row_0\" = (a) AND \"__row\".\"__row_1\" = (b))"
        );
        assert_eq!(adapted("select generate_series(1, a) from t"), "SELECT unnest(generate_series(1, a)) FROM t");
        assert_eq!(adapted("select g from generate_series(1, 2) g"), "SELECT g FROM generate_series(1, 2) g (g)");
    }

    #[test]
    fn what_nests_does_not_multiply() {
        for form in [
            "sign(#)",
            "age(#)",
            "div(#, #1)",
            "date(#)",
            "every(#)",
            "pg_typeof(#)",
            "date_trunc('day', #, 'UTC')",
            "date_trunc('day', a, #)",
            "substring(# from 'b')",
            "generate_series(1, #)",
            "(# at time zone 'UTC')",
            "((#, a) in (select b, c from u))",
            "(a, b) in (select b, # from u)",
        ] {
            let nested = (0..12).fold("a".to_owned(), |inner, _| form.replace("#1", "1").replace('#', &inner));
            let written = format!("select {nested} from t");
            let Ok(parsed) = parse(&written) else { continue };
            let (before, after) = (written.len(), parsed[0].text().len());
            assert!(after < before * 10, "{form}: {before} bytes became {after}");
        }
    }

    #[test]
    fn similar_to_is_a_regular_expression_of_the_whole_text() {
        let pattern = |sql: &str| adapted(sql).replace("SELECT a SIMILAR TO ", "").replace(" FROM t", "");
        assert_eq!(pattern("select a similar to 'b%_' from t"), "'^(?s:b.*.)$'");
        assert_eq!(pattern("select a similar to '(b|c.)+[%_]' from t"), r"'^(?s:(b|c\.)+[%_])$'");
        assert_eq!(pattern(r"select a similar to 'b\%' from t"), "'^(?s:b%)$'");
        assert_eq!(pattern("select a similar to 'b#_' escape '#' from t"), "'^(?s:b_)$'");
        assert_eq!(parse(r"select a similar to 'b\'").expect_err("ends early").sqlstate, "22025");
        assert_eq!(parse("select a similar to b from t").expect_err("a column").sqlstate, "0A000");
    }

    #[test]
    fn texts_with_prefixes_are_texts() {
        assert_eq!(adapted(r"select U&'\0041', N'b'"), "SELECT 'A', 'b'");
    }
}
