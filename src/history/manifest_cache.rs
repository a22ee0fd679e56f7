//! What was read of manifests, lists and index manifests: one cache for all tables that share it.
//!
//! All of them are immutable and bear a UUID in their names, so that nothing is ever taken back; copies of a table are
//! told apart by their locations.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::manifests::Entries;
use crate::format::{IndexManifestEntry, ManifestFileMeta};

/// Memory for what was read, unless told otherwise.
const DEFAULT_BUDGET: usize = 128 << 20;

/// Manifests that were read, within a budget of bytes. Clones share it: one for a process that opens many tables is best.
#[derive(Clone)]
pub struct ManifestCache {
    budget: usize,
    kept: Arc<Mutex<Cache>>,
}

impl Default for ManifestCache {
    /// Of 128 MiB.
    fn default() -> Self {
        Self::new(DEFAULT_BUDGET)
    }
}

impl fmt::Debug for ManifestCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestCache({} of {} bytes)", self.memory(), self.budget)
    }
}

impl ManifestCache {
    /// Of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { budget: bytes, kept: Arc::default() }
    }

    /// Bytes of memory in use, roughly.
    pub fn memory(&self) -> usize {
        self.cache().bytes
    }

    /// The most it may use.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// The number of the table at a location.
    pub(super) fn number_of(&self, location: &str) -> u32 {
        let mut cache = self.cache();
        let next = u32::try_from(cache.tables.len()).unwrap_or(u32::MAX);
        *cache.tables.entry(location.to_string()).or_insert(next)
    }

    pub(super) fn get(&self, table: u32, name: &str) -> Option<Kept> {
        self.cache().get(table, name)
    }

    pub(super) fn put(&self, table: u32, name: &str, kept: Kept, bytes: usize) {
        self.cache().put((table, name), kept, bytes, self.budget);
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of one file.
#[derive(Clone)]
pub(super) enum Kept {
    List(Arc<Vec<ManifestFileMeta>>),
    Entries(Entries),
    /// A manifest that was looked through once.
    Bytes(Bytes),
    Index(Arc<Vec<IndexManifestEntry>>),
}

/// Least recently used goes first.
#[derive(Default)]
struct Cache {
    tables: HashMap<String, u32>,
    kept: HashMap<u32, HashMap<String, (Kept, usize, u64)>>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    fn get(&mut self, table: u32, name: &str) -> Option<Kept> {
        self.clock += 1;
        let (kept, _, used) = self.kept.get_mut(&table)?.get_mut(name)?;
        *used = self.clock;
        Some(kept.clone())
    }

    fn put(&mut self, (table, name): (u32, &str), kept: Kept, bytes: usize, budget: usize) {
        if bytes > budget {
            return;
        }
        self.clock += 1;
        let of_table = self.kept.entry(table).or_default();
        if let Some((_, old, _)) = of_table.insert(name.to_string(), (kept, bytes, self.clock)) {
            self.bytes -= old;
        }
        self.bytes += bytes;
        while self.bytes > budget {
            self.drop_oldest();
        }
    }

    /// A tenth goes at once, so that a full cache is not searched for each new entry.
    fn drop_oldest(&mut self) {
        let mut ages: Vec<u64> = self.kept.values().flat_map(HashMap::values).map(|(_, _, used)| *used).collect();
        ages.sort_unstable();
        let limit = ages.get(ages.len() / 10).copied().unwrap_or(u64::MAX);
        let bytes = &mut self.bytes;
        self.kept.retain(|_, of_table| {
            of_table.retain(|_, (_, size, used)| {
                let stays = *used > limit;
                if !stays {
                    *bytes -= *size;
                }
                stays
            });
            !of_table.is_empty()
        });
    }
}
