//! Invoice numbers: gap-free, one series per seller and buyer.
//!
//! A number reads `seller/buyer/0001`. A series of its own for every pair means that no number tells a buyer how many other
//! documents its seller wrote. The documents in force are the series: a draft that is withdrawn frees its number, and the next
//! draft of the pair takes the lowest that is free.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use super::edges::EdgeKey;
use super::error::BillingError;
use crate::catalog::{CatalogError, Tx};

/// Hands out the numbers of one commit, whose documents are not stored yet.
#[derive(Debug, Default)]
pub(super) struct Numbers<'a> {
    taken: HashMap<(&'a str, &'a str), BTreeSet<i64>>,
}

impl<'a> Numbers<'a> {
    /// Takes the pair's lowest number that no document in force bears.
    pub(super) fn take(&mut self, tx: &dyn Tx, key: &'a EdgeKey) -> Result<String, BillingError> {
        let pair = (key.seller.as_str(), key.buyer.as_str());
        let taken = match self.taken.entry(pair) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(first) => first.insert(in_force(tx, key)?),
        };
        let n = (1..).find(|n| !taken.contains(n)).unwrap_or(1);
        taken.insert(n);
        Ok(format!("{}/{}/{n:04}", key.seller, key.buyer))
    }
}

/// The numbers that the pair's documents in force bear.
fn in_force(tx: &dyn Tx, key: &EdgeKey) -> Result<BTreeSet<i64>, BillingError> {
    let mut taken = BTreeSet::new();
    tx.each(
        "select number from invoice where seller_node_id = ?1 and buyer_node_id = ?2 and end_snapshot is null",
        &[key.seller.as_str().into(), key.buyer.as_str().into()],
        &mut |row| {
            let n = row.text(0)?.rsplit('/').next().and_then(|n| n.parse::<i64>().ok());
            taken.insert(n.ok_or(CatalogError::Malformed { what: "invoice number" })?);
            Ok(())
        },
    )?;
    Ok(taken)
}
