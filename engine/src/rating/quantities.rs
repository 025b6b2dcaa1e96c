//! How much of something shared each node used: the quantities of drivers, and those that count for a row.
//!
//! A quantity counts by how much of its time lies in the row's whole charge period, whatever cuts the row: what changes above a
//! pool does not change its weights.

use std::sync::Arc;

use hashbrown::HashMap;
use ratehouse_udfs::decimal::{Rounding, mul_div_round};

use super::measured::resource_key;
use super::method::greatest_common_divisor;
use super::span::Span;
use super::tree::NodeIndex;

/// Whose a quantity of a driver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Whose {
    /// A node that `ref.drivers` or a metric names: it counts while that is below the owner.
    Named(NodeIndex),
    /// A node by a rule of `ref.driver_rules`: nobody's while that is not below the owner.
    Ruled(NodeIndex),
    /// Measured, and no rule says whose.
    Nobody,
    /// Used by nobody.
    Idle,
}

/// Somebody's part of what a driver measures.
pub(super) type Quantity = (Whose, i128);

/// What was measured of machines, by [`resource_key`].
pub(super) type OfMachines = HashMap<Arc<str>, Vec<(Span, Quantity)>>;

/// The quantities of one driver, sorted by their beginning.
#[derive(Debug, Default)]
pub(super) struct Quantities {
    of_resource: HashMap<Option<String>, Vec<(Span, Quantity)>>,
    /// Those that were measured, by [`resource_key`].
    measured: OfMachines,
    longest: i64,
}

/// What decides the weights of a row besides the instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use<'a> {
    /// The row's whole charge period, half-open.
    pub(crate) period: Span,
    pub(crate) resource_id: Option<&'a str>,
}

impl Quantities {
    pub(super) fn add(&mut self, resource_id: Option<String>, time: Span, quantity: Quantity) {
        self.longest = self.longest.max(time.until.saturating_sub(time.from));
        self.of_resource.entry(resource_id).or_default().push((time, quantity));
    }

    pub(super) fn has_measured(&self) -> bool {
        !self.measured.is_empty()
    }

    /// Adds what was measured of machines.
    pub(super) fn measure(&mut self, measured: OfMachines) {
        let lengths = measured.values().flatten().map(|(time, _)| time.until.saturating_sub(time.from));
        self.longest = lengths.fold(self.longest, i64::max);
        self.measured = measured;
    }

    /// To be called when everything was added.
    pub(super) fn sort(&mut self) {
        let lists = self.of_resource.values_mut().chain(self.measured.values_mut());
        lists.for_each(|list| list.sort_unstable());
    }

    /// The quantities of a resource in a time; of a resource without any, what was measured of it, or those that are of no resource.
    pub(super) fn during(&self, row: Use<'_>) -> Vec<Quantity> {
        let own = row.resource_id.and_then(|id| self.of_resource.get(&Some(id.to_owned())));
        let measured =
            row.resource_id.filter(|_| self.has_measured()).and_then(|id| self.measured.get(resource_key(id).as_str()));
        for list in [own, measured, self.of_resource.get(&None)].into_iter().flatten() {
            let found = self.overlapping(list, row.period);
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    fn overlapping(&self, list: &[(Span, Quantity)], period: Span) -> Vec<Quantity> {
        // What has no length is measured at its instant.
        let period = Span { until: period.until.max(period.from.saturating_add(1)), ..period };
        let first = list.partition_point(|(span, _)| span.from < period.from.saturating_sub(self.longest));
        let mut used = Vec::new();
        for (span, (whose, quantity)) in list[first..].iter().take_while(|(span, _)| span.from < period.until) {
            let shared = span.intersect(period);
            let length = |span: Span| i128::from(span.until) - i128::from(span.from);
            if !shared.is_empty() {
                used.push(Used { whose: *whose, quantity: *quantity, part: Part::of(length(shared), length(*span)) });
            }
        }
        exact(&used).unwrap_or_else(|| rounded(&used))
    }
}

/// A fraction in lowest terms.
#[derive(Debug, Clone, Copy)]
struct Part {
    of: i128,
    all: i128,
}

impl Part {
    fn of(part: i128, all: i128) -> Self {
        let shared = greatest_common_divisor(part.unsigned_abs(), all.unsigned_abs());
        let shared = i128::try_from(shared).unwrap_or(1).max(1);
        Self { of: part / shared, all: all / shared }
    }
}

/// A quantity, and how much of its time counts.
#[derive(Debug, Clone, Copy)]
struct Used {
    whose: Whose,
    quantity: i128,
    part: Part,
}

/// Weights in the same ratio as the parts of the quantities; none where 128 bits do not hold them.
fn exact(used: &[Used]) -> Option<Vec<Quantity>> {
    let mut common = 1_i128;
    for Used { part, .. } in used {
        let shared = greatest_common_divisor(common.unsigned_abs(), part.all.unsigned_abs());
        common = common.checked_mul(part.all / i128::try_from(shared).ok()?)?;
    }
    let weight = |used: &Used| used.quantity.checked_mul(used.part.of)?.checked_mul(common / used.part.all);
    let weights: Vec<i128> = used.iter().map(weight).collect::<Option<_>>()?;
    // As small as they can be, so that their sum fits, too.
    let shared = weights.iter().fold(0, |shared, weight| greatest_common_divisor(shared, weight.unsigned_abs()));
    let shared = i128::try_from(shared.max(1)).ok()?;
    let mut sum = 0_i128;
    for weight in &weights {
        sum = sum.checked_add(weight / shared)?;
    }
    Some(summed(used.iter().zip(weights).map(|(used, weight)| (used.whose, weight / shared))))
}

/// Weights rounded half-even to scale 18, or smaller ones where their sum would not fit.
fn rounded(used: &[Used]) -> Vec<Quantity> {
    let weight = |used: &Used| mul_div_round(used.quantity, used.part.of, used.part.all, Rounding::HalfEven);
    let mut weights: Vec<Quantity> = used.iter().map(|used| (used.whose, weight(used).unwrap_or_default())).collect();
    while weights.iter().try_fold(0_i128, |sum, (_, weight)| sum.checked_add(*weight)).is_none() {
        weights.iter_mut().for_each(|(_, weight)| *weight /= 2);
    }
    summed(weights.into_iter())
}

/// One weight for each whose it is.
fn summed(weights: impl Iterator<Item = Quantity>) -> Vec<Quantity> {
    let mut sums: Vec<Quantity> = Vec::new();
    let mut places: HashMap<Whose, usize> = HashMap::new();
    for (whose, weight) in weights {
        let at = *places.entry(whose).or_insert(sums.len());
        match sums.get_mut(at) {
            Some((_, sum)) => *sum = sum.saturating_add(weight),
            None => sums.push((whose, weight)),
        }
    }
    sums
}
