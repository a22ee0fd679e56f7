//! Manifests: the ADD and DELETE entries of data files.
//! Spec: `format-spec/manifest.md`.

use super::{BinaryRow, DataFileMeta};

/// Whether an entry adds or deletes its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum FileKind {
    /// The file belongs to the table from this commit on.
    Add = 0,
    /// The file leaves the table with this commit.
    Delete = 1,
}

/// One entry of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// `_KIND`
    pub kind: FileKind,
    /// `_PARTITION`: the truth about the partition of the file's rows.
    pub partition: BinaryRow,
    /// `_BUCKET`
    pub bucket: i32,
    /// `_TOTAL_BUCKETS`: the bucket count the partition was written with.
    pub total_buckets: i32,
    /// `_FILE`
    pub file: DataFileMeta,
}
