//! Alerts: what is unusual or above its budget is told to those who asked for it, once.
//!
//! A round looks at what the views of each owner of a target (`ref.alert_targets`) show, writes what is new into an outbox, and sends
//! what is due. `serve` makes rounds by itself, `ratehouse alert` makes one for an external cron.
//!
//! - A round reads as the owner's finance role would: an alert holds nothing that this login could not ask for.
//! - An alert has a key of what it is about. It is raised once, and once more if a warning becomes critical.
//! - A delivery that fails is tried again with growing pauses, with those that it went with and under the same key: a webhook can
//!   tell by the `Idempotency-Key`; a ticket is looked for before it is made a second time.
//! - The outbox is working state of the catalog; what people answer (`call acknowledge`, `call expect`) is audited.
//! - No secret is written anywhere, and none is sent where a redirect points.

mod deliver;
mod drivers;
mod hours;
mod payload;
mod raise;
mod schedule;
mod target;
mod ticket;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::collect::{Clock, SystemClock};
use crate::error::Error;
use crate::warehouse::{Warehouse, lock_file};

pub use schedule::run;
pub(crate) use target::Target;

const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What became of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Round {
    /// Alerts that are new, or have become critical.
    pub raised: usize,
    /// Deliveries that arrived.
    pub sent: usize,
    /// Deliveries that will be tried again, and why, by target.
    pub postponed: Vec<String>,
    /// Deliveries that are given up, and why, by target.
    pub failed: Vec<String>,
}

/// Makes rounds over a warehouse.
#[derive(Debug, Clone)]
pub struct Alerter {
    warehouse: Warehouse,
    clock: Arc<dyn Clock>,
    /// How long a round looks at nothing new after the one before: landing in pieces is looked at once.
    rest: TimeDelta,
    /// How long a receiver may take.
    answer_max: Duration,
}

impl Alerter {
    /// One on the system's clock.
    pub fn new(warehouse: &Warehouse) -> Self {
        Self {
            warehouse: warehouse.clone(),
            clock: Arc::new(SystemClock),
            rest: TimeDelta::zero(),
            answer_max: ANSWER_MAX,
        }
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same with a pause between looks.
    #[must_use]
    pub(crate) fn with_rest(self, rest: TimeDelta) -> Self {
        Self { rest, ..self }
    }

    /// The same with receivers that may take so long.
    #[must_use]
    pub fn with_answer_max(self, answer_max: Duration) -> Self {
        Self { answer_max, ..self }
    }

    /// Raises what is new and sends what is due.
    ///
    /// # Errors
    /// When another round is at work, or the warehouse cannot be read; what a receiver does is in the [`Round`].
    pub async fn round(&self) -> Result<Round, Error> {
        let _lock = self.lock()?;
        let targets = self.warehouse.catalog().read(Target::enabled)?;
        let mut round = Round { raised: self.raise(&targets).await?, ..Round::default() };
        for target in &targets {
            self.deliver(target, &mut round).await?;
        }
        Ok(round)
    }

    /// Held while a round is at work; the system releases it when a process dies.
    fn lock(&self) -> Result<File, Error> {
        let path = self.warehouse.directory().join(".alerts.lock");
        lock_file(&path, "alerts are being sent by another process: wait until it is done")
    }
}
