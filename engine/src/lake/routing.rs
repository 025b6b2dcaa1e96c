//! One object store over all tiers: the first segment of a path names the tier.
//!
//! DataFusion reads a table from one store. With all tiers behind one store a scan of hot and cold
//! files is one plan node, and paths stay unique in every cache that is keyed by path alone.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, WriteMultipart,
};

use super::LakeError;
use super::local::{LocalRoot, Taken};
use super::upload::LocalUpload;

/// Objects removed at the same time.
const DELETES_AT_ONCE: usize = 8;

/// A tier with its store open.
#[derive(Debug, Clone)]
pub(super) struct OpenTier {
    /// Reads, and writes of a cloud tier.
    pub(super) store: Arc<dyn ObjectStore>,
    /// Durable writes, when the tier is a local directory.
    pub(super) local: Option<LocalRoot>,
}

/// The store registered as `wh://main/`.
#[derive(Debug, Clone)]
pub(super) struct TieredStore {
    tiers: Arc<BTreeMap<String, OpenTier>>,
}

impl TieredStore {
    pub(super) fn new(tiers: BTreeMap<String, OpenTier>) -> Self {
        Self { tiers: Arc::new(tiers) }
    }

    /// The tier of that name.
    pub(super) fn tier(&self, name: &str) -> Option<&OpenTier> {
        self.tiers.get(name)
    }

    /// The names of all tiers, for messages.
    pub(super) fn names(&self) -> String {
        self.tiers.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Splits a path of the lake into its tier and the path in that tier.
    fn route(&self, location: &Path) -> Result<(Prefix, &OpenTier, Path)> {
        let mut parts = location.parts();
        let name = parts.next().map(|p| p.as_ref().to_owned()).unwrap_or_default();
        match self.tiers.get(&name) {
            Some(tier) => Ok((Prefix(name), tier, parts.collect())),
            None => Err(Error::NotFound {
                path: location.to_string(),
                source: format!("there is no tier \"{name}\"; the tiers are: {}", self.names()).into(),
            }),
        }
    }
}

/// A tier's name, put before the paths that its store answers with.
struct Prefix(String);

impl Prefix {
    fn path(&self, inner: &Path) -> Path {
        std::iter::once(self.0.as_str().into()).chain(inner.parts()).collect()
    }

    fn meta(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.location = self.path(&meta.location);
        meta
    }
}

impl fmt::Display for TieredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TieredStore({})", self.names())
    }
}

/// A failure of durable writing, as an object store reports it.
fn local_failure(error: LakeError, location: &Path) -> Error {
    match error {
        LakeError::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            Error::AlreadyExists { path: location.to_string(), source: Box::new(source) }
        }
        other => Error::Generic { store: "lake", source: Box::new(other) },
    }
}

/// Runs file system calls off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    location: &Path,
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|source| Error::JoinError { source })?;
    done.map_err(|e| local_failure(e, location))
}

#[async_trait]
impl ObjectStore for TieredStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (_, tier, path) = self.route(location)?;
        let Some(local) = tier.local.clone() else {
            return tier.store.put_opts(&path, payload, options).await;
        };
        let taken = match options.mode {
            PutMode::Overwrite => Taken::Replace,
            PutMode::Create => Taken::Refuse,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "conditional update".into(),
                    implementer: self.to_string(),
                });
            }
        };
        blocking(location, move || local.put(&path, payload.iter().map(AsRef::as_ref), taken)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (_, tier, path) = self.route(location)?;
        match &tier.local {
            Some(local) => Ok(Box::new(LocalUpload::new(local.clone(), path))),
            None => tier.store.put_multipart_opts(&path, options).await,
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (prefix, tier, path) = self.route(location)?;
        let mut found = tier.store.get_opts(&path, options).await?;
        found.meta = prefix.meta(found.meta);
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (_, tier, path) = self.route(location)?;
        tier.store.get_ranges(&path, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let (_, tier, path) = store.route(&location)?;
                    tier.store.delete(&path).await?;
                    Ok(location)
                }
            })
            .buffered(DELETES_AT_ONCE)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if let Some(location) = prefix.filter(|p| !p.as_ref().is_empty()) {
            return match self.route(location) {
                Ok((name, tier, path)) => tier.store.list(Some(&path)).map_ok(move |m| name.meta(m)).boxed(),
                Err(error) => futures::stream::once(async { Err(error) }).boxed(),
            };
        }
        let every_tier: Vec<_> = self
            .tiers
            .iter()
            .map(|(name, tier)| {
                let name = Prefix(name.clone());
                tier.store.list(None).map_ok(move |m| name.meta(m))
            })
            .collect();
        futures::stream::iter(every_tier).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let Some(location) = prefix.filter(|p| !p.as_ref().is_empty()) else {
            let common_prefixes = self.tiers.keys().map(|name| Path::from(name.as_str())).collect();
            return Ok(ListResult { common_prefixes, objects: Vec::new() });
        };
        let (name, tier, path) = self.route(location)?;
        let mut found = tier.store.list_with_delimiter(Some(&path)).await?;
        found.common_prefixes = found.common_prefixes.iter().map(|p| name.path(p)).collect();
        found.objects = found.objects.into_iter().map(|m| name.meta(m)).collect();
        Ok(found)
    }

    /// Copies within a cloud tier by the store's own copy; everything else streams through here
    /// and is durable like any write.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (_, source, source_path) = self.route(from)?;
        let (_, target, target_path) = self.route(to)?;
        if source.local.is_none() && Arc::ptr_eq(&source.store, &target.store) {
            return source.store.copy_opts(&source_path, &target_path, options).await;
        }
        if options.mode == CopyMode::Create && target.store.head(&target_path).await.is_ok() {
            return Err(Error::AlreadyExists { path: to.to_string(), source: "the name is taken".into() });
        }
        let mut content = source.store.get(&source_path).await?.into_stream();
        let mut upload = WriteMultipart::new(self.put_multipart(to).await?);
        while let Some(part) = content.next().await {
            match part {
                Ok(bytes) => {
                    upload.wait_for_capacity(DELETES_AT_ONCE).await?;
                    upload.put(bytes);
                }
                Err(error) => {
                    upload.abort().await?;
                    return Err(error);
                }
            }
        }
        upload.finish().await?;
        Ok(())
    }
}
