//! How many rows a plan shows, as far as descriptions of files tell it. Pure.
//! Spec: `format-spec/read.md`, counting.

use std::collections::HashMap;

use super::Plan;
use super::partitions::is_true_for;
use crate::error::Result;
use crate::format::{BinaryRow, Split};
use crate::predicate::Expr;

/// The rows of all splits whose descriptions tell them, and the splits that must be read to be counted.
///
/// # Errors
/// [`crate::Error::Corrupt`] when a partition's bytes are no partition.
pub fn counted(plan: &Plan) -> Result<(u64, Vec<Split>)> {
    let partition_keys = &plan.schema.partition_keys;
    let of_partition = |filter: &Expr| filter.columns().iter().all(|column| partition_keys.contains(column));
    let told = plan.filter.as_ref().is_none_or(of_partition);
    let types = plan.schema.types_of(partition_keys)?;
    let mut known: HashMap<&BinaryRow, bool> = HashMap::new();
    let (mut rows, mut left) = (0_u64, Vec::new());
    for split in &plan.splits {
        let Some(count) = rows_of(split).filter(|_| told) else {
            left.push(split.clone());
            continue;
        };
        let shown = match (&plan.filter, known.get(&split.partition)) {
            (None, _) => true,
            (_, Some(shown)) => *shown,
            (Some(filter), None) => {
                let shown = is_true_for(filter, &plan.schema, &types, &split.partition)?;
                known.insert(&split.partition, shown);
                shown
            }
        };
        rows = rows.saturating_add(if shown { count } else { 0 });
    }
    Ok((rows, left))
}

/// The rows of a split that is read without merging: those of its files, without those masked. A vector that does not
/// tell how many it masks leaves the count open.
fn rows_of(split: &Split) -> Option<u64> {
    if !split.raw || split.changes {
        return None;
    }
    let sum = |sum: Option<u64>, count: Option<i64>| sum?.checked_add(u64::try_from(count?).ok()?);
    let all = split.files.iter().map(|file| Some(file.row_count)).fold(Some(0), sum)?;
    let vectors = split.vectors.iter().flat_map(|entry| entry.deletion_vectors.iter().flatten());
    all.checked_sub(vectors.map(|vector| vector.cardinality).fold(Some(0), sum)?)
}
