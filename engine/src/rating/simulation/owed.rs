//! What the card's seller and those below it bill by themselves because a card says so: fees, and what is missing to a minimum.

use hashbrown::{HashMap, HashSet};

use super::Simulation;
use super::fold::{GroupKey, sum};
use super::price::Priced;
use super::ways::Way;
use crate::rating::error::RatingError;
use crate::rating::lanes::Edge;
use crate::rating::outcome::{Origin, Reason};
use crate::rating::own::{Floor, Month, OwnRow};
use crate::rating::tree::NodeIndex;

/// Seller, buyer and `card/version/rule`.
type MinimumKey = (NodeIndex, NodeIndex, String);

/// What counts for minimums: when it was used, in what currency, and how much.
#[derive(Debug, Default)]
pub(super) struct Counted(HashMap<MinimumKey, Vec<(i64, u32, i128)>>);

impl Counted {
    /// Adds what a group comes to on an edge to the minimums there for which it counts.
    pub(super) fn add(&mut self, key: &GroupKey, way: &Way, position: usize, (edge, price): (&Edge, i128)) {
        let own = way
            .minimums
            .iter()
            .enumerate()
            .filter(|(at, minimum)| minimum.position == position && key.minimums >> at & 1 == 1);
        for (_, minimum) in own {
            let held = self.0.entry((edge.seller, edge.buyer, minimum.rule.clone())).or_default();
            held.push((key.at, edge.currency, price));
        }
    }

    /// What counts for a minimum.
    fn of(&self, simulation: &Simulation, floor: &Floor) -> Result<Option<i128>, RatingError> {
        let Some((seller, buyer, rule, currency)) = floor.minimum() else { return Ok(None) };
        let currency = simulation.run.terms.number(currency);
        let all = self.0.get(&(seller, buyer, rule.to_owned())).into_iter().flatten();
        let own = all.filter(|(at, of, _)| *of == currency && floor.counts(*at));
        own.map(|(_, _, price)| *price).try_fold(0, sum).map(Some)
    }
}

impl Simulation {
    /// The number of a node's currency at an instant.
    pub(super) fn currency_of(&self, node: &str, at: i64) -> u32 {
        let tree = &self.run.book.tree;
        tree.node(node)
            .map_or(crate::rating::texts::NULL, |node| self.run.terms.number(&tree.row_at(node, at).currency))
    }

    /// The sellers from the card's down with rules that are charges of their own in a billing period, those nearer the root first.
    fn owed_by(&self, period: i32) -> Vec<NodeIndex> {
        let (book, around) = (&self.run.book, Month::around(period));
        let found: HashSet<NodeIndex> = book
            .cards
            .with_own_rules(around)
            .filter(|seller| *seller == self.seller || book.tree.was_below(*seller, self.seller))
            .collect();
        let mut sellers: Vec<NodeIndex> = found.into_iter().collect();
        sellers.sort_unstable();
        sellers
    }
}

impl Priced<'_> {
    /// Adds the fees and minimums of a billing period, as billing makes them, after everything that counts for them.
    ///
    /// # Errors
    /// When a sum does not fit.
    pub(super) fn add_owed(&mut self, period: i32) -> Result<(), RatingError> {
        let simulation = self.simulation;
        let book = &simulation.run.book;
        for seller in simulation.owed_by(period) {
            let mut rows = book.own_rows(seller, period);
            for floor in book.own_floors(seller, period) {
                let Some(counted) = self.counted.of(simulation, &floor)? else { continue };
                let too_large = || RatingError::Sum { what: "charges that count for a minimum or commitment" };
                let own = floor.own(book, &rows).ok_or_else(too_large)?;
                rows.extend(floor.missing(sum(counted, own)?));
            }
            for row in rows.iter().filter(|row| matches!(row.origin, Origin::Fee | Origin::Minimum)) {
                self.add_own(row)?;
            }
        }
        Ok(())
    }

    fn add_own(&mut self, row: &OwnRow) -> Result<(), RatingError> {
        let simulation = self.simulation;
        let tree = &simulation.run.book.tree;
        let Some(path) = tree.path(row.node, row.at) else { return Ok(()) };
        let sold_by_card = path
            .windows(2)
            .any(|edge| edge[0] == simulation.seller && simulation.buyer.is_none_or(|only| only == edge[1]));
        if !sold_by_card {
            return Ok(());
        }
        let text = simulation.run.terms.number(&tree.path_text(&path));
        let currencies = [row.node, row.seller].map(|node| simulation.currency_of(tree.name(node), row.at));
        let Some(edge) = self.edge(text, path.len() - 1, currencies) else { return Ok(()) };
        if edge.currency.as_deref() == Some(row.currency.as_str()) {
            edge.simulated = sum(edge.simulated, row.amount)?;
        } else {
            edge.unrated_rows += 1;
            edge.reasons.insert(Reason::CardCurrency.name());
        }
        Ok(())
    }
}
