//! Keeping a warehouse in order: removing files that nobody needs, verifying, backing up.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use chrono::{Duration, SecondsFormat, Utc};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use super::{HOT, Warehouse};
use crate::billing::altered_documents;
use crate::catalog::{Catalog, CatalogError, Change, Orphans, audit, is_listed};
use crate::error::Error;
use crate::lake::LakeTable;

/// Objects that no commit lists are left alone for this long: their writer may still commit.
const UNLISTED_HOURS: i64 = 24;

/// What an upkeep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// Replaced files beyond their grace period.
    pub replaced: usize,
    /// Objects that a crashed writer left.
    pub unlisted: usize,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Snapshots whose chain holds.
    pub snapshots: i64,
    /// Data files that are there with the listed size.
    pub files: usize,
    /// Slices whose charges add up to their usage.
    pub slices: usize,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl Warehouse {
    /// Removes replaced files that no reader or pinned document needs, and what crashed writers left.
    ///
    /// # Errors
    /// When the catalog or a store refuses.
    pub async fn collect_garbage(&self, actor: &str) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        let days = i64::from(self.core.config.keep_replaced_days);
        let before = (Utc::now() - Duration::days(days)).to_rfc3339_opts(SecondsFormat::Micros, true);
        let orphans = self.core.catalog.read(|tx| Orphans::ended_before(tx, &before))?;
        if !orphans.ended.is_empty() {
            let change = Change::new(actor, "clean", format!("{} replaced files", orphans.ended.len()));
            self.core.catalog.commit::<_, CatalogError>(&change, |commit| {
                orphans.ended.iter().try_for_each(|path| commit.forget_file(path))
            })?;
            for path in &orphans.ended {
                self.core.lake.remove(path).await?;
                removed.replaced += 1;
            }
        }
        let newest = Utc::now() - Duration::hours(UNLISTED_HOURS);
        let objects: Vec<_> = self.core.lake.list(HOT)?.try_collect().await?;
        for object in objects {
            let path = object.location.to_string();
            let listed = self.core.catalog.read(|tx| is_listed(tx, &path))?;
            if !listed && object.last_modified < newest {
                self.core.lake.remove(&path).await?;
                removed.unlisted += 1;
            }
        }
        Ok(removed)
    }

    /// Checks the audit chain with every row of the catalog that it covers, the content of every document, the presence of
    /// every data file, and that charges add up to usage.
    ///
    /// # Errors
    /// When the catalog or a store cannot be read; what is wrong with them is in the report.
    pub async fn verify(&self) -> Result<Verified, Error> {
        let audit = self.core.catalog.read(audit)?;
        let problems = audit.problems.iter().map(ToString::to_string).collect();
        let mut verified = Verified { snapshots: audit.snapshots, files: 0, slices: 0, problems };
        match self.verify_content(&mut verified).await {
            // An altered catalog may not even be readable.
            Err(error) if !verified.problems.is_empty() => {
                verified.problems.push(format!("the rest could not be checked: {error}"));
            }
            other => other?,
        }
        Ok(verified)
    }

    async fn verify_content(&self, verified: &mut Verified) -> Result<(), Error> {
        for number in self.core.catalog.read(altered_documents)? {
            verified.problems.push(format!("invoice {number} does not match its content hash"));
        }
        let head = self.core.catalog.head()?;
        let objects: Vec<_> = self.core.lake.list(HOT)?.try_collect().await?;
        let present: BTreeSet<(String, u64)> =
            objects.into_iter().map(|object| (object.location.to_string(), object.size)).collect();
        for table in LakeTable::ALL {
            for file in self.core.files(table, head, |_| true)?.iter() {
                let bytes = u64::try_from(file.bytes).unwrap_or_default();
                if present.contains(&(file.path.clone(), bytes)) {
                    verified.files += 1;
                } else {
                    verified.problems.push(format!("{}: the file is missing or has another size", file.path));
                }
            }
        }
        verified.slices = self.verify_slices(head, &mut verified.problems).await?;
        Ok(())
    }

    async fn verify_slices(&self, head: i64, problems: &mut Vec<String>) -> Result<usize, Error> {
        let session = self.own_session(head);
        let answer = session
            .sql("select \"check\", scope, cast(difference as varchar) as difference from ops.reconciliation where status = 'broken'")
            .await?;
        let crate::session::Answer::Rows { stream, .. } = answer else { return Ok(0) };
        let broken: Vec<_> = stream.try_collect().await?;
        for batch in &broken {
            for row in 0..batch.num_rows() {
                let text =
                    |at: usize| arrow::util::display::array_value_to_string(batch.column(at), row).unwrap_or_default();
                problems.push(format!("{} {}: differs by {}", text(0), text(1), text(2)));
            }
        }
        let rows = self.core.read_rows("select count(*) from slice", &[])?;
        let count = rows.first().map(|row| row.int(0)).transpose()?.unwrap_or_default();
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Copies the catalog, every live data file and those that documents were made of to a directory, consistent while others work.
    ///
    /// # Errors
    /// When the directory holds a warehouse already, or a file cannot be copied.
    pub async fn backup(&self, to: &Path) -> Result<usize, Error> {
        let io = |source| Error::Io { path: to.display().to_string(), source };
        std::fs::create_dir_all(to).map_err(io)?;
        let catalog = to.join("catalog.sqlite");
        if catalog.exists() {
            return Err(Error::Refused(format!("{} already holds a warehouse", to.display())));
        }
        let unfinished = to.join("catalog.sqlite.unfinished");
        if unfinished.exists() {
            std::fs::remove_file(&unfinished).map_err(io)?;
        }
        self.core.catalog.backup(&unfinished)?;
        let head = self.core.catalog.head()?;
        let store = self.core.lake.object_store();
        let storage = |error| Error::Engine(datafusion::error::DataFusionError::ObjectStore(Box::new(error)));
        let paths = self.kept_files(head)?;
        for path in &paths {
            let bytes = store.get(&path.as_str().into()).await.map_err(storage)?.bytes().await.map_err(storage)?;
            write_durably(&to.join(path), &bytes)?;
        }
        std::fs::rename(&unfinished, &catalog).map_err(io)?;
        Ok(paths.len())
    }

    /// The files that are alive at a snapshot, and those that pins keep.
    fn kept_files(&self, head: i64) -> Result<BTreeSet<String>, Error> {
        let mut pinned: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for row in self.core.read_rows("select snapshot_id, slice_id from pin where end_snapshot is null", &[])? {
            pinned.entry(row.int(0)?).or_default().insert(row.int(1)?);
        }
        let mut paths = BTreeSet::new();
        for table in LakeTable::ALL {
            paths.extend(self.core.files(table, head, |_| true)?.iter().map(|file| file.path.clone()));
            for (snapshot, slices) in &pinned {
                let files = self.core.files(table, *snapshot, |file| slices.contains(&file.slice_id))?;
                paths.extend(files.iter().map(|file| file.path.clone()));
            }
        }
        Ok(paths)
    }

    /// Makes a warehouse directory of a backup.
    ///
    /// # Errors
    /// When the source is no backup or the target holds a warehouse already.
    pub fn restore(from: &Path, to: &Path) -> Result<Self, Error> {
        Catalog::open(from)?;
        if to.join("catalog.sqlite").exists() {
            return Err(Error::Refused(format!("{} already holds a warehouse", to.display())));
        }
        copy_tree(from, to)?;
        Self::open(to)
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(io)?;
    }
    let mut file = std::fs::File::create(path).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.sync_all().map_err(io)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |source| Error::Io { path, source }
    };
    std::fs::create_dir_all(to).map_err(io(to))?;
    for entry in std::fs::read_dir(from).map_err(io(from))? {
        let entry = entry.map_err(io(from))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(io(from))?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).map_err(io(&target))?;
        }
    }
    Ok(())
}
