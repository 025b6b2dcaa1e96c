//! From a stretch of a row to its charges: priced, shared out where it is a pool's, and counted wherever charges are counted.

use ratehouse_udfs::decimal::{ArithmeticError, Rounding, mul_div_round};

use super::assemble::{Mark, Output};
use super::commitments::{TermsTexts, terms_of};
use super::division::{Division, Taker};
use super::error::RatingError;
use super::lanes::Lanes;
use super::outcome::{Fate, Origin};
use super::places::Placement;
use super::portion::{Amounts, Commitment, Overflow, Portion, Step};
use super::portions::{Cut, Previous};
use super::price::Pricer;
use super::reader::Reader;
use super::rollup::RollUps;
use super::tally::{RowPlace, Tally};

/// How many times what a pool costs a fixed share of it can be.
const TIMES_MAX: i128 = 1_000_000_000;

/// What one worker prices with, and what it has added up.
#[derive(Debug)]
pub(crate) struct Charging {
    pub(crate) lanes: Lanes,
    pub(crate) pricer: Pricer,
    pub(crate) tally: Tally,
    pub(crate) rollups: Option<RollUps>,
    terms_texts: TermsTexts,
    previous: Previous,
    /// What was shared out of the stretches before, as a whole.
    wholes: Previous,
    /// What the stretch before, of the same row, had shared out.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    row: usize,
    number: i32,
    /// Its place in the list of the batch.
    division: usize,
    until_now: UntilNow,
}

/// What stretches of a row amount to up to now where they are shared out, and where their shares are shared further.
#[derive(Debug, Clone, Default)]
struct UntilNow {
    whole: Whole,
    below: Vec<Self>,
}

/// Where charges of a batch go.
pub(crate) struct Sink<'a> {
    pub(crate) reader: &'a Reader,
    /// None while quantities are only counted.
    pub(crate) output: Option<&'a mut Output>,
    pub(crate) place: Placement,
}

/// Why a stretch could not be charged.
pub(crate) enum Failure {
    Overflow(Overflow),
    Other(RatingError),
}

impl From<Overflow> for Failure {
    fn from(overflow: Overflow) -> Self {
        Self::Overflow(overflow)
    }
}

impl From<RatingError> for Failure {
    fn from(error: RatingError) -> Self {
        Self::Other(error)
    }
}

/// A share of an amount did not fit.
impl From<ArithmeticError> for Failure {
    fn from(_: ArithmeticError) -> Self {
        Self::Overflow(Overflow { edge: 0, rule: super::texts::NULL })
    }
}

impl Charging {
    pub(crate) fn new(pricer: Pricer, terms_texts: TermsTexts, rollups: Option<RollUps>) -> Self {
        Self {
            lanes: Lanes::new(),
            pricer,
            tally: Tally::default(),
            rollups,
            terms_texts,
            previous: Previous::default(),
            wholes: Previous::default(),
            shared: None,
        }
    }

    /// Another batch begins.
    pub(crate) fn open(&mut self) {
        self.previous.forget();
        self.wholes.forget();
        self.shared = None;
    }

    /// Prices a stretch that one node owns.
    #[inline]
    pub(crate) fn charge(&mut self, sink: &mut Sink<'_>, cut: &Cut, portion: &Portion<'_>) -> Result<(), Failure> {
        self.price(cut, portion, 0, &[])?;
        let lane = self.lanes.get(cut.lane);
        let fate = if lane.is_unallocated { Fate::Unallocated } else { Fate::Direct };
        self.emit(sink, cut, portion, &Mark::of(fate), cut.number == 0)
    }

    /// Prices what a seller originates, from its buyer down: `above` ends with the step of the edge on which it is sold.
    pub(crate) fn charge_own(
        &mut self,
        sink: &mut Sink<'_>,
        cut: &Cut,
        portion: &Portion<'_>,
        (origin, above): (Origin, &[Step]),
    ) -> Result<(), Failure> {
        if above.last().is_some_and(|sale| sale.outcome.goes_on()) {
            self.price(cut, portion, 0, above)?;
        } else {
            self.pricer.stay(above);
        }
        let mark = Mark { origin, above: above.len(), ..Mark::of(Fate::Direct) };
        self.emit(sink, cut, portion, &mark, true)
    }

    /// Prices a stretch down to the owner of its pool and shares out what it costs there, by one of the divisions of the batch.
    ///
    /// While shares stay the same, those of all stretches of a row together are what they would be of the whole row: where it is
    /// cut makes no difference to them.
    pub(crate) fn charge_pool(
        &mut self,
        sink: &mut Sink<'_>,
        cut: &Cut,
        portion: &Portion<'_>,
        (divisions, at): (&[Division], usize),
    ) -> Result<(), Failure> {
        let division = &divisions[at];
        let before = self.shared.take().filter(|held| {
            held.row == cut.row && held.number + 1 == cut.number && divisions[held.division].has_shares_of(division)
        });
        let mut until_now = before.map(|held| held.until_now).unwrap_or_default();
        let mut is_first = cut.number == 0;
        let above = Inherited { steps: &[], mark: Mark::of(Fate::Direct) };
        self.share_out(sink, (cut, portion), division, &above, (&mut until_now, &mut is_first))?;
        if !cut.is_last {
            self.shared = Some(Shared { row: cut.row, number: cut.number, division: at, until_now });
        }
        Ok(())
    }

    fn share_out(
        &mut self,
        sink: &mut Sink<'_>,
        (cut, portion): (&Cut, &Portion<'_>),
        division: &Division,
        above: &Inherited<'_>,
        (until_now, is_first): (&mut UntilNow, &mut bool),
    ) -> Result<(), Failure> {
        let cut = &Cut { lane: division.lane, ..*cut };
        // What is shared out goes on as a whole, too, whatever becomes of its parts.
        let whole_salt = division.own.salt;
        self.pricer.feeds_pool = division.feeds_pool();
        let priced = self.price_whole(cut, portion, whole_salt, above.steps);
        self.pricer.feeds_pool = false;
        priced?;
        let lane = self.lanes.get(division.lane);
        let mut rest = Whole { amounts: portion.amounts, steps: self.pricer.steps.clone() };
        let arrives = portion.amounts.billed.is_some()
            && rest.steps.len() == lane.edges.len()
            && rest.steps.last().is_none_or(|step| step.outcome.goes_on());
        if !arrives {
            // It does not reach the pool's owner: somebody above has kept it.
            *until_now = UntilNow::default();
            if sink.output.is_some() {
                // It is a charge like any that is in no pool, and goes on from these.
                self.price(cut, portion, above.mark.salt, above.steps)?;
            }
            return self.emit(sink, cut, portion, &above.mark, std::mem::take(is_first));
        }
        let Some(total) = self.total_of(division, portion)? else { return Ok(()) };
        let (shares, own) = if total == 0 { (&[][..], 0) } else { (division.shares.as_slice(), division.own.weight) };
        let is_shared = !shares.is_empty() || own != 0;
        let mark = Mark {
            fate: if is_shared { Fate::Allocated } else { Fate::Unallocated },
            pool: division.pool,
            driver: division.driver,
            depth: Some(division.depth),
            ..above.mark
        };
        let disclosed_to = if division.is_disclosed { None } else { Some(division.depth) };
        let disclosed_to = above.mark.disclosed_to.into_iter().chain(disclosed_to).min();
        let before = std::mem::take(&mut until_now.whole);
        until_now.whole = rest.after(&before)?;
        until_now.below.resize_with(shares.len(), UntilNow::default);
        for ((share, taker), below) in shares.iter().zip(&mut until_now.below) {
            let mut part = until_now.whole.part(share.weight, total)?;
            part.take(&before.part(share.weight, total)?);
            rest.take(&part);
            let mark = Mark { salt: share.salt, disclosed_to, ..mark };
            let portion = Portion { amounts: part.amounts, ..*portion };
            match taker {
                Taker::Lane(lane) => {
                    let cut = &Cut { lane: *lane, ..*cut };
                    self.price(cut, &portion, mark.salt, &part.steps)?;
                    self.emit(sink, cut, &portion, &mark, std::mem::take(is_first))?;
                }
                Taker::Division(division) => {
                    let above = Inherited { steps: &part.steps, mark };
                    self.share_out(sink, (cut, &portion), division, &above, (below, is_first))?;
                }
            }
        }
        let left = division.left.filter(|_| total != 0);
        if left.is_some() && own != 0 {
            // The owner's own share, apart from what is nobody's.
            let mut part = until_now.whole.part(own, total)?;
            part.take(&before.part(own, total)?);
            rest.take(&part);
            self.stay(sink, cut, portion, &part, (&Mark { salt: division.own.salt, ..mark }, is_first))?;
        }
        let mark = match left {
            Some(salt) => Mark { fate: Fate::Unallocated, salt, ..mark },
            None => Mark { salt: division.own.salt, ..mark },
        };
        if left.is_none() && (own != 0 || shares.is_empty()) || !rest.is_nothing() {
            self.stay(sink, cut, portion, &rest, (&mark, is_first))?;
        }
        Ok(())
    }

    /// Prices a stretch below the edges on which it has its steps already, after the stretches of the row before it.
    #[inline]
    fn price(&mut self, cut: &Cut, portion: &Portion<'_>, salt: u64, above: &[Step]) -> Result<(), Overflow> {
        let Self { lanes, pricer, previous, .. } = self;
        price_after(previous, (lanes, pricer), (cut, portion), salt, above)
    }

    /// The same for what is shared out further down, which is no charge.
    fn price_whole(&mut self, cut: &Cut, portion: &Portion<'_>, salt: u64, above: &[Step]) -> Result<(), Overflow> {
        let Self { lanes, pricer, wholes, .. } = self;
        price_after(wholes, (lanes, pricer), (cut, portion), salt, above)?;
        wholes.followed_by(cut, salt, lanes, (&pricer.steps, &pricer.runs));
        Ok(())
    }

    /// Adds a charge of the pool's owner.
    fn stay(
        &mut self,
        sink: &mut Sink<'_>,
        cut: &Cut,
        portion: &Portion<'_>,
        part: &Whole,
        (mark, is_first): (&Mark, &mut bool),
    ) -> Result<(), Failure> {
        let portion = Portion { amounts: part.amounts, ..*portion };
        self.pricer.stay(&part.steps);
        self.emit(sink, cut, &portion, mark, std::mem::take(is_first))
    }

    /// What the weights of a division are parts of; 0 where nothing can be shared out, none while that is only counted.
    fn total_of(&mut self, division: &Division, portion: &Portion<'_>) -> Result<Option<i128>, Failure> {
        if !division.is_counted {
            return Ok(division.total);
        }
        // Amounts of another currency are none of these; only the root can meet some.
        let steps = &self.pricer.steps;
        let cost = match steps.last() {
            None => portion.amounts.billed.filter(|_| portion.currency == division.currency),
            Some(step) => step.price,
        };
        let counted = match cost {
            None => Some(0),
            Some(cost) => self.pricer.total_of_pool(division.index, portion, cost)?,
        };
        let (own, others) = (&division.own, division.shares.iter().map(|(share, _)| share));
        let largest = others.chain([own]).map(|share| share.weight).max().unwrap_or_default();
        Ok(match (division.total, counted) {
            (Some(total), _) => Some(total),
            // Of next to nothing no amounts can be made.
            (None, Some(total)) if largest / TIMES_MAX > total.saturating_abs() => Some(0),
            (None, counted) => counted,
        })
    }

    /// Adds the charge that the pricer's steps make of a portion.
    #[inline]
    fn emit(
        &mut self,
        sink: &mut Sink<'_>,
        cut: &Cut,
        portion: &Portion<'_>,
        mark: &Mark,
        is_first: bool,
    ) -> Result<(), Failure> {
        let Some(output) = &mut sink.output else { return Ok(()) };
        let lane = self.lanes.get(cut.lane);
        let steps = &self.pricer.steps;
        let is_commitments = portion.commitment != Commitment::None && portion.values.category.is_sold();
        let terms = is_commitments.then(|| self.terms_texts.of(&terms_of(&lane.commitments, portion)));
        let mark = &Mark { terms, ..*mark };
        let continuity = self.previous.followed_by(cut, mark.salt, &self.lanes, (steps, &self.pricer.runs));
        output.push(continuity, (cut, lane), (portion, steps), mark);
        let spot = RowPlace { slice: portion.slice, owner: lane.owner_place };
        self.tally.add(spot, mark, is_first, &portion.amounts, steps);
        sink.place.slice_of_row.push(portion.slice);
        sink.place.child_of_row.push(lane.child_place);
        sink.place.owner_of_row.push(lane.owner_place);
        if let Some(rollups) = &mut self.rollups {
            rollups.add((sink.reader, cut.row), (continuity, mark), lane, portion, steps)?;
        }
        Ok(())
    }
}

#[inline]
fn price_after(
    previous: &Previous,
    (lanes, pricer): (&Lanes, &mut Pricer),
    (cut, portion): (&Cut, &Portion<'_>),
    salt: u64,
    above: &[Step],
) -> Result<(), Overflow> {
    let lane = lanes.get(cut.lane);
    pricer.before.clear();
    if cut.number > 0 {
        // Which rules price it decides what came before it, and that decides its prices.
        pricer.is_probe = true;
        let probed = pricer.go_on(lane, portion, above);
        pricer.is_probe = false;
        probed?;
        pricer.before = previous.runs_before(cut, salt, lanes, &pricer.steps);
    }
    pricer.go_on(lane, portion, above)
}

/// What a pool further up has made of a stretch.
struct Inherited<'a> {
    /// Its prices so far.
    steps: &'a [Step],
    mark: Mark,
}

/// What a stretch amounts to where it is shared out: the provider's amounts, and what everybody down to there pays.
#[derive(Debug, Clone, Default)]
struct Whole {
    amounts: Amounts,
    steps: Vec<Step>,
}

impl Whole {
    /// A share, each amount cut off after scale 18, so that it depends on no other share.
    fn part(&self, weight: i128, total: i128) -> Result<Self, ArithmeticError> {
        self.map(|amount| mul_div_round(amount, weight, total, Rounding::Down))
    }

    fn map(&self, of: impl Fn(i128) -> Result<i128, ArithmeticError>) -> Result<Self, ArithmeticError> {
        let amounts = self.amounts.map(&of)?;
        let steps = self.steps.iter().map(|step| Ok(Step { price: step.price.map(&of).transpose()?, ..*step }));
        Ok(Self { amounts, steps: steps.collect::<Result<_, ArithmeticError>>()? })
    }

    /// Its amounts, paired with those of another; steps from the lowest up, whose place is the same wherever the owner stands.
    fn pairs<'a>(&'a mut self, other: &'a Self) -> impl Iterator<Item = (&'a mut Option<i128>, Option<i128>)> {
        let (own, others) = (&mut self.amounts, &other.amounts);
        let amounts = [
            (&mut own.billed, others.billed),
            (&mut own.contracted, others.contracted),
            (&mut own.effective, others.effective),
            (&mut own.list, others.list),
            (&mut own.quantity, others.quantity),
        ];
        let steps = self.steps.iter_mut().rev().zip(other.steps.iter().rev());
        amounts.into_iter().chain(steps.map(|(own, other)| (&mut own.price, other.price)))
    }

    /// Both together; what one lacks counts as nothing.
    fn after(&self, before: &Self) -> Result<Self, ArithmeticError> {
        let mut sum = self.clone();
        for (own, before) in sum.pairs(before) {
            if let (Some(own), Some(before)) = (own, before) {
                *own = own.checked_add(before).ok_or(ArithmeticError::Overflow)?;
            }
        }
        Ok(sum)
    }

    /// Takes a part away. Amounts have at most 38 digits, so that their differences fit 128 bits.
    fn take(&mut self, part: &Self) {
        for (own, part) in self.pairs(part) {
            if let (Some(own), Some(part)) = (own, part) {
                *own -= part;
            }
        }
    }

    fn is_nothing(&self) -> bool {
        let Amounts { billed, contracted, effective, list, quantity } = self.amounts;
        let amounts = [billed, contracted, effective, list, quantity].into_iter();
        amounts.chain(self.steps.iter().map(|step| step.price)).flatten().all(|amount| amount == 0)
    }
}
