//! Commit messages, sorted into the two snapshots they can become.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::index::{self, IndexChanges};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitKind, CommitMessage, DataFileMeta, FileKind, ManifestEntry, SnapshotId, layout};
use crate::schema::SchemaId;

/// The changes of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) kind: CommitKind,
    pub(super) entries: Vec<ManifestEntry>,
    pub(super) changelog: Vec<ManifestEntry>,
    pub(super) index: IndexChanges,
    /// The oldest snapshot that a writer took its bucket counts from.
    pub(super) counts_seen: Option<SnapshotId>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.changelog.is_empty() && self.index.is_empty()
    }

    /// Rows of ADD entries minus rows of DELETE entries.
    pub(super) fn delta_rows(&self) -> i64 {
        self.entries.iter().fold(0_i64, |sum, entry| match entry.kind {
            FileKind::Add => sum.saturating_add(entry.file.row_count),
            FileKind::Delete => sum.saturating_sub(entry.file.row_count),
        })
    }

    pub(super) fn changelog_rows(&self) -> i64 {
        self.changelog.iter().fold(0_i64, |sum, entry| sum.saturating_add(entry.file.row_count))
    }

    /// The partitions whose files it changes or masks.
    pub(super) fn partitions(&self) -> BTreeSet<BinaryRow> {
        let masked = self.index.added.iter().map(|file| &file.partition);
        self.entries.iter().map(|entry| &entry.partition).chain(masked).cloned().collect()
    }

    /// The newest schema that a file of it was written with; 0 without files.
    pub(super) fn newest_schema(&self) -> SchemaId {
        self.entries.iter().chain(&self.changelog).map(|entry| entry.file.schema_id).max().unwrap_or(0)
    }

    /// Whether files leave.
    pub(super) fn deletes_files(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == FileKind::Delete)
    }
}

/// The new files and the compaction of one committable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Committable {
    pub(super) append: Changes,
    pub(super) compact: Changes,
}

impl Committable {
    /// Sorts messages. A compaction's DELETE entries stand before its ADD entries, message by message, because a file
    /// that moves to another level is deleted and added under one name.
    pub(super) fn of(messages: &[CommitMessage]) -> Result<Self> {
        let changes = |kind| Changes {
            kind,
            entries: Vec::new(),
            changelog: Vec::new(),
            index: IndexChanges::default(),
            counts_seen: None,
        };
        let mut whole = Self { append: changes(CommitKind::Append), compact: changes(CommitKind::Compact) };
        for message in messages {
            check_names(message)?;
            let entry = |kind, file: &DataFileMeta| ManifestEntry {
                kind,
                partition: message.partition.clone(),
                bucket: message.bucket,
                total_buckets: message.total_buckets,
                file: Arc::new(file.clone()),
            };
            let add = |file| entry(FileKind::Add, file);
            let delete = |file| entry(FileKind::Delete, file);
            whole.append.entries.extend(message.deleted_files.iter().map(delete));
            whole.append.entries.extend(message.new_files.iter().map(add));
            whole.append.changelog.extend(message.changelog_files.iter().map(add));
            whole.compact.entries.extend(message.compact_before.iter().map(delete));
            whole.compact.entries.extend(message.compact_after.iter().map(add));
            whole.compact.changelog.extend(message.compact_changelog.iter().map(add));
            whole.append.index.deleted.extend(message.deleted_index.iter().cloned());
            whole.append.index.added.extend(message.new_index.iter().cloned());
            let read = message.index_read.iter().cloned();
            whole.append.index.reads.extend(read.map(|read| (message.partition.clone(), read)));
            whole.compact.index.deleted.extend(message.compact_deleted_index.iter().cloned());
            whole.compact.index.added.extend(message.compact_new_index.iter().cloned());
        }
        whole.append.counts_seen = messages.iter().filter_map(|message| message.base_snapshot).min();
        // Whoever takes rows away contradicts others that did, so it is no plain append.
        if messages.iter().any(|message| !message.deleted_files.is_empty()) || whole.append.index.masks_rows() {
            whole.append.kind = CommitKind::Overwrite;
        }
        Ok(whole)
    }
}

/// A message may come from another machine: its names must not lead elsewhere.
fn check_names(message: &CommitMessage) -> Result<()> {
    for file in files(message) {
        layout::check_name("data file", &file.file_name)?;
        file.extra_files.iter().try_for_each(|name| layout::check_name("extra file", name).map(|_| ()))?;
        if file.row_count < 0 || file.file_size < 0 {
            return Err(Error::invalid(format!("data file {:?} has a negative size or row count", file.file_name)));
        }
    }
    index::check_files(message)
}

/// All files of a message.
pub(super) fn files(message: &CommitMessage) -> impl Iterator<Item = &DataFileMeta> {
    message.written_files().chain(&message.compact_before).chain(&message.deleted_files)
}
