//! A document's lines as the catalog keeps them: one row a document, since it is made, checked and read as a whole.
//!
//! Tens of thousands of lines of a close are a few hundred rows this way, and a buyer's lines are found without those of others.

use super::draft::Line;
use crate::catalog::{CatalogError, Tx};

/// Kind, service, category, description, quantity, unit, amount, unrounded amount.
pub(crate) type LineFields = [Option<String>; 8];

/// Lines as the text of a JSON array of arrays.
pub(super) fn to_text(lines: &[Line]) -> Result<String, CatalogError> {
    let fields: Vec<_> = lines.iter().map(Line::fields).collect();
    serde_json::to_string(&fields).map_err(|_| MALFORMED)
}

const MALFORMED: CatalogError = CatalogError::Malformed { what: "lines of an invoice" };

/// The lines of a document, in their order.
///
/// # Errors
/// When the document has none stored, or their text was altered.
pub(crate) fn of_document(tx: &dyn Tx, invoice_id: &str) -> Result<Vec<LineFields>, CatalogError> {
    let row = tx.row("select lines from invoice_content where invoice_id = ?1", &[invoice_id.into()])?;
    serde_json::from_str(row.ok_or(MALFORMED)?.text(0)?).map_err(|_| MALFORMED)
}
