//! The edges of charges that their caller sees: what it pays, and what those below it pay.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, Decimal128Array, RecordBatch, StringViewArray};
use arrow::datatypes::Decimal128Type;
use datafusion::error::{DataFusionError, Result};

use super::reads;
use crate::lake::schema::MAX_POSITIONS;
use crate::session::moment::{Moment, Shared};

/// Of which edges a caller is told.
#[derive(Debug, Clone)]
pub(in crate::session) struct Sight {
    /// What nodes below it pay, too.
    sees_sales: bool,
    /// Sellers that keep what they sell from those above them.
    undisclosed: HashSet<String>,
}

impl Sight {
    pub(in crate::session) fn of(shared: &Shared, moment: &Moment) -> Self {
        let undisclosed = match shared.fixed {
            Some(_) => HashSet::new(),
            None => moment.tree.undisclosed().into_iter().map(str::to_owned).collect(),
        };
        Self { sees_sales: reads(shared, "charges_by_tier"), undisclosed }
    }

    /// Whether it is told what nodes below it pay.
    pub(in crate::session) fn sees_sales(&self) -> bool {
        self.sees_sales
    }

    /// Sellers that keep what they sell from those above them.
    pub(in crate::session) fn undisclosed(&self) -> impl Iterator<Item = &str> {
        self.undisclosed.iter().map(String::as_str)
    }

    /// Whether it is told of the edge so many places below it, on which that node sells.
    fn shows(&self, place: usize, seller: Option<&str>) -> bool {
        match place {
            0 => true,
            1 => self.sees_sales,
            _ => self.sees_sales && seller.is_some_and(|seller| !self.undisclosed.contains(seller)),
        }
    }
}

/// One edge of a charge.
#[derive(Debug, Clone, Copy)]
pub(in crate::session) struct Edge<'a> {
    /// The payer's place below the caller: 0 is the caller itself.
    pub(in crate::session) place: usize,
    /// None where that is the provider, or above the caller.
    pub(in crate::session) seller: Option<&'a str>,
    pub(in crate::session) buyer: &'a str,
    /// `card/version/rule`; none on the caller's own purchase.
    pub(in crate::session) rule: Option<&'a str>,
    pub(in crate::session) fx_rate_id: Option<&'a str>,
    pub(in crate::session) outcome: &'a str,
    pub(in crate::session) amount: Option<i128>,
    pub(in crate::session) currency: Option<&'a str>,
    /// What the seller pays, as far as the caller is told.
    pub(in crate::session) cost: Option<i128>,
    pub(in crate::session) cost_currency: Option<&'a str>,
    /// The seller bills it by itself: it pays nothing for it.
    pub(in crate::session) is_sellers_own: bool,
}

/// The rule of an edge in its parts.
#[derive(Debug, Clone, Default)]
pub(in crate::session) struct Ruled {
    pub(in crate::session) card_id: Option<String>,
    pub(in crate::session) version: Option<i64>,
    pub(in crate::session) rule_id: Option<String>,
}

impl Edge<'_> {
    /// The rule in its parts: card ids hold no `/`.
    pub(in crate::session) fn ruled(&self) -> Ruled {
        let mut names = self.rule.into_iter().flat_map(|rule| rule.splitn(3, '/'));
        Ruled {
            card_id: names.next().map(str::to_owned),
            version: names.next().and_then(|version| version.parse().ok()),
            rule_id: names.next().map(str::to_owned),
        }
    }

    /// What happened on it, in words; `provider` is who sells where nobody in the tree does.
    pub(in crate::session) fn described(&self, provider: &str) -> String {
        let (seller, buyer) = (self.seller.unwrap_or(provider), self.buyer);
        match (self.outcome, self.rule) {
            ("retained", _) => format!("{seller} keeps it: {buyer} pays nothing"),
            ("unrated", _) => format!("{seller} has no price for it: {buyer} pays nothing"),
            (_, Some(rule)) => format!("what {buyer} pays {seller}: rule {rule}"),
            (_, None) if self.seller.is_none() => format!("what {buyer} pays {seller}"),
            (_, None) if self.is_sellers_own => format!("what {buyer} pays {seller}, who bills it by itself"),
            (_, None) => format!("what {buyer} pays {seller}: passed on as it is"),
        }
    }

    /// Whether the seller's charge policy, or what holds without one, decided: no rule did, and there was something to decide.
    pub(in crate::session) fn is_by_policy(&self) -> bool {
        self.seller.is_some() && self.rule.is_none() && !self.is_sellers_own && self.outcome != "unrated"
    }
}

/// What is paid at one place below the caller.
struct Place<'a> {
    amounts: &'a Decimal128Array,
    currencies: &'a StringViewArray,
    outcomes: &'a StringViewArray,
    fx_rates: &'a StringViewArray,
    rules: Option<&'a StringViewArray>,
}

/// The edges of a batch of charges.
pub(in crate::session) struct Edges<'a> {
    sight: &'a Sight,
    paths: &'a StringViewArray,
    places: Vec<Place<'a>>,
}

fn absent(name: &str) -> DataFusionError {
    DataFusionError::Internal(format!("charges to explain have no column {name}"))
}

fn value(texts: &StringViewArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// The columns that the edge so many places below the caller is made of.
pub(in crate::session) fn columns_of(place: usize) -> Vec<String> {
    let mut names = vec!["amount", "currency", "outcome", "fx_rate"];
    // The rule of the caller's own purchase is its seller's to know.
    if place > 0 {
        names.push("rule");
    }
    names.into_iter().map(|name| format!("{name}_{place}")).collect()
}

impl<'a> Edges<'a> {
    /// The edges down to as many places as the batch has.
    pub(in crate::session) fn of(charges: &'a RecordBatch, sight: &'a Sight) -> Result<Self> {
        let texts = |name: &str| -> Result<&'a StringViewArray> {
            charges.column_by_name(name).and_then(|column| column.as_string_view_opt()).ok_or_else(|| absent(name))
        };
        let has = |place: &usize| charges.column_by_name(&format!("outcome_{place}")).is_some();
        let places = (0..MAX_POSITIONS).take_while(has).map(|place| {
            let amount = format!("amount_{place}");
            let amounts = charges.column_by_name(&amount).and_then(|c| c.as_primitive_opt::<Decimal128Type>());
            Ok(Place {
                amounts: amounts.ok_or_else(|| absent(&amount))?,
                currencies: texts(&format!("currency_{place}"))?,
                outcomes: texts(&format!("outcome_{place}"))?,
                fx_rates: texts(&format!("fx_rate_{place}"))?,
                rules: if place > 0 { Some(texts(&format!("rule_{place}"))?) } else { None },
            })
        });
        Ok(Self { sight, paths: texts("node_path")?, places: places.collect::<Result<_>>()? })
    }

    /// The edges of a charge, from the caller down.
    pub(in crate::session) fn of_charge(&self, row: usize) -> impl Iterator<Item = Edge<'a>> {
        (0..self.places.len()).filter_map(move |place| self.at(row, place))
    }

    /// The edge on which the node so many places below the caller pays; none where the charge does not go there, or its seller keeps
    /// that to itself.
    fn at(&self, row: usize, place: usize) -> Option<Edge<'a>> {
        let here = self.places.get(place)?;
        let outcome = value(here.outcomes, row)?;
        let node = |place: usize| self.paths.value(row).split('/').nth(place);
        let seller_of = |place: usize| place.checked_sub(1).and_then(node);
        let (seller, buyer) = (seller_of(place), node(place)?);
        if !self.sight.shows(place, seller) {
            return None;
        }
        let above = place.checked_sub(1).and_then(|above| Some((above, self.places.get(above)?)));
        let bought = above.filter(|(_, held)| held.outcomes.is_valid(row));
        // What the seller pays is on an edge of its own, whose seller may keep that to itself.
        let told = bought.filter(|(above, _)| self.sight.shows(*above, seller_of(*above)));
        Some(Edge {
            place,
            seller,
            buyer,
            rule: here.rules.and_then(|rules| value(rules, row)),
            fx_rate_id: value(here.fx_rates, row),
            outcome,
            amount: here.amounts.is_valid(row).then(|| here.amounts.value(row)),
            currency: value(here.currencies, row),
            cost: told.and_then(|(_, held)| held.amounts.is_valid(row).then(|| held.amounts.value(row))),
            cost_currency: told.and_then(|(_, held)| value(held.currencies, row)),
            is_sellers_own: place > 0 && bought.is_none(),
        })
    }
}
