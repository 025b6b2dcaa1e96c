//! Answers of the last crawl that ended: the next one asks for them only if they changed, and takes from here what did not.
//!
//! Bodies lie in the source's folder, each under the number of its request. While the folder changes the catalog knows of no answer, so
//! that a crash in between loses answers and never takes one for another.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::Collector;
use super::crawl::{Plan, file_name};
use super::error::CollectError;
use super::http::{Body, Reply};
use super::https_files::{make, remove};
use super::settings::SourceSettings;
use crate::catalog::{FormerAnswer, QueuedRequest};

/// The headers that tell whether an answer changed, and those that ask by them.
static VALIDATORS: [(&str, &str); 2] = [("etag", "if-none-match"), ("last-modified", "if-modified-since")];

/// By what an answer is asked for only if it changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conditions {
    /// Where the secret is: whoever shows another one may be answered something else at the same address.
    credential: Option<String>,
    /// The headers that tell whether it changed and those that it is read by; null where it had none of the name.
    headers: BTreeMap<String, Option<String>>,
}

impl Conditions {
    /// Those of an answer; none if nothing tells whether it changed.
    pub(super) fn of(source: &SourceSettings, read_by: &[&str], reply: &Reply) -> Option<Self> {
        let is_told = VALIDATORS.iter().any(|(name, _)| reply.header(name).is_some());
        let names = VALIDATORS.iter().map(|(name, _)| name).chain(read_by);
        let headers = names.map(|name| ((*name).to_owned(), reply.header(name).map(str::to_owned))).collect();
        is_told.then(|| Self { credential: credential_of(source), headers })
    }

    /// As the catalog keeps them.
    pub(super) fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Whether a source may still ask by them: its credential is the same, and no header was left out that it is read by now.
    fn fit(&self, source: &SourceSettings, read_by: &[&str]) -> bool {
        self.credential == credential_of(source) && read_by.iter().all(|name| self.headers.contains_key(*name))
    }
}

fn credential_of(source: &SourceSettings) -> Option<String> {
    source.credential.as_ref().map(ToString::to_string)
}

/// An answer of the last crawl that is there to be taken.
pub(super) struct Former {
    conditions: Conditions,
    path: PathBuf,
}

impl Former {
    /// The headers that ask for it only if it changed.
    pub(super) fn asked_by(&self) -> impl Iterator<Item = (String, String)> {
        VALIDATORS.iter().filter_map(move |(name, asks)| {
            let value = self.conditions.headers.get(*name)?.clone()?;
            Some(((*asks).to_owned(), value))
        })
    }

    /// Puts its body where a new one would be, durable, and gives what it said. `unchanged` may have newer headers.
    pub(super) fn take(&self, unchanged: &Reply, to: &Path) -> Result<Reply, CollectError> {
        let copy = || -> std::io::Result<u64> {
            let mut file = File::create(to)?;
            let bytes = std::io::copy(&mut File::open(&self.path)?, &mut file)?;
            file.sync_all()?;
            Ok(bytes)
        };
        let bytes = copy().map_err(|error| CollectError::io(&self.path, error))?;
        let header = |(name, value): (&String, &Option<String>)| {
            let value = unchanged.header(name).or(value.as_deref())?;
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        };
        let headers: HeaderMap = self.conditions.headers.iter().filter_map(header).collect();
        Ok(Reply { status: StatusCode::OK, headers, bytes })
    }

    /// Removes what turned out to be damaged, so that it is asked for anew.
    pub(super) fn discard(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "an answer that cannot be read stays");
        }
    }
}

impl Collector {
    /// The answer of the last crawl to a request, if it may be asked for by its conditions.
    pub(super) fn former(
        &self,
        source: &SourceSettings,
        plan: &dyn Plan,
        request: &QueuedRequest,
    ) -> Result<Option<Former>, CollectError> {
        let Some(read_by) = plan.read_by() else { return Ok(None) };
        let kept = self.warehouse.catalog().read(|tx| FormerAnswer::of(tx, &source.name, &request.key))?;
        Ok(kept.and_then(|kept| {
            let conditions: Conditions = serde_json::from_str(&kept.conditions).ok()?;
            let path = self.answered(source).join(file_name(kept.request_no, Body::Page));
            // A backup that was restored has the conditions and not the bodies.
            (conditions.fit(source, &read_by) && path.exists()).then_some(Former { conditions, path })
        }))
    }

    /// Ends a crawl, and keeps its answers in place of those of the crawl before.
    pub(super) fn finish(&self, source: &SourceSettings, requests: &[QueuedRequest]) -> Result<(), CollectError> {
        let catalog = self.warehouse.catalog();
        let (pages, answered) = (self.pages(source), self.answered(source));
        catalog.remember(|tx| FormerAnswer::forget(tx, &source.name))?;
        remove(&answered)?;
        let kept = requests.iter().filter(|request| request.conditions.is_some());
        let kept: Vec<String> = kept.map(|request| file_name(request.request_no, Body::Page)).collect();
        if !kept.is_empty() {
            make(&answered)?;
        }
        for name in kept {
            match std::fs::rename(pages.join(&name), answered.join(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CollectError::io(&answered, error));
                }
                _ => {}
            }
        }
        catalog.remember(|tx| {
            FormerAnswer::remember(tx, &source.name)?;
            QueuedRequest::end(tx, &source.name)
        })?;
        remove(&pages)
    }

    fn answered(&self, source: &SourceSettings) -> PathBuf {
        self.folder().join(&source.name).join("answered")
    }
}
