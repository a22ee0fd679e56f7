//! Merging in a compaction: the rows of the new files, and the changes that they are to the rows before.
//!
//! Three ways:
//! - **plain**: the merge function, and no changes;
//! - **full**: what the top level held is compared with what it will hold;
//! - **lookup**: every key of level 0 meets its row of the levels above, whether that is rewritten (then its file is
//!   an input) or stays (then its file is read beside them): a merge-join on the key.
//!
//! Spec: `format-spec/compaction.md`, changelog.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int8Array, Int64Array};
use arrow_buffer::BooleanBuffer;
use arrow_ord::cmp::not_distinct;
use arrow_select::interleave::interleave;

use super::merge::{MergeFunction, Merged, Single, Versions};
use super::merge_reader::{Found, MergedBatch, RunReader, Stage, merge_with};
use super::order::SequenceOrder;
use crate::error::{Error, Result};
use crate::types::RowKind;
use crate::types::comparable_rows;

/// How the rows before are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// They are not.
    Unknown,
    /// They are the inputs' rows of the highest level.
    TopLevel,
    /// They are the rows of the lowest level above 0, from the inputs or from files of levels above the output.
    Lookup,
    /// As for lookup, and the first row of a key stays for ever.
    FirstRow,
}

/// How a compaction merges.
#[derive(Debug, Clone)]
pub struct CompactMerge {
    /// The table's merge function.
    pub function: Arc<dyn MergeFunction>,
    /// How the rows before are found.
    pub before: Before,
    /// Whether changes come out.
    pub changelog: bool,
    /// The level that is written to.
    pub output_level: i32,
    /// Value columns whose change is a change; `None` takes every update for one.
    pub compared: Option<Vec<usize>>,
}

/// Rows for the new files, and changes.
#[derive(Debug)]
pub struct Compacted {
    /// The merged rows.
    pub rows: MergedBatch,
    /// The changes; `None` when there are none.
    pub changes: Option<MergedBatch>,
}

/// Merges runs, oldest first. With lookup, runs of levels above the output are only looked at.
///
/// # Errors
/// The items carry the runs' own errors and those of the merge function.
pub fn compact_runs(
    runs: Vec<RunReader>,
    order: Option<SequenceOrder>,
    merge: CompactMerge,
    batch_rows: usize,
) -> Result<Box<dyn Iterator<Item = Result<Compacted>> + Send>> {
    merge_with(runs, order, merge, batch_rows)
}

impl Stage for CompactMerge {
    type Out = Compacted;

    fn apart(&self) -> bool {
        false
    }

    fn run(&self, found: &Found<'_>) -> Result<Compacted> {
        match self.before {
            Before::Unknown => {
                let merged = self.function.merge(&found.versions)?;
                Ok(Compacted { rows: found.rows(&merged)?, changes: None })
            }
            Before::TopLevel => self.merge_with_top(found),
            Before::Lookup | Before::FirstRow => self.merge_with_lookup(found),
        }
    }
}

/// Where a row of the changelog comes from.
#[derive(Debug, Clone, Copy)]
enum From {
    /// A version.
    Version(u32),
    /// A merged row.
    Row(u32),
}

/// The version before of a key and its merged row.
#[derive(Debug, Clone, Copy)]
struct Change {
    before: Option<u32>,
    after: Option<u32>,
}

impl CompactMerge {
    fn merge_with_top(&self, found: &Found<'_>) -> Result<Compacted> {
        let versions = &found.versions;
        let merged = self.function.merge(versions)?;
        let rows = found.rows(&merged)?;
        let mut changes = Vec::new();
        for (positions, after) in versions.keys().zip(rows_of_keys(versions, &merged)) {
            let Some(after) = after else { continue };
            let top = positions.clone().find(|at| level(versions, *at) == self.output_level);
            if top.is_none() || positions.len() > 1 {
                let before = top.map(|at| at as u32).filter(|at| !RowKind::retracts(versions.kind(*at as usize)));
                changes.push(Change { before, after: addition(versions, &merged, after) });
            }
        }
        let changes = self.changes(found, &rows, changes)?;
        Ok(Compacted { rows, changes })
    }

    fn merge_with_lookup(&self, found: &Found<'_>) -> Result<Compacted> {
        // Keys that only stay where they are take no part; the first row of a key is not written a second time.
        let all = &found.versions;
        let (mut rows, mut ends) = (Vec::with_capacity(all.rows.len()), Vec::with_capacity(all.ends.len()));
        for positions in all.keys() {
            let stays = |at: usize| level(all, at) > self.output_level;
            let (mut inputs, mut known, mut rewritten) = (false, false, false);
            for at in positions.clone() {
                inputs |= !stays(at);
                known |= stays(at);
                rewritten |= !stays(at) && level(all, at) > 0;
            }
            if !inputs || (self.before == Before::FirstRow && known && !rewritten) {
                continue;
            }
            let first_row = self.before == Before::FirstRow;
            rows.extend(
                all.rows[positions.clone()]
                    .iter()
                    .zip(positions)
                    .filter_map(|(row, at)| (!first_row || !stays(at)).then_some(*row)),
            );
            ends.push(rows.len() as u32);
        }
        let versions = Versions { rows: &rows, ends: &ends, single: Single::Merge, ..*all };
        let found = Found { versions, sequences: found.sequences.clone() };
        let merged = self.function.merge(&versions)?;
        let out = found.rows(&merged)?;
        let mut changes = Vec::new();
        if self.changelog {
            for (positions, after) in versions.keys().zip(rows_of_keys(&versions, &merged)) {
                let Some(after) = after else { continue };
                if positions.clone().all(|at| level(&versions, at) > 0) {
                    continue;
                }
                let upper = positions.filter(|at| level(&versions, *at) > 0).min_by_key(|at| level(&versions, *at));
                if self.before == Before::FirstRow && upper.is_some() {
                    continue;
                }
                let before = upper.map(|at| at as u32).filter(|at| !RowKind::retracts(versions.kind(*at as usize)));
                changes.push(Change { before, after: addition(&versions, &merged, after) });
            }
        }
        let changes = self.changes(&found, &out, changes)?;
        Ok(Compacted { rows: out, changes })
    }

    /// The rows of the changelog.
    fn changes(&self, found: &Found<'_>, rows: &MergedBatch, changes: Vec<Change>) -> Result<Option<MergedBatch>> {
        if !self.changelog {
            return Ok(None);
        }
        let same = self.unchanged(found, rows, &changes)?;
        let mut updates = 0;
        let mut told: Vec<(RowKind, From)> = Vec::with_capacity(changes.len() * 2);
        for change in changes {
            match (change.before, change.after) {
                (None, None) => {}
                // A first row is told with the kind that it came with.
                (None, Some(after)) if self.before == Before::FirstRow => {
                    let kind = rows.kinds.as_ref().map_or(RowKind::Insert as i8, |kinds| kinds.value(after as usize));
                    told.push((RowKind::from_byte(kind)?, From::Row(after)));
                }
                (None, Some(after)) => told.push((RowKind::Insert, From::Row(after))),
                (Some(before), None) => told.push((RowKind::Delete, From::Version(before))),
                (Some(before), Some(after)) => {
                    updates += 1;
                    if !same.as_ref().is_some_and(|same| same.value(updates - 1)) {
                        told.push((RowKind::UpdateBefore, From::Version(before)));
                        told.push((RowKind::UpdateAfter, From::Row(after)));
                    }
                }
            }
        }
        if told.is_empty() {
            return Ok(None);
        }
        let versions = &found.versions;
        let place = |from: &From| match from {
            From::Version(position) => {
                let (batch, row) = versions.rows[*position as usize];
                (batch as usize, row as usize)
            }
            From::Row(row) => (versions.batches.len(), *row as usize),
        };
        let places: Vec<(usize, usize)> = told.iter().map(|(_, from)| place(from)).collect();
        let columns = (0..rows.columns.len()).map(|column| {
            let batches = versions.batches.iter().map(|batch| batch[column].as_ref());
            let arrays: Vec<&dyn Array> = batches.chain([rows.columns[column].as_ref()]).collect();
            interleave(&arrays, &places).map_err(|error| Error::bug(error.to_string()))
        });
        let sequence = told.iter().map(|(_, from)| match from {
            From::Version(position) => found.sequence(*position),
            From::Row(row) => rows.sequence.value(*row as usize),
        });
        Ok(Some(MergedBatch {
            columns: columns.collect::<Result<_>>()?,
            sequence: Int64Array::from_iter_values(sequence),
            kinds: Some(Int8Array::from_iter_values(told.iter().map(|(kind, _)| *kind as i8))),
        }))
    }

    /// For each update whether no column that counts has changed.
    fn unchanged(&self, found: &Found<'_>, rows: &MergedBatch, changes: &[Change]) -> Result<Option<BooleanBuffer>> {
        let Some(compared) = &self.compared else { return Ok(None) };
        let updates: Vec<(u32, u32)> =
            changes.iter().filter_map(|change| Some((change.before?, change.after?))).collect();
        let mut same = BooleanBuffer::new_set(updates.len());
        for column in compared {
            let before = updates.iter().map(|(before, _)| {
                let (batch, row) = found.versions.rows[*before as usize];
                (batch as usize, row as usize)
            });
            let before = gather(found.versions.batches.iter().map(|batch| &batch[*column]), before)?;
            let after =
                gather(std::iter::once(&rows.columns[*column]), updates.iter().map(|(_, row)| (0, *row as usize)))?;
            same = &same & &equal_values(&before, &after)?;
        }
        Ok(Some(same))
    }
}

/// For each row whether both have the same value, or none.
pub(super) fn equal_values(one: &ArrayRef, other: &ArrayRef) -> Result<BooleanBuffer> {
    let bug = |error: arrow_schema::ArrowError| Error::bug(error.to_string());
    if !one.data_type().is_nested() {
        let equal: BooleanArray = not_distinct(one, other).map_err(bug)?;
        return Ok(equal.values().clone());
    }
    let one = comparable_rows(std::slice::from_ref(one)).map_err(bug)?;
    let other = comparable_rows(std::slice::from_ref(other)).map_err(bug)?;
    Ok(one.iter().zip(other.iter()).map(|(one, other)| one.data() == other.data()).collect())
}

pub(super) fn gather<'a>(
    arrays: impl Iterator<Item = &'a ArrayRef>,
    places: impl Iterator<Item = (usize, usize)>,
) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = arrays.map(|array| array.as_ref()).collect();
    interleave(&arrays, &places.collect::<Vec<_>>()).map_err(|error| Error::bug(error.to_string()))
}

/// The level of a version.
pub(super) fn level(versions: &Versions<'_>, position: usize) -> i32 {
    versions.levels.get(versions.rows[position].0 as usize).copied().unwrap_or(0)
}

/// For each key its merged row; a key may give none.
fn rows_of_keys<'a>(versions: &Versions<'a>, merged: &'a Merged) -> impl Iterator<Item = Option<u32>> + 'a {
    let mut picks = merged.picks.iter().copied().zip(0..).peekable();
    let ends: &[u32] = versions.ends;
    ends.iter().map(move |end| picks.next_if(|(pick, _)| pick < end).map(|(_, row)| row))
}

/// The row, if it is no retraction.
fn addition(versions: &Versions<'_>, merged: &Merged, row: u32) -> Option<u32> {
    (!RowKind::retracts(merged.kind(versions, row as usize))).then_some(row)
}
