//! What policies of commitments move between nodes in a billing period: read off their ledger, summed up for each node.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type};

use super::Warehouse;
use super::close::Reader;
use crate::billing::{BillingError, Query};
use crate::catalog::{CatalogError, SnapshotId};
use crate::error::Error;
use crate::lake::schema::money;
use crate::period::BillingPeriod;
use crate::rating::{Benefit, CommitmentMove, OwnRow, Purchase, RateBook, RatingError};

const TEXTS: [&str; 6] = ["entry", "policy", "owner_node_id", "user_node_id", "beneficiary_node_id", "currency"];
const AMOUNTS: [&str; 3] = ["billed", "benefit", "amount"];

impl Warehouse {
    /// The rows by which the root bills its nodes what commitments come to in a billing period, by the charges of a snapshot.
    pub(super) async fn commitment_rows(
        &self,
        book: &RateBook,
        period: i32,
        snapshot: SnapshotId,
    ) -> Result<Vec<OwnRow>, Error> {
        if !book.moves_commitments(period) {
            return Ok(Vec::new());
        }
        let literal =
            BillingPeriod::of_day(period).ok_or(CatalogError::Malformed { what: "billing period" })?.literal();
        let columns = TEXTS.into_iter().chain(AMOUNTS).collect::<Vec<_>>().join(", ");
        let sql = format!("select {columns} from public.commitment_benefits where billing_period = {literal}");
        let reader = Reader::at(self, snapshot);
        let batches = reader.sql(&sql).await.map_err(BillingError::Query)?;
        let mut moved: BTreeMap<(CommitmentMove, String, String), i128> = BTreeMap::new();
        for batch in &batches {
            let column = |name: &str, kind: &DataType| {
                let found = batch.column_by_name(name).ok_or(CatalogError::Malformed { what: "ledger of commitments" });
                Ok::<_, Error>(cast(found?, kind)?)
            };
            let texts = TEXTS.map(|name| column(name, &DataType::Utf8View));
            let amounts = AMOUNTS.map(|name| column(name, &money()));
            let (texts, amounts) = (all(texts)?, all(amounts)?);
            for row in 0..batch.num_rows() {
                let text =
                    |at: usize| texts[at].as_string_view().is_valid(row).then(|| texts[at].as_string_view().value(row));
                let amount = |at: usize| amounts[at].as_primitive::<Decimal128Type>().value(row);
                let [entry, policy, owner, user, beneficiary, currency] = [0, 1, 2, 3, 4, 5].map(text);
                let entry = Entry { entry, policy, owner, user, beneficiary };
                let [billed, benefit, at_cost] = [0, 1, 2].map(amount);
                if let Some((what, node, amount)) = entry.moved((billed, benefit, at_cost)) {
                    let key = (what, node.to_owned(), currency.unwrap_or_default().to_owned());
                    let sum = moved.entry(key).or_insert(0);
                    let too_large = RatingError::Sum { what: "what commitments come to" };
                    *sum = sum.checked_add(amount).ok_or(too_large)?;
                }
            }
        }
        let rows = moved.iter().filter(|(_, amount)| **amount != 0);
        Ok(rows
            .filter_map(|((what, node, currency), amount)| {
                book.commitment_row(period, *what, node, (*amount, currency))
            })
            .collect())
    }
}

fn all<T, const N: usize>(results: [Result<T, Error>; N]) -> Result<Vec<T>, Error> {
    results.into_iter().collect()
}

/// A row of the ledger, without its amounts.
#[derive(Clone, Copy)]
struct Entry<'a> {
    entry: Option<&'a str>,
    policy: Option<&'a str>,
    owner: Option<&'a str>,
    user: Option<&'a str>,
    beneficiary: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// What is billed to nodes, or given to them, for a row of these amounts: billed, benefit, and amortised cost as it is booked.
    fn moved(self, (billed, benefit, at_cost): (i128, i128, i128)) -> Option<(CommitmentMove, &'a str, i128)> {
        let is_passed = self.policy == Some(Purchase::Pass.name());
        match self.entry {
            // Users have paid by the on-demand cost.
            Some("used") if self.policy == Some(Benefit::Purchaser.name()) && self.beneficiary == self.owner => {
                self.owner.map(|owner| (CommitmentMove::Benefit, owner, -benefit))
            }
            Some("unused") => self.user.map(|user| (CommitmentMove::Unused, user, at_cost)),
            Some("purchased") if is_passed => self.owner.map(|owner| (CommitmentMove::Purchase, owner, billed)),
            Some("supplied") if is_passed => self.owner.map(|owner| (CommitmentMove::Amortisation, owner, at_cost)),
            _ => None,
        }
    }
}
