//! What a writer or a compaction hands to the committer. Travels between machines as versioned bytes.
//! Spec: `format-spec/commit-message.md`.

use super::{BinaryRow, DataFileMeta, IndexManifestEntry};

/// An index file that a commit adds or removes.
pub type IndexFile = IndexManifestEntry;

/// The changes of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMessage {
    /// The partition.
    pub partition: BinaryRow,
    /// The bucket.
    pub bucket: i32,
    /// The bucket count it was routed by: -1 for append tables without buckets.
    pub total_buckets: i32,
    /// Data files that the writer flushed.
    pub new_files: Vec<DataFileMeta>,
    /// Changelog files of the flush.
    pub changelog_files: Vec<DataFileMeta>,
    /// Files a compaction read.
    pub compact_before: Vec<DataFileMeta>,
    /// Files it wrote, and files it moved to another level.
    pub compact_after: Vec<DataFileMeta>,
    /// Changelog files of the compaction.
    pub compact_changelog: Vec<DataFileMeta>,
}
