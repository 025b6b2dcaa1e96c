//! What a collection reports.

use std::fmt;

use super::error::CollectError;
use crate::warehouse::Landed;

/// What was found at a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// What landing said of each delivery that was new.
    pub landed: Vec<Landed>,
    /// Deliveries that are as they were.
    pub unchanged: usize,
    /// Deliveries that are not complete yet, each with the reason.
    pub waiting: Vec<String>,
    /// Deliveries that were refused whole, each with the reason.
    pub refused: Vec<String>,
}

/// How the collection of a source went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// It was looked at.
    Done(Report),
    /// It goes on later from where it is.
    Paused {
        /// Why, and when it goes on.
        reason: String,
    },
    /// It could not be looked at.
    Failed {
        /// Why.
        error: String,
    },
}

impl Outcome {
    /// The word and the reason that `ops.collection_runs` has for it.
    pub(super) fn in_words(&self) -> (&'static str, Option<String>) {
        match self {
            Self::Done(Report { refused, .. }) => match refused.first() {
                None => ("done", None),
                Some(reason) => ("refused", Some(reason.clone())),
            },
            Self::Paused { reason } => ("paused", Some(reason.clone())),
            Self::Failed { error } => ("failed", Some(error.clone())),
        }
    }
}

/// A source and how its collection went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Collected {
    /// The source's name.
    pub source: String,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Collected {
    /// Whether somebody has to look after it: it failed, or a delivery was refused.
    pub fn is_failure(&self) -> bool {
        match &self.outcome {
            Outcome::Done(report) => !report.refused.is_empty(),
            Outcome::Paused { .. } => false,
            Outcome::Failed { .. } => true,
        }
    }
}

impl From<Result<Report, CollectError>> for Outcome {
    fn from(result: Result<Report, CollectError>) -> Self {
        match result {
            Ok(report) => Self::Done(report),
            Err(error @ CollectError::Paused { .. }) => Self::Paused { reason: error.to_string() },
            Err(error) => Self::Failed { error: error.to_string() },
        }
    }
}

impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &self.source;
        match &self.outcome {
            Outcome::Paused { reason } => write!(f, "{source}: paused: {reason}"),
            Outcome::Failed { error } => write!(f, "{source}: failed: {error}"),
            Outcome::Done(report) => {
                write!(f, "{source}: {} new, {} unchanged", report.landed.len(), report.unchanged)?;
                for landed in &report.landed {
                    write!(f, "\n  {landed}")?;
                }
                for waiting in &report.waiting {
                    write!(f, "\n  waits: {waiting}")?;
                }
                for refused in &report.refused {
                    write!(f, "\n  refused: {refused}")?;
                }
                Ok(())
            }
        }
    }
}
