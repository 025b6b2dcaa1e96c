//! Answers of the last crawl of a source that ended: the next one asks for them only if they changed.
//!
//! Working state of no snapshot, like the queue. The bodies are files of the source's folder; `FormerAnswer` says which, and by what to ask.

use super::CatalogError;
use super::tx::Tx;

/// An answer that a crawl kept for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerAnswer {
    /// Its request's place in that crawl, which names its file.
    pub request_no: i64,
    /// By what it is asked for again, JSON.
    pub conditions: String,
}

impl FormerAnswer {
    /// The answer that the last crawl of a source had to a request, if it kept one.
    pub fn of(tx: &dyn Tx, source: &str, request_key: &str) -> Result<Option<Self>, CatalogError> {
        let sql = "select request_no, conditions from collection_answer where source_name = ?1 and request_key = ?2";
        let row = tx.row(sql, &[source.into(), request_key.into()])?;
        row.map(|row| Ok(Self { request_no: row.int(0)?, conditions: row.text(1)?.to_owned() })).transpose()
    }

    /// Forgets all answers of a source.
    pub fn forget(tx: &dyn Tx, source: &str) -> Result<(), CatalogError> {
        tx.execute("delete from collection_answer where source_name = ?1", &[source.into()]).map(drop)
    }

    /// Remembers those answers in a source's queue that have conditions. It must have been forgotten what was kept before.
    pub fn remember(tx: &dyn Tx, source: &str) -> Result<(), CatalogError> {
        let sql = "insert into collection_answer select source_name, request_key, request_no, conditions from collection_request \
             where source_name = ?1 and conditions is not null";
        tx.execute(sql, &[source.into()]).map(drop)
    }
}
