//! Buckets: which bucket a row belongs to, computed column by column without building rows.
//!
//! The default function hashes the [`BinaryRow`](super::BinaryRow) of the bucket key: header, slots, variable part,
//! with murmur3 of seed 42. Murmur takes words in order, so a vector of hash states, one for each row, takes the
//! header, then the slots of each column, then the variable parts of each column. Spec: `format-spec/bucket.md`.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};

use crate::error::{Error, Result};
use crate::schema::BucketFunction;
use crate::types::{DataType, TypeKind};

mod hive;
mod murmur;

pub use murmur::bucket_hashes;
pub(super) use murmur::murmur;

/// Whether bucket keys of these types can be used with this function.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Unsupported`] that names the type.
pub fn check_bucket_keys(function: BucketFunction, types: &[DataType]) -> Result<()> {
    match (function, types) {
        (BucketFunction::Default, _) => Ok(()),
        (BucketFunction::Mod, [DataType { kind: TypeKind::Int | TypeKind::BigInt, .. }]) => Ok(()),
        (BucketFunction::Mod, _) => {
            Err(Error::invalid("bucket-function.type mod needs one bucket key of type INT or BIGINT"))
        }
        (BucketFunction::Hive, types) => match types.iter().find(|t| !hive::hashes(&t.kind)) {
            Some(wrong) => Err(Error::unsupported(format!("bucket-function.type hive with a key of type {wrong}"))),
            None => Ok(()),
        },
    }
}

/// The bucket of each row of lane columns (the bucket keys, in bucket-key order).
///
/// # Errors
/// [`Error::Invalid`] when the function does not take the types, [`Error::Bug`] when a column is no lane of its type.
pub fn assign(
    function: BucketFunction,
    columns: &[ArrayRef],
    types: &[DataType],
    total_buckets: i32,
    rows: usize,
) -> Result<Vec<i32>> {
    if total_buckets < 1 {
        return Err(Error::bug(format!("{total_buckets} buckets")));
    }
    check_bucket_keys(function, types)?;
    if total_buckets == 1 {
        return Ok(vec![0; rows]);
    }
    match function {
        BucketFunction::Default => {
            let mut buckets = bucket_hashes(columns, types, rows)?;
            // The remainder is smaller than the bucket count, so its absolute value exists.
            buckets.iter_mut().for_each(|hash| *hash = (*hash % total_buckets).abs());
            Ok(buckets)
        }
        BucketFunction::Mod => modulo(columns, total_buckets, rows),
        BucketFunction::Hive => {
            let mut buckets = hive::hashes_of(columns, types, rows)?;
            buckets.iter_mut().for_each(|hash| *hash = (*hash & i32::MAX) % total_buckets);
            Ok(buckets)
        }
    }
}

/// NULL counts as 0, as its empty slot does.
fn modulo(columns: &[ArrayRef], total_buckets: i32, rows: usize) -> Result<Vec<i32>> {
    let column = match columns {
        [column] if column.len() == rows => column,
        _ => return Err(Error::bug("bucket function mod: not one column of all rows")),
    };
    if let Some(values) = column.as_primitive_opt::<Int64Type>() {
        let divisor = i64::from(total_buckets);
        return Ok(values.iter().map(|value| value.unwrap_or(0).rem_euclid(divisor) as i32).collect());
    }
    let values = column.as_primitive_opt::<Int32Type>();
    let values = values.ok_or_else(|| Error::bug(format!("{} is no lane of INT or BIGINT", column.data_type())))?;
    Ok(values.iter().map(|value| value.unwrap_or(0).rem_euclid(total_buckets)).collect())
}

#[cfg(test)]
mod tests;
