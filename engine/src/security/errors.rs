//! The one place where errors become what a client reads: a SQLSTATE and a text without values.
//!
//! What is absent and what is forbidden read the same. Nothing the engine says about data is
//! passed on, because a filter that failed may have looked at a value.

use std::fmt;

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use ratehouse_udfs::datetime::DateTimeError;

use crate::catalog::CatalogError;

/// An error as a client may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionError {
    /// The five-character code.
    pub sqlstate: &'static str,
    /// What is wrong.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the statement's text.
    pub place: Option<Place>,
}

/// A place in a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The character in it, from 1.
    pub column: u64,
}

impl Place {
    /// The character of the text at this place, from 1, as Postgres counts it; none where the text has no such line.
    pub fn position(self, text: &str) -> Option<usize> {
        let lines_before = usize::try_from(self.line.checked_sub(1)?).ok()?;
        let mut start = 0;
        for _ in 0..lines_before {
            start += text[start..].find('\n')? + 1;
        }
        Some(text[..start].chars().count() + usize::try_from(self.column).ok()?)
    }
}

impl SessionError {
    /// An error without detail.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, place: None }
    }

    /// The same with the place in the statement that it speaks of.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A statement or function that this server does not offer.
    pub fn unsupported(what: &str) -> Self {
        Self::new("0A000", format!("{what} is not supported"))
    }

    /// An action that the caller may not do.
    pub fn denied(what: &str) -> Self {
        Self::new("42501", format!("permission denied for {what}"))
    }

    /// A relation that is not in the session.
    pub fn no_relation(name: &str) -> Self {
        Self::new("42P01", format!("relation \"{name}\" does not exist"))
    }

    /// A row that a check refuses.
    pub fn violates(message: impl Into<String>) -> Self {
        Self::new("23514", message)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, "\nDETAIL:  {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHINT:  {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SessionError {}

impl From<CatalogError> for SessionError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict => Self::new("40001", error.to_string())
                .hint("somebody changed the same rows: read them again and repeat the transaction"),
            CatalogError::Refused(message) => Self::violates(message),
            CatalogError::Chain { .. } | CatalogError::Altered { .. } | CatalogError::Unrecorded { .. } => {
                Self::new("XX001", error.to_string())
            }
            CatalogError::Database(_)
            | CatalogError::Missing(_)
            | CatalogError::Exists(_)
            | CatalogError::Version { .. }
            | CatalogError::Shape { .. }
            | CatalogError::Malformed { .. }
            | CatalogError::Io { .. } => {
                tracing::error!(%error, "catalog");
                Self::new("58030", "the catalog could not be read or written")
            }
        }
    }
}

impl From<DataFusionError> for SessionError {
    fn from(error: DataFusionError) -> Self {
        from_engine(&error)
    }
}

/// Maps an engine error.
pub fn from_engine(error: &DataFusionError) -> SessionError {
    let start = error.diagnostic().and_then(|diagnostic| diagnostic.span).map(|span| span.start);
    let mapped = from_root(error);
    match start {
        Some(start) if mapped.place.is_none() => mapped.at(Some(Place { line: start.line, column: start.column })),
        _ => mapped,
    }
}

/// Whether an error is about a regular expression of the statement: several kinds are used for it.
fn is_of_pattern(error: &DataFusionError) -> bool {
    let text = error.to_string();
    ["regex", "Regex", "egular expression"].iter().any(|word| text.contains(word))
}

fn from_root(error: &DataFusionError) -> SessionError {
    match error.find_root() {
        DataFusionError::SQL(parse, _) => from_parser(parse),
        DataFusionError::SchemaError(schema, _) => from_schema(schema),
        DataFusionError::ArrowError(arrow, _)
            if matches!(**arrow, ArrowError::ComputeError(_)) && is_of_pattern(error) =>
        {
            SessionError::new("2201B", "invalid regular expression")
        }
        DataFusionError::ArrowError(arrow, _) => from_arrow(arrow),
        DataFusionError::ResourcesExhausted(_) => {
            SessionError::new("53200", "out of memory").hint("the query needs more memory than it may use: narrow it")
        }
        DataFusionError::NotImplemented(_) => SessionError::new("0A000", "this form of query is not supported"),
        DataFusionError::Plan(text) => from_plan(text),
        DataFusionError::Configuration(_) => SessionError::new("22023", "invalid setting"),
        DataFusionError::Execution(text) => from_execution(text),
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_) => {
            tracing::error!(%error, "storage");
            SessionError::new("58030", "stored data could not be read")
        }
        DataFusionError::External(source) => {
            if let Some(error) = source.downcast_ref::<DateTimeError>() {
                return SessionError::new(error.sqlstate(), error.to_string());
            }
            source.downcast_ref::<SessionError>().cloned().unwrap_or_else(|| internal(error))
        }
        _ => internal(error),
    }
}

fn internal(error: &DataFusionError) -> SessionError {
    if is_of_pattern(error) {
        return SessionError::new("2201B", "invalid regular expression");
    }
    let id = uuid::Uuid::new_v4().simple().to_string();
    tracing::error!(%error, id, "internal error");
    SessionError::new("XX000", "internal error").detail(format!("The server's log has it under {id}."))
}

/// Maps a syntax error; its text speaks of the statement only.
pub fn from_parser(error: &ParserError) -> SessionError {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            let (text, place) = without_place(text);
            let error = match text.split_once(", found: ") {
                Some((expected, "EOF")) => {
                    SessionError::new("42601", "syntax error at end of input").detail(format!("{expected}."))
                }
                Some((expected, found)) => SessionError::new("42601", format!("syntax error at or near \"{found}\""))
                    .detail(format!("{expected}.")),
                None => SessionError::new("42601", format!("syntax error: {text}")),
            };
            error.at(place)
        }
        ParserError::RecursionLimitExceeded => SessionError::new("54001", "statement is nested too deeply"),
    }
}

/// Takes the parser's ` at Line: 1, Column: 8` off the end of its text.
fn without_place(text: &str) -> (&str, Option<Place>) {
    let cut = || {
        let (before, place) = text.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((before, Place { line: line.parse().ok()?, column: column.parse().ok()? }))
    };
    match cut() {
        Some((before, place)) => (before, Some(place)),
        None => (text, None),
    }
}

fn from_schema(error: &SchemaError) -> SessionError {
    match error {
        SchemaError::FieldNotFound { field, .. } => {
            SessionError::new("42703", format!("column \"{}\" does not exist", field.name))
        }
        SchemaError::AmbiguousReference { field } => {
            SessionError::new("42702", format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            SessionError::new("42701", format!("column name \"{name}\" is used twice"))
        }
    }
}

fn from_arrow(error: &ArrowError) -> SessionError {
    match error {
        ArrowError::DivideByZero => SessionError::new("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(_) => SessionError::new("22003", "numeric value out of range"),
        ArrowError::CastError(text) => from_cast(text),
        ArrowError::ParseError(_) | ArrowError::InvalidArgumentError(_) => {
            SessionError::new("22P02", "invalid input syntax or value")
        }
        ArrowError::MemoryError(_) => SessionError::new("53200", "out of memory"),
        ArrowError::ExternalError(source) => match source.downcast_ref::<DataFusionError>() {
            Some(inner) => from_engine(inner),
            None => source
                .downcast_ref::<SessionError>()
                .cloned()
                .unwrap_or_else(|| SessionError::new("XX000", "internal error")),
        },
        _ => {
            tracing::error!(%error, "arrow");
            SessionError::new("XX000", "internal error")
        }
    }
}

/// What kind of value did not convert; never the value.
///
/// Arrow says `Can't cast value 1 to type Int8` of a number that is too large, and `Cannot cast
/// string 'x' to value of Date32 type` of a text.
fn from_cast(text: &str) -> SessionError {
    let kind = text.rsplit("to value of ").next().and_then(|rest| rest.strip_suffix(" type")).unwrap_or_default();
    let value =
        text.split_once('\'').and_then(|(_, rest)| rest.rsplit_once('\'')).map_or("", |(value, _)| value.trim());
    let looks_numeric = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if text.starts_with("Can't cast value ")
        || kind.contains("Int") && looks_numeric(value.trim_start_matches(['-', '+']))
    {
        return SessionError::new("22003", "value out of range");
    }
    if kind.starts_with("Date") || kind.starts_with("Timestamp") || kind.starts_with("Time") {
        let is_dated = value.bytes().filter(u8::is_ascii_digit).count() >= 3
            && value.bytes().all(|c| c.is_ascii_digit() || b"-/:. +TZ".contains(&c));
        return if is_dated {
            SessionError::new("22008", "date/time field value out of range")
        } else {
            SessionError::new("22007", "invalid input syntax for a date or time")
        };
    }
    SessionError::new("22P02", "invalid input syntax or value")
}

/// The planner's texts speak of names and types, which come from the statement and the
/// session's own catalog.
fn from_plan(text: &str) -> SessionError {
    let lower = text.to_ascii_lowercase();
    if let Some(name) = quoted_after(text, "table '") {
        let name = name.rsplit('.').next().unwrap_or(name);
        return SessionError::no_relation(name);
    }
    if lower.contains("invalid function")
        || lower.contains("no function matches")
        || lower.contains("function") && lower.contains("not found")
    {
        let first = text.lines().next().unwrap_or_default();
        let name = quoted_after(first, "function '").unwrap_or("of that name and those argument types");
        return SessionError::new("42883", format!("function {name} does not exist"))
            .hint("no function matches the given name and argument types: you might need explicit casts");
    }
    if lower.contains("must appear in the group by") || lower.contains("column in select must be in group by") {
        return SessionError::new(
            "42803",
            "column must appear in the GROUP BY clause or be used in an aggregate function",
        );
    }
    let first = text.lines().next().unwrap_or_default();
    SessionError::new("42804", first.to_owned())
}

fn quoted_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find(before)? + before.len();
    let rest = text.get(start..)?;
    rest.split('\'').next()
}

fn from_execution(text: &str) -> SessionError {
    let lower = text.to_ascii_lowercase();
    if lower.contains("divide by zero") || lower.contains("division by zero") {
        return SessionError::new("22012", "division by zero");
    }
    if lower == NOT_NUMERIC {
        return SessionError::new("22P02", NOT_NUMERIC);
    }
    if lower.contains("overflow") || lower.contains("out of range") {
        return SessionError::new("22003", "numeric value out of range");
    }
    if lower.contains("more than one row") {
        return SessionError::new("21000", "more than one row returned by a subquery used as an expression");
    }
    tracing::warn!(text, "execution error");
    SessionError::new("22023", "invalid argument value")
}

/// What our own cast to decimals says of a text that is none.
const NOT_NUMERIC: &str = "invalid input syntax for type numeric";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_cast_does_not_show_the_value() {
        let error = DataFusionError::ArrowError(
            Box::new(ArrowError::CastError("Cannot cast string 'TOPSECRET' to value of Int32 type".to_owned())),
            None,
        );
        let shown = from_engine(&error);
        assert_eq!(shown.sqlstate, "22P02");
        assert!(!shown.to_string().contains("TOPSECRET"));
    }

    #[test]
    fn a_failed_cast_says_what_kind_of_value_it_was() {
        let state = |text: &str| from_arrow(&ArrowError::CastError(text.to_owned())).sqlstate;
        assert_eq!(state("Cannot cast string 'abc' to value of Int32 type"), "22P02");
        assert_eq!(state("Cannot cast string '99999999999' to value of Int32 type"), "22003");
        assert_eq!(state("Can't cast value 9223372036854775807 to type Int32"), "22003");
        assert_eq!(state("Cannot cast string '2025-13-45' to value of Date32 type"), "22008");
        assert_eq!(state("Cannot cast string 'soon' to value of Date32 type"), "22007");
    }

    #[test]
    fn a_syntax_error_says_where() {
        let error = from_parser(&ParserError::ParserError(
            "Expected: an SQL statement, found: SELEC at Line: 2, Column: 3".to_owned(),
        ));
        assert_eq!(error.message, "syntax error at or near \"SELEC\"");
        // "ä\n" is two characters, the third of the second line is the fifth.
        assert_eq!(error.place.and_then(|place| place.position("ä\n  SELEC 1")), Some(5));
    }

    #[test]
    fn an_unknown_table_is_named_without_its_catalog() {
        let shown = from_engine(&DataFusionError::Plan("table 'ratehouse.public.nope' not found".to_owned()));
        assert_eq!((shown.sqlstate, shown.message.as_str()), ("42P01", "relation \"nope\" does not exist"));
    }
}
