//! Rates batches: attributes each row, cuts it, prices every portion on every edge once.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use hashbrown::HashMap;

use super::assemble::{Assembler, Output};
use super::attribution::{Account, Assigned, RowTexts};
use super::charging::{Charging, Failure, Sink};
use super::columns::{self, Facts, amount};
use super::commitments::TermsTexts;
use super::counters::BandTotals;
use super::division::{Divider, Division, RowAt};
use super::error::RatingError;
use super::places::{Placement, SliceName};
use super::portion::{Amounts, Overflow, Portion};
use super::portions::{Cut, Splitter};
use super::price::{Counts, Pricer, Totals};
use super::reader::{Column, Depth, Reader};
use super::rollup::RollUps;
use super::run::RatingRun;
use super::span::Span;
use super::tally::Tally;
use super::vocabulary::Category;

/// Rated rows and where they belong.
#[derive(Debug)]
pub struct Rated {
    /// Columns of `lake::schema::charges`.
    pub charges: RecordBatch,
    /// The place of each row.
    pub place: Placement,
}

/// One worker of a run. It keeps what it has looked up, so rating many batches with one is fast.
#[derive(Debug)]
pub struct Rater {
    pub(super) run: Arc<RatingRun>,
    pub(super) reader: Reader,
    pub(super) charging: Charging,
    pub(super) assembler: Assembler,
    divider: Divider,
    accounts: HashMap<[u32; 3], Account>,
    slices: HashMap<(u32, u32, i32), u32>,
    cuts: Vec<Cut>,
    divisions: Vec<Division>,
    slice_of_row: Vec<u32>,
}

impl Rater {
    /// A worker that prices rows.
    pub fn new(run: &Arc<RatingRun>) -> Self {
        Self::with(run, Totals::Known(Arc::clone(&run.totals)), None)
    }

    /// A worker that also adds what it prices to roll-ups.
    pub(crate) fn with_rollups(run: &Arc<RatingRun>, rollups: RollUps) -> Self {
        Self::with(run, Totals::Known(Arc::clone(&run.totals)), Some(rollups))
    }

    /// The same for what a seller bills by itself: band prices take each row by itself.
    pub(super) fn of_own(run: &Arc<RatingRun>, rollups: RollUps) -> Self {
        Self::with(run, Totals::Alone, Some(rollups))
    }

    /// A worker that only counts what prices depend on in sum, knowing what the pass before it has counted.
    pub fn counting(run: &Arc<RatingRun>) -> Self {
        Self::with(run, Totals::Counting(Counts::new(&run.totals)), None)
    }

    fn with(run: &Arc<RatingRun>, totals: Totals, rollups: Option<RollUps>) -> Self {
        let depth = if rollups.is_some() { Depth::RollUps } else { Depth::Prices };
        Self {
            run: Arc::clone(run),
            reader: Reader::new(depth),
            charging: Charging::new(Pricer::new(run, totals), TermsTexts::new(&run.terms), rollups),
            assembler: Assembler::new(run),
            divider: Divider::default(),
            accounts: HashMap::new(),
            slices: HashMap::new(),
            cuts: Vec::new(),
            divisions: Vec::new(),
            slice_of_row: Vec::new(),
        }
    }

    /// Counts the quantities of a batch that bands look at.
    ///
    /// # Errors
    /// As [`Rater::rate`].
    pub fn count(&mut self, usage: &RecordBatch) -> Result<(), RatingError> {
        self.pass(usage, None).map(|_| ())
    }

    /// Rates a batch of `usage`, giving a batch of `charges`.
    ///
    /// # Errors
    /// When an amount overflows or a row lacks what every charge has; the error names the row.
    pub fn rate(&mut self, usage: &RecordBatch) -> Result<Rated, RatingError> {
        let mut output = self.assembler.output(usage.num_rows());
        let place = self.pass(usage, Some(&mut output))?;
        let charges = self.assembler.assemble(usage, &self.run, output)?;
        Ok(Rated { charges, place })
    }

    /// What was counted, by slice; empty unless this worker counts.
    pub fn counted(&self) -> Result<HashMap<u32, BandTotals>, RatingError> {
        self.charging.pricer.counted()
    }

    /// Counters whose totals, as the pass before had counted them, decided what came to others.
    pub fn hinges(&self) -> impl Iterator<Item = String> {
        self.charging.pricer.hinges()
    }

    pub(crate) fn into_parts(self) -> (Tally, Option<RollUps>) {
        (self.charging.tally, self.charging.rollups)
    }

    fn pass(&mut self, usage: &RecordBatch, output: Option<&mut Output>) -> Result<Placement, RatingError> {
        let run = Arc::clone(&self.run);
        let facts = Facts::of(usage)?;
        self.reader.read(usage, &facts, &run)?;
        self.cut(usage, &facts, &run)?;
        let money = Money::of(usage)?;
        let (cuts, divisions) = (std::mem::take(&mut self.cuts), std::mem::take(&mut self.divisions));
        let mut sink = Sink { reader: &self.reader, output, place: Placement::default() };
        if let Some(output) = &mut sink.output {
            let lanes = &self.charging.lanes;
            let depths = cuts.iter().map(|cut| lanes.get(cut.lane).edges.len());
            let depth = depths.chain(divisions.iter().map(|division| division.edges_max(lanes))).max();
            output.open(depth.unwrap_or(0), cuts.len(), !divisions.is_empty());
        }
        let mut splitter = Splitter::default();
        self.charging.open();
        for cut in &cuts {
            let row = cut.row;
            let amounts = match (cut.number, cut.is_last) {
                (0, true) => money.at(row),
                _ => {
                    let start = facts.start.value(row);
                    let whole = splitter.part(cut, (start, facts.end.value(row) - start), || money.at(row));
                    whole.map_err(|_| overflow(&facts, row, 0, "proration"))?
                }
            };
            let portion = Portion {
                values: self.reader.values(row),
                unit: self.reader.word(Column::Unit, row).number,
                is_correction: self.reader.is_correction(row),
                commitment: self.reader.commitment(row),
                commitment_id: self.reader.commitment_id(row),
                currency: self.reader.text(Column::Currency, row),
                amounts,
                start: cut.start,
                period: facts.period.value(row),
                account: [
                    self.reader.text(Column::Provider, row),
                    self.reader.text(Column::BillingAccount, row),
                    self.reader.text(Column::SubAccount, row),
                ],
                slice: self.slice_of_row[row],
            };
            let charged = match cut.division {
                None => self.charging.charge(&mut sink, cut, &portion),
                Some(at) => self.charging.charge_pool(&mut sink, cut, &portion, (&divisions, at)),
            };
            charged.map_err(|failure| match failure {
                Failure::Overflow(Overflow { edge, rule }) => overflow(&facts, row, edge, &run.terms.text(rule)),
                Failure::Other(error) => error,
            })?;
        }
        let place = sink.place;
        (self.cuts, self.divisions) = (cuts, divisions);
        Ok(place)
    }

    /// Finds each row's slice and lane, and cuts rows of usage where the lane changes.
    fn cut(&mut self, usage: &RecordBatch, facts: &Facts<'_>, run: &RatingRun) -> Result<(), RatingError> {
        self.cuts.clear();
        self.divisions.clear();
        self.slice_of_row.clear();
        let texts = Texts6::of(usage)?;
        let mut last_slice: Option<((u32, u32, i32), u32)> = None;
        let mut last_account: Option<([u32; 3], Account)> = None;
        let has_rules = !run.book.attribution.is_empty();
        for row in 0..usage.num_rows() {
            if facts.start.is_null(row) {
                return Err(facts.incomplete(row, "charge_period_start"));
            }
            let provider = self.reader.text(Column::Provider, row);
            if provider == super::texts::NULL {
                return Err(facts.incomplete(row, "provider_name"));
            }
            if self.reader.text(Column::ChargeCategory, row) == super::texts::NULL {
                return Err(facts.incomplete(row, "charge_category"));
            }
            let billing = self.reader.text(Column::BillingAccount, row);
            let key = (provider, billing, facts.period.value(row));
            let slice = match last_slice {
                Some((held, slice)) if held == key => slice,
                _ => {
                    let slice = *self.slices.entry(key).or_insert_with(|| {
                        let texts = texts.at(row);
                        run.slice(|| SliceName {
                            provider_name: texts.provider_name.to_owned(),
                            billing_account_id: texts.billing_account_id.unwrap_or_default().to_owned(),
                            billing_period: key.2,
                        })
                    });
                    last_slice = Some((key, slice));
                    slice
                }
            };
            self.slice_of_row.push(slice);
            let account_key = [provider, billing, self.reader.text(Column::SubAccount, row)];
            let account = match last_account {
                Some((held, account)) if held == account_key => account,
                _ => {
                    let found = self.accounts.entry(account_key);
                    let account = *found.or_insert_with(|| run.book.accounts.find(&texts.at(row)));
                    last_account = Some((account_key, account));
                    account
                }
            };
            let rule_texts = has_rules.then(|| texts.at(row));
            self.cut_row(run, facts, row, account, rule_texts.as_ref());
        }
        Ok(())
    }

    #[inline]
    fn cut_row(
        &mut self,
        run: &RatingRun,
        facts: &Facts<'_>,
        row: usize,
        account: Account,
        texts: Option<&RowTexts<'_>>,
    ) {
        let start = facts.start.value(row);
        let end = if facts.end.is_null(row) { start } else { facts.end.value(row) };
        let period = Span { from: start, until: end };
        let (way, until) = self.way_at(run, account, (texts, period), start);
        let whole = Cut { row, lane: way.0, division: way.1, start, end, number: 0, is_last: true };
        if end <= until || self.reader.category(row) != Category::Usage {
            self.cuts.push(whole);
            return;
        }
        let mut current = Cut { end: until, is_last: false, ..whole };
        while current.end < end {
            let ((lane, division), until) = self.way_at(run, account, (texts, period), current.end);
            let until = until.min(end);
            let divided = |at: Option<usize>| at.map(|at| &self.divisions[at]);
            if lane == current.lane && divided(division) == divided(current.division) {
                current.end = until;
            } else {
                self.cuts.push(current);
                let number = current.number + 1;
                current = Cut { row, lane, division, start: current.end, end: until, number, is_last: false };
            }
        }
        current.is_last = true;
        self.cuts.push(current);
    }

    /// The lane of an account's row at an instant, how it is shared out, and until when that is surely so.
    #[inline]
    fn way_at(
        &mut self,
        run: &RatingRun,
        account: Account,
        (texts, period): (Option<&RowTexts<'_>>, Span),
        at: i64,
    ) -> ((usize, Option<usize>), i64) {
        let book = &run.book;
        let (mut owner, mut span) = book.accounts.owner(account, at);
        if let Some(texts) = texts {
            let (assigned, holds) = book.attribution.assign((&book.pools, &book.tree), owner, texts, (at, 0));
            span = span.intersect(holds);
            match assigned {
                Assigned::Node(node) => owner = node,
                Assigned::Pool(pool, path) => {
                    let row = RowAt { texts, period, at };
                    let (division, holds) = self.divider.divide(run, &mut self.charging.lanes, (pool, &path), row, 0);
                    let lane = division.lane;
                    self.divisions.push(division);
                    return ((lane, Some(self.divisions.len() - 1)), span.until.min(holds.until));
                }
            }
        }
        let (lane, holds) = self.charging.lanes.at(book, &run.terms, &run.places, owner, at);
        ((lane, None), span.until.min(holds.until))
    }
}

fn overflow(facts: &Facts<'_>, row: usize, edge: usize, rule: &str) -> RatingError {
    RatingError::Overflow {
        edge,
        rule: rule.to_owned(),
        delivery: facts.delivery.value(row),
        source_file: facts.source_file.value(row),
        source_row: facts.source_row.value(row),
    }
}

/// The amounts of a batch.
struct Money<'a> {
    billed: &'a arrow::array::Decimal128Array,
    contracted: &'a arrow::array::Decimal128Array,
    effective: &'a arrow::array::Decimal128Array,
    list: &'a arrow::array::Decimal128Array,
    quantity: &'a arrow::array::Decimal128Array,
}

impl<'a> Money<'a> {
    fn of(usage: &'a RecordBatch) -> Result<Self, RatingError> {
        Ok(Self {
            billed: columns::money(usage, "billed_cost")?,
            contracted: columns::money(usage, "contracted_cost")?,
            effective: columns::money(usage, "effective_cost")?,
            list: columns::money(usage, "list_cost")?,
            quantity: columns::money(usage, "pricing_quantity")?,
        })
    }

    #[inline]
    fn at(&self, row: usize) -> Amounts {
        Amounts {
            billed: amount(self.billed, row),
            contracted: amount(self.contracted, row),
            effective: amount(self.effective, row),
            list: amount(self.list, row),
            quantity: amount(self.quantity, row),
        }
    }
}

/// The texts that attribution looks at.
struct Texts6<'a>([&'a arrow::array::StringViewArray; 6]);

impl<'a> Texts6<'a> {
    fn of(usage: &'a RecordBatch) -> Result<Self, RatingError> {
        Ok(Self([
            columns::text(usage, "provider_name")?,
            columns::text(usage, "billing_account_id")?,
            columns::text(usage, "sub_account_id")?,
            columns::text(usage, "resource_id")?,
            columns::text(usage, "tags")?,
            columns::text(usage, "service_name")?,
        ]))
    }

    fn at(&self, row: usize) -> RowTexts<'a> {
        let at = |column: usize| {
            let array = self.0[column];
            (!array.is_null(row)).then(|| array.value(row))
        };
        RowTexts {
            provider_name: at(0).unwrap_or_default(),
            billing_account_id: at(1),
            sub_account_id: at(2),
            resource_id: at(3),
            tags: at(4),
            service_name: at(5),
        }
    }
}
