//! What pricing looks at, and what it says.

use super::outcome::{Outcome, Reason};
use super::rules::Values;
use super::texts::NULL;

/// The amounts of a portion, scale 18, in the billing currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) billed: Option<i128>,
    pub(crate) contracted: Option<i128>,
    pub(crate) effective: Option<i128>,
    pub(crate) list: Option<i128>,
    pub(crate) quantity: Option<i128>,
}

impl Amounts {
    pub(crate) fn map<E>(&self, of: impl Fn(i128) -> Result<i128, E>) -> Result<Self, E> {
        let of = |amount: Option<i128>| amount.map(&of).transpose();
        Ok(Self {
            billed: of(self.billed)?,
            contracted: of(self.contracted)?,
            effective: of(self.effective)?,
            list: of(self.list)?,
            quantity: of(self.quantity)?,
        })
    }

    /// The amounts less others; what these lack counts as nothing. Amounts have at most 38 digits, so that the differences fit.
    pub(crate) fn less(&self, others: &Self) -> Self {
        let less = |own: Option<i128>, other: Option<i128>| own.map(|own| own - other.unwrap_or_default());
        Self {
            billed: less(self.billed, others.billed),
            contracted: less(self.contracted, others.contracted),
            effective: less(self.effective, others.effective),
            list: less(self.list, others.list),
            quantity: less(self.quantity, others.quantity),
        }
    }
}

/// How a row stands to a commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Commitment {
    /// Not at all.
    None,
    /// It was covered by one.
    Covered,
    /// It bought one or left one unused: the root's. What policies assign to others are rows of their own.
    Retained,
    /// It was covered by one, and the root sells it at its on-demand price: below the root nothing covered it. No portion is this;
    /// it is what charges say of theirs.
    OnDemand,
}

impl Commitment {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Covered, Self::Retained, Self::OnDemand];

    /// Its name in `charges`.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Covered => Some("covered"),
            Self::Retained => Some("retained"),
            Self::OnDemand => Some("on_demand"),
        }
    }
}

/// What pricing looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portion<'a> {
    pub(crate) values: Values<'a>,
    pub(crate) unit: u32,
    pub(crate) is_correction: bool,
    pub(crate) commitment: Commitment,
    /// The commitment, as policies number them; 0 where none names it.
    pub(crate) commitment_id: u32,
    pub(crate) currency: u32,
    pub(crate) amounts: Amounts,
    pub(crate) start: i64,
    pub(crate) period: i32,
    /// Numbers of provider, billing account and sub account, for counters.
    pub(crate) account: [u32; 3],
    /// The slice, for counters.
    pub(crate) slice: u32,
}

/// What a portion is at one position below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) price: Option<i128>,
    pub(crate) outcome: Outcome,
    pub(crate) rule: u32,
    pub(crate) fx_rate: u32,
    pub(crate) reason: Option<Reason>,
    /// Whether it covered usage that the root sells at its on-demand price: further down it is usage that nothing covered.
    pub(crate) is_on_demand: bool,
}

impl Step {
    pub(crate) fn unrated(reason: Reason) -> Self {
        Self {
            price: None,
            outcome: Outcome::Unrated,
            rule: NULL,
            fx_rate: NULL,
            reason: Some(reason),
            is_on_demand: false,
        }
    }

    pub(crate) const RETAINED: Self =
        Self { price: None, outcome: Outcome::Retained, rule: NULL, fx_rate: NULL, reason: None, is_on_demand: false };

    /// What charges say of a portion's commitment.
    #[inline]
    pub(crate) fn commitment_sold(steps: &[Self], commitment: Commitment) -> Commitment {
        if Self::is_sold_on_demand(steps) { Commitment::OnDemand } else { commitment }
    }

    /// Whether what has these steps is sold as if nothing had covered it.
    #[inline]
    pub(crate) fn is_sold_on_demand(steps: &[Self]) -> bool {
        steps.first().is_some_and(|first| first.is_on_demand)
    }
}

/// The edge and rule at which an amount overflowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overflow {
    pub(crate) edge: usize,
    pub(crate) rule: u32,
}
