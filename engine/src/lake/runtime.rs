//! The execution environment that reads the lake, and nothing else.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::{CacheManager, CacheManagerConfig, FileMetadataCache};
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use object_store::ObjectStore;
use url::Url;

use super::Lake;

/// Bytes of footers kept in memory. A charges footer with its page index is about 60 kB for each
/// row group.
const FOOTER_CACHE_BYTES: usize = 128 << 20;

/// An environment whose only store is the lake, under [`LAKE_URL`](super::LAKE_URL), with the
/// caller's memory pool and place for temporary files. It lists no directories and keeps no listing.
///
/// Sessions run in an environment that has no store at all; a scan's leaf swaps this one in.
///
/// # Errors
/// Passes on DataFusion's, which has none for these settings.
pub fn scan_runtime(lake: &Lake, pool: Arc<dyn MemoryPool>, disk: DiskManagerBuilder) -> Result<Arc<RuntimeEnv>> {
    let caches = CacheManagerConfig::default()
        .with_list_files_cache_limit(0)
        .with_file_statistics_cache_limit(0)
        .with_file_metadata_cache(Some(lake.footers()));
    RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_disk_manager_builder(disk)
        .with_cache_manager(caches)
        .with_object_store_registry(Arc::new(OnlyTheLake { store: lake.object_store() }))
        .build_arc()
}

/// A bounded cache of Parquet footers, the kind that DataFusion's readers take.
pub(super) fn footer_cache() -> Arc<FileMetadataCache> {
    let config = CacheManagerConfig::default().with_metadata_cache_limit(FOOTER_CACHE_BYTES);
    match CacheManager::try_new(&config) {
        Ok(manager) => manager.get_file_metadata_cache(),
        Err(_) => RuntimeEnv::default().cache_manager.get_file_metadata_cache(),
    }
}

/// A registry of one store, to which none can be added.
#[derive(Debug)]
struct OnlyTheLake {
    store: Arc<dyn ObjectStore>,
}

impl ObjectStoreRegistry for OnlyTheLake {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() == "wh" && url.host_str() == Some("main") {
            return Ok(Arc::clone(&self.store));
        }
        Err(DataFusionError::Plan("only objects of the lake can be read here".to_owned()))
    }
}
