//! Folds charges: what the same rules price on every edge from the seller down becomes one group.

use std::sync::Arc;

use arrow::array::{Decimal128Array, RecordBatch};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::Simulation;
use super::columns::{BILLED, Columns, Numbers, Source, Words};
use super::ways::{Holds, MINIMUMS_MAX, Path, Way, Ways};
use crate::lake::schema::MAX_POSITIONS;
use crate::rating::bands::Scope;
use crate::rating::columns::amount;
use crate::rating::error::RatingError;
use crate::rating::fx::Particular;
use crate::rating::method::Method;
use crate::rating::policies::Policy;
use crate::rating::portion::{Amounts, Commitment, Portion};
use crate::rating::price::is_on_demand;
use crate::rating::rules::Values;
use crate::rating::scene::{Amount, Found, Scene};
use crate::rating::span::{Span, month_around};
use crate::rating::texts::NULL;
use crate::rating::vocabulary::{Category, DIMENSIONS, Dimension};

/// What decides a charge's prices besides its amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) path: u32,
    /// Of the provider's costs, and the seller's.
    pub(super) currencies: [u32; 2],
    /// An instant at which everything holds that holds when it was used.
    pub(super) at: i64,
    pub(super) is_usage: bool,
    pub(super) category: Category,
    pub(super) is_correction: bool,
    pub(super) commitment: Commitment,
    /// Whether policies sell what a commitment covered at its on-demand price: all of a group's, or nothing of it.
    is_on_demand: bool,
    pub(super) unit: u32,
    pub(super) pool_depth: Option<usize>,
    /// Of counters of single accounts; null where nothing counts these.
    pub(super) account: [u32; 3],
    /// Which amounts there are.
    amounts: u8,
    /// What the cards say on each edge.
    rules: [u64; MAX_POSITIONS],
    /// For which minimums of the way it counts, a bit for each.
    pub(super) minimums: u64,
    /// Which edges of the path it is for.
    pub(super) part: Part,
    /// Tells a row from all others, where rows must not be added up.
    alone: Option<(usize, u64)>,
}

/// Which edges of a path a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// All that are priced anew.
    Whole,
    /// Those above the first node whose sales the caller is not shown.
    Head,
    /// Those below.
    Rest,
}

/// What the cards and policies of a way's edges make of a row.
struct Class {
    rules: [u64; MAX_POSITIONS],
    minimums: u64,
    unit: u32,
    commitment: Commitment,
    is_on_demand: bool,
    pool_depth: Option<usize>,
    counts_account: bool,
    /// Whether exchange rates may be those of the row's provider.
    has_own_rates: bool,
    has_bands: bool,
    /// Whether prices are rounded, so that a sum of them is not the price of a sum.
    rounds: bool,
    /// Whether the caller is shown an edge with bands or with rounding.
    is_shown: bool,
}

/// The sums of a group, and one of its rows as rules see it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) way: Arc<Way>,
    pub(super) numbers: [u32; DIMENSIONS],
    pub(super) tags: Vec<(u32, u32)>,
    pub(super) commitment_id: u32,
    pub(super) amounts: Amounts,
    /// What the seller pays, unless that is a cost of the root's.
    pub(super) cost: Option<i128>,
    pub(super) rows: i64,
}

/// A path, a position in it, the payer's currency there and the seller's.
pub(super) type CellKey = (u32, usize, [u32; 2]);

/// What was charged at a position.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Charged {
    pub(super) charged: i128,
    pub(super) cost: i128,
    pub(super) rows: i64,
    /// Of nodes that are not there any more: nothing can price it.
    pub(super) lost_rows: i64,
}

/// One worker's groups of one billing period.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(super) simulation: Arc<Simulation>,
    number: usize,
    words: Words,
    columns: Columns,
    paths: HashMap<u32, Option<Arc<Path>>>,
    ways: Ways,
    month: (i32, Span),
    rows: u64,
    pub(super) groups: HashMap<GroupKey, Group>,
    pub(super) cells: HashMap<CellKey, Charged>,
    /// Whether some rule prices by sums.
    pub(super) has_bands: bool,
    /// Paths on which something changes within a month of use, each with whether the caller is shown that.
    uneven: HashMap<u32, bool>,
}

/// Bytes that a group takes, about.
const GROUP_BYTES: usize = 512;

impl Fold {
    /// A worker's; each of a simulation has another number.
    pub(crate) fn new(simulation: &Arc<Simulation>, columns: &Columns, number: usize) -> Self {
        Self {
            simulation: Arc::clone(simulation),
            number,
            words: Words::new(columns.clone()),
            columns: columns.clone(),
            paths: HashMap::new(),
            ways: Ways::default(),
            month: month_around(0),
            rows: 0,
            groups: HashMap::new(),
            cells: HashMap::new(),
            has_bands: false,
            uneven: HashMap::new(),
        }
    }

    /// The memory that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        (self.groups.len() + self.cells.len()) * GROUP_BYTES
    }

    /// Paths that must be read charge by charge, each with whether the caller is shown why.
    pub(crate) fn uneven(&self) -> impl Iterator<Item = (Arc<str>, bool)> {
        self.uneven.iter().map(|(path, is_shown)| (self.simulation.run.terms.text(*path), *is_shown))
    }

    /// Forgets what it knows of paths that must be read charge by charge.
    pub(crate) fn without(mut self, paths: &dyn Fn(&str) -> bool) -> Self {
        let texts = &self.simulation.run.terms;
        self.groups.retain(|key, _| !paths(&texts.text(key.path)));
        self.cells.retain(|(path, ..), _| !paths(&texts.text(*path)));
        self
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// When a sum does not fit.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), RatingError> {
        let simulation = Arc::clone(&self.simulation);
        self.words.read(batch, &simulation)?;
        let columns = self.columns.clone();
        let numbers = Numbers::of(batch, &columns)?;
        for row in 0..batch.num_rows() {
            let number = self.words.path(row);
            let path = match self.paths.entry(number) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => {
                    let text = simulation.run.terms.text(number);
                    new.insert(Path::parse(&simulation, &text).map(Arc::new)).clone()
                }
            };
            if let Some(path) = path {
                self.add_row(&simulation, &numbers, row, (number, &path))?;
            }
        }
        Ok(())
    }

    #[inline]
    fn add_row(
        &mut self,
        simulation: &Simulation,
        numbers: &Numbers<'_>,
        row: usize,
        (number, path): (u32, &Arc<Path>),
    ) -> Result<(), RatingError> {
        let words = &self.words;
        let seller_at = path.seller_at;
        let reaches = match seller_at {
            // What the root does not pay for has no price further down.
            0 => numbers.price(0, row).is_some(),
            _ => words.is_sold_to(seller_at, row),
        };
        if !reaches {
            return if words.is_owed(row) { self.add_owed(simulation, numbers, row, (number, path)) } else { Ok(()) };
        }
        let own = if seller_at == 0 { NULL } else { words.currency_at(seller_at, row) };
        let currencies = [words.currency(row), own];
        let used = numbers.used(row, &mut self.month);
        let found = self.ways.at(simulation, path, (number, currencies), used.from);
        let Some((way, holds)) = found else {
            return self.add_charged(numbers, row, (number, path), true);
        };
        if holds.span.until < used.until {
            self.is_uneven(number, holds, used);
            return Ok(());
        }
        if way.minimums.len() > MINIMUMS_MAX {
            return Err(RatingError::Minimums { path: path.names.join("/") });
        }
        let values = words.numbers(simulation, row, numbers.is_marketplace(row));
        let category = Category::from_number(values[Dimension::ChargeCategory.at()]);
        let is_usage = words.is_usage(row);
        let parts: &[Part] = if way.head.is_some() { &[Part::Head, Part::Rest] } else { &[Part::Whole] };
        let (billed, cost) = match seller_at {
            0 => (numbers.price(0, row), None),
            _ => (None, numbers.price(seller_at, row)),
        };
        let of_root = |column: Option<&Decimal128Array>| match seller_at {
            0 => column.and_then(|column| amount(column, row)),
            _ => None,
        };
        let amounts = Amounts {
            billed,
            contracted: of_root(numbers.contracted),
            effective: of_root(numbers.effective),
            list: amount(numbers.list, row),
            quantity: amount(numbers.quantity, row),
        };
        let there = [billed, cost, amounts.contracted, amounts.effective, amounts.list, amounts.quantity];
        let there = there.iter().fold(0, |bits, amount| bits << 1 | u8::from(amount.is_some()));
        // The same instant whether months or charges are read.
        let month = month_around_memo(&mut self.month, used.from);
        let rows = numbers.rows(row);
        for part in parts {
            let (way, since) = match (part, &way.head) {
                (Part::Head, Some(head)) => (head, holds.head.from),
                _ => (&way, holds.span.from),
            };
            let seen = Values { numbers: &values, category, tags: self.words.tags(row) };
            let class = self.class_of(way, &seen, row, numbers.pool_depth(row));
            self.has_bands |= class.has_bands;
            // What sellers bill by themselves is priced by bands row by row.
            let is_alone = class.rounds || class.has_bands && !is_usage;
            if is_alone && self.words.source() == Source::Terms {
                *self.uneven.entry(number).or_insert(false) |= class.is_shown;
                return Ok(());
            }
            let key = GroupKey {
                path: number,
                currencies,
                at: month.from.max(since),
                is_usage,
                category,
                is_correction: self.words.is_correction(row),
                commitment: class.commitment,
                is_on_demand: class.is_on_demand,
                unit: class.unit,
                pool_depth: class.pool_depth,
                account: match (class.counts_account, class.has_own_rates) {
                    (true, _) => self.words.account(row),
                    (false, true) => [self.words.provider(row), NULL, NULL],
                    (false, false) => [NULL; 3],
                },
                amounts: there,
                rules: class.rules,
                minimums: class.minimums,
                part: *part,
                alone: is_alone.then_some((self.number, self.rows)),
            };
            match self.groups.entry(key) {
                Entry::Vacant(new) => {
                    let tags = self.words.tags(row).to_vec();
                    let commitment_id = self.words.commitment_id(row);
                    new.insert(Group {
                        way: Arc::clone(way),
                        numbers: values,
                        tags,
                        commitment_id,
                        amounts,
                        cost,
                        rows,
                    });
                }
                Entry::Occupied(mut held) => held.get_mut().add(&amounts, cost, rows)?,
            }
        }
        self.rows += 1;
        self.add_charged(numbers, row, (number, path), false)
    }

    /// What decides a row's prices on the edges of a way, and nothing that does not.
    #[inline]
    fn class_of(&self, way: &Way, seen: &Values<'_>, row: usize, pool_depth: Option<usize>) -> Class {
        let words = &self.words;
        let simulation = &self.simulation;
        let (unit, commitment) = (words.unit(row), words.commitment(row));
        let is_correction = words.is_correction(row);
        let mut class = Class {
            rules: [0; MAX_POSITIONS],
            minimums: 0,
            unit: 0,
            // Who bought a commitment, or left it unused, matters to the root alone.
            commitment: if way.seller_at == 0 { commitment } else { Commitment::None },
            is_on_demand: false,
            pool_depth: None,
            counts_account: false,
            has_own_rates: false,
            has_bands: false,
            rounds: false,
            is_shown: false,
        };
        let book = &simulation.run.book;
        let mut portion = Portion {
            values: *seen,
            unit,
            is_correction,
            commitment,
            commitment_id: words.commitment_id(row),
            currency: NULL,
            amounts: Amounts::default(),
            start: 0,
            period: 0,
            account: [NULL; 3],
            slice: 0,
        };
        let standard = book.vocabulary.as_standard(seen.numbers);
        let no_cost = Amount { value: None, currency: NULL };
        for (position, edge) in way.edges() {
            let seen = portion;
            let scene = Scene { book, lane: &way.lane, edge, at: position - 1, portion: &seen, cost: no_cost };
            let found = scene.find_rule();
            class.has_own_rates |= edge.fx_of == Particular::Provider;
            if let Found::Rule { version, rule, .. } = &found {
                let is_shown = !simulation.hidden.contains(&edge.seller);
                if rule.rounding.or(book.cards.versions[*version].rounding).is_some() {
                    class.rounds = true;
                    class.is_shown |= is_shown;
                }
                if rule.unit == Some(unit) {
                    class.unit = unit;
                }
                if let Method::Bands { scope, .. } = &rule.method {
                    class.has_bands = true;
                    class.is_shown |= is_shown;
                    class.counts_account |= *scope == Scope::Account;
                    if *scope == Scope::Node {
                        class.pool_depth = pool_depth;
                    }
                }
            }
            let policy = scene.policy(&found);
            if seen.commitment == Commitment::Covered && policy == Some(Policy::Rerate) {
                class.commitment = Commitment::Covered;
            }
            if position == 1 && is_on_demand(&scene, &found, policy) {
                class.is_on_demand = true;
                portion.commitment = Commitment::None;
                portion.values.numbers = &standard;
            }
            class.rules[position] = number_of(&found);
        }
        if words.counts_for_minimums(row) {
            for (at, minimum) in way.minimums.iter().enumerate() {
                class.minimums |= u64::from(minimum.condition.holds(&portion.values, unit)) << at;
            }
        }
        class
    }

    fn is_uneven(&mut self, path: u32, holds: Holds, used: Span) {
        let is_shown = holds.shown.until < used.until;
        *self.uneven.entry(path).or_insert(false) |= is_shown;
    }

    /// Adds what was charged for a row from the seller down.
    #[inline]
    fn add_charged(
        &mut self,
        numbers: &Numbers<'_>,
        row: usize,
        (number, path): (u32, &Path),
        is_lost: bool,
    ) -> Result<(), RatingError> {
        let words = &self.words;
        for position in path.seller_at + 1..path.names.len() {
            let outcome = words.outcome(position, row);
            let is_first = position == path.seller_at + 1;
            if outcome == 0 && !is_first {
                break;
            }
            let above = position - 1;
            let cost = match above {
                0 => numbers.effective.and_then(|column| amount(column, row)),
                _ => numbers.price(above, row),
            };
            let price = numbers.price(position, row).filter(|_| outcome == BILLED);
            let currencies = [words.currency_at(position, row), words.currency_at(above, row)];
            let cell = self.cells.entry((number, position, currencies)).or_default();
            cell.charged = sum(cell.charged, price.unwrap_or_default())?;
            cell.cost = sum(cell.cost, cost.unwrap_or_default())?;
            cell.rows += numbers.rows(row);
            if is_lost && is_first {
                cell.lost_rows += numbers.rows(row).max(1);
            }
        }
        Ok(())
    }

    /// Adds what a seller billed by itself by a rule of a card, the card's seller or one below it.
    fn add_owed(
        &mut self,
        simulation: &Simulation,
        numbers: &Numbers<'_>,
        row: usize,
        (number, path): (u32, &Path),
    ) -> Result<(), RatingError> {
        let words = &self.words;
        let sold_to = (path.seller_at + 1..path.names.len()).find(|position| words.outcome(*position, row) != 0);
        let Some(position) = sold_to else { return Ok(()) };
        let at = numbers.used(row, &mut self.month).from;
        let currencies = [words.currency_at(position, row), simulation.currency_of(&path.names[position - 1], at)];
        let cell = self.cells.entry((number, position, currencies)).or_default();
        let price = numbers.price(position, row).filter(|_| words.outcome(position, row) == BILLED);
        cell.charged = sum(cell.charged, price.unwrap_or_default())?;
        cell.rows += numbers.rows(row);
        Ok(())
    }

    /// Adds what another worker has folded.
    pub(super) fn merge(&mut self, other: Self) -> Result<(), RatingError> {
        self.has_bands |= other.has_bands;
        for (key, group) in other.groups {
            match self.groups.entry(key) {
                Entry::Vacant(new) => {
                    new.insert(group);
                }
                Entry::Occupied(mut held) => held.get_mut().add(&group.amounts, group.cost, group.rows)?,
            }
        }
        for (key, more) in other.cells {
            let cell = self.cells.entry(key).or_default();
            cell.charged = sum(cell.charged, more.charged)?;
            cell.cost = sum(cell.cost, more.cost)?;
            cell.rows += more.rows;
            cell.lost_rows += more.lost_rows;
        }
        Ok(())
    }
}

impl Group {
    fn add(&mut self, amounts: &Amounts, cost: Option<i128>, rows: i64) -> Result<(), RatingError> {
        let own = &mut self.amounts;
        let pairs = [
            (&mut own.billed, amounts.billed),
            (&mut own.contracted, amounts.contracted),
            (&mut own.effective, amounts.effective),
            (&mut own.list, amounts.list),
            (&mut own.quantity, amounts.quantity),
            (&mut self.cost, cost),
        ];
        for (held, more) in pairs {
            if let (Some(held), Some(more)) = (held, more) {
                *held = sum(*held, more)?;
            }
        }
        self.rows += rows;
        Ok(())
    }
}

/// The month around an instant; most rows of a batch are of one.
pub(super) fn month_around_memo(memo: &mut (i32, Span), at: i64) -> Span {
    if !memo.1.contains(at) {
        *memo = month_around(at);
    }
    memo.1
}

/// What an edge's cards say, as a number.
fn number_of(found: &Found<'_>) -> u64 {
    match found {
        Found::Nothing => 0,
        Found::Faulty(reason) => 1 + *reason as u64,
        Found::Rule { version, at, .. } => {
            let number = |place: usize| u64::try_from(place).unwrap_or(u64::MAX);
            (number(*version) + 1) << 32 | number(*at)
        }
    }
}

/// A sum of at most 38 digits.
pub(super) fn sum(a: i128, b: i128) -> Result<i128, RatingError> {
    let limit = ratehouse_udfs::decimal::POWERS_OF_TEN[38];
    match a.checked_add(b) {
        Some(sum) if -limit < sum && sum < limit => Ok(sum),
        _ => Err(RatingError::Sum { what: "simulated charges" }),
    }
}
