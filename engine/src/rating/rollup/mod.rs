//! The four roll-ups of `charges`, computed while rows are priced.
//!
//! `charges_daily.sql`, `charges_monthly.sql`, `edges_monthly.sql` and `charges_by_terms.sql` in `sql/rating/` define them; a test
//! holds this code to those statements. A month of a large provider has almost as many daily groups as rows, which a
//! hash table in memory cannot hold and a spilling one sorts. So rows become short records of
//! numbers (texts are written once, at the end): a small table merges what comes close together,
//! what it evicts goes to one of 512 logs, logs beyond the memory limit go to a temporary file,
//! and at the end each log is summed by itself, in a table that fits. A log is chosen by the hash
//! of the monthly group, so that each holds whole months as well as whole days. Edges are far fewer:
//! each worker adds the monthly groups of its logs up in a table of its own, merged at the end. What
//! prices depend on is neither finer nor coarser than days and months: it has tables and logs of its own.

mod edges;
mod emit;
mod groups;
mod log;
mod stage;
mod terms;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::runtime_env::RuntimeEnv;
use hashbrown::{DefaultHashBuilder, HashMap};
use ratehouse_udfs::decimal::POWERS_OF_TEN;

pub(crate) use edges::EdgeSums;
pub(crate) use emit::Emitter;
use groups::Record;
use log::Logs;
use stage::Stage;
use terms::{ByTerms, Kept, TERMS_KEY};

use super::assemble::Mark;
use super::error::RatingError;
use super::lanes::Lane;
use super::outcome::{Fate, Origin, Outcome};
use super::portion::{Portion, Step};
use super::portions::Continuity;
use super::reader::{Column, Reader};
use super::texts::NULL;
use super::vocabulary::STANDARD;
use crate::lake::schema::MAX_POSITIONS;

/// Numbers of a daily group: see [`daily_key`].
pub(crate) const DAILY_KEY: usize = 18;
/// Numbers of a monthly group: see [`monthly_key`].
pub(crate) const MONTHLY_KEY: usize = 8;
/// Quantity, list cost, effective cost, then the prices.
pub(crate) const FIRST_PRICE: usize = 3;
/// Place of the pricing category in a daily key.
pub(crate) const PRICING_CATEGORY: usize = 12;
/// Sums a group can have: those of terms have the contracted cost as well.
pub(crate) const SUMS_MAX: usize = FIRST_PRICE + 1 + MAX_POSITIONS;

/// What the positions of a charge say besides amounts, as numbers: node, path, fate, owner, child, origin,
/// then currency and outcome of the root, then currency, outcome and rate of each buyer.
pub(crate) type Terms = [u32];
/// Numbers before the first buyer's.
pub(crate) const TERMS_HEAD: usize = 8;
/// Numbers of each buyer.
pub(crate) const TERMS_STEP: usize = 3;

#[derive(Debug, Default)]
struct TermsHeld {
    index: HashMap<Arc<Terms>, u32>,
    list: Vec<Arc<Terms>>,
}

/// What the roll-ups of all workers share.
#[derive(Debug)]
pub(crate) struct RollUpShared {
    terms: Mutex<TermsHeld>,
    hasher: DefaultHashBuilder,
    runtime: Arc<RuntimeEnv>,
    outcomes: [u32; 4],
    fates: [u32; Fate::ALL.len()],
    origins: [u32; Origin::ALL.len()],
    kept: Kept,
    /// Pricing category of what is sold as if nothing had covered it.
    standard: u32,
}

impl RollUpShared {
    pub(crate) fn new(run: &super::run::RatingRun, runtime: Arc<RuntimeEnv>) -> Arc<Self> {
        Arc::new(Self {
            terms: Mutex::default(),
            hasher: DefaultHashBuilder::default(),
            runtime,
            outcomes: Outcome::ALL.map(|outcome| run.terms.number(outcome.name())),
            fates: Fate::ALL.map(|fate| run.terms.number(fate.name())),
            origins: Origin::ALL.map(|origin| run.terms.number(origin.name())),
            kept: Kept::by(&run.book.vocabulary),
            standard: run.values.number(STANDARD),
        })
    }

    fn number(&self, terms: &Terms) -> u32 {
        let mut held = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = held.index.get(terms) {
            return *number;
        }
        let number = u32::try_from(held.list.len()).unwrap_or(u32::MAX);
        let shared: Arc<Terms> = Arc::from(terms);
        held.list.push(Arc::clone(&shared));
        held.index.insert(shared, number);
        number
    }

    fn terms(&self) -> Vec<Arc<Terms>> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner).list.clone()
    }
}

/// One worker's part of the roll-ups.
#[derive(Debug)]
pub(crate) struct RollUps {
    shared: Arc<RollUpShared>,
    known_terms: HashMap<Box<Terms>, u32>,
    scratch: Vec<u32>,
    days: Stage<DAILY_KEY>,
    by_terms: ByTerms,
    terms: Stage<TERMS_KEY>,
}

/// One worker's logs, complete.
pub(crate) struct RollUpLogs {
    days: Logs,
    terms: Logs,
}

impl RollUps {
    pub(crate) fn new(shared: &Arc<RollUpShared>) -> Self {
        Self {
            days: Stage::new(&shared.runtime),
            by_terms: ByTerms::new(&shared.kept),
            terms: Stage::new(&shared.runtime),
            shared: Arc::clone(shared),
            known_terms: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Adds a priced portion.
    #[inline]
    pub(crate) fn add(
        &mut self,
        row: (&Reader, usize),
        (continuity, mark): (Continuity, &Mark),
        lane: &Lane,
        portion: &Portion<'_>,
        steps: &[Step],
    ) -> Result<(), RatingError> {
        let terms = self.terms(mark, lane, portion, steps);
        let mut sums = [0; SUMS_MAX];
        let amounts = &portion.amounts;
        let mut mask = 0_u16;
        let first = [amounts.quantity, amounts.list, amounts.effective, amounts.billed];
        let all = first.into_iter().chain(steps.iter().map(|step| step.price));
        for (place, amount) in all.enumerate() {
            if let Some(amount) = amount {
                sums[place] = amount;
                mask |= 1 << place;
            }
        }
        let sums = &sums[..first.len() + steps.len()];
        let mut key = daily_key(row, continuity.date, portion.period, mark.disclosed_to, terms);
        if Step::is_sold_on_demand(steps) {
            key[PRICING_CATEGORY] = self.shared.standard;
        }
        let rows = i64::from(continuity.begins());
        let hasher = &self.shared.hasher;
        self.days.add(&Record { key, mask, rows, sums }, hasher, monthly_key)?;
        self.by_terms
            .record(row, (mark, portion, steps), (terms, rows), |record| self.terms.add(record, hasher, |key| *key))
    }

    /// The logs of everything that was added.
    pub(crate) fn finish(self) -> Result<RollUpLogs, RatingError> {
        let hasher = &self.shared.hasher;
        Ok(RollUpLogs { days: self.days.finish(hasher, monthly_key)?, terms: self.terms.finish(hasher, |key| *key)? })
    }

    fn terms(&mut self, mark: &Mark, lane: &Lane, portion: &Portion<'_>, steps: &[Step]) -> u32 {
        let outcomes = &self.shared.outcomes;
        self.scratch.clear();
        self.scratch.extend([
            lane.node_id,
            lane.node_path,
            self.shared.fates[mark.fate as usize],
            lane.owner_place,
            lane.child_place,
            self.shared.origins[mark.origin as usize],
            portion.currency,
            mark.first_outcome(&portion.amounts).map_or(NULL, |outcome| outcomes[outcome as usize]),
        ]);
        for ((edge, step), position) in lane.edges.iter().zip(steps).zip(1..) {
            let exists = position >= mark.above;
            let terms = [edge.currency, outcomes[step.outcome as usize], step.fx_rate];
            self.scratch.extend(if exists { terms } else { [NULL; TERMS_STEP] });
        }
        match self.known_terms.get(self.scratch.as_slice()) {
            Some(number) => *number,
            None => {
                let number = self.shared.number(&self.scratch);
                self.known_terms.insert(Box::from(self.scratch.as_slice()), number);
                number
            }
        }
    }
}

/// Billing period, charge date, then numbers of texts in the order of `DAILY_DIMENSIONS`, marketplace, one more than the
/// position to which it is disclosed, terms.
fn daily_key(
    (reader, at): (&Reader, usize),
    date: i32,
    period: i32,
    disclosed_to: Option<i32>,
    terms: u32,
) -> [u32; DAILY_KEY] {
    let text = |column: Column| reader.text(column, at);
    [
        period.cast_unsigned(),
        date.cast_unsigned(),
        text(Column::Provider),
        text(Column::BillingAccount),
        text(Column::SubAccount),
        text(Column::ServiceCategory),
        text(Column::Service),
        text(Column::Sku),
        text(Column::Region),
        text(Column::ResourceType),
        text(Column::ChargeCategory),
        text(Column::ChargeClass),
        text(Column::PricingCategory),
        u32::from(reader.is_marketplace(at)),
        text(Column::Unit),
        reader.rule_tags(at),
        disclosed_to.map_or(0, |position| position.cast_unsigned() + 1),
        terms,
    ]
}

/// The monthly group of a daily one: billing period, then numbers of texts in the order of
/// `MONTHLY_DIMENSIONS`, terms.
fn monthly_key(daily: &[u32; DAILY_KEY]) -> [u32; MONTHLY_KEY] {
    [0, 2, 3, 5, 6, 10, 11, DAILY_KEY - 1].map(|place| daily[place])
}

/// Adds two amounts of at most 38 digits into one.
#[inline]
fn add(a: i128, b: i128) -> Result<i128, RatingError> {
    let limit = POWERS_OF_TEN[38];
    match a.checked_add(b) {
        Some(sum) if -limit < sum && sum < limit => Ok(sum),
        _ => Err(RatingError::Sum { what: "a roll-up" }),
    }
}
