//! Comparing two states of the same keys: the rows of the later one that the earlier one does not have as they are.
//! Spec: `format-spec/read.md`, incremental reads.

use arrow_array::{Int8Array, Int64Array};
use arrow_buffer::BooleanBuffer;

use super::compact_stage::{equal_values, gather, level};
use super::merge_reader::{Found, MergedBatch, RunReader, Stage, merge_with};
use crate::error::Result;

/// The level of rows of the later state; those of the earlier one have level 0.
pub const LATER: i32 = 1;

/// The rows of the later state that are new or differ, with their kinds. Each run holds merged rows of one state, a key
/// once, without retractions.
///
/// # Errors
/// The items carry the runs' own errors.
pub fn diff_runs(
    runs: Vec<RunReader>,
    batch_rows: usize,
) -> Result<Box<dyn Iterator<Item = Result<MergedBatch>> + Send>> {
    merge_with(runs, None, Diff, batch_rows)
}

struct Diff;

impl Stage for Diff {
    type Out = MergedBatch;

    fn apart(&self) -> bool {
        false
    }

    fn run(&self, found: &Found<'_>) -> Result<MergedBatch> {
        let versions = &found.versions;
        let (mut told, mut pairs) = (Vec::new(), Vec::new());
        for positions in versions.keys() {
            let side = |later: bool| positions.clone().find(|at| (level(versions, *at) == LATER) == later);
            let Some(after) = side(true) else { continue };
            if let Some(before) = side(false) {
                pairs.push((told.len(), before, after));
            }
            told.push(after);
        }
        let place = |position: usize| {
            let (batch, row) = versions.rows[position];
            (batch as usize, row as usize)
        };
        let columns = versions.batches.first().map_or(0, |batch| batch.len());
        let mut same = BooleanBuffer::new_set(pairs.len());
        for column in 0..columns {
            let arrays = || versions.batches.iter().map(|batch| &batch[column]);
            let before = gather(arrays(), pairs.iter().map(|(_, before, _)| place(*before)))?;
            let after = gather(arrays(), pairs.iter().map(|(.., after)| place(*after)))?;
            same = &same & &equal_values(&before, &after)?;
        }
        let mut changed = vec![true; told.len()];
        for ((at, ..), same) in pairs.iter().zip(&same) {
            changed[*at] = !same;
        }
        let told: Vec<usize> = told.into_iter().zip(changed).filter_map(|(at, told)| told.then_some(at)).collect();
        let gathered = |column: usize| {
            let arrays = versions.batches.iter().map(|batch| &batch[column]);
            gather(arrays, told.iter().map(|position| place(*position)))
        };
        let kinds = versions.kinds.iter().any(Option::is_some);
        Ok(MergedBatch {
            columns: (0..columns).map(gathered).collect::<Result<_>>()?,
            sequence: Int64Array::from_iter_values(told.iter().map(|position| found.sequence(*position as u32))),
            kinds: kinds.then(|| Int8Array::from_iter_values(told.iter().map(|position| versions.kind(*position)))),
        })
    }
}
