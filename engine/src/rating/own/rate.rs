//! Own rows to charges and roll-ups: priced from their seller's buyer down to the node that has them.

use std::sync::Arc;

use ratehouse_udfs::decimal::POWERS_OF_TEN;

use super::{OwnRow, batch};
use crate::lake::schema::LakeTable;
use crate::rating::charging::{Failure, Sink};
use crate::rating::columns::Facts;
use crate::rating::error::RatingError;
use crate::rating::fx::Particular;
use crate::rating::lanes::Lane;
use crate::rating::outcome::{Origin, Outcome, Reason};
use crate::rating::pipeline::{ChargeSink, RatingOptions, RatingOutcome, roll_up};
use crate::rating::places::{Placement, SliceName};
use crate::rating::portion::{Amounts, Commitment, Overflow, Portion, Step};
use crate::rating::portions::Cut;
use crate::rating::rater::{Rated, Rater};
use crate::rating::reader::Column;
use crate::rating::rollup::{RollUpShared, RollUps};
use crate::rating::run::RatingRun;
use crate::rating::span::Span;
use crate::rating::texts::NULL;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// Rates what a seller bills by itself in a billing period and hands charges and roll-ups to the sink.
///
/// # Errors
/// As [`rate`](crate::rating::rate).
pub async fn rate_own(
    rows: Vec<OwnRow>,
    period: i32,
    run: &Arc<RatingRun>,
    sink: Arc<dyn ChargeSink>,
    options: &RatingOptions,
) -> Result<RatingOutcome, RatingError> {
    let shared = RollUpShared::new(run, Arc::clone(&options.runtime));
    let mut rater = Rater::of_own(run, RollUps::new(&shared));
    let charges_sink = Arc::clone(&sink);
    let rating = tokio::task::spawn_blocking(move || {
        for rows in rows.chunks(BATCH_ROWS) {
            let rated = rater.rate_own(rows, period)?;
            charges_sink.put(LakeTable::Charges, rated.charges, &rated.place).map_err(RatingError::Sink)?;
        }
        Ok::<_, RatingError>(rater)
    });
    let rater = rating.await.map_err(|_| RatingError::Worker)??;
    roll_up(run, &shared, vec![rater], sink, options).await
}

impl Rater {
    fn rate_own(&mut self, rows: &[OwnRow], period: i32) -> Result<Rated, RatingError> {
        let run = Arc::clone(&self.run);
        let usage = batch::batch(rows, &run.book.tree, period)?;
        self.reader.read(&usage, &Facts::of(&usage)?, &run)?;
        let cuts: Vec<Cut> = rows
            .iter()
            .enumerate()
            .map(|(number, row)| {
                let lanes = &mut self.charging.lanes;
                let (lane, _) = lanes.at(&run.book, &run.terms, &run.places, Some(row.node), row.at);
                let Span { from: start, until: end } = row.span;
                Cut { row: number, lane, start, end, number: 0, is_last: true, division: None }
            })
            .collect();
        let mut output = self.assembler.output(rows.len());
        let depth = cuts.iter().map(|cut| self.charging.lanes.get(cut.lane).edges.len()).max();
        output.open(depth.unwrap_or(0), rows.len(), false);
        let slice = run.slice(SliceName::default);
        let mut sink = Sink { reader: &self.reader, output: Some(&mut output), place: Placement::default() };
        self.charging.open();
        for (row, cut) in rows.iter().zip(&cuts) {
            let above = steps_above(&run, row, self.charging.lanes.get(cut.lane))?;
            let portion = Portion {
                values: self.reader.values(cut.row),
                unit: self.reader.word(Column::Unit, cut.row).number,
                is_correction: false,
                commitment: Commitment::None,
                commitment_id: 0,
                currency: NULL,
                amounts: Amounts { quantity: row.quantity, ..Amounts::default() },
                start: cut.start,
                period,
                account: [self.reader.text(Column::Provider, cut.row), NULL, NULL],
                slice,
            };
            let charged = self.charging.charge_own(&mut sink, cut, &portion, (row.origin, &above));
            charged.map_err(|failure| match failure {
                Failure::Overflow(Overflow { edge, rule }) => {
                    let rule = run.terms.text(rule).as_ref().to_owned();
                    RatingError::OwnOverflow { origin: row.origin.name(), name: row.name.clone(), edge, rule }
                }
                Failure::Other(error) => error,
            })?;
        }
        let place = sink.place;
        let charges = self.assembler.assemble(&usage, &run, output)?;
        Ok(Rated { charges, place })
    }
}

/// The steps of a row down to the one in which it is sold; those before it stand for nothing.
fn steps_above(run: &RatingRun, row: &OwnRow, lane: &Lane) -> Result<Vec<Step>, RatingError> {
    let at = lane.edges.iter().position(|edge| edge.seller == row.seller).ok_or_else(|| RatingError::NotBelow {
        node: run.book.tree.name(row.node).to_owned(),
        seller: run.book.tree.name(row.seller).to_owned(),
        name: row.name.clone(),
    })?;
    let rule = row.rule.as_ref().map_or(NULL, |rule| run.terms.number(rule));
    let edge = &lane.edges[at];
    let billed = |price, fx_rate| Step {
        price: Some(price),
        outcome: Outcome::Billed,
        rule,
        fx_rate,
        reason: None,
        is_on_demand: false,
    };
    let sale = if edge.currency == run.terms.number(&row.currency) {
        billed(row.amount, NULL)
    } else if row.origin == Origin::Adjustment {
        // It comes of charges in the provider's currency: it is converted as they are.
        let [policy, to] = [edge.fx_policy, edge.currency].map(|number| run.terms.text(number));
        let of = (edge.fx_of == Particular::Buyer).then(|| run.book.tree.name(edge.buyer));
        let fx = &run.book.fx;
        match fx.on(fx.pair(&policy, of, (&row.currency, &to)), row.span.from) {
            None => Step::unrated(Reason::NoRate),
            Some(rate) => {
                let price =
                    rate.apply(row.amount).ok().filter(|price| price.unsigned_abs() < POWERS_OF_TEN[38].unsigned_abs());
                let price = price.ok_or_else(|| RatingError::OwnOverflow {
                    origin: row.origin.name(),
                    name: row.name.clone(),
                    edge: at + 1,
                    rule: rate.fx_rate_id.to_owned(),
                })?;
                billed(price, run.terms.number(rate.fx_rate_id))
            }
        }
    } else {
        Step { rule, ..Step::unrated(Reason::CardCurrency) }
    };
    let mut steps = vec![Step::RETAINED; at];
    steps.push(sale);
    Ok(steps)
}
