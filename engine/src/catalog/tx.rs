//! The dialect-neutral face of a catalog transaction.
//!
//! Callers see statements with `?1` placeholders, [`Value`]s and [`Row`]s, never a driver's
//! types, so that another database can stand behind the same closures.

use super::CatalogError;

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// SQL null.
    Null,
    /// A 64-bit integer; truth values are 0 and 1.
    Int(i64),
    /// Text; also money (canonical decimal text) and instants (RFC 3339).
    Text(String),
}

impl Value {
    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Int(_) => None,
        }
    }

    /// The integer, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Null | Self::Text(_) => None,
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The text at a position; an error names the position when it holds something else.
    pub fn text(&self, at: usize) -> Result<&str, CatalogError> {
        self.opt_text(at)?.ok_or(CatalogError::Shape { column: at, wanted: "text" })
    }

    /// The text or null at a position.
    pub fn opt_text(&self, at: usize) -> Result<Option<&str>, CatalogError> {
        match self.0.get(at) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_)) | None => Err(CatalogError::Shape { column: at, wanted: "text" }),
        }
    }

    /// The integer at a position.
    pub fn int(&self, at: usize) -> Result<i64, CatalogError> {
        self.opt_int(at)?.ok_or(CatalogError::Shape { column: at, wanted: "integer" })
    }

    /// The integer or null at a position.
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, CatalogError> {
        match self.0.get(at) {
            Some(Value::Int(int)) => Ok(Some(*int)),
            Some(Value::Null) => Ok(None),
            Some(Value::Text(_)) | None => Err(CatalogError::Shape { column: at, wanted: "integer" }),
        }
    }

    /// The values.
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

/// One open transaction, for reading or for writing.
pub trait Tx {
    /// Runs a statement and says how many rows it touched. Placeholders are `?1`, `?2` ...
    fn execute(&self, sql: &str, parameters: &[Value]) -> Result<usize, CatalogError>;

    /// Runs a query and hands each row to `each`.
    fn each(
        &self,
        sql: &str,
        parameters: &[Value],
        each: &mut dyn FnMut(Row) -> Result<(), CatalogError>,
    ) -> Result<(), CatalogError>;

    /// All rows of a query.
    fn rows(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, CatalogError> {
        let mut rows = Vec::new();
        self.each(sql, parameters, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row of a query, if there is one.
    fn row(&self, sql: &str, parameters: &[Value]) -> Result<Option<Row>, CatalogError> {
        Ok(self.rows(sql, parameters)?.into_iter().next())
    }
}
