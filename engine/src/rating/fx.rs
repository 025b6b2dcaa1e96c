//! Exchange rates: the latest at or before a date, direct before inverse, never crossed.

use hashbrown::HashMap;
use ratehouse_udfs::decimal::{ArithmeticError, ONE, Rounding, mul_div_round};

use super::facts::RefFacts;
use super::span::{DAY_US, Span};

#[derive(Debug)]
struct Rate {
    valid_from: i64,
    rate: i128,
    fx_rate_id: String,
}

/// The rates of one source between two currencies, both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    direct: Option<usize>,
    inverse: Option<usize>,
}

/// A rate and which way it is applied.
#[derive(Debug, Clone, Copy)]
pub struct Conversion<'a> {
    rate: i128,
    divides: bool,
    /// The rate's name.
    pub fx_rate_id: &'a str,
}

impl Conversion<'_> {
    /// Converts an amount, rounded half-even to scale 18.
    ///
    /// # Errors
    /// When the result has no 128 bits.
    #[inline]
    pub fn apply(self, amount: i128) -> Result<i128, ArithmeticError> {
        let (multiply, divide) = if self.divides { (ONE, self.rate) } else { (self.rate, ONE) };
        mul_div_round(amount, multiply, divide, Rounding::HalfEven)
    }
}

/// All rates.
#[derive(Debug, Default)]
pub struct FxRates {
    lists: Vec<Vec<Rate>>,
    index: HashMap<(String, String, String), usize>,
}

impl FxRates {
    /// Sorts the rates by source and pair. A rate that is not positive is none.
    pub fn compile(facts: &RefFacts) -> Self {
        let mut own = Self::default();
        for row in facts.fx_rates.iter().filter(|row| row.rate > 0) {
            let key = (row.source.clone(), row.base_currency.clone(), row.quote_currency.clone());
            let next = own.lists.len();
            let at = *own.index.entry(key).or_insert(next);
            if at == next {
                own.lists.push(Vec::new());
            }
            own.lists[at].push(Rate { valid_from: row.valid_from, rate: row.rate, fx_rate_id: row.fx_rate_id.clone() });
        }
        for list in &mut own.lists {
            list.sort_by(|a, b| (a.valid_from, &a.fx_rate_id).cmp(&(b.valid_from, &b.fx_rate_id)));
        }
        own
    }

    pub(crate) fn pair(&self, source: &str, from: &str, to: &str) -> Pair {
        let find = |base: &str, quote: &str| {
            let key = (source.to_owned(), base.to_owned(), quote.to_owned());
            self.index.get(&key).copied()
        };
        Pair { direct: find(from, to), inverse: find(to, from) }
    }

    /// The rate of a pair on the UTC date of an instant.
    pub(crate) fn on(&self, pair: Pair, at: i64) -> Option<Conversion<'_>> {
        let date = at.div_euclid(DAY_US) * DAY_US;
        let latest = |list: Option<usize>, divides: bool| {
            let list = &self.lists[list?];
            let next = list.partition_point(|rate| rate.valid_from <= date);
            let found = &list[next.checked_sub(1)?];
            Some(Conversion { rate: found.rate, divides, fx_rate_id: &found.fx_rate_id })
        };
        latest(pair.direct, false).or_else(|| latest(pair.inverse, true))
    }

    /// The stretch around an instant in which the rate of a pair stays the same: from midnight to midnight, UTC.
    pub(crate) fn holds(&self, pair: Pair, at: i64) -> Span {
        let date = at.div_euclid(DAY_US) * DAY_US;
        let mut span = Span::ALWAYS;
        for rate in [pair.direct, pair.inverse].into_iter().flatten().flat_map(|list| &self.lists[list]) {
            // It applies on the first date that begins when it holds.
            let first = rate.valid_from.div_euclid(DAY_US).saturating_mul(DAY_US);
            let first = if first < rate.valid_from { first.saturating_add(DAY_US) } else { first };
            if first <= date {
                span.from = span.from.max(first);
            } else {
                span.until = span.until.min(first);
            }
        }
        span
    }

    /// The rate of that name, scale 18: quote units for one base unit.
    pub fn named(&self, fx_rate_id: &str) -> Option<i128> {
        self.lists.iter().flatten().find(|rate| rate.fx_rate_id == fx_rate_id).map(|rate| rate.rate)
    }

    /// The rate of a source that converts one currency to another on the UTC date of an instant
    /// (microseconds); none when there is no rate of that pair yet.
    pub fn find(&self, source: &str, from: &str, to: &str, at: i64) -> Option<Conversion<'_>> {
        self.on(self.pair(source, from, to), at)
    }
}
