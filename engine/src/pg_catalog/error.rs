//! The error of a catalog statement: a SQLSTATE and a text that PostgreSQL would give.

use std::fmt;

/// A failed catalog statement, safe to show: it names only what the statement itself named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogQueryError {
    /// Five-character SQLSTATE.
    pub sqlstate: &'static str,
    /// One sentence without values of others.
    pub message: String,
}

impl CatalogQueryError {
    pub(super) fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into() }
    }

    /// A construct that the catalog dialect does not have.
    pub(super) fn unsupported(what: impl fmt::Display) -> Self {
        Self::new("0A000", format!("{what} is not supported in a query over the system catalogs"))
    }

    /// A relation that does not exist or may not be seen.
    pub(super) fn undefined_relation(name: impl fmt::Display) -> Self {
        Self::new("42P01", format!("relation \"{name}\" does not exist"))
    }

    /// A column that does not exist.
    pub(super) fn undefined_column(name: impl fmt::Display) -> Self {
        Self::new("42703", format!("column {name} does not exist"))
    }

    /// A value that is not of the type its place asks for.
    pub(super) fn invalid_text(type_name: &str, text: &str) -> Self {
        Self::new("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
    }

    /// Wraps an error of the private database, or unwraps one of our own functions from it.
    pub(super) fn from_sqlite(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(_, Some(message)) = &error
            && let Some(found) = Self::unmarked(message)
        {
            return found;
        }
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
            return Self::new("57014", "canceling statement due to user request");
        }
        match error {
            rusqlite::Error::UserFunctionError(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::new("XX000", format!("catalog query failed: {other}")),
            },
            other => Self::new("0A000", format!("this catalog query is not supported: {other}")),
        }
    }

    // SQLite carries only text, so the SQLSTATE travels in it: "\u{1}42P01\u{1}message".
    fn unmarked(message: &str) -> Option<Self> {
        let rest = message.split_once('\u{1}')?.1;
        let (code, text) = rest.split_once('\u{1}')?;
        let sqlstate = SQLSTATES.iter().find(|known| **known == code)?;
        Some(Self::new(sqlstate, text))
    }
}

const SQLSTATES: &[&str] = &[
    "0A000", "22003", "22007", "22008", "22012", "22023", "2201B", "22P02", "3F000", "42501", "42602", "42703",
    "42704", "42804", "42809", "42883", "42P01", "54000", "XX000",
];

impl fmt::Display for CatalogQueryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\u{1}{}\u{1}{}", self.sqlstate, self.message)
    }
}

impl std::error::Error for CatalogQueryError {}
