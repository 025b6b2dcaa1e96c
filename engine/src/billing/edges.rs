//! What each seller bills each buyer in a period, read from `ops.edges_monthly` in one grouped query.

use std::collections::BTreeMap;

use super::error::BillingError;
use super::query::{Query, amount_at, amounts, run, text_at, texts, truths};
use crate::period::BillingPeriod;

/// A document's identity: who bills whom in which currency.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct EdgeKey {
    pub(super) seller: String,
    pub(super) buyer: String,
    pub(super) currency: String,
}

/// The same, borrowed: to find an edge without copying its texts.
#[derive(Hash)]
struct EdgeRef<'a> {
    seller: &'a str,
    buyer: &'a str,
    currency: &'a str,
}

impl hashbrown::Equivalent<EdgeKey> for EdgeRef<'_> {
    fn equivalent(&self, key: &EdgeKey) -> bool {
        self.buyer == key.buyer && self.seller == key.seller && self.currency == key.currency
    }
}

impl From<&EdgeRef<'_>> for EdgeKey {
    fn from(edge: &EdgeRef<'_>) -> Self {
        Self { seller: edge.seller.to_owned(), buyer: edge.buyer.to_owned(), currency: edge.currency.to_owned() }
    }
}

/// What one service and category of charges comes to on an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EdgeCharge {
    pub(super) origin: String,
    pub(super) provider_name: String,
    pub(super) service_name: Option<String>,
    pub(super) charge_category: String,
    pub(super) charge_class: Option<String>,
    /// False where the seller shows the charge and does not bill it.
    pub(super) is_billed: bool,
    /// Unrounded, at scale 18.
    pub(super) amount: i128,
}

/// All edges of a period that have documents, in the order of their keys.
pub(super) type Edges = BTreeMap<EdgeKey, Vec<EdgeCharge>>;

/// Reads and groups the charges of every invoiced edge.
///
/// Summing is the engine's: this walks one row per edge, service and category.
pub(super) async fn read(query: &dyn Query, period: BillingPeriod) -> Result<Edges, BillingError> {
    let sql = format!(
        "select seller_node_id, payer_node_id, currency, origin, provider_name, service_name, charge_category, charge_class, \
         outcome = 'billed' as is_billed, sum(amount) as amount from ops.edges_monthly \
         where billing_period = {} and is_invoiced and outcome in ('billed', 'reported') \
         group by seller_node_id, payer_node_id, currency, origin, provider_name, service_name, charge_category, charge_class, outcome",
        period.literal()
    );
    let mut edges: hashbrown::HashMap<EdgeKey, Vec<EdgeCharge>> = hashbrown::HashMap::new();
    for batch in run(query, &sql).await? {
        let (seller, buyer) = (texts(&batch, "seller_node_id")?, texts(&batch, "payer_node_id")?);
        let (currency, origin) = (texts(&batch, "currency")?, texts(&batch, "origin")?);
        let (provider, service) = (texts(&batch, "provider_name")?, texts(&batch, "service_name")?);
        let (category, class) = (texts(&batch, "charge_category")?, texts(&batch, "charge_class")?);
        let (is_billed, amount) = (truths(&batch, "is_billed")?, amounts(&batch, "amount")?);
        for row in 0..batch.num_rows() {
            let text = |array| text_at(array, row).unwrap_or_default();
            let owned = |array| text(array).to_owned();
            let key = EdgeRef { seller: text(&seller), buyer: text(&buyer), currency: text(&currency) };
            let missing =
                |what| BillingError::Incomplete { period, seller: owned(&seller), buyer: owned(&buyer), what };
            if key.currency.is_empty() {
                return Err(missing("currency"));
            }
            let charge = EdgeCharge {
                origin: owned(&origin),
                provider_name: owned(&provider),
                service_name: text_at(&service, row).map(str::to_owned),
                charge_category: owned(&category),
                charge_class: text_at(&class, row).map(str::to_owned),
                is_billed: is_billed.value(row),
                // A billed charge without an amount would be a free one that nobody decided on.
                amount: amount_at(&amount, row).ok_or_else(|| missing("amount"))?,
            };
            match edges.get_mut(&key) {
                Some(charges) => charges.push(charge),
                None => drop(edges.insert(EdgeKey::from(&key), vec![charge])),
            }
        }
    }
    Ok(edges.into_iter().collect())
}

/// What each seller bills per currency, summed apart from the edges: the sum that documents must reach.
pub(super) async fn totals(
    query: &dyn Query,
    period: BillingPeriod,
) -> Result<BTreeMap<(String, String), i128>, BillingError> {
    let sql = format!(
        "select seller_node_id, currency, sum(amount) as amount from ops.edges_monthly \
         where billing_period = {} and is_invoiced and outcome = 'billed' group by seller_node_id, currency",
        period.literal()
    );
    let mut totals = BTreeMap::new();
    for batch in run(query, &sql).await? {
        let (seller, currency) = (texts(&batch, "seller_node_id")?, texts(&batch, "currency")?);
        let amount = amounts(&batch, "amount")?;
        for row in 0..batch.num_rows() {
            let owned = |array| text_at(array, row).unwrap_or_default().to_owned();
            totals.insert((owned(&seller), owned(&currency)), amount_at(&amount, row).unwrap_or_default());
        }
    }
    Ok(totals)
}
