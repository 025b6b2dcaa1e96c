//! The DuckLake 1.0 face of the catalog: read-only views named `ducklake_*`.

use super::CatalogError;
use super::tx::Tx;

/// Makes the views of a new catalog.
pub(super) fn create_views(_tx: &dyn Tx) -> Result<(), CatalogError> {
    Ok(())
}
