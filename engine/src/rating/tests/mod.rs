//! Rating end to end, on worlds small enough to work out by hand.

mod counting;
pub(crate) mod fixtures;
mod ownership;
mod pipeline;
mod policies;
mod precedence;
mod pricing;
