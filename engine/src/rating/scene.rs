//! One edge of one portion: which rule speaks there, and what its base is.

use super::book::RateBook;
use super::cards::Held;
use super::lanes::{Edge, Lane};
use super::method::Base;
use super::outcome::Reason;
use super::policies::Policy;
use super::portion::Portion;
use super::rules::{Rule, Values};

/// An amount in a currency.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) value: Option<i128>,
    pub(crate) currency: u32,
}

/// What a rule search found.
pub(crate) enum Found<'a> {
    Rule { version: usize, at: usize, rule: &'a Rule, is_in_currency: bool },
    Nothing,
    Faulty(Reason),
}

impl<'a> Found<'a> {
    /// What an edge's cards say to some values: the buyer's, or else the seller's default card.
    #[inline]
    pub(crate) fn on(book: &'a RateBook, edge: &Edge, values: &Values<'_>) -> Self {
        for (held, is_in_currency) in edge.cards {
            match held {
                Held::Nothing => {}
                Held::Several => return Self::Faulty(Reason::SeveralVersions),
                Held::Version(version) => {
                    let table = book.cards.table(version, &book.vocabulary);
                    let Some(table) = table else { return Self::Faulty(Reason::BrokenVersion) };
                    if let Some(at) = table.find(values) {
                        let rule = &table.rules[at];
                        return Self::Rule { version, at, rule, is_in_currency };
                    }
                }
            }
        }
        Self::Nothing
    }
}

/// One edge of one portion.
pub(crate) struct Scene<'a> {
    pub(crate) book: &'a RateBook,
    pub(crate) lane: &'a Lane,
    pub(crate) edge: &'a Edge,
    /// Its place in the path, the root's edge first.
    pub(crate) at: usize,
    pub(crate) portion: &'a Portion<'a>,
    pub(crate) cost: Amount,
}

impl<'a> Scene<'a> {
    /// The rule of the buyer's card, or else of the seller's default card.
    #[inline]
    pub(crate) fn find_rule(&self) -> Found<'a> {
        Found::on(self.book, self.edge, &self.portion.values)
    }

    /// The charge policy that holds unless the rule says what becomes of the category.
    #[inline]
    pub(crate) fn policy(&self, found: &Found<'_>) -> Option<Policy> {
        match found {
            Found::Rule { rule, .. } if rule.states_policy() => None,
            _ => self.edge.policies.get(self.portion.values.category, self.portion.is_correction),
        }
    }

    pub(crate) fn base(&self, base: Base) -> Result<Amount, Reason> {
        let amounts = &self.portion.amounts;
        let own = match base {
            Base::Cost => return Ok(self.cost),
            Base::List => amounts.list,
            _ if self.at != 0 => return Err(Reason::NoBase),
            Base::Billed => amounts.billed,
            Base::Contracted => amounts.contracted,
            Base::Effective => amounts.effective,
            Base::OnDemand => amounts.list,
        };
        Ok(Amount { value: own, currency: self.portion.currency })
    }
}
