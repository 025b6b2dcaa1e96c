//! Cuts usage rows where their owner or the terms of their path change.

use ratehouse_udfs::decimal::{ArithmeticError, Rounding, mul_div_round};

use super::portion::Amounts;

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
        let cut = |number: i32, start: i64, end: i64| Cut { row: 0, lane: 0, start, end, number, is_last: end == 3 };
        // A third of 10 is 3 (3.33), twice; the last takes 4.
        let parts: Vec<Option<i128>> = [cut(0, 0, 1), cut(1, 1, 2), cut(2, 2, 3)]
            .iter()
            .map(|cut| splitter.part(cut, 3, || whole).expect("in range").billed)
            .collect();
        assert_eq!(parts, [Some(3), Some(3), Some(4)]);
    }
}
