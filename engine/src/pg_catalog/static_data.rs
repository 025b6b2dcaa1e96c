//! The built-in rows of PostgreSQL 15's catalogs, generated from a PostgreSQL 15 server.
//!
//! Every file starts with a line of column names; `column=value` gives the value of all rows and takes no cell.
//! `\N` is null, arrays are JSON, booleans 0 and 1.

use std::borrow::Cow;
use std::sync::LazyLock;

pub(super) const PG_TYPE: &str = include_str!("data/pg_type.tsv");
pub(super) const PG_PROC: &str = include_str!("data/pg_proc.tsv");

/// Catalogs filled from files, apart from those that need code of their own.
pub(super) const TABLES: &[(&str, &str)] = &[
    ("pg_aggregate", include_str!("data/pg_aggregate.tsv")),
    ("pg_am", include_str!("data/pg_am.tsv")),
    ("pg_authid", include_str!("data/pg_authid.tsv")),
    ("pg_cast", include_str!("data/pg_cast.tsv")),
    ("pg_collation", include_str!("data/pg_collation.tsv")),
    ("pg_description", include_str!("data/pg_description.tsv")),
    ("pg_language", include_str!("data/pg_language.tsv")),
    ("pg_opclass", include_str!("data/pg_opclass.tsv")),
    ("pg_operator", include_str!("data/pg_operator.tsv")),
    ("pg_opfamily", include_str!("data/pg_opfamily.tsv")),
    ("pg_proc", PG_PROC),
    ("pg_range", include_str!("data/pg_range.tsv")),
    ("pg_tablespace", include_str!("data/pg_tablespace.tsv")),
    ("pg_type", PG_TYPE),
];

/// PostgreSQL's own views, in PostgreSQL's SQL.
pub(super) const VIEWS: &str = include_str!("data/views.sql");

/// One parsed file.
pub(super) struct StaticTable {
    columns: Vec<(&'static str, Option<&'static str>)>,
    lines: Vec<&'static str>,
}

/// One row of a file.
pub(super) struct StaticRow<'t> {
    table: &'t StaticTable,
    cells: Vec<&'static str>,
}

impl StaticTable {
    pub(super) fn parse(text: &'static str) -> Self {
        let mut lines = text.lines();
        let columns = lines
            .next()
            .unwrap_or_default()
            .split('\t')
            .map(|column| match column.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (column, None),
            })
            .collect();
        Self { columns, lines: lines.collect() }
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|(name, _)| *name)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = StaticRow<'_>> {
        self.lines.iter().map(|line| StaticRow { table: self, cells: line.split('\t').collect() })
    }
}

impl StaticRow<'_> {
    /// The cells of all columns in order, constants included.
    pub(super) fn cells(&self) -> impl Iterator<Item = Option<Cow<'static, str>>> {
        let mut cells = self.cells.iter();
        self.table.columns.iter().map(move |(_, constant)| {
            let cell = constant.or_else(|| cells.next().copied()).unwrap_or("\\N");
            (cell != "\\N").then(|| unescaped(cell))
        })
    }

    /// The cell of one column, as it stands in the file.
    pub(super) fn get(&self, column: &str) -> Option<&'static str> {
        let mut cells = self.cells.iter();
        for (name, constant) in &self.table.columns {
            let cell = constant.or_else(|| cells.next().copied());
            if *name == column {
                return cell.filter(|cell| *cell != "\\N");
            }
        }
        None
    }
}

fn unescaped(cell: &'static str) -> Cow<'static, str> {
    if !cell.contains('\\') {
        return Cow::Borrowed(cell);
    }
    let mut text = String::with_capacity(cell.len());
    let mut letters = cell.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            ('\\', Some('n')) => text.push('\n'),
            ('\\', Some('t')) => text.push('\t'),
            ('\\', Some('r')) => text.push('\r'),
            ('\\', Some(other)) => text.push(other),
            _ => text.push(letter),
        }
    }
    Cow::Owned(text)
}

/// A relation of `pg_catalog` or `information_schema`.
#[derive(Debug)]
pub(super) struct SystemRelation {
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    pub(super) oid: u32,
    pub(super) kind: &'static str,
    pub(super) row_type: u32,
    pub(super) access_method: u32,
    pub(super) is_shared: bool,
    pub(super) columns: Vec<SystemColumn>,
}

/// A column of one.
#[derive(Debug)]
pub(super) struct SystemColumn {
    pub(super) name: &'static str,
    pub(super) type_oid: u32,
    pub(super) typmod: i32,
    pub(super) not_null: bool,
    pub(super) collation: u32,
}

impl SystemRelation {
    /// The table or view that stands for it in the private database.
    pub(super) fn sqlite_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// All relations of the two system schemas.
pub(super) static SYSTEM_RELATIONS: LazyLock<Vec<SystemRelation>> = LazyLock::new(|| {
    let mut relations: Vec<SystemRelation> = Vec::new();
    for line in include_str!("data/relations.tsv").lines() {
        let cells: Vec<&'static str> = line.split('\t').collect();
        let number = |index: usize| cells.get(index).and_then(|cell| cell.parse::<u32>().ok()).unwrap_or(0);
        let text = |index: usize| cells.get(index).copied().unwrap_or_default();
        if text(0) == "R" {
            relations.push(SystemRelation {
                schema: text(1),
                name: text(2),
                oid: number(3),
                kind: text(4),
                row_type: number(5),
                access_method: number(6),
                is_shared: text(7) == "1",
                columns: Vec::new(),
            });
        } else if let Some(relation) = relations.last_mut() {
            relation.columns.push(SystemColumn {
                name: text(1),
                type_oid: number(2),
                typmod: text(3).parse().unwrap_or(-1),
                not_null: text(4) == "1",
                collation: number(5),
            });
        }
    }
    relations
});

/// Finds a system relation by schema and name.
pub(super) fn system_relation(schema: &str, name: &str) -> Option<&'static SystemRelation> {
    SYSTEM_RELATIONS.iter().find(|relation| relation.schema == schema && relation.name == name)
}
