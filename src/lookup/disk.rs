//! Fetched bytes of immutable files on the local disk, bounded, for tables of remote stores.
//!
//! A piece is a file named by what it holds (a hash of the table's location and the path, then the range), with a
//! checksum at its end. A damaged, torn or foreign piece is as good as none: it is deleted and fetched again.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::Crc;

use crate::error::{Error, Result};

const SUFFIX: &str = ".piece";

/// Pieces of files in a directory.
#[derive(Debug)]
pub(super) struct DiskCache {
    directory: PathBuf,
    budget: u64,
    state: Mutex<Pieces>,
}

#[derive(Debug, Default)]
struct Pieces {
    /// Size and time of last use of each piece.
    by_name: HashMap<String, (u64, u64)>,
    bytes: u64,
    clock: u64,
}

impl DiskCache {
    pub(super) fn open(directory: PathBuf, budget: u64) -> Result<Self> {
        let failed = |error: std::io::Error| Error::storage(format!("lookup cache {}: {error}", directory.display()));
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let mut pieces = Pieces::default();
        let mut names: Vec<(String, u64)> = Vec::new();
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().to_string();
            if name.ends_with(SUFFIX) {
                names.push((name, entry.metadata().map_err(failed)?.len()));
            } else if name.ends_with(".part") {
                drop(std::fs::remove_file(entry.path()));
            }
        }
        names.sort_unstable();
        for (name, size) in names {
            pieces.bytes += size;
            pieces.by_name.insert(name, (size, 0));
        }
        let cache = Self { directory, budget, state: Mutex::new(pieces) };
        cache.shrink(&mut cache.state());
        Ok(cache)
    }

    fn state(&self) -> MutexGuard<'_, Pieces> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of all pieces.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    fn name(file: u128, range: &Range<u64>) -> String {
        format!("{file:032x}-{}-{}{SUFFIX}", range.start, range.end)
    }

    /// A piece, if it is there whole. Blocks.
    pub(super) fn get(&self, file: u128, range: &Range<u64>) -> Option<Bytes> {
        let name = Self::name(file, range);
        {
            let mut state = self.state();
            state.clock += 1;
            let clock = state.clock;
            state.by_name.get_mut(&name)?.1 = clock;
        }
        let path = self.directory.join(&name);
        let bytes = std::fs::read(&path).ok();
        let whole = bytes.and_then(|bytes| {
            let bytes = Bytes::from(bytes);
            let content = bytes.slice(..bytes.len().checked_sub(4)?);
            let told = u32::from_le_bytes(bytes.get(content.len()..)?.try_into().ok()?);
            let right = content.len() as u64 == range.end - range.start && checksum(&content) == told;
            right.then_some(content)
        });
        if whole.is_none() {
            let mut state = self.state();
            if let Some((size, _)) = state.by_name.remove(&name) {
                state.bytes -= size;
            }
            drop(std::fs::remove_file(&path));
        }
        whole
    }

    /// Keeps a piece. A disk that is full or fails costs the piece, nothing else. Blocks.
    pub(super) fn put(&self, file: u128, range: &Range<u64>, content: &Bytes) {
        let name = Self::name(file, range);
        let size = content.len() as u64 + 4;
        if size > self.budget || self.state().by_name.contains_key(&name) {
            return;
        }
        if self.write(&name, content).is_err() {
            return;
        }
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        if let Some((old, _)) = state.by_name.insert(name, (size, clock)) {
            state.bytes -= old;
        }
        state.bytes += size;
        self.shrink(&mut state);
    }

    fn write(&self, name: &str, content: &Bytes) -> std::io::Result<()> {
        let part = self.directory.join(format!("{name}.part"));
        let mut bytes = Vec::with_capacity(content.len() + 4);
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&checksum(content).to_le_bytes());
        std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, self.directory.join(name))).inspect_err(
            |_| {
                drop(std::fs::remove_file(Path::new(&part)));
            },
        )
    }

    /// Deletes the pieces that were not used for longest, a tenth of the budget at once.
    fn shrink(&self, state: &mut Pieces) {
        if state.bytes <= self.budget {
            return;
        }
        let mut oldest: Vec<(u64, String)> =
            state.by_name.iter().map(|(name, (_, used))| (*used, name.clone())).collect();
        oldest.sort_unstable();
        let goal = self.budget - self.budget / 10;
        for (_, name) in oldest {
            if state.bytes <= goal {
                return;
            }
            if let Some((size, _)) = state.by_name.remove(&name) {
                state.bytes -= size;
                drop(std::fs::remove_file(self.directory.join(name)));
            }
        }
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(byte: u8, length: usize) -> Bytes {
        Bytes::from(vec![byte; length])
    }

    #[test]
    fn pieces_outlive_the_process_and_stay_in_their_budget() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(directory.path().into(), 1000).unwrap();
        for file in 0..20_u8 {
            cache.put(u128::from(file), &(0..100), &piece(file, 100));
            assert!(cache.bytes() <= 1000);
        }
        assert_eq!(cache.get(19, &(0..100)), Some(piece(19, 100)));
        assert_eq!(cache.get(0, &(0..100)), None, "the oldest went");
        assert_eq!(cache.get(19, &(0..50)), None, "another range");
        drop(cache);
        let cache = DiskCache::open(directory.path().into(), 1000).unwrap();
        assert_eq!(cache.get(19, &(0..100)), Some(piece(19, 100)));
        let on_disk: u64 =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(on_disk, cache.bytes());
    }

    #[test]
    fn a_damaged_piece_is_as_good_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(directory.path().into(), 1000).unwrap();
        cache.put(1, &(0..100), &piece(7, 100));
        let path = directory.path().join(DiskCache::name(1, &(0..100)));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[50] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(cache.get(1, &(0..100)), None);
        assert!(!path.exists());
        assert_eq!(cache.bytes(), 0);
    }
}
