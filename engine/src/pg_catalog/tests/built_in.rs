//! PostgreSQL's built-in rows and views.

use std::sync::Arc;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::super::compile::compile;
use super::super::database::view_texts;
use super::super::directory::Directory;
use super::super::facts::CatalogFacts;
use super::super::session::CatalogSession;

#[test]
fn every_view_of_postgresql_compiles() {
    let session = CatalogSession::new(Arc::new(Directory::new(CatalogFacts::empty())));
    let mut failures = Vec::new();
    for (relation, text) in view_texts() {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, text).expect("PostgreSQL printed it");
        match compile(&session, &statements[0], &[]) {
            Ok(compiled) if compiled.columns.len() == relation.columns.len() => {}
            Ok(compiled) => failures.push(format!("{}: {} columns", relation.name, compiled.columns.len())),
            Err(error) => failures.push(format!("{}: {}", relation.name, error.message)),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
