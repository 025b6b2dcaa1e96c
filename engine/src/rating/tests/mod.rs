//! Rating end to end, on worlds small enough to work out by hand.

mod changes;
pub(crate) mod charge;
mod counting;
pub(crate) mod fixtures;
mod levels;
mod lookup;
mod oracle;
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
mod worlds;
