//! One snapshot as lookups see it: its partitions and buckets, and which of them a key belongs to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take::take;

use super::bucket::BucketFiles;
use super::rules::Rules;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, DataFileMeta, IndexManifestEntry, Snapshot, SnapshotId, assign};
use crate::scan::{Vectors, load_vectors, visible_files};
use crate::schema::BucketMode;
use crate::types::DataType;

/// The files of one snapshot.
pub(super) struct View {
    pub rules: Arc<Rules>,
    /// `None` for a table without one.
    pub snapshot: Option<Snapshot>,
    /// Where the deletion vectors of its files lie.
    vectors: Vectors,
    partitions: HashMap<BinaryRow, Partition>,
    /// For each partition key its place in the primary key; `None` when the primary key does not hold all of them.
    partition_places: Option<Vec<usize>>,
    partition_types: Vec<DataType>,
    bucket_places: Vec<usize>,
    bucket_types: Vec<DataType>,
    /// For each column of the trimmed key its place in the primary key.
    key_places: Vec<usize>,
}

struct Partition {
    /// The bucket count that its files were written with.
    total: i32,
    buckets: BTreeMap<i32, Slot>,
}

/// A bucket whose files are looked at when a key first needs them.
struct Slot {
    files: Vec<Arc<DataFileMeta>>,
    ready: OnceLock<Arc<BucketFiles>>,
}

/// A bucket that keys may be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    partition: BinaryRow,
    bucket: i32,
}

/// Rows of a request that belong to the same buckets.
pub(super) struct Routed {
    /// More than one where only an index knows the bucket of a key.
    pub targets: Vec<Target>,
    pub rows: Vec<u32>,
}

impl View {
    pub(super) fn snapshot_id(&self) -> Option<SnapshotId> {
        self.snapshot.as_ref().map(|snapshot| snapshot.id)
    }

    /// Reads the manifests of a snapshot. Buckets that did not change are taken from the view before.
    pub(super) async fn load(rules: Arc<Rules>, snapshot: Option<&Snapshot>, before: Option<&Self>) -> Result<Self> {
        let schema = &rules.schema;
        let place = |name: &String| schema.primary_keys.iter().position(|key| key == name);
        let places = |names: &[String]| names.iter().map(place).collect::<Option<Vec<usize>>>();
        let missing = || Error::bug("a bucket key outside of the primary key");
        let (vectors, entries) = match snapshot {
            Some(snapshot) => visible_files(&rules.history, schema, &rules.options, snapshot).await?,
            None => Default::default(),
        };
        let mut view = Self {
            snapshot: snapshot.cloned(),
            vectors,
            partitions: HashMap::new(),
            partition_places: places(&schema.partition_keys),
            partition_types: schema.types_of(&schema.partition_keys)?,
            bucket_places: places(&rules.options.bucket_key).ok_or_else(missing)?,
            bucket_types: schema.types_of(&rules.options.bucket_key)?,
            key_places: places(&schema.trimmed_primary_keys()).ok_or_else(missing)?,
            rules,
        };
        for entry in entries {
            let new = || Partition { total: entry.total_buckets, buckets: BTreeMap::new() };
            let partition = match view.partitions.get_mut(&entry.partition) {
                Some(partition) => partition,
                None => view.partitions.entry(entry.partition.clone()).or_insert_with(new),
            };
            if partition.total != entry.total_buckets {
                let what = format!("buckets {} and {} in one partition", partition.total, entry.total_buckets);
                return Err(Error::corrupt("manifest", format!("_TOTAL_BUCKETS: {what}")));
            }
            let slot = partition.buckets.entry(entry.bucket);
            let slot = slot.or_insert_with(|| Slot { files: Vec::new(), ready: OnceLock::new() });
            slot.files.push(Arc::clone(&entry.file));
        }
        if let Some(before) = before.filter(|before| Arc::ptr_eq(&before.rules, &view.rules)) {
            view.inherit(before);
        }
        Ok(view)
    }

    fn inherit(&self, before: &Self) {
        for (values, partition) in &self.partitions {
            let Some(old) = before.partitions.get(values) else { continue };
            for (bucket, slot) in &partition.buckets {
                let Some(old) = old.buckets.get(bucket) else { continue };
                if let Some(files) = old.ready.get()
                    && slot.files == old.files
                    && self.vectors_of(values, *bucket, slot) == before.vectors_of(values, *bucket, old)
                {
                    drop(slot.ready.set(Arc::clone(files)));
                }
            }
        }
    }

    fn vectors_of(&self, partition: &BinaryRow, bucket: i32, slot: &Slot) -> Vec<IndexManifestEntry> {
        self.vectors.of_files(partition, bucket, &slot.files)
    }

    /// The files of a bucket, if they were looked at before.
    pub(super) fn ready(&self, target: &Target) -> Option<&Arc<BucketFiles>> {
        self.slot(target)?.ready.get()
    }

    fn slot(&self, target: &Target) -> Option<&Slot> {
        self.partitions.get(&target.partition)?.buckets.get(&target.bucket)
    }

    /// The files of a bucket with their deletion vectors; `None` where it has none.
    pub(super) async fn bucket(&self, target: &Target) -> Result<Option<Arc<BucketFiles>>> {
        let Some(slot) = self.slot(target) else { return Ok(None) };
        if let Some(files) = slot.ready.get() {
            return Ok(Some(Arc::clone(files)));
        }
        let (rules, Target { partition, bucket }) = (&self.rules, target);
        let index = self.vectors_of(partition, *bucket, slot);
        let vectors = load_vectors(&rules.history.store, &rules.schema, &rules.options, &index).await?;
        let files = BucketFiles::new(rules, partition, *bucket, slot.files.iter().collect(), &vectors)?;
        Ok(Some(Arc::clone(slot.ready.get_or_init(|| Arc::new(files)))))
    }

    /// The columns of the trimmed key among those of the primary key.
    pub(super) fn trimmed(&self, primary: &[ArrayRef]) -> Vec<ArrayRef> {
        self.key_places.iter().map(|at| Arc::clone(&primary[*at])).collect()
    }

    /// Which buckets the rows of primary keys belong to.
    pub(super) fn route(&self, primary: &[ArrayRef], rows: usize) -> Result<Vec<Routed>> {
        let Some(places) = &self.partition_places else {
            // The primary key does not tell the partition: every bucket of every partition may have it.
            let mut targets: Vec<Target> = self.partitions.keys().flat_map(|values| self.all_of(values)).collect();
            targets.sort_by(|a, b| (&a.partition, a.bucket).cmp(&(&b.partition, b.bucket)));
            return Ok(vec![Routed { targets, rows: (0..rows as u32).collect() }]);
        };
        let lanes: Vec<ArrayRef> = places.iter().map(|at| Arc::clone(&primary[*at])).collect();
        let mut by_partition: Vec<(BinaryRow, Vec<u32>)> = Vec::new();
        if lanes.is_empty() {
            by_partition.push((BinaryRow::empty(), (0..rows as u32).collect()));
        } else {
            let mut known: HashMap<BinaryRow, usize> = HashMap::new();
            for row in 0..rows {
                let values = BinaryRow::encode_columns(&lanes, &self.partition_types, row)?;
                let at = *known.entry(values).or_insert_with_key(|values| {
                    by_partition.push((values.clone(), Vec::new()));
                    by_partition.len() - 1
                });
                by_partition[at].1.push(row as u32);
            }
        }
        let mut routed = Vec::new();
        for (values, rows) in by_partition {
            let Some(partition) = self.partitions.get(&values) else { continue };
            if !matches!(self.rules.options.bucket, BucketMode::Fixed(_)) {
                routed.push(Routed { targets: self.all_of(&values).collect(), rows });
                continue;
            }
            if partition.total == 1 {
                routed.push(Routed { targets: vec![Target { partition: values, bucket: 0 }], rows });
                continue;
            }
            let mut by_bucket: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
            for (row, bucket) in rows.iter().zip(self.buckets_of(primary, &rows, partition.total)?) {
                by_bucket.entry(bucket).or_default().push(*row);
            }
            routed.extend(by_bucket.into_iter().map(|(bucket, rows)| {
                let target = Target { partition: values.clone(), bucket };
                Routed { targets: vec![target], rows }
            }));
        }
        Ok(routed)
    }

    fn all_of<'a>(&'a self, values: &'a BinaryRow) -> impl Iterator<Item = Target> + 'a {
        let buckets = self.partitions.get(values).into_iter().flat_map(|partition| partition.buckets.keys());
        buckets.map(|bucket| Target { partition: values.clone(), bucket: *bucket })
    }

    fn buckets_of(&self, primary: &[ArrayRef], rows: &[u32], total: i32) -> Result<Vec<i32>> {
        let whole = primary.first().is_some_and(|lane| lane.len() == rows.len());
        let picked = UInt32Array::from(rows.to_vec());
        let lane = |at: &usize| match whole {
            true => Ok(Arc::clone(&primary[*at])),
            false => take(&primary[*at], &picked, None).map_err(|error| Error::bug(error.to_string())),
        };
        let lanes: Vec<ArrayRef> = self.bucket_places.iter().map(lane).collect::<Result<_>>()?;
        assign(self.rules.options.bucket_function, &lanes, &self.bucket_types, total, rows.len())
    }
}
