//! Collection: finds and fetches what providers deliver, and hands the files to landing.
//!
//! `ref.sources` says where files come from and how often to look. A collection of a source looks
//! once: it lands what is new, remembers what it saw, and ends. `serve` collects what is due,
//! `ratehouse collect` does it for an external cron, and `ops.freshness` shows what is late.
//!
//! - It never reads a provider's row: files go to landing as they came, or as pages were given.
//! - A poll that finds nothing new makes no snapshot. What was seen is working state of the catalog;
//!   landing knows every content that it has had, so that a crash at any instant lands nothing twice.
//! - An error of one source never stops another. A source that must wait (for its allowance of
//!   calls, or because it was told to) pauses with its queue kept, and goes on from there.
//! - One collection at a time in a warehouse, whatever the number of processes.
//! - No secret is written anywhere: the catalog has references, memory has the secrets.

mod allowance;
mod answers;
mod authorization;
mod aws_refusal;
mod clock;
mod crawl;
mod credential;
mod error;
mod files;
mod freshness;
mod http;
mod https_files;
mod json_api;
mod json_items;
mod months;
mod options;
mod outcome;
mod pages;
mod partner_center;
mod partner_export;
mod retry;
mod schedule;
mod settings;
mod sigv4;
mod trouble;

pub(crate) use authorization::is_protected;
pub use clock::{Clock, SystemClock};
pub(crate) use clock::{instant, text as instant_text};
pub use credential::{CredentialRef, Secret};
pub use error::CollectError;
pub use freshness::freshness;
pub use http::Limits;
pub(crate) use http::client_of;
pub use options::{BodyFormat, CredentialUse, NextPage, PartnerRequest, SourceOptions};
pub use outcome::{Collected, Outcome, Report};
pub(crate) use retry::{backoff, retry_after};
pub use schedule::run;
pub(crate) use settings::no_secret;
pub use settings::{SourceKind, SourceSettings};

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::catalog::{CollectionRun, SourceState};
use crate::error::Error;
use crate::warehouse::{Warehouse, lock_file};

/// A failed source is tried again after a minute, then two, four, ..., and at most this.
const RETRY_MAX: TimeDelta = TimeDelta::hours(1);
/// How long it is known how a collection went; the scorecard looks at 30 days.
const RUNS_KEPT: TimeDelta = TimeDelta::days(31);
/// What collection keeps on disk, in the warehouse's directory.
const FOLDER: &str = "collected";

/// Which sources are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// Those that are enabled and due.
    Due,
    /// One, whether it is due or not; what was refused before is tried again.
    Named(&'a str),
}

/// Collects the sources of a warehouse.
#[derive(Debug, Clone)]
pub struct Collector {
    warehouse: Warehouse,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl Collector {
    /// A collector on the system's clock.
    pub fn new(warehouse: &Warehouse) -> Self {
        Self { warehouse: warehouse.clone(), clock: Arc::new(SystemClock), limits: Limits::default() }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Collects sources one after the other; what became of each is in its [`Collected`].
    ///
    /// # Errors
    /// When another collection is at work, a named source does not exist or is disabled, or the catalog cannot be read.
    pub async fn collect(&self, which: Which<'_>) -> Result<Vec<Collected>, Error> {
        let _lock = self.lock()?;
        let mut collected = Vec::new();
        for source in self.chosen(which)? {
            collected.push(self.one(&source, which).await?);
        }
        Ok(collected)
    }

    /// Held while a collection is at work; the system releases it when a process dies.
    fn lock(&self) -> Result<File, Error> {
        let folder = self.folder();
        let path = folder.join(".lock");
        std::fs::create_dir_all(&folder).map_err(|source| Error::Io { path: path.display().to_string(), source })?;
        lock_file(&path, "another collection is at work in this warehouse: wait until it is done")
    }

    fn folder(&self) -> PathBuf {
        self.warehouse.directory().join(FOLDER)
    }

    fn chosen(&self, which: Which<'_>) -> Result<Vec<SourceSettings>, Error> {
        let now = clock::text(self.clock.now());
        self.warehouse.catalog().read(|tx| {
            let sources = SourceSettings::all(tx)?;
            match which {
                Which::Named(name) => {
                    let found = sources.into_iter().find(|source| source.name == name);
                    let found =
                        found.ok_or_else(|| Error::Refused(format!("there is no source \"{name}\" in ref.sources")))?;
                    if !found.is_enabled {
                        return Err(Error::Refused(format!("source \"{name}\" is disabled in ref.sources")));
                    }
                    Ok(vec![found])
                }
                Which::Due => {
                    let mut due = Vec::new();
                    for source in sources.into_iter().filter(|source| source.is_enabled) {
                        if SourceState::of(tx, &source.name)?.due_at.is_none_or(|at| at <= now) {
                            due.push(source);
                        }
                    }
                    Ok(due)
                }
            }
        })
    }

    /// Collects one source and writes down how it went.
    async fn one(&self, source: &SourceSettings, which: Which<'_>) -> Result<Collected, Error> {
        let catalog = self.warehouse.catalog();
        let began = self.clock.now();
        let mut state = catalog.read(|tx| SourceState::of(tx, &source.name))?;
        let result = match source.kind {
            SourceKind::Folder | SourceKind::ObjectStore => self.collect_files(source, which).await,
            SourceKind::HttpsFiles => self.collect_https(source).await,
            SourceKind::JsonApi | SourceKind::PartnerCenter => self.crawl(source).await,
        };
        let now = self.clock.now();
        state.attempted_at = Some(clock::text(began));
        let due = match &result {
            Ok(_) => {
                (state.failures, state.last_error) = (0, None);
                state.succeeded_at = Some(clock::text(now));
                began + source.cadence
            }
            Err(CollectError::Paused { until, .. }) => {
                state.failures = 0;
                *until
            }
            Err(_) => {
                state.failures += 1;
                let doublings = u32::try_from(state.failures - 1).unwrap_or(u32::MAX).min(10);
                now + TimeDelta::minutes(1 << doublings).min(RETRY_MAX).min(source.cadence)
            }
        };
        state.due_at = Some(clock::text(due));
        if let Err(error) = &result {
            state.last_error = Some(error.to_string());
        }
        let outcome = Outcome::from(result);
        let (word, detail) = outcome.in_words();
        let (began_at, ended_at) = (clock::text(began), clock::text(now));
        let run = CollectionRun { began_at, ended_at, outcome: word.to_owned(), detail };
        catalog.remember(|tx| {
            state.keep(tx, &source.name)?;
            run.keep(tx, &source.name, &clock::text(began - RUNS_KEPT))
        })?;
        Ok(Collected { source: source.name.clone(), outcome })
    }
}
