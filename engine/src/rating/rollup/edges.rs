//! Sums of `edges_monthly`: what every node pays for every service, added up from monthly groups.
//!
//! A monthly group becomes one record for each position of its path. What positions say beside
//! amounts (who sells, who buys, currencies, outcome, rate) is one number, so that a key is as short
//! as a monthly group's. Memory grows with edges: nodes, services and accounts, not rows.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringViewArray};
use hashbrown::{DefaultHashBuilder, HashMap};

use super::emit::{FATE, FIRST_CURRENCY, FIRST_OUTCOME, NODE, ORIGIN, PATH, dates, sums, take_texts};
use super::groups::{Groups, Record};
use super::{FIRST_PRICE, MONTHLY_KEY, TERMS_HEAD, TERMS_STEP, Terms};
use crate::lake::schema::LakeTable;
use crate::rating::error::RatingError;
use crate::rating::texts::{NULL, Texts};

/// Billing period, provider, billing account, service, charge category, charge class, edge.
const EDGE_KEY: usize = 7;
/// Places of the key's first numbers in a monthly key, which has the category of services too.
const OF_MONTHLY: [usize; EDGE_KEY - 1] = [0, 1, 2, 4, 5, 6];
const VALUE_TEXTS: [(&str, usize); 5] =
    [("provider_name", 1), ("billing_account_id", 2), ("service_name", 3), ("charge_category", 4), ("charge_class", 5)];
/// Places of amount, seller's cost and effective cost; the root's edge has the first, only its own sales have the last.
const AMOUNT: usize = 0;
const SELLER_COST: usize = 1;
const EFFECTIVE_COST: usize = 2;
/// The place of the effective cost among a monthly group's sums.
const GROUP_EFFECTIVE: usize = 2;

/// What one position of a path says besides amounts; numbers of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Edge {
    depth: i32,
    seller: u32,
    payer: u32,
    is_kept: bool,
    origin: u32,
    fate: u32,
    currency: u32,
    outcome: u32,
    seller_currency: u32,
    fx_rate: u32,
}

/// The edges of all terms, without doubles.
#[derive(Debug)]
pub(super) struct EdgeTerms {
    list: Vec<Edge>,
    /// For each terms the numbers of its edges, one for each position at which the charges exist.
    of_terms: Vec<Vec<u32>>,
}

impl EdgeTerms {
    pub(super) fn new(texts: &Texts, terms: &[Arc<Terms>]) -> Self {
        let mut list = Vec::new();
        let mut index: HashMap<Edge, u32> = HashMap::new();
        let mut paths: HashMap<u32, Vec<u32>> = HashMap::new();
        let of_terms = terms
            .iter()
            .map(|terms| {
                let nodes = paths
                    .entry(terms[PATH])
                    .or_insert_with_key(|path| texts.text(*path).split('/').map(|node| texts.number(node)).collect());
                edges_of(terms, nodes)
                    .filter(|edge| edge.outcome != NULL)
                    .map(|edge| {
                        *index.entry(edge).or_insert_with(|| {
                            list.push(edge);
                            u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
                        })
                    })
                    .collect()
            })
            .collect();
        Self { list, of_terms }
    }

    /// A batch of `edges_monthly`.
    pub(super) fn batch(
        &self,
        rows: &[Record<'_, EDGE_KEY>],
        values: &StringViewArray,
        terms: &StringViewArray,
    ) -> Result<RecordBatch, RatingError> {
        let edges: Vec<&Edge> = rows.iter().map(|row| &self.list[place(row.key[EDGE_KEY - 1])]).collect();
        let term = |number: fn(&Edge) -> u32| take_texts(terms, edges.iter().map(|edge| number(edge)));
        let schema = LakeTable::EdgesMonthly.schema();
        let column = |name: &str| -> Result<ArrayRef, RatingError> {
            if let Some((_, at)) = VALUE_TEXTS.iter().find(|(own, _)| *own == name) {
                return take_texts(values, rows.iter().map(|row| row.key[*at]));
            }
            Ok(match name {
                "origin" => term(|edge| edge.origin)?,
                "billing_period" => dates(rows.iter().map(|row| row.key[0])),
                "fate" => term(|edge| edge.fate)?,
                "depth" => Arc::new(Int32Array::from_iter_values(edges.iter().map(|edge| edge.depth))),
                "seller_node_id" => term(|edge| edge.seller)?,
                "payer_node_id" => term(|edge| edge.payer)?,
                "is_kept" => Arc::new(BooleanArray::from_iter(edges.iter().map(|edge| Some(edge.is_kept)))),
                "currency" => term(|edge| edge.currency)?,
                "outcome" => term(|edge| edge.outcome)?,
                "seller_currency" => term(|edge| edge.seller_currency)?,
                "fx_rate_id" => term(|edge| edge.fx_rate)?,
                "amount" => sums(rows, AMOUNT)?,
                "seller_cost" => sums(rows, SELLER_COST)?,
                "effective_cost" => sums(rows, EFFECTIVE_COST)?,
                "usage_rows" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.rows))),
                _ => return Err(RatingError::Column("of a roll-up")),
            })
        };
        let arrays = schema.fields().iter().map(|field| column(field.name())).collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(schema, arrays)?)
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The edges of one path, the root's first: as many as were priced.
fn edges_of(terms: &Terms, nodes: &[u32]) -> impl Iterator<Item = Edge> {
    let node = |position: usize| nodes.get(position).copied().unwrap_or(NULL);
    let root = Edge {
        depth: 0,
        seller: NULL,
        payer: node(0),
        is_kept: node(0) == terms[NODE],
        origin: terms[ORIGIN],
        fate: terms[FATE],
        currency: terms[FIRST_CURRENCY],
        outcome: terms[FIRST_OUTCOME],
        seller_currency: NULL,
        fx_rate: NULL,
    };
    let mut above = root;
    let steps = terms[TERMS_HEAD..].chunks_exact(TERMS_STEP).zip(1..);
    std::iter::once(root).chain(steps.map(move |(step, position)| {
        let payer = node(position);
        above = Edge {
            depth: above.depth + 1,
            seller: above.payer,
            payer,
            is_kept: payer == terms[NODE],
            currency: step[0],
            outcome: step[1],
            seller_currency: above.currency,
            fx_rate: step[2],
            ..above
        };
        above
    }))
}

/// One worker's sums.
#[derive(Debug)]
pub(crate) struct EdgeSums(Groups<EDGE_KEY>);

impl Default for EdgeSums {
    fn default() -> Self {
        Self(Groups::new())
    }
}

impl EdgeSums {
    /// Adds one monthly group: a record for each position of its path.
    pub(super) fn add(
        &mut self,
        group: &Record<'_, MONTHLY_KEY>,
        terms: &EdgeTerms,
        hasher: &DefaultHashBuilder,
    ) -> Result<(), RatingError> {
        let mut key = [0; EDGE_KEY];
        for (own, at) in key.iter_mut().zip(OF_MONTHLY) {
            *own = group.key[at];
        }
        for edge in &terms.of_terms[place(group.key[MONTHLY_KEY - 1])] {
            key[EDGE_KEY - 1] = *edge;
            let depth = usize::try_from(terms.list[place(*edge)].depth).unwrap_or_default();
            // From amount to effective cost, as many as the position has.
            let from = [FIRST_PRICE + depth, (FIRST_PRICE + depth).saturating_sub(1), GROUP_EFFECTIVE];
            let has = match depth {
                0 => 1,
                1 => from.len(),
                _ => EFFECTIVE_COST,
            };
            let mut sums = [0; EFFECTIVE_COST + 1];
            let mut mask = 0_u16;
            for (own, at) in from.into_iter().enumerate().take(has) {
                sums[own] = group.sums.get(at).copied().unwrap_or_default();
                mask |= (group.mask >> at & 1) << own;
            }
            let record = Record { key, mask, rows: group.rows, sums: &sums[..has] };
            self.0.merge(hasher.hash_one(key), &record)?;
        }
        Ok(())
    }

    /// The sums of all workers as one.
    pub(super) fn merge(all: Vec<Self>, hasher: &DefaultHashBuilder) -> Result<Groups<EDGE_KEY>, RatingError> {
        let mut all = all.into_iter().map(|sums| sums.0);
        let mut merged = all.next().unwrap_or_else(Groups::new);
        for other in all {
            for at in 0..other.len() {
                let record = other.get(at);
                merged.merge(hasher.hash_one(record.key), &record)?;
            }
        }
        Ok(merged)
    }
}
