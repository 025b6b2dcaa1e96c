//! What all workers of one rating run share.

use std::sync::Arc;

use super::book::RateBook;
use super::counters::BandTotals;
use super::places::Places;
use super::texts::Texts;

/// One rating of some slices: the book, and the registries that give texts and places their numbers.
#[derive(Debug)]
pub struct RatingRun {
    pub(crate) book: Arc<RateBook>,
    /// Texts that pricing adds: nodes, paths, currencies, outcomes, rules, rates.
    pub(crate) terms: Arc<Texts>,
    /// Texts of usage columns.
    pub(crate) values: Arc<Texts>,
    pub(crate) places: Arc<Places>,
    pub(crate) totals: Arc<BandTotals>,
}

impl RatingRun {
    /// A run with the quantities that bands look at: this run's own, as counted before, and those
    /// of all other slices with the same counters.
    pub fn new(book: Arc<RateBook>, totals: BandTotals) -> Arc<Self> {
        Arc::new(Self {
            book,
            terms: Arc::default(),
            values: Arc::default(),
            places: Arc::default(),
            totals: Arc::new(totals),
        })
    }

    /// The names behind the numbers of placements.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The book.
    pub fn book(&self) -> &Arc<RateBook> {
        &self.book
    }
}
