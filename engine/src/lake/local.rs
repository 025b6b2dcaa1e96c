//! Durable files in a local directory.
//!
//! `object_store` 0.13 never calls fsync on the local file system, so a power cut after a commit
//! could leave a catalog that lists files of zeros. Here a file is written under
//! `<root>/.writing/`, flushed to the device, renamed to its name, and the directory entries that
//! lead to it are flushed too.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::LakeError;

/// Directory of unfinished files below a tier's root. Readers never look into it: no listed path
/// begins with it.
pub(super) const WRITING: &str = ".writing";

/// What happens when a file is published under a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The file there is replaced in one step.
    Replace,
    /// Publishing fails with [`io::ErrorKind::AlreadyExists`].
    Refuse,
}

/// A directory that files are published in.
#[derive(Debug, Clone)]
pub(super) struct LocalRoot {
    root: PathBuf,
}

impl LocalRoot {
    /// Opens the directory, making it if needed.
    pub(super) fn open(root: &Path) -> Result<Self, LakeError> {
        let absolute = std::path::absolute(root).map_err(|e| LakeError::io("find", root, e))?;
        create_directories(&absolute.join(WRITING)).map_err(|e| LakeError::io("create", &absolute, e))?;
        Ok(Self { root: absolute })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// A fresh name for an unfinished file on the same file system.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.root.join(WRITING).join(format!("{}.tmp", Uuid::new_v4()))
    }

    /// Where an object with that path in the tier is kept.
    pub(super) fn place(&self, path: &object_store::path::Path) -> PathBuf {
        self.root.join(path.as_ref())
    }

    /// Gives unfinished files, already flushed, their names, and returns when the names are
    /// durable. Directories that several files share are flushed once.
    pub(super) fn publish<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a Path, &'a object_store::path::Path)>,
        taken: Taken,
    ) -> Result<(), LakeError> {
        let mut directories = BTreeSet::new();
        for (unfinished, path) in files {
            let place = self.place(path);
            let publish_one = || -> io::Result<PathBuf> {
                let directory = place.parent().unwrap_or(&self.root).to_owned();
                create_directories(&directory)?;
                match taken {
                    Taken::Replace => fs::rename(unfinished, &place)?,
                    Taken::Refuse => {
                        // A second name fails when the name is taken, which a rename does not.
                        fs::hard_link(unfinished, &place)?;
                        fs::remove_file(unfinished)?;
                    }
                }
                Ok(directory)
            };
            let directory = publish_one().map_err(|e| LakeError::io("publish", &place, e))?;
            // Also those that were there: another process may have made them a moment ago.
            directories.extend(directory.ancestors().take_while(|d| d.starts_with(&self.root)).map(Path::to_owned));
        }
        for directory in directories {
            flush_directory(&directory).map_err(|e| LakeError::io("flush", &directory, e))?;
        }
        Ok(())
    }

    /// Writes a whole object and publishes it.
    pub(super) fn put<'a>(
        &self,
        path: &object_store::path::Path,
        content: impl IntoIterator<Item = &'a [u8]>,
        taken: Taken,
    ) -> Result<(), LakeError> {
        let unfinished = self.unfinished();
        let written = (|| {
            let mut file = File::create_new(&unfinished)?;
            for part in content {
                file.write_all(part)?;
            }
            file.sync_all()
        })();
        let published = written
            .map_err(|e| LakeError::io("write", &unfinished, e))
            .and_then(|()| self.publish([(unfinished.as_path(), path)], taken));
        if published.is_err() {
            discard(&unfinished);
        }
        published
    }
}

/// Appends to an unfinished file. The file is not kept open, so that a writer may have any number
/// of files in the making.
pub(super) fn append(unfinished: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(unfinished)?.write_all(content)
}

/// Flushes a file's content to the device.
pub(super) fn flush_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.sync_all()
}

/// Removes an unfinished file; a file that is gone already is fine, and one that cannot be removed
/// is left to the collection of orphans.
pub(super) fn discard(unfinished: &Path) {
    if let Err(error) = fs::remove_file(unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %unfinished.display(), %error, "an unfinished file stays behind");
    }
}

/// Makes a directory and what leads to it, flushing every directory that gets a new entry.
fn create_directories(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().unwrap_or(Path::new("."));
    create_directories(parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    flush_directory(parent)
}

/// Makes the names in a directory durable.
#[cfg(unix)]
fn flush_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Directories cannot be opened for flushing here; NTFS journals their entries.
#[cfg(not(unix))]
fn flush_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}
