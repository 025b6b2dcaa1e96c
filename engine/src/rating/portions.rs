//! Cuts usage rows where their owner or the terms of their path change.

use ratehouse_udfs::decimal::{ArithmeticError, Rounding, mul_div_round};

use super::assemble::local_day;
use super::lanes::{Edge, Lane, Lanes};
use super::portion::{Amounts, Step};
use super::price::Run;

/// A row's stretch on one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) row: usize,
    pub(crate) lane: usize,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// From 0; the place among the row's portions.
    pub(crate) number: i32,
    /// Whether it is the row's last portion.
    pub(crate) is_last: bool,
    /// How it is shared out, by its place in the list of the batch.
    pub(crate) division: Option<usize>,
}

/// How a portion stands to the one before it of the same row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Continuity {
    /// The day on which the charge begins for its owner, in the owner's time zone: days since 1970.
    pub(crate) date: i32,
    /// As [`charges`](crate::lake::schema::charges) has it.
    pub(crate) continues: Option<i32>,
}

impl Continuity {
    /// Whether it is a charge of its own to its owner.
    pub(crate) fn begins(self) -> bool {
        self.continues.unwrap_or_default() == 0
    }
}

/// The portions of a row that were priced last: one, or one for each share of a pool.
#[derive(Debug, Default)]
pub(crate) struct Previous(Vec<Charged>);

#[derive(Debug, Default)]
struct Charged {
    row: usize,
    number: i32,
    salt: u64,
    lane: usize,
    steps: Vec<Step>,
    runs: Vec<Run>,
    date: i32,
}

impl Previous {
    /// Another batch begins, whose rows are counted anew.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// The portion right before one, of the same share.
    fn right_before(&self, cut: &Cut, salt: u64) -> Option<&Charged> {
        self.0.iter().find(|held| held.row == cut.row && held.number + 1 == cut.number && held.salt == salt)
    }

    /// What came before a portion on each edge of its path, whose steps are known but for their prices.
    pub(crate) fn runs_before(&self, cut: &Cut, salt: u64, lanes: &Lanes, steps: &[Step]) -> Vec<Run> {
        let lane = lanes.get(cut.lane);
        let mut runs = vec![Run::default(); steps.len()];
        let Some(held) = self.right_before(cut, salt) else { return runs };
        let held_lane = lanes.get(held.lane);
        let alike = usize::try_from(nodes_alike((held_lane, &held.steps), (lane, steps))).unwrap_or_default();
        // Counted from the owner up, where both paths are the same.
        for up in 1..=alike {
            let (Some(at), Some(held_at)) = (lane.edges.len().checked_sub(up), held_lane.edges.len().checked_sub(up))
            else {
                break;
            };
            if let (Some(own), Some(step), Some(held_step), Some(run)) =
                (runs.get_mut(at), steps.get(at), held.steps.get(held_at), held.runs.get(held_at))
                && step.rule == held_step.rule
            {
                *own = *run;
            }
        }
        runs
    }

    /// How a portion follows the one before it, of the same share; it takes its place.
    #[inline]
    pub(crate) fn followed_by(
        &mut self,
        cut: &Cut,
        salt: u64,
        lanes: &Lanes,
        (steps, runs): (&[Step], &[Run]),
    ) -> Continuity {
        let lane = lanes.get(cut.lane);
        let own_date = || local_day(cut.start, lane.time_zone);
        if cut.number == 0 && cut.is_last {
            return Continuity { date: own_date(), continues: None };
        }
        // Portions of a row come in the order of time: what is not of the one right before does not go on.
        self.0.retain(|held| held.row == cut.row && held.number + 1 >= cut.number);
        let before = self.0.iter_mut().find(|held| held.salt == salt && held.number + 1 == cut.number);
        let (nodes, date) = match &before {
            Some(held) => {
                let nodes = nodes_alike((lanes.get(held.lane), &held.steps), (lane, steps));
                (nodes, if nodes == 0 { own_date() } else { held.date })
            }
            None => (0, own_date()),
        };
        let Cut { row, number, lane, .. } = *cut;
        let now = Charged { row, number, salt, lane, steps: steps.to_vec(), runs: runs.to_vec(), date };
        match before {
            Some(held) => *held = now,
            None => self.0.push(now),
        }
        Continuity { date, continues: Some(nodes) }
    }
}

/// The edges of a path from the owner up, each with what became of the portion there.
fn upward<'a>(lane: &'a Lane, steps: &'a [Step]) -> impl Iterator<Item = (&'a Edge, Option<&'a Step>)> {
    lane.edges.iter().enumerate().rev().map(|(at, edge)| (edge, steps.get(at)))
}

/// How many nodes, from the owner up, see no difference between two portions but amounts and time.
///
/// A node sees where it stands in the path from itself down, on its own purchase whether and in which currency it was billed, and
/// all terms of the edges below it. The rule of its own purchase it does not see.
fn nodes_alike(one: (&Lane, &[Step]), other: (&Lane, &[Step])) -> i32 {
    let mut count = 0;
    // What is sold on demand is of another pricing category to everybody below the root.
    if Step::is_sold_on_demand(one.1) != Step::is_sold_on_demand(other.1) {
        return count;
    }
    for ((a, a_step), (b, b_step)) in upward(one.0, one.1).zip(upward(other.0, other.1)) {
        let bought = |step: Option<&Step>| step.map(|step| (step.outcome, step.fx_rate, step.price.is_some()));
        if a.buyer != b.buyer || a.currency != b.currency || bought(a_step) != bought(b_step) {
            break;
        }
        count += 1;
        if a_step.map(|step| step.rule) != b_step.map(|step| step.rule) {
            break;
        }
    }
    count
}

/// Splits a row's amounts over its portions by time.
///
/// A portion gets the row's share until its end, less that until its begin, both rounded half-even to scale 18: so the parts add up
/// to the whole exactly, and several together are what one portion in their place would be.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    whole: Amounts,
    /// What the portions before have.
    before: Amounts,
}

impl Splitter {
    /// The amounts of a portion of a row that lasts from an instant for so long. Portions of a row come in their order.
    pub(crate) fn part(
        &mut self,
        cut: &Cut,
        (row_start, row_length): (i64, i64),
        whole: impl FnOnce() -> Amounts,
    ) -> Result<Amounts, ArithmeticError> {
        if cut.number == 0 {
            self.whole = whole();
            self.before = Amounts::default();
        }
        let gone = i128::from(cut.end - row_start);
        let share = |amount: i128| mul_div_round(amount, gone, i128::from(row_length), Rounding::HalfEven);
        let until = if cut.is_last { self.whole } else { self.whole.map(share)? };
        let before = std::mem::replace(&mut self.before, until);
        Ok(until.less(&before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_together_are_what_one_would_be() {
        let mut splitter = Splitter::default();
        let whole = Amounts { billed: Some(10), ..Amounts::default() };
        let cut = |number: i32, start: i64, end: i64| Cut {
            row: 0,
            lane: 0,
            start,
            end,
            number,
            is_last: end == 3,
            division: None,
        };
        // Two thirds of 10 are 7 (6.67), a third is 3 (3.33): 3, then 7 less 3, then 10 less 7.
        let parts: Vec<Option<i128>> = [cut(0, 0, 1), cut(1, 1, 2), cut(2, 2, 3)]
            .iter()
            .map(|cut| splitter.part(cut, (0, 3), || whole).expect("in range").billed)
            .collect();
        assert_eq!(parts, [Some(3), Some(4), Some(3)]);
    }
}
