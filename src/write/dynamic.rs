//! Dynamic buckets: a key keeps the bucket that it got first, and a bucket takes so many keys.
//!
//! ```text
//! row ─ key hash ─ known? ── yes ─ its bucket
//!                    └ no ─ a bucket of the key's class with room ─ else a new one ─ else (max-buckets) one of the class
//! ```
//!
//! What is known of a partition is its `HASH` index files, read when the first row of it comes. A bucket that got new
//! keys has its file written anew by [`DynamicBuckets::prepare`]; the message names the file it replaces and all files
//! that the routing rests on, so that a commit refuses two writers that did not know of each other.
//! Spec: `format-spec/bucket.md`, dynamic buckets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::channels::{Channel, class_of, first_channel};
use super::key_index::KeyIndex;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, IndexFile, IndexRead, decode_hash_index, encode_hash_index, index_outside, index_path};
use crate::history::History;
use crate::schema::{Schema, TableOptions};

/// The index type.
const HASH: &str = "HASH";
/// The highest bucket, as in Paimon.
pub(super) const MAX_BUCKET: i32 = i16::MAX as i32 - 1;
/// Memory for the indexes of all partitions of a writer. Of each partition that is written all keys must be known, so this
/// is no share of the writer's budget; rows are buffered in what is left of that.
const MAX_BYTES: usize = 1 << 30;
/// What a key takes while its index is read and sorted.
const LOAD_BYTES: u64 = 16;
/// A partition's index is forgotten after so many commits without a row of it.
const IDLE_COMMITS: u64 = 4;
/// Index files that are read or written at once.
const PARALLEL: usize = 8;

/// Assigns the buckets of one writer.
pub(super) struct DynamicBuckets {
    history: History,
    schema: Arc<Schema>,
    options: TableOptions,
    channel: Channel,
    classes: i32,
    known: HashMap<BinaryRow, PartitionIndex>,
    /// Names of the files of partitions whose index was forgotten.
    forgotten: HashMap<BinaryRow, BTreeSet<String>>,
    commits: u64,
    max_bytes: usize,
    uuid: String,
    written: u64,
    anew: bool,
}

/// What a commit changes of the index of a partition.
pub(super) struct IndexUpdate {
    pub partition: BinaryRow,
    pub read: IndexRead,
    /// Each bucket that changed: its new file and the one it replaces.
    pub files: Vec<(IndexFile, Option<IndexFile>)>,
}

struct PartitionIndex {
    keys: KeyIndex,
    /// The class this writer takes new keys of; `None` for all.
    own: Option<i32>,
    /// Keys of the buckets of own classes.
    counts: BTreeMap<i32, u64>,
    /// For each class a bucket with room.
    open: HashMap<i32, i32>,
    /// The files of the buckets of own classes.
    files: BTreeMap<i32, IndexFile>,
    changed: BTreeSet<i32>,
    touched: bool,
    last_used: u64,
}

impl DynamicBuckets {
    pub(super) fn new(history: History, schema: Arc<Schema>, options: TableOptions, channel: Channel) -> Result<Self> {
        Ok(Self {
            classes: channel.check()?.classes(&options),
            uuid: history.store.env().uuid(),
            history,
            schema,
            options,
            channel,
            known: HashMap::new(),
            forgotten: HashMap::new(),
            commits: 0,
            max_bytes: MAX_BYTES,
            written: 0,
            anew: false,
        })
    }

    /// Partitions begin empty, whatever is there.
    pub(super) fn anew(&mut self) {
        self.anew = true;
    }

    /// Reads the indexes of partitions that are not known yet.
    pub(super) async fn load(&mut self, partitions: impl Iterator<Item = &BinaryRow>) -> Result<()> {
        let missing: BTreeSet<BinaryRow> =
            partitions.filter(|partition| !self.known.contains_key(*partition)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut files: BTreeMap<BinaryRow, Vec<IndexFile>> = BTreeMap::new();
        let latest = if self.anew { None } else { self.history.snapshots.latest().await? };
        if let Some(latest) = latest {
            if let Some(name) = &latest.index_manifest {
                for file in self.history.manifests.index(name).await?.iter() {
                    if file.index_type == HASH && missing.contains(&file.partition) {
                        files.entry(file.partition.clone()).or_default().push(file.clone());
                    }
                }
            }
            let manifests = self.history.manifests.of(&latest).await?;
            for entry in self.history.manifests.live_in(&manifests, missing.clone()).await? {
                let of = files.get(&entry.partition).map_or(&[] as &[IndexFile], Vec::as_slice);
                check_indexed(entry.total_buckets, entry.bucket, of)?;
            }
        }
        for partition in missing {
            let index = self.load_partition(&partition, files.remove(&partition).unwrap_or_default()).await?;
            self.known.insert(partition, index);
            self.make_room()?;
        }
        Ok(())
    }

    async fn load_partition(&mut self, partition: &BinaryRow, files: Vec<IndexFile>) -> Result<PartitionIndex> {
        let own = (self.channel.count > 1).then(|| {
            let (index, count) = (self.channel.index as i32, self.channel.count as i32);
            (index - first_channel(partition.hash(), count)).rem_euclid(count)
        });
        let classes = self.classes;
        let mine = |class: i32| own.is_none_or(|own| own == class);
        let rows: u64 = files.iter().map(|file| u64::try_from(file.row_count).unwrap_or(0)).sum();
        if rows.saturating_mul(LOAD_BYTES) > 2 * self.max_bytes as u64 {
            return Err(too_large(rows));
        }
        let (history, schema, options) = (&self.history, &self.schema, &self.options);
        let read = |file: IndexFile| {
            async move {
                let bytes = history.store.read(&index_path(schema, options, &file)?).await?;
                Ok::<_, Error>((file, bytes))
            }
            .boxed()
        };
        let reads: Vec<_> = files.into_iter().map(read).collect();
        let mut reads = stream::iter(reads).buffered(PARALLEL);
        let mut pairs = Vec::new();
        let (mut counts, mut own_files) = (BTreeMap::new(), BTreeMap::new());
        while let Some((file, bytes)) = reads.try_next().await? {
            let bucket = u16::try_from(file.bucket).ok().filter(|bucket| i32::from(*bucket) <= MAX_BUCKET);
            let bucket = bucket.ok_or_else(|| Error::corrupt(&file.file_name, format!("bucket {}", file.bucket)))?;
            let my_bucket = mine(i32::from(bucket) % classes);
            let hashes = decode_hash_index(&bytes, &file)?;
            pairs.extend(hashes.filter(|hash| my_bucket || mine(class_of(*hash, classes))).map(|h| (h as u32, bucket)));
            if my_bucket {
                counts.insert(file.bucket, file.row_count as u64);
                if let Some(other) = own_files.insert(file.bucket, file) {
                    return Err(Error::corrupt(other.file_name, "a bucket has two key-hash indexes"));
                }
            }
        }
        let names: BTreeSet<String> = own_files.values().map(|file: &IndexFile| file.file_name.clone()).collect();
        if let Some(expected) = self.forgotten.remove(partition)
            && expected != names
        {
            return Err(Error::conflict(
                "the key-hash index of a partition is not the one that this writer wrote: its messages are not \
                 committed yet, or another writer is at work; open a new writer",
            ));
        }
        drop(reads);
        Ok(PartitionIndex {
            keys: KeyIndex::of(pairs)?,
            own,
            counts,
            open: HashMap::new(),
            files: own_files,
            changed: BTreeSet::new(),
            touched: false,
            last_used: self.commits,
        })
    }

    /// The buckets of rows of one partition, which must be loaded.
    pub(super) fn assign(
        &mut self,
        partition: &BinaryRow,
        hashes: impl Iterator<Item = i32>,
        out: &mut Vec<i32>,
    ) -> Result<()> {
        let (classes, options) = (self.classes, &self.options.dynamic_bucket);
        let (target, max) = (options.target_rows, options.max_buckets);
        let index = self.known.get_mut(partition).ok_or_else(|| Error::bug("a partition without its key index"))?;
        (index.touched, index.last_used) = (true, self.commits);
        for hash in hashes {
            if index.own.is_some_and(|own| own != class_of(hash, classes)) {
                return Err(Error::invalid(format!(
                    "a row came to writer {} of {} that belongs to another: spread rows by the table's channels",
                    self.channel.index, self.channel.count
                )));
            }
            out.push(match index.keys.get(hash as u32) {
                Some(bucket) => i32::from(bucket),
                None => index.add(hash, classes, target, max)?,
            });
        }
        Ok(())
    }

    /// Memory that the indexes of all known partitions take.
    pub(super) fn bytes(&self) -> usize {
        self.known.values().map(PartitionIndex::bytes).sum()
    }

    /// Forgets what was not used for long, and more when memory is short.
    fn make_room(&mut self) -> Result<()> {
        let mut total = self.bytes();
        while total > self.max_bytes {
            let idle = self.known.iter().filter(|(_, index)| !index.touched);
            let Some(oldest) = idle.min_by_key(|(_, index)| index.last_used).map(|(partition, _)| partition.clone())
            else {
                let keys = self.known.values().flat_map(|index| index.counts.values()).sum();
                return Err(too_large(keys));
            };
            self.forget(&oldest);
            total = self.bytes();
        }
        Ok(())
    }

    fn forget(&mut self, partition: &BinaryRow) {
        if let Some(index) = self.known.remove(partition) {
            let names = index.files.into_values().map(|file| file.file_name).collect();
            self.forgotten.insert(partition.clone(), names);
        }
    }

    /// Writes the index files of buckets that got new keys since the last call, and tells what all routing rests on.
    pub(super) async fn prepare(&mut self) -> Result<Vec<IndexUpdate>> {
        let mut updates = Vec::new();
        let mut writes = Vec::new();
        for (partition, index) in self.known.iter_mut().filter(|(_, index)| index.touched) {
            let read = IndexRead {
                assigner: index.own.unwrap_or(0),
                assigners: if index.own.is_some() { self.classes } else { 1 },
                files: index.files.values().map(|file| file.file_name.clone()).collect(),
            };
            let mut files = Vec::new();
            for (bucket, hashes) in index.changed_hashes() {
                let bytes = encode_hash_index(&hashes);
                let (name, place) = (format!("index-{}-{}", self.uuid, self.written), (partition, bucket));
                let external_path = index_outside(&self.schema, &self.options, place, &name, self.written)?;
                let file = IndexFile {
                    partition: partition.clone(),
                    bucket,
                    index_type: HASH.to_string(),
                    file_name: name,
                    file_size: bytes.len() as i64,
                    row_count: hashes.len() as i64,
                    deletion_vectors: None,
                    external_path,
                    global_index: None,
                };
                self.written += 1;
                writes.push((index_path(&self.schema, &self.options, &file)?, bytes));
                files.push((file, index.files.get(&bucket).cloned()));
            }
            updates.push(IndexUpdate { partition: partition.clone(), read, files });
        }
        updates.sort_by(|a, b| a.partition.cmp(&b.partition));
        self.write(writes).await?;
        for update in &updates {
            if let Some(index) = self.known.get_mut(&update.partition) {
                index.files.extend(update.files.iter().map(|(file, _)| (file.bucket, file.clone())));
                index.changed.clear();
                index.touched = false;
            }
        }
        self.commits += 1;
        let old: Vec<BinaryRow> = self
            .known
            .iter()
            .filter(|(_, index)| index.last_used + IDLE_COMMITS < self.commits)
            .map(|(partition, _)| partition.clone())
            .collect();
        old.iter().for_each(|partition| self.forget(partition));
        self.make_room()?;
        Ok(updates)
    }

    /// Writes all, or deletes what was written.
    async fn write(&self, files: Vec<(String, bytes::Bytes)>) -> Result<()> {
        let store = &self.history.store;
        let paths: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
        let write = |(path, bytes): (String, bytes::Bytes)| async move { store.write(&path, bytes).await }.boxed();
        let writes: Vec<_> = files.into_iter().map(write).collect();
        let done: Vec<Result<()>> = stream::iter(writes).buffered(PARALLEL).collect().await;
        let result: Result<()> = done.into_iter().collect();
        if result.is_err() {
            for path in paths {
                if let Err(error) = store.delete(&path).await {
                    tracing::warn!(%path, %error, "an index file of a failed commit stays behind");
                }
            }
        }
        result
    }
}

/// Rows that no index knows would get a second bucket.
fn check_indexed(total_buckets: i32, bucket: i32, files: &[IndexFile]) -> Result<()> {
    if total_buckets > 0 {
        return Err(Error::invalid(format!(
            "option bucket=-1: a partition was written with {total_buckets} buckets and must be rescaled first"
        )));
    }
    if files.iter().all(|file| file.bucket != bucket) {
        return Err(Error::invalid(format!(
            "bucket {bucket} of a partition with dynamic buckets has rows and no key-hash index: whoever wrote it kept \
             none; rescale the partition, which makes one"
        )));
    }
    Ok(())
}

fn too_large(keys: u64) -> Error {
    Error::exhausted(format!(
        "dynamic buckets: the index of {keys} keys does not fit into {MAX_BYTES} bytes; use more parallel writers, \
         smaller partitions, or a fixed bucket count"
    ))
}

impl PartitionIndex {
    fn add(&mut self, hash: i32, classes: i32, target: u64, max: Option<i32>) -> Result<i32> {
        let class = class_of(hash, classes);
        let room = |bucket: &i32| self.counts.get(bucket).is_some_and(|count| *count < target);
        let bucket = match self.open.get(&class).copied().filter(room) {
            Some(bucket) => bucket,
            None => self.next_bucket(hash, class, classes, target, max)?,
        };
        *self.counts.entry(bucket).or_insert(0) += 1;
        self.keys.insert(hash as u32, bucket as u16);
        self.changed.insert(bucket);
        Ok(bucket)
    }

    /// A bucket of a class with room, or a new one, or any of the class where no more may be made.
    fn next_bucket(&mut self, hash: i32, class: i32, classes: i32, target: u64, max: Option<i32>) -> Result<i32> {
        let of_class: Vec<(i32, u64)> =
            self.counts.iter().filter(|(bucket, _)| *bucket % classes == class).map(|(b, n)| (*b, *n)).collect();
        if let Some((bucket, _)) = of_class.iter().find(|(_, count)| *count < target) {
            self.open.insert(class, *bucket);
            return Ok(*bucket);
        }
        let last = max.map_or(MAX_BUCKET, |max| (max - 1).min(MAX_BUCKET));
        let mut ids = (class..=last).step_by(classes as usize);
        if let Some(bucket) = ids.find(|bucket| !self.counts.contains_key(bucket)) {
            self.open.insert(class, bucket);
            return Ok(bucket);
        }
        if max.is_none() || of_class.is_empty() {
            return Err(Error::exhausted(format!(
                "dynamic-bucket.target-row-num: a partition has all {} buckets, each with {target} keys: raise it",
                MAX_BUCKET + 1
            )));
        }
        let at = (i64::from(hash).unsigned_abs() / classes as u64) % of_class.len() as u64;
        Ok(of_class[at as usize].0)
    }

    /// The hashes of the buckets that got new ones.
    fn changed_hashes(&self) -> BTreeMap<i32, Vec<i32>> {
        let mut hashes: BTreeMap<i32, Vec<i32>> = self.changed.iter().map(|bucket| (*bucket, Vec::new())).collect();
        if !hashes.is_empty() {
            for (hash, bucket) in self.keys.iter() {
                if let Some(of) = hashes.get_mut(&i32::from(bucket)) {
                    of.push(hash as i32);
                }
            }
            hashes.values_mut().for_each(|of| of.sort_unstable());
        }
        hashes
    }

    fn bytes(&self) -> usize {
        self.keys.bytes() + 500 * self.files.len() + 500
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> PartitionIndex {
        PartitionIndex {
            keys: KeyIndex::default(),
            own: None,
            counts: BTreeMap::new(),
            open: HashMap::new(),
            files: BTreeMap::new(),
            changed: BTreeSet::new(),
            touched: false,
            last_used: 0,
        }
    }

    fn add_all(index: &mut PartitionIndex, hashes: impl Iterator<Item = i32>, classes: i32, max: Option<i32>) {
        for hash in hashes {
            index.add(hash, classes, 10, max).unwrap();
        }
    }

    #[test]
    fn a_bucket_takes_so_many_keys_and_the_next_is_the_smallest_free() {
        let mut one = index();
        add_all(&mut one, 0..25, 1, None);
        assert_eq!(one.counts.into_iter().collect::<Vec<_>>(), [(0, 10), (1, 10), (2, 5)]);
        // Each class of keys has buckets of its own.
        let mut three = index();
        add_all(&mut three, -20..40, 3, None);
        assert!(three.keys.iter().all(|(hash, bucket)| class_of(hash as i32, 3) == i32::from(bucket) % 3));
        assert_eq!(three.counts.values().sum::<u64>(), 60);
        assert!(three.counts.values().all(|count| *count <= 10));
    }

    #[test]
    fn no_more_buckets_than_allowed_are_made_and_the_rest_is_spread() {
        let mut full = index();
        add_all(&mut full, 0..1000, 2, Some(4));
        assert_eq!(full.counts.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(full.counts.values().all(|count| *count > 200), "{:?}", full.counts);
        let mut endless = index();
        endless.counts = (0..=MAX_BUCKET).map(|bucket| (bucket, 10)).collect();
        assert!(matches!(endless.add(1, 1, 10, None), Err(Error::Exhausted { .. })));
    }

    #[test]
    fn only_buckets_with_new_keys_are_written() {
        let mut one = index();
        add_all(&mut one, 0..15, 1, None);
        one.changed.clear();
        assert!(one.changed_hashes().is_empty());
        add_all(&mut one, 15..18, 1, None);
        let changed = one.changed_hashes();
        assert_eq!(changed.keys().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(changed[&1], (10..18).collect::<Vec<_>>());
    }
}
