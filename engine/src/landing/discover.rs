//! What `land` was pointed at, as deliveries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _};
use url::Url;

use super::error::LandingError;
use super::executions::{current, made_at};
use super::location::{Location, Stores, folder_of};
use super::manifest::{ManifestFacts, NamedPart, is_manifest, parse_manifest};

/// Most files that one call looks at.
const FILES_MAX: usize = 100_000;

/// Folders above a manifest in which its parts are looked for: it may be in `metadata/<period>/<run>`.
const LEVELS_ABOVE: usize = 4;

/// One file of a delivery.
#[derive(Debug, Clone)]
pub struct PartFile {
    /// Where it is.
    pub location: Location,
    /// Its size in bytes as stored.
    pub bytes: u64,
    /// Changes whenever its content does.
    pub version: String,
}

/// Files that belong together: those a manifest names, numbered parts of one export, or one file.
#[derive(Debug, Clone)]
pub struct DeliveryFiles {
    /// The manifest's, the parts' common, or the file's path or URL.
    pub name: String,
    /// In the order in which they are read; a row's `source_file` is the index here.
    pub parts: Vec<PartFile>,
    /// If a manifest named them.
    pub manifest: Option<ManifestFacts>,
}

/// Resolves files, folders, globs, URLs and manifests to deliveries, in the order of the inputs.
///
/// A folder that has a manifest is read by that manifest alone, sub-folders included; an export of
/// AWS Data Exports by the newest manifest of each period. Without
/// one, numbered parts (`part-00001.csv`, `x-00002.csv.gz`) of one folder are one delivery and
/// every other file is a delivery of its own.
///
/// # Errors
/// `NotFound` for an input that names nothing; `MissingPart` and `Manifest` for a manifest that
/// does not hold; `Unreadable` for what the file system or the store refuses.
pub async fn discover(inputs: &[String], stores: &dyn Stores) -> Result<Vec<DeliveryFiles>, LandingError> {
    let mut found = Vec::new();
    let mut loose = Vec::new();
    for input in inputs {
        let files = list(input, stores).await?;
        if files.is_empty() {
            return Err(LandingError::NotFound { input: input.clone() });
        }
        take_manifests(current(files), &mut found, &mut loose).await?;
    }
    let mut found = found.into_iter().map(|(_, files)| files).collect::<Result<Vec<_>, _>>()?;
    let mut grouped = group_parts(loose);
    found.append(&mut grouped);
    Ok(found)
}

/// The deliveries below one input as they stand now, each with its manifest's or its own name: one whose manifest does not hold
/// (a part is not there yet) says so, and does not stand in the way of the others. None is no error.
///
/// # Errors
/// `Unreadable` for what the file system or the store refuses.
pub async fn survey(
    input: &str,
    stores: &dyn Stores,
) -> Result<Vec<(String, Result<DeliveryFiles, LandingError>)>, LandingError> {
    let (mut found, mut loose) = (Vec::new(), Vec::new());
    take_manifests(current(list(input, stores).await?), &mut found, &mut loose).await?;
    found.extend(group_parts(loose).into_iter().map(|files| (files.name.clone(), Ok(files))));
    Ok(found)
}

async fn list(input: &str, stores: &dyn Stores) -> Result<Vec<Location>, LandingError> {
    match Url::parse(input) {
        Ok(url) if input.contains("://") && url.scheme() != "file" => {
            let store = stores.resolve(&url)?;
            list_remote(&store, &url).await
        }
        _ => list_local(input.strip_prefix("file://").unwrap_or(input)),
    }
}

/// Every file that a path, a folder or a glob names.
fn list_local(input: &str) -> Result<Vec<Location>, LandingError> {
    let path = Path::new(input);
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, &mut files)?;
    } else if path.exists() {
        files.push(path.to_path_buf());
    } else if input.contains(['*', '?', '[']) {
        let wrong = |e: glob::PatternError| LandingError::Unreadable { file: input.to_owned(), reason: e.to_string() };
        for entry in glob::glob(input).map_err(wrong)?.filter_map(Result::ok) {
            if entry.is_dir() {
                walk(&entry, &mut files)?;
            } else {
                files.push(entry);
            }
        }
    }
    Ok(files.into_iter().map(Location::Local).collect())
}

/// Data files under a folder; a folder with a manifest gives only that.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), LandingError> {
    let unreadable =
        |e: std::io::Error| LandingError::Unreadable { file: folder.display().to_string(), reason: e.to_string() };
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).map_err(unreadable)?.filter_map(Result::ok).map(|e| e.path()).collect();
    entries.sort();
    let name_of = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let manifests: Vec<PathBuf> = entries.iter().filter(|e| e.is_file() && is_manifest(&name_of(e))).cloned().collect();
    if !manifests.is_empty() {
        files.extend(manifests);
        return Ok(());
    }
    for entry in entries {
        if entry.is_dir() {
            walk(&entry, files)?;
        } else if is_data(&name_of(&entry)) {
            files.push(entry);
        }
        if files.len() > FILES_MAX {
            return Err(LandingError::Unreadable {
                file: folder.display().to_string(),
                reason: format!("more than {FILES_MAX} files; name a sub-folder"),
            });
        }
    }
    Ok(())
}

/// Names that a folder's listing takes up; anything can be named on its own.
fn is_data(name: &str) -> bool {
    let name = name.to_lowercase();
    [".csv", ".gz", ".json", ".jsonl", ".ndjson", ".parquet"].iter().any(|end| name.ends_with(end))
        && !name.starts_with(['.', '_'])
}

async fn list_remote(store: &Arc<dyn ObjectStore>, url: &Url) -> Result<Vec<Location>, LandingError> {
    let unreadable = |e: object_store::Error| LandingError::Unreadable { file: url.to_string(), reason: e.to_string() };
    let key = ObjectPath::from_url_path(url.path()).map_err(|e| unreadable(e.into()))?;
    let base = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    let locate = |path: ObjectPath| Location::Remote { store: Arc::clone(store), url: format!("{base}/{path}"), path };
    if !url.path().ends_with('/') && store.head(&key).await.is_ok() {
        return Ok(vec![locate(key)]);
    }
    let mut listed: Vec<ObjectPath> = Vec::new();
    let mut stream = store.list(Some(&key));
    while let Some(object) = stream.try_next().await.map_err(unreadable)? {
        listed.push(object.location);
        if listed.len() > FILES_MAX {
            return Err(LandingError::Unreadable {
                file: url.to_string(),
                reason: format!("more than {FILES_MAX} objects; name a longer prefix"),
            });
        }
    }
    listed.sort();
    let folder_of =
        |path: &ObjectPath| path.as_ref().rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let governed: Vec<String> =
        listed.iter().filter(|p| is_manifest(p.filename().unwrap_or_default())).map(folder_of).collect();
    let is_outer = |path: &ObjectPath| {
        !governed.iter().any(|folder| path.as_ref().starts_with(folder) && folder_of(path) != *folder)
    };
    let kept = listed.into_iter().filter(|path| {
        let name = path.filename().unwrap_or_default();
        let is_governed = governed.iter().any(|folder| path.as_ref().starts_with(folder));
        (is_manifest(name) && is_outer(path)) || (!is_governed && is_data(name))
    });
    Ok(kept.map(locate).collect())
}

/// Reads the manifests among `files` as deliveries and leaves the others in `loose`.
async fn take_manifests(
    files: Vec<Location>,
    found: &mut Vec<(String, Result<DeliveryFiles, LandingError>)>,
    loose: &mut Vec<PartFile>,
) -> Result<(), LandingError> {
    for location in files {
        if is_manifest(&location.file_name()) {
            found.push((location.name(), take_manifest(&location).await));
        } else {
            let (bytes, version) = location.stat().await?;
            loose.push(PartFile { location, bytes, version });
        }
    }
    Ok(())
}

async fn take_manifest(location: &Location) -> Result<DeliveryFiles, LandingError> {
    let (mut facts, named) = parse_manifest(&location.name(), &location.bytes().await?)?;
    facts.created_at = facts.created_at.or_else(|| made_at(&location.name()));
    let mut parts = Vec::with_capacity(named.len());
    for part in named {
        parts.push(find_part(location, &part).await?);
    }
    Ok(DeliveryFiles { name: location.name(), parts, manifest: Some(facts) })
}

/// The file that a manifest's key means. Keys are paths from the bucket's root; a downloaded
/// copy keeps only their end, so that ever shorter ends are tried beside the manifest and, from
/// two steps on, above it.
async fn find_part(manifest: &Location, part: &NamedPart) -> Result<PartFile, LandingError> {
    let missing = || LandingError::MissingPart { manifest: manifest.name(), part: part.key.clone() };
    let steps: Vec<&str> = part.key.split('/').filter(|s| !s.is_empty()).collect();
    if steps.contains(&"..") {
        return Err(LandingError::Manifest {
            file: manifest.name(),
            reason: "a part's name leaves its folder (..)".to_owned(),
        });
    }
    for location in candidates(manifest, &steps) {
        match location.stat().await {
            Ok((bytes, _)) if part.bytes.is_some_and(|said| said != bytes) => {
                let reason = format!("it has {bytes} bytes, its manifest says {}", part.bytes.unwrap_or_default());
                return Err(LandingError::Truncated { file: location.name(), reason });
            }
            Ok((bytes, version)) => return Ok(PartFile { location, bytes, version }),
            Err(LandingError::NotFound { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Err(missing())
}

fn candidates(manifest: &Location, steps: &[&str]) -> Vec<Location> {
    let ends = (0..steps.len()).map(|from| steps[from..].join("/"));
    match manifest {
        Location::Local(path) => {
            let folder = folder_of(path);
            let places = |end: String| {
                let levels = if end.contains('/') { LEVELS_ABOVE + 1 } else { 1 };
                let found: Vec<Location> =
                    folder.ancestors().take(levels).map(|above| Location::Local(above.join(&end))).collect();
                found
            };
            ends.flat_map(places).collect()
        }
        Location::Remote { store, path, url } => {
            let base = url.strip_suffix(path.as_ref()).unwrap_or(url).to_owned();
            let folder = path.as_ref().rsplit_once('/').map_or("", |(folder, _)| folder);
            let whole = std::iter::once(steps.join("/"));
            let beside = ends.map(|end| if folder.is_empty() { end } else { format!("{folder}/{end}") });
            let locate = |key: String| Location::Remote {
                store: Arc::clone(store),
                url: format!("{base}{key}"),
                path: ObjectPath::from(key),
            };
            whole.chain(beside).map(locate).collect()
        }
    }
}

/// Numbered parts of one folder become one delivery; others stay alone.
fn group_parts(loose: Vec<PartFile>) -> Vec<DeliveryFiles> {
    let mut groups: Vec<(Option<String>, Vec<PartFile>)> = Vec::new();
    for part in loose {
        let name = part.location.name();
        if groups.iter().any(|(_, parts)| parts.iter().any(|p| p.location.name() == name)) {
            continue;
        }
        let stem = stem_of_parts(&name);
        match groups.iter_mut().find(|(key, _)| key.is_some() && *key == stem) {
            Some((_, parts)) => parts.push(part),
            None => groups.push((stem, vec![part])),
        }
    }
    groups
        .into_iter()
        .map(|(stem, mut parts)| {
            parts.sort_by_key(|p| p.location.name());
            let name = match (stem, parts.as_slice()) {
                (Some(stem), [_, _, ..]) => stem,
                _ => parts[0].location.name(),
            };
            DeliveryFiles { name, parts, manifest: None }
        })
        .collect()
}

/// The name with its part number replaced by `*`, if it has one: five digits or more, or digits after `part`.
fn stem_of_parts(name: &str) -> Option<String> {
    let (folder, file) = name.rsplit_once('/').map_or(("", name), |(folder, file)| (folder, file));
    let (stem, extension) = file.split_once('.').unwrap_or((file, ""));
    let digits_from = stem.len() - stem.chars().rev().take_while(char::is_ascii_digit).count();
    let (head, digits) = stem.split_at(digits_from);
    let is_part = head.to_lowercase().contains("part") || digits.len() >= 5;
    let is_number = !digits.is_empty() && is_part && head.ends_with(['-', '_']);
    // Spark: part-00000-<uuid of the write>.
    let spark = stem
        .strip_prefix("part-")
        .and_then(|rest| rest.split_once('-'))
        .filter(|(n, _)| n.len() == 5 && n.chars().all(|c| c.is_ascii_digit()));
    let stem = match (spark, is_number) {
        (Some((_, rest)), _) => format!("part-*-{rest}"),
        (None, true) => format!("{head}*"),
        (None, false) => return None,
    };
    Some(format!("{folder}/{stem}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_numbers() {
        assert_eq!(stem_of_parts("d/x-00001.csv.gz").as_deref(), Some("d/x-*.csv.gz"));
        assert_eq!(stem_of_parts("d/part_0_0001.csv").as_deref(), Some("d/part_0_*.csv"));
        assert_eq!(stem_of_parts("d/part_1.csv").as_deref(), Some("d/part_*.csv"));
        assert_eq!(stem_of_parts("d/part-00000-af-1.snappy.parquet").as_deref(), Some("d/part-*-af-1.snappy.parquet"));
        for alone in ["d/focus_2024.csv", "d/focus-1.csv", "d/usage.csv", "d/202409.csv"] {
            assert_eq!(stem_of_parts(alone), None, "{alone}");
        }
    }
}
