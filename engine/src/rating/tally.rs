//! What a run adds up besides the rows themselves: conservation, unrated rows, owners.

use arrow::datatypes::i256;
use hashbrown::{HashMap, HashSet};

use super::assemble::Mark;
use super::error::RatingError;
use super::outcome::{Fate, Reason};
use super::portion::{Amounts, Step};

/// Where a portion is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RowPlace {
    pub(crate) slice: u32,
    pub(crate) owner: u32,
}

/// A sum of amounts that 128 bits need not hold.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    near: i128,
    far: Option<i256>,
}

impl Sum {
    #[inline]
    fn add(&mut self, amount: i128) {
        match self.near.checked_add(amount) {
            Some(sum) => self.near = sum,
            None => {
                self.far = Some(self.value().wrapping_add(i256::from_i128(amount)));
                self.near = 0;
            }
        }
    }

    fn value(self) -> i256 {
        self.far.unwrap_or(i256::ZERO).wrapping_add(i256::from_i128(self.near))
    }
}

#[derive(Debug, Default)]
struct SliceTally {
    /// By fate.
    billed: [Sum; Fate::ALL.len()],
    rows: u64,
    portions: u64,
    unrated: HashMap<(usize, Reason), u64>,
}

/// One worker's sums, by slice.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    slices: Vec<SliceTally>,
    owners: HashSet<RowPlace>,
    last: Option<RowPlace>,
}

/// What rating found in one slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceOutcome {
    /// Rows of usage.
    pub rows: u64,
    /// Rows of charges.
    pub portions: u64,
    /// The sum of `price_0` (scale 18) over portions with an owner.
    pub direct: i256,
    /// The sum of `price_0` (scale 18) over shares of pools.
    pub allocated: i256,
    /// The sum of `price_0` (scale 18) over portions without.
    pub unallocated: i256,
    /// Unrated portions by position of the buyer and reason.
    pub unrated: Vec<(usize, Reason, u64)>,
    /// The paths that own portions: numbers of the run's places, sorted.
    pub owners: Vec<u32>,
}

impl SliceOutcome {
    /// What the root pays for the slice, scale 18.
    pub fn billed(&self) -> i256 {
        self.direct.wrapping_add(self.allocated).wrapping_add(self.unallocated)
    }
}

impl Default for SliceOutcome {
    fn default() -> Self {
        Self {
            rows: 0,
            portions: 0,
            direct: i256::ZERO,
            allocated: i256::ZERO,
            unallocated: i256::ZERO,
            unrated: Vec::new(),
            owners: Vec::new(),
        }
    }
}

impl Tally {
    #[inline]
    pub(crate) fn add(&mut self, place: RowPlace, mark: &Mark, is_first: bool, amounts: &Amounts, steps: &[Step]) {
        let at = usize::try_from(place.slice).unwrap_or_default();
        if self.slices.len() <= at {
            self.slices.resize_with(at + 1, SliceTally::default);
        }
        let slice = &mut self.slices[at];
        slice.portions += 1;
        slice.rows += u64::from(is_first);
        match amounts.billed {
            Some(billed) => slice.billed[mark.fate as usize].add(billed),
            None if mark.above > 0 => {}
            None => *slice.unrated.entry((0, Reason::NoBase)).or_insert(0) += 1,
        }
        if let Some(reason) = steps.last().and_then(|step| step.reason) {
            *slice.unrated.entry((steps.len(), reason)).or_insert(0) += 1;
        }
        if self.last != Some(place) {
            self.owners.insert(place);
            self.last = Some(place);
        }
    }

    /// The sums of all workers, by slice number.
    pub(crate) fn merge(tallies: &[Self]) -> Result<Vec<SliceOutcome>, RatingError> {
        let slices = tallies.iter().map(|tally| tally.slices.len()).max().unwrap_or(0);
        let mut outcomes = vec![SliceOutcome::default(); slices];
        let add = |a: i256, b: i256| a.checked_add(b).ok_or(RatingError::Sum { what: "billed costs of a slice" });
        for tally in tallies {
            for (outcome, slice) in outcomes.iter_mut().zip(&tally.slices) {
                outcome.rows += slice.rows;
                outcome.portions += slice.portions;
                outcome.direct = add(outcome.direct, slice.billed[0].value())?;
                outcome.allocated = add(outcome.allocated, slice.billed[1].value())?;
                outcome.unallocated = add(outcome.unallocated, slice.billed[2].value())?;
                for ((position, reason), count) in &slice.unrated {
                    let held = outcome.unrated.iter_mut().find(|(p, r, _)| p == position && r == reason);
                    match held {
                        Some((_, _, held)) => *held += count,
                        None => outcome.unrated.push((*position, *reason, *count)),
                    }
                }
            }
            for place in &tally.owners {
                let at = usize::try_from(place.slice).unwrap_or_default();
                if let Some(outcome) = outcomes.get_mut(at) {
                    outcome.owners.push(place.owner);
                }
            }
        }
        for outcome in &mut outcomes {
            outcome.owners.sort_unstable();
            outcome.owners.dedup();
            outcome.unrated.sort_unstable();
        }
        Ok(outcomes)
    }
}
