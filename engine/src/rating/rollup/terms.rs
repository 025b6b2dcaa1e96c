//! Groups of `charges_by_terms`: what prices depend on besides amounts, and the amounts that they are made from.

use super::groups::Record;
use super::{FIRST_PRICE, SUMS_MAX};
use crate::rating::assemble::Mark;
use crate::rating::error::RatingError;
use crate::rating::portion::{Commitment, Portion, Step};
use crate::rating::reader::{Column, Reader};
use crate::rating::span::{Span, month_around};
use crate::rating::texts::NULL;
use crate::rating::vocabulary::{Dimension, Vocabulary};

/// Numbers of a group by terms: see [`ByTerms::record`].
pub(crate) const TERMS_KEY: usize = 20;
/// The place of the first price among the sums: quantity, list cost, effective cost and contracted cost come before.
pub(super) const FIRST_PRICE_BY_TERMS: usize = FIRST_PRICE + 1;
/// Places in the key.
pub(super) const MARKETPLACE: usize = 14;
pub(super) const COMMITMENT: usize = 15;
pub(super) const POOL_DEPTH: usize = 18;

/// Columns that are kept where some rule looks at them, with the dimension that does.
const LOOKED_AT: [(Column, Dimension); 6] = [
    (Column::ServiceCategory, Dimension::ServiceCategory),
    (Column::Service, Dimension::Service),
    (Column::Sku, Dimension::Sku),
    (Column::Region, Dimension::Region),
    (Column::ResourceType, Dimension::ResourceType),
    (Column::PricingCategory, Dimension::PricingCategory),
];

/// Which columns some rule of some card looks at.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    dimensions: [bool; LOOKED_AT.len()],
    accounts: bool,
    units: bool,
}

impl Kept {
    pub(super) fn by(vocabulary: &Vocabulary) -> Self {
        Self {
            dimensions: LOOKED_AT.map(|(_, dimension)| vocabulary.uses(dimension)),
            accounts: vocabulary.counts_accounts,
            units: !vocabulary.units.is_empty(),
        }
    }
}

/// Makes the groups of one worker's portions.
#[derive(Debug)]
pub(super) struct ByTerms {
    kept: Kept,
    /// The month of the portion before: its first day and when it lasts.
    month: (i32, Span),
}

impl ByTerms {
    pub(super) fn new(kept: &Kept) -> Self {
        Self { kept: kept.clone(), month: month_around(0) }
    }

    /// Hands over a portion as a record: billing period, month of use, then numbers of texts in the order of `TERMS_DIMENSIONS`,
    /// marketplace, commitment, unit, tags, one more than the position of the pool's owner, and terms. Amounts that are there and
    /// amounts that are not do not add up: which there are is a part of the key, too, beside the commitment.
    #[inline]
    pub(super) fn record(
        &mut self,
        (reader, at): (&Reader, usize),
        (mark, portion, steps): (&Mark, &Portion<'_>, &[Step]),
        (terms, rows): (u32, i64),
        take: impl FnOnce(&Record<'_, TERMS_KEY>) -> Result<(), RatingError>,
    ) -> Result<(), RatingError> {
        if !self.month.1.contains(portion.start) {
            self.month = month_around(portion.start);
        }
        let amounts = &portion.amounts;
        let own = [amounts.quantity, amounts.list, amounts.effective, amounts.contracted];
        let mut sums = [0; SUMS_MAX];
        let mut mask = 0_u16;
        let prices = std::iter::once(amounts.billed).chain(steps.iter().map(|step| step.price));
        for (place, amount) in own.into_iter().chain(prices).enumerate() {
            if let Some(amount) = amount {
                sums[place] = amount;
                mask |= 1 << place;
            }
        }
        let there = u32::from(mask) & ((1 << own.len()) - 1);
        let text = |column: Column| reader.text(column, at);
        let kept = |place: usize| if self.kept.dimensions[place] { text(LOOKED_AT[place].0) } else { NULL };
        let key = [
            portion.period.cast_unsigned(),
            self.month.0.cast_unsigned(),
            text(Column::Provider),
            text(Column::BillingAccount),
            if self.kept.accounts { text(Column::SubAccount) } else { NULL },
            kept(0),
            kept(1),
            kept(2),
            kept(3),
            kept(4),
            text(Column::ChargeCategory),
            text(Column::ChargeClass),
            kept(5),
            there,
            u32::from(reader.is_marketplace(at)),
            Step::commitment_sold(steps, portion.commitment) as u32,
            if self.kept.units { text(Column::Unit) } else { NULL },
            reader.price_tags(at),
            mark.depth.map_or(0, |position| position.cast_unsigned() + 1),
            terms,
        ];
        take(&Record { key, mask, rows, sums: &sums[..FIRST_PRICE_BY_TERMS + 1 + steps.len()] })
    }
}

/// The name of a commitment by its number in a key.
pub(super) fn commitment_name(number: u32) -> Option<&'static str> {
    let at = usize::try_from(number).unwrap_or_default();
    Commitment::ALL.get(at).and_then(|commitment| commitment.name())
}
