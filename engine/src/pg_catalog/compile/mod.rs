//! Turns a PostgreSQL query over the catalogs into SQLite's SQL, with the PostgreSQL type of every column and parameter.
//!
//! Types come from the catalog's column definitions and the function table, and flow upward; an untyped literal or
//! parameter takes the type of what it meets. Nothing is guessed from values, so a statement describes itself without
//! being run. What the dialect does not have is refused with 0A000.

mod aggregates;
mod arrays;
mod calls;
mod casts;
mod constructs;
mod expression;
mod from;
mod joins;
mod native_calls;
mod operators;
mod ordering;
mod output_name;
mod query;
mod scope;
mod select;
mod sets;
mod table_functions;
mod typed;

use datafusion::sql::sqlparser::ast::{Query, Statement};

use super::error::CatalogQueryError;
use super::session::CatalogSession;
use super::types::{PgType, TEXT, UNKNOWN};
pub(super) use expression::is_value_function;
use scope::Cte;
use typed::Typed;

/// A result column.
#[derive(Debug, Clone)]
pub(super) struct OutputColumn {
    pub(super) name: String,
    pub(super) ty: PgType,
}

/// A statement ready for the private database.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) sql: String,
    pub(super) columns: Vec<OutputColumn>,
    /// Types of `$1`, `$2` ...
    pub(super) parameters: Vec<u32>,
}

/// Compiles a `SELECT`, `VALUES` or `WITH` statement.
///
/// # Errors
/// 42P01, 42703, 42883 for what does not exist, 22P02 for literals that do not fit, 0A000 for what is not supported.
pub(super) fn compile(
    session: &CatalogSession,
    statement: &Statement,
    declared: &[Option<u32>],
) -> Result<Compiled, CatalogQueryError> {
    let Statement::Query(query) = statement else {
        return Err(CatalogQueryError::unsupported("this statement"));
    };
    compile_query(session, query, declared)
}

fn compile_query(
    session: &CatalogSession,
    query: &Query,
    declared: &[Option<u32>],
) -> Result<Compiled, CatalogQueryError> {
    let mut compiler = Compiler {
        session,
        parameters: declared.iter().copied().map(|oid| oid.filter(|oid| *oid != UNKNOWN && *oid != 0)).collect(),
        ctes: Vec::new(),
        row_sets: Vec::new(),
        aliases: 0,
    };
    let compiled = compiler.query(query, None)?;
    let columns = compiled.columns.into_iter().map(|(name, item)| OutputColumn { name, ty: item.ty }).collect();
    let parameters = compiler.parameters.into_iter().map(|oid| oid.unwrap_or(TEXT)).collect();
    Ok(Compiled { sql: compiled.sql, columns, parameters })
}

/// State of one compilation.
struct Compiler<'s> {
    session: &'s CatalogSession,
    /// Types of parameters as far as known.
    parameters: Vec<Option<u32>>,
    /// Common table expressions in scope, innermost last.
    ctes: Vec<Cte>,
    /// Set-returning calls found in the select lists being compiled, innermost last.
    row_sets: Vec<sets::RowSets>,
    aliases: usize,
}

/// A compiled query with typed columns.
struct QueryText {
    sql: String,
    columns: Vec<(String, Typed)>,
}

type Outcome<T> = Result<T, CatalogQueryError>;

impl Compiler<'_> {
    /// A table alias that no statement can contain.
    fn fresh_alias(&mut self) -> String {
        self.aliases += 1;
        format!("\"rows${}\"", self.aliases)
    }
}
