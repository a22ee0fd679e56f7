//! The deletion vectors of a snapshot: which index file holds the vector of which data file, and the vectors themselves.
//! Spec: `format-spec/deletion-vectors.md`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::{
    BinaryRow, DataFileMeta, DeletionVector, DeletionVectorRange, IndexManifestEntry, Snapshot, decode_deletion_vector,
    index_path,
};
use crate::history::History;
use crate::io::TableStore;
use crate::schema::{Schema, TableOptions};

/// Vectors by the name of their data file.
pub type FileVectors = HashMap<String, Arc<DeletionVector>>;

/// Bytes between two vectors that are rather read than asked for apart.
const GAP: u64 = 128 << 10;

/// Where the vectors of a snapshot lie.
#[derive(Debug, Clone, Default)]
pub struct Vectors {
    index: Arc<Vec<IndexManifestEntry>>,
    /// By data file: its place in `index` and among the ranges there.
    by_file: HashMap<String, (usize, usize)>,
}

impl Vectors {
    /// Those of a snapshot. Index files of other types that change what a reader sees are refused by name.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for two vectors of one file; [`Error::Unsupported`] for an unknown type; the store's errors.
    pub async fn of(history: &History, snapshot: &Snapshot) -> Result<Self> {
        let Some(name) = &snapshot.index_manifest else { return Ok(Self::default()) };
        let index = history.manifests.index(name).await?;
        let mut by_file = HashMap::new();
        for (at, entry) in index.iter().enumerate() {
            match entry.index_type.as_str() {
                IndexManifestEntry::DELETION_VECTORS => {}
                "HASH" => continue,
                other => {
                    let what = format!("index files of type {other} in snapshot {}", snapshot.id);
                    return Err(Error::unsupported(what));
                }
            }
            for (range, told) in entry.deletion_vectors.iter().flatten().enumerate() {
                if by_file.insert(told.data_file.clone(), (at, range)).is_some() {
                    return Err(Error::corrupt(name, format!("two deletion vectors of {:?}", told.data_file)));
                }
            }
        }
        Ok(Self { index, by_file })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_file.is_empty()
    }

    /// The vector of a data file.
    pub fn of_file(
        &self,
        partition: &BinaryRow,
        bucket: i32,
        data_file: &str,
    ) -> Option<(&IndexManifestEntry, &DeletionVectorRange)> {
        let (entry, range) = self.find(partition, bucket, data_file)?;
        Some((&self.index[entry], self.index[entry].deletion_vectors.as_ref()?.get(range)?))
    }

    fn find(&self, partition: &BinaryRow, bucket: i32, data_file: &str) -> Option<(usize, usize)> {
        let (entry, range) = *self.by_file.get(data_file)?;
        let of_bucket = self.index[entry].bucket == bucket && self.index[entry].partition == *partition;
        of_bucket.then_some((entry, range))
    }

    /// The index files that hold vectors of these files, narrowed to them.
    pub fn of_files(&self, partition: &BinaryRow, bucket: i32, files: &[Arc<DataFileMeta>]) -> Vec<IndexManifestEntry> {
        let mut found: BTreeMap<usize, Vec<DeletionVectorRange>> = BTreeMap::new();
        if self.is_empty() {
            return Vec::new();
        }
        for file in files {
            let Some((entry, range)) = self.find(partition, bucket, &file.file_name) else { continue };
            let ranges = self.index[entry].deletion_vectors.as_deref().unwrap_or_default();
            found.entry(entry).or_default().extend(ranges.get(range).cloned());
        }
        let narrowed = |(at, ranges): (usize, Vec<DeletionVectorRange>)| IndexManifestEntry {
            row_count: i64::try_from(ranges.len()).unwrap_or(i64::MAX),
            deletion_vectors: Some(ranges),
            ..self.index[at].clone()
        };
        found.into_iter().map(narrowed).collect()
    }

    /// The index files of a bucket, without vectors of files that are none of these: such dangle.
    pub fn of_bucket(&self, partition: &BinaryRow, bucket: i32, live: &[DataFileMeta]) -> Vec<IndexManifestEntry> {
        let of_bucket = |entry: &&IndexManifestEntry| {
            entry.index_type == IndexManifestEntry::DELETION_VECTORS
                && entry.bucket == bucket
                && entry.partition == *partition
        };
        let names: HashSet<&str> = live.iter().map(|file| file.file_name.as_str()).collect();
        let narrowed = |entry: &IndexManifestEntry| {
            let mut entry = entry.clone();
            if let Some(ranges) = &mut entry.deletion_vectors {
                ranges.retain(|range| names.contains(range.data_file.as_str()));
            }
            entry
        };
        self.index.iter().filter(of_bucket).map(narrowed).collect()
    }
}

/// Reads the vectors that index files hold, those that lie together with one request.
///
/// # Errors
/// The store's errors; [`Error::Corrupt`] that names file and vector; [`Error::Unsupported`] for files outside of the
/// table.
pub async fn load_vectors(
    store: &TableStore,
    schema: &Schema,
    options: &TableOptions,
    index: &[IndexManifestEntry],
) -> Result<FileVectors> {
    let mut vectors = FileVectors::new();
    for entry in index {
        let path = index_path(schema, options, entry)?;
        let size = u64::try_from(entry.file_size).unwrap_or(0);
        let mut ranges: Vec<&DeletionVectorRange> = entry.deletion_vectors.iter().flatten().collect();
        ranges.sort_by_key(|range| range.offset);
        for together in ranges.chunk_by(|a, b| b.bytes(size).start.saturating_sub(a.bytes(size).end) <= GAP) {
            let (Some(first), Some(last)) = (together.first(), together.last()) else { continue };
            let start = first.bytes(size).start;
            let bytes = store.read_range(&path, start..last.bytes(size).end).await?;
            for range in together {
                let at = usize::try_from(range.bytes(size).start - start).unwrap_or(usize::MAX);
                let vector = decode_deletion_vector(bytes.get(at..).unwrap_or_default(), range, &path)?;
                if vectors.insert(range.data_file.clone(), Arc::new(vector)).is_some() {
                    return Err(Error::corrupt(&path, format!("a second deletion vector of {:?}", range.data_file)));
                }
            }
        }
    }
    Ok(vectors)
}
