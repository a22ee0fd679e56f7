//! Merging more runs than memory holds open at once: level 0 is merged in parts first, from old to new.
//!
//! ```text
//! level 0, old to new   f1 .. f27 │ f28 .. f54 │ .. ─ each part merged ─ a sorted run on local disk ─┐
//! levels above                                                    a run each, read as they are ─────┴─ merge
//! ```
//!
//! A part holds neighbours in age alone, so that of two equal versions still that of the newer file wins. Parts keep every
//! version, unless the merge function says that some of them may be merged before the others. Spilled files have no name
//! and vanish with the process. Spec: `format-spec/read.md`, many runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::slab::MergedSlab;
use super::spill::{SpillFormat, SpillWriter};
use crate::error::Result;
use crate::files::Slab;
use crate::format::DataFileMeta;
use crate::lsm::{KeepAll, KeyBound, MergeFunction, RunReader, SequenceOrder, age, merge_runs};
use crate::types::DataType;

/// What an open column of a file holds however small the file is: the decompressor's tables (zstd's, the largest).
const OPEN_COLUMN: u64 = 96 << 10;
/// And what it holds of the file: a fetched window and a decoded page.
const COLUMN_BYTES: u64 = 80 << 10;
/// What an open file holds beside its columns: its footer and buffers.
const OPEN_FILE: u64 = 64 << 10;
/// Bytes of a stripe of an ORC file, which is held compressed while it is read, and once more by the decoder.
const STRIPE: u64 = 64 << 20;
/// What an open spilled run holds, in a batch and its buffer.
const OPEN_SPILL: u64 = 256 << 10;
/// Bytes of a batch of a spilled run, as they are in files.
const SPILLED_BATCH: u64 = 32 << 10;
/// Merges of less memory do not go to disk for it.
const LEAST_MEMORY: u64 = 24 << 20;

/// What a merge may hold, and what of it an open file takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) memory: u64,
    pub(super) columns: usize,
    /// How much larger than in the file its rows may be in memory.
    pub(super) expansion: u64,
    /// Bytes of the batches of a run at the least.
    pub(super) least_batches: fn(&DataFileMeta) -> u64,
}

impl Room {
    fn bytes(&self) -> u64 {
        self.memory.max(LEAST_MEMORY)
    }

    /// What a file takes while it is open.
    fn of_file(&self, file: &DataFileMeta) -> u64 {
        let size = file.file_size.max(0) as u64;
        let columns = self.columns as u64 + 2;
        let stripe = if file.file_name.ends_with(".orc") { 2 * size.min(STRIPE) } else { 0 };
        let whole = size.saturating_mul(self.expansion).min(columns * COLUMN_BYTES);
        OPEN_FILE + columns * OPEN_COLUMN + whole + stripe + (self.least_batches)(file)
    }

    /// What runs take while all of them are open, the largest file of each.
    fn of_runs(&self, runs: &[Vec<Arc<DataFileMeta>>]) -> u64 {
        let of_run = |run: &Vec<Arc<DataFileMeta>>| run.iter().map(|file| self.of_file(file)).max().unwrap_or(0);
        runs.iter().map(of_run).fold(0, u64::saturating_add)
    }

    /// Whether all runs may be open at once.
    pub(super) fn holds(&self, runs: &[Vec<Arc<DataFileMeta>>]) -> bool {
        self.of_runs(runs) <= self.bytes()
    }
}

/// Files for a merge in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The files above level 0, a run for each level, in key order.
    pub(super) upper: Vec<Vec<Arc<DataFileMeta>>>,
    /// The files of level 0, from old to new, in parts that may be open at once.
    pub(super) parts: Vec<Vec<Arc<DataFileMeta>>>,
}

/// Cuts the files of runs into parts. Pure.
///
/// # Errors
/// [`crate::Error::Corrupt`] when a file's key bytes are no key.
pub(super) fn parts(runs: Vec<Vec<Arc<DataFileMeta>>>, key_types: &[DataType], room: &Room) -> Result<Parts> {
    let mut levels: BTreeMap<i32, Vec<(KeyBound, Arc<DataFileMeta>)>> = BTreeMap::new();
    let mut flushed = Vec::new();
    for file in runs.into_iter().flatten() {
        match file.level {
            0 => flushed.push(file),
            level => levels.entry(level).or_default().push((KeyBound::of(&file.min_key, key_types)?, file)),
        }
    }
    flushed.sort_by_cached_key(|file| age(file));
    let mut parts: Vec<Vec<Arc<DataFileMeta>>> = Vec::new();
    let mut held = u64::MAX;
    for file in flushed {
        let bytes = room.of_file(&file);
        let alone = parts.last().is_some_and(|part| part.len() < 2);
        if held.saturating_add(bytes) > room.bytes() && !alone {
            parts.push(Vec::new());
            held = 0;
        }
        held = held.saturating_add(bytes);
        parts.last_mut().into_iter().for_each(|part| part.push(Arc::clone(&file)));
    }
    let in_order = |mut files: Vec<(KeyBound, Arc<DataFileMeta>)>| {
        files.sort_by(|a, b| a.0.cmp(&b.0));
        files.into_iter().map(|(_, file)| file).collect()
    };
    Ok(Parts { upper: levels.into_values().map(in_order).collect(), parts })
}

/// How parts are merged.
pub(super) struct Spilling {
    pub(super) format: SpillFormat,
    pub(super) order: Option<SequenceOrder>,
    pub(super) function: Arc<dyn MergeFunction>,
    pub(super) room: Room,
}

impl Spilling {
    /// Merges runs, oldest first, onto local disk, in batches of few rows.
    pub(super) fn merge(&self, runs: Vec<RunReader>, rows: usize, age: u32) -> Result<RunReader> {
        let function = match self.function.may_merge_early() {
            true => Arc::clone(&self.function),
            false => Arc::new(KeepAll),
        };
        let mut out = SpillWriter::new(None, self.format.clone())?;
        let merged = merge_runs(runs, self.order.clone(), function, rows)?;
        let slabs = merged.map(|batch| batch.map(|batch| Box::new(MergedSlab(batch)) as Box<dyn Slab>));
        out.write(0, slabs)?;
        let Some(run) = out.finish()?.run(0, &self.format)? else { return Ok(Box::new(std::iter::empty())) };
        Ok(Box::new(run.map(move |batch| {
            batch.map(|mut batch| {
                batch.age = age;
                batch
            })
        })))
    }

    /// Merges runs with their ages, oldest first, as often as it takes until all that are left may be open at once.
    pub(super) fn merge_rest(&self, mut runs: Vec<(u32, RunReader)>, rows: usize) -> Result<Vec<RunReader>> {
        let most = usize::try_from(self.room.bytes() / OPEN_SPILL).unwrap_or(usize::MAX).max(2);
        while runs.len() > most {
            let mut fewer = Vec::with_capacity(runs.len().div_ceil(most));
            let mut left = runs.into_iter().peekable();
            while left.peek().is_some() {
                let (ages, part): (Vec<u32>, Vec<RunReader>) = left.by_ref().take(most).unzip();
                let age = ages.into_iter().max().unwrap_or(0);
                fewer.push((age, self.merge(part, rows, age)?));
            }
            runs = fewer;
        }
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }
}

/// Rows of a batch of a spilled run of these files.
pub(super) fn spilled_rows<'a>(files: impl IntoIterator<Item = &'a Arc<DataFileMeta>>) -> usize {
    let row = |file: &Arc<DataFileMeta>| file.file_size.max(0) as u64 / file.row_count.max(1) as u64;
    let longest = files.into_iter().map(row).max().unwrap_or(0).max(1);
    usize::try_from((SPILLED_BATCH / longest).clamp(1, 4096)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BinaryRow, data_file};
    use crate::types::Datum;

    fn file(name: &str, level: i32, (min, max): (i32, i32), sequence: i64) -> Arc<DataFileMeta> {
        let key = |key| BinaryRow::encode(&[Datum::Int(key)], &[DataType::INT.not_null()]).unwrap();
        Arc::new(DataFileMeta {
            min_key: key(min),
            max_key: key(max),
            level,
            min_sequence_number: sequence,
            max_sequence_number: sequence,
            ..data_file(name, 10 << 20)
        })
    }

    fn names(runs: &[Vec<Arc<DataFileMeta>>]) -> Vec<Vec<&str>> {
        runs.iter().map(|run| run.iter().map(|file| file.file_name.as_str()).collect()).collect()
    }

    #[test]
    fn level_0_is_cut_by_age_and_each_other_level_is_one_run() {
        let flushed = (0..40).map(|at| vec![file(&format!("f{:02}", 39 - at), 0, (0, 100), 39 - i64::from(at))]);
        let mut runs: Vec<_> = flushed.collect();
        // Runs of one section may hold files of different levels, one after another.
        runs[3].push(file("u2", 5, (200, 300), 0));
        runs.push(vec![file("u1", 5, (0, 99), 0)]);
        runs.push(vec![file("m", 4, (0, 300), 1)]);
        let room = Room { memory: 24 << 20, columns: 8, expansion: 4, least_batches: |_| 0 };
        assert!(!room.holds(&runs) && room.holds(&runs[..5]));
        let cut = parts(runs, &[DataType::INT.not_null()], &room).unwrap();
        assert_eq!(names(&cut.upper), [vec!["m"], vec!["u1", "u2"]]);
        let lengths: Vec<usize> = cut.parts.iter().map(Vec::len).collect();
        assert_eq!(lengths, [13, 13, 13, 1]);
        let all: Vec<String> = names(&cut.parts).concat().into_iter().map(String::from).collect();
        assert_eq!(all, (0..40).map(|at| format!("f{at:02}")).collect::<Vec<_>>());
    }

    #[test]
    fn files_that_are_too_large_for_the_memory_are_merged_by_twos() {
        let runs: Vec<_> = (0..5).map(|at| vec![file(&format!("f{at}"), 0, (0, 9), at)]).collect();
        let room = Room { memory: 1, columns: 1_000, expansion: 4, least_batches: |_| 1 << 30 };
        let cut = parts(runs, &[DataType::INT.not_null()], &room).unwrap();
        assert_eq!(names(&cut.parts), [vec!["f0", "f1"], vec!["f2", "f3"], vec!["f4"]]);
    }
}
