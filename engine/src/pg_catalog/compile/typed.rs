//! An expression's SQL with its type.

use std::sync::Arc;

use super::super::types::{BOOL, INT4, PgType, RECORD, TEXT, UNKNOWN};

/// Field names and types of a record value, which is a JSON array inside.
pub(super) type Fields = Arc<Vec<(String, u32)>>;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub(super) sql: String,
    pub(super) ty: PgType,
    pub(super) untyped: Option<Untyped>,
    pub(super) fields: Option<Fields>,
}

/// What has no type of its own yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Untyped {
    Text(String),
    Null,
    /// Position from 0.
    Parameter(usize),
}

impl Typed {
    pub(super) fn new(sql: impl Into<String>, oid: u32) -> Self {
        Self { sql: sql.into(), ty: PgType::plain(oid), untyped: None, fields: None }
    }

    pub(super) fn with_type(sql: impl Into<String>, ty: PgType) -> Self {
        Self { sql: sql.into(), ty, untyped: None, fields: None }
    }

    pub(super) fn bool(sql: impl Into<String>) -> Self {
        Self::new(sql, BOOL)
    }

    pub(super) fn text(sql: impl Into<String>) -> Self {
        Self::new(sql, TEXT)
    }

    pub(super) fn int4(sql: impl Into<String>) -> Self {
        Self::new(sql, INT4)
    }

    pub(super) fn record(sql: impl Into<String>, fields: Fields) -> Self {
        Self { sql: sql.into(), ty: PgType::plain(RECORD), untyped: None, fields: Some(fields) }
    }

    pub(super) fn untyped(sql: impl Into<String>, what: Untyped) -> Self {
        Self { sql: sql.into(), ty: PgType::plain(UNKNOWN), untyped: Some(what), fields: None }
    }

    /// The same value under other SQL.
    pub(super) fn renamed(&self, sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ty: self.ty, untyped: None, fields: self.fields.clone() }
    }
}
