//! Exchange rates: the latest at or before a date, direct before inverse, never crossed.
//!
//! A node's policy names the source of its rates. Two policies have sources that are more particular than their own name, and
//! are asked first: `fixed` those agreed with the node, `fixed/NODE`; `provider` those of the provider whose charge it is,
//! `provider/PROVIDER`.

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

/// The rates between two currencies, both ways, of the sources that are asked one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair([BothWays; 2]);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct BothWays {
    direct: Option<usize>,
    inverse: Option<usize>,
}

/// Rates agreed with a node.
const FIXED: &str = "fixed";
/// Rates that providers state.
const PROVIDER: &str = "provider";

/// What a policy's more particular source is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Particular {
    /// There is none: the policy is the source.
    Nothing,
    /// The buyer.
    Buyer,
    /// The provider of the charge.
    Provider,
}

impl Particular {
    pub(crate) fn of(policy: &str) -> Self {
        match policy {
            FIXED => Self::Buyer,
            PROVIDER => Self::Provider,
            _ => Self::Nothing,
        }
    }
}

/// Whether a node with a policy may convert by the rates of a source.
pub(crate) fn is_source_of(source: &str, policy: &str, node_id: &str) -> bool {
    let particular = || match (Particular::of(policy), source.strip_prefix(policy).and_then(|of| of.strip_prefix('/')))
    {
        (Particular::Buyer, Some(of)) => of == node_id,
        (Particular::Provider, Some(_)) => true,
        (Particular::Nothing, _) | (_, None) => false,
    };
    source == policy || particular()
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

    /// The rates of a policy; `of` is the name of what its more particular source is about.
    pub(crate) fn pair(&self, policy: &str, of: Option<&str>, (from, to): (&str, &str)) -> Pair {
        let both_ways = |source: &str| {
            let find = |base: &str, quote: &str| {
                let key = (source.to_owned(), base.to_owned(), quote.to_owned());
                self.index.get(&key).copied()
            };
            BothWays { direct: find(from, to), inverse: find(to, from) }
        };
        let particular = of.map(|of| both_ways(&format!("{policy}/{of}")));
        Pair([particular.unwrap_or_default(), both_ways(policy)])
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
        let mut sources = pair.0.into_iter();
        sources.find_map(|source| latest(source.direct, false).or_else(|| latest(source.inverse, true)))
    }

    /// The stretch around an instant in which a node's policy converts one currency to the other by the same rates, whoever the
    /// provider is: from midnight to midnight, UTC.
    pub(crate) fn holds(&self, (policy, node_id): (&str, &str), (from, to): (&str, &str), at: i64) -> Span {
        let date = at.div_euclid(DAY_US) * DAY_US;
        let mut span = Span::ALWAYS;
        let lists = self.index.iter().filter(|((source, base, quote), _)| {
            let is_pair = (base == from && quote == to) || (base == to && quote == from);
            is_pair && is_source_of(source, policy, node_id)
        });
        for rate in lists.flat_map(|(_, list)| &self.lists[*list]) {
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
        self.on(self.pair(source, None, (from, to)), at)
    }
}
