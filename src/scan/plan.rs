//! Cutting live files into splits. Pure.
//!
//! A split of rows is *raw* when its files can be read one after another: all of one level above 0, or one file
//! alone, and no deletes. With deletion vectors the files of all levels above 0 can. Otherwise whole sections of
//! overlapping files are packed together.
//! Spec: `format-spec/read.md`, splits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::prune::Pruner;
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, DataFileMeta, ManifestEntry, SnapshotId, Split};
use crate::lsm::{KeyBound, Ranged, sections};
use crate::schema::{MergeEngine, Schema, TableOptions};
use crate::types::DataType;

/// What a plan follows.
#[derive(Debug, Clone)]
pub struct PlanRules {
    /// The schema rows come out in.
    pub schema_id: i64,
    /// The trimmed key's types; empty for append tables.
    pub key_types: Vec<DataType>,
    /// Bytes of a split.
    pub target: u64,
    /// Bytes a file counts for at the least.
    pub open_cost: u64,
    /// No key stands above level 0 twice: older versions are masked.
    pub masks: bool,
    /// A merged row may match a filter that none of its versions matches.
    pub folds: bool,
    /// Rows of level 0 are not shown before they are compacted.
    pub skips_level_0: bool,
}

impl PlanRules {
    /// The rules of a table.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a key that is no column.
    pub fn new(schema: &Schema, options: &TableOptions) -> Result<Self> {
        Ok(Self {
            schema_id: schema.id,
            key_types: schema.types_of(&schema.trimmed_primary_keys())?,
            target: options.split_target_size,
            open_cost: options.split_open_file_cost,
            masks: options.deletion_vectors,
            folds: matches!(options.merge_engine, MergeEngine::PartialUpdate | MergeEngine::Aggregation),
            skips_level_0: schema.has_primary_key()
                && (options.merge_engine == MergeEngine::FirstRow
                    || (options.deletion_vectors && !options.merge_on_read)),
        })
    }

    pub(super) fn weight(&self, file: &DataFileMeta) -> u64 {
        self.open_cost.max(u64::try_from(file.file_size).unwrap_or(0))
    }
}

/// So many files are worth a second thread.
const MANY_FILES: usize = 8192;

/// A partition, a bucket and its files.
type Bucket = (BinaryRow, i32, Vec<Arc<DataFileMeta>>);

/// Entries by partition and bucket; inside a bucket in manifest order.
///
/// What is sorted are small numbers: the entries of a large table are spread over more memory than the caches of a core hold.
struct Placed<'a> {
    entries: &'a [Arc<ManifestEntry>],
    /// The rank of the partition, the bucket, and which entry.
    places: Vec<(u32, i32, usize)>,
}

impl<'a> Placed<'a> {
    fn new(entries: &'a [Arc<ManifestEntry>]) -> Self {
        let ranks = partition_ranks(entries).into_iter().enumerate();
        let mut places: Vec<_> = ranks.map(|(at, rank)| (rank, entries[at].bucket, at)).collect();
        places.sort_unstable();
        Self { entries, places }
    }

    /// The rest from about the middle on, if there is enough for a second thread; no bucket is cut.
    fn split_off(&mut self) -> Option<Self> {
        let middle = self.places.len() / 2;
        let of = |at: usize| self.places.get(at).map(|(rank, bucket, _)| (*rank, *bucket));
        // The first bucket behind the middle, or the one that the middle lies in.
        let cut = (middle..self.places.len()).find(|at| of(*at) != of(middle));
        let cut = cut.or_else(|| (1..=middle).rev().find(|at| of(*at - 1) != of(middle)));
        let cut = cut.filter(|_| self.places.len() >= MANY_FILES)?;
        Some(Self { entries: self.entries, places: self.places.split_off(cut) })
    }

    fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.places.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).map(|places| {
            let first = &self.entries[places[0].2];
            let files = places.iter().map(|(.., at)| Arc::clone(&self.entries[*at].file)).collect();
            (first.partition.clone(), first.bucket, files)
        })
    }
}

/// For each entry the place of its partition among those that are there.
fn partition_ranks(entries: &[Arc<ManifestEntry>]) -> Vec<u32> {
    let mut known: HashMap<&BinaryRow, u32> = HashMap::new();
    let mut last: Option<(&BinaryRow, u32)> = None;
    let mut numbers = Vec::with_capacity(entries.len());
    for entry in entries {
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let number = match last {
            Some((partition, number)) if *partition == entry.partition => number,
            _ => *known.entry(&entry.partition).or_insert(next),
        };
        last = Some((&entry.partition, number));
        numbers.push(number);
    }
    let mut partitions: Vec<(&BinaryRow, u32)> = known.into_iter().collect();
    partitions.sort_unstable();
    let mut ranks = vec![0; partitions.len()];
    for (rank, (_, number)) in (0..).zip(partitions) {
        ranks[number as usize] = rank;
    }
    numbers.into_iter().map(|number| ranks[number as usize]).collect()
}

/// The splits that show the merged rows of live files.
///
/// # Errors
/// [`crate::Error::Corrupt`] when a file's key bytes are no key.
pub fn plan_rows(
    rules: &PlanRules,
    snapshot: SnapshotId,
    entries: &[Arc<ManifestEntry>],
    vectors: &Vectors,
    pruner: &Pruner,
) -> Result<Vec<Split>> {
    let mut placed = Placed::new(entries);
    let rest = placed.split_off();
    let plan = |placed: &Placed<'_>| plan_buckets(rules, snapshot, placed, vectors, pruner);
    let Some(rest) = rest else { return plan(&placed) };
    std::thread::scope(|scope| {
        let rest = scope.spawn(|| plan(&rest));
        let splits = plan(&placed);
        let rest = rest.join().unwrap_or_else(|_| Err(Error::bug("a planning thread panicked")));
        let mut splits = splits?;
        splits.extend(rest?);
        Ok(splits)
    })
}

fn plan_buckets(
    rules: &PlanRules,
    snapshot: SnapshotId,
    placed: &Placed<'_>,
    vectors: &Vectors,
    pruner: &Pruner,
) -> Result<Vec<Split>> {
    let mut splits = Vec::new();
    for (partition, bucket, files) in placed.buckets() {
        let packs = if rules.key_types.is_empty() {
            let mut files = matching(files.into_iter(), pruner)?;
            files.sort_by(|a, b| (a.min_sequence_number, &a.file_name).cmp(&(b.min_sequence_number, &b.file_name)));
            pack(rules, files.into_iter().map(|file| vec![file]))
        } else {
            pack_tree(rules, files, pruner)?
        };
        splits.extend(packs.into_iter().map(|files| Split {
            snapshot_id: snapshot,
            schema_id: rules.schema_id,
            partition: partition.clone(),
            bucket,
            raw: rules.key_types.is_empty() || reads_raw(rules, &files),
            vectors: vectors.of_files(&partition, bucket, &files),
            files,
            changes: false,
        }));
    }
    Ok(splits)
}

/// Whether no key stands twice in the files and none is a retraction.
fn reads_raw(rules: &PlanRules, files: &[Arc<DataFileMeta>]) -> bool {
    let level = files.first().map_or(0, |file| file.level);
    let apart = files.len() == 1
        || (level > 0 && files.iter().all(|file| file.level == level))
        || (rules.masks && files.iter().all(|file| file.level > 0));
    apart && files.iter().all(|file| has_no_deletes(file))
}

/// A file that does not tell (before 0.8) is read by its row kinds.
fn has_no_deletes(file: &DataFileMeta) -> bool {
    file.delete_row_count == Some(0)
}

/// The files that can hold a matching row.
fn matching(files: impl Iterator<Item = Arc<DataFileMeta>>, pruner: &Pruner) -> Result<Vec<Arc<DataFileMeta>>> {
    let kept = files.map(|file| Ok(pruner.values_may_match(&file)?.then_some(file)));
    kept.filter_map(Result::transpose).collect()
}

fn any_matches(files: &[Arc<DataFileMeta>], pruner: &Pruner) -> Result<bool> {
    for file in files {
        if pruner.values_may_match(file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Packs of a primary-key bucket. A section is dropped when no file of it can match: its keys stand nowhere else. Where
/// rows are folded from many versions, only files that are alone can tell.
fn pack_tree(rules: &PlanRules, files: Vec<Arc<DataFileMeta>>, pruner: &Pruner) -> Result<Vec<Vec<Arc<DataFileMeta>>>> {
    if files.len() == 1 && !pruner.prunes_files() {
        return Ok(vec![files]);
    }
    let mut ranged = Vec::with_capacity(files.len());
    for file in files {
        let (min, max) =
            (KeyBound::of(&file.min_key, &rules.key_types)?, KeyBound::of(&file.max_key, &rules.key_types)?);
        if pruner.keys_may_match(&min, &max) {
            ranged.push(Ranged { min, max, item: file });
        }
    }
    if rules.masks && ranged.iter().all(|ranged| ranged.item.level > 0 && has_no_deletes(&ranged.item)) {
        ranged.sort_by(|a, b| a.min.cmp(&b.min));
        let files = matching(ranged.into_iter().map(|ranged| ranged.item), pruner)?;
        return Ok(pack(rules, files.into_iter().map(|file| vec![file])));
    }
    let (mut simple, mut mixed) = (Vec::new(), Vec::new());
    for section in sections(ranged) {
        let files: Vec<Arc<DataFileMeta>> = section.into_iter().flatten().map(|ranged| ranged.item).collect();
        let tells = files.len() == 1 || !rules.folds;
        if tells && !any_matches(&files, pruner)? {
            continue;
        }
        let list = if reads_raw(rules, &files) && files[0].level > 0 { &mut simple } else { &mut mixed };
        list.push(files);
    }
    // Files of different levels are raw only apart from each other.
    let mut packs = Vec::new();
    let mut by_level: BTreeMap<i32, Vec<Vec<Arc<DataFileMeta>>>> = BTreeMap::new();
    for files in simple {
        let level = if rules.masks { 0 } else { files[0].level };
        by_level.entry(level).or_default().push(files);
    }
    for (_, files) in by_level {
        packs.extend(pack(rules, files.into_iter()));
    }
    packs.extend(pack(rules, mixed.into_iter()));
    Ok(packs)
}

/// Packs groups in order up to the target size. A group is never cut.
fn pack(rules: &PlanRules, groups: impl Iterator<Item = Vec<Arc<DataFileMeta>>>) -> Vec<Vec<Arc<DataFileMeta>>> {
    let mut packs: Vec<Vec<Arc<DataFileMeta>>> = Vec::new();
    let mut size: u64 = 0;
    for group in groups {
        let weight = group.iter().fold(0_u64, |sum, file| sum.saturating_add(rules.weight(file)));
        match packs.last_mut() {
            Some(pack) if size.saturating_add(weight) <= rules.target => {
                size += weight;
                pack.extend(group);
            }
            _ => {
                size = weight;
                packs.push(group);
            }
        }
    }
    packs
}

/// The splits that show the changes of one snapshot: the files of each bucket in manifest order, unmerged.
pub fn plan_changes(
    rules: &PlanRules,
    snapshot: SnapshotId,
    entries: &[Arc<ManifestEntry>],
    vectors: &Vectors,
) -> Vec<Split> {
    let split = |(partition, bucket, files): Bucket| Split {
        snapshot_id: snapshot,
        schema_id: rules.schema_id,
        vectors: vectors.of_files(&partition, bucket, &files),
        partition,
        bucket,
        files,
        raw: true,
        changes: true,
    };
    Placed::new(entries).buckets().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{FileKind, data_file};
    use crate::types::Datum;

    fn key(value: i32) -> BinaryRow {
        BinaryRow::encode(&[Datum::Int(value)], &[DataType::INT]).unwrap()
    }

    /// A file of a level with a key range, a size and deletes.
    fn file(level: i32, keys: (i32, i32), size: i64, deletes: Option<i64>) -> DataFileMeta {
        DataFileMeta {
            row_count: 10,
            min_key: key(keys.0),
            max_key: key(keys.1),
            max_sequence_number: 9,
            level,
            delete_row_count: deletes,
            ..data_file(&format!("data-{level}-{}-{}.parquet", keys.0, keys.1), size)
        }
    }

    /// For each split whether it is raw, and how many files it has.
    fn shape(files: Vec<DataFileMeta>) -> Vec<(bool, usize)> {
        let splits = planned(files.into_iter().map(|file| (0, file)));
        splits.iter().map(|split| (split.raw, split.files.len())).collect()
    }

    /// The splits of files in buckets.
    fn planned(files: impl Iterator<Item = (i32, DataFileMeta)>) -> Vec<Split> {
        planned_in(files.map(|(bucket, file)| (BinaryRow::empty(), bucket, file)))
    }

    /// The splits of files in buckets of partitions.
    fn planned_in(files: impl Iterator<Item = (BinaryRow, i32, DataFileMeta)>) -> Vec<Split> {
        let schema =
            Schema::builder().column("k", DataType::INT).primary_key(["k"]).option("bucket", "1").build().unwrap();
        let options = TableOptions::parse(&schema).unwrap();
        let rules = PlanRules { target: 100, open_cost: 10, ..PlanRules::new(&schema, &options).unwrap() };
        let pruner = Pruner::new(&Arc::new(schema), &options, None).unwrap();
        let entry = |(partition, bucket, file)| {
            let kind = FileKind::Add;
            Arc::new(ManifestEntry { kind, partition, bucket, total_buckets: 1, file: Arc::new(file) })
        };
        plan_rows(&rules, 1, &files.map(entry).collect::<Vec<_>>(), &Vectors::default(), &pruner).unwrap()
    }

    #[test]
    fn buckets_come_by_partition_and_files_in_their_order() {
        let in_partition = |(day, bucket, level)| (key(day), bucket, file(level, (1, 9), 20, None));
        let mixed = [(3, 0, 0), (1, 1, 0), (3, 0, 1), (1, 0, 0), (2, 0, 0), (1, 1, 2), (3, 0, 2)];
        let splits = planned_in(mixed.into_iter().map(in_partition));
        let shown = |split: &Split| {
            let levels: Vec<i32> = split.files.iter().map(|file| file.level).collect();
            (split.partition.clone(), split.bucket, levels)
        };
        let shown: Vec<_> = splits.iter().map(shown).collect();
        let wanted = [(key(1), 0, vec![0]), (key(1), 1, vec![0, 2]), (key(2), 0, vec![0]), (key(3), 0, vec![0, 1, 2])];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn two_threads_plan_the_buckets_of_many_files_in_their_order() {
        let files = |bucket| [(bucket, file(0, (1, 9), 20, None)), (bucket, file(5, (5, 12), 20, None))];
        let buckets = MANY_FILES as i32 / 2 + 1;
        let splits = planned((0..buckets).rev().flat_map(files));
        assert_eq!(splits.iter().map(|split| split.bucket).collect::<Vec<_>>(), (0..buckets).collect::<Vec<_>>());
        assert!(splits.iter().all(|split| split.files.len() == 2));
    }

    #[test]
    fn files_are_raw_where_no_key_stands_twice_and_none_is_deleted() {
        let none = Some(0);
        for (what, files, wanted) in [
            ("one flush", vec![file(0, (1, 9), 20, none)], vec![(true, 1)]),
            ("one flush with deletes", vec![file(0, (1, 9), 20, Some(1))], vec![(false, 1)]),
            ("a file that does not tell", vec![file(0, (1, 9), 20, None)], vec![(false, 1)]),
            ("two flushes that overlap", vec![file(0, (1, 9), 20, none), file(0, (5, 12), 20, none)], vec![(false, 2)]),
            ("one level", vec![file(5, (1, 4), 20, none), file(5, (5, 9), 20, none)], vec![(true, 2)]),
            (
                "one level, too large for a split",
                vec![file(5, (1, 4), 80, none), file(5, (5, 9), 80, none)],
                vec![(true, 1); 2],
            ),
            ("small files count for opening", vec![file(5, (1, 2), 1, none); 1], vec![(true, 1)]),
            ("levels that overlap", vec![file(0, (1, 9), 20, none), file(5, (3, 5), 20, none)], vec![(false, 2)]),
            ("levels apart", vec![file(4, (1, 2), 20, none), file(5, (3, 5), 20, none)], vec![(true, 1), (true, 1)]),
            ("a section is never cut", vec![file(0, (1, 9), 80, none), file(5, (1, 9), 80, none)], vec![(false, 2)]),
        ] {
            assert_eq!(shape(files), wanted, "{what}");
        }
    }
}
