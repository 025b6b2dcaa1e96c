//! The columns that a simulation reads, from either table, and their texts as numbers.

use arrow::array::{
    Array, AsArray, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};

use super::Simulation;
use super::fold::month_around_memo;
use crate::lake::schema::MAX_POSITIONS;
use crate::rating::columns::{ColumnWords, Word, amount};
use crate::rating::error::RatingError;
use crate::rating::outcome::Origin;
use crate::rating::portion::Commitment;
use crate::rating::row_tags::RowTags;
use crate::rating::span::{DAY_US, Span};
use crate::rating::texts::NULL;
use crate::rating::vocabulary::{DIMENSIONS, Dimension, MARKETPLACE_NO, MARKETPLACE_YES};

/// What charges are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Their sums by what prices depend on.
    Terms,
    /// The charges themselves.
    Charges,
}

/// Names of the columns to read, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    source: Source,
    /// The seller's first position in any path.
    first: usize,
    /// The last position that any path has.
    last: usize,
    dimensions: Vec<Dimension>,
    has_tags: bool,
    has_units: bool,
    has_accounts: bool,
    has_commitments: bool,
    is_roots: bool,
}

/// Texts of every row.
const TEXTS: [&str; 6] = ["origin", "node_path", "currency_0", "charge_category", "charge_class", "commitment"];

impl Columns {
    /// Those of a simulation whose seller stands at position `first` at least, in paths that end at `last` at most.
    pub(crate) fn of(simulation: &Simulation, source: Source, (first, last): (usize, usize)) -> Self {
        let looks = &simulation.looks;
        let looked_at = |dimension: &Dimension| {
            matches!(dimension, Dimension::Provider) || looks.have(*dimension) && !is_tag(*dimension)
        };
        Self {
            source,
            first,
            last: last.min(MAX_POSITIONS - 1),
            dimensions: Dimension::ALL.into_iter().filter(looked_at).collect(),
            has_tags: looks.have_tags(),
            has_units: looks.have_units(),
            has_accounts: looks.have_accounts(),
            // The roll-up does not keep them, and is not read where policies name one.
            has_commitments: source == Source::Charges && simulation.names_commitments(),
            is_roots: simulation.is_roots(),
        }
    }

    /// Their names in the table. What is above the seller is not among them.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = TEXTS.iter().map(|name| (*name).to_owned()).collect();
        names.extend(self.dimensions.iter().map(|dimension| dimension.column().to_owned()));
        names.push(self.instant().to_owned());
        for name in ["marketplace", "pool_depth", "quantity", "list_cost"] {
            names.push(name.to_owned());
        }
        names.push(self.rows().to_owned());
        if self.has_tags {
            names.push(self.tags().to_owned());
        }
        if self.has_units {
            names.push("unit".to_owned());
        }
        if self.has_accounts {
            names.extend(["billing_account_id".to_owned(), "sub_account_id".to_owned()]);
        }
        if self.has_commitments {
            names.push(COMMITMENT_ID.to_owned());
        }
        if self.has_covered_categories() {
            names.push(COVERED_CATEGORY.to_owned());
        }
        if self.first == 0 {
            names.extend(["contracted_cost".to_owned(), "effective_cost".to_owned()]);
        }
        for k in self.first..=self.last {
            names.extend([format!("price_{k}"), format!("outcome_{k}")]);
            if k > 0 {
                names.push(format!("currency_{k}"));
            }
        }
        names
    }

    /// Whether pricing categories are those of usage as it is sold, where the root's rules look at the provider's.
    fn has_covered_categories(&self) -> bool {
        let looks_at = self.dimensions.contains(&Dimension::PricingCategory);
        self.is_roots && self.source == Source::Charges && looks_at
    }

    fn instant(&self) -> &'static str {
        match self.source {
            Source::Terms => "usage_month",
            Source::Charges => "charge_period_start",
        }
    }

    fn tags(&self) -> &'static str {
        match self.source {
            Source::Terms => "rule_tags",
            Source::Charges => "tags",
        }
    }

    fn rows(&self) -> &'static str {
        match self.source {
            Source::Terms => "usage_rows",
            Source::Charges => "continues",
        }
    }
}

fn is_tag(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::TagKey | Dimension::TagValue)
}

const COMMITMENT_ID: &str = "commitment_discount_id";
const COVERED_CATEGORY: &str = "covered_pricing_category";

/// Origins as numbers of words, as far as they matter.
const OTHER: u32 = 0;
const USAGE: u32 = 1;
const FEE: u32 = 2;
const MINIMUM: u32 = 3;
const NEVER_COUNTS: u32 = 4;

fn origin(text: &str) -> u32 {
    match Origin::ALL.into_iter().find(|origin| origin.name() == text) {
        Some(Origin::Usage) => USAGE,
        Some(Origin::Fee) => FEE,
        Some(Origin::Minimum) => MINIMUM,
        Some(Origin::Shortfall | Origin::Adjustment) => NEVER_COUNTS,
        Some(Origin::Licence | Origin::Labour | Origin::Credit) | None => OTHER,
    }
}

/// Outcomes as numbers of words; 0 where there is none.
pub(super) const BILLED: u32 = 1;
const REPORTED: u32 = 2;
const KEPT: u32 = 3;

/// The texts of a batch as numbers, and of the batches before it.
#[derive(Debug)]
pub(super) struct Words {
    columns: Columns,
    texts: [ColumnWords; TEXTS.len()],
    dimensions: Vec<ColumnWords>,
    accounts: [ColumnWords; 3],
    unit: ColumnWords,
    commitment_ids: ColumnWords,
    covered_categories: ColumnWords,
    outcomes: Vec<ColumnWords>,
    currencies: Vec<ColumnWords>,
    tags: RowTags,
}

impl Words {
    pub(super) fn new(columns: Columns) -> Self {
        let positions = columns.last + 1;
        let of_positions = || std::iter::repeat_with(ColumnWords::default).take(positions).collect();
        Self {
            texts: Default::default(),
            dimensions: columns.dimensions.iter().map(|_| ColumnWords::default()).collect(),
            accounts: Default::default(),
            unit: ColumnWords::default(),
            commitment_ids: ColumnWords::default(),
            covered_categories: ColumnWords::default(),
            outcomes: of_positions(),
            currencies: of_positions(),
            tags: RowTags::default(),
            columns,
        }
    }

    pub(super) fn source(&self) -> Source {
        self.columns.source
    }

    /// Reads the texts of a batch.
    pub(super) fn read(&mut self, batch: &RecordBatch, simulation: &Simulation) -> Result<(), RatingError> {
        let run = &simulation.run;
        let vocabulary = &run.book.vocabulary;
        for (place, name) in TEXTS.into_iter().enumerate() {
            let category = vocabulary.words(Dimension::ChargeCategory);
            let number_of = |text: &str| match name {
                "origin" => origin(text),
                "charge_category" => category.number(text),
                "charge_class" => u32::from(text == "Correction"),
                "commitment" => commitment(text),
                _ => 0,
            };
            self.texts[place].read(text(batch, name)?, &run.terms, number_of);
        }
        for (dimension, words) in self.columns.dimensions.iter().zip(&mut self.dimensions) {
            let known = vocabulary.words(*dimension);
            words.read(text(batch, dimension.column())?, &run.values, |text| known.number(text));
        }
        if self.columns.has_accounts {
            for (name, words) in
                ["provider_name", "billing_account_id", "sub_account_id"].into_iter().zip(&mut self.accounts)
            {
                words.read(text(batch, name)?, &run.values, |_| 0);
            }
        }
        if self.columns.has_units {
            self.unit.read(text(batch, "unit")?, &run.values, |text| vocabulary.units.number(text));
        }
        if self.columns.has_commitments {
            let known = &vocabulary.commitments;
            self.commitment_ids.read(text(batch, COMMITMENT_ID)?, &run.values, |text| known.number(text));
        }
        if self.columns.has_covered_categories() {
            let known = vocabulary.words(Dimension::PricingCategory);
            self.covered_categories.read(text(batch, COVERED_CATEGORY)?, &run.values, |text| known.number(text));
        }
        if self.columns.has_tags {
            self.tags.read(text(batch, self.columns.tags())?, run);
        }
        for k in self.columns.first..=self.columns.last {
            let outcome = |text: &str| match text {
                "billed" => BILLED,
                "reported" => REPORTED,
                _ => KEPT,
            };
            self.outcomes[k].read(text(batch, &format!("outcome_{k}"))?, &run.terms, outcome);
            if k > 0 {
                self.currencies[k].read(text(batch, &format!("currency_{k}"))?, &run.terms, |_| 0);
            }
        }
        Ok(())
    }

    fn word(words: &ColumnWords, row: usize) -> Word {
        words.words.get(row).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn is_usage(&self, row: usize) -> bool {
        Self::word(&self.texts[0], row).number == USAGE
    }

    /// Whether it is what a rule of a card bills by itself.
    #[inline]
    pub(super) fn is_owed(&self, row: usize) -> bool {
        matches!(Self::word(&self.texts[0], row).number, FEE | MINIMUM)
    }

    /// Whether it counts for minimums: what a floor adds does not, nor what corrects earlier months, where it counted.
    #[inline]
    pub(super) fn counts_for_minimums(&self, row: usize) -> bool {
        !matches!(Self::word(&self.texts[0], row).number, MINIMUM | NEVER_COUNTS)
    }

    #[inline]
    pub(super) fn path(&self, row: usize) -> u32 {
        Self::word(&self.texts[1], row).text
    }

    /// Of the provider's costs.
    #[inline]
    pub(super) fn currency(&self, row: usize) -> u32 {
        Self::word(&self.texts[2], row).text
    }

    #[inline]
    pub(super) fn is_correction(&self, row: usize) -> bool {
        Self::word(&self.texts[4], row).number != 0
    }

    /// As the seller meets it: what the root sells as if nothing had covered it is so further down.
    #[inline]
    pub(super) fn commitment(&self, row: usize) -> Commitment {
        match Self::word(&self.texts[5], row).number {
            COVERED => Commitment::Covered,
            ON_DEMAND if self.columns.is_roots => Commitment::Covered,
            RETAINED => Commitment::Retained,
            _ => Commitment::None,
        }
    }

    /// The number of the row's commitment among those that policies name.
    #[inline]
    pub(super) fn commitment_id(&self, row: usize) -> u32 {
        Self::word(&self.commitment_ids, row).number
    }

    /// What the seller's rules see, tags aside.
    #[inline]
    pub(super) fn numbers(&self, simulation: &Simulation, row: usize, is_marketplace: bool) -> [u32; DIMENSIONS] {
        let mut numbers = [0; DIMENSIONS];
        numbers[Dimension::ChargeCategory.at()] = Self::word(&self.texts[3], row).number;
        numbers[Dimension::Marketplace.at()] = if is_marketplace { MARKETPLACE_YES } else { MARKETPLACE_NO };
        for (dimension, words) in self.columns.dimensions.iter().zip(&self.dimensions) {
            numbers[dimension.at()] = Self::word(words, row).number;
        }
        if Self::word(&self.texts[5], row).number != ON_DEMAND {
            return numbers;
        }
        if !self.columns.is_roots {
            return simulation.run.book.vocabulary.as_standard(&numbers);
        }
        if self.columns.has_covered_categories() {
            numbers[Dimension::PricingCategory.at()] = Self::word(&self.covered_categories, row).number;
        }
        numbers
    }

    #[inline]
    pub(super) fn tags(&self, row: usize) -> &[(u32, u32)] {
        self.tags.pairs(row)
    }

    #[inline]
    pub(super) fn unit(&self, row: usize) -> u32 {
        Self::word(&self.unit, row).number
    }

    /// The provider; dimensions begin with it.
    pub(super) fn provider(&self, row: usize) -> u32 {
        self.dimensions.first().map_or(NULL, |words| Self::word(words, row).text)
    }

    pub(super) fn account(&self, row: usize) -> [u32; 3] {
        [0, 1, 2].map(|place| Self::word(&self.accounts[place], row).text)
    }

    /// What became of a row at a position; 0 where it does not exist there.
    #[inline]
    pub(super) fn outcome(&self, k: usize, row: usize) -> u32 {
        self.outcomes.get(k).map_or(0, |words| Self::word(words, row).number)
    }

    /// Whether it was sold down to a position.
    #[inline]
    pub(super) fn is_sold_to(&self, k: usize, row: usize) -> bool {
        matches!(self.outcome(k, row), BILLED | REPORTED)
    }

    /// The currency at a position; at the root that of the provider's costs.
    #[inline]
    pub(super) fn currency_at(&self, k: usize, row: usize) -> u32 {
        match k {
            0 => self.currency(row),
            _ => self.currencies.get(k).map_or(0, |words| Self::word(words, row).text),
        }
    }
}

const COVERED: u32 = 1;
const RETAINED: u32 = 2;
const ON_DEMAND: u32 = 3;

fn commitment(text: &str) -> u32 {
    match text {
        "covered" => COVERED,
        "retained" => RETAINED,
        "on_demand" => ON_DEMAND,
        _ => 0,
    }
}

/// The instants of rows.
enum Instants<'a> {
    Months(&'a Date32Array),
    Starts(&'a TimestampMicrosecondArray),
}

/// How many charges a row is.
enum Counts<'a> {
    Rows(&'a Int64Array),
    Continues(&'a Int32Array),
}

/// The columns of a batch that are no texts.
pub(super) struct Numbers<'a> {
    instants: Instants<'a>,
    counts: Counts<'a>,
    marketplace: &'a BooleanArray,
    pool_depth: &'a Int32Array,
    pub(super) quantity: &'a Decimal128Array,
    pub(super) list: &'a Decimal128Array,
    pub(super) contracted: Option<&'a Decimal128Array>,
    pub(super) effective: Option<&'a Decimal128Array>,
    prices: Vec<Option<&'a Decimal128Array>>,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(batch: &'a RecordBatch, columns: &Columns) -> Result<Self, RatingError> {
        let money = |name: &str| column(batch, name)?.as_primitive_opt::<Decimal128Type>().ok_or(MISSING);
        let root = |name: &str| if columns.first == 0 { money(name).map(Some) } else { Ok(None) };
        let whole = |name: &str| column(batch, name)?.as_primitive_opt::<Int32Type>().ok_or(MISSING);
        let instant = columns.instant();
        let (instants, counts) = match columns.source {
            Source::Terms => (
                Instants::Months(column(batch, instant)?.as_primitive_opt::<Date32Type>().ok_or(MISSING)?),
                Counts::Rows(column(batch, columns.rows())?.as_primitive_opt::<Int64Type>().ok_or(MISSING)?),
            ),
            Source::Charges => (
                Instants::Starts(
                    column(batch, instant)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or(MISSING)?,
                ),
                Counts::Continues(whole(columns.rows())?),
            ),
        };
        let price = |k| if k < columns.first { Ok(None) } else { money(&format!("price_{k}")).map(Some) };
        Ok(Self {
            instants,
            counts,
            marketplace: column(batch, "marketplace")?.as_boolean_opt().ok_or(MISSING)?,
            pool_depth: whole("pool_depth")?,
            quantity: money("quantity")?,
            list: money("list_cost")?,
            contracted: root("contracted_cost")?,
            effective: root("effective_cost")?,
            prices: (0..=columns.last).map(price).collect::<Result<_, RatingError>>()?,
        })
    }

    /// What a row pays at a position.
    #[inline]
    pub(super) fn price(&self, k: usize, row: usize) -> Option<i128> {
        self.prices.get(k).copied().flatten().and_then(|prices| amount(prices, row))
    }

    /// The time in which a row was used, as exactly as is known; `month` is that of the row before.
    #[inline]
    pub(super) fn used(&self, row: usize, month: &mut (i32, Span)) -> Span {
        match self.instants {
            Instants::Months(days) => month_around_memo(month, i64::from(days.value(row)) * DAY_US),
            Instants::Starts(starts) => {
                let at = starts.value(row);
                Span { from: at, until: at.saturating_add(1) }
            }
        }
    }

    #[inline]
    pub(super) fn rows(&self, row: usize) -> i64 {
        match self.counts {
            Counts::Rows(rows) => rows.value(row),
            Counts::Continues(nodes) => i64::from(nodes.is_null(row) || nodes.value(row) == 0),
        }
    }

    #[inline]
    pub(super) fn is_marketplace(&self, row: usize) -> bool {
        self.marketplace.is_valid(row) && self.marketplace.value(row)
    }

    /// The position of the owner of the pool that a row is a share of.
    #[inline]
    pub(super) fn pool_depth(&self, row: usize) -> Option<usize> {
        self.pool_depth.is_valid(row).then(|| usize::try_from(self.pool_depth.value(row)).unwrap_or_default())
    }
}

const MISSING: RatingError = RatingError::Column("of a simulation");

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a arrow::array::ArrayRef, RatingError> {
    batch.column_by_name(name).ok_or(MISSING)
}

fn text<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringViewArray, RatingError> {
    column(batch, name)?.as_string_view_opt().ok_or(MISSING)
}
