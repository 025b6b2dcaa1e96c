//! Which columns a name can mean.

use super::super::error::CatalogQueryError;
use super::super::names::always_quoted;
use super::super::types::{CID, OID, PgType, TID, XID};
use super::typed::{Fields, Typed};

/// A column of a relation in `FROM`.
#[derive(Debug, Clone)]
pub(super) struct ScopeColumn {
    pub(super) name: String,
    pub(super) value: Typed,
    /// Not part of `*`: system columns, and columns merged by `USING`.
    pub(super) is_hidden: bool,
}

/// A relation in `FROM`.
#[derive(Debug, Clone)]
pub(super) struct ScopeItem {
    pub(super) alias: String,
    /// Schema, where the relation was named and not aliased.
    pub(super) schema: Option<String>,
    pub(super) columns: Vec<ScopeColumn>,
}

/// The relations of one query level.
#[derive(Debug, Default)]
pub(super) struct Scope<'p> {
    pub(super) parent: Option<&'p Self>,
    pub(super) items: Vec<ScopeItem>,
}

/// A common table expression.
#[derive(Debug, Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) columns: Vec<(String, PgType, Option<Fields>)>,
}

impl ScopeItem {
    pub(super) fn new(alias: &str, columns: impl IntoIterator<Item = (String, Typed)>) -> Self {
        let columns = columns.into_iter().map(|(name, value)| ScopeColumn { name, value, is_hidden: false }).collect();
        Self { alias: alias.to_owned(), schema: None, columns }
    }

    /// Adds PostgreSQL's system columns of a table.
    pub(super) fn with_system_columns(mut self, relation: u32) -> Self {
        let constants = [
            ("tableoid", relation.to_string(), OID),
            ("xmin", "1".to_owned(), XID),
            ("xmax", "0".to_owned(), XID),
            ("cmin", "0".to_owned(), CID),
            ("cmax", "0".to_owned(), CID),
            ("ctid", "'(0,1)'".to_owned(), TID),
        ];
        let first = self.columns.first().map(|column| column.value.sql.clone()).unwrap_or_default();
        for (name, constant, oid) in constants {
            if self.columns.iter().any(|column| column.name == name) {
                continue;
            }
            // null where an outer join found no row; the first column of every catalog is never null
            let sql = format!("CASE WHEN {first} IS NOT NULL THEN {constant} END");
            self.columns.push(ScopeColumn { name: name.to_owned(), value: Typed::new(sql, oid), is_hidden: true });
        }
        self
    }

    /// Renames columns by an alias list.
    pub(super) fn renamed(mut self, names: &[String]) -> Self {
        for (column, name) in self.columns.iter_mut().zip(names) {
            name.clone_into(&mut column.name);
        }
        self
    }

    pub(super) fn visible(&self) -> impl Iterator<Item = &ScopeColumn> {
        self.columns.iter().filter(|column| !column.is_hidden)
    }

    fn column(&self, name: &str) -> Option<&ScopeColumn> {
        self.visible()
            .find(|column| column.name == name)
            .or_else(|| self.columns.iter().find(|column| column.name == name))
    }

    /// The whole row as a record.
    fn row(&self) -> Typed {
        let sql: Vec<&str> = self.visible().map(|column| column.value.sql.as_str()).collect();
        let fields = self.visible().map(|column| (column.name.clone(), column.value.ty.oid)).collect();
        Typed::record(format!("json_array({})", sql.join(", ")), std::sync::Arc::new(fields))
    }
}

impl<'p> Scope<'p> {
    pub(super) fn below(parent: Option<&'p Self>) -> Self {
        Self { parent, items: Vec::new() }
    }

    /// The value of an unqualified name.
    pub(super) fn bare(&self, name: &str) -> Result<Typed, CatalogQueryError> {
        let mut visible = self.items.iter().flat_map(|item| item.visible()).filter(|column| column.name == name);
        if let Some(found) = visible.next() {
            return match visible.next() {
                None => Ok(found.value.clone()),
                Some(_) => Err(CatalogQueryError::new("42702", format!("column reference \"{name}\" is ambiguous"))),
            };
        }
        if let Some(hidden) = self.items.iter().find_map(|item| item.column(name)) {
            return Ok(hidden.value.clone());
        }
        if let Some(item) = self.items.iter().find(|item| item.alias == name) {
            return Ok(item.row());
        }
        match self.parent {
            Some(parent) => parent.bare(name),
            None => Err(CatalogQueryError::undefined_column(always_quoted(name))),
        }
    }

    /// The value of `table.column` or `schema.table.column`.
    pub(super) fn qualified(&self, schema: Option<&str>, table: &str, name: &str) -> Result<Typed, CatalogQueryError> {
        match self.item(schema, table) {
            Some(item) => item
                .column(name)
                .map(|column| column.value.clone())
                .ok_or_else(|| CatalogQueryError::undefined_column(format!("{table}.{name}"))),
            None => match self.parent {
                Some(parent) => parent.qualified(schema, table, name),
                None => {
                    Err(CatalogQueryError::new("42P01", format!("missing FROM-clause entry for table \"{table}\"")))
                }
            },
        }
    }

    /// A relation of this level by name.
    pub(super) fn item(&self, schema: Option<&str>, table: &str) -> Option<&ScopeItem> {
        self.items.iter().find(|item| item.alias == table && (schema.is_none() || item.schema.as_deref() == schema))
    }

    /// Whether a relation of this name is in scope at any level.
    pub(super) fn knows(&self, table: &str) -> bool {
        self.item(None, table).is_some() || self.parent.is_some_and(|parent| parent.knows(table))
    }
}
