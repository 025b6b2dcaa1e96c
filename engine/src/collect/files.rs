//! Folders and object stores: what lies there, what of it is new, and what is still being written.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::error::CollectError;
use super::outcome::Report;
use super::settings::{SourceKind, SourceSettings};
use super::{Collector, Which, clock, months};
use crate::catalog::{CollectedItem, CollectedSlice};
use crate::error::Error;
use crate::landing::{DeliveryFiles, LandingError, Location, SourceCatalog, Stores, survey};
use crate::warehouse::Landed;
use crate::warehouse::stores::{Environment, Given};

/// A file on this machine that no manifest names is left alone until it has not changed for this long: nothing else says that it is whole.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(60);
/// A delivery that was refused is tried again after this long, since a mapping may have been mended; or at once when it changes.
const REFUSED_AGAIN_AFTER: TimeDelta = TimeDelta::hours(24);

/// What became of a delivery.
pub(super) enum Verdict {
    Landed(Landed),
    /// It may become whole by itself.
    Waits(String),
    Refused(String),
}

impl Collector {
    /// Looks at a folder or a store.
    pub(super) async fn collect_files(
        &self,
        source: &SourceSettings,
        which: Which<'_>,
    ) -> Result<Report, CollectError> {
        let stores = stores(source)?;
        let sources = self.warehouse.landing_sources()?;
        let began = clock::text(self.clock.now());
        let mut report = Report::default();
        for place in months::places(source, self.clock.now()) {
            if source.kind == SourceKind::Folder && !is_there(&place) {
                if months::names_month(&source.location) {
                    continue;
                }
                return Err(CollectError::Settings(format!("{place}: no such folder")));
            }
            let mut found = survey(&place, stores.as_ref()).await?;
            // Without a manifest that says when it was made, the newest is what lands last.
            found.sort_by_cached_key(|(name, files)| (files.as_ref().ok().map(written_at), name.clone()));
            for (name, files) in found {
                self.take(source, &sources, which, Found { name, files }, &mut report).await?;
            }
        }
        self.warehouse.catalog().remember(|tx| CollectedItem::forget_unseen(tx, &source.name, &began))?;
        Ok(report)
    }

    /// Lands a delivery if it is new and whole, and remembers what became of it.
    async fn take(
        &self,
        source: &SourceSettings,
        sources: &SourceCatalog,
        which: Which<'_>,
        found: Found,
        report: &mut Report,
    ) -> Result<(), CollectError> {
        let now = self.clock.now();
        let Found { name, files } = found;
        let fingerprint = files.as_ref().map(fingerprint).unwrap_or_default();
        let known = self.warehouse.catalog().read(|tx| CollectedItem::named(tx, &source.name, &name))?;
        let known = known.filter(|known| known.fingerprint == fingerprint && !fingerprint.is_empty());
        let verdict = match (files, known) {
            (_, Some(known)) if known.state == "landed" => {
                self.remember(source, &CollectedItem { seen_at: clock::text(now), ..known })?;
                report.unchanged += 1;
                return Ok(());
            }
            (_, Some(known)) if known.state == "refused" && which == Which::Due && !is_to_be_tried(&known, now) => {
                Verdict::Refused(known.detail.unwrap_or_default())
            }
            (Err(error), _) => verdict_of(error)?,
            (Ok(files), _) => match unsettled(&files, now) {
                Some(why) => Verdict::Waits(why),
                None => self.land(source, sources, files).await?,
            },
        };
        self.note(source, Seen { name, fingerprint }, verdict, report)
    }

    /// Gives files to landing.
    pub(super) async fn land(
        &self,
        source: &SourceSettings,
        sources: &SourceCatalog,
        files: DeliveryFiles,
    ) -> Result<Verdict, CollectError> {
        let named = source.landing_source.as_deref();
        match self.warehouse.land_files(files, (sources, named), "system", &|_| {}).await {
            Ok(landed) => Ok(Verdict::Landed(landed)),
            Err(Error::Landing(error)) => verdict_of(error),
            Err(error @ (Error::Refused(_) | Error::Conservation(_))) => Ok(Verdict::Refused(error.to_string())),
            Err(other) => Err(other.into()),
        }
    }

    /// Remembers what became of a delivery, and reports it.
    pub(super) fn note(
        &self,
        source: &SourceSettings,
        seen: Seen,
        verdict: Verdict,
        report: &mut Report,
    ) -> Result<(), CollectError> {
        let now = clock::text(self.clock.now());
        let (state, detail) = match &verdict {
            Verdict::Landed(_) => ("landed", None),
            Verdict::Waits(why) => ("waiting", Some(why.clone())),
            Verdict::Refused(why) => ("refused", Some(why.clone())),
        };
        let Seen { name, fingerprint } = seen;
        let item = CollectedItem {
            item: name,
            fingerprint,
            state: state.to_owned(),
            detail,
            since: now.clone(),
            seen_at: now.clone(),
        };
        self.warehouse.catalog().remember::<_, CollectError>(|tx| {
            item.keep(tx, &source.name)?;
            if let Verdict::Landed(landed) = &verdict {
                CollectedSlice::note(tx, &source.name, delivery_id(landed), &now)?;
            }
            Ok(())
        })?;
        match verdict {
            Verdict::Landed(landed) => report.landed.push(landed),
            Verdict::Waits(why) => report.waiting.push(why),
            Verdict::Refused(why) => report.refused.push(why),
        }
        Ok(())
    }

    fn remember(&self, source: &SourceSettings, item: &CollectedItem) -> Result<(), CollectError> {
        Ok(self.warehouse.catalog().remember(|tx| item.keep(tx, &source.name))?)
    }
}

/// A delivery that was found.
struct Found {
    name: String,
    files: Result<DeliveryFiles, LandingError>,
}

/// A delivery's name and what changes with its content.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) fingerprint: String,
}

fn delivery_id(landed: &Landed) -> i64 {
    match landed {
        Landed::Landed { delivery_id, .. } | Landed::Known { delivery_id, .. } | Landed::Stale { delivery_id, .. } => {
            *delivery_id
        }
    }
}

/// The stores that a source's URL is looked up in.
fn stores(source: &SourceSettings) -> Result<Box<dyn Stores>, CollectError> {
    let Some(reference) = source.credential.as_ref().filter(|_| source.kind == SourceKind::ObjectStore) else {
        return Ok(Box::new(Environment));
    };
    let options = serde_json::from_str(reference.read()?.reveal()).map_err(|_| CollectError::Credential {
        reference: reference.to_string(),
        reason: "it must be a JSON object of texts, such as {\"aws_access_key_id\": \"...\", \"aws_secret_access_key\": \"...\"}"
            .to_owned(),
    })?;
    Ok(Box::new(Given(options)))
}

fn is_there(place: &str) -> bool {
    place.contains(['*', '?', '[']) || Path::new(place).exists()
}

/// What of a delivery changes with its content.
fn fingerprint(files: &DeliveryFiles) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}\n", files.manifest));
    for part in &files.parts {
        hash.update(format!("{}\n{}\n{}\n", part.location.name(), part.bytes, part.version));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When the newest part was written.
fn written_at(files: &DeliveryFiles) -> String {
    files.parts.iter().map(|part| part.version.clone()).max().unwrap_or_default()
}

/// Why files of this machine may not be whole yet.
fn unsettled(files: &DeliveryFiles, now: DateTime<Utc>) -> Option<String> {
    if files.manifest.is_some() {
        return None;
    }
    let part = files.parts.iter().find(|part| {
        let changed = clock::instant(&part.version);
        // A clock that is ahead must not keep a file waiting.
        let is_young = changed.is_some_and(|at| (now - at).abs() < SETTLED_AFTER);
        matches!(part.location, Location::Local(_)) && is_young
    })?;
    Some(format!(
        "{}: changed less than {} seconds ago, it may still be being written",
        part.location.name(),
        SETTLED_AFTER.num_seconds()
    ))
}

fn is_to_be_tried(known: &CollectedItem, now: DateTime<Utc>) -> bool {
    clock::instant(&known.since).is_none_or(|since| now - since >= REFUSED_AGAIN_AFTER)
}

/// A delivery that is cut off or lacks a part may be one that is still being written; what cannot be read at all is the source's failure.
fn verdict_of(error: LandingError) -> Result<Verdict, CollectError> {
    match error {
        LandingError::MissingPart { .. } | LandingError::Truncated { .. } | LandingError::NotFound { .. } => {
            Ok(Verdict::Waits(error.to_string()))
        }
        LandingError::Unreadable { .. } => Err(error.into()),
        LandingError::ZeroBytes { .. }
        | LandingError::WrongFormat { .. }
        | LandingError::Manifest { .. }
        | LandingError::UnknownSource { .. }
        | LandingError::AmbiguousSource { .. }
        | LandingError::UnknownSourceName { .. }
        | LandingError::MissingColumns { .. }
        | LandingError::PartsDisagree { .. }
        | LandingError::Header { .. }
        | LandingError::LineTooLong { .. }
        | LandingError::TooManyRows { .. }
        | LandingError::Twins { .. }
        | LandingError::Overlap { .. }
        | LandingError::Mapping { .. } => Ok(Verdict::Refused(error.to_string())),
    }
}
