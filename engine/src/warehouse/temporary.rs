//! Temporary files of queries and landings, in a place of the warehouse's own.
//!
//! `DIR/tmp/` has one directory for each process that has the warehouse open, readable by its owner
//! only. It is locked while its process lives, so a later one removes what a killed one left.

use std::fs::{self, DirBuilder, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use uuid::Uuid;

use crate::error::Error;

const FOLDER: &str = "tmp";
const LOCK: &str = "lock";

/// One process's directory; removed with it.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    /// Held, never read.
    _lock: File,
}

impl Temporary {
    /// Makes the directory, and removes those of processes that are gone.
    pub(super) fn create(warehouse: &Path) -> Result<Self, Error> {
        let folder = warehouse.join(FOLDER);
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |source| Error::Io { path, source }
        };
        private_directory(&folder).map_err(io(&folder))?;
        remove_abandoned(&folder);
        let path = folder.join(Uuid::new_v4().simple().to_string());
        private_directory(&path).map_err(io(&path))?;
        let lock = File::create_new(path.join(LOCK)).map_err(io(&path))?;
        lock.lock().map_err(io(&path))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where an execution environment may put at most that many bytes.
    pub(crate) fn disk(&self, bytes_max: u64) -> DiskManagerBuilder {
        DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.path.clone()]))
            .with_max_temp_directory_size(bytes_max)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is removed by whoever opens the warehouse next.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes a directory that only its owner reads, with those above it.
pub(crate) fn private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Between making a directory and locking it nobody holds its lock.
const BEING_MADE: Duration = Duration::from_secs(60);

/// Removes directories whose lock nobody holds.
fn remove_abandoned(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_abandoned = |lock: File| {
            let age = lock.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
            lock.try_lock().is_ok() && matches!(age, Ok(Ok(age)) if age > BEING_MADE)
        };
        if File::open(path.join(LOCK)).is_ok_and(is_abandoned) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let warehouse = tempfile::tempdir().expect("a directory");
        let first = Temporary::create(warehouse.path()).expect("the first");
        let killed = warehouse.path().join(FOLDER).join("killed");
        private_directory(&killed).expect("a directory");
        let lock = File::create(killed.join(LOCK)).expect("a lock that nobody holds");
        lock.set_modified(SystemTime::now() - 2 * BEING_MADE).expect("it is old");
        fs::write(killed.join("spilled"), "rows").expect("a file");
        let second = Temporary::create(warehouse.path()).expect("the second");
        assert!(!killed.exists() && first.path.exists() && second.path.exists());
        let path = second.path.clone();
        drop(second);
        assert!(!path.exists() && first.path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_look_into_it() {
        use std::os::unix::fs::PermissionsExt;

        let warehouse = tempfile::tempdir().expect("a directory");
        let temporary = Temporary::create(warehouse.path()).expect("a directory");
        let mode = fs::metadata(&temporary.path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
