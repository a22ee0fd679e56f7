//! How many rows a plan shows, as far as descriptions of files tell it. Pure.
//! Spec: `format-spec/read.md`, counting.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::Plan;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, Split};
use crate::predicate::{Expr, datum_lane, evaluate};
use crate::schema::Schema;
use crate::types::lane_schema;

/// The rows of all splits whose descriptions tell them, and the splits that must be read to be counted.
///
/// # Errors
/// [`Error::Corrupt`] when a partition's bytes are no partition.
pub fn counted(plan: &Plan) -> Result<(u64, Vec<Split>)> {
    let partition_keys = &plan.schema.partition_keys;
    let of_partition = |filter: &Expr| filter.columns().iter().all(|column| partition_keys.contains(column));
    let told = plan.filter.as_ref().is_none_or(of_partition);
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
                let shown = holds_in(filter, &plan.schema, &split.partition)?;
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

/// Whether a condition on partition columns is true in a partition.
fn holds_in(filter: &Expr, schema: &Arc<Schema>, partition: &BinaryRow) -> Result<bool> {
    let types = schema.types_of(&schema.partition_keys)?;
    let values = partition.decode(&types)?;
    let lanes = types.iter().zip(&values).map(|(data_type, value)| datum_lane(&data_type.kind, &[value]));
    let fields = schema.partition_keys.iter().map(String::as_str).zip(types.iter().map(|it| it.clone().nullable()));
    let batch = RecordBatch::try_new(lane_schema(fields), lanes.collect::<Result<_>>()?);
    let batch = batch.map_err(|error| Error::bug(error.to_string()))?;
    Ok(evaluate(filter, &batch)?.true_count() == 1)
}
