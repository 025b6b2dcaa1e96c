//! Rating: whose a usage row is, and what it costs on every edge from the root down to its owner.
//!
//! [`RefFacts`] are typed reference rows; [`RateBook`] compiles them once per snapshot; a
//! [`Rater`] turns batches of `usage` into batches of `charges`. `sql/rating/*.sql` say what the
//! tables are; `RateExec` is how the first of them is computed, each row priced once.
//!
//! Invariants: rating reads reference rows through `catalog` and columns by `lake::schema`, and
//! knows nothing of files, sessions, invoices or the wire. It writes nothing. The same rows and
//! the same book give the same charges, whatever the order of rows or the number of workers.

mod assemble;
mod attribution;
mod bands;
mod book;
mod cards;
mod charging;
mod columns;
mod commitments;
mod counters;
mod division;
mod error;
mod facts;
mod functions;
mod fx;
mod lanes;
mod lookup;
mod measured;
mod method;
mod metrics;
mod operator;
mod outcome;
mod own;
mod pipeline;
mod places;
mod policies;
mod pools;
mod portion;
mod portions;
mod precedence;
mod price;
mod quantities;
mod rater;
mod reader;
mod reading;
mod rollup;
mod row_tags;
mod rules;
mod run;
mod scene;
mod simulation;
mod span;
mod staleness;
mod tags;
mod tally;
#[cfg(test)]
mod tests;
mod texts;
mod trace;
mod tree;
mod virtual_tags;
mod vocabulary;

pub(crate) use attribution::RowTexts;
pub use book::RateBook;
pub use commitments::{Benefit, CommitmentRow, Purchase, Unused};
pub use counters::BandTotals;
pub use error::RatingError;
pub use facts::{
    AccountRow, AttributionRow, AttributionTarget, CardRow, CommitPeriod, ContractRow, CreditPolicy, CreditPolicyRow,
    CreditRow, DriverRow, DriverRuleRow, FxRow, LicenceRow, NodeKind, NodeRow, PolicyRow, PoolMethod, PoolRow,
    RefFacts, RuleRow, ShareRow, TagPolicyRow, TimeEntryRow, TrueUpRow, VersionRow, VirtualTagRow,
};
pub(crate) use functions::tags_of;
pub use functions::{fx, looked_at, rule_tags};
pub(crate) use fx::is_source_of;
pub use fx::{Conversion, FxRates};
pub(crate) use lookup::{AppliedRule, EdgeTerms, Question};
pub use measured::{
    Measured, MeasuredUse, StateOfMeasurements, needs_measurements, read_measurements, state_of_measurements,
};
pub use metrics::Metrics;
pub use operator::{PricedUsage, RateExec};
pub use outcome::{Origin, Outcome, Reason};
pub use own::{
    CommitmentMove, CreditFlow, DRAWN_COLUMNS, DaysCounted, Drawn, EdgeCredits, Floor, OWN_SOURCE, OwnRow, draws_in,
    rate_own,
};
pub use pipeline::{ChargeSink, Counted, RatingOptions, RatingOutcome, count, rate};
pub use places::{Placement, Places, SliceName};
pub(crate) use precedence::{Precedence, Silenced};
pub use rater::{Rated, Rater};
pub use run::RatingRun;
pub(crate) use simulation::{Columns as SimulationColumns, EdgeMonth, Fold, Looks, Simulation, Source};
pub use span::Span;
pub(crate) use span::month_around;
pub use staleness::{RefChange, SliceFacts, affected, affected_by_measurements, affected_by_metrics};
pub use tags::TagKeys;
pub use tally::SliceOutcome;
pub(crate) use trace::{Cause, Traced};
pub use tree::{NodeIndex, Tree};
pub use virtual_tags::VirtualTagRules;
pub(crate) use virtual_tags::VirtualTags;
pub use vocabulary::{Category, Dimension};
