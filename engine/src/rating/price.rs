//! Prices one portion on every edge of its path: policy first, rule second.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use ratehouse_udfs::decimal::{ArithmeticError, ONE, POWERS_OF_TEN, Rounding, SCALE, div_round, mul_div_round};

use super::bands::{Bands, Scope, TotalPrice};
use super::book::RateBook;
use super::commitments::{Benefit, terms_of};

use super::counters::{BandTotals, Counted, Counter, CounterKey, name_of_pool};
use super::error::RatingError;
use super::fx::{Pair, Particular};
use super::lanes::{Edge, Lane};
use super::method::{Base, Method};
use super::outcome::{Outcome, Reason};
use super::policies::Policy;
use super::pools::PoolIndex;
use super::portion::{Commitment, Overflow, Portion, Step};
use super::rules::{Rule, Values};
use super::run::RatingRun;
use super::scene::{Amount, Found, Scene};
use super::texts::{NULL, Texts};
use super::vocabulary::Category;

/// Why an edge gives no price.
enum Stop {
    Unrated(Reason),
    Overflow(u32),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Unrated(reason)
    }
}

/// The rule that prices a portion.
struct OwnRule<'a> {
    version: usize,
    at: usize,
    rule: &'a Rule,
    text: u32,
    /// The base that a policy puts in place of the rule's.
    base: Option<Base>,
}

/// Whether totals are only counted, or rows are priced with known ones.
#[derive(Debug)]
pub(crate) enum Totals {
    /// A pass before rows are priced.
    Counting(Counts),
    /// Rows are priced.
    Known(Arc<BandTotals>),
    /// As if the portion were all that the period has.
    Alone,
}

/// What a pass counts, by slice and counter.
#[derive(Debug)]
pub(crate) struct Counts {
    sums: HashMap<(u32, Counter), i128>,
    /// What the pass before has counted.
    known: Arc<BandTotals>,
    /// The totals that decide what comes to other counters: what a pool costs of which shares are amounts, what bands make of that
    /// cost, and whether there is a price at all in bands that end.
    hinges: HashSet<Counter>,
}

impl Counts {
    pub(crate) fn new(known: &Arc<BandTotals>) -> Self {
        Self { sums: HashMap::new(), known: Arc::clone(known), hinges: HashSet::new() }
    }

    /// None when the sum does not fit.
    fn add(&mut self, slice: u32, counter: Counter, amount: i128) -> Option<()> {
        let sum = self.sums.entry((slice, counter)).or_insert(0);
        *sum = sum.checked_add(amount)?;
        Some(())
    }
}

/// What the stretches of a row have come to on one edge, as long as its buyer sees no difference between them.
///
/// A price is not simply that of a stretch's own base: it is what all of them until now would cost as one, less what those before
/// cost. So their sum, which is what the buyer sees, does not depend on where the row was cut by what the buyer may not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// What the prices are made of: cost, list price or quantity.
    base: i128,
    price: i128,
}

/// Prices portions; each worker has one.
#[derive(Debug)]
pub(crate) struct Pricer {
    book: Arc<RateBook>,
    texts: Arc<Texts>,
    /// Texts of usage columns, for the names of counters.
    values: Arc<Texts>,
    pub(crate) totals: Totals,
    total_prices: HashMap<CounterKey, TotalPrice>,
    rule_texts: Vec<Vec<u32>>,
    /// By policy, what its more particular source is about, and the currencies.
    pairs: HashMap<(u32, Option<usize>, [u32; 2]), Pair>,
    rate_texts: HashMap<String, u32>,
    /// The steps of the portion priced last, from position 1.
    pub(crate) steps: Vec<Step>,
    /// What was priced until now on the edges of those steps, with what came before.
    pub(crate) runs: Vec<Run>,
    /// What came before the portion that is priced next, by edge; an edge that it lacks has nothing before.
    pub(crate) before: Vec<Run>,
    /// The one of the edge that is being priced.
    run: Run,
    /// Whether quantities are left uncounted, because the portion is priced once more.
    pub(crate) is_probe: bool,
    /// Whether a pool's total is made of what the portion costs.
    pub(crate) feeds_pool: bool,
    /// By pool and billing period; none is known of a pool that nobody has counted yet.
    pool_totals: HashMap<(PoolIndex, i32), Option<i128>>,
}

impl Pricer {
    pub(crate) fn new(run: &RatingRun, totals: Totals) -> Self {
        Self {
            rule_texts: vec![Vec::new(); run.book.cards.versions.len()],
            book: Arc::clone(&run.book),
            texts: Arc::clone(&run.terms),
            values: Arc::clone(&run.values),
            totals,
            total_prices: HashMap::new(),
            pairs: HashMap::new(),
            rate_texts: HashMap::new(),
            steps: Vec::new(),
            runs: Vec::new(),
            before: Vec::new(),
            run: Run::default(),
            is_probe: false,
            feeds_pool: false,
            pool_totals: HashMap::new(),
        }
    }

    /// Leaves a portion with the steps that it has.
    pub(crate) fn stay(&mut self, steps: &[Step]) {
        self.steps.clear();
        self.steps.extend_from_slice(steps);
        self.runs.clear();
        self.runs.resize(steps.len(), Run::default());
    }

    /// What was counted, by slice; empty unless this pass counts.
    pub(crate) fn counted(&self) -> Result<HashMap<u32, BandTotals>, RatingError> {
        let mut by_slice: HashMap<u32, BandTotals> = HashMap::new();
        let Totals::Counting(counts) = &self.totals else { return Ok(by_slice) };
        for ((slice, counter), sum) in &counts.sums {
            let Some(name) = self.name_of(counter) else { continue };
            by_slice.entry(*slice).or_default().add(&name, *sum)?;
        }
        Ok(by_slice)
    }

    /// Counters by whose totals others were counted; none unless this pass counts.
    pub(crate) fn hinges(&self) -> impl Iterator<Item = String> {
        let hinges = if let Totals::Counting(counts) = &self.totals { Some(&counts.hinges) } else { None };
        hinges.into_iter().flatten().filter_map(|counter| self.name_of(counter))
    }

    fn name_of(&self, counter: &Counter) -> Option<String> {
        let book = &self.book;
        match counter {
            Counter::Band(key) => {
                let rule = book.cards.table(key.version, &book.vocabulary)?.rules.get(key.rule)?;
                Some(key.text(&book.tree, &book.cards, &self.values, &rule.rule_id))
            }
            Counter::Pool(pool, period) => Some(name_of_pool(book.pools.get(*pool), &book.tree, *period)),
        }
    }

    /// Prices a portion on every edge of its lane into `steps`, below those on which it has its steps already; ends after an edge
    /// below which it does not exist.
    #[inline]
    pub(crate) fn go_on(&mut self, lane: &Lane, portion: &Portion<'_>, above: &[Step]) -> Result<(), Overflow> {
        self.stay(above);
        // What the root does not pay for has no price further down.
        if above.is_empty() && portion.amounts.billed.is_none() {
            return Ok(());
        }
        let book = Arc::clone(&self.book);
        let Some(first) = lane.edges.first() else { return Ok(()) };
        if above.is_empty() && !self.sell((&book, lane, first), portion)? {
            return Ok(());
        }
        // Whoever buys below knows nothing of a commitment whose benefit it does not have: neither do its rules.
        if Step::is_sold_on_demand(&self.steps) {
            let numbers = book.vocabulary.as_standard(portion.values.numbers);
            let values = Values { numbers: &numbers, ..portion.values };
            return self.sell_on((&book, lane), &Portion { values, commitment: Commitment::None, ..*portion });
        }
        self.sell_on((&book, lane), portion)
    }

    /// The edges after those that have their steps.
    fn sell_on(&mut self, (book, lane): (&RateBook, &Lane), portion: &Portion<'_>) -> Result<(), Overflow> {
        for edge in lane.edges.iter().skip(self.steps.len()) {
            if !self.sell((book, lane, edge), portion)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds the step of the next edge; false where the portion does not exist below it.
    #[inline]
    fn sell(&mut self, (book, lane, edge): (&RateBook, &Lane, &Edge), portion: &Portion<'_>) -> Result<bool, Overflow> {
        let at = self.steps.len();
        let cost = match self.steps.last() {
            None => Amount { value: portion.amounts.effective, currency: portion.currency },
            Some(step) => Amount { value: step.price, currency: lane.edges[at - 1].currency },
        };
        let scene = Scene { book, lane, edge, at, portion, cost };
        let step = self.on_edge(&scene).map_err(|rule| Overflow { edge: at + 1, rule })?;
        self.steps.push(step);
        self.runs.push(std::mem::take(&mut self.run));
        Ok(step.outcome.goes_on())
    }

    /// Prices a portion on one edge; the error is the rule, or the rate, that an amount overflowed at.
    #[inline]
    pub(crate) fn on_edge(&mut self, scene: &Scene<'_>) -> Result<Step, u32> {
        match self.step(scene) {
            Ok(step) => Ok(step),
            Err(Stop::Unrated(reason)) => Ok(Step::unrated(reason)),
            Err(Stop::Overflow(rule)) => Err(rule),
        }
    }

    fn step(&mut self, scene: &Scene<'_>) -> Result<Step, Stop> {
        let portion = scene.portion;
        if scene.at == 0 && portion.commitment == Commitment::Retained {
            return Ok(Step::RETAINED);
        }
        let found = scene.find_rule();
        let policy = scene.policy(&found);
        let is_on_demand = is_on_demand(scene, &found, policy);
        let base = is_on_demand.then_some(Base::List);
        let step = match policy {
            Some(Policy::Retain) => Ok(Step::RETAINED),
            Some(Policy::Pass) => self.pass(scene, base, Outcome::Billed),
            Some(Policy::Unknown) => Err(Reason::BrokenRule.into()),
            Some(Policy::Report) => match found {
                Found::Nothing => self.pass(scene, base, Outcome::Reported),
                _ => self.by_rule(scene, &found, base, Outcome::Reported),
            },
            Some(Policy::Rerate) if !matches!(found, Found::Nothing) => {
                self.by_rule(scene, &found, base, Outcome::Billed)
            }
            Some(Policy::Rerate) | None => self.by_default(scene, &found, base),
        };
        step.map(|step| Step { is_on_demand: is_on_demand && scene.at == 0 && step.outcome.goes_on(), ..step })
    }

    /// Without a policy: Usage and Purchase by rules, Tax and Credit retained, Adjustment passed
    /// through; edges that only allocate pass everything through that no rule prices.
    fn by_default(&mut self, scene: &Scene<'_>, found: &Found<'_>, base: Option<Base>) -> Result<Step, Stop> {
        match (found, scene.portion.values.category) {
            (Found::Rule { .. } | Found::Faulty(_), _) => self.by_rule(scene, found, base, Outcome::Billed),
            (Found::Nothing, _) if scene.edge.allocates => self.pass(scene, base, Outcome::Billed),
            (Found::Nothing, Category::Usage | Category::Purchase) => Err(Reason::NoRule.into()),
            (Found::Nothing, Category::Tax | Category::Credit) => Ok(Step::RETAINED),
            (Found::Nothing, Category::Adjustment) => self.pass(scene, base, Outcome::Billed),
            (Found::Nothing, Category::Unknown) => Err(Reason::Category.into()),
        }
    }

    fn pass(&mut self, scene: &Scene<'_>, base: Option<Base>, outcome: Outcome) -> Result<Step, Stop> {
        let amount = scene.base(base.unwrap_or(Base::Cost))?;
        let cost = amount.value.ok_or(Reason::NoBase)?;
        let (price, fx_rate) =
            self.go_on_from(scene, cost, NULL, |own, cost| own.convert(scene, Amount { value: Some(cost), ..amount }))?;
        Ok(Step { price: Some(price), outcome, rule: NULL, fx_rate, reason: None, is_on_demand: false })
    }

    /// The price of a base after what came before on its edge.
    #[inline]
    fn go_on_from(
        &mut self,
        scene: &Scene<'_>,
        base: i128,
        rule: u32,
        price_of: impl FnOnce(&mut Self, i128) -> Result<(i128, u32), Stop>,
    ) -> Result<(i128, u32), Stop> {
        let before = self.before.get(scene.at).copied().unwrap_or_default();
        let base = before.base.checked_add(base).ok_or(Stop::Overflow(rule))?;
        let (price, fx_rate) = price_of(self, base)?;
        self.run = Run { base, price };
        let now = price.checked_sub(before.price).ok_or(ArithmeticError::Overflow);
        Ok((within(now).ok_or(Stop::Overflow(rule))?, fx_rate))
    }

    fn by_rule(
        &mut self,
        scene: &Scene<'_>,
        found: &Found<'_>,
        base: Option<Base>,
        outcome: Outcome,
    ) -> Result<Step, Stop> {
        let priced = match found {
            Found::Nothing => Err(Reason::NoRule.into()),
            Found::Faulty(reason) => Err((*reason).into()),
            Found::Rule { version, at, rule, is_in_currency } => {
                let text = self.rule_text(*version, *at, rule);
                let own = OwnRule { version: *version, at: *at, rule, text, base };
                if !is_in_currency && rule.method.is_in_money() {
                    Err(Reason::CardCurrency.into())
                } else {
                    self.apply(scene, &own).map(|(price, fx_rate)| Step {
                        price: Some(price),
                        outcome,
                        rule: text,
                        fx_rate,
                        reason: None,
                        is_on_demand: false,
                    })
                }
            }
        };
        match priced {
            // What only allocates is never unrated for want of a good rule.
            Err(Stop::Unrated(reason)) if scene.edge.allocates && reason != Reason::NoRate => {
                self.pass(scene, base, outcome)
            }
            other => other,
        }
    }

    fn apply(&mut self, scene: &Scene<'_>, own: &OwnRule<'_>) -> Result<(i128, u32), Stop> {
        let rule = own.rule;
        if rule.unit.is_some_and(|unit| unit != scene.portion.unit) {
            return Err(Reason::Unit.into());
        }
        let overflow = Stop::Overflow(own.text);
        let quantity = || scene.portion.amounts.quantity.ok_or(Reason::NoQuantity);
        let rounding = rule.rounding.or(scene.book.cards.versions[own.version].rounding);
        let rounded = |price: Result<i128, ArithmeticError>| {
            let price = match rounding {
                None => price,
                Some(rounding) => price.and_then(|price| round_to(price, rounding)),
            };
            within(price).ok_or(overflow)
        };
        match &rule.method {
            Method::Factor { factor, base } => {
                let Amount { value, currency } = scene.base(own.base.unwrap_or(*base))?;
                let value = value.ok_or(Reason::NoBase)?;
                self.go_on_from(scene, value, own.text, |this, value| {
                    let (converted, fx_rate) = this.convert(scene, Amount { value: Some(value), currency })?;
                    Ok((rounded(factor.apply(converted))?, fx_rate))
                })
            }
            Method::UnitPrice(price) => self.go_on_from(scene, quantity()?, own.text, |_, quantity| {
                Ok((rounded(mul_div_round(*price, quantity, ONE, Rounding::HalfEven))?, NULL))
            }),
            Method::Zero => Ok((0, NULL)),
            Method::Broken => Err(Reason::BrokenRule.into()),
            Method::Bands { bands, scope } => {
                let quantity = quantity()?;
                let total = self.total_by_bands(scene, own, (bands, *scope), quantity)?;
                self.go_on_from(scene, quantity, own.text, |_, quantity| {
                    let Some(total) = total else { return Ok((0, NULL)) };
                    let part = total.part(quantity).map_err(|_| Stop::Overflow(own.text))?;
                    Ok((rounded(Ok(part.ok_or(Reason::Bands)?))?, NULL))
                })
            }
        }
    }

    /// What the total that a portion counts for costs; none where a pass that counts does not know it, or need not.
    fn total_by_bands(
        &mut self,
        scene: &Scene<'_>,
        own: &OwnRule<'_>,
        (bands, scope): (&Bands, Scope),
        quantity: i128,
    ) -> Result<Option<TotalPrice>, Stop> {
        let key = CounterKey {
            seller: scene.edge.seller,
            buyer: scene.edge.buyer,
            version: own.version,
            rule: own.at,
            period: scene.portion.period,
            scope: Counted::of(scope, scene.lane, scene.portion.account),
        };
        let overflow = |_| Stop::Overflow(own.text);
        match &mut self.totals {
            Totals::Alone => bands.price_total(quantity).map(Some).map_err(overflow),
            Totals::Known(_) => {
                let total = self.total_price(scene.book, key, own.rule, bands).map_err(overflow)?;
                Ok(Some(total.ok_or(Reason::Bands)?))
            }
            Totals::Counting(counts) => {
                if !self.is_probe {
                    let counted = counts.add(scene.portion.slice, Counter::Band(key), quantity);
                    counted.ok_or(Stop::Overflow(own.text))?;
                }
                if !self.feeds_pool && !bands.is_limited() {
                    return Ok(None);
                }
                counts.hinges.insert(Counter::Band(key));
                self.total_price(scene.book, key, own.rule, bands).map_err(overflow)
            }
        }
    }

    fn total_price(
        &mut self,
        book: &RateBook,
        key: CounterKey,
        rule: &Rule,
        bands: &Bands,
    ) -> Result<Option<TotalPrice>, ArithmeticError> {
        if let Some(known) = self.total_prices.get(&key) {
            return Ok(Some(*known));
        }
        let totals = match &self.totals {
            Totals::Known(totals) | Totals::Counting(Counts { known: totals, .. }) => totals,
            Totals::Alone => return Ok(None),
        };
        let name = key.text(&book.tree, &book.cards, &self.values, &rule.rule_id);
        let Some(total) = totals.get(&name) else { return Ok(None) };
        let priced = bands.price_total(total)?;
        self.total_prices.insert(key, priced);
        Ok(Some(priced))
    }

    /// What a pool costs its owner in the portion's billing period; a pass that counts adds the portion's own cost to it, and knows
    /// none as long as none was counted before.
    pub(crate) fn total_of_pool(
        &mut self,
        pool: PoolIndex,
        portion: &Portion<'_>,
        cost: i128,
    ) -> Result<Option<i128>, Overflow> {
        let (totals, unknown) = match &mut self.totals {
            Totals::Counting(counts) => {
                let counter = Counter::Pool(pool, portion.period);
                counts.add(portion.slice, counter, cost).ok_or(Overflow { edge: 0, rule: NULL })?;
                counts.hinges.insert(counter);
                (&counts.known, None)
            }
            // What was not counted is not shared out.
            Totals::Known(totals) => (&*totals, Some(0)),
            Totals::Alone => return Ok(Some(cost)),
        };
        let book = &self.book;
        let total = self.pool_totals.entry((pool, portion.period));
        let total =
            *total.or_insert_with(|| totals.get(&name_of_pool(book.pools.get(pool), &book.tree, portion.period)));
        Ok(total.or(unknown))
    }

    /// Converts to the buyer's currency by the rate of the portion's first day.
    fn convert(&mut self, scene: &Scene<'_>, amount: Amount) -> Result<(i128, u32), Stop> {
        let value = amount.value.ok_or(Reason::NoBase)?;
        let edge = scene.edge;
        if amount.currency == edge.currency {
            return Ok((value, NULL));
        }
        let provider = scene.portion.account[0];
        let of = match edge.fx_of {
            Particular::Nothing => None,
            Particular::Buyer => Some(edge.buyer),
            Particular::Provider => usize::try_from(provider).ok(),
        };
        let key = (edge.fx_policy, of, [amount.currency, edge.currency]);
        let pair = match self.pairs.get(&key) {
            Some(pair) => *pair,
            None => {
                let [policy, from, to] = [key.0, key.2[0], key.2[1]].map(|number| self.texts.text(number));
                let stated =
                    (edge.fx_of == Particular::Provider && provider != NULL).then(|| self.values.text(provider));
                let of = match edge.fx_of {
                    Particular::Nothing => None,
                    Particular::Buyer => Some(scene.book.tree.name(edge.buyer)),
                    Particular::Provider => stated.as_deref(),
                };
                let pair = scene.book.fx.pair(&policy, of, (&from, &to));
                self.pairs.insert(key, pair);
                pair
            }
        };
        let found = scene.book.fx.on(pair, scene.portion.start).ok_or(Reason::NoRate)?;
        let fx_rate = match self.rate_texts.get(found.fx_rate_id) {
            Some(number) => *number,
            None => {
                let number = self.texts.number(found.fx_rate_id);
                self.rate_texts.insert(found.fx_rate_id.to_owned(), number);
                number
            }
        };
        let converted = within(found.apply(value)).ok_or(Stop::Overflow(fx_rate))?;
        Ok((converted, fx_rate))
    }

    #[inline]
    fn rule_text(&mut self, version: usize, at: usize, rule: &Rule) -> u32 {
        let known = &mut self.rule_texts[version];
        if let Some(number) = known.get(at)
            && *number != NULL
        {
            return *number;
        }
        if known.len() <= at {
            known.resize(at + 1, NULL);
        }
        let number = self.texts.number(&self.book.cards.rule_text(version, &rule.rule_id));
        known[at] = number;
        number
    }
}

/// An amount rounded to so many digits after the point, by a mode.
fn round_to(amount: i128, (mode, digits): (Rounding, u8)) -> Result<i128, ArithmeticError> {
    let unit = POWERS_OF_TEN[usize::from(SCALE.unsigned_abs().saturating_sub(digits))];
    div_round(amount, unit, mode)?.checked_mul(unit).ok_or(ArithmeticError::Overflow)
}

/// Whether what a commitment covered is sold at its on-demand price: by a charge policy of the edge, or by a policy of commitments on
/// the root's.
#[inline]
pub(crate) fn is_on_demand(scene: &Scene<'_>, found: &Found<'_>, policy: Option<Policy>) -> bool {
    let portion = scene.portion;
    if portion.commitment != Commitment::Covered {
        return false;
    }
    let is_rerated = policy == Some(Policy::Rerate) && !matches!(found, Found::Nothing);
    let is_usage = portion.values.category == Category::Usage;
    is_rerated || scene.at == 0 && is_usage && terms_of(&scene.lane.commitments, portion).benefit != Benefit::User
}

/// Passes a result of at most 38 digits.
#[inline]
fn within(result: Result<i128, ArithmeticError>) -> Option<i128> {
    result.ok().filter(|value| value.unsigned_abs() < POWERS_OF_TEN[38].unsigned_abs())
}
