//! Which files are compacted: live files in, tasks out. Pure.
//! Spec: `format-spec/compaction.md`, picking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::Result;
use crate::format::{BinaryRow, CompactTask, DataFileMeta, ManifestEntry, SnapshotId};
use crate::lsm::{CompactUnit, Levels, Moment, pick, pick_full};
use crate::predicate::Expr;
use crate::schema::TableOptions;
use crate::types::DataType;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct CompactRequest {
    /// Everything into the highest level, whether its time has come or not.
    pub full: bool,
    /// Only partitions for which this may be true; it speaks of partition columns alone.
    pub partitions: Option<Expr>,
    /// Only these buckets; all when empty.
    pub buckets: BTreeSet<i32>,
}

/// The live files of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFiles {
    /// The partition.
    pub partition: BinaryRow,
    /// The bucket.
    pub bucket: i32,
    /// The bucket count the partition was written with.
    pub total_buckets: i32,
    /// The files.
    pub files: Vec<DataFileMeta>,
}

/// Live files by partition and bucket.
pub fn buckets_of(entries: Vec<Arc<ManifestEntry>>) -> Vec<BucketFiles> {
    let mut buckets: BTreeMap<(BinaryRow, i32), BucketFiles> = BTreeMap::new();
    for entry in entries {
        let entry = Arc::unwrap_or_clone(entry);
        let place = buckets.entry((entry.partition.clone(), entry.bucket)).or_insert_with(|| BucketFiles {
            partition: entry.partition,
            bucket: entry.bucket,
            total_buckets: entry.total_buckets,
            files: Vec::new(),
        });
        place.files.push(Arc::unwrap_or_clone(entry.file));
    }
    buckets.into_values().collect()
}

/// The task of a bucket of a primary-key table, if it has one.
///
/// # Errors
/// [`crate::Error::Corrupt`] when a file's key bytes are no key.
pub fn plan_bucket(
    bucket: BucketFiles,
    place: (SnapshotId, i64),
    options: &TableOptions,
    key_types: &[DataType],
    full: bool,
    now: &Moment,
    rewrites: &dyn Fn(&DataFileMeta) -> bool,
) -> Result<Option<CompactTask>> {
    let levels = Levels::new(bucket.files, options.compaction.num_levels, key_types)?;
    let unit = match full {
        true => pick_full(&levels, &options.compaction, rewrites),
        false => pick(&levels, &options.compaction, now),
    };
    let Some(unit) = unit else { return Ok(None) };
    let upper = if options.compaction.needs_lookup { upper_files(&levels, &unit) } else { Vec::new() };
    Ok(Some(CompactTask {
        snapshot_id: place.0,
        schema_id: place.1,
        partition: bucket.partition,
        bucket: bucket.bucket,
        total_buckets: bucket.total_buckets,
        output_level: unit.output_level,
        max_level: levels.max_level(),
        drops_deletes: unit.drops_deletes,
        files: unit.runs.into_iter().flat_map(|run| run.files).collect(),
        upper,
        vectors: Vec::new(),
    }))
}

/// The files above a unit, which stay.
fn upper_files(levels: &Levels, unit: &CompactUnit) -> Vec<DataFileMeta> {
    let above = levels.runs().iter().filter(|run| run.level > unit.output_level);
    let taken: BTreeSet<&str> = unit.files().map(|file| file.file_name.as_str()).collect();
    let stays = |file: &&DataFileMeta| !taken.contains(file.file_name.as_str());
    above.flat_map(|run| run.files.iter().filter(stays).cloned()).collect()
}
