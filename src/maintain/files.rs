//! Which files nobody needs when some snapshots, or changelogs, are gone. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::error::Result;
use crate::format::{
    FileKind, FileSource, GoingFile, IndexManifestEntry, ManifestEntry, ManifestFileMeta, Snapshot, SnapshotId,
    beside_path, bucket_directory, data_file_path, holding_name, index_path, layout,
};
use crate::schema::{Schema, TableOptions};

/// Which of the files that left the chain go with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leavers {
    /// All.
    All,
    /// Not those that a writer flushed: without a producer they are the changelog, which stays.
    Compacted,
    /// Only those.
    Flushed,
}

/// Collects the files that go.
pub(super) struct GoingFiles<'a> {
    schema: &'a Schema,
    options: &'a TableOptions,
    /// Names of files that stay.
    kept: &'a HashSet<String>,
    /// Whether a path may be reached: one outside of the table must be allowed.
    reaches: &'a (dyn Fn(&str) -> bool + Sync),
    files: BTreeMap<String, GoingFile>,
    /// Files outside of the table's root that may not be reached.
    pub(super) outside: u64,
}

impl<'a> GoingFiles<'a> {
    pub(super) fn new(
        schema: &'a Schema,
        options: &'a TableOptions,
        kept: &'a HashSet<String>,
        reaches: &'a (dyn Fn(&str) -> bool + Sync),
    ) -> Self {
        Self { schema, options, kept, reaches, files: BTreeMap::new(), outside: 0 }
    }

    pub(super) fn into_files(self) -> Vec<GoingFile> {
        self.files.into_values().collect()
    }

    /// The files that a snapshot's own commit took out of the chain: `last` is the newest one that needs them.
    pub(super) fn left(&mut self, entries: &[Arc<ManifestEntry>], last: SnapshotId, which: Leavers) -> Result<()> {
        // A file that moves to another level leaves and comes in one commit.
        let mut left: HashMap<(&[u8], i32, &str), &ManifestEntry> = HashMap::new();
        for entry in entries {
            let place = (entry.partition.prefixed().as_ref(), entry.bucket, entry.file.file_name.as_str());
            match entry.kind {
                FileKind::Add => drop(left.remove(&place)),
                FileKind::Delete => drop(left.insert(place, entry)),
            }
        }
        for entry in left.into_values() {
            // Files of releases that did not tell may be either.
            let flushed = entry.file.file_source != Some(FileSource::Compact);
            let goes = match which {
                Leavers::All => true,
                Leavers::Compacted => !flushed,
                Leavers::Flushed => flushed,
            };
            if goes {
                self.data_file(entry, last)?;
            }
        }
        Ok(())
    }

    /// The changelog files of a snapshot.
    pub(super) fn changelog(&mut self, entries: &[Arc<ManifestEntry>], id: SnapshotId) -> Result<()> {
        let mut added = entries.iter().filter(|entry| entry.kind == FileKind::Add);
        added.try_for_each(|entry| self.data_file(entry, id))
    }

    /// The live files of a snapshot that only a tag keeps.
    pub(super) fn live(&mut self, entries: &[Arc<ManifestEntry>], id: SnapshotId) -> Result<()> {
        entries.iter().try_for_each(|entry| self.data_file(entry, id))
    }

    fn data_file(&mut self, entry: &ManifestEntry, last: SnapshotId) -> Result<()> {
        let file = &entry.file;
        if self.kept.contains(&holding_name(&file.file_name)?) {
            return Ok(());
        }
        let directory = bucket_directory(self.schema, self.options, &entry.partition, entry.bucket)?;
        let bytes = u64::try_from(file.file_size).unwrap_or(0);
        self.add(data_file_path(&directory, file)?, last, bytes);
        for extra in &file.extra_files {
            self.add(beside_path(&directory, file, extra)?, last, 0);
        }
        Ok(())
    }

    /// A manifest list and the manifests it names.
    pub(super) fn list(
        &mut self,
        name: &str,
        size: Option<i64>,
        manifests: &[ManifestFileMeta],
        id: SnapshotId,
    ) -> Result<()> {
        for meta in manifests {
            self.metadata(&meta.file_name, Some(meta.file_size), id)?;
        }
        self.metadata(name, size, id)
    }

    /// An index manifest and the files it names.
    pub(super) fn index(&mut self, name: &str, files: &[IndexManifestEntry], id: SnapshotId) -> Result<()> {
        for file in files.iter().filter(|file| !self.kept.contains(&file.file_name)) {
            let path = index_path(self.schema, self.options, file)?;
            self.add(path, id, u64::try_from(file.file_size).unwrap_or(0));
        }
        self.metadata(name, None, id)
    }

    /// The statistics of a snapshot.
    pub(super) fn statistics(&mut self, snapshot: &Snapshot) -> Result<()> {
        if let Some(name) = snapshot.statistics.as_ref().filter(|name| !self.kept.contains(*name)) {
            self.add(layout::statistics(name)?, snapshot.id, 0);
        }
        Ok(())
    }

    fn metadata(&mut self, name: &str, size: Option<i64>, id: SnapshotId) -> Result<()> {
        if !self.kept.contains(name) {
            let bytes = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            self.add(layout::manifest(name)?, id, bytes);
        }
        Ok(())
    }

    /// What several snapshots name goes with the last of them.
    fn add(&mut self, path: String, last: SnapshotId, bytes: u64) {
        if !(self.reaches)(&path) {
            self.outside += 1;
            return;
        }
        let going = self.files.entry(path.clone()).or_insert(GoingFile { path, last, bytes });
        going.last = going.last.max(last);
    }
}
