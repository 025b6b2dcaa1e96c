//! Layouts in which an export keeps its manifests and the runs before.
//!
//! AWS Data Exports writes `<export>/data/BILLING_PERIOD=2026-06/…` and beside it
//! `<export>/metadata/BILLING_PERIOD=2026-06/<export>-Manifest.json`, which names the parts. An export
//! that overwrites has one run a period; one that creates new files has
//! `…/BILLING_PERIOD=2026-06/<time>-<execution id>/…` in both for every run, all of them the whole
//! period. Reading what is in `data` counts cost as often as there were runs.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

use super::location::Location;
use super::manifest::is_manifest;

/// The files that count of those listed: of the runs of one export the newest one's manifest, and no
/// data file that such a manifest's export holds.
pub(crate) fn current(files: Vec<Location>) -> Vec<Location> {
    let names: Vec<String> = files.iter().map(Location::name).collect();
    let manifests = || names.iter().filter(|name| is_manifest(file_of(name)));
    let governed: Vec<String> = manifests().filter_map(|name| data_folder(name)).collect();
    let mut newest: HashMap<(&str, &str), (DateTime<Utc>, &str)> = HashMap::new();
    for name in manifests() {
        if let Some((export, run, at)) = run_of(name) {
            let best = newest.entry((export, file_of(name))).or_insert((at, run));
            *best = (*best).max((at, run));
        }
    }
    let counts = |name: &str| {
        if !is_manifest(file_of(name)) {
            return !governed.iter().any(|folder| name.starts_with(folder));
        }
        run_of(name)
            .is_none_or(|(export, run, _)| newest.get(&(export, file_of(name))).is_some_and(|best| best.1 == run))
    };
    let kept: Vec<bool> = names.iter().map(|name| counts(name)).collect();
    files.into_iter().zip(kept).filter_map(|(file, is_kept)| is_kept.then_some(file)).collect()
}

/// When the run that a manifest is of was made, if its folder says: RFC 3339 UTC with microseconds.
pub(crate) fn made_at(manifest: &str) -> Option<String> {
    run_of(manifest).map(|(_, _, at)| at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn file_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, file)| file)
}

/// `x/data/` of a manifest below `x/metadata/`.
fn data_folder(manifest: &str) -> Option<String> {
    match manifest.rfind("/metadata/") {
        Some(at) => Some(format!("{}/data/", &manifest[..at])),
        None => manifest.starts_with("metadata/").then(|| "data/".to_owned()),
    }
}

/// The folder of the runs, the run's own folder and its time.
fn run_of(manifest: &str) -> Option<(&str, &str, DateTime<Utc>)> {
    let (folder, _) = manifest.rsplit_once('/')?;
    let (export, run) = folder.rsplit_once('/')?;
    let (time, _) = run.split_once('Z')?;
    let forms = ["%Y%m%dT%H%M%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H%M%S%.f"];
    let at = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(time, form).ok())?;
    Some((export, run, at.and_utc()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn current_of(names: &[&str]) -> Vec<String> {
        current(names.iter().map(|name| Location::Local(PathBuf::from(name))).collect())
            .iter()
            .map(Location::name)
            .collect()
    }

    #[test]
    fn of_several_runs_the_newest_counts() {
        let run = |folder: &str, id: &str| format!("e/{folder}/BILLING_PERIOD=2026-06/{id}");
        let (old, new) = ("20260602T010203Z-ffff", "20260611T000000Z-0000");
        let names = [
            format!("{}/e-00001.csv.gz", run("data", old)),
            format!("{}/e-00001.csv.gz", run("data", new)),
            format!("{}/e-Manifest.json", run("metadata", new)),
            format!("{}/e-Manifest.json", run("metadata", old)),
            "e/metadata/BILLING_PERIOD=2026-05/20260601T000000Z-1111/e-Manifest.json".to_owned(),
            "other/data/x.csv".to_owned(),
        ];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(current_of(&names), [names[2], names[4], names[5]]);
    }

    #[test]
    fn runs_say_when_they_were_made() {
        let at = |run: &str| made_at(&format!("e/metadata/{run}/e-Manifest.json"));
        assert_eq!(at("20260611T000000Z-0000").as_deref(), Some("2026-06-11T00:00:00.000000Z"));
        assert_eq!(at("2026-06-11T01:02:03.5Z-0000").as_deref(), Some("2026-06-11T01:02:03.500000Z"));
        for unknown in ["BILLING_PERIOD=2026-06", "Zurich", "0f3c-11e0"] {
            assert_eq!(at(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn files_without_a_manifest_all_count() {
        let names = ["e/data/BILLING_PERIOD=2026-06/e-00001.csv.gz", "e/data/BILLING_PERIOD=2026-07/e-00001.csv.gz"];
        assert_eq!(current_of(&names), names);
    }
}
