//! What became of a portion on an edge, and why it has no price.

use std::fmt;

/// How a portion came to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// The account, or a rule, named the owner.
    Direct,
    /// It is a share of a pool.
    Allocated,
    /// Nobody owns it, or nobody takes part in its pool.
    Unallocated,
}

impl Fate {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 3] = [Self::Direct, Self::Allocated, Self::Unallocated];

    /// Its name in `charges`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Allocated => "allocated",
            Self::Unallocated => "unallocated",
        }
    }
}

/// Where a charge comes from: a provider's line, or what its seller bills by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A provider's line.
    Usage,
    /// Seats.
    Licence,
    /// Hours worked.
    Labour,
    /// A flat amount of a billing period.
    Fee,
    /// What a minimum adds to what is charged.
    Minimum,
    /// What a buyer stays below its commitment.
    Shortfall,
    /// What a seller gives.
    Credit,
    /// What corrects documents.
    Adjustment,
}

impl Origin {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Usage,
        Self::Licence,
        Self::Labour,
        Self::Fee,
        Self::Minimum,
        Self::Shortfall,
        Self::Credit,
        Self::Adjustment,
    ];

    /// Its name in `charges`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Licence => "licence",
            Self::Labour => "labour",
            Self::Fee => "fee",
            Self::Minimum => "minimum",
            Self::Shortfall => "shortfall",
            Self::Credit => "credit",
            Self::Adjustment => "adjustment",
        }
    }
}

/// What became of a portion at a position of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The buyer pays the price.
    Billed,
    /// The seller keeps it: it does not exist below.
    Retained,
    /// Shown to the buyer, not billed.
    Reported,
    /// No price could be found: it does not exist below, and the period cannot close.
    Unrated,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Billed, Self::Retained, Self::Reported, Self::Unrated];

    /// Its name in `charges`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Billed => "billed",
            Self::Retained => "retained",
            Self::Reported => "reported",
            Self::Unrated => "unrated",
        }
    }

    /// Whether the portion exists below this edge.
    pub fn goes_on(self) -> bool {
        match self {
            Self::Billed | Self::Reported => true,
            Self::Retained | Self::Unrated => false,
        }
    }
}

/// Why a portion is unrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No rule of the edge's cards matches.
    NoRule,
    /// Several versions hold at once.
    SeveralVersions,
    /// The version inherits from one that is missing, another seller's, or itself.
    BrokenVersion,
    /// The rule's method, value, base or bands cannot be understood, or the policy's word.
    BrokenRule,
    /// The rule prices another unit.
    Unit,
    /// The card's currency is not the buyer's.
    CardCurrency,
    /// There is no exchange rate.
    NoRate,
    /// The row lacks the amount that the rule prices, or the seller may not use it.
    NoBase,
    /// The row has no quantity.
    NoQuantity,
    /// The period's total lies beyond the last band, or was not counted.
    Bands,
    /// The provider's charge category is not one of FOCUS's.
    Category,
}

impl Reason {
    /// A short name for lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::SeveralVersions => "several_versions",
            Self::BrokenVersion => "broken_version",
            Self::BrokenRule => "broken_rule",
            Self::Unit => "unit",
            Self::CardCurrency => "card_currency",
            Self::NoRate => "no_fx_rate",
            Self::NoBase => "no_base",
            Self::NoQuantity => "no_quantity",
            Self::Bands => "bands",
            Self::Category => "charge_category",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRule => "no rule of the edge's rate cards matches: add one",
            Self::SeveralVersions => "several card versions hold at once: end all but one",
            Self::BrokenVersion => "the card version inherits from one that it cannot: correct its base",
            Self::BrokenRule => "the rule or policy cannot be understood: correct its method, value, base or bands",
            Self::Unit => "the rule prices another unit: add a rule for this one",
            Self::CardCurrency => "the card's currency is not the buyer's: use one of the buyer's currency",
            Self::NoRate => "there is no exchange rate of the buyer's source for the date: add one",
            Self::NoBase => "the row has no amount of the rule's base",
            Self::NoQuantity => "the row has no quantity",
            Self::Bands => "the period's quantity lies beyond the last band: add a band without an end",
            Self::Category => "the charge category is not one of FOCUS's: correct the source's mapping",
        })
    }
}
