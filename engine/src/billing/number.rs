//! Invoice numbers: gap-free, one series per seller and buyer.
//!
//! A number reads `seller/buyer/0001`. A series of its own for every pair means that no number tells a buyer how many other
//! documents its seller wrote. A draft that is withdrawn gives its number back; the next draft of the pair takes it.

use super::edges::EdgeKey;
use super::error::BillingError;
use crate::catalog::{Commit, Tx};

/// The number `n` of a pair's series.
fn format(key: &EdgeKey, n: i64) -> String {
    format!("{}/{}/{n:04}", key.seller, key.buyer)
}

/// Takes the pair's lowest number that is free.
pub(super) fn take(commit: &Commit<'_>, key: &EdgeKey) -> Result<String, BillingError> {
    if let Some(n) = lowest_freed(commit.tx, key)? {
        commit.tx.execute("delete from number_sequence where series = ?1", &[freed(key, n).into()])?;
        return Ok(format(key, n));
    }
    let series = format!("invoice/{}/{}", key.seller, key.buyer);
    let row = commit.tx.row(
        "insert into number_sequence (series, next_number) values (?1, 2) \
         on conflict (series) do update set next_number = number_sequence.next_number + 1 returning next_number - 1",
        &[series.as_str().into()],
    )?;
    let n = row.ok_or(crate::catalog::CatalogError::Malformed { what: "number sequence" })?.int(0)?;
    commit.record("invoice number", &[series.into(), n.into()]);
    Ok(format(key, n))
}

/// Gives a withdrawn draft's number back to its series.
pub(super) fn give_back(commit: &Commit<'_>, key: &EdgeKey, number: &str) -> Result<(), BillingError> {
    let n = number.rsplit('/').next().and_then(|n| n.parse::<i64>().ok());
    let n = n.ok_or(crate::catalog::CatalogError::Malformed { what: "invoice number" })?;
    commit.tx.execute(
        "insert into number_sequence (series, next_number) values (?1, ?2)",
        &[freed(key, n).into(), n.into()],
    )?;
    commit.record("invoice number given back", &[number.into()]);
    Ok(())
}

/// Where a free number waits. Node ids hold no `/`, so the pairs' ranges do not meet.
fn freed(key: &EdgeKey, n: i64) -> String {
    format!("freed/{}/{}/{n:04}", key.seller, key.buyer)
}

fn lowest_freed(tx: &dyn Tx, key: &EdgeKey) -> Result<Option<i64>, BillingError> {
    let prefix = format!("freed/{}/{}", key.seller, key.buyer);
    // `0` is the character after `/`: the range holds exactly the texts that begin with the prefix and `/`.
    let row = tx.row(
        "select next_number from number_sequence where series >= ?1 and series < ?2 order by next_number limit 1",
        &[format!("{prefix}/").into(), format!("{prefix}0").into()],
    )?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}
