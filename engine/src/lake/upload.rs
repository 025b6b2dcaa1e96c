//! Writing an object in parts, to a local directory and from a local file to a cloud store.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, PutResult, Result, UploadPart, WriteMultipart,
};

use super::LakeError;
use super::local::{LocalRoot, Taken, discard};
use super::routing::blocking;

/// Bytes of one part of an upload to a cloud store.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at the same time.
const PARTS_AT_ONCE: usize = 4;

/// A local object that is written in parts and appears when it is complete and durable.
#[derive(Debug)]
pub(super) struct LocalUpload {
    root: LocalRoot,
    path: Path,
    unfinished: PathBuf,
    file: Arc<Mutex<Option<File>>>,
    /// Where the next part begins.
    offset: u64,
}

impl LocalUpload {
    pub(super) fn new(root: LocalRoot, path: Path) -> Self {
        let unfinished = root.unfinished();
        Self { root, path, unfinished, file: Arc::default(), offset: 0 }
    }
}

fn write_part(file: &mut Option<File>, name: &FilePath, offset: u64, data: &PutPayload) -> std::io::Result<()> {
    let file = match file {
        Some(file) => file,
        none => none.insert(File::create(name)?),
    };
    file.seek(SeekFrom::Start(offset))?;
    data.iter().try_for_each(|part| file.write_all(part))
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += data.content_length() as u64;
        let file = Arc::clone(&self.file);
        let unfinished = self.unfinished.clone();
        let path = self.path.clone();
        Box::pin(async move {
            blocking(&path, move || {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                write_part(&mut file, &unfinished, offset, &data).map_err(|e| LakeError::io("write", &unfinished, e))
            })
            .await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (root, path, unfinished) = (self.root.clone(), self.path.clone(), self.unfinished.clone());
        blocking(&self.path, move || {
            file.map_or_else(|| File::create(&unfinished), Ok)
                .and_then(|file| file.sync_all())
                .map_err(|e| LakeError::io("flush", &unfinished, e))?;
            root.publish([(unfinished.as_path(), &path)], Taken::Replace)
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let unfinished = self.unfinished.clone();
        blocking(&self.path, move || {
            discard(&unfinished);
            Ok(())
        })
        .await
    }
}

/// Sends a local file to a store. The object appears when all of it has arrived.
pub(super) async fn send_file(store: &dyn ObjectStore, from: &FilePath, to: &Path) -> Result<(), LakeError> {
    let failed = |e| LakeError::store("write", to, e);
    let file = File::open(from).map_err(|e| LakeError::io("read", from, e))?;
    let file = Arc::new(Mutex::new(file));
    let mut upload = WriteMultipart::new(store.put_multipart(to).await.map_err(failed)?);
    loop {
        let part = match next_part(&file, from).await {
            Ok(part) if part.is_empty() => break,
            Ok(part) => part,
            Err(error) => {
                upload.abort().await.map_err(failed)?;
                return Err(error);
            }
        };
        upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
        upload.put(part);
    }
    upload.finish().await.map(|_| ()).map_err(failed)
}

async fn next_part(file: &Arc<Mutex<File>>, name: &FilePath) -> Result<Bytes, LakeError> {
    let file = Arc::clone(file);
    let read = tokio::task::spawn_blocking(move || {
        let file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut part = Vec::with_capacity(PART_BYTES);
        (&*file).take(PART_BYTES as u64).read_to_end(&mut part).map(|_| part)
    });
    match read.await {
        Ok(part) => Ok(part.map_err(|e| LakeError::io("read", name, e))?.into()),
        Err(stopped) => Err(LakeError::io("read", name, std::io::Error::other(stopped))),
    }
}
