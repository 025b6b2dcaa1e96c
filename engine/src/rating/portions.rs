//! Cuts usage rows where their owner or the terms of their path change.

use ratehouse_udfs::decimal::{ArithmeticError, Rounding, mul_div_round};

use super::assemble::local_day;
use super::lanes::{Edge, Lane, Lanes};
use super::portion::{Amounts, Step};

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
    date: i32,
}

impl Previous {
    /// Another batch begins, whose rows are counted anew.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// How a portion follows the one before it, of the same share; it takes its place.
    #[inline]
    pub(crate) fn followed_by(&mut self, cut: &Cut, salt: u64, lanes: &Lanes, steps: &[Step]) -> Continuity {
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
        let now = Charged { row: cut.row, number: cut.number, salt, lane: cut.lane, steps: steps.to_vec(), date };
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

/// Splits a row's amounts over its portions: each gets its share of the time, the last one what is left.
///
/// Shares are rounded half-even to scale 18, so the parts add up to the whole exactly.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    whole: Amounts,
    left: Amounts,
}

impl Splitter {
    /// The amounts of a portion. Portions of a row come in their order.
    pub(crate) fn part(
        &mut self,
        cut: &Cut,
        row_length: i64,
        whole: impl FnOnce() -> Amounts,
    ) -> Result<Amounts, ArithmeticError> {
        if cut.number == 0 {
            self.whole = whole();
            self.left = self.whole;
        }
        if cut.is_last {
            return Ok(self.left);
        }
        let length = i128::from(cut.end - cut.start);
        let share = |amount: Option<i128>| {
            amount.map(|a| mul_div_round(a, length, i128::from(row_length), Rounding::HalfEven)).transpose()
        };
        let part = Amounts {
            billed: share(self.whole.billed)?,
            contracted: share(self.whole.contracted)?,
            effective: share(self.whole.effective)?,
            list: share(self.whole.list)?,
            quantity: share(self.whole.quantity)?,
        };
        let rest = |left: Option<i128>, taken: Option<i128>| Some(left? - taken?);
        self.left = Amounts {
            billed: rest(self.left.billed, part.billed),
            contracted: rest(self.left.contracted, part.contracted),
            effective: rest(self.left.effective, part.effective),
            list: rest(self.left.list, part.list),
            quantity: rest(self.left.quantity, part.quantity),
        };
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_the_last_takes_the_rest() {
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
        // A third of 10 is 3 (3.33), twice; the last takes 4.
        let parts: Vec<Option<i128>> = [cut(0, 0, 1), cut(1, 1, 2), cut(2, 2, 3)]
            .iter()
            .map(|cut| splitter.part(cut, 3, || whole).expect("in range").billed)
            .collect();
        assert_eq!(parts, [Some(3), Some(3), Some(4)]);
    }
}
