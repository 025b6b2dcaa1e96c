//! Credentials: the stored verifier of each login.

use super::audit::details::VERIFIERS;
use super::tx::{Tx, Value};
use super::{CatalogError, Commit};

/// The verifier of a login that is in force.
pub fn verifier_of_login(tx: &dyn Tx, login: &str) -> Result<Option<String>, CatalogError> {
    let row = tx.row("select verifier from credential where login = ?1 and end_snapshot is null", &[login.into()])?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}

impl Commit<'_> {
    /// Makes `verifier` the login's, in place of what it had.
    pub fn set_credential(&self, login: &str, verifier: &str) -> Result<(), CatalogError> {
        self.end_credential(login)?;
        let values: [Value; 4] = [login.into(), verifier.into(), self.at.as_str().into(), self.snapshot.into()];
        self.tx.execute("insert into credential values (?1, ?2, '', ?3, ?4, null)", &values)?;
        let hash = VERIFIERS.hash(self.tx, login.into())?;
        self.tx.execute(
            "update credential set verifier_hash = ?2 where login = ?1 and end_snapshot is null",
            &[login.into(), hash.into()],
        )?;
        Ok(())
    }

    /// Ends the login's credential and forgets its verifier.
    pub fn end_credential(&self, login: &str) -> Result<(), CatalogError> {
        self.tx.execute(
            "update credential set end_snapshot = ?2, verifier = null where login = ?1 and end_snapshot is null",
            &[login.into(), self.snapshot.into()],
        )?;
        Ok(())
    }
}
