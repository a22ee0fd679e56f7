//! A cache of blocks of remote files on the local disk (`local-cache.*`): what was fetched once is not asked for again,
//! by this process or a later one.
//!
//! ```text
//! read 3_500_000..3_600_000 of data-<uuid>-0.parquet
//!   block 3 (1 MiB) ── on disk, whole, of this file? ── yes: from the disk
//!                                                    └─ no: block 3 from the store, kept, the oldest blocks go
//! ```
//!
//! Invariants:
//! - only files that never change are kept, and only those whose names no other file ever has (they hold a UUID): never
//!   a snapshot, schema, tag, hint or consumer, so that no commit makes a block wrong;
//! - a block names its file, its place and the file's size, and ends in a checksum: a torn, damaged or foreign one is as
//!   good as none;
//! - the blocks of a directory never take more than the limit; one process fills it, others only read there;
//! - a disk that fails costs the cache and nothing else, and is told once.
//!
//! Spec: `format-spec/stores.md`, local cache; why it is our own: `format-spec/decisions/0022-the-block-cache.md`.

mod disk;
mod kinds;
mod options;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use object_store::ObjectStore;

use self::disk::DiskBlocks;
pub use self::kinds::CachedKind;
pub use self::options::CacheOptions;
pub(in crate::io) use self::options::LOCAL_CACHE;
use self::store::CachingStore;
use crate::env::Env;
use crate::error::{Error, Result};

/// The blocks of one directory. All stores of a process that are told the same directory share them.
#[derive(Debug)]
pub struct BlockCache {
    options: CacheOptions,
    blocks: DiskBlocks,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a cache was asked for since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Blocks that were on the disk.
    pub hits: u64,
    /// Blocks that the store was asked for.
    pub misses: u64,
}

impl BlockCache {
    /// The cache of a directory, which is shared with whoever in this process has it. The disk is touched at the first
    /// read.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the directory is in use with other limits.
    pub fn open(options: CacheOptions) -> Result<Arc<Self>> {
        static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<BlockCache>>>> = LazyLock::new(Mutex::default);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, cache| cache.strong_count() > 0);
        let known = open.get(&options.directory).and_then(Weak::upgrade);
        match known {
            Some(cache) if cache.options == options => Ok(cache),
            Some(_) => Err(Error::invalid(format!(
                "options local-cache.*: {} is in use with other values in this process",
                options.directory.display()
            ))),
            None => {
                let cache = Arc::new(Self::new(options));
                open.insert(cache.options.directory.clone(), Arc::downgrade(&cache));
                Ok(cache)
            }
        }
    }

    fn new(options: CacheOptions) -> Self {
        let blocks = DiskBlocks::new(options.directory.clone(), options.max_bytes);
        Self { options, blocks, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// A store whose reads go through the cache. `address` tells the store from all others.
    pub fn wrap(self: &Arc<Self>, inner: Arc<dyn ObjectStore>, address: &str, env: &Env) -> Arc<dyn ObjectStore> {
        Arc::new(CachingStore::new(inner, Arc::clone(self), address, env.clone()))
    }

    /// What it was asked for.
    pub fn counts(&self) -> CacheCounts {
        CacheCounts { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }
}
