//! Rating end to end, on worlds small enough to work out by hand.

mod agreement;
mod banded;
mod changes;
pub(crate) mod charge;
mod conservation;
mod counting;
pub(crate) mod fixtures;
mod floored;
mod granted;
mod levels;
mod lookup;
mod oracle;
mod owed;
mod ownership;
mod pipeline;
mod plain;
mod policies;
mod precedence;
mod pricing;
mod rule_order;
mod runs;
mod sharing;
mod simulation;
mod sql;
mod wide;
mod worlds;
