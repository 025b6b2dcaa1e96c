//! Where a file is, and its bytes as a blocking reader.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as ObjectPath;
use url::Url;

use super::error::LandingError;
use super::json::first_object;

/// Finds the object store of a URL, with whatever credentials the warehouse has for it.
///
/// Landing itself knows no credentials and no network: `s3://`, `az://` and `gs://` inputs work
/// exactly as far as the resolver it is given allows.
pub trait Stores: Send + Sync {
    /// The store that holds `url`.
    ///
    /// # Errors
    /// `Unreadable` if there is none for this URL.
    fn resolve(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, LandingError>;
}

/// Local files only: every URL is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalOnly;

impl Stores for LocalOnly {
    fn resolve(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, LandingError> {
        let reason = "only local files can be landed here".to_owned();
        Err(LandingError::Unreadable { file: url.to_string(), reason })
    }
}

/// A file or an object.
#[derive(Debug, Clone)]
pub enum Location {
    /// On this machine.
    Local(PathBuf),
    /// In an object store.
    Remote {
        /// The store.
        store: Arc<dyn ObjectStore>,
        /// The key in it.
        path: ObjectPath,
        /// As the user would write it.
        url: String,
    },
}

impl Location {
    /// The path or URL, for messages and the catalog.
    pub fn name(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Remote { url, .. } => url.clone(),
        }
    }

    /// The last part of the path.
    pub fn file_name(&self) -> String {
        match self {
            Self::Local(path) => path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            Self::Remote { path, .. } => path.filename().unwrap_or_default().to_owned(),
        }
    }

    /// Its size in bytes and its version, or `NotFound`. The version changes whenever the content does: when the file was last
    /// changed, or what the store says of the object.
    pub(crate) async fn stat(&self) -> Result<(u64, String), LandingError> {
        let missing = || LandingError::NotFound { input: self.name() };
        match self {
            Self::Local(path) => match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_file() => {
                    let changed = metadata.modified().map_err(|e| self.unreadable(&e))?;
                    let changed = chrono::DateTime::<chrono::Utc>::from(changed);
                    Ok((metadata.len(), changed.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)))
                }
                Ok(_) => Err(missing()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                Err(error) => Err(self.unreadable(&error)),
            },
            Self::Remote { store, path, .. } => match store.head(path).await {
                Ok(meta) => {
                    let changed = meta.last_modified.to_rfc3339();
                    let version =
                        [meta.e_tag, meta.version].into_iter().flatten().fold(changed, |all, part| all + " " + &part);
                    Ok((meta.size, version))
                }
                Err(object_store::Error::NotFound { .. }) => Err(missing()),
                Err(error) => Err(self.unreadable(&error)),
            },
        }
    }

    /// The whole file; for manifests.
    pub(crate) async fn bytes(&self) -> Result<Vec<u8>, LandingError> {
        match self {
            Self::Local(path) => std::fs::read(path).map_err(|e| self.unreadable(&e)),
            Self::Remote { store, path, .. } => {
                let found = store.get(path).await.map_err(|e| self.unreadable(&e))?;
                Ok(found.bytes().await.map_err(|e| self.unreadable(&e))?.to_vec())
            }
        }
    }

    /// A store and a key that reach the file, for readers that need random access.
    pub(crate) fn object(&self) -> Result<(Arc<dyn ObjectStore>, ObjectPath), LandingError> {
        match self {
            Self::Local(path) => {
                // `..` has no place in a key.
                let absolute = path.canonicalize().map_err(|e| self.unreadable(&e))?;
                let key = ObjectPath::from_absolute_path(absolute).map_err(|e| self.unreadable(&e))?;
                Ok((Arc::new(object_store::local::LocalFileSystem::new()), key))
            }
            Self::Remote { store, path, .. } => Ok((Arc::clone(store), path.clone())),
        }
    }

    /// Opens the file for reading from its beginning. Must be called within a Tokio runtime if
    /// the file is remote: its bytes are fetched there and read here.
    pub(crate) fn open(&self, runtime: &tokio::runtime::Handle) -> Result<Box<dyn Read + Send>, LandingError> {
        match self {
            Self::Local(path) => Ok(Box::new(std::fs::File::open(path).map_err(|e| self.unreadable(&e))?)),
            Self::Remote { store, path, .. } => {
                let (sender, receiver) = tokio::sync::mpsc::channel(8);
                runtime.spawn(fetch(Arc::clone(store), path.clone(), sender));
                Ok(Box::new(Fetched { receiver, current: Bytes::new() }))
            }
        }
    }

    pub(crate) fn unreadable(&self, error: &impl std::fmt::Display) -> LandingError {
        LandingError::Unreadable { file: self.name(), reason: error.to_string() }
    }
}

async fn fetch(store: Arc<dyn ObjectStore>, path: ObjectPath, sender: tokio::sync::mpsc::Sender<io::Result<Bytes>>) {
    let mut stream = match store.get(&path).await {
        Ok(found) => found.into_stream(),
        Err(error) => return drop(sender.send(Err(io::Error::other(error))).await),
    };
    while let Some(piece) = stream.next().await {
        if sender.send(piece.map_err(io::Error::other)).await.is_err() {
            return;
        }
    }
}

/// Bytes that a task fetches, read on a thread of its own.
struct Fetched {
    receiver: tokio::sync::mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Fetched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Bytes of one decompressed block that passes from the decompressing thread.
const BLOCK_BYTES: u64 = 1 << 20;

/// Decompresses `compressed` on a thread of its own. Concatenated members are one file; an end
/// inside a member is an error.
pub(crate) fn gunzip(compressed: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let (sender, receiver): (SyncSender<io::Result<Vec<u8>>>, _) = sync_channel(4);
    std::thread::spawn(move || {
        let mut decoder = flate2::read::MultiGzDecoder::new(compressed);
        loop {
            let mut block = Vec::new();
            let read = decoder.by_ref().take(BLOCK_BYTES).read_to_end(&mut block);
            let is_last = !matches!(read, Ok(count) if count > 0);
            let message = read.map(|_| block);
            if sender.send(message).is_err() || is_last {
                return;
            }
        }
    });
    Box::new(Unzipped { receiver, current: Vec::new(), at: 0 })
}

struct Unzipped {
    receiver: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Unzipped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            match self.receiver.recv() {
                Ok(block) => self.current = block?,
                Err(_) => return Ok(0),
            }
            self.at = 0;
        }
        let count = buffer.len().min(self.current.len() - self.at);
        buffer[..count].copy_from_slice(&self.current[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// What the first bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Gzip,
    JsonLines,
    Parquet,
}

/// Tells the format from the first bytes, never from the name.
pub(crate) fn format_of(first: &[u8], file: &str) -> Result<Format, LandingError> {
    const EXPORT: &str = "export it as CSV, JSON lines or Parquet";
    let wrong = |found, hint| Err(LandingError::WrongFormat { file: file.to_owned(), found, hint });
    match first {
        [0x1f, 0x8b, ..] => Ok(Format::Gzip),
        [b'P', b'A', b'R', b'1', ..] => Ok(Format::Parquet),
        [b'P', b'K', 3, 4, ..] => wrong("a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => wrong("Zstandard", "decompress it first"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => wrong("UTF-16 text", "save it as UTF-8"),
        [b'%', b'P', b'D', b'F', ..] => wrong("a PDF", EXPORT),
        [b'[', ..] | [0xef, 0xbb, 0xbf, b'[', ..] => {
            wrong("a JSON array", "write one object a line: jq -c '.[]' does that")
        }
        _ if first_object(first) => Ok(Format::JsonLines),
        [b'<', ..] => wrong("HTML or XML", "this is often an error page saved under the file's name: fetch it again"),
        _ if first.contains(&0) => wrong("binary data", EXPORT),
        _ => Ok(Format::Csv),
    }
}

/// The folder of a local path, `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
