//! How the versions of a key become one row.
//!
//! A [`MergeFunction`] sees many keys at once: the versions of all of them in merge order and where each
//! key's versions end. It answers with positions to copy, and with columns it computed where copying is not
//! enough. It never handles one row as an object.
//! Spec: `format-spec/merge-tree.md`, merge engines.

mod deduplicate;

use arrow_array::ArrayRef;

pub use deduplicate::Deduplicate;

use crate::error::Result;

/// The versions of some keys, in merge order: keys ascending, the versions of a key from the oldest to the newest.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    /// Batch and row of each version.
    pub rows: &'a [(u32, u32)],
    /// Where each key's versions end in `rows`; rising, the last is `rows.len()`.
    pub ends: &'a [u32],
    /// The value columns of each batch.
    pub batches: &'a [&'a [ArrayRef]],
    /// The kinds of each batch's rows as stored bytes; `None` for a batch of `+I` only.
    pub kinds: &'a [Option<&'a [i8]>],
}

impl Versions<'_> {
    /// The stored byte of a version's kind.
    pub fn kind(&self, position: usize) -> i8 {
        let (batch, row) = self.rows[position];
        self.kinds[batch as usize].map_or(0, |kinds| kinds[row as usize])
    }
}

/// What became of the versions.
#[derive(Debug, Default)]
pub struct Merged {
    /// For each row out, the position in [`Versions::rows`] that gives its kind, its sequence number and every
    /// column that is not computed.
    pub picks: Vec<u32>,
    /// Value columns that no copy can give, with their position among the value columns.
    pub computed: Vec<(usize, ArrayRef)>,
}

/// How the versions of a key become one row.
pub trait MergeFunction: Send + Sync + std::fmt::Debug {
    /// Merges the versions of many keys.
    ///
    /// # Errors
    /// What the engine refuses, e.g. a retraction it cannot take back.
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged>;

    /// Whether merging some versions of a key first, and the result with the others later, gives the same row.
    fn may_merge_early(&self) -> bool {
        false
    }

    /// Whether every version comes out, so that the versions of a key need not be merged together.
    fn keeps_all(&self) -> bool {
        false
    }
}

/// Keeps every version: for changelog files of producer `input` and for reads of raw changes.
#[derive(Debug, Clone, Copy)]
pub struct KeepAll;

impl MergeFunction for KeepAll {
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged> {
        Ok(Merged { picks: (0..versions.rows.len() as u32).collect(), computed: Vec::new() })
    }

    fn keeps_all(&self) -> bool {
        true
    }
}
