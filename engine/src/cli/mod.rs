//! The command line.

mod args;
mod chart;
mod demo;
mod keep;
mod output;
mod run;
mod shell;

pub(crate) use args::Arguments;
pub(crate) use run::run;
