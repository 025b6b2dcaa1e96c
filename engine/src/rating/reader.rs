//! Reads a usage batch as numbers: everything pricing compares, one hash a value.

use arrow::array::{Array, RecordBatch, StringViewArray};

use super::columns::{self, ColumnWords, Facts, Word};
use super::error::RatingError;
use super::portion::Commitment;
use super::row_tags::RowTags;
use super::rules::Values;
use super::run::RatingRun;
use super::vocabulary::{Category, DIMENSIONS, Dimension, MARKETPLACE_NO, MARKETPLACE_YES, Vocabulary};

/// A text column that pricing or roll-ups read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Column {
    Provider,
    BillingAccount,
    SubAccount,
    ServiceCategory,
    Service,
    Sku,
    Region,
    ResourceType,
    ChargeCategory,
    ChargeClass,
    PricingCategory,
    Unit,
    Currency,
    CommitmentStatus,
    Commitment,
}

/// Every column with its name and the dimension of rules that looks at it.
const COLUMNS: [(Column, &str, Option<Dimension>); 15] = [
    (Column::Provider, "provider_name", Some(Dimension::Provider)),
    (Column::BillingAccount, "billing_account_id", None),
    (Column::SubAccount, "sub_account_id", None),
    (Column::ServiceCategory, "service_category", Some(Dimension::ServiceCategory)),
    (Column::Service, "service_name", Some(Dimension::Service)),
    (Column::Sku, "sku_id", Some(Dimension::Sku)),
    (Column::Region, "region_id", Some(Dimension::Region)),
    (Column::ResourceType, "resource_type", Some(Dimension::ResourceType)),
    (Column::ChargeCategory, "charge_category", Some(Dimension::ChargeCategory)),
    (Column::ChargeClass, "charge_class", None),
    (Column::PricingCategory, "pricing_category", Some(Dimension::PricingCategory)),
    (Column::Unit, "pricing_unit", None),
    (Column::Currency, "billing_currency", None),
    (Column::CommitmentStatus, "commitment_discount_status", None),
    (Column::Commitment, "commitment_discount_id", None),
];

/// Whether roll-ups follow, which need more columns than prices do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What prices look at.
    Prices,
    /// Every dimension of the roll-ups as well.
    RollUps,
}

const CORRECTION: u32 = 1;
const UNUSED: u32 = 1;

/// The words of a batch, and of the batches before it.
#[derive(Debug)]
pub(crate) struct Reader {
    depth: Depth,
    columns: [ColumnWords; COLUMNS.len()],
    /// Each row's values as rules see them; dimensions no rule looks at stay 0.
    numbers: Vec<[u32; DIMENSIONS]>,
    has_commitment: Vec<bool>,
    marketplace: Vec<u32>,
    tags: RowTags,
}

impl Reader {
    pub(crate) fn new(depth: Depth) -> Self {
        Self {
            depth,
            columns: Default::default(),
            numbers: Vec::new(),
            has_commitment: Vec::new(),
            marketplace: Vec::new(),
            tags: RowTags::default(),
        }
    }

    /// Reads all rows of a batch.
    pub(crate) fn read(&mut self, batch: &RecordBatch, facts: &Facts<'_>, run: &RatingRun) -> Result<(), RatingError> {
        let vocabulary = &run.book.vocabulary;
        self.numbers.clear();
        self.numbers.resize(batch.num_rows(), [0; DIMENSIONS]);
        for (column, name, dimension) in COLUMNS {
            if !self.needs(column, dimension, vocabulary) {
                continue;
            }
            let array = columns::text(batch, name)?;
            let texts = if column == Column::Currency { &run.terms } else { &run.values };
            let words = &mut self.columns[column as usize];
            match (column, dimension) {
                (_, Some(dimension)) => {
                    let known = vocabulary.words(dimension);
                    words.read(array, texts, |text| known.number(text));
                    for (numbers, word) in self.numbers.iter_mut().zip(&words.words) {
                        numbers[dimension.at()] = word.number;
                    }
                }
                (Column::Unit, None) => {
                    words.read(array, texts, |text| vocabulary.units.number(text));
                }
                (Column::ChargeClass, None) => {
                    words.read(array, texts, |text| if text == "Correction" { CORRECTION } else { 0 });
                }
                (Column::CommitmentStatus, None) => {
                    words.read(array, texts, |text| if text == "Unused" { UNUSED } else { 0 });
                }
                (Column::Commitment, None) => {
                    words.read(array, texts, |text| vocabulary.commitments.number(text));
                }
                (_, None) => words.read(array, texts, |_| 0),
            }
        }
        self.read_flags(columns::text(batch, "commitment_discount_id")?, facts);
        self.tags.read(columns::text(batch, "tags")?, run);
        Ok(())
    }

    fn needs(&self, column: Column, dimension: Option<Dimension>, vocabulary: &Vocabulary) -> bool {
        let for_prices = match (column, dimension) {
            (Column::Provider, _) => true,
            // Roll-ups do not keep it.
            (Column::Commitment, _) => return !vocabulary.commitments.is_empty(),
            (_, Some(dimension)) => vocabulary.uses(dimension),
            (_, None) => true,
        };
        for_prices || self.depth == Depth::RollUps
    }

    fn read_flags(&mut self, commitments: &StringViewArray, facts: &Facts<'_>) {
        let rows = commitments.len();
        self.has_commitment.clear();
        self.has_commitment.extend(commitments.iter().map(|id| id.is_some_and(|id| !id.is_empty())));
        self.marketplace.clear();
        self.marketplace.extend((0..rows).map(|row| {
            let is_sold_there = !facts.marketplace.is_null(row) && facts.marketplace.value(row);
            if is_sold_there { MARKETPLACE_YES } else { MARKETPLACE_NO }
        }));
        for (numbers, marketplace) in self.numbers.iter_mut().zip(&self.marketplace) {
            numbers[Dimension::Marketplace.at()] = *marketplace;
        }
    }

    /// The word of a column at a row.
    #[inline]
    pub(crate) fn word(&self, column: Column, row: usize) -> Word {
        self.columns[column as usize].words.get(row).copied().unwrap_or_default()
    }

    /// The number of a column's text at a row.
    #[inline]
    pub(crate) fn text(&self, column: Column, row: usize) -> u32 {
        self.word(column, row).text
    }

    /// The number of the text of those tags that rules look at; null when there are none.
    #[inline]
    pub(crate) fn price_tags(&self, row: usize) -> u32 {
        self.tags.set(row).of_rules
    }

    /// The number of the text of those tags that rules look at or policies speak of; null when there are none.
    #[inline]
    pub(crate) fn rule_tags(&self, row: usize) -> u32 {
        self.tags.set(row).text
    }

    #[inline]
    pub(crate) fn is_marketplace(&self, row: usize) -> bool {
        self.marketplace[row] == MARKETPLACE_YES
    }

    #[inline]
    pub(crate) fn category(&self, row: usize) -> Category {
        Category::from_number(self.word(Column::ChargeCategory, row).number)
    }

    #[inline]
    pub(crate) fn is_correction(&self, row: usize) -> bool {
        self.word(Column::ChargeClass, row).number == CORRECTION
    }

    #[inline]
    pub(crate) fn commitment(&self, row: usize) -> Commitment {
        if self.word(Column::CommitmentStatus, row).number == UNUSED {
            return Commitment::Retained;
        }
        match (self.has_commitment[row], self.category(row)) {
            (true, Category::Purchase) => Commitment::Retained,
            (true, _) => Commitment::Covered,
            (false, _) => Commitment::None,
        }
    }

    /// The number of a row's commitment among those that policies name.
    #[inline]
    pub(crate) fn commitment_id(&self, row: usize) -> u32 {
        self.word(Column::Commitment, row).number
    }

    /// A row's values as rules see them.
    #[inline]
    pub(crate) fn values(&self, row: usize) -> Values<'_> {
        Values { numbers: &self.numbers[row], category: self.category(row), tags: self.tags.pairs(row) }
    }
}
