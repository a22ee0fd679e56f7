//! Which files are compacted: live files in, tasks out. Pure.
//! Spec: `format-spec/compaction.md`, picking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::Result;
use crate::format::{BinaryRow, CompactTask, DataFileMeta, ManifestEntry, SnapshotId};
use crate::lsm::{CompactUnit, Levels, Moment, pick, pick_full};
use crate::predicate::Expr;
use crate::schema::{BucketMode, TableOptions};
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

/// The tasks of a bucket of an append table: small files, put together in their order, and files that are `worn` by masked
/// rows, alone if need be. Files of a table without buckets have no order among each other; elsewhere only neighbours
/// may be joined.
pub fn plan_append(
    bucket: BucketFiles,
    place: (SnapshotId, i64),
    options: &TableOptions,
    full: bool,
    worn: &dyn Fn(&DataFileMeta) -> bool,
) -> Vec<CompactTask> {
    let rules = &options.compaction;
    let least = if full { 2 } else { rules.min_file_num.max(2) };
    let ordered = options.bucket != BucketMode::Unaware;
    let mut files = bucket.files;
    files.sort_by(|a, b| (a.min_sequence_number, &a.file_name).cmp(&(b.min_sequence_number, &b.file_name)));
    let bytes = |file: &DataFileMeta| u64::try_from(file.file_size).unwrap_or(0);
    let rows = |file: &DataFileMeta| u64::try_from(file.row_count).unwrap_or(0);
    let mut groups: Vec<Vec<DataFileMeta>> = vec![Vec::new()];
    let mut size = 0_u64;
    for file in files {
        // A file that is full of rows is never made larger.
        let large = bytes(&file) >= rules.small_file_size || rows(&file) >= options.target_file_rows;
        let large = large && !(full && rules.force_rewrite) && !worn(&file);
        let count = groups.last().map_or(0, Vec::len);
        let enough = count >= if ordered { least } else { 2 };
        let filled = (enough && size >= 2 * options.target_file_size) || count >= rules.file_num_limit;
        if (large && ordered) || filled {
            groups.push(Vec::new());
            size = 0;
        }
        if !large {
            size += bytes(&file);
            groups.last_mut().into_iter().for_each(|group| group.push(file.clone()));
        }
    }
    let task = |files| CompactTask {
        snapshot_id: place.0,
        schema_id: place.1,
        partition: bucket.partition.clone(),
        bucket: bucket.bucket,
        total_buckets: bucket.total_buckets,
        output_level: 0,
        max_level: 0,
        drops_deletes: false,
        files,
        upper: Vec::new(),
        vectors: Vec::new(),
    };
    let filled = |group: &[DataFileMeta]| {
        let size = group.iter().map(bytes).sum::<u64>();
        !ordered && group.len() > 1 && size >= 2 * options.target_file_size
    };
    let is_due = |group: &Vec<DataFileMeta>| group.len() >= least || filled(group) || group.iter().any(worn);
    groups.into_iter().filter(is_due).map(task).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::data_file;
    use crate::schema::Schema;

    fn file(sequence: i64, size: i64) -> DataFileMeta {
        DataFileMeta {
            min_sequence_number: sequence,
            max_sequence_number: sequence,
            ..data_file(&format!("data-{sequence}.parquet"), size)
        }
    }

    /// The sequence numbers of the files of each task.
    fn tasks(sizes: &[i64], full: bool, set: &[(&str, &str)]) -> Vec<Vec<i64>> {
        tasks_beside(sizes, full, set, &[])
    }

    /// The same where these files are worn.
    fn tasks_beside(sizes: &[i64], full: bool, set: &[(&str, &str)], worn: &[i64]) -> Vec<Vec<i64>> {
        let schema = Schema::builder().column("a", crate::types::DataType::INT).option("target-file-size", "100 b");
        let schema = set.iter().fold(schema, |schema, (key, value)| schema.option(*key, *value)).build().unwrap();
        let options = TableOptions::parse(&schema).unwrap();
        let files = sizes.iter().enumerate().map(|(at, size)| file(at as i64, *size)).rev().collect();
        let bucket = BucketFiles { partition: BinaryRow::empty(), bucket: 0, total_buckets: -1, files };
        let worn = |file: &DataFileMeta| worn.contains(&file.min_sequence_number);
        let tasks = plan_append(bucket, (1, 0), &options, full, &worn);
        tasks.iter().map(|task| task.files.iter().map(|file| file.min_sequence_number).collect()).collect()
    }

    #[test]
    fn small_files_of_an_append_table_are_put_together_in_order() {
        let bucketed: &[(&str, &str)] = &[("bucket", "1"), ("bucket-key", "a")];
        let unaware: &[(&str, &str)] = &[("bucket", "-1")];
        assert_eq!(tasks(&[10; 4], false, bucketed), [[0; 0]; 0]);
        assert_eq!(tasks(&[10; 4], true, bucketed), [[0, 1, 2, 3]]);
        assert_eq!(tasks(&[10; 5], false, bucketed), [[0, 1, 2, 3, 4]]);
        assert_eq!(tasks(&[10], true, bucketed), [[0; 0]; 0]);
        // 70 bytes are not small any more: neighbours on both sides stay apart, unless order means nothing.
        assert_eq!(tasks(&[10, 10, 70, 10, 10, 10], true, bucketed), [vec![0, 1], vec![3, 4, 5]]);
        assert_eq!(tasks(&[10, 10, 70, 10, 10, 10], false, unaware), [[0, 1, 3, 4, 5]]);
        // Two files of the target size are enough for one task.
        assert_eq!(tasks(&[60; 8], true, unaware), [vec![0, 1, 2, 3], vec![4, 5, 6, 7]]);
        assert_eq!(tasks(&[10; 4], false, &[("compaction.min.file-num", "3")]), [[0, 1, 2, 3]]);
        assert_eq!(tasks(&[10; 6], true, &[("compaction.file-num-limit", "3")]), [vec![0, 1, 2], vec![3, 4, 5]]);
        assert_eq!(tasks(&[90, 90], true, &[("compaction.force-rewrite-all-files", "true")]), [[0, 1]]);
        // Two files are enough where they are as much as two files of the target size, unless they must be neighbours.
        assert_eq!(tasks(&[69; 3], false, &[("bucket", "-1")]), [[0, 1, 2]]);
        assert_eq!(tasks(&[69; 3], false, bucketed), [[0; 0]; 0]);
        assert_eq!(tasks(&[10; 4], false, &[("compaction.file-num-limit", "2")]), [[0; 0]; 0]);
        assert_eq!(tasks(&[10; 4], true, &[("compaction.file-num-limit", "2")]), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn files_that_are_full_of_rows_are_not_joined_however_small_they_are() {
        let set: &[(&str, &str)] = &[("bucket", "-1"), ("target-file-row-num", "1")];
        assert_eq!(tasks(&[10; 4], true, set), [[0; 0]; 0]);
    }

    #[test]
    fn worn_files_of_an_append_table_are_rewritten_alone_or_with_their_neighbours() {
        let bucketed: &[(&str, &str)] = &[("bucket", "1"), ("bucket-key", "a")];
        let unaware: &[(&str, &str)] = &[("bucket", "-1")];
        for set in [bucketed, unaware] {
            assert_eq!(tasks_beside(&[90, 90, 90], false, set, &[1]), [[1]]);
            assert_eq!(tasks_beside(&[90, 10, 90], false, set, &[]), [[0; 0]; 0]);
        }
        // Small neighbours come along.
        assert_eq!(tasks_beside(&[90, 10, 90, 10, 90], false, bucketed, &[2]), [[1, 2, 3]]);
        assert_eq!(tasks_beside(&[10, 90, 10, 90, 90], false, bucketed, &[3]), [[2, 3]]);
        assert_eq!(tasks_beside(&[10, 90, 10, 90, 90], false, unaware, &[3]), [[0, 2, 3]]);
    }
}
