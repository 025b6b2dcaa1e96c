//! Files at addresses: fetched when they have changed, and landed from the warehouse's own copy.

use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};
use url::Url;

use super::Collector;
use super::error::CollectError;
use super::files::{Seen, Verdict};
use super::http::{Asker, Body, Call, Shows, address, shown};
use super::months;
use super::outcome::Report;
use super::settings::SourceSettings;
use crate::catalog::CollectedItem;
use crate::landing::{is_manifest, parse_manifest, survey};
use crate::warehouse::stores::Environment;

/// Parts of one manifest.
const PARTS_MAX: usize = 100_000;

impl Collector {
    /// Looks at the addresses of a source.
    pub(super) async fn collect_https(&self, source: &SourceSettings) -> Result<Report, CollectError> {
        let mut asker = Asker::new(source, self.warehouse.catalog(), &self.clock, &self.limits)?;
        let sources = self.warehouse.landing_sources()?;
        let mut report = Report::default();
        for place in months::places(source, self.clock.now()) {
            let known = self.warehouse.catalog().read(|tx| CollectedItem::named(tx, &source.name, &place))?;
            let fetched = self.fetch(source, &mut asker, &place, known.as_ref()).await?;
            let (verdict, fingerprint) = match fetched {
                Fetched::Unchanged => {
                    report.unchanged += 1;
                    continue;
                }
                Fetched::Waits(why) => (Verdict::Waits(why), String::new()),
                Fetched::Whole { path, fingerprint } => {
                    let mut found = survey(&path.display().to_string(), &Environment).await?;
                    let verdict = match found.pop() {
                        Some((_, Ok(files))) => self.land(source, &sources, files).await?,
                        Some((_, Err(error))) => Verdict::Refused(error.to_string()),
                        None => Verdict::Refused(format!("{place}: it names no file")),
                    };
                    (verdict, fingerprint)
                }
            };
            let is_landed = matches!(verdict, Verdict::Landed(_));
            self.note(source, Seen { name: place.clone(), fingerprint }, verdict, &mut report)?;
            if is_landed {
                // Landing has its rows, and the provider the file.
                remove(&self.folder_of(source, &place))?;
            }
        }
        Ok(report)
    }

    /// Where the copy of an address is while it is needed.
    fn folder_of(&self, source: &SourceSettings, place: &str) -> PathBuf {
        let digest = Sha256::digest(place.as_bytes());
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.folder().join(&source.name).join("files").join(name)
    }

    async fn fetch(
        &self,
        source: &SourceSettings,
        asker: &mut Asker<'_>,
        place: &str,
        known: Option<&CollectedItem>,
    ) -> Result<Fetched, CollectError> {
        let url = address(place)?;
        let name = file_name(&url);
        let folder = self.folder_of(source, place);
        make(&folder)?;
        let path = folder.join(&name);
        let mut call = get(source, url.clone());
        // What was refused or waits is fetched again: a mapping may have been mended, a part may have come.
        if let Some(known) = known.filter(|known| known.state == "landed") {
            call.headers.extend(conditions(&known.fingerprint));
        }
        let reply = asker.ask(&call, Body::File, &path, &mut 0).await?;
        if reply.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(Fetched::Waits(format!("{}: is not there yet", shown(&url))));
        }
        let fingerprint = serde_json::json!([reply.header("etag"), reply.header("last-modified")]).to_string();
        if is_manifest(&name)
            && let Some(missing) = fetch_parts(source, asker, &url, &path).await?
        {
            return Ok(Fetched::Waits(format!("{}: names {missing}, which is not there yet", shown(&url))));
        }
        Ok(Fetched::Whole { path, fingerprint })
    }
}

/// What came of looking at an address.
enum Fetched {
    Unchanged,
    Waits(String),
    Whole { path: PathBuf, fingerprint: String },
}

/// Fetches what a manifest names, beside its copy; gives the first part that is not there. Parts that are there from a collection
/// that did not get to its end stay, as long as the manifest is the same.
async fn fetch_parts(
    source: &SourceSettings,
    asker: &mut Asker<'_>,
    manifest: &Url,
    path: &Path,
) -> Result<Option<String>, CollectError> {
    let bytes = std::fs::read(path).map_err(|error| CollectError::io(path, error))?;
    let (_, parts) = parse_manifest(&shown(manifest), &bytes)?;
    if parts.len() > PARTS_MAX {
        return Err(CollectError::Settings(format!("{}: names more than {PARTS_MAX} parts", shown(manifest))));
    }
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = path.parent().unwrap_or(path);
    let begun = folder.join(".manifest");
    if std::fs::read_to_string(&begun).ok().as_deref() != Some(&digest) {
        remove(folder)?;
        make(folder)?;
        std::fs::write(path, &bytes).map_err(|error| CollectError::io(path, error))?;
        std::fs::write(&begun, &digest).map_err(|error| CollectError::io(&begun, error))?;
    }
    for part in parts {
        let steps: Vec<&str> = part.key.split('/').filter(|step| !step.is_empty()).collect();
        if steps.is_empty() || steps.iter().any(|step| matches!(*step, "." | "..") || step.contains(['\\', '\0'])) {
            return Err(CollectError::Settings(format!("{}: a part's name leaves its folder", shown(manifest))));
        }
        let to = steps.iter().fold(folder.to_owned(), |path, step| path.join(step));
        if to.exists() {
            continue;
        }
        make(to.parent().unwrap_or(folder))?;
        if !fetch_part(source, asker, manifest, &steps, &to).await? {
            return Ok(Some(part.key));
        }
    }
    Ok(None)
}

/// A part is where its key leads from the manifest, or beside it.
async fn fetch_part(
    source: &SourceSettings,
    asker: &mut Asker<'_>,
    manifest: &Url,
    steps: &[&str],
    to: &Path,
) -> Result<bool, CollectError> {
    let mut tried: Option<Url> = None;
    for from in [0, steps.len() - 1] {
        let mut url = manifest.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().extend(&steps[from..]);
        }
        if tried.as_ref() == Some(&url) {
            continue;
        }
        let reply = asker.ask(&get(source, url.clone()), Body::File, to, &mut 0).await?;
        if reply.status != StatusCode::NOT_FOUND {
            return Ok(true);
        }
        tried = Some(url);
    }
    Ok(false)
}

fn get(source: &SourceSettings, url: Url) -> Call {
    let headers = source.options.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Call { method: Method::GET, url, headers, body: None, shows: Shows::Secret }
}

/// The headers that ask for a file only if it changed.
fn conditions(fingerprint: &str) -> Vec<(String, String)> {
    let [etag, modified]: [Option<String>; 2] = serde_json::from_str(fingerprint).unwrap_or_default();
    let header = |name: &str, value: Option<String>| value.map(|value| (name.to_owned(), value));
    header("if-none-match", etag).into_iter().chain(header("if-modified-since", modified)).collect()
}

/// The last part of an address as a file's name.
fn file_name(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let name: String = last.chars().map(safe).take(120).collect();
    if name.trim_matches('.').is_empty() { "file".to_owned() } else { name }
}

pub(super) fn make(folder: &Path) -> Result<(), CollectError> {
    std::fs::create_dir_all(folder).map_err(|error| CollectError::io(folder, error))
}

pub(super) fn remove(folder: &Path) -> Result<(), CollectError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CollectError::io(folder, error)),
        _ => Ok(()),
    }
}
