//! The lake: tiers opened by URL, behind one object store.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::datasource::TableProvider;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use url::Url;

use super::local::LocalRoot;
use super::provider::FilesTable;
use super::routing::{OpenTier, TieredStore};
use super::schema::LakeTable;
use super::small_files::SMALL_FILE_BYTES;
use super::writer::{ClusteredWriter, WriterOptions};
use super::{FileList, LakeError, runtime};

/// The URL under which plans find the lake's objects.
pub const LAKE_URL: &str = "wh://main/";

/// A place for data files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The first segment of the paths of its objects: letters, digits, `-` and `_`.
    pub name: String,
    /// `file:` for a local directory, `s3:`, `az:`, `abfs:`, `abfss:` or `gs:` for a bucket or
    /// container with an optional prefix. Credentials come from the environment.
    pub url: Url,
}

/// All tiers of a warehouse behind one object store. Clones share everything.
#[derive(Debug, Clone)]
pub struct Lake {
    store: Arc<TieredStore>,
    footers: Arc<FileMetadataCache>,
    small_file_bytes: i64,
}

impl Lake {
    /// Opens all tiers; a local directory is made when it is missing. A cloud store is not
    /// contacted before its first object is.
    ///
    /// # Errors
    /// Names that repeat or cannot be path segments, URLs that no store serves, directories that
    /// cannot be made.
    pub fn open(tiers: &[Tier]) -> Result<Self, LakeError> {
        let mut open = BTreeMap::new();
        for tier in tiers {
            check_name(&tier.name)?;
            if open.insert(tier.name.clone(), open_tier(tier)?).is_some() {
                return Err(LakeError::TierName { tier: tier.name.clone(), problem: "is used twice" });
            }
        }
        Ok(Self::of_tiers(open))
    }

    /// A lake of one tier in that store.
    #[cfg(test)]
    pub(super) fn of_store(tier: &str, store: Arc<dyn ObjectStore>) -> Self {
        let open = BTreeMap::from([(tier.to_owned(), OpenTier { store, local: None })]);
        Self::of_tiers(open)
    }

    /// The same lake, whose scans take every file for a large one.
    #[cfg(test)]
    pub(super) fn without_small_files(self) -> Self {
        Self { small_file_bytes: -1, ..self }
    }

    fn of_tiers(open: BTreeMap<String, OpenTier>) -> Self {
        Self {
            store: Arc::new(TieredStore::new(open)),
            footers: runtime::footer_cache(),
            small_file_bytes: SMALL_FILE_BYTES,
        }
    }

    /// A writer of new files of a table into a tier. That the tier exists is checked by the
    /// writer's first call.
    pub fn writer(&self, table: LakeTable, tier: &str, options: WriterOptions) -> ClusteredWriter {
        ClusteredWriter::new(self, table, tier, options)
    }

    /// A table of exactly these files.
    pub fn provider(&self, table: LakeTable, files: FileList) -> Arc<dyn TableProvider> {
        Arc::new(FilesTable::new(self, table, files))
    }

    /// The store to register as [`LAKE_URL`].
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    /// Removes an object; one that is gone already is fine, so that a collection of orphans can
    /// be repeated after a crash.
    ///
    /// # Errors
    /// A text that is no path, or the store's refusal.
    pub async fn remove(&self, path: &str) -> Result<(), LakeError> {
        let location = Path::parse(path).map_err(|_| LakeError::Path { path: path.to_owned() })?;
        match self.store.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(LakeError::store("remove", path, error)),
        }
    }

    /// Every object in a tier with its path in the lake, size and time: the files that are listed
    /// in the catalog, and those that are not. Unfinished local files are among them, under
    /// `<tier>/.writing/`.
    ///
    /// # Errors
    /// An unknown tier, or the store's refusal while listing.
    pub fn list(&self, tier: &str) -> Result<BoxStream<'static, Result<ObjectMeta, LakeError>>, LakeError> {
        self.tier(tier)?;
        let name = tier.to_owned();
        let objects = self.store.list(Some(&Path::from(tier)));
        Ok(objects.map_err(move |e| LakeError::store("list", &name, e)).boxed())
    }

    pub(super) fn tier(&self, name: &str) -> Result<&OpenTier, LakeError> {
        self.store.tier(name).ok_or_else(|| LakeError::UnknownTier { tier: name.to_owned(), known: self.store.names() })
    }

    /// Files up to this size are read whole.
    pub(super) fn small_file_bytes(&self) -> i64 {
        self.small_file_bytes
    }

    /// Footers read so far. Their entries are content that never changes, under names that are
    /// never used twice, so sharing them cannot mix up warehouses' states.
    pub(super) fn footers(&self) -> Arc<FileMetadataCache> {
        Arc::clone(&self.footers)
    }
}

fn check_name(name: &str) -> Result<(), LakeError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(LakeError::TierName {
            tier: name.to_owned(),
            problem: "must be of letters, digits, '-' and '_' only",
        });
    }
    Ok(())
}

fn open_tier(tier: &Tier) -> Result<OpenTier, LakeError> {
    match tier.url.scheme() {
        "file" => open_directory(tier),
        "s3" | "s3a" | "az" | "adl" | "azure" | "abfs" | "abfss" | "gs" => open_cloud(tier),
        scheme => Err(LakeError::UnknownScheme { tier: tier.name.clone(), scheme: scheme.to_owned() }),
    }
}

fn open_directory(tier: &Tier) -> Result<OpenTier, LakeError> {
    let directory = tier.url.to_file_path().map_err(|()| {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "a file URL has no host and an absolute path");
        LakeError::Io { action: "use", path: PathBuf::from(tier.url.path()), source }
    })?;
    let local = LocalRoot::open(&directory)?;
    let store = LocalFileSystem::new_with_prefix(local.path()).map_err(|e| LakeError::store("open", &tier.name, e))?;
    Ok(OpenTier { store: Arc::new(store), local: Some(local) })
}

#[cfg(not(feature = "cloud"))]
fn open_cloud(tier: &Tier) -> Result<OpenTier, LakeError> {
    Err(LakeError::CloudLeftOut { tier: tier.name.clone(), scheme: tier.url.scheme().to_owned() })
}

#[cfg(feature = "cloud")]
fn open_cloud(tier: &Tier) -> Result<OpenTier, LakeError> {
    use object_store::ObjectStoreScheme;
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::prefix::PrefixStore;

    let failed = |e: object_store::Error| LakeError::store("open", &tier.name, e);
    let (scheme, prefix) = ObjectStoreScheme::parse(&tier.url).map_err(|e| failed(e.into()))?;
    let url = tier.url.as_str();
    let bucket: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => Arc::new(AmazonS3Builder::from_env().with_url(url).build().map_err(failed)?),
        ObjectStoreScheme::MicrosoftAzure => {
            Arc::new(MicrosoftAzureBuilder::from_env().with_url(url).build().map_err(failed)?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            Arc::new(GoogleCloudStorageBuilder::from_env().with_url(url).build().map_err(failed)?)
        }
        _ => {
            return Err(LakeError::UnknownScheme { tier: tier.name.clone(), scheme: tier.url.scheme().to_owned() });
        }
    };
    let store = if prefix.as_ref().is_empty() { bucket } else { Arc::new(PrefixStore::new(bucket, prefix)) };
    Ok(OpenTier { store, local: None })
}
