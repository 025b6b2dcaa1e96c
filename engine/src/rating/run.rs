//! What all workers of one rating run share.

use std::sync::Arc;

use super::book::RateBook;
use super::counters::BandTotals;
use super::places::{Places, SliceName};
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
    /// The one slice that all rows belong to, where they do not say it.
    own_slice: Option<SliceName>,
}

impl RatingRun {
    /// A run with the quantities that bands look at: this run's own, as counted before, and those
    /// of all other slices with the same counters.
    pub fn new(book: Arc<RateBook>, totals: BandTotals) -> Arc<Self> {
        Arc::new(Self::with(book, totals, None))
    }

    /// A run of what one seller bills by itself in a period.
    pub fn own(book: Arc<RateBook>, slice: SliceName) -> Arc<Self> {
        Arc::new(Self::with(book, BandTotals::default(), Some(slice)))
    }

    fn with(book: Arc<RateBook>, totals: BandTotals, own_slice: Option<SliceName>) -> Self {
        Self {
            book,
            terms: Arc::default(),
            values: Arc::default(),
            places: Arc::default(),
            totals: Arc::new(totals),
            own_slice,
        }
    }

    /// The number of a row's slice, by what the row says unless all are of one.
    pub(crate) fn slice(&self, said: impl FnOnce() -> SliceName) -> u32 {
        match &self.own_slice {
            Some(own) => self.places.slice(own),
            None => self.places.slice(&said()),
        }
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
