//! The metadata files of a commit, written side by side: manifests, the base list, the delta list, the changelog list,
//! the index manifest.
//!
//! What does not depend on the base (the commit's own manifests and their lists) is written once and kept when a race
//! is lost; the base list and the index manifest are written for each attempt. Every file is remembered, so that a commit that failed for
//! certain leaves nothing behind.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;

use super::changes::Changes;
use super::manifest_merge::{FULL_MANIFEST_ENTRIES, MergePlan, may_hold, plan_merge};
use super::plan::ListFile;
use super::publish::Base;
use crate::error::Result;
use crate::format::{
    Codec, ColumnStats, FileKind, IndexFile, ManifestEntry, ManifestFileMeta, SimpleStats, cancel_entries,
    encode_index_manifest, encode_manifest, encode_manifest_list, layout, merge_entries,
};
use crate::history::{FileFilter, History};
use crate::schema::{ManifestOptions, Schema};
use crate::types::{DataType, Datum};

/// What manifests are written with.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) codec: Codec,
    pub(super) options: ManifestOptions,
    pub(super) partition_types: Vec<DataType>,
    pub(super) schema_id: i64,
}

/// The lists of one attempt.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    pub(super) base: ListFile,
    pub(super) delta: ListFile,
    pub(super) changelog: Option<ListFile>,
    /// The snapshot's index manifest: the base's where no index file changes.
    pub(super) index: Option<String>,
    /// The manifests of the snapshot to be: those of the base list and of the delta list.
    pub(super) manifests: Vec<ManifestFileMeta>,
}

/// A commit's own files, the same for every attempt.
#[derive(Clone)]
struct Own {
    delta: ListFile,
    manifests: Vec<ManifestFileMeta>,
    changelog: Option<ListFile>,
}

/// The metadata files of one snapshot to be.
pub(super) struct Draft {
    history: History,
    settings: Settings,
    uuid: String,
    manifests: u64,
    lists: u64,
    indexes: u64,
    own: Option<Own>,
    own_files: Vec<String>,
    attempt_files: Vec<String>,
    unused_files: Vec<String>,
    kept: bool,
    doubted: bool,
    /// Schemas that nothing named before the snapshot to be.
    pub(super) first_named: Vec<Arc<Schema>>,
}

type File = (String, Bytes);

impl Draft {
    pub(super) fn new(history: &History, settings: &Settings) -> Self {
        Self {
            uuid: history.store.env().uuid(),
            history: history.clone(),
            settings: settings.clone(),
            manifests: 0,
            lists: 0,
            indexes: 0,
            own: None,
            own_files: Vec::new(),
            attempt_files: Vec::new(),
            unused_files: Vec::new(),
            kept: false,
            doubted: false,
            first_named: Vec::new(),
        }
    }

    /// Writes what an attempt on this base needs; `index` is the next list of index files where they change.
    pub(super) async fn write(
        &mut self,
        base: &Base,
        changes: &Changes,
        index: Option<Vec<IndexFile>>,
    ) -> Result<Lists> {
        let mut files: Vec<File> = Vec::new();
        let mut manifests = self.merge(base, &mut files).await?;
        let base_list = self.list(&manifests, &mut files)?;
        let index = match index {
            Some(entries) => self.index(entries, &mut files)?,
            None => base.snapshot.as_ref().and_then(|snapshot| snapshot.index_manifest.clone()),
        };
        self.attempt_files.extend(files.iter().map(|(path, _)| path.clone()));
        let own = match &self.own {
            Some(own) => own.clone(),
            None => {
                let begin = files.len();
                let own = self.own(changes, &mut files)?;
                self.own_files.extend(files[begin..].iter().map(|(path, _)| path.clone()));
                own
            }
        };
        let store = &self.history.store;
        let write = |(path, bytes): File| async move { store.write(&path, bytes).await }.boxed();
        let writes: Vec<_> = files.into_iter().map(write).collect();
        // All of them end, also after a failure: a write that is dropped half-way could end after the clean-up.
        join_all(writes).await.into_iter().collect::<Result<()>>()?;
        self.own = Some(own.clone());
        manifests.extend(own.manifests);
        Ok(Lists { base: base_list, delta: own.delta, changelog: own.changelog, index, manifests })
    }

    fn own(&mut self, changes: &Changes, files: &mut Vec<File>) -> Result<Own> {
        let manifests = self.encode(changes.entries.iter().cloned().map(Arc::new).collect(), files)?;
        let delta = self.list(&manifests, files)?;
        let changelog = match changes.changelog.as_slice() {
            [] => None,
            entries => {
                let manifests = self.encode(entries.iter().cloned().map(Arc::new).collect(), files)?;
                Some(self.list(&manifests, files)?)
            }
        };
        Ok(Own { delta, manifests, changelog })
    }

    /// The base's manifests, merged where that is due.
    async fn merge(&mut self, base: &Base, files: &mut Vec<File>) -> Result<Vec<ManifestFileMeta>> {
        let metas = &base.manifests;
        match plan_merge(metas, &self.settings.options) {
            MergePlan::Keep => Ok(metas.clone()),
            MergePlan::Range(range) => {
                let entries = self.history.manifests.entries_of(&metas[range.clone()], &FileFilter::default()).await?;
                let merged = self.encode(share(cancel_entries(owned(entries))), files)?;
                Ok([&metas[..range.start], &merged, &metas[range.end..]].concat())
            }
            MergePlan::Full => self.merge_all(metas, files).await,
        }
    }

    /// Drops every matched pair. Full manifests without deletes stay where no deleted file can lie in them.
    async fn merge_all(&mut self, metas: &[ManifestFileMeta], files: &mut Vec<File>) -> Result<Vec<ManifestFileMeta>> {
        let history = self.history.manifests.clone();
        let with_deletes: Vec<_> = metas.iter().filter(|meta| meta.num_deleted_files > 0).cloned().collect();
        let deletes = history.entries_of(&with_deletes, &FileFilter::default()).await?;
        let partitions = deletes
            .iter()
            .filter(|entry| entry.kind == FileKind::Delete)
            .map(|entry| entry.partition.clone())
            .collect();
        let stays = |meta: &ManifestFileMeta| {
            meta.num_deleted_files == 0
                && (meta.num_added_files >= FULL_MANIFEST_ENTRIES as i64
                    || u64::try_from(meta.file_size).unwrap_or(0) >= self.settings.options.target_file_size)
                && !may_hold(meta, &partitions, &self.settings.partition_types)
        };
        let (kept, rewritten): (Vec<_>, Vec<_>) = metas.iter().cloned().partition(stays);
        let entries = history.entries_of(&rewritten, &FileFilter::default()).await?;
        let mut merged = kept;
        merged.extend(self.encode(share(merge_entries(owned(entries))), files)?);
        Ok(merged)
    }

    /// Encodes entries into one manifest or several, and remembers them as read.
    fn encode(&mut self, entries: Vec<Arc<ManifestEntry>>, files: &mut Vec<File>) -> Result<Vec<ManifestFileMeta>> {
        let mut metas = Vec::new();
        for chunk in entries.chunks(FULL_MANIFEST_ENTRIES) {
            let name = format!("manifest-{}-{}", self.uuid, self.manifests);
            self.manifests += 1;
            let bytes = encode_manifest(chunk.iter().map(|entry| &**entry), self.settings.codec)?;
            metas.push(describe(&name, bytes.len(), chunk, &self.settings)?);
            files.push((layout::manifest(&name)?, bytes));
            self.history.manifests.keep_entries(&name, chunk.into());
        }
        Ok(metas)
    }

    fn list(&mut self, metas: &[ManifestFileMeta], files: &mut Vec<File>) -> Result<ListFile> {
        let name = format!("manifest-list-{}-{}", self.uuid, self.lists);
        self.lists += 1;
        let bytes = encode_manifest_list(metas, self.settings.codec)?;
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        files.push((layout::manifest(&name)?, bytes));
        self.history.manifests.keep_list(&name, Arc::new(metas.to_vec()));
        Ok(ListFile { name, size })
    }

    fn index(&mut self, entries: Vec<IndexFile>, files: &mut Vec<File>) -> Result<Option<String>> {
        if entries.is_empty() {
            return Ok(None);
        }
        let name = format!("index-manifest-{}-{}", self.uuid, self.indexes);
        self.indexes += 1;
        files.push((layout::manifest(&name)?, encode_index_manifest(&entries, self.settings.codec)?));
        self.history.manifests.keep_index(&name, Arc::new(entries));
        Ok(Some(name))
    }

    /// The attempt's base list is not named by any snapshot, for certain.
    pub(super) fn attempt_lost(&mut self) {
        self.unused_files.append(&mut self.attempt_files);
    }

    /// The attempt's base list may be named by a snapshot, now or later.
    pub(super) fn attempt_in_doubt(&mut self) {
        self.attempt_files.clear();
        self.doubted = true;
    }

    /// The next attempt writes the commit's own files anew, because what it changes depends on its base.
    pub(super) fn changes_are_others(&mut self) {
        self.own = None;
        let mut own = std::mem::take(&mut self.own_files);
        if !self.doubted {
            self.unused_files.append(&mut own);
        }
    }

    /// Whether a snapshot of an attempt may be on its way.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Nothing is deleted any more: somebody may have built on these files.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// Deletes what no snapshot names. A failure leaves orphans, which do no harm.
    pub(super) async fn discard_unused(&mut self) {
        let unused = std::mem::take(&mut self.unused_files);
        if !self.kept {
            let store = &self.history.store;
            let delete = |path: String| async move { store.delete(&path).await }.boxed();
            join_all(unused.into_iter().map(delete).collect::<Vec<_>>()).await;
        }
    }

    /// Deletes everything: no snapshot was made.
    pub(super) async fn discard_all(&mut self) {
        let (mut own, mut attempt) = (std::mem::take(&mut self.own_files), std::mem::take(&mut self.attempt_files));
        self.unused_files.append(&mut own);
        self.unused_files.append(&mut attempt);
        self.own = None;
        self.discard_unused().await;
    }
}

fn owned(entries: Vec<Arc<ManifestEntry>>) -> Vec<ManifestEntry> {
    entries.iter().map(|entry| (**entry).clone()).collect()
}

fn share(entries: Vec<ManifestEntry>) -> Vec<Arc<ManifestEntry>> {
    entries.into_iter().map(Arc::new).collect()
}

/// What a manifest list says of a manifest.
pub(super) fn describe(
    name: &str,
    size: usize,
    entries: &[Arc<ManifestEntry>],
    settings: &Settings,
) -> Result<ManifestFileMeta> {
    let added = entries.iter().filter(|entry| entry.kind == FileKind::Add).count() as i64;
    let row_ids: Option<Vec<(i64, i64)>> = entries
        .iter()
        .map(|entry| entry.file.first_row_id.map(|first| (first, first.saturating_add(entry.file.row_count - 1))))
        .collect();
    let row_ids = row_ids.unwrap_or_default();
    Ok(ManifestFileMeta {
        file_name: name.to_string(),
        file_size: i64::try_from(size).unwrap_or(i64::MAX),
        num_added_files: added,
        num_deleted_files: entries.len() as i64 - added,
        partition_stats: partition_stats(entries, &settings.partition_types)?,
        schema_id: settings.schema_id,
        min_bucket: entries.iter().map(|entry| entry.bucket).min(),
        max_bucket: entries.iter().map(|entry| entry.bucket).max(),
        min_level: entries.iter().map(|entry| entry.file.level).min(),
        max_level: entries.iter().map(|entry| entry.file.level).max(),
        min_row_id: row_ids.iter().map(|(first, _)| *first).min(),
        max_row_id: row_ids.iter().map(|(_, last)| *last).max(),
    })
}

fn partition_stats(entries: &[Arc<ManifestEntry>], types: &[DataType]) -> Result<SimpleStats> {
    if types.is_empty() {
        return Ok(SimpleStats::empty());
    }
    let mut columns: Vec<ColumnStats> = types
        .iter()
        .map(|data_type| ColumnStats {
            data_type: data_type.clone(),
            min: Datum::Null,
            max: Datum::Null,
            null_count: Some(0),
        })
        .collect();
    let mut last: Option<&ManifestEntry> = None;
    let mut repeats = 0;
    for entry in entries.iter().map(|entry| &**entry) {
        // Neighbours mostly share their partition.
        if last.is_some_and(|last| last.partition == entry.partition) {
            repeats += 1;
        } else {
            repeats = 0;
        }
        last = Some(entry);
        for (index, column) in columns.iter_mut().enumerate() {
            if entry.partition.is_null(index) {
                column.null_count = column.null_count.map(|count| count + 1);
            } else if repeats == 0 {
                let value = entry.partition.get(index, &column.data_type.kind)?;
                if column.min.is_null() || value.total_cmp(&column.min).is_lt() {
                    column.min = value.clone();
                }
                if column.max.is_null() || value.total_cmp(&column.max).is_gt() {
                    column.max = value;
                }
            }
        }
    }
    SimpleStats::of(&columns)
}
