//! The three roll-ups of `charges`, computed while rows are priced.
//!
//! `charges_daily.sql`, `charges_monthly.sql` and `edges_monthly.sql` in `sql/rating/` define them; a test holds this code to
//! those statements. A month of a large provider has almost as many daily groups as rows, which a
//! hash table in memory cannot hold and a spilling one sorts. So rows become short records of
//! numbers (texts are written once, at the end): a small table merges what comes close together,
//! what it evicts goes to one of 512 logs, logs beyond the memory limit go to a temporary file,
//! and at the end each log is summed by itself, in a table that fits. A log is chosen by the hash
//! of the monthly group, so that each holds whole months as well as whole days. Edges are far fewer:
//! each worker adds the monthly groups of its logs up in a table of its own, merged at the end.

mod edges;
mod emit;
mod groups;
mod log;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::runtime_env::RuntimeEnv;
use hashbrown::{DefaultHashBuilder, HashMap};
use ratehouse_udfs::decimal::POWERS_OF_TEN;

pub(crate) use edges::EdgeSums;
pub(crate) use emit::Emitter;
use groups::{Groups, Record};
use log::{LogWriter, Logs};

use super::assemble::Mark;
use super::error::RatingError;
use super::lanes::Lane;
use super::outcome::{Fate, Origin, Outcome};
use super::portion::{Portion, Step};
use super::portions::Continuity;
use super::reader::{Column, Reader};
use super::texts::NULL;
use crate::lake::schema::MAX_POSITIONS;

/// Numbers of a daily group: see [`daily_key`].
pub(crate) const DAILY_KEY: usize = 18;
/// Numbers of a monthly group: see [`monthly_key`].
pub(crate) const MONTHLY_KEY: usize = 8;
/// Quantity, list cost, effective cost, then the prices.
pub(crate) const FIRST_PRICE: usize = 3;
/// Sums a group can have.
pub(crate) const SUMS_MAX: usize = FIRST_PRICE + MAX_POSITIONS;
/// Groups of one worker that are merged before they are logged.
const GROUPS_MAX: usize = 1 << 12;

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

/// Rows that go past a table that merges nothing, before it is tried again.
const BYPASS_ROWS: usize = 1 << 18;

/// One worker's part of the roll-ups.
#[derive(Debug)]
pub(crate) struct RollUps {
    shared: Arc<RollUpShared>,
    known_terms: HashMap<Box<Terms>, u32>,
    scratch: Vec<u32>,
    groups: Groups<DAILY_KEY>,
    logs: LogWriter,
    /// Rows that came since the table was last emptied.
    added: usize,
    /// Rows that go past the table, because it merged too few of those before.
    bypass: usize,
}

impl RollUps {
    pub(crate) fn new(shared: &Arc<RollUpShared>) -> Self {
        Self {
            logs: LogWriter::new(&shared.runtime),
            shared: Arc::clone(shared),
            known_terms: HashMap::new(),
            scratch: Vec::new(),
            groups: Groups::new(),
            added: 0,
            bypass: 0,
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
        use std::hash::BuildHasher;

        let (reader, at) = row;
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
        let key = daily_key((reader, at), continuity.date, portion.period, mark.disclosed_to, terms);
        let record = Record { key, mask, rows: i64::from(continuity.begins()), sums };
        if self.bypass > 0 {
            self.bypass -= 1;
            let hash = self.shared.hasher.hash_one(monthly_key(&key));
            return self.logs.append(hash, &record);
        }
        self.added += 1;
        self.groups.merge(self.shared.hasher.hash_one(key), &record)?;
        if self.groups.len() >= GROUPS_MAX {
            // A table that merges less than one row in five only costs.
            if self.added < self.groups.len() + self.groups.len() / 4 {
                self.bypass = BYPASS_ROWS;
            }
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RatingError> {
        use std::hash::BuildHasher;

        self.added = 0;
        let (logs, hasher) = (&mut self.logs, &self.shared.hasher);
        self.groups.drain(|record| logs.append(hasher.hash_one(monthly_key(&record.key)), record))
    }

    /// The logs of everything that was added.
    pub(crate) fn finish(mut self) -> Result<Logs, RatingError> {
        self.flush()?;
        self.logs.finish()
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
