//! What lookups keep of data files: footers, decoded keys, decoded pages and single rows, within a budget of bytes.
//!
//! Data files are immutable, so nothing kept is ever wrong: commits only make part of it useless, and that ages out.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::disk::DiskCache;
use super::file::{KeyBlock, OpenFile};
use crate::error::{Error, Result};
use crate::types::Datum;

/// Bytes of a shard at the least: a page must fit into one.
const SHARD: u64 = 64 << 20;
/// What an entry takes beside its content.
const ENTRY: u64 = 160;

/// The memory of lookups. Clones share it: one for a process is best.
#[derive(Clone)]
pub struct LookupCache {
    kept: Arc<Cache<Key, Kept, Weigh, Hashing, Lifecycle>>,
    disk: Option<Arc<DiskCache>>,
    budget: u64,
}

type Hashing = BuildHasherDefault<OneWord>;
type Lifecycle = DefaultLifecycle<Key, Kept>;

impl fmt::Debug for LookupCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupCache({} of {} bytes)", self.memory(), self.budget)
    }
}

/// What is kept, by file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// See [`super::file::LookupFile::id`].
    pub file: u128,
    pub part: Part,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The footer and the page index.
    Footer,
    /// The keys of a block.
    Keys(u32),
    /// A page of a column: leaf, row group and page.
    Page(u32, u32, u32),
    /// All of a row.
    Row(u64),
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One word: the file's number is a hash already.
        let part = match self.part {
            Part::Footer => u64::MAX,
            Part::Keys(block) => (1 << 63) | u64::from(block),
            Part::Page(leaf, group, page) => (u64::from(leaf) << 48) ^ (u64::from(group) << 32) ^ u64::from(page),
            Part::Row(row) => (1 << 62) | row,
        };
        state.write_u64(self.file as u64 ^ part);
    }
}

/// Hashes the one word that a [`Key`] is: the finish of SplitMix64, which mixes every bit into every other.
#[derive(Default, Clone, Copy)]
pub(super) struct OneWord(u64);

impl Hasher for OneWord {
    fn finish(&self) -> u64 {
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(29) ^ word;
    }
}

#[derive(Debug, Clone)]
pub(super) enum Kept {
    Footer(Arc<OpenFile>),
    Keys(Arc<KeyBlock>),
    Page(ArrayRef),
    /// The values of all columns of the table.
    Row(Arc<[Datum]>),
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Key, Kept> for Weigh {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        let bytes = match kept {
            Kept::Footer(file) => file.size(),
            Kept::Keys(block) => block.keys.size(),
            Kept::Page(lane) => lane.get_array_memory_size(),
            Kept::Row(row) => row.iter().map(Datum::size).sum(),
        };
        bytes as u64 + ENTRY
    }
}

impl LookupCache {
    /// A cache of so many bytes of memory.
    ///
    /// # Errors
    /// [`Error::Bug`] when the cache refuses its options.
    pub fn new(bytes: u64) -> Result<Self> {
        let shards = (bytes / SHARD).clamp(1, 16) as usize;
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity((bytes / (64 << 10)).clamp(256, 1 << 20) as usize)
            .weight_capacity(bytes)
            .build()
            .map_err(|error| Error::bug(format!("lookup cache: {error}")))?;
        let kept = Cache::with_options(options, Weigh, Hashing::default(), Lifecycle::default());
        Ok(Self { kept: Arc::new(kept), disk: None, budget: bytes })
    }

    /// The same with fetched bytes kept in a directory of the local disk, at most so many: for tables of remote stores.
    /// What is there already is used. One process at a time may have the directory.
    ///
    /// # Errors
    /// [`Error::Storage`] when the directory cannot be made or listed.
    pub fn with_disk(self, directory: impl Into<PathBuf>, bytes: u64) -> Result<Self> {
        Ok(Self { disk: Some(Arc::new(DiskCache::open(directory.into(), bytes)?)), ..self })
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> u64 {
        self.kept.weight()
    }

    /// The most it may use.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    pub(super) fn disk(&self) -> Option<&Arc<DiskCache>> {
        self.disk.as_ref()
    }

    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<Kept> {
        self.kept.get(&key)
    }

    pub(super) fn put(&self, key: Key, kept: Kept) {
        self.kept.insert(key, kept);
    }
}
