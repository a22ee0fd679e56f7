//! Manifests: which files a snapshot has.
//!
//! Lists and manifests are immutable, so they are kept by name in a [`ManifestCache`]; what is missing is read and
//! decoded side by side. Entries are shared, not copied: a plan over cached manifests costs a pointer for each file.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use futures::future::{try_join, try_join_all};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::manifest_cache::{Kept, ManifestCache};
use crate::error::{Error, Result};
use crate::format::{
    BinaryRow, EntryHead, FileIdentifier, FileKind, IndexManifestEntry, ManifestEntry, ManifestFileMeta,
    ManifestFilter, Snapshot, decode_index_manifest, decode_index_manifest_for_rewrite, decode_manifest_list,
    decode_manifest_part, layout, manifest_parts,
};
use crate::io::TableStore;

/// A manifest of so many bytes or fewer is decoded where it is asked for: to begin a thread takes longer.
const DECODED_IN_PLACE: usize = 16 << 10;
/// Manifests that are read at once.
const PARALLEL: usize = 8;
/// What an entry takes in memory, roughly.
const ENTRY_BYTES: usize = 900;

/// Decides by a manifest's description.
pub type ManifestTest = Arc<dyn Fn(&ManifestFileMeta) -> bool + Send + Sync>;
/// Decides by partition, bucket, bucket count and level.
pub type EntryTest = Arc<dyn Fn(&EntryHead<'_>) -> bool + Send + Sync>;
/// The entries of one manifest, in order.
pub(super) type Entries = Arc<[Arc<ManifestEntry>]>;

/// Which files are wanted. The default wants all.
#[derive(Clone, Default)]
pub struct FileFilter {
    /// Manifests that cannot hold a wanted file are not read.
    pub manifest: Option<ManifestTest>,
    /// Entries that are not wanted are left out. It must not look at the entry's kind: a DELETE and its ADD must pass
    /// together.
    pub entry: Option<EntryTest>,
    /// Few entries are wanted: a manifest that is not known yet is decoded for these alone.
    pub narrow: bool,
}

impl fmt::Debug for FileFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileFilter(manifest: {}, entry: {})", self.manifest.is_some(), self.entry.is_some())
    }
}

impl FileFilter {
    /// Only files of one bucket; uses the bucket hints of manifests.
    pub fn bucket(bucket: i32) -> Self {
        Self {
            manifest: Some(Arc::new(move |meta| {
                meta.min_bucket.is_none_or(|min| min <= bucket) && meta.max_bucket.is_none_or(|max| max >= bucket)
            })),
            entry: Some(Arc::new(move |head| head.bucket == bucket)),
            narrow: false,
        }
    }

    fn wants(&self, entry: &ManifestEntry) -> bool {
        self.entry.as_ref().is_none_or(|test| {
            test(&EntryHead {
                kind: entry.kind,
                partition: &entry.partition,
                bucket: entry.bucket,
                total_buckets: entry.total_buckets,
                level: entry.file.level,
                file_name: &entry.file.file_name,
            })
        })
    }
}

/// The manifests of a table. Clones share what they have read.
#[derive(Clone)]
pub struct Manifests {
    store: TableStore,
    cache: ManifestCache,
    /// The table's number in the cache.
    table: u32,
}

impl fmt::Debug for Manifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manifests({:?}, {} bytes kept)", self.store, self.cache.memory())
    }
}

impl Manifests {
    /// Of the table at the store's root, with a cache of its own of 128 MiB.
    pub fn new(store: TableStore) -> Self {
        Self::with_cache(store, &ManifestCache::default())
    }

    /// With a cache that other tables may share.
    pub fn with_cache(store: TableStore, cache: &ManifestCache) -> Self {
        Self { table: cache.number_of(store.location()), cache: cache.clone(), store }
    }

    /// The manifests that a manifest list names.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Corrupt`], [`crate::Error::Storage`].
    pub async fn list(&self, name: &str) -> Result<Arc<Vec<ManifestFileMeta>>> {
        self.sized_list(name, None).await
    }

    /// The list of a snapshot, which may tell its size.
    async fn sized_list(&self, name: &str, size: Option<i64>) -> Result<Arc<Vec<ManifestFileMeta>>> {
        if let Some(Kept::List(list)) = self.cache.get(self.table, name) {
            return Ok(list);
        }
        let path = layout::manifest(name)?;
        let bytes = self.store.read(&path).await?;
        check_size(&path, &bytes, size)?;
        let list = Arc::new(decode_manifest_list(&bytes, &path)?);
        self.keep_list(name, Arc::clone(&list));
        Ok(list)
    }

    async fn base_list(&self, snapshot: &Snapshot) -> Result<Arc<Vec<ManifestFileMeta>>> {
        self.sized_list(&snapshot.base_manifest_list, snapshot.base_manifest_list_size).await
    }

    async fn delta_list(&self, snapshot: &Snapshot) -> Result<Arc<Vec<ManifestFileMeta>>> {
        self.sized_list(&snapshot.delta_manifest_list, snapshot.delta_manifest_list_size).await
    }

    /// All manifests of a snapshot: those of its base list, then those of its delta list.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn of(&self, snapshot: &Snapshot) -> Result<Vec<ManifestFileMeta>> {
        let (base, delta) = try_join(self.base_list(snapshot), self.delta_list(snapshot)).await?;
        Ok(base.iter().chain(delta.iter()).cloned().collect())
    }

    /// The live files of a snapshot that the filter wants, in manifest order.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn live_files(&self, snapshot: &Snapshot, filter: &FileFilter) -> Result<Vec<Arc<ManifestEntry>>> {
        self.live_of(&self.of(snapshot).await?, filter).await
    }

    /// The live files of some manifests, in order.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn live_of(&self, metas: &[ManifestFileMeta], filter: &FileFilter) -> Result<Vec<Arc<ManifestEntry>>> {
        Ok(live(self.entries_of(metas, filter).await?))
    }

    /// The live files of some partitions, from some manifests.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn live_in(
        &self,
        metas: &[ManifestFileMeta],
        partitions: BTreeSet<BinaryRow>,
    ) -> Result<Vec<Arc<ManifestEntry>>> {
        let entry: EntryTest = Arc::new(move |head| partitions.contains(head.partition));
        self.live_of(metas, &FileFilter { entry: Some(entry), ..FileFilter::default() }).await
    }

    /// What a snapshot's own commit changed: its ADD and DELETE entries, in order.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn delta_files(&self, snapshot: &Snapshot, filter: &FileFilter) -> Result<Vec<Arc<ManifestEntry>>> {
        let metas = self.delta_list(snapshot).await?;
        self.entries_of(&metas, filter).await
    }

    /// The changelog files of a snapshot, in order; none where it has no changelog.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn changelog_files(&self, snapshot: &Snapshot, filter: &FileFilter) -> Result<Vec<Arc<ManifestEntry>>> {
        let Some(name) = &snapshot.changelog_manifest_list else { return Ok(Vec::new()) };
        let metas = self.sized_list(name, snapshot.changelog_manifest_list_size).await?;
        self.entries_of(&metas, filter).await
    }

    /// The entries of some manifests that the filter wants, in order.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn entries_of(&self, metas: &[ManifestFileMeta], filter: &FileFilter) -> Result<Vec<Arc<ManifestEntry>>> {
        let wanted: Vec<&ManifestFileMeta> =
            metas.iter().filter(|meta| filter.manifest.as_ref().is_none_or(|test| test(meta))).collect();
        // What does not fit into memory as a whole is decoded through the filter and not kept.
        let fits = wanted.iter().map(|meta| weight(meta)).sum::<usize>() <= self.cache.budget();
        let loads: Vec<_> = wanted.into_iter().map(|meta| self.load(meta, filter, fits).boxed()).collect();
        let loaded: Vec<Entries> = stream::iter(loads).buffered(PARALLEL).try_collect().await?;
        let mut entries = Vec::with_capacity(loaded.iter().map(|manifest| manifest.len()).sum());
        for manifest in &loaded {
            entries.extend(manifest.iter().filter(|entry| filter.wants(entry)).cloned());
        }
        Ok(entries)
    }

    /// The entries of a manifest, of which those that the filter does not want may be left out: the first time a manifest
    /// is looked through a narrow filter, only its bytes are kept, and only what is wanted is decoded.
    async fn load(&self, meta: &ManifestFileMeta, filter: &FileFilter, fits: bool) -> Result<Entries> {
        let path = layout::manifest(&meta.file_name)?;
        let kept = self.cache.get(self.table, &meta.file_name);
        let (bytes, known) = match kept {
            Some(Kept::Entries(entries)) => return Ok(entries),
            Some(Kept::Bytes(bytes)) => (bytes, true),
            _ => {
                let bytes = self.store.read(&path).await?;
                check_size(&path, &bytes, Some(meta.file_size))?;
                (bytes, false)
            }
        };
        let keep = fits && (known || !filter.narrow);
        if fits && !keep {
            self.cache.put(self.table, &meta.file_name, Kept::Bytes(bytes.clone()), bytes.len() + 200);
        }
        let test = if keep { None } else { filter.entry.clone() };
        let parts = manifest_parts(&bytes, &path)?;
        let small = bytes.len() <= DECODED_IN_PLACE;
        let decoded = parts.into_iter().map(|part| {
            let (bytes, path, test) = (bytes.clone(), path.clone(), test.clone());
            let decode = move || {
                let keep = test.map(|test| move |head: &EntryHead<'_>| test(head));
                let filter = keep.as_ref().map_or(ManifestFilter::ALL, |keep| ManifestFilter::new(keep));
                let entries = decode_manifest_part(&bytes, &part, &path, &filter)?;
                Ok(entries.into_iter().map(Arc::new).collect::<Vec<_>>())
            };
            match small {
                true => std::future::ready(decode()).boxed(),
                false => self.store.env().computing(decode).boxed(),
            }
        });
        let decoded = try_join_all(decoded.collect::<Vec<_>>()).await?;
        let entries: Entries = decoded.into_iter().flatten().collect();
        if keep {
            self.keep_entries(&meta.file_name, Arc::clone(&entries));
        }
        Ok(entries)
    }

    /// The index files that an index manifest lists.
    ///
    /// # Errors
    /// As [`Manifests::list`].
    pub async fn index(&self, name: &str) -> Result<Arc<Vec<IndexManifestEntry>>> {
        if let Some(Kept::Index(index)) = self.cache.get(self.table, name) {
            return Ok(index);
        }
        let path = layout::manifest(name)?;
        let index = Arc::new(decode_index_manifest(&self.store.read(&path).await?, &path)?);
        self.put_index(name, Arc::clone(&index));
        Ok(index)
    }

    /// The same for a commit that writes the list again.
    ///
    /// # Errors
    /// As [`Manifests::list`]; [`crate::Error::Unsupported`] when a field would be lost.
    pub async fn index_for_rewrite(&self, name: &str) -> Result<Arc<Vec<IndexManifestEntry>>> {
        let key = rewrite_key(name);
        if let Some(Kept::Index(index)) = self.cache.get(self.table, &key) {
            return Ok(index);
        }
        let path = layout::manifest(name)?;
        let index = Arc::new(decode_index_manifest_for_rewrite(&self.store.read(&path).await?, &path)?);
        self.put_index(&key, Arc::clone(&index));
        Ok(index)
    }

    /// Remembers an index manifest that was just written.
    pub fn keep_index(&self, name: &str, index: Arc<Vec<IndexManifestEntry>>) {
        self.put_index(name, Arc::clone(&index));
        self.put_index(&rewrite_key(name), index);
    }

    fn put_index(&self, key: &str, index: Arc<Vec<IndexManifestEntry>>) {
        let ranges = |entry: &IndexManifestEntry| entry.deletion_vectors.as_ref().map_or(0, Vec::len);
        let bytes = index.iter().map(|entry| 400 + 150 * ranges(entry)).sum();
        self.cache.put(self.table, key, Kept::Index(index), bytes);
    }

    /// Remembers a list that was just written.
    pub fn keep_list(&self, name: &str, list: Arc<Vec<ManifestFileMeta>>) {
        let bytes = 300 * (list.len() + 1);
        self.cache.put(self.table, name, Kept::List(list), bytes);
    }

    /// Remembers a manifest that was just written.
    pub fn keep_entries(&self, name: &str, entries: Arc<[Arc<ManifestEntry>]>) {
        let bytes = ENTRY_BYTES * (entries.len() + 1);
        self.cache.put(self.table, name, Kept::Entries(entries), bytes);
    }
}

/// Lists whose every field is known are kept apart.
fn rewrite_key(name: &str) -> String {
    format!("rewrite/{name}")
}

/// An Avro file that was cut between two blocks reads as one with fewer records: its size tells.
fn check_size(path: &str, bytes: &[u8], size: Option<i64>) -> Result<()> {
    match size {
        Some(size) if usize::try_from(size) != Ok(bytes.len()) => {
            Err(Error::corrupt(path, format!("{} bytes, not the {size} that the file naming it tells", bytes.len())))
        }
        _ => Ok(()),
    }
}

/// ADD entries without a DELETE of the same identifier, in order. The entries tell, not what their list counts of them.
fn live(entries: Vec<Arc<ManifestEntry>>) -> Vec<Arc<ManifestEntry>> {
    let deleted: HashSet<FileIdentifier<'_>> =
        entries.iter().filter(|entry| entry.kind == FileKind::Delete).map(|entry| entry.identifier()).collect();
    if deleted.is_empty() {
        return entries;
    }
    let alive = |entry: &&Arc<ManifestEntry>| entry.kind == FileKind::Add && !deleted.contains(&entry.identifier());
    entries.iter().filter(alive).cloned().collect()
}

fn weight(meta: &ManifestFileMeta) -> usize {
    let entries = meta.num_added_files.saturating_add(meta.num_deleted_files);
    usize::try_from(entries).unwrap_or(usize::MAX).saturating_mul(ENTRY_BYTES)
}
