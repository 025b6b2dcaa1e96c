//! Prices groups, and adds up what comes out by edge and node.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fold::{Fold, Group, GroupKey, Part, sum};
use super::owed::Counted;
use super::ways::Way;
use super::{EdgeMonth, Simulation};
use crate::lake::schema::MAX_POSITIONS;
use crate::rating::counters::BandTotals;
use crate::rating::error::RatingError;
use crate::rating::outcome::{Outcome, Reason};
use crate::rating::portion::{Overflow, Portion, Step};
use crate::rating::price::{Counts, Pricer, Totals};
use crate::rating::rules::Values;
use crate::rating::texts::NULL;

/// Seller, buyer, node; currencies of buyer and seller.
type EdgeKey = (Arc<str>, Arc<str>, Arc<str>, u32, u32);

impl Simulation {
    /// Prices what the workers of one billing period (days since 1970 of its first day) have folded: what each node's charges come to
    /// on every edge that the caller is shown, in the order of sellers, buyers and nodes.
    ///
    /// # Errors
    /// When an amount does not fit 38 digits.
    pub(crate) fn priced(
        &self,
        period: i32,
        folds: Vec<Fold>,
        is_from_charges: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<EdgeMonth>, RatingError> {
        let mut folds = folds.into_iter();
        let Some(mut all) = folds.next() else { return Ok(Vec::new()) };
        for fold in folds {
            all.merge(fold)?;
        }
        let totals = if all.has_bands { self.counted(period, &all)? } else { Arc::default() };
        let mut priced =
            Priced { simulation: self, is_from_charges, edges: BTreeMap::new(), counted: Counted::default() };
        priced.add_charged(&all)?;
        let mut usage = Pricer::new(&self.run, Totals::Known(totals));
        let mut own = Pricer::new(&self.run, Totals::Alone);
        for (key, group) in &all.groups {
            let pricer = if key.is_usage { &mut usage } else { &mut own };
            let steps = self.steps(pricer, period, key, group)?;
            priced.add(key, group, &steps)?;
        }
        priced.add_owed(period)?;
        Ok(priced.finish())
    }

    /// Quantities of the period that bands look at.
    fn counted(&self, period: i32, all: &Fold) -> Result<Arc<BandTotals>, RatingError> {
        let mut totals = Arc::<BandTotals>::default();
        // A limited band decides what comes to those of the edges below.
        for _ in 0..=MAX_POSITIONS {
            let mut pricer = Pricer::new(&self.run, Totals::Counting(Counts::new(&totals)));
            let counted = all.groups.iter().filter(|(key, _)| key.is_usage && key.part != Part::Head);
            for (key, group) in counted {
                self.steps(&mut pricer, period, key, group)?;
            }
            let mut now = BandTotals::default();
            for counted in pricer.counted()?.values() {
                now.merge(counted)?;
            }
            let is_settled = totals.changed(&now, &pricer.hinges().collect()).is_empty();
            totals = Arc::new(now);
            if is_settled {
                break;
            }
        }
        Ok(totals)
    }

    /// The steps of a group from the seller down.
    fn steps(&self, pricer: &mut Pricer, period: i32, key: &GroupKey, group: &Group) -> Result<Vec<Step>, RatingError> {
        let way = &group.way;
        let portion = Portion {
            values: Values { numbers: &group.numbers, category: key.category, tags: &group.tags },
            unit: key.unit,
            is_correction: key.is_correction,
            commitment: key.commitment,
            commitment_id: group.commitment_id,
            currency: key.currencies[0],
            amounts: group.amounts,
            start: key.at,
            period,
            account: key.account,
            slice: 0,
        };
        let mut above = vec![Step::RETAINED; way.seller_at];
        if let Some(bought) = above.last_mut() {
            *bought = Step {
                price: group.cost,
                outcome: Outcome::Billed,
                rule: NULL,
                fx_rate: NULL,
                reason: None,
                is_on_demand: false,
            };
        }
        let shared_at = key.pool_depth.and_then(|depth| way.down_to(depth));
        if let Some(lane) = shared_at {
            pricer.go_on(&lane, &portion, &above).map_err(|overflow| self.out_of_range(way, overflow))?;
            above = pricer.steps.clone();
            let goes_on = above.len() == lane.edges.len() && above.last().is_some_and(|step| step.outcome.goes_on());
            if !goes_on {
                return Ok(above.split_off(way.seller_at));
            }
        }
        pricer.go_on(&way.lane, &portion, &above).map_err(|overflow| self.out_of_range(way, overflow))?;
        Ok(pricer.steps[way.seller_at..].to_vec())
    }

    fn out_of_range(&self, way: &Way, Overflow { edge, rule }: Overflow) -> RatingError {
        let tree = &self.run.book.tree;
        let edge = way.lane.edges.get(edge.saturating_sub(1));
        RatingError::SimulatedOverflow {
            seller: edge.map_or_else(String::new, |edge| tree.name(edge.seller).to_owned()),
            buyer: edge.map_or_else(String::new, |edge| tree.name(edge.buyer).to_owned()),
            rule: self.run.terms.text(rule).as_ref().to_owned(),
        }
    }
}

/// Results as they are added up.
pub(super) struct Priced<'a> {
    pub(super) simulation: &'a Simulation,
    is_from_charges: &'a dyn Fn(&str) -> bool,
    edges: BTreeMap<EdgeKey, EdgeMonth>,
    /// What counts for minimums.
    pub(super) counted: Counted,
}

impl Priced<'_> {
    /// The result of an edge of a path, given by the buyer's position; none where the caller is not shown it.
    pub(super) fn edge(
        &mut self,
        path: u32,
        position: usize,
        [currency, cost_currency]: [u32; 2],
    ) -> Option<&mut EdgeMonth> {
        let run = &self.simulation.run;
        let text = run.terms.text(path);
        let names: Vec<&str> = text.split('/').collect();
        let (seller, buyer) = (*names.get(position - 1)?, *names.get(position)?);
        let is_hidden =
            |name: &str| run.book.tree.node(name).is_some_and(|node| self.simulation.hidden.contains(&node));
        if is_hidden(seller) {
            return None;
        }
        // At the card's seller nothing above is read.
        let sellers_seller = position.checked_sub(2).and_then(|at| names.get(at));
        let is_cost_kept = seller != self.simulation.seller() && sellers_seller.is_some_and(|name| is_hidden(name));
        let node = names.last().copied().unwrap_or_default();
        let key = (Arc::from(seller), Arc::from(buyer), Arc::from(node), currency, cost_currency);
        let is_from_charges = (self.is_from_charges)(&text);
        let edge = self.edges.entry(key).or_insert_with(|| {
            let named = |number: u32| (number != NULL).then(|| run.terms.text(number).as_ref().to_owned());
            EdgeMonth {
                seller: seller.to_owned(),
                buyer: buyer.to_owned(),
                node: node.to_owned(),
                currency: named(currency),
                cost_currency: named(cost_currency),
                ..EdgeMonth::default()
            }
        });
        edge.is_from_charges |= is_from_charges;
        edge.is_cost_kept |= is_cost_kept;
        Some(edge)
    }

    fn add_charged(&mut self, all: &Fold) -> Result<(), RatingError> {
        for ((path, position, currencies), cell) in &all.cells {
            let Some(edge) = self.edge(*path, *position, *currencies) else { continue };
            edge.charged = sum(edge.charged, cell.charged)?;
            edge.cost = sum(edge.cost, cell.cost)?;
            edge.usage_rows += cell.rows;
            if cell.lost_rows > 0 {
                edge.simulated_cost = sum(edge.simulated_cost, cell.cost)?;
                edge.unrated_rows += cell.lost_rows;
                edge.reasons.insert(Reason::NoRule.name());
            }
        }
        Ok(())
    }

    fn add(&mut self, key: &GroupKey, group: &Group, steps: &[Step]) -> Result<(), RatingError> {
        let way = &group.way;
        let is_root = way.seller_at == 0;
        let mut cost = if is_root { group.amounts.effective } else { group.cost };
        let mut cost_currency = key.currencies[usize::from(!is_root)];
        for (step, (position, edge)) in steps.iter().zip(way.edges()) {
            let head = way.head.as_ref().map_or(0, |head| head.lane.edges.len());
            let is_of_head = key.part == Part::Rest && position <= head;
            if !is_of_head && step.outcome == Outcome::Billed {
                self.counted.add(key, way, position, (edge, step.price.unwrap_or_default()));
            }
            let result = if is_of_head { None } else { self.edge(key.path, position, [edge.currency, cost_currency]) };
            if let Some(result) = result {
                result.simulated_cost = sum(result.simulated_cost, cost.unwrap_or_default())?;
                if step.outcome == Outcome::Billed {
                    result.simulated = sum(result.simulated, step.price.unwrap_or_default())?;
                }
                if let Some(reason) = step.reason {
                    result.unrated_rows += group.rows.max(1);
                    result.reasons.insert(reason.name());
                }
            }
            (cost, cost_currency) = (step.price, edge.currency);
        }
        Ok(())
    }

    /// The results in order. Currencies are ordered by their texts: their numbers depend on which row came first.
    fn finish(self) -> Vec<EdgeMonth> {
        let mut edges: Vec<EdgeMonth> = self.edges.into_values().collect();
        edges.sort_by(|a, b| {
            (&a.seller, &a.buyer, &a.node, &a.currency, &a.cost_currency).cmp(&(
                &b.seller,
                &b.buyer,
                &b.node,
                &b.currency,
                &b.cost_currency,
            ))
        });
        edges
    }
}
