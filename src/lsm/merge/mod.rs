//! How the versions of a key become one row.
//!
//! A [`MergeFunction`] sees many keys at once: the versions of all of them in merge order and where each
//! key's versions end. It answers with positions to copy, for the whole row or for single columns, and with
//! columns it computed where copying is not enough. It never handles one row as an object.
//!
//! ```text
//! versions ─ steps: what each version does to a group of columns ─ a fold for each column ─ positions or values
//! ```
//!
//! A key with a single version is not merged at all unless the caller says so ([`Single`]): Paimon's readers,
//! flushes and plain compactions hand it on untouched, whatever its kind.
//! Spec: `format-spec/merge-tree.md`, merge engines.

mod aggregation;
mod deduplicate;
mod first_row;
mod fold;
mod partial_update;
mod steps;
#[cfg(test)]
mod tests;
mod upper_levels;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_select::interleave::interleave;

pub use deduplicate::Deduplicate;

use self::aggregation::Aggregation;
use self::first_row::FirstRow;
use self::partial_update::PartialUpdate;
use self::upper_levels::UpperLevels;
use crate::error::{Error, Result};
use crate::schema::{MergeEngine, Schema, TableOptions};

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
    /// The level of each batch's file; 0 for rows that a writer holds. Empty when all are of level 0.
    pub levels: &'a [i32],
    /// What becomes of a key with one version.
    pub single: Single<'a>,
}

/// What becomes of a key with a single version.
#[derive(Debug, Clone, Copy, Default)]
pub enum Single<'a> {
    /// It stays as it is: in reads, flushes and plain compactions.
    #[default]
    Keep,
    /// It goes through the function: in compactions that look old rows up.
    Merge,
    /// It goes through the function where this is true, key by key.
    MergeWhere(&'a [bool]),
}

impl<'a> Versions<'a> {
    /// The stored byte of a version's kind.
    pub fn kind(&self, position: usize) -> i8 {
        let (batch, row) = self.rows[position];
        self.kinds[batch as usize].map_or(0, |kinds| kinds[row as usize])
    }

    /// The positions of each key's versions.
    pub fn keys(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<'a> {
        let mut start = 0;
        self.ends.iter().map(move |end| std::mem::replace(&mut start, *end as usize)..*end as usize)
    }

    /// Whether the version of a key is the only one and stays as it is.
    fn keeps(&self, key: usize, positions: &std::ops::Range<usize>) -> bool {
        positions.len() == 1
            && match self.single {
                Single::Keep => true,
                Single::Merge => false,
                Single::MergeWhere(merge) => !merge[key],
            }
    }

    /// Whether no key has anything to merge.
    fn keeps_all(&self) -> bool {
        matches!(self.single, Single::Keep) && self.ends.len() == self.rows.len()
    }

    /// Whether every version is an addition because no batch has kinds.
    fn has_no_kinds(&self) -> bool {
        self.kinds.iter().all(Option::is_none)
    }

    /// All versions of a value column, one after another.
    fn column(&self, at: usize) -> Result<ArrayRef> {
        let places: Vec<(usize, usize)> = (0..self.rows.len()).map(|position| self.place(position)).collect();
        gather(self.batches, at, &places)
    }

    /// Batch and row of a version.
    fn place(&self, position: usize) -> (usize, usize) {
        let (batch, row) = self.rows[position];
        (batch as usize, row as usize)
    }
}

/// A row of NULL among the positions of [`ColumnFrom::Picks`].
pub const NULL: u32 = u32::MAX;

/// Where the values of a merged column come from.
#[derive(Debug, Clone)]
pub enum ColumnFrom {
    /// From these positions in [`Versions::rows`], one for each row out; [`NULL`] gives NULL.
    Picks(Vec<u32>),
    /// From nowhere else: one value for each row out.
    Computed(ArrayRef),
}

/// What became of the versions.
#[derive(Debug, Default)]
pub struct Merged {
    /// For each row out, the position in [`Versions::rows`] that gives its sequence number, and its kind and columns
    /// where nothing else is said.
    pub picks: Vec<u32>,
    /// The kinds of the rows out, where the picked versions' own are not theirs.
    pub kinds: Option<Vec<i8>>,
    /// Value columns that come from elsewhere, with their position among the value columns.
    pub columns: Vec<(usize, ColumnFrom)>,
}

impl Merged {
    /// Rows that are versions as they came.
    fn of_picks(picks: Vec<u32>) -> Self {
        Self { picks, ..Self::default() }
    }

    /// The value columns of the rows out.
    ///
    /// # Errors
    /// [`Error::Bug`] when the batches have different columns.
    pub fn columns_of(&self, versions: &Versions<'_>) -> Result<Vec<ArrayRef>> {
        let place = |position: &u32| versions.place(*position as usize);
        let rows: Vec<(usize, usize)> = self.picks.iter().map(place).collect();
        let columns = versions.batches.first().map_or(0, |batch| batch.len());
        let column = |at: usize| match self.columns.iter().find(|(merged, _)| *merged == at) {
            Some((_, ColumnFrom::Computed(computed))) => Ok(computed.clone()),
            Some((_, ColumnFrom::Picks(picks))) => gather_picks(versions.batches, at, versions.rows, picks),
            None => gather(versions.batches, at, &rows),
        };
        (0..columns).map(column).collect()
    }

    /// The stored byte of a row's kind.
    pub fn kind(&self, versions: &Versions<'_>, row: usize) -> i8 {
        match &self.kinds {
            Some(kinds) => kinds[row],
            None => versions.kind(self.picks[row] as usize),
        }
    }
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

    /// Whether a row may stand for the first versions of a key before the others come: what they merge to, when that is
    /// an addition. At least one of them is an addition; `retracts` tells whether others are not.
    fn folds_beginnings(&self, retracts: bool) -> bool {
        let _ = retracts;
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
        Ok(Merged::of_picks((0..versions.rows.len() as u32).collect()))
    }

    fn keeps_all(&self) -> bool {
        true
    }
}

/// The merge function of a primary-key table for value columns that are the schema's at `columns`. These must hold
/// what [`columns_for`] asks for.
///
/// # Errors
/// [`Error::Invalid`] for options that contradict each other or the columns, [`Error::Unsupported`] for an aggregate
/// function that this version lacks.
pub fn of(schema: &Schema, options: &TableOptions, columns: &[usize]) -> Result<Arc<dyn MergeFunction>> {
    let function: Arc<dyn MergeFunction> = match options.merge_engine {
        MergeEngine::Deduplicate => Arc::new(Deduplicate { ignore_delete: options.ignore_delete }),
        MergeEngine::FirstRow => Arc::new(FirstRow { ignore_delete: options.ignore_delete }),
        MergeEngine::PartialUpdate => Arc::new(PartialUpdate::of(schema, options, columns)?),
        MergeEngine::Aggregation => Arc::new(Aggregation::of(schema, options, columns)?),
    };
    Ok(if options.merge.upper_levels_are_states { Arc::new(UpperLevels(function)) } else { function })
}

/// The positions in the schema of all columns that merging needs so that those at `shown` come out right.
///
/// # Errors
/// [`Error::Invalid`] for an option that names no column.
pub fn columns_for(schema: &Schema, options: &TableOptions, shown: &[usize]) -> Result<Vec<usize>> {
    match options.merge_engine {
        MergeEngine::PartialUpdate => partial_update::columns_for(schema, options, shown),
        _ => Ok(shown.to_vec()),
    }
}

/// The values of a column at places: batch and row each.
///
/// # Errors
/// [`Error::Bug`] when the batches have different columns.
pub fn gather(batches: &[&[ArrayRef]], column: usize, places: &[(usize, usize)]) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch[column].as_ref()).collect();
    interleave(&arrays, places).map_err(|error| Error::bug(error.to_string()))
}

/// The values of a column at positions of `rows`, where [`NULL`] gives NULL.
///
/// # Errors
/// As [`gather`].
pub fn gather_picks(batches: &[&[ArrayRef]], column: usize, rows: &[(u32, u32)], picks: &[u32]) -> Result<ArrayRef> {
    let mut arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch[column].as_ref()).collect();
    let null = arrays.first().map(|first| new_null_array(first.data_type(), 1));
    arrays.extend(null.as_deref());
    let place = |position: &u32| match rows.get(*position as usize) {
        Some((batch, row)) => (*batch as usize, *row as usize),
        None => (batches.len(), 0),
    };
    let places: Vec<(usize, usize)> = picks.iter().map(place).collect();
    interleave(&arrays, &places).map_err(|error| Error::bug(error.to_string()))
}
